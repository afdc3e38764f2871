//! Networks behind nodes: the tunnel as the choice of routers wants it, and what this node passes on.

use endpoint_selection::Timestamp;
use protocol::api::NetworkMap;

use super::Engine;
use crate::context::Context;
use crate::input::RouteSettings;
use crate::output::Output;
use crate::wanted_tunnel;

impl Engine {
    /// What this machine wants of networks behind nodes.
    pub(super) fn on_route_settings(&mut self, now: Timestamp, settings: RouteSettings) {
        let before = self.routing.offered_here().to_vec();
        if !self.routing.set_settings(settings) {
            return;
        }
        if self.routing.offered_here() != before {
            self.reporter.touch(now);
        }
        if let Some(map) = self.map.clone() {
            self.note_routes(now, &map);
        }
    }

    /// The map, or this machine, says something else about networks behind nodes.
    pub(super) fn note_routes(&mut self, now: Timestamp, map: &NetworkMap) {
        self.routing.set_map(map);
        let inside: Vec<_> =
            wanted_tunnel::mesh_prefixes(map).into_iter().chain(self.routing.used()).collect();
        if self.inside != inside {
            for peer in self.peers.values_mut() {
                peer.set_inside(&mut context!(self, now), &inside);
            }
            self.inside = inside;
        }
        let forwarded = self.routing.forwarded(map);
        if self.forwarded != forwarded {
            self.forwarded.clone_from(&forwarded);
            self.outputs.push_back(Output::SetForwarding(forwarded));
        }
        self.note_tunnel(map);
    }

    /// Routers that answer no more are left.
    pub(super) fn choose_routers(&mut self, now: Timestamp) {
        let peers = &self.peers;
        let is_reachable = |key: &_| peers.get(key).is_some_and(|peer| peer.is_reachable(now));
        if self.routing.choose(now, is_reachable)
            && let Some(map) = self.map.take()
        {
            self.note_tunnel(&map);
            self.map = Some(map);
        }
    }

    fn note_tunnel(&mut self, map: &NetworkMap) {
        let tunnel = wanted_tunnel::tunnel_config(map, &self.config.private_key, &self.routing);
        if self.tunnel.as_ref() != Some(&tunnel) {
            self.tunnel = Some(tunnel.clone());
            self.outputs.push_back(Output::SetTunnel(tunnel));
        }
    }
}
