//! What is not believed: states, codes and tokens that are not right, and a provider that is down or misbehaves.

use std::net::TcpListener;
use std::sync::Arc;

use coordinator::http::oidc::{Oidc, ProviderSettings};
use serde_json::{Value, json};

use super::hostile::{CLIENT_SECRET, Hostile, Says};
use super::{Stage, now_ms, settings};

fn ada() -> Value {
    json!({"sub": "ada-1", "preferred_username": "ada", "groups": ["ops"]})
}

/// Signs in before a provider that was told to lie; asserts that nobody came in.
fn assert_refused(what: &str, lie: impl FnOnce(&mut Says)) {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let begun = stage.begin();
    let mut says = provider.says();
    says.claims = ada();
    says.nonce.clone_from(&begun.query["nonce"]);
    lie(&mut says);
    drop(says);
    let (location, session) = stage.finish(&begun);
    assert_eq!((location.as_str(), session), ("/?refused=provider", None), "{what}");
    assert_eq!(stage.people(), 1, "{what}");
}

/// Adds claims to Ada's.
fn claims(more: Value) -> Value {
    let mut claims = ada();
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    claims
}

#[test]
fn a_token_with_another_nonce_is_refused() {
    assert_refused("another nonce", |says| says.nonce = "another".into());
    assert_refused("no nonce", |says| says.claims = claims(json!({"nonce": null})));
}

#[test]
fn a_token_for_another_audience_or_from_another_issuer_is_refused() {
    assert_refused("another audience", |says| says.claims = claims(json!({"aud": "somebody-else"})));
    assert_refused("one more audience", |says| says.claims = claims(json!({"aud": ["warren", "else"]})));
    assert_refused("another issuer", |says| says.claims = claims(json!({"iss": "https://evil.example"})));
}

#[test]
fn a_token_whose_time_is_over_is_refused() {
    let past_s = now_ms() / 1000 - 3600;
    assert_refused("expired", |says| says.claims = claims(json!({"exp": past_s})));
}

#[test]
fn a_token_that_nobody_signed_or_signed_otherwise_is_refused() {
    assert_refused("alg none", |says| says.alg = "none");
    assert_refused("the client's secret as the key", |says| says.alg = "HS256");
    assert_refused("another key", |says| says.with_another_key = true);
    assert_refused("another algorithm", |says| says.alg = "ES384");
}

#[test]
fn subjects_that_cannot_be_kept_are_refused() {
    assert_refused("empty", |says| says.claims = claims(json!({"sub": ""})));
    assert_refused("long", |says| says.claims = claims(json!({"sub": "x".repeat(256)})));
}

#[test]
fn answers_that_are_no_tokens_are_refused() {
    for answer in [
        (200, "nonsense".to_owned()),
        (200, json!({"access_token": "at", "token_type": "Bearer"}).to_string()),
        (400, json!({"error": "invalid_grant"}).to_string()),
        (500, "<html>".to_owned()),
        (302, String::new()),
        (200, " ".repeat(2 << 20)),
    ] {
        let what = format!("{} {}", answer.0, answer.1.get(..20).unwrap_or(&answer.1));
        assert_refused(&what, |says| says.token_answer = Some(answer));
    }
}

#[test]
fn a_redirect_never_carries_the_clients_secret_away() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let begun = stage.begin();
    provider.says().token_answer = Some((307, String::new()));
    assert_eq!(stage.finish(&begun).0, "/?refused=provider");
    assert!(provider.asked("/elsewhere").is_empty());
}

