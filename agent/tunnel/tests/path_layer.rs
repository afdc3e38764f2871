//! The one UDP port: who gets which datagram, and what is dropped and counted.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::sync::mpsc;

use endpoint_selection::SocketId;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use protocol::frame::{MAGIC, VERSION};
use protocol::relay::{SessionId, deliver_prefix, encode_keepalive};
use protocol::stun::encode_request;
use support::{Node, PATIENCE, direct, eventually};
use tunnel::{Nat64Prefix, PathLayer, Received};

fn bound() -> (PathLayer, mpsc::Receiver<Received>) {
    let (accept, events) = mpsc::sync_channel(64);
    (PathLayer::bind(0, move |received| accept.try_send(received).is_ok()).unwrap(), events)
}

fn outside() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

fn port_of(paths: &PathLayer) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, paths.local_port()).into()
}

#[test]
fn a_wanted_port_is_bound_and_a_taken_one_is_replaced_and_said() {
    let (first, _) = bound();
    assert!(!first.port_was_taken());
    let (second, _) = (PathLayer::bind(first.local_port(), |_| true).unwrap(), ());
    assert!(second.port_was_taken());
    assert_ne!(second.local_port(), first.local_port());
    let port = first.local_port();
    drop(first);
    let third = PathLayer::bind(port, |_| true).unwrap();
    assert_eq!((third.local_port(), third.port_was_taken()), (port, false));
}

#[test]
fn what_is_for_ipv4_goes_through_nat64_and_what_comes_from_there_is_from_ipv4() {
    let Ok(socket) = UdpSocket::bind("[::1]:0") else {
        println!("SKIPPED nat64: this host has no IPv6");
        return;
    };
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let (paths, events) = bound();
    // Below the prefix ::/96 the loopback address stands for 0.0.0.1.
    let prefix = Nat64Prefix::of_ipv4only(["::c000:aa".parse().unwrap()]).unwrap();
    let remote = SocketAddr::from(([0, 0, 0, 1], socket.local_addr().unwrap().port()));
    paths.set_nat64(Some(prefix));
    paths.send_to(SocketId::MAIN, b"question", remote).unwrap();
    let mut bytes = [0; 64];
    let (len, from) = socket.recv_from(&mut bytes).unwrap();
    assert_eq!((&bytes[..len], from.port()), (&b"question"[..], paths.local_port()));
    socket.send_to(&encode_request([1; 12]), from).unwrap();
    assert_eq!(events.recv_timeout(PATIENCE).unwrap().from, remote);
    paths.set_nat64(None);
    socket.send_to(&encode_request([2; 12]), from).unwrap();
    assert_eq!(events.recv_timeout(PATIENCE).unwrap().from, socket.local_addr().unwrap());
}

#[test]
fn ipv6_is_reached_at_the_same_port() {
    let Ok(socket) = UdpSocket::bind("[::1]:0") else {
        println!("SKIPPED ipv6_is_reached_at_the_same_port: this host has no IPv6");
        return;
    };
    let (paths, events) = bound();
    let request = encode_request([1; 12]);
    socket.send_to(&request, ("::1", paths.local_port())).unwrap();
    let received = events.recv_timeout(PATIENCE).unwrap();
    assert_eq!(received.from, socket.local_addr().unwrap());
    assert_eq!(received.to_local, Some("::1".parse().unwrap()));
    paths.send_to(SocketId::MAIN, b"answer", received.from).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(socket.recv(&mut [0; 16]).unwrap(), 6);
}

