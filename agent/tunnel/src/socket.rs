//! A UDP port of the node: an IPv4 socket and, for the main one where the host has IPv6, an IPv6 socket of that number.

use std::io::{self, IoSlice};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use socket2::{Domain, Protocol, Socket, Type};

use crate::nat64::Nat64;
use crate::receive_batch::set_option;

/// Kernel buffer per direction of a port that carries a tunnel, bytes: what a 5 Gbit/s burst of 10 ms needs.
const BUFFER_LEN: i32 = 7 << 20;

/// Kernel buffer per direction of a side socket that carries none, bytes: some dozens of probes, and for 256 sockets no
/// more than one main socket may take.
const SIDE_BUFFER_LEN: i32 = 28 << 10;

/// Random ports tried until one is free for IPv4 and IPv6.
const BIND_ATTEMPTS_MAX: u32 = 16;

/// How long a batch waits for room in the kernel's send buffer before it is dropped.
const SEND_PATIENCE: Duration = Duration::from_millis(50);

/// `IP_PMTUDISC_DONT` and `IPV6_PMTUDISC_DONT` (Linux `in.h`, `in6.h`): never set the DF bit, so that a tunnel
/// packet that is too long for some link is fragmented and not lost.
const PMTU_DISCOVERY_DONT: i32 = 0;

/// `IP_PMTUDISC_PROBE` and `IPV6_PMTUDISC_PROBE`: set the DF bit, and believe no path MTU that ICMP, perhaps a stranger's, told.
const PMTU_DISCOVERY_PROBE: i32 = 3;

#[derive(Debug)]
pub(crate) struct UdpPort {
    v4: Socket,
    v6: Option<Socket>,
    nat64: Nat64,
    port: u16,
    /// Whether the kernel buffers are those of a port that carries a tunnel.
    is_large: AtomicBool,
    /// Held while datagrams leave unfragmented.
    whole: Mutex<()>,
}

impl UdpPort {
    /// Binds `port`, or a random one for 0.
    pub(crate) fn bind(port: u16) -> io::Result<Self> {
        for _ in 0..BIND_ATTEMPTS_MAX {
            let v4 = open(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, port).into(), BUFFER_LEN)?;
            let bound = port_of(&v4)?;
            match open(Domain::IPV6, (Ipv6Addr::UNSPECIFIED, bound).into(), BUFFER_LEN) {
                Ok(v6) => return Ok(Self::new(v4, Some(v6), bound, true)),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    if port != 0 {
                        return Err(error);
                    }
                }
                Err(error) => {
                    tracing::info!(%error, "no IPv6 on this host: the tunnel uses IPv4 only");
                    return Ok(Self::new(v4, None, bound, true));
                }
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no UDP port is free for both IPv4 and IPv6"))
    }

    /// Binds a random port for IPv4 only, which is all that side sockets are needed for: NATs that map address- and
    /// port-dependently are IPv4's, IPv6 has firewalls.
    pub(crate) fn bind_side() -> io::Result<Self> {
        let v4 = open(Domain::IPV4, (Ipv4Addr::UNSPECIFIED, 0).into(), SIDE_BUFFER_LEN)?;
        let port = port_of(&v4)?;
        Ok(Self::new(v4, None, port, false))
    }

    fn new(v4: Socket, v6: Option<Socket>, port: u16, is_large: bool) -> Self {
        let (nat64, is_large) = (Nat64::default(), AtomicBool::new(is_large));
        Self { v4, v6, nat64, port, is_large, whole: Mutex::new(()) }
    }

    /// The tunnel uses the port from now on: it gets the buffers for it.
    pub(crate) fn enlarge_buffers(&self) {
        if !self.is_large.swap(true, Ordering::Relaxed) {
            set_buffers(self.v4(), BUFFER_LEN);
        }
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn v4(&self) -> BorrowedFd<'_> {
        self.v4.as_fd()
    }

