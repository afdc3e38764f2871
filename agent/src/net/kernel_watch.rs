//! Whether the machine's interfaces, addresses, rules of policy routing or packet filter changed, as the kernel tells by netlink: cheaper than to
//! read them all.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

/// The kernel's groups (linux/rtnetlink.h) of links, IPv4 and IPv6 addresses: RTMGRP_LINK, RTMGRP_IPV4_IFADDR and
/// RTMGRP_IPV6_IFADDR.
const INTERFACES: u32 = 0x1 | 0x10 | 0x100;

/// The group that tells of changes by nft (NFNLGRP_NFTABLES of linux/netfilter/nfnetlink.h, the 7th) as a bit.
const NFT: u32 = 1 << 6;

/// Those of rules: RTMGRP_IPV4_RULE, and RTNLGRP_IPV6_RULE (the 19th) as a bit.
const RULES: u32 = 0x80 | 1 << 18;

/// Messages read at once; the kernel drops what it cannot keep and says so, and then something changed as well.
const BATCH_MAX: usize = 256;

/// A subscription to the kernel's news.
#[derive(Debug)]
pub(crate) struct KernelWatch {
    socket: OwnedFd,
}

impl KernelWatch {
    /// Subscribes to changes of interfaces and their addresses.
    ///
    /// # Errors
    /// Where the system gives no such socket, as in some sandboxes.
    pub(crate) fn of_interfaces() -> io::Result<Self> {
        Self::start(SockProtocol::NetlinkRoute, INTERFACES)
    }

    /// Subscribes to changes of the rules that choose a routing table.
    ///
    /// # Errors
    /// As [`Self::of_interfaces`].
    pub(crate) fn of_rules() -> io::Result<Self> {
        Self::start(SockProtocol::NetlinkRoute, RULES)
    }

    /// Subscribes to changes of the packet filter.
    ///
    /// # Errors
    /// As [`Self::of_interfaces`].
    pub(crate) fn of_nft() -> io::Result<Self> {
        Self::start(SockProtocol::NetlinkNetFilter, NFT)
    }

    fn start(protocol: SockProtocol, groups: u32) -> io::Result<Self> {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Netlink, SockType::Raw, flags, protocol)?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, groups))?;
        Ok(Self { socket })
    }

    /// Whether anything changed since the last call. What, does not matter: everything is read anew then.
    pub(crate) fn take_changed(&self) -> bool {
        let mut has_changed = false;
        let mut message = [0; 16];
        for _ in 0..BATCH_MAX {
            // A message that is longer is cut off, and nobody misses its end.
            match recv(self.socket.as_raw_fd(), &mut message, MsgFlags::empty()) {
                Err(Errno::EAGAIN) => break,
                Ok(_) | Err(_) => has_changed = true,
            }
        }
        has_changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_change_there_is_no_news() {
        let watch = KernelWatch::of_interfaces().unwrap();
        // Others may change interfaces of this machine meanwhile, but not all the time.
        assert!((0..1000).any(|_| !watch.take_changed()));
    }
}
