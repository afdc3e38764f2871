//! Side sockets: they carry a tunnel as the main one does, and come and go without a trace.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{self, TryRecvError};

use endpoint_selection::SocketId;
use engine::SIDE_SOCKETS_MAX;
use protocol::stun::encode_request;
use support::tap::Tap;
use support::{Node, PATIENCE, direct, pair};
use tunnel::{Counts, Path, PathLayer, Received, TunnelError};

const SIDE: SocketId = SocketId(7);

fn bound() -> (PathLayer, mpsc::Receiver<Received>) {
    let (accept, events) = mpsc::sync_channel(64);
    (PathLayer::bind(0, move |received| accept.try_send(received).is_ok()).unwrap(), events)
}

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Opens a side socket of `node`; its address.
fn open(node: &Node, socket: SocketId) -> SocketAddr {
    local(node.paths.open_socket(socket).unwrap())
}

const fn through(socket: SocketId, remote: SocketAddr) -> Path {
    Path::Direct { socket, remote }
}

#[test]
fn a_peer_is_reached_through_a_side_socket_and_answers_to_it() {
    let (mut a, mut b) = pair();
    let side = open(&a, SIDE);
    a.paths.set_path(&b.public(), Some(through(SIDE, b.address()))).unwrap();
    b.set_direct(&a.public(), side);
    a.send(&b, b"there");
    assert_eq!(b.receive(), b"there");
    b.send(&a, b"and back");
    assert_eq!(a.receive(), b"and back");
    assert_eq!(b.stats(&a.public()).last_source, Some(side));
    assert_eq!(a.stats(&b.public()).last_source, Some(b.address()));
    assert_eq!(a.paths.path(&b.public()), Some(through(SIDE, b.address())));
}

#[test]
fn packets_of_every_length_keep_their_bounds_through_a_side_socket() {
    let (a, b) = pair();
    open(&a, SIDE);
    a.paths.set_path(&b.public(), Some(through(SIDE, b.address()))).unwrap();
    let lengths = [600_usize, 600, 600, 88, 601, 1200, 1200, 600, 0, 1260, 600, 600, 588, 588];
    for round in 0..30_u8 {
        let payloads = (0_u8..).zip(lengths).map(|(number, length)| vec![number ^ round; length]);
        let mut wanted: Vec<Vec<u8>> = payloads.collect();
        wanted.iter().for_each(|payload| a.send(&b, payload));
        let mut got: Vec<Vec<u8>> = wanted.iter().map(|_| b.receive()).collect();
        got.sort();
        wanted.sort();
        assert_eq!(got, wanted);
    }
}

/// The peer's NAT lets nothing in but what comes from where it sent to.
#[test]
fn a_handshake_that_comes_to_a_side_socket_is_answered_from_it() {
    let (a, b) = pair();
    let side = open(&b, SIDE);
    let tap = Tap::between(a.address(), side);
    b.paths.set_path(&a.public(), None).unwrap();
    a.set_direct(&b.public(), tap.address());
    a.send(&b, b"first");
    assert_eq!(b.receive(), b"first");
    assert_eq!(tap.from(side)[0][0], 2, "the handshake response");
}

#[test]
fn a_switch_between_main_and_side_sockets_during_traffic_loses_nothing() {
    let (a, b) = pair();
    let sockets = [SocketId::MAIN, SIDE, SocketId(8)];
    let of_a = [a.address(), open(&a, sockets[1]), open(&a, sockets[2])];
    let of_b = [b.address(), open(&b, sockets[1]), open(&b, sockets[2])];
    // Two handshakes that cross, one from each end, are WireGuard's own business.
    a.send(&b, b"a session first");
    b.receive();
    let (traffic, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let (paths_a, paths_b, key_a, key_b) = (&a.paths, &b.paths, a.public(), b.public());
        scope.spawn(move || {
            for step in (0_usize..).take_while(|_| ended.try_recv() == Err(TryRecvError::Empty)) {
                // Each side leaves from one socket and is sent to at another, as paths are chosen apart.
                let (from_a, from_b) = (step % 3, (step / 3) % 3);
                let (to_a, to_b) = ((step / 9) % 3, (step / 27) % 3);
                paths_a.set_path(&key_b, Some(through(sockets[from_a], of_b[to_b]))).unwrap();
                paths_b.set_path(&key_a, Some(through(sockets[from_b], of_a[to_a]))).unwrap();
            }
        });
        // The switches end with the traffic, however that ends.
        let _traffic = traffic;
        for round in 0..100_u32 {
            let numbers = || round * 20..(round + 1) * 20;
            for number in numbers() {
                a.send(&b, &number.to_be_bytes());
                b.send(&a, &number.to_be_bytes());
            }
            for receiver in [&a, &b] {
                let number = |payload: Vec<u8>| u32::from_be_bytes(payload.try_into().unwrap());
                let mut got: Vec<u32> = numbers().map(|_| number(receiver.receive())).collect();
                got.sort_unstable();
                assert_eq!(got, numbers().collect::<Vec<u32>>());
            }
        }
    });
    assert_eq!((a.paths.counts(), b.paths.counts()), (Counts::default(), Counts::default()));
}

