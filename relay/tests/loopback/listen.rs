//! Where a server listens, and how it starts and ends.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use protocol::stun::{decode_response, encode_request};
use relay::server::{Config, UdpServer};

use crate::node::{NETWORK, Node, addr, core, server};

/// Containers often have no IPv6; what needs it cannot be tried there.
fn has_ipv6() -> bool {
    UdpSocket::bind("[::1]:0").is_ok()
}

/// A server on one port of both wildcards. The port was free a moment ago; should somebody be faster, another is tried.
fn on_both_wildcards() -> (UdpServer, u16) {
    let mut last_error = None;
    for _ in 0..20 {
        let port = UdpSocket::bind("0.0.0.0:0").unwrap().local_addr().unwrap().port();
        let stun = ["0.0.0.0", "::"].map(|ip| SocketAddr::new(ip.parse().unwrap(), port)).to_vec();
        match UdpServer::bind(Config { stun, relay: None, mark: None, core: core() }) {
            Ok(server) => return (server, port),
            Err(error) => last_error = Some(error),
        }
    }
    panic!("no port in twenty could be had: {last_error:?}");
}

async fn exchange(a: &Node, b: &Node) {
    let (session_a, session_b) = (a.register().await, b.register().await);
    a.send_packet(session_a, b, b"there").await;
    assert_eq!(b.packet().await, (a.public_key(), b"there".to_vec()));
    b.send_packet(session_b, a, b"back").await;
    assert_eq!(a.packet().await, (b.public_key(), b"back".to_vec()));
}

#[tokio::test]
async fn an_address_listed_for_stun_and_for_the_relay_is_one_socket() {
    let address = addr("127.0.0.1:0");
    let config = Config { stun: vec![address, address], relay: Some(address), mark: None, core: core() };
    let server = UdpServer::bind(config).unwrap();
    assert_eq!(server.local_addrs(), [server.relay_addr().unwrap()]);
    server.stop().await;
}

#[tokio::test]
async fn the_ipv4_wildcard_serves_nodes() {
    let wildcard = addr("0.0.0.0:0");
    let server =
        UdpServer::bind(Config { stun: vec![wildcard], relay: Some(wildcard), mark: None, core: core() })
            .unwrap();
    let relay = SocketAddr::from(([127, 0, 0, 1], server.relay_addr().unwrap().port()));
    exchange(&Node::new(1, NETWORK, relay).await, &Node::new(2, NETWORK, relay).await).await;
    server.stop().await;
}

#[tokio::test]
async fn the_ipv6_wildcard_joins_nodes_of_both_families() {
    if !has_ipv6() {
        return;
    }
    let wildcard = addr("[::]:0");
    let server =
        UdpServer::bind(Config { stun: vec![wildcard], relay: Some(wildcard), mark: None, core: core() })
            .unwrap();
    let port = server.relay_addr().unwrap().port();
    let a = Node::new(1, NETWORK, SocketAddr::from(([127, 0, 0, 1], port))).await;
    let b = Node::new(2, NETWORK, SocketAddr::new("::1".parse().unwrap(), port)).await;
    assert_eq!(a.reflexive().await, a.local());
    exchange(&a, &b).await;
    server.stop().await;
}

#[tokio::test]
async fn both_wildcards_can_be_listed_with_one_port() {
    if !has_ipv6() {
        return;
    }
    let (server, port) = on_both_wildcards();
    for target in [SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::new("::1".parse().unwrap(), port)] {
        let node = Node::new(1, NETWORK, target).await;
        assert_eq!(node.reflexive().await, node.local());
    }
    server.stop().await;
}

#[tokio::test]
async fn a_port_in_use_is_an_error_that_names_the_address_and_what_to_do() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let result = UdpServer::bind(Config { stun: vec![], relay: Some(address), mark: None, core: core() });
    let error = result.err().expect("the port is taken");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let text = error.to_string();
    assert!(text.contains(&format!("the relay on udp {address}")), "{text}");
    assert!(text.contains("stop it or choose another port"), "{text}");
}

#[tokio::test]
async fn an_address_of_another_host_is_an_error() {
    let foreign = addr("192.0.2.1:3478");
    let result = UdpServer::bind(Config { stun: vec![foreign], relay: None, mark: None, core: core() });
    let text = result.err().expect("not an address of this host").to_string();
    assert!(text.contains("STUN on udp 192.0.2.1:3478"), "{text}");
}

#[test]
fn a_server_serves_without_a_runtime_of_its_caller() {
    let config = Config { stun: vec![addr("127.0.0.1:0")], relay: None, mark: None, core: core() };
    let server = UdpServer::bind(config).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    socket.send_to(&encode_request([7; 12]), server.local_addrs()[0]).unwrap();
    let mut answer = [0; 1_500];
    let len = socket.recv(&mut answer).unwrap();
    assert_eq!(decode_response(&answer[..len]), Ok(([7; 12], socket.local_addr().unwrap())));
}

#[tokio::test]
async fn a_stopped_server_frees_its_ports() {
    let (server, _) = server();
    let addresses = server.local_addrs().to_vec();
    server.stop().await;
    for address in addresses {
        UdpSocket::bind(address).unwrap();
    }
}
