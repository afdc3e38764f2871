//! Keeps the tunnel as the engine wants it: on each new wish, and again when something else changed it.

use std::collections::BTreeMap;
use std::time::Duration;

use endpoint_selection::Timestamp;
use engine::PeerTraffic;
use engine::tunnel_config::{Change, TunnelConfig, diff};
use protocol::key::PublicKey;
use tunnel::{PeerStats, TunnelBackend, TunnelError};

use crate::failure::{Code, Failure};

/// The pause after a failed attempt.
const RETRY: Duration = Duration::from_secs(10);

/// The wanted tunnel and the real one.
pub(crate) struct TunnelKeeper {
    backend: Box<dyn TunnelBackend>,
    wanted: Option<TunnelConfig>,
    stats: BTreeMap<PublicKey, PeerStats>,
    was_up: bool,
    trouble: Option<(String, Timestamp)>,
}

impl TunnelKeeper {
    /// A keeper of a tunnel that nobody wants yet.
    pub(crate) fn new(backend: Box<dyn TunnelBackend>) -> Self {
        Self { backend, wanted: None, stats: BTreeMap::new(), was_up: false, trouble: None }
    }

    /// Makes the tunnel like this.
    ///
    /// # Errors
    /// Where it has never been up: then this machine gives no tunnel, and waiting helps nobody. Later failures are
    /// kept as [`Self::trouble`] and tried again.
    pub(crate) fn want(&mut self, config: TunnelConfig, now: Timestamp) -> Result<(), Failure> {
        self.wanted = Some(config);
        let Err(error) = self.reconcile() else {
            self.trouble = None;
            return Ok(());
        };
        if !self.was_up {
            let code =
                if matches!(error, TunnelError::NotPermitted) { Code::NoPermission } else { Code::Failed };
            return Err(Failure::new(code, error.to_string()));
        }
        self.fail(&error, now);
        Ok(())
    }

    /// Whether a look may show anything new.
    pub(crate) fn take_moved(&mut self) -> bool {
        self.backend.take_moved() || self.trouble.is_some()
    }

    /// Looks at the tunnel: repairs what differs from the wish, and tells what it moved.
    pub(crate) fn tick(&mut self, now: Timestamp) -> Vec<PeerTraffic> {
        let observation = self.backend.observe();
        self.stats = observation.peers;
        let waiting = self.trouble.as_ref().is_some_and(|(_, at)| now.since(*at) < RETRY);
        if observation.config != self.wanted && !waiting {
            if self.trouble.is_none() {
                tracing::warn!("the tunnel is not as wanted: repairing it");
            }
            match self.reconcile() {
                Ok(()) => self.trouble = None,
                Err(error) => self.fail(&error, now),
            }
        }
        let traffic = |(peer, stats): (&PublicKey, &PeerStats)| PeerTraffic {
            peer: *peer,
            rx_bytes: stats.rx_bytes,
            tx_bytes: stats.tx_bytes,
        };
        self.stats.iter().map(traffic).collect()
    }

    /// What the tunnel knows about the peers, as of the last tick.
    pub(crate) const fn stats(&self) -> &BTreeMap<PublicKey, PeerStats> {
        &self.stats
    }

    /// Why the tunnel is not as wanted.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_ref().map(|(why, _)| why.as_str())
    }

    /// Removes the tunnel.
    pub(crate) fn remove(&mut self) {
        self.wanted = None;
        if let Err(error) = self.backend.apply(&[Change::RemoveInterface]) {
            tracing::error!(%error, "cannot remove the tunnel");
        }
    }

    fn reconcile(&mut self) -> Result<(), TunnelError> {
        let current = self.backend.observe().config;
        self.backend.apply(&diff(current.as_ref(), self.wanted.as_ref()))?;
        self.was_up = true;
        Ok(())
    }

    fn fail(&mut self, error: &TunnelError, now: Timestamp) {
        tracing::error!(%error, "the tunnel cannot be made as wanted; trying again");
        self.trouble = Some((error.to_string(), now));
    }
}

#[cfg(test)]
mod tests {
    use protocol::key::PrivateKey;
    use tunnel::{Memory, Observation};

    use super::*;

    fn config(mtu: u16) -> TunnelConfig {
        TunnelConfig {
            private_key: PrivateKey::from_random([1; 32]),
            addresses: vec!["100.92.0.1/16".parse().unwrap()],
            mtu,
            routes: Vec::new(),
            forwarded: Vec::new(),
            peers: BTreeMap::new(),
        }
    }

    fn second(count: u64) -> Timestamp {
        Timestamp::from_micros(count * 1_000_000)
    }

    /// A tunnel that somebody else removes after each look.
    #[derive(Default)]
    struct Vanishing(Memory);

    impl TunnelBackend for Vanishing {
        fn observe(&mut self) -> Observation {
            let seen = self.0.observe();
            self.0 = Memory::default();
            seen
        }

        fn apply(&mut self, changes: &[Change]) -> Result<(), TunnelError> {
            self.0.apply(changes)
        }
    }

    #[test]
    fn a_tunnel_that_was_removed_from_outside_comes_back() {
        let mut keeper = TunnelKeeper::new(Box::new(Vanishing::default()));
        keeper.want(config(1280), second(0)).unwrap();
        // The first look sees it and takes it away, the second one misses it and has it made again.
        keeper.tick(second(1));
        keeper.tick(second(2));
        assert_eq!(keeper.backend.observe().config, Some(config(1280)));
        assert_eq!(keeper.trouble(), None);
    }

    #[test]
    fn a_machine_without_tunnels_is_told_at_once_and_later_failures_are_tried_again() {
        let mut keeper = TunnelKeeper::new(Box::<Memory>::default());
        let error = keeper.want(config(100), second(0)).unwrap_err();
        assert_eq!(error.code, Code::Failed);
        let mut keeper = TunnelKeeper::new(Box::<Memory>::default());
        keeper.want(config(1280), second(0)).unwrap();
        keeper.want(config(100), second(1)).unwrap();
        assert!(keeper.trouble().is_some_and(|why| why.contains("too small")), "{:?}", keeper.trouble());
        keeper.want(config(1400), second(2)).unwrap();
        assert_eq!(keeper.trouble(), None);
    }
}
