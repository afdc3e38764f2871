//! What a tunnel asks of a network interface.

use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ipnet::IpNet;

use crate::batch::{ReadBatch, WriteBatch};
use crate::error::TunnelError;

/// A network interface whose packets the tunnel carries. It vanishes when it is dropped.
pub trait Interface: Send + Sync {
    /// Fills `batch` with what waits, without waiting itself.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] where nothing waits. An error for which [`Interface::is_gone`] is true ends
    /// the tunnel; every other one is counted.
    fn receive(&self, batch: &mut ReadBatch) -> io::Result<()>;

    /// Hands the packets to the network stack. What `batch` holds afterwards is of no matter.
    ///
    /// # Errors
    /// Where the stack refused a packet; the others were handed on.
    fn send(&self, batch: &mut WriteBatch) -> io::Result<()>;

    /// The file that becomes readable when [`Interface::receive`] has something.
    fn readiness(&self) -> BorrowedFd<'_>;

    /// Sets exactly these addresses and this MTU (bytes).
    ///
    /// # Errors
    /// Where the kernel refuses one of them.
    fn configure(&self, addresses: &[IpNet], mtu: u16) -> Result<(), TunnelError>;

    /// Lets the machine reach exactly these networks through the interface, besides those of its addresses.
    ///
    /// # Errors
    /// Where the kernel refuses one of them; those before it are there.
    fn set_routes(&self, routes: &[IpNet]) -> Result<(), TunnelError>;

    /// Whether `error` means that somebody removed the interface.
    fn is_gone(&self, error: &io::Error) -> bool {
        matches!(error.raw_os_error(), Some(libc::EBADFD | libc::EBADF | libc::ENODEV))
    }
}

/// What makes interfaces.
pub trait OpenInterface: Send {
    /// Creates the interface, up and configured.
    ///
    /// # Errors
    /// Where it cannot be created or configured; nothing is left behind then.
    fn open(&self, addresses: &[IpNet], mtu: u16) -> Result<Arc<dyn Interface>, TunnelError>;
}
