//! Whose budget a request draws from behind a reverse proxy, and in front of none.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use coordinator::http::{Site, TrustedProxies};
use fixture::Fixture;
use fixture::client::Server;

fn server(proxies: &[&str]) -> Server {
    let fixture = Fixture::new(1);
    let proxies = TrustedProxies::new(proxies.iter().map(|prefix| prefix.parse().unwrap()).collect());
    let site = Site::new(fixture.coordinator.clone(), None).behind(proxies);
    Server::start_site(fixture, site)
}

/// Tries to sign in until the address has no budget left; gives how often that worked.
fn sign_ins(server: &Server, forwarded_for: &str, tries: u32) -> u32 {
    let headers = [("X-Forwarded-For", forwarded_for)];
    let link = "/sign-in/wsl_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let admitted = (0..tries).filter(|_| server.send("POST", link, &headers, b"").status != 429);
    u32::try_from(admitted.count()).unwrap()
}

#[test]
fn behind_a_trusted_proxy_each_client_has_a_budget_of_its_own() {
    let server = server(&["127.0.0.0/8"]);
    assert!(sign_ins(&server, "198.51.100.1", 45) < 45);
    assert_eq!(sign_ins(&server, "198.51.100.2", 5), 5);
    // Another name for itself, put in front of what the proxy adds, helps nobody.
    assert!(sign_ins(&server, "203.0.113.5, 198.51.100.1", 5) < 5);
}

#[test]
fn without_a_trusted_proxy_nobody_gets_another_budget_by_a_header() {
    let server = server(&[]);
    let admitted: u32 = (0..45).map(|host| sign_ins(&server, &format!("198.51.100.{host}"), 1)).sum();
    assert!(admitted < 45);
}
