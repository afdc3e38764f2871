//! The node's sockets: the main one, which is always open, and the side sockets that come and go.

use std::collections::BTreeMap;
use std::io::{self, PipeReader};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use endpoint_selection::SocketId;
use engine::SIDE_SOCKETS_MAX;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::error::TunnelError;
use crate::socket::UdpPort;

/// Sockets that one wait tells of; the kernel lets the others have their turn in the next.
const READABLE_MAX: usize = 16;

/// What the kernel gives back for the main socket's IPv6 half; for IPv4 it is the id itself, a `u16`.
const MAIN_IPV6: u64 = 1 << 16;

/// What the kernel gives back when the path layer is being dropped.
const STOPPED: u64 = 1 << 17;

/// All open sockets, and one place to wait for them: however many are open, a wait costs what the readable ones cost.
pub(crate) struct Sockets {
    main: Arc<UdpPort>,
    side: RwLock<BTreeMap<SocketId, Arc<UdpPort>>>,
    epoll: Epoll,
    // Never read: that its other end is closed is all that it says.
    _stopped: PipeReader,
}

impl Sockets {
    /// Begins with the main socket; [`Self::wait`] ends for good when the other end of `stopped` is closed.
    pub(crate) fn new(main: UdpPort, stopped: PipeReader) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        watch(&epoll, main.v4(), u64::from(SocketId::MAIN.0))?;
        if let Some(v6) = main.v6() {
            watch(&epoll, v6, MAIN_IPV6)?;
        }
        watch(&epoll, stopped.as_fd(), STOPPED)?;
        Ok(Self { main: Arc::new(main), side: RwLock::default(), epoll, _stopped: stopped })
    }

    pub(crate) fn main(&self) -> &UdpPort {
        &self.main
    }

    /// Opens a side socket and returns its port.
    pub(crate) fn open(&self, id: SocketId) -> Result<u16, TunnelError> {
        let mut side = self.side.write().unwrap_or_else(PoisonError::into_inner);
        if id == SocketId::MAIN || side.contains_key(&id) {
            return Err(TunnelError::SocketOpen { socket: id });
        }
        if side.len() >= SIDE_SOCKETS_MAX {
            return Err(TunnelError::TooManySockets);
        }
        let port = UdpPort::bind_side()?;
        watch(&self.epoll, port.v4(), u64::from(id.0))?;
        let number = port.port();
        side.insert(id, Arc::new(port));
        Ok(number)
    }

    /// Closes a side socket, unless `is_used` says that a path needs it; none can come to need it meanwhile.
    pub(crate) fn close(&self, id: SocketId, is_used: impl FnOnce() -> bool) -> Result<(), TunnelError> {
        let mut side = self.side.write().unwrap_or_else(PoisonError::into_inner);
        if id == SocketId::MAIN || is_used() {
            return Err(TunnelError::SocketInUse { socket: id });
        }
        let port = side.get(&id).ok_or(TunnelError::SocketNotOpen { socket: id })?;
        // By hand, because whoever is sending from it at this moment keeps the descriptor open a little longer.
        self.epoll.delete(port.v4()).map_err(io::Error::from)?;
        side.remove(&id);
        Ok(())
    }

    /// Runs `work` with an open socket, which cannot be closed meanwhile.
    pub(crate) fn with<T>(
        &self,
        id: SocketId,
        work: impl FnOnce(&Arc<UdpPort>) -> T,
    ) -> Result<T, TunnelError> {
        if id == SocketId::MAIN {
            return Ok(work(&self.main));
        }
        let side = self.side.read().unwrap_or_else(PoisonError::into_inner);
        side.get(&id).map(work).ok_or(TunnelError::SocketNotOpen { socket: id })
    }

    /// Waits until something is to be read; `None` where the path layer is being dropped. Sockets opened meanwhile are
    /// waited for at once.
    pub(crate) fn wait(&self, timeout: Duration) -> nix::Result<Option<Vec<Readable>>> {
        // Rounded up, because the kernel counts whole milliseconds and must not spin through the last one.
        let timeout =
            EpollTimeout::try_from(timeout + Duration::from_millis(1)).unwrap_or(EpollTimeout::ZERO);
        let mut events = [EpollEvent::empty(); READABLE_MAX];
        let count = self.epoll.wait(&mut events, timeout)?;
        let events = events.iter().take(count).map(EpollEvent::data);
        if events.clone().any(|data| data == STOPPED) {
            return Ok(None);
        }
        Ok(Some(events.filter_map(|data| self.readable(data)).collect()))
    }

    /// `None` where the socket was closed since the kernel spoke of it.
    fn readable(&self, data: u64) -> Option<Readable> {
        let is_ipv6 = data == MAIN_IPV6;
        let socket = if is_ipv6 { SocketId::MAIN } else { SocketId(u16::try_from(data).ok()?) };
        let port = self.with(socket, Arc::clone).ok()?;
        Some(Readable { socket, port, is_ipv6 })
    }
}

/// A socket that has something to read; it stays what it was though it be closed meanwhile.
pub(crate) struct Readable {
    pub(crate) socket: SocketId,
    port: Arc<UdpPort>,
    is_ipv6: bool,
}

impl Readable {
    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.port.v6().filter(|_| self.is_ipv6).unwrap_or_else(|| self.port.v4())
    }
}

fn watch(epoll: &Epoll, fd: BorrowedFd<'_>, data: u64) -> io::Result<()> {
    Ok(epoll.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, data))?)
}

#[cfg(test)]
mod tests;
