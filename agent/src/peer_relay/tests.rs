//! A relay that serves while it may, always at the same port and with the same key.

use std::net::{Ipv4Addr, UdpSocket};

use protocol::relay::{Frame, RelayKey, decode};
use protocol::relay_token::{TOKEN_LEN, TokenSigningKey};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;

fn permission() -> RelayPermission {
    let verify_key = TokenSigningKey::from_random(&Zeroizing::new([5; 32])).verifying_key();
    RelayPermission { network: Uuid::from_u128(1), verify_keys: vec![verify_key] }
}

fn options(port: Option<u16>) -> RelayOptions {
    RelayOptions { port, static_addresses: Vec::new(), port_mapping: false }
}

async fn allowed(state: &StateFolder, options: RelayOptions) -> (PeerRelay, Facts) {
    let mut relay = PeerRelay::start(state.clone(), options, Clock::start());
    assert_eq!(relay.facts(), Facts::default(), "nobody allowed it yet");
    relay.set_permission(Some(permission()));
    relay.changed().await;
    let facts = relay.facts();
    (relay, facts)
}

#[tokio::test]
async fn a_relay_answers_while_it_may_and_is_gone_when_it_may_no_longer() {
    let outer = tempfile::tempdir().unwrap();
    let (mut relay, facts) = allowed(&StateFolder::new(outer.path()), options(None)).await;
    let server = facts.server.unwrap();
    let node = protocol::key::PrivateKey::from_random([7; 32]);
    let request = RelayKey::of_node(&node, &server.public_key).unwrap().encode_register(
        [0; 16],
        [1; 8],
        &[0; TOKEN_LEN],
    );
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    socket.send_to(&request, (Ipv4Addr::LOCALHOST, server.port)).await.unwrap();
    let mut answer = [0; 2048];
    let (length, _) = socket.recv_from(&mut answer).await.unwrap();
    assert!(matches!(decode(&answer[..length]), Ok(Frame::Challenge(_))), "over IPv4 too");

    relay.set_permission(None);
    relay.changed().await;
    assert_eq!(relay.facts(), Facts::default());
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, server.port)).expect("the port is free again");
    relay.stop().await;
}

#[tokio::test]
async fn port_and_key_outlive_a_restart() {
    let outer = tempfile::tempdir().unwrap();
    let state = StateFolder::new(outer.path());
    let (relay, first) = allowed(&state, options(None)).await;
    relay.stop().await;
    let (relay, second) = allowed(&state, options(None)).await;
    assert!(first.server.is_some());
    assert_eq!(first, second);
    relay.stop().await;
}

#[tokio::test]
async fn a_port_that_the_user_chose_is_the_one_or_there_is_a_reason() {
    let outer = tempfile::tempdir().unwrap();
    let state = StateFolder::new(outer.path());
    let taken = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let (relay, facts) = allowed(&state, options(Some(port))).await;
    assert_eq!(facts.server, None);
    assert!(facts.why.unwrap().contains("choose another port"));
    relay.stop().await;
    drop(taken);
    let (relay, facts) = allowed(&state, options(Some(port))).await;
    assert_eq!(facts.server.map(|server| server.port), Some(port));
    relay.stop().await;
}
