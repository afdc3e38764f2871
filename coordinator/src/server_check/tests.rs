//! Real relays and STUN servers on loopback, right and wrong ones.

use ::relay::core::{RelayConfig, RelayCore};
use ::relay::server::{Config, UdpServer};
use protocol::key::PrivateKey;
use zeroize::Zeroizing;

use super::*;

fn signing_key(byte: u8) -> TokenSigningKey {
    TokenSigningKey::from_random(&Zeroizing::new([byte; 32]))
}

/// A relay that believes the tokens of this key.
fn relay(verify: u8, sessions_max: usize) -> (UdpServer, Target) {
    let private_key = PrivateKey::from_random([1; 32]);
    let public_key = private_key.public_key();
    let config = RelayConfig {
        sessions_max,
        ..RelayConfig::new(private_key, vec![signing_key(verify).verifying_key()])
    };
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let core = RelayCore::new(config, [7; 32]);
    let server = UdpServer::bind(Config { stun: vec![at], relay: Some(at), mark: None, core }).unwrap();
    let target = Target { address: server.relay_addr().unwrap(), relay: Some(public_key) };
    (server, target)
}

async fn ask(checks: &Arc<ServerChecks>, target: Target) -> ServerCheck {
    checks.ask(&[target]).await;
    checks.last(target).unwrap()
}

#[tokio::test]
async fn a_relay_that_lets_nodes_in_serves_and_holds_one_session_for_it() {
    let (server, target) = relay(5, 100);
    let checks = Arc::new(ServerChecks::new(signing_key(5)));
    let check = ask(&checks, target).await;
    assert_eq!(check.result, CheckResult::Serves);
    assert!(check.rtt_us.is_some_and(|rtt_us| rtt_us < 1_000_000));
    for _ in 0..3 {
        assert_eq!(checks.ask_one(target).await.0, CheckResult::Serves);
    }
    assert_eq!(server.counters().relay.sessions, 1);
}

#[tokio::test]
async fn a_relay_of_another_coordinator_or_with_another_key_or_full_is_told_apart() {
    let (_other, target) = relay(6, 100);
    let checks = Arc::new(ServerChecks::new(signing_key(5)));
    assert_eq!(ask(&checks, target).await.result, CheckResult::TokenRefused);
    let (_server, target) = relay(5, 100);
    let registered = Some(PrivateKey::from_random([99; 32]).public_key());
    assert_eq!(ask(&checks, Target { relay: registered, ..target }).await.result, CheckResult::OtherKey);
    let (_full, target) = relay(5, 0);
    assert_eq!(ask(&checks, target).await.result, CheckResult::Full);
}

#[tokio::test]
async fn a_stun_server_that_answers_serves() {
    let (server, _) = relay(5, 100);
    let target = Target { address: server.local_addrs()[0], relay: None };
    let checks = Arc::new(ServerChecks::new(signing_key(5)));
    assert_eq!(ask(&checks, target).await.result, CheckResult::Serves);
}

#[tokio::test]
async fn who_does_not_answer_is_silent_within_a_second_however_many_there_are() {
    let silent = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let open = silent.local_addr().unwrap();
    let closed = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let relay = Some(PrivateKey::from_random([1; 32]).public_key());
    let targets: Vec<Target> = [(open, None), (open, relay), (closed, None), (closed, relay)]
        .map(|(address, relay)| Target { address, relay })
        .into();
    let checks = Arc::new(ServerChecks::new(signing_key(5)));
    let began = Instant::now();
    checks.ask(&targets).await;
    assert!(began.elapsed() < PATIENCE * 3, "they are asked at once");
    for target in targets {
        assert_eq!(checks.last(target).unwrap().result, CheckResult::Silent, "{target:?}");
    }
}

#[tokio::test]
async fn an_answer_to_another_question_is_none() {
    let liar = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let target = Target { address: liar.local_addr().unwrap(), relay: None };
    let lying = tokio::spawn(async move {
        let mut buffer = [0; 1500];
        while let Ok((_, from)) = liar.recv_from(&mut buffer).await {
            let answer = protocol::stun::respond(&protocol::stun::encode_request([9; 12]), from).unwrap();
            liar.send_to(&answer, from).await.unwrap();
        }
    });
    let checks = Arc::new(ServerChecks::new(signing_key(5)));
    assert_eq!(ask(&checks, target).await.result, CheckResult::Silent);
    lying.abort();
}

#[tokio::test]
async fn those_who_look_at_once_and_soon_after_ask_once() {
    let (server, target) = relay(5, 100);
    let checks = Arc::new(ServerChecks::new(signing_key(5)));
    let targets = [target; 1];
    tokio::join!(checks.ask(&targets), checks.ask(&targets), checks.ask(&targets));
    checks.ask(&targets).await;
    let counters = server.counters().relay;
    assert_eq!((counters.challenged, counters.registered + counters.registration_repeated), (1, 1));
}
