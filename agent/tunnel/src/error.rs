//! What can go wrong with a tunnel, each with what to do about it.

use std::io;

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
    /// No UDP port could be had.
    #[error(
        "cannot open the node's UDP port: {source}; check that the host has free UDP ports and open files"
    )]
    Socket {
        /// What the kernel said.
        #[from]
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start the {name} thread: {source}; check the limit on processes and threads")]
    Thread {
        /// The thread's name.
        name: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}
