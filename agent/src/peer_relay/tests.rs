//! A relay that serves while it may, always at the same port and with the same key.

use std::net::{Ipv4Addr, UdpSocket};
use std::time::{SystemTime, UNIX_EPOCH};

use protocol::key::PrivateKey;
use protocol::relay::{COOKIE_LEN, Frame, RefusalReason, RelayKey, decode};
use protocol::relay_token::{RelayToken, TokenSigningKey};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::*;

fn permission() -> RelayPermission {
    let verify_key = TokenSigningKey::from_random(&Zeroizing::new([5; 32])).verifying_key();
    RelayPermission { network: Uuid::from_u128(1), verify_keys: vec![verify_key] }
}

fn options(port: Option<u16>) -> RelayOptions {
    RelayOptions { port, static_addresses: Vec::new(), port_mapping: false, mbit_per_node: 100 }
}

async fn allowed(state: &StateFolder, options: RelayOptions) -> (PeerRelay, Facts) {
    let mut relay = PeerRelay::start(state.clone(), options, Clock::start());
    assert_eq!(relay.facts(), Facts::default(), "nobody allowed it yet");
    relay.set_permission(Some(permission()));
    relay.changed().await;
    let facts = relay.facts();
    (relay, facts)
}

/// How a node of this network fares at the relay over IPv4, with a token that the coordinator with this key signed.
async fn registration(
    server: &RelayServer,
    node: u8,
    network: Uuid,
    coordinator: u8,
) -> Result<(), RefusalReason> {
    let node = PrivateKey::from_random([node; 32]);
    let signing_key = TokenSigningKey::from_random(&Zeroizing::new([coordinator; 32]));
    let in_an_hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() + 3_600;
    let token =
        RelayToken { node: node.public_key(), network, expires_unix_s: in_an_hour }.sign(&signing_key);
    let key = RelayKey::of_node(&node, &server.public_key).unwrap();
    let socket = tokio::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let mut cookie = [0; COOKIE_LEN];
    loop {
        let request = key.encode_register(cookie, [1; 8], &token);
        socket.send_to(&request, (Ipv4Addr::LOCALHOST, server.port)).await.unwrap();
        let mut answer = [0; 2048];
        let (length, _) = socket.recv_from(&mut answer).await.unwrap();
        let frame = decode(&answer[..length]).unwrap();
        if let Frame::Challenge(challenge) = frame {
            cookie = challenge;
        } else if let Frame::Refused { reason, .. } = frame {
            return Err(reason);
        } else {
            assert!(
                matches!(&frame, Frame::Registered(answer) if key.verify_registered(answer)),
                "{frame:?}"
            );
            return Ok(());
        }
    }
}

#[tokio::test]
async fn a_relay_answers_while_it_may_and_is_gone_when_it_may_no_longer() {
    let outer = tempfile::tempdir().unwrap();
    let (mut relay, facts) = allowed(&StateFolder::new(outer.path()), options(None)).await;
    let server = facts.server.unwrap();
    assert_eq!(registration(&server, 7, permission().network, 5).await, Ok(()));

    relay.set_permission(None);
    relay.changed().await;
    assert_eq!(relay.facts(), Facts::default());
    UdpSocket::bind((Ipv4Addr::UNSPECIFIED, server.port)).expect("the port is free again");
    relay.stop().await;
}

#[tokio::test]
async fn nodes_of_other_networks_and_of_other_coordinators_are_refused() {
    let outer = tempfile::tempdir().unwrap();
    let (relay, facts) = allowed(&StateFolder::new(outer.path()), options(None)).await;
    let server = facts.server.unwrap();
    let elsewhere = registration(&server, 8, Uuid::from_u128(2), 5).await;
    assert_eq!(elsewhere, Err(RefusalReason::TokenInvalid));
    let stranger = registration(&server, 9, permission().network, 6).await;
    assert_eq!(stranger, Err(RefusalReason::TokenInvalid));
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