#[test]
fn a_wrong_state_another_browser_and_a_replayed_code_are_refused() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let (begun, other) = (stage.begin(), stage.begin());
    let mut says = provider.says();
    says.claims = ada();
    says.nonce.clone_from(&begun.query["nonce"]);
    drop(says);
    let state = &begun.query["state"];
    for (cookie, query) in [
        (begun.cookie.as_str(), "code=c&state=wrong".to_owned()),
        (&begun.cookie, "code=c".to_owned()),
        (&begun.cookie, format!("code=c&state={}", "x".repeat(5000))),
        (&other.cookie, format!("code=c&state={state}")),
        ("", format!("code=c&state={state}")),
    ] {
        assert_eq!(stage.come_back(cookie, &query), ("/?refused=expired".to_owned(), None), "{query}");
    }
    assert!(provider.asked("/token").is_empty(), "nobody asked what the code is worth");
    assert!(stage.finish(&begun).1.is_some());
    assert_eq!(stage.finish(&begun), ("/?refused=expired".to_owned(), None), "replayed");
    assert_eq!(provider.asked("/token").len(), 1);
}

#[test]
fn an_answer_from_another_issuer_than_the_browser_was_sent_to_is_refused() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let begun = stage.begin();
    let query = format!("code=c&state={}&iss=https%3A%2F%2Fevil.example", begun.query["state"]);
    assert_eq!(stage.come_back(&begun.cookie, &query).0, "/?refused=provider");
    assert!(provider.asked("/token").is_empty());
}

#[test]
fn a_person_who_gives_up_there_is_told_so() {
    let provider = Hostile::start();
    let stage = Stage::before(&provider);
    let begun = stage.begin();
    let query = format!("error=access_denied&state={}", begun.query["state"]);
    assert_eq!(stage.come_back(&begun.cookie, &query).0, "/?refused=denied");
}

#[test]
fn the_coordinator_starts_while_the_provider_is_down_and_says_so_at_the_sign_in() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let stage = Stage::new(settings(&format!("http://{free}"), CLIENT_SECRET));
    let methods = stage.server.send("GET", "/api/v1/sign-in-methods", &[], b"");
    assert_eq!(methods.body, r#"{"oidc":"Company"}"#);
    let problem = stage.server.send("POST", "/api/v1/oidc/sign-in", &[], b"{}").problem();
    assert_eq!((problem.status, problem.title.as_str()), (503, "Company cannot be asked now"));
}

#[test]
fn a_provider_that_calls_itself_otherwise_or_leads_to_plain_http_is_not_used() {
    for metadata in [
        json!({"issuer": "https://evil.example"}),
        json!({"token_endpoint": "http://evil.example/token"}),
        json!({"jwks_uri": "http://evil.example/jwks"}),
        json!({"authorization_endpoint": "javascript:alert(1)"}),
    ] {
        let provider = Hostile::start();
        provider.says().metadata = metadata.clone();
        let stage = Stage::before(&provider);
        let answer = stage.server.send("POST", "/api/v1/oidc/sign-in", &[], b"{}");
        assert_eq!(answer.status, 503, "{metadata}: {}", answer.body);
    }
}

#[test]
fn a_provider_by_https_is_believed_where_the_given_roots_vouch_for_it_and_only_then() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let tls = rustls::ServerConfig::builder().with_no_client_auth();
    let tls = tls.with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    let provider = Hostile::start_with(Some(Arc::new(tls)));
    let known = settings(&provider.issuer, CLIENT_SECRET);
    let begin = |stage: &Stage| stage.server.send("POST", "/api/v1/oidc/sign-in", &[], b"{}").status;
    assert_eq!(begin(&Stage::new(known.clone())), 503, "the system's roots know nothing of it");
    let roots = Some(made.cert.pem().into_bytes());
    let stage = Stage::new(ProviderSettings { roots, ..known.clone() });
    assert_eq!(stage.sign_in(&provider, ada()).unwrap(), "ada");
    let nonsense = ProviderSettings { roots: Some(b"nonsense".to_vec()), ..known };
    assert!(Oidc::new("Company".into(), nonsense, Vec::new()).is_err());
}

#[test]
fn without_a_provider_there_is_nothing_to_begin() {
    let fixture = super::fixture::Fixture::new(1);
    let server = super::fixture::client::Server::start(fixture);
    assert_eq!(server.send("GET", "/api/v1/sign-in-methods", &[], b"").body, r#"{"oidc":null}"#);
    assert_eq!(server.send("POST", "/api/v1/oidc/sign-in", &[], b"{}").status, 404);
}
