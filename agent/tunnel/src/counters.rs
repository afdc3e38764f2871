//! What became of datagrams and packets that did not take the usual way, counted per reason.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])+ $name:ident),+ $(,)?) => {
        /// How many datagrams or packets each reason stopped since the path layer was bound.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Counts { $($(#[$doc])+ pub $name: u64,)+ }

        /// The live counters behind [`Counts`].
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: Counter,)+ }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Counts {
                Counts { $($name: self.$name.get(),)+ }
            }
        }
    };
}

counters! {
    /// Datagrams of no known kind, or of another version of ours.
    unknown,
    /// Datagrams longer than the receive buffer.
    oversized,
    /// STUN, probe and relay datagrams that the receiver of events had no room for.
    overflow,
    /// Relay Deliver frames from an address that is not a relay's.
    relay_not_believed,
    /// WireGuard messages while there was no tunnel.
    no_tunnel,
    /// WireGuard messages that belong to no peer or session of ours.
    no_peer,
    /// Relayed WireGuard messages whose session belongs to another peer than the relay named.
    wrong_peer,
    /// WireGuard messages that the Noise core refused: forged, replayed, expired or malformed.
    rejected,
    /// Handshakes that were answered with a cookie because their source sent too many.
    handshakes_limited,
    /// Authentic inner packets that were malformed or whose source is not among the peer's allowed IPs.
    source_not_allowed,
    /// Authentic inner packets for somebody else than this node and the networks behind it that it passes packets on to.
    destination_not_ours,
    /// Authentic inner packets that no access rule permits.
    not_permitted,
    /// Packets from the interface that no peer's allowed IPs cover.
    no_route,
    /// Sealed packets for a peer that has no path.
    no_path,
    /// Packets from the interface that were too long for their peer's path; all but a flood of them was answered by ICMP.
    too_big,
    /// Datagrams that the kernel would not send.
    send_failed,
    /// Batches or packets that the interface refused.
    interface_failed,
    /// Receive batches and timer rounds that a fault in this program ended early. Always a bug; please report it.
    faults,
}

/// One counter. Relaxed: the numbers order nothing.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
