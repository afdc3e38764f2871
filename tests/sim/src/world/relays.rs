//! What becomes of relays.

use coordinator::service::resources::relays::Relay;
use relay::core::RelayCore;

use super::{NodeId, RelayId, ServerKind, World};
use crate::topology::Link;

impl World {
    /// A relay forgets every session, as a restarted process does.
    pub fn restart_relay(&mut self, relay: RelayId) {
        let secret = self.rng.bytes();
        if let ServerKind::Relay { core, config, .. } = &mut self.servers[relay.0].kind {
            **core = RelayCore::new(config.clone(), secret);
        }
    }

    /// A relay answers, or does not.
    pub fn set_relay_up(&mut self, relay: RelayId, up: bool) {
        if let ServerKind::Relay { is_up, .. } = &mut self.servers[relay.0].kind {
            *is_up = up;
        }
    }

    /// The relays as the coordinator lists them for its operator.
    #[must_use]
    pub fn listed_relays(&self) -> Vec<Relay> {
        self.control.relays()
    }

    /// How far a relay is from the internet's middle, one way, in microseconds.
    pub fn set_relay_delay(&mut self, relay: RelayId, delay_us: u64) {
        self.servers[relay.0].link = Link::new(delay_us);
    }

    /// Nothing passes between a node and a relay from now on.
    pub fn cut_off(&mut self, node: NodeId, relay: RelayId) {
        self.cuts.push((node.0, relay.0));
    }

    pub(super) fn is_cut_off(&self, node: usize, server: usize) -> bool {
        self.cuts.contains(&(node, server))
    }
}
