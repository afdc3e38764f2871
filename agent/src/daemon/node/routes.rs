//! Networks behind this node and others: what the user chose, and what the engine asks of the kernel for them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::tunnel_config::TunnelConfig;
use engine::{Input, RouteSettings};
use ipnet::IpNet;
use protocol::api::{DEFAULT_ROUTES, is_default};

use super::Node;
use crate::exit_guard::ExitGuard;
use crate::failure::Failure;
use crate::net;
use crate::state::{Choices, ExitNode};

/// Of each family an address to which a route shows that there is a way to the internet; nothing is sent there, as nobody is to use
/// them (RFC 6890, 3849).
const SOMEWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 0, 170)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];

impl Node {
    /// The user chose otherwise.
    pub(crate) fn set_choices(&mut self, choices: Choices) {
        self.choices = choices;
        self.tell_routes();
    }

    /// Tells the engine what is chosen, and what the machine is attached to.
    pub(super) fn tell_routes(&mut self) {
        let settings = RouteSettings {
            advertised: self.choices.advertise_routes.iter().copied().chain(self.offered_exits()).collect(),
            is_accepting: self.choices.accept_routes,
            can_forward: self.firewall.forwarding.trouble().is_none(),
            attached: self.attached.clone(),
            exit_node: self.choices.exit_node.as_ref().map(|exit_node| exit_node.id),
            coordinator: self.connection.remote,
        };
        self.input(Input::Routes(settings));
    }

    /// The default routes that this node offers as an exit node: of each family in which the machine itself reaches the internet.
    fn offered_exits(&self) -> impl Iterator<Item = IpNet> {
        let is_offered = self.choices.advertise_exit_node;
        let is_there = move |somewhere: IpAddr| {
            is_offered && net::local_address_towards((somewhere, 9).into()).is_some()
        };
        let routes = DEFAULT_ROUTES.into_iter().zip(SOMEWHERE);
        routes.filter(move |(_, somewhere)| is_there(*somewhere)).map(|(route, _)| route)
    }

    /// The exit node that the user chose.
    pub(crate) const fn exit_node(&self) -> Option<&ExitNode> {
        self.choices.exit_node.as_ref()
    }

    /// Whether the user wants the node to be an exit node for others.
    pub(crate) const fn is_exit_node(&self) -> bool {
        self.choices.advertise_exit_node
    }

    /// What keeps traffic from leaving past the exit node.
    pub(crate) const fn exit_guard(&self) -> &ExitGuard {
        &self.exit_guard
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
    pub(super) fn want_tunnel(&mut self, mut config: TunnelConfig) -> Result<(), Failure> {
        self.guard_addresses();
        // In the main table a default route would take the place of the machine's own.
        let (exits, routes) = config.routes.iter().copied().partition(is_default);
        config.routes = routes;
        let (addresses, routes) = (config.addresses.clone(), config.routes.clone());
        let wanted = self.tunnel.want(config, self.clock.now());
        // The interface that its routes go by is there now.
        self.exit_guard.set_tunnel(&addresses, exits, &routes);
        wanted
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
