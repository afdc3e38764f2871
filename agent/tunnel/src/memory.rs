//! A tunnel that is nothing but its description: what the agent's and the engine's tests use in place of one.

use engine::tunnel_config::{self, Change, TunnelConfig};

use crate::backend::{Observation, PeerStats, TunnelBackend, check_interface};
use crate::error::TunnelError;

/// A tunnel that only remembers what was applied. It checks as strictly as a real one.
#[derive(Debug, Default)]
pub struct Memory {
    config: Option<TunnelConfig>,
}

impl TunnelBackend for Memory {
    fn observe(&mut self) -> Observation {
        let keys = self.config.iter().flat_map(|config| config.peers.keys());
        let peers = keys.map(|key| (*key, PeerStats::default())).collect();
        Observation { config: self.config.clone(), peers }
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), TunnelError> {
        for change in changes {
            if let Change::SetInterface { addresses, mtu, .. } = change {
                check_interface(addresses, *mtu)?;
            }
            self.config = tunnel_config::apply(self.config.take(), std::slice::from_ref(change));
        }
        Ok(())
    }
}
