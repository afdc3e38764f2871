//! What can go wrong with a tunnel, each with what to do about it.

use std::io;

use endpoint_selection::SocketId;
use engine::SIDE_SOCKETS_MAX;

/// Why a tunnel or its port could not be had.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The kernel's TUN driver is not there.
    #[error(
        "/dev/net/tun does not exist: load the kernel module with `modprobe tun`, or give the container the device"
    )]
    NoTunDevice,
    /// The process may not create network interfaces.
    #[error(
        "not permitted to create a network interface: run as root or with the capability CAP_NET_ADMIN, and \
         make /dev/net/tun readable and writable"
    )]
    NotPermitted,
    /// Another interface has the name already.
    #[error("the network interface name {name:?} is taken: remove that interface or choose another name")]
    NameTaken {
        /// The wanted name.
        name: String,
    },
    /// The kernel would not take the name.
    #[error(
        "{name:?} cannot be the name of a network interface: use 1 to 15 letters, digits, '-', '_' or '.', \
         beginning with a letter or a digit"
    )]
    NameInvalid {
        /// The wanted name.
        name: String,
    },
    /// The MTU cannot carry the addresses' IP version.
    #[error("a tunnel MTU of {mtu} bytes is too small: set {min} or more")]
    MtuInvalid {
        /// The wanted MTU, bytes.
        mtu: u16,
        /// The smallest that would do, bytes.
        min: u16,
    },
    /// An address or MTU could not be set on the interface.
    #[error("cannot {action} on the tunnel interface: {source}")]
    Configure {
        /// What was tried, as an infinitive.
        action: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// No UDP port or side socket could be had.
    #[error("cannot open a UDP port: {source}; check that the host has free UDP ports and open files")]
    Socket {
        /// What the kernel said.
        #[from]
        source: io::Error,
    },
    /// A side socket of this id is open already.
    #[error("{socket} is open already: close it first")]
    SocketOpen {
        /// The socket.
        socket: SocketId,
    },
    /// There is no open socket of this id.
    #[error("{socket} is not open: open it first")]
    SocketNotOpen {
        /// The socket.
        socket: SocketId,
    },
    /// A socket cannot be closed while a path uses it, and the main socket never.
    #[error("{socket} is in use: give every peer that it reaches another path first")]
    SocketInUse {
        /// The socket.
        socket: SocketId,
    },
    /// As many side sockets are open as may be.
    #[error("{SIDE_SOCKETS_MAX} side sockets are open already: close one first")]
    TooManySockets,
    /// A thread could not be started.
    #[error("cannot start the {name} thread: {source}; check the limit on processes and threads")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}
