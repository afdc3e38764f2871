//! Whether the peer answers at all, by whatever way: what a network behind it needs.

use std::net::IpAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;

use super::Peer;
use crate::context::Context;

/// Questions in a row without an answer after which the peer is taken for gone: a direct path is left after three, and the relay
/// then had its chance.
const UNANSWERED_MAX: u8 = 4;

/// A peer that the coordinator does not see is there all the same if it was heard so lately: four questions of its path's upkeep.
const HEARD_LATELY: Duration = Duration::from_secs(20);

/// What shows whether the peer is there.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reach {
    heard_at: Option<Timestamp>,
    unanswered: u8,
}

impl Reach {
    /// Something authentic came from the peer.
    pub(super) const fn note_heard(&mut self, now: Timestamp) {
        self.heard_at = Some(now);
        self.unanswered = 0;
    }

    /// A question on the path in use was not answered.
    pub(super) const fn note_unanswered(&mut self) {
        self.unanswered = self.unanswered.saturating_add(1);
    }

    /// The coordinator sees it again: what it did not answer was asked of its life before.
    pub(super) const fn note_online(&mut self) {
        self.unanswered = 0;
    }

    /// Whether more questions would show that it is gone.
    pub(super) const fn is_in_doubt(&self) -> bool {
        0 < self.unanswered && self.unanswered < UNANSWERED_MAX
    }
}

impl Peer {
    /// Whether there is a way to the peer, and it seems to be there. A plain WireGuard peer is taken at the map's word: it
    /// answers no probes.
    pub(crate) fn is_reachable(&self, now: Timestamp) -> bool {
        if self.info.plain_endpoint.is_some() {
            return true;
        }
        let is_heard = self.reach.heard_at.is_some_and(|at| now.since(at) < HEARD_LATELY);
        self.path.is_some() && self.reach.unanswered < UNANSWERED_MAX && (self.info.online || is_heard)
    }

    /// Whether networks behind it hang on it.
    pub(super) const fn is_router(&self) -> bool {
        !self.info.routes.is_empty()
    }

    /// Other addresses than before are inside the tunnel, and no way to the peer.
    pub(crate) fn set_inside(&mut self, context: &mut Context<'_>, inside: &[(IpAddr, u8)]) {
        self.selector.set_mesh(inside.to_vec());
        if self.info.plain_endpoint.is_none() {
            self.apply_selection(context);
        }
    }
}

#[cfg(test)]
mod tests {
    use endpoint_selection::SocketId;
    use endpoint_selection::nat::NatProfile;
    use protocol::api;
    use protocol::key::PrivateKey;
    use uuid::Uuid;

    use super::*;
    use crate::output::TunnelPath;

    fn second(count: u64) -> Timestamp {
        Timestamp::from_micros(count * 1_000_000)
    }

    /// A peer with a path.
    fn peer(online: bool) -> Peer {
        let info = api::Peer {
            id: Uuid::nil(),
            name: "n".parse().unwrap(),
            public_key: PrivateKey::from_random([2; 32]).public_key(),
            allowed_ips: Vec::new(),
            online,
            candidates: Vec::new(),
            nat: NatProfile::default(),
            plain_endpoint: None,
            tags: Vec::new(),
            routes: Vec::new(),
        };
        let mut peer = Peer::new(info, &PrivateKey::from_random([1; 32]), Vec::new(), second(0));
        peer.path =
            Some(TunnelPath::Direct { socket: SocketId::MAIN, remote: "198.51.100.7:1".parse().unwrap() });
        peer
    }

    #[test]
    fn a_peer_that_leaves_four_questions_unanswered_is_gone_until_it_is_heard_or_seen_again() {
        let mut peer = peer(true);
        for _ in 0..3 {
            peer.reach.note_unanswered();
            assert!(peer.is_reachable(second(1)) && peer.reach.is_in_doubt());
        }
        peer.reach.note_unanswered();
        assert!(!peer.is_reachable(second(1)) && !peer.reach.is_in_doubt());
        peer.reach.note_heard(second(2));
        assert!(peer.is_reachable(second(2)));
        (0..9).for_each(|_| peer.reach.note_unanswered());
        peer.reach.note_online();
        assert!(peer.is_reachable(second(3)));
    }

    #[test]
    fn a_peer_without_a_path_is_not_reachable_and_one_that_is_heard_needs_no_coordinator() {
        let mut offline = peer(false);
        assert!(!offline.is_reachable(second(1)));
        offline.reach.note_heard(second(1));
        assert!(offline.is_reachable(second(20)) && !offline.is_reachable(second(21)));
        offline.path = None;
        assert!(!offline.is_reachable(second(2)));
    }
}