#[test]
fn each_socket_says_which_datagrams_came_to_it_and_sends_from_its_own_port() {
    let (paths, events) = bound();
    let outside = UdpSocket::bind("127.0.0.1:0").unwrap();
    outside.set_read_timeout(Some(PATIENCE)).unwrap();
    let opened = [SocketId(1), SocketId(u16::MAX)].map(|socket| (socket, paths.open_socket(socket).unwrap()));
    for (socket, port) in opened.into_iter().chain([(SocketId::MAIN, paths.local_port())]) {
        outside.send_to(&encode_request([1; 12]), local(port)).unwrap();
        let received = events.recv_timeout(PATIENCE).unwrap();
        assert_eq!((received.socket, received.from), (socket, outside.local_addr().unwrap()));
        paths.send_to(socket, b"answer", received.from).unwrap();
        assert_eq!(outside.recv_from(&mut [0; 16]).unwrap(), (6, local(port)));
    }
}

#[test]
fn a_socket_that_a_path_uses_is_not_closed() {
    let (a, b) = pair();
    open(&a, SIDE);
    a.paths.set_path(&b.public(), Some(through(SIDE, b.address()))).unwrap();
    for socket in [SIDE, SocketId::MAIN] {
        let refused = a.paths.close_socket(socket).unwrap_err();
        assert!(matches!(refused, TunnelError::SocketInUse { .. }), "{refused}");
    }
    a.send(&b, b"still there");
    assert_eq!(b.receive(), b"still there");
    a.paths.set_path(&b.public(), Some(direct(b.address()))).unwrap();
    a.paths.close_socket(SIDE).unwrap();
    a.send(&b, b"from the main socket");
    assert_eq!(b.receive(), b"from the main socket");
}

#[test]
fn a_socket_that_is_not_open_carries_nothing_and_leaves_the_path_as_it_was() {
    let (a, b) = pair();
    for remote in [b.address(), "[::1]:9".parse().unwrap()] {
        assert_eq!(a.paths.send_to(SIDE, b"x", remote).unwrap_err().kind(), ErrorKind::NotConnected);
        let refused = a.paths.set_path(&b.public(), Some(through(SIDE, remote))).unwrap_err();
        assert!(matches!(refused, TunnelError::SocketNotOpen { socket: SIDE }), "{refused}");
    }
    let refused = a.paths.close_socket(SIDE).unwrap_err();
    assert!(matches!(refused, TunnelError::SocketNotOpen { socket: SIDE }), "{refused}");
    a.send(&b, b"the old way");
    assert_eq!(b.receive(), b"the old way");
}

#[test]
fn a_side_socket_is_ipv4_only_and_says_so() {
    let (paths, _) = bound();
    paths.open_socket(SIDE).unwrap();
    let refused = paths.send_to(SIDE, b"x", "[::1]:9".parse().unwrap()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
}

#[test]
fn no_more_side_sockets_than_the_bound_are_open_and_each_id_once() {
    let (paths, _) = bound();
    let ids = || (1..).map(SocketId).take(SIDE_SOCKETS_MAX);
    for id in ids() {
        paths.open_socket(id).unwrap();
    }
    let one_more = SocketId(1000);
    assert!(matches!(paths.open_socket(one_more), Err(TunnelError::TooManySockets)));
    paths.close_socket(SocketId(5)).unwrap();
    for taken in [SocketId(6), SocketId::MAIN] {
        assert!(matches!(paths.open_socket(taken), Err(TunnelError::SocketOpen { .. })));
    }
    paths.open_socket(one_more).unwrap();
}

/// The receive thread is held up meanwhile, so that the datagram is in the old socket's buffer when the new one opens.
#[test]
fn what_came_to_a_closed_socket_is_not_taken_for_what_comes_to_the_next_one_of_its_id() {
    let (accept, events) = mpsc::channel();
    let (gate, is_open) = mpsc::channel::<()>();
    let hold_up = move |received| {
        accept.send(received).unwrap();
        // An error once the gate is gone for good.
        let _ = is_open.recv();
        true
    };
    let paths = PathLayer::bind(0, hold_up).unwrap();
    let outside = UdpSocket::bind("127.0.0.1:0").unwrap();
    let send = |number, port| outside.send_to(&encode_request([number; 12]), local(port));
    let first = paths.open_socket(SIDE).unwrap();
    send(1, paths.local_port()).unwrap();
    assert_eq!(events.recv_timeout(PATIENCE).unwrap().socket, SocketId::MAIN);

    send(2, first).unwrap();
    paths.close_socket(SIDE).unwrap();
    let _first_is_taken = UdpSocket::bind(("0.0.0.0", first)).unwrap();
    let second = paths.open_socket(SIDE).unwrap();
    send(3, first).unwrap();
    send(4, second).unwrap();
    drop(gate);
    let received = events.recv_timeout(PATIENCE).unwrap();
    assert_eq!((received.socket, received.datagram), (SIDE, encode_request([4; 12])));
    send(5, paths.local_port()).unwrap();
    assert_eq!(events.recv_timeout(PATIENCE).unwrap().datagram, encode_request([5; 12]));
}