    pub(crate) fn v6(&self) -> Option<BorrowedFd<'_>> {
        self.v6.as_ref().map(AsFd::as_fd)
    }

    /// The NAT64 between the port and IPv4.
    pub(crate) const fn nat64(&self) -> &Nat64 {
        &self.nat64
    }

    /// Sends one datagram without waiting. `to` is canonical (no IPv4-mapped address).
    pub(crate) fn send(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let (socket, to) = self.way(to)?;
        socket.send_to_with_flags(datagram, &to.into(), libc::MSG_DONTWAIT).map(drop)
    }

    /// Sends one datagram that nobody may fragment, without waiting.
    ///
    /// The kernel has no such wish for a single datagram, only for the socket. What another thread sends in these microseconds
    /// gets the DF bit as well, which loses it only where it would have been fragmented.
    pub(crate) fn send_whole(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let (socket, to) = self.way(to)?;
        let _alone = self.whole.lock().unwrap_or_else(PoisonError::into_inner);
        forbid_fragments(socket.as_fd(), to.is_ipv6(), true)?;
        let sent = socket.send_to_with_flags(datagram, &to.into(), libc::MSG_DONTWAIT).map(drop);
        forbid_fragments(socket.as_fd(), to.is_ipv6(), false)?;
        sent
    }

    /// Sends `bytes` as datagrams of `segment_len` bytes each (the last may be shorter) in one system call, with
    /// UDP segmentation offload (Linux 4.18). Waits a moment where the kernel's buffer is full.
    pub(crate) fn send_segments(&self, bytes: &[u8], segment_len: u16, to: SocketAddr) -> io::Result<()> {
        let (socket, to) = self.way(to)?;
        let control = [ControlMessage::UdpGsoSegments(&segment_len)];
        let control = if bytes.len() > usize::from(segment_len) { &control[..] } else { &[] };
        let (slices, address) = ([IoSlice::new(bytes)], SockaddrStorage::from(to));
        let send = || {
            sendmsg(socket.as_raw_fd(), &slices, control, MsgFlags::MSG_DONTWAIT, Some(&address)).map(drop)
        };
        match send() {
            Err(Errno::EAGAIN) => {
                let patience = PollTimeout::try_from(SEND_PATIENCE).unwrap_or(PollTimeout::ZERO);
                poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLOUT)], patience)?;
                Ok(send()?)
            }
            result => Ok(result?),
        }
    }

    /// The socket that reaches `to`, and what it is to send to.
    fn way(&self, to: SocketAddr) -> io::Result<(&Socket, SocketAddr)> {
        let to = self.nat64.outward(to);
        if to.is_ipv4() {
            return Ok((&self.v4, to));
        }
        let no_ipv6 = || io::Error::new(io::ErrorKind::Unsupported, "this socket has no IPv6");
        self.v6.as_ref().map(|v6| (v6, to)).ok_or_else(no_ipv6)
    }
}

fn open(domain: Domain, address: SocketAddr, buffer_len: i32) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    let fd = socket.as_fd();
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
        forbid_fragments(fd, true, false)?;
        set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
    } else {
        forbid_fragments(fd, false, false)?;
        set_option(fd, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
    }
    mark(fd);
    set_buffers(fd, buffer_len);
    // Linux before 5.0 has no UDP_GRO: datagrams then come one by one.
    let _ = set_option(fd, libc::SOL_UDP, libc::UDP_GRO, 1);
    socket.bind(&address.into())?;
    Ok(socket)
}

/// Whether what the socket sends may be fragmented by routers and, as IPv6 has it, by this host.
fn forbid_fragments(fd: BorrowedFd<'_>, is_ipv6: bool, forbidden: bool) -> io::Result<()> {
    let discovery = if forbidden { PMTU_DISCOVERY_PROBE } else { PMTU_DISCOVERY_DONT };
    if !is_ipv6 {
        return set_option(fd, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, discovery);
    }
    set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_DONTFRAG, forbidden.into())?;
    set_option(fd, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, discovery)
}

/// A UDP socket of any port whose datagrams nobody may fragment: what is too long for some link is lost, and shows what the path
/// carries.
///
/// # Errors
/// Those of the kernel.
pub fn bind_whole(is_ipv6: bool) -> io::Result<std::net::UdpSocket> {
    let address = if is_ipv6 { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() };
    let socket = std::net::UdpSocket::bind::<SocketAddr>(address)?;
    mark(socket.as_fd());
    forbid_fragments(socket.as_fd(), is_ipv6, true)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The mark of packets that carry the tunnel, by which the kernel's rules let them past it: `W` in the bits of [`MARK_MASK`].
pub const TUNNEL_MARK: u32 = 0x5700_0000;

/// The bits of marks that are ours: those that other programs' masks leave alone (kube-proxy 0xc000, Tailscale 0xff0000, Cilium 0xf00).
pub const MARK_MASK: u32 = 0xff00_0000;

/// Marks what the socket sends. That takes CAP_NET_ADMIN, as a tunnel does: who may not has neither.
pub fn mark(socket: BorrowedFd<'_>) {
    let _ = set_option(socket, libc::SOL_SOCKET, libc::SO_MARK, TUNNEL_MARK.cast_signed());
}

fn set_buffers(fd: BorrowedFd<'_>, len: i32) {
    for (force, plain) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
        // The first needs CAP_NET_ADMIN, the second is capped by the host: both are wishes.
        if set_option(fd, libc::SOL_SOCKET, force, len).is_err() {
            let _ = set_option(fd, libc::SOL_SOCKET, plain, len);
        }
    }
}

fn port_of(socket: &Socket) -> io::Result<u16> {
    let address = socket.local_addr()?.as_socket();
    address.map(|address| address.port()).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
}
