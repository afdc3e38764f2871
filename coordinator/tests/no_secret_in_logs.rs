//! Every secret of a node's and a person's life, and a log at its most talkative: none of them is in it.
#![expect(clippy::unwrap_used, clippy::unwrap_in_result, reason = "a test fails by panicking")]

mod fixture;

use std::io::Write;
use std::sync::{Arc, Mutex};

use coordinator::service::sign_in;
use fixture::client::Server;
use fixture::{Fixture, report, request, unseal};
use protocol::api::EnrollResponse;
use protocol::key::PrivateKey;
use serde_json::{Value, json};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A machine without a key asks, and whoever has the cookie lets it in; gives the codes and the key.
fn let_a_machine_in(server: &Server, cookie: &str) -> [String; 3] {
    let send = |method: &str, path: &str, body: Value| {
        let body = body.to_string();
        server.send(method, path, &[("Cookie", cookie)], body.as_bytes())
    };
    let read = |body: &str| serde_json::from_str::<Value>(body).unwrap();
    let public_key = PrivateKey::from_random([4; 32]).public_key();
    let wish = json!({"name": "asks", "public_key": public_key});
    let begun = read(&send("POST", "/api/v1/device-authorization", wish).body);
    let [device, user] = ["device_code", "user_code"].map(|code| begun[code].as_str().unwrap().to_owned());
    let shown = read(&send("GET", &format!("/api/v1/device-authorization/{user}"), json!({})).body);
    let choice = &shown["networks"][0];
    let organization = choice["organization"].as_str().unwrap();
    let path = format!("/api/v1/organizations/{organization}/device-authorization/{user}");
    assert_eq!(send("POST", &path, json!({"network": choice["network"]})).status, 204);
    let asked = json!({ "device_code": device });
    let given = read(&send("POST", "/api/v1/device-authorization/enrollment-key", asked).body);
    [device, user, given["enrollment_key"].as_str().unwrap().to_owned()]
}

#[test]
fn no_secret_reaches_the_log() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_env_filter("coordinator=trace,relay=trace,debug")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();

    let server = Server::start(Fixture::new(1));
    let coordinator = &server.fixture.coordinator;
    let (store, entropy) = (coordinator.store(), coordinator.entropy());
    let now_ms = i64::try_from(
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis(),
    )
    .unwrap();
    let key = server.fixture.new_key_at(now_ms, "default", true).key;
    let private_key = PrivateKey::from_random([3; 32]);
    let body = serde_json::to_vec(&request(&key, private_key.public_key(), "web")).unwrap();
    let answer = server.send("POST", "/api/v1/enroll", &[], &body);
    let response: EnrollResponse = serde_json::from_str(&answer.body).unwrap();
    let token = unseal(&response, &private_key).to_text();
    let bearer = format!("Bearer {}", *token);
    let headers = [("Authorization", bearer.as_str())];
    let reported = serde_json::to_vec(&report(&["10.0.0.1:1"])).unwrap();
    let reported = server.send("POST", "/api/v1/report", &headers, &reported).body;
    let reported: serde_json::Value = serde_json::from_str(&reported).unwrap();
    server.map(&token, None).next().unwrap();
    server.send("POST", "/api/v1/report", &headers, b"{wrong");

    let link = sign_in::create_link(store, entropy, now_ms).unwrap().token.to_text();
    let signed_in = server.send("POST", &format!("/sign-in/{}", *link), &[], b"");
    assert_eq!(signed_in.status, 303);
    let session = sign_in::create_link(store, entropy, now_ms)
        .and_then(|link| Ok(sign_in::use_link(store, entropy, now_ms, (&link.token, ""))?))
        .unwrap()
        .unwrap()
        .to_text();
    let cookie = format!("warren_session={}", *session);
    assert_eq!(server.send("GET", "/api/v1/overview", &[("Cookie", &cookie)], b"").status, 200);
    let let_in = let_a_machine_in(&server, &cookie);
    // Wrong secrets are secrets of somebody too.
    server.send("POST", "/api/v1/report", &[("Authorization", "Bearer wnt_canary-one")], b"{}");
    server.send("POST", "/sign-in/wsl_canary-two", &[], b"");
    server.send("POST", "/api/v1/enroll", &[], br#"{"enrollment_key":"wek_canary-three"}"#);
    drop(server.send("DELETE", "/api/v1/node", &headers, b""));

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("node enrolled"), "the log is on: {log}");
    let relay_token = reported["relay_token"].as_str().unwrap();
    let secrets = [
        key.to_text().to_string(),
        token.to_string(),
        link.to_string(),
        session.to_string(),
        relay_token.to_owned(),
        response.sealed_token.clone(),
        "canary".to_owned(),
    ];
    for secret in secrets.into_iter().chain(let_in) {
        let tail = &secret[secret.len().saturating_sub(20)..];
        assert!(!log.contains(tail), "{tail} is in the log");
    }
}
