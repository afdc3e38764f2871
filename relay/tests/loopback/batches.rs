//! Many packets at once.

use std::io::IoSlice;
use std::os::fd::AsRawFd;

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use protocol::relay::send_prefix;

use crate::node::{NETWORK, Node, server};

/// What a receiver's buffer on loopback holds in any case.
const BURST: u8 = 50;

/// The payload of this number: lengths that repeat, fall and rise.
fn payload(number: u8) -> Vec<u8> {
    let len = [1400, 1400, 60, 60, 1, 1400, 300][usize::from(number) % 7];
    vec![number; len]
}

#[tokio::test]
async fn packets_of_any_lengths_arrive_in_order() {
    let (server, relay) = server();
    let (a, b) = (Node::new(1, NETWORK, relay).await, Node::new(2, NETWORK, relay).await);
    let session = a.register().await;
    b.register().await;
    for _ in 0..5 {
        for number in 0..BURST {
            a.send_packet(session, &b, &payload(number)).await;
        }
        for number in 0..BURST {
            assert_eq!(b.packet().await, (a.public_key(), payload(number)));
        }
    }
    assert_eq!(server.counters().relay.forwarded_packets, 5 * u64::from(BURST));
    server.stop().await;
}

#[tokio::test]
async fn interleaved_packets_for_two_nodes_arrive_in_order_at_each() {
    let (server, relay) = server();
    let (a, b, c) = (
        Node::new(1, NETWORK, relay).await,
        Node::new(2, NETWORK, relay).await,
        Node::new(3, NETWORK, relay).await,
    );
    let session = a.register().await;
    b.register().await;
    c.register().await;
    for number in 0..BURST {
        a.send_packet(session, &b, &payload(number)).await;
        a.send_packet(session, &c, &payload(number)).await;
    }
    for number in 0..BURST {
        assert_eq!(b.packet().await, (a.public_key(), payload(number)));
        assert_eq!(c.packet().await, (a.public_key(), payload(number)));
    }
    server.stop().await;
}

#[tokio::test]
async fn joined_packets_are_relayed_as_the_single_ones_that_they_are_and_one_bad_among_them_costs_no_other() {
    let (server, relay) = server();
    let (a, b) = (Node::new(1, NETWORK, relay).await, Node::new(2, NETWORK, relay).await);
    let session = a.register().await;
    b.register().await;
    let before = server.counters().io.received;
    let frame = |number: u8| [&send_prefix(session, &b.public_key())[..], &[number; 100]].concat();
    let garbage = vec![0xff; frame(0).len()];
    let mut last = frame(3);
    last.truncate(last.len() - 40);
    let all = [frame(1), garbage, frame(2), last];
    let (slices, segment_len) =
        (all.each_ref().map(|frame| IoSlice::new(frame)), u16::try_from(frame(0).len()).unwrap());
    let control = [ControlMessage::UdpGsoSegments(&segment_len)];
    let to = SockaddrStorage::from(relay);
    sendmsg(a.socket().as_raw_fd(), &slices, &control, MsgFlags::empty(), Some(&to)).unwrap();
    for (number, len) in [(1, 100), (2, 100), (3, 60)] {
        assert_eq!(b.packet().await, (a.public_key(), vec![number; len]));
    }
    let counters = server.counters();
    assert_eq!((counters.io.received - before, counters.relay.dropped_foreign), (4, 1));
    assert_eq!((counters.relay.forwarded_packets, counters.io.send_errors), (3, 0));
    server.stop().await;
}
