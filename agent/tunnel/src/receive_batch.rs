//! `recvmmsg` with UDP_GRO: many datagrams per system call. The only file with unsafe code.

use std::io;
use std::mem;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsRawFd, BorrowedFd};

use libc::{c_int, c_void};

/// Messages per system call. Each may hold up to 64 datagrams that the kernel glued together.
const MESSAGES: usize = 16;

/// Bytes per message: the largest UDP payload, so that nothing is ever cut off.
const MESSAGE_LEN: usize = 65_535;

/// Room for the control messages: a segment size and an IPv6 packet info, with alignment.
const CONTROL_LEN: usize = 128;

/// Memory for one call. Boxed slices, so that the pointers in `headers` stay true when the value moves.
pub(crate) struct ReceiveBatch {
    headers: Box<[libc::mmsghdr]>,
    addresses: Box<[libc::sockaddr_storage]>,
    slices: Box<[libc::iovec]>,
    controls: Box<[Control]>,
    bytes: Box<[u8]>,
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL_LEN]);

// SAFETY: the raw pointers in `headers` and `slices` point into the boxes of the same value and are only used
// through `&mut self`, so moving the value to another thread moves everything that they reach.
unsafe impl Send for ReceiveBatch {}

/// One message of a batch: one datagram, or several of the same source and of `segment_len` bytes each.
pub(crate) struct Message<'a> {
    pub(crate) from: SocketAddr,
    pub(crate) to_local: Option<IpAddr>,
    pub(crate) bytes: &'a [u8],
    /// Length of each datagram in `bytes` but the last, which may be shorter.
    pub(crate) segment_len: usize,
    pub(crate) truncated: bool,
}

impl Message<'_> {
    /// The single datagrams. An empty datagram is one too.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = &[u8]> {
        let empty = self.bytes.is_empty().then_some(self.bytes);
        empty.into_iter().chain(self.bytes.chunks(self.segment_len.max(1)))
    }
}

impl ReceiveBatch {
    pub(crate) fn new() -> Self {
        // SAFETY: all three are plain C structures for which all zeros is a valid value.
        let (header, address, slice) = unsafe {
            (
                mem::zeroed::<libc::mmsghdr>(),
                mem::zeroed::<libc::sockaddr_storage>(),
                mem::zeroed::<libc::iovec>(),
            )
        };
        Self {
            headers: vec![header; MESSAGES].into_boxed_slice(),
            addresses: vec![address; MESSAGES].into_boxed_slice(),
            slices: vec![slice; MESSAGES].into_boxed_slice(),
            controls: vec![Control([0; CONTROL_LEN]); MESSAGES].into_boxed_slice(),
            bytes: vec![0; MESSAGES * MESSAGE_LEN].into_boxed_slice(),
        }
    }

    /// Receives what is there without waiting; the messages are read with [`Self::message`] up to the returned
    /// count.
    pub(crate) fn receive(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        for (index, bytes) in self.bytes.chunks_exact_mut(MESSAGE_LEN).enumerate() {
            self.slices[index] = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
            let header = &mut self.headers[index];
            // The kernel overwrites the lengths with what it used, so they are set anew before every call.
            header.msg_hdr.msg_name = (&raw mut self.addresses[index]).cast();
            header.msg_hdr.msg_namelen = mem::size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = &raw mut self.slices[index];
            header.msg_hdr.msg_iovlen = 1;
            header.msg_hdr.msg_control = self.controls[index].0.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = CONTROL_LEN as _;
            header.msg_hdr.msg_flags = 0;
            header.msg_len = 0;
        }
        // SAFETY: `headers` holds MESSAGES entries whose pointers were set above to memory that `self` owns and
        // that is as long as stated; the borrow of `self` outlives the call; a null timeout is allowed.
        let received = unsafe {
            libc::recvmmsg(
                socket.as_raw_fd(),
                self.headers.as_mut_ptr(),
                MESSAGES as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// Whether a batch of `count` used all the room, so that more may wait.
    pub(crate) const fn is_full(count: usize) -> bool {
        count >= MESSAGES
    }

    /// Message `index` of the last call; `None` where there is none or its source is no IP address.
    pub(crate) fn message(&self, index: usize) -> Option<Message<'_>> {
        let header = self.headers.get(index)?;
        let bytes = self.bytes.chunks_exact(MESSAGE_LEN).nth(index)?.get(..header.msg_len as usize)?;
        let from = socket_address(self.addresses.get(index)?)?;
        let (segment_len, to_local) = control(&header.msg_hdr);
        Some(Message {
            from,
            to_local,
            bytes,
            segment_len: segment_len.filter(|len| *len > 0).unwrap_or(bytes.len()),
            truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        })
    }
}

fn socket_address(storage: &libc::sockaddr_storage) -> Option<SocketAddr> {
    match c_int::from(storage.ss_family) {
        libc::AF_INET => {
            // SAFETY: a sockaddr_storage is large and aligned enough for every address family, and the kernel
            // wrote an AF_INET address into it.
            let address = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in>() };
            let ip = Ipv4Addr::from(u32::from_be(address.sin_addr.s_addr));
            Some(SocketAddr::new(ip.into(), u16::from_be(address.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above, with AF_INET6.
            let address = unsafe { &*std::ptr::from_ref(storage).cast::<libc::sockaddr_in6>() };
            let ip = Ipv6Addr::from(address.sin6_addr.s6_addr);
            // The flow label is no part of where an answer goes.
            Some(SocketAddrV6::new(ip, u16::from_be(address.sin6_port), 0, address.sin6_scope_id).into())
        }
        _ => None,
    }
}

/// The segment size (UDP_GRO) and the local address (IP_PKTINFO, IPV6_PKTINFO) of a received message.
fn control(header: &libc::msghdr) -> (Option<usize>, Option<IpAddr>) {
    let (mut segment_len, mut to_local) = (None, None);
    // SAFETY: `header` was filled by recvmmsg, so its control buffer holds msg_controllen bytes of well-formed
    // control messages; the CMSG macros walk within them, and each payload is read unaligned and only where its
    // level and type say what it is.
    unsafe {
        let mut cmsg = libc::CMSG_FIRSTHDR(header);
        while !cmsg.is_null() {
            let data = libc::CMSG_DATA(cmsg);
            match ((*cmsg).cmsg_level, (*cmsg).cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    segment_len = usize::try_from(data.cast::<c_int>().read_unaligned()).ok();
                }
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = data.cast::<libc::in_pktinfo>().read_unaligned();
                    to_local = Some(Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    let info = data.cast::<libc::in6_pktinfo>().read_unaligned();
                    to_local = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr).into());
                }
                _ => {}
            }
            cmsg = libc::CMSG_NXTHDR(header, cmsg);
        }
    }
    (segment_len, to_local)
}

/// Sets an integer socket option that no safe wrapper knows.
pub(crate) fn set_option(socket: BorrowedFd<'_>, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the pointer and length describe `value`, which lives through the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            (&raw const value).cast::<c_void>(),
            mem::size_of::<c_int>() as libc::socklen_t,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