#[test]
fn stun_probes_and_relay_frames_go_whole_to_the_receiver_of_events() {
    let (paths, events) = bound();
    let socket = outside();
    let probe = [&[MAGIC, VERSION, protocol::probe::KIND, 0][..], &[9; 60]].concat();
    let keepalive = encode_keepalive(SessionId([3; 8]), [4; 8]);
    let relay = outside();
    paths.set_relays([relay.local_addr().unwrap()]);
    let relayed_probe = [&deliver_prefix(&Node::new(5).public())[..], &probe].concat();
    for datagram in [encode_request([1; 12]), probe, keepalive] {
        socket.send_to(&datagram, port_of(&paths)).unwrap();
        let received = events.recv_timeout(PATIENCE).unwrap();
        let from = socket.local_addr().unwrap();
        let to_local = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
        assert_eq!(received, Received { socket: SocketId::MAIN, from, to_local, datagram });
    }
    relay.send_to(&relayed_probe, port_of(&paths)).unwrap();
    assert_eq!(events.recv_timeout(PATIENCE).unwrap().datagram, relayed_probe);
    socket.send_to(&relayed_probe, port_of(&paths)).unwrap();
    eventually("a stranger's is not believed", || paths.counts().relay_not_believed == 1);
}

#[test]
fn unknown_datagrams_are_dropped_and_counted() {
    let (paths, events) = bound();
    let socket = outside();
    let newer = [&[MAGIC, VERSION + 1, 1, 0][..], &[0; 20]].concat();
    for datagram in [&b""[..], b"GET / HTTP/1.1", &[4, 0, 0, 0], &newer, &[0; 1400], &[0xff; 60_000]] {
        socket.send_to(datagram, port_of(&paths)).unwrap();
    }
    eventually("all six are counted", || paths.counts().unknown == 6);
    assert!(events.try_recv().is_err());
}

#[test]
fn wireguard_without_a_tunnel_is_counted_and_stun_goes_on() {
    let (paths, events) = bound();
    let socket = outside();
    socket.send_to(&[&[4, 0, 0, 0][..], &[0; 60]].concat(), port_of(&paths)).unwrap();
    socket.send_to(&encode_request([1; 12]), port_of(&paths)).unwrap();
    assert_eq!(events.recv_timeout(PATIENCE).unwrap().datagram, encode_request([1; 12]));
    assert_eq!(paths.counts().no_tunnel, 1);
}

#[test]
fn what_the_receiver_of_events_does_not_take_is_counted() {
    let paths = PathLayer::bind(0, |_| false).unwrap();
    let socket = outside();
    for _ in 0..5 {
        socket.send_to(&encode_request([1; 12]), port_of(&paths)).unwrap();
    }
    eventually("all five are counted", || paths.counts().overflow == 5);
}

/// The kernel glues datagrams of one source together; a shorter one may end the run.
#[test]
fn a_stun_message_glued_to_wireguard_messages_is_found() {
    let node = Node::new(1);
    let socket = outside();
    let request = encode_request([8; 12]);
    let mut run = Vec::new();
    for _ in 0..10 {
        run.extend_from_slice(&[&[4, 0, 0, 0][..], &[0; 96]].concat());
    }
    run.extend_from_slice(&request);
    let address = SockaddrStorage::from(node.address());
    let control = [ControlMessage::UdpGsoSegments(&100)];
    sendmsg(socket.as_raw_fd(), &[IoSlice::new(&run)], &control, MsgFlags::empty(), Some(&address)).unwrap();
    assert_eq!(node.events.recv_timeout(PATIENCE).unwrap().datagram, request);
    assert_eq!(node.paths.counts().no_peer, 10);
}

#[test]
fn an_ipv4_mapped_address_means_ipv4() {
    let (paths, _) = bound();
    let socket = outside();
    let IpAddr::V4(ip) = socket.local_addr().unwrap().ip() else { panic!("bound to IPv4") };
    let plain = socket.local_addr().unwrap();
    let mapped = SocketAddr::new(ip.to_ipv6_mapped().into(), plain.port());
    paths.send_to(SocketId::MAIN, b"hello", mapped).unwrap();
    assert_eq!(socket.recv(&mut [0; 16]).unwrap(), 5);
    let peer = Node::new(2).public();
    paths.set_path(&peer, Some(direct(mapped))).unwrap();
    assert_eq!(paths.path(&peer), Some(direct(plain)));
    paths.set_path(&peer, None).unwrap();
    assert_eq!(paths.path(&peer), None);
}
