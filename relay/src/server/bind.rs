//! Opens the sockets of a server.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

use super::receive_batch::allow_joined;

/// Asked of the kernel for each direction: some 30 ms of packets at 1 Gbit/s, which bridges a busy scheduler.
const BUFFER_LEN: usize = 4 << 20;

/// An open socket.
pub(super) struct BoundSocket {
    pub(super) socket: UdpSocket,
    pub(super) local: SocketAddr,
    /// Whether relay frames are answered here; STUN always is.
    pub(super) is_relay: bool,
}

/// Opens one socket for each distinct address, or none at all.
pub(super) fn bind_all(
    stun: &[SocketAddr],
    relay: Option<SocketAddr>,
    mark: Option<u32>,
) -> io::Result<Vec<BoundSocket>> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in stun.iter().copied().chain(relay) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
        .iter()
        .map(|&address| {
            let is_relay = relay == Some(address);
            let (socket, local) = open(address, is_ipv6_only(address, &addresses), mark)
                .map_err(|error| explain(&error, address, is_relay))?;
            Ok(BoundSocket { socket, local, is_relay })
        })
        .collect()
}

/// `[::]` takes IPv4 as well, unless somebody listed IPv4 on the same port: the two would collide.
fn is_ipv6_only(address: SocketAddr, all: &[SocketAddr]) -> bool {
    !address.ip().is_unspecified()
        || all.iter().any(|other| other.is_ipv4() && other.port() == address.port() && other.port() != 0)
}

fn open(address: SocketAddr, ipv6_only: bool, mark: Option<u32>) -> io::Result<(UdpSocket, SocketAddr)> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(ipv6_only)?;
    }
    socket.set_nonblocking(true)?;
    if let Some(mark) = mark {
        // Who may not mark has no rules that ask for a mark.
        let _ = socket.set_mark(mark);
    }
    grow_buffers(&socket, address);
    allow_joined(&socket);
    socket.bind(&address.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    let local = socket.local_addr()?;
    Ok((socket, local))
}

/// Best effort: a relay with small buffers works, it only loses packets earlier.
fn grow_buffers(socket: &Socket, address: SocketAddr) {
    for (name, set, get) in [
        ("net.core.rmem_max", socket.set_recv_buffer_size(BUFFER_LEN), socket.recv_buffer_size()),
        ("net.core.wmem_max", socket.set_send_buffer_size(BUFFER_LEN), socket.send_buffer_size()),
    ] {
        let got = set.and(get).unwrap_or(0);
        if got < BUFFER_LEN {
            tracing::info!(
                %address, wanted_bytes = BUFFER_LEN, got_bytes = got,
                "a socket buffer is smaller than wanted; if packets are lost under load, raise {name}"
            );
        }
    }
}

fn explain(error: &io::Error, address: SocketAddr, is_relay: bool) -> io::Error {
    let purpose = if is_relay { "the relay" } else { "STUN" };
    let family_missing = error.raw_os_error() == Some(AF_NOT_SUPPORTED);
    let advice = if family_missing {
        "this host has no IPv6; listen on an IPv4 address such as 0.0.0.0"
    } else {
        advice(error.kind())
    };
    io::Error::new(error.kind(), format!("cannot listen for {purpose} on udp {address} ({error}): {advice}"))
}

/// `EAFNOSUPPORT` on Linux, for which std has no kind.
const AF_NOT_SUPPORTED: i32 = 97;

#[expect(clippy::wildcard_enum_match_arm, reason = "`ErrorKind` is not exhaustive")]
fn advice(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::AddrInUse => "another program uses this port; stop it or choose another port",
        io::ErrorKind::AddrNotAvailable => {
            "this host has no such address; choose one of its own, or 0.0.0.0 or [::] for all of them"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need root or CAP_NET_BIND_SERVICE; choose a higher port or grant it"
        }
        _ => "check the address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ipv6_wildcard_leaves_ipv4_to_an_address_with_the_same_port() {
        let v6: SocketAddr = "[::]:3478".parse().unwrap();
        let v4 = |port| SocketAddr::from(([0, 0, 0, 0], port));
        assert!(is_ipv6_only(v6, &[v6, v4(3478)]));
        assert!(!is_ipv6_only(v6, &[v6, v4(3479)]));
        assert!(!is_ipv6_only(v6, &[v6]));
        assert!(is_ipv6_only("[::1]:3478".parse().unwrap(), &[v6]));
    }

    #[test]
    fn an_error_names_the_address_and_what_to_do() {
        let text = explain(
            &io::Error::from(io::ErrorKind::AddrInUse),
            SocketAddr::from(([192, 0, 2, 1], 3478)),
            false,
        )
        .to_string();
        assert!(text.contains("STUN on udp 192.0.2.1:3478"), "{text}");
        assert!(text.contains("choose another port"), "{text}");
    }
}
