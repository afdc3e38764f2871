//! Finding the NAT64 of a network without IPv4 (RFC 7050), and HTTP through it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::header::{HOST, HeaderValue};
use reqwest::{Request, Url};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tunnel::Nat64Prefix;

use super::local_address_towards;

/// The name whose IPv6 addresses, where it has any, tell the prefix.
const IPV4_ONLY: &str = "ipv4only.arpa";

/// How long the system's resolver may take: three tries of a second each, as it usually makes.
const RESOLVER_PATIENCE: Duration = Duration::from_secs(3);

/// How often a host without IPv4 looks again, besides at each change of its addresses: its resolver may have been late, and a
/// network may get another prefix. Prefixes change rarely, and the resolver answers from memory meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Where a route towards any IPv4 address shows; nothing is sent.
const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 0, 170)), 9);

/// The variables by which the user names a proxy, in capitals (they may be small, too).
const PROXY_VARIABLES: [&str; 3] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"];

/// Keeps an eye on the network's NAT64.
#[derive(Debug)]
pub(crate) struct Nat64Watch {
    found: watch::Receiver<Option<Nat64Prefix>>,
    look: mpsc::Sender<()>,
    task: AbortHandle,
}

impl Nat64Watch {
    /// Begins to look, in the background.
    pub(crate) fn start() -> Self {
        let (found_sender, found) = watch::channel(None);
        let (look, mut looks) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            loop {
                let prefix = find().await;
                found_sender.send_if_modified(|known| std::mem::replace(known, prefix) != prefix);
                tokio::select! {
                    () = sleep(LOOK_AGAIN) => {}
                    Some(()) = looks.recv() => {}
                    else => return,
                }
            }
        });
        Self { found, look, task: task.abort_handle() }
    }

    /// Looks again now.
    pub(crate) fn look_again(&self) {
        // Full: it will look again anyway.
        let _ = self.look.try_send(());
    }

    /// Waits until another prefix is known than before, or none any more.
    pub(crate) async fn changed(&mut self) {
        if self.found.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// The prefix, where the host has no IPv4 and its network has NAT64.
    pub(crate) fn prefix(&self) -> Option<Nat64Prefix> {
        *self.found.borrow()
    }
}

impl Drop for Nat64Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The network's prefix; `None` where the host has IPv4, or the network no NAT64 that is reached.
async fn find() -> Option<Nat64Prefix> {
    if local_address_towards(SOMEWHERE).is_some() {
        return None;
    }
    let answers = timeout(RESOLVER_PATIENCE, tokio::net::lookup_host((IPV4_ONLY, 0))).await.ok()?.ok()?;
    let ipv6 = answers.filter_map(|answer| match answer.ip() {
        IpAddr::V6(ip) => Some(ip),
        IpAddr::V4(_) => None,
    });
    let prefix = Nat64Prefix::of_ipv4only(ipv6)?;
    let through = SocketAddr::new(prefix.synthesize(Ipv4Addr::new(192, 0, 0, 170)).into(), SOMEWHERE.port());
    local_address_towards(through).map(|_| prefix)
}

/// Sends a request to an IPv4 address through NAT64 where the host has only IPv6. Names need no help, DNS64 gives them
/// addresses; a proxy is asked as it is; and TLS is left alone, because the certificate would be of another address.
pub(crate) async fn through_nat64(request: &mut Request) {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if PROXY_VARIABLES.iter().any(|name| is_set(name) || is_set(&name.to_lowercase())) {
        return;
    }
    let Some(ip) = plain_ipv4(request.url()) else { return };
    if let Some(prefix) = find().await {
        turn(request, ip, prefix);
    }
}

/// The IPv4 address that a plain HTTP request goes to, if it names one.
fn plain_ipv4(url: &Url) -> Option<Ipv4Addr> {
    let ip: Ipv4Addr = url.host_str().filter(|_| url.scheme() == "http")?.parse().ok()?;
    (!ip.is_loopback()).then_some(ip)
}

/// The request keeps its name for the server and gets another destination.
fn turn(request: &mut Request, ip: Ipv4Addr, prefix: Nat64Prefix) {
    let port = request.url().port().map(|port| format!(":{port}")).unwrap_or_default();
    let turned = request.url_mut().set_ip_host(prefix.synthesize(ip).into());
    if let (Ok(()), Ok(host)) = (turned, HeaderValue::from_str(&format!("{ip}{port}"))) {
        request.headers_mut().insert(HOST, host);
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;

    #[test]
    fn a_request_through_nat64_keeps_the_name_of_its_server() {
        let mut request = Request::new(Method::GET, "http://192.0.2.33:8080/healthz?x=1".parse().unwrap());
        let prefix = Nat64Prefix::of_ipv4only(["64:ff9b::c000:aa".parse().unwrap()]).unwrap();
        let ip = plain_ipv4(request.url()).unwrap();
        turn(&mut request, ip, prefix);
        assert_eq!(request.url().as_str(), "http://[64:ff9b::c000:221]:8080/healthz?x=1");
        assert_eq!(request.headers()[HOST], "192.0.2.33:8080");
    }

    #[test]
    fn only_plain_http_to_an_ipv4_address_is_sent_through_nat64() {
        for url in
            ["http://c.example/", "https://192.0.2.33/", "http://[2001:db8::1]/", "http://127.0.0.1:1/"]
        {
            assert_eq!(plain_ipv4(&url.parse().unwrap()), None, "{url}");
        }
    }
}
