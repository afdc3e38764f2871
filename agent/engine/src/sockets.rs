//! Names for side sockets: which are in use, and which come next.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use endpoint_selection::{SocketId, Timestamp};

use crate::output::SIDE_SOCKETS_MAX;

/// A socket that a peer was heard on stays open until it has been silent for so long. Where both sides of an attempt hit at the
/// same time, on two sockets, the peer may send its traffic to the one that we do not use; then it asks there every five
/// seconds, three times before it gives up.
const LINGER: Duration = Duration::from_secs(16);

/// The side sockets of this life.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    used: BTreeSet<SocketId>,
    /// With the time at which a peer was heard there last.
    open: BTreeMap<SocketId, Option<Timestamp>>,
    /// Those that nobody of ours needs any more.
    lingering: BTreeSet<SocketId>,
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
            self.open.insert(socket, None);
        }
    }

    /// A peer was heard on the socket.
    pub(crate) fn note_heard(&mut self, now: Timestamp, socket: SocketId) {
        if let Some(heard_at) = self.open.get_mut(&socket) {
            *heard_at = Some(now);
        }
    }

    /// Nobody needs the socket any more. Returns whether it can be closed now; else [`Self::take_silent`] gives it later.
    pub(crate) fn let_go(&mut self, now: Timestamp, socket: SocketId) -> bool {
        let lingers = self.silent_at(socket).is_some_and(|at| at > now);
        if lingers {
            self.lingering.insert(socket);
        }
        !lingers
    }

    /// When the next socket is given.
    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.lingering.iter().filter_map(|socket| self.silent_at(*socket)).min()
    }

    /// The sockets that were let go and have been silent since.
    pub(crate) fn take_silent(&mut self, now: Timestamp) -> Vec<SocketId> {
        let is_silent = |socket: &&SocketId| self.silent_at(**socket).is_none_or(|at| at <= now);
        let silent: Vec<SocketId> = self.lingering.iter().filter(is_silent).copied().collect();
        silent.iter().for_each(|socket| _ = self.lingering.remove(socket));
        silent
    }

    fn silent_at(&self, socket: SocketId) -> Option<Timestamp> {
        self.open.get(&socket).copied().flatten().map(|heard_at| heard_at + LINGER)
    }

    /// Whether the host gave the socket.
    pub(crate) fn is_open(&self, socket: SocketId) -> bool {
        self.open.contains_key(&socket)
    }

    /// The socket is closed, or was never opened. Returns whether it was in use.
    pub(crate) fn release(&mut self, socket: SocketId) -> bool {
        self.open.remove(&socket);
        self.lingering.remove(&socket);
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
    fn a_socket_that_a_peer_was_heard_on_is_closed_once_it_has_been_silent() {
        let at = |s: u64| Timestamp::from_micros(s * 1_000_000);
        let mut sockets = Sockets::default();
        let names = sockets.take(2);
        names.iter().for_each(|socket| sockets.set_open(*socket));
        sockets.note_heard(at(10), names[0]);
        assert!(sockets.let_go(at(12), names[1]), "nobody was heard there");
        assert!(!sockets.let_go(at(12), names[0]));
        sockets.note_heard(at(15), names[0]);
        assert_eq!(sockets.take_silent(at(30)), []);
        assert_eq!(sockets.next_at(), Some(at(31)));
        assert_eq!(sockets.take_silent(at(31)), [names[0]]);
        assert_eq!(sockets.next_at(), None);
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
