//! Names for side sockets: which are in use, and which come next.

use std::collections::BTreeSet;

use endpoint_selection::SocketId;

use crate::output::SIDE_SOCKETS_MAX;

/// The side sockets of this life.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    used: BTreeSet<SocketId>,
    open: BTreeSet<SocketId>,
    last: u16,
}

impl Sockets {
    /// Up to `count` free names. Names are used again as late as possible: datagrams to the socket before may still be on
    /// their way.
    pub(crate) fn take(&mut self, count: usize) -> Vec<SocketId> {
        let mut taken = Vec::new();
        while taken.len() < count && self.used.len() < SIDE_SOCKETS_MAX {
            self.last = self.last.checked_add(1).unwrap_or(1);
            let socket = SocketId(self.last);
            if self.used.insert(socket) {
                taken.push(socket);
            }
        }
        taken
    }

    /// The host gave the socket.
    pub(crate) fn set_open(&mut self, socket: SocketId) {
        if self.used.contains(&socket) {
            self.open.insert(socket);
        }
    }

    /// Whether the host gave the socket.
    pub(crate) fn is_open(&self, socket: SocketId) -> bool {
        self.open.contains(&socket)
    }

    /// The socket is closed, or was never opened. Returns whether it was in use.
    pub(crate) fn release(&mut self, socket: SocketId) -> bool {
        self.open.remove(&socket);
        self.used.remove(&socket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_used_again_only_after_all_others() {
        let mut sockets = Sockets { last: u16::MAX - 1, ..Sockets::default() };
        assert_eq!(sockets.take(2), [SocketId(u16::MAX), SocketId(1)]);
        assert!(sockets.release(SocketId(u16::MAX)));
        assert_eq!(sockets.take(1), [SocketId(2)]);
        assert!(!sockets.release(SocketId(77)));
    }

    #[test]
    fn no_more_than_the_bound_are_in_use() {
        let mut sockets = Sockets::default();
        assert_eq!(sockets.take(10_000).len(), SIDE_SOCKETS_MAX);
        assert!(sockets.take(1).is_empty());
        sockets.release(SocketId(5));
        assert_eq!(sockets.take(3).len(), 1);
    }
}
