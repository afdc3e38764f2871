//! Every secret of a sign-in with an OpenID provider, and a log at its most talkative: none of them is in it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::Stage;
use super::hostile::{CLIENT_SECRET, Hostile};

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

#[test]
fn no_secret_of_a_sign_in_reaches_the_log() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_env_filter("trace")
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let mut secrets = vec![CLIENT_SECRET.to_owned()];
    for (alg, comes_in) in [("ES256", true), ("none", false)] {
        let begun = stage.begin();
        let mut says = provider.says();
        says.claims = json!({"sub": "ada-1", "preferred_username": "ada", "groups": ["ops"]});
        says.alg = alg;
        says.nonce.clone_from(&begun.query["nonce"]);
        drop(says);
        let query = format!("code=canary-of-the-code&state={}", begun.query["state"]);
        let (_, session) = stage.come_back(&begun.cookie, &query);
        assert_eq!(session.is_some(), comes_in);
        secrets.extend(session);
        secrets.extend([begun.cookie, begun.query["state"].clone(), "canary-of-the-code".to_owned()]);
    }
    secrets.extend(provider.asked("/token").into_iter().map(|asked| asked.form["code_verifier"].clone()));
    let basic = provider.asked("/token")[0].authorization.clone().unwrap();
    secrets.push(basic.trim_start_matches("Basic ").to_owned());
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("signed in with the OpenID provider"), "the log is on: {log}");
    for secret in secrets {
        let tail = &secret[secret.len().saturating_sub(14)..];
        assert!(!log.contains(tail), "{tail} is in the log");
    }
}
