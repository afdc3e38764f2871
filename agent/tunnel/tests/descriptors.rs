//! Open files: none is left behind, and where the host gives no more that is an error and no end. Counts the files of
//! the whole process, so each test needs one of its own, as nextest gives it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fs::File;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::mpsc;

use endpoint_selection::SocketId;
use engine::SIDE_SOCKETS_MAX;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use protocol::stun::encode_request;
use support::{PATIENCE, eventually};
use tunnel::{PathLayer, TunnelError};

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn storms_of_opening_and_closing_leave_no_open_file_behind() {
    let before_all = open_files();
    let (accept, events) = mpsc::sync_channel(SIDE_SOCKETS_MAX);
    let paths = PathLayer::bind(0, move |received| accept.try_send(received).is_ok()).unwrap();
    let outside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let before = open_files();
    for round in 0..20_u8 {
        let sockets: Vec<(SocketId, u16)> = (1..)
            .map(SocketId)
            .take(SIDE_SOCKETS_MAX)
            .map(|socket| (socket, paths.open_socket(socket).unwrap()))
            .collect();
        // Some datagrams are taken before their socket closes, some never.
        for (_, port) in &sockets {
            outside.send_to(&encode_request([round; 12]), (Ipv4Addr::LOCALHOST, *port)).unwrap();
        }
        let received = events.recv_timeout(PATIENCE).unwrap();
        assert_eq!(received.datagram, encode_request([round; 12]));
        for (socket, _) in sockets {
            paths.close_socket(socket).unwrap();
        }
        eventually("all files of the round are closed", || open_files() == before);
        // What was still under way is of this round.
        while events.try_recv().is_ok() {}
    }
    drop((paths, outside));
    eventually("all files are closed", || open_files() == before_all);
}

#[test]
fn a_host_without_open_files_to_give_is_an_error_and_the_open_sockets_go_on() {
    let (accept, events) = mpsc::sync_channel(64);
    let paths = PathLayer::bind(0, move |received| accept.try_send(received).is_ok()).unwrap();
    let outside = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let first = paths.open_socket(SocketId(1)).unwrap();
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 64, hard).unwrap();
    let mut fill: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();

    let refused = paths.open_socket(SocketId(2)).unwrap_err();
    assert!(
        matches!(&refused, TunnelError::Socket { source } if source.raw_os_error() == Some(libc::EMFILE))
    );
    assert!(refused.to_string().contains("open files"), "{refused}");
    outside.send_to(&encode_request([1; 12]), (Ipv4Addr::LOCALHOST, first)).unwrap();
    assert_eq!(events.recv_timeout(PATIENCE).unwrap().socket, SocketId(1));

    fill.pop();
    let second = paths.open_socket(SocketId(2)).unwrap();
    outside.send_to(&encode_request([2; 12]), (Ipv4Addr::LOCALHOST, second)).unwrap();
    assert_eq!(events.recv_timeout(PATIENCE).unwrap().socket, SocketId(2));
}
