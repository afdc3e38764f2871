//! Networks behind this node and others: what the user chose, and what the engine asks of the kernel for them.

use engine::tunnel_config::TunnelConfig;
use engine::{Input, RouteSettings};
use ipnet::IpNet;

use super::Node;
use crate::exit::Failure;
use crate::net;
use crate::state::Choices;

impl Node {
    /// The user chose otherwise.
    pub(crate) fn set_choices(&mut self, choices: Choices) {
        self.choices = choices;
        self.tell_routes();
    }

    /// Tells the engine what is chosen, and what the machine is attached to.
    pub(super) fn tell_routes(&mut self) {
        let settings = RouteSettings {
            advertised: self.choices.advertise_routes.clone(),
            is_accepting: self.choices.accept_routes,
            can_forward: self.firewall.forwarding.trouble().is_none(),
            attached: self.attached.clone(),
            coordinator: self.connection.remote,
        };
        self.input(Input::Routes(settings));
    }

    /// Looks which networks the machine is attached to; what is no news is none to the engine either.
    pub(super) fn look_at_networks(&mut self) {
        match net::attached_networks(&self.interface) {
            Ok(attached) => {
                self.attached = attached;
                self.guard_addresses();
                self.tell_routes();
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read the machine's networks: keeping the known ones")
            }
        }
    }

    /// Makes good what somebody else took away of the kernel's rules, and tries again what failed.
    pub(super) fn look_at_forwarding(&mut self) {
        if self.firewall.forwarding.look() {
            // Whoever took those rules away took all.
            self.firewall.guard.look();
        }
        self.tell_routes();
    }

    /// Brings the tunnel to this state, and keeps what only pretends to come through it out.
    pub(super) fn want_tunnel(&mut self, config: TunnelConfig) -> Result<(), Failure> {
        self.guard_addresses();
        self.tunnel.want(config, self.clock.now())
    }

    fn guard_addresses(&mut self) {
        let mesh = self.engine.network_map().map(|map| map.own.addresses.as_slice()).unwrap_or_default();
        self.firewall.guard.set(mesh, &self.attached);
    }

    /// Passes packets on to these networks, and to no others.
    pub(super) fn forward(&mut self, prefixes: Vec<IpNet>) {
        let mesh = self.engine.network_map().map(|map| map.own.addresses.clone()).unwrap_or_default();
        self.firewall.forwarding.set(&mesh, prefixes);
    }

    /// Why networks behind this node are not reached through it; `None` where they are, or none is to be.
    pub(crate) fn forwarding_trouble(&self) -> Option<&str> {
        self.firewall.forwarding.trouble()
    }
}
