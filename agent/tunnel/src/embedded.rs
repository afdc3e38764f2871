//! The userspace tunnel: WireGuard in this process, above a path layer.

use std::sync::Arc;

use engine::tunnel_config::{self, Change, TunnelConfig};
use ipnet::IpNet;
use protocol::key::PrivateKey;

use crate::backend::{Observation, TunnelBackend, check_interface};
use crate::error::TunnelError;
use crate::exchange::Exchange;
use crate::interface::OpenInterface;
use crate::path_layer::{PathLayer, PathState};
use crate::transmit::Transmit;

/// The userspace tunnel. While it is down, the path layer's port stays open for STUN, probes and relays.
pub struct Embedded {
    paths: Arc<PathState>,
    opener: Box<dyn OpenInterface>,
    running: Option<Running>,
}

struct Running {
    config: TunnelConfig,
    exchange: Arc<Exchange>,
    _transmit: Transmit,
}

impl Embedded {
    /// A tunnel above `paths`, down until a change brings it up. At most one tunnel may be above a path layer.
    #[must_use]
    pub fn new(paths: &PathLayer, opener: impl OpenInterface + 'static) -> Self {
        Self { paths: Arc::clone(paths.state()), opener: Box::new(opener), running: None }
    }

    fn set_interface(
        &mut self,
        private_key: &PrivateKey,
        addresses: &[IpNet],
        mtu: u16,
    ) -> Result<(), TunnelError> {
        check_interface(addresses, mtu)?;
        let Some(running) = &self.running else {
            let interface = self.opener.open(addresses, mtu)?;
            let exchange = Arc::new(Exchange::new(Arc::clone(&self.paths), interface, private_key, mtu));
            let transmit = Transmit::start(Arc::clone(&exchange))?;
            exchange.set_destinations(addresses, &[]);
            let attachment: Arc<Exchange> = Arc::clone(&exchange);
            self.paths.attach(Some(attachment));
            let config = TunnelConfig {
                private_key: private_key.clone(),
                addresses: addresses.to_vec(),
                mtu,
                routes: Vec::new(),
                forwarded: Vec::new(),
                peers: std::collections::BTreeMap::new(),
            };
            self.running = Some(Running { config, exchange, _transmit: transmit });
            return Ok(());
        };
        // Room for larger packets before there are any.
        running.exchange.set_mtu(mtu.max(running.config.mtu));
        if let Err(error) = running.exchange.interface.configure(addresses, mtu) {
            self.remove_interface();
            return Err(error);
        }
        running.exchange.set_mtu(mtu);
        running.exchange.set_destinations(addresses, &running.config.forwarded);
        if running.config.private_key != *private_key {
            running.exchange.set_private_key(private_key, &running.config.peers);
        }
        Ok(())
    }

    fn remove_interface(&mut self) {
        if let Some(running) = self.running.take() {
            // First the receive thread lets go, then the transmit thread ends; then nobody holds the exchange and
            // its interface vanishes.
            self.paths.attach(None);
            drop(running);
            self.paths.forget_idle_slots();
        }
    }

    fn apply_one(&mut self, change: &Change) -> Result<(), TunnelError> {
        match change {
            Change::SetInterface { private_key, addresses, mtu } => {
                self.set_interface(private_key, addresses, *mtu)?;
            }
            Change::SetPeer(key, config) => {
                if let Some(running) = &self.running {
                    running.exchange.set_peer(key, config);
                }
            }
            Change::RemovePeer(key) => {
                if let Some(running) = &self.running {
                    running.exchange.remove_peer(key);
                }
            }
            Change::SetRoutes { routes, forwarded } => {
                if let Some(running) = &self.running {
                    running.exchange.set_destinations(&running.config.addresses, forwarded);
                    running.exchange.interface.set_routes(routes)?;
                }
            }
            Change::RemoveInterface => self.remove_interface(),
        }
        if let Some(running) = &mut self.running {
            let config = tunnel_config::apply(Some(running.config.clone()), std::slice::from_ref(change));
            if let Some(config) = config {
                running.config = config;
            }
        }
        Ok(())
    }

    /// Notices an interface that somebody removed from outside.
    fn notice_gone(&mut self) {
        if self.running.as_ref().is_some_and(|running| running.exchange.is_gone()) {
            self.remove_interface();
        }
    }
}

impl TunnelBackend for Embedded {
    fn observe(&mut self) -> Observation {
        self.notice_gone();
        self.running.as_ref().map_or_else(Observation::default, |running| Observation {
            config: Some(running.config.clone()),
            peers: running.exchange.stats(),
        })
    }

    fn take_moved(&mut self) -> bool {
        self.running
            .as_ref()
            .is_none_or(|running| running.exchange.is_gone() || running.exchange.take_moved())
    }

    fn apply(&mut self, changes: &[Change]) -> Result<(), TunnelError> {
        self.notice_gone();
        changes.iter().try_for_each(|change| self.apply_one(change))
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.remove_interface();
    }
}
