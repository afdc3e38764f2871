//! Networks behind peers: which are used, and through which of the peers that have them.
//!
//! A router is left when it does not answer any more, and for a preferred one only after that has answered for a while: two
//! that take turns at failing must not take the traffic along each time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;
use ipnet::IpNet;
use protocol::api::{NetworkMap, Peer, Route, check_route, is_default};
use protocol::key::PublicKey;

use crate::input::RouteSettings;
use crate::status::{RouteSkipped, RouteStatus};

mod prefixes;

/// How long a preferred router must have answered before traffic returns to it.
const SETTLED_AFTER: Duration = Duration::from_secs(30);

/// One peer that has a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Router {
    key: PublicKey,
    priority: u16,
    /// Since when it has been reachable; `None` where it is not.
    reachable_since: Option<Timestamp>,
}

/// What is known of the networks behind peers.
#[derive(Debug, Default)]
pub(crate) struct Routing {
    settings: RouteSettings,
    /// The networks that are used, each with the peers that have it.
    offered: BTreeMap<IpNet, Vec<(u16, PublicKey)>>,
    skipped: BTreeMap<IpNet, RouteSkipped>,
    exit_nodes: BTreeSet<PublicKey>,
    mesh: Vec<IpNet>,
    chosen: BTreeMap<IpNet, PublicKey>,
    reachable_since: BTreeMap<PublicKey, Timestamp>,
}

impl Routing {
    /// Takes over what this machine wants; says whether that is news.
    pub(crate) fn set_settings(&mut self, settings: RouteSettings) -> bool {
        let is_news = self.settings != settings;
        self.settings = settings;
        is_news
    }

    /// The networks behind this node that its user wants it to offer.
    pub(crate) fn advertised(&self) -> &[IpNet] {
        &self.settings.advertised
    }

    /// The networks behind this node that it offers: those that it wants to, where it can.
    pub(crate) fn offered_here(&self) -> &[IpNet] {
        if self.settings.can_forward { &self.settings.advertised } else { &[] }
    }

    /// The networks behind this node that it offers and may; of an exit node, what that carries, and none that the machine is
    /// attached to.
    pub(crate) fn forwarded(&self, map: &NetworkMap) -> Vec<IpNet> {
        let inside = [map.own.addresses.as_slice(), &self.settings.attached].concat();
        let is_advertised = |route: &&Route| self.settings.advertised.contains(&route.prefix);
        let approved = map.own.routes.iter().filter(is_advertised);
        approved.flat_map(|route| prefixes::carried(route.prefix, &inside)).collect()
    }

    /// Takes over which networks there are.
    pub(crate) fn set_map(&mut self, map: &NetworkMap) {
        self.offered.clear();
        self.skipped.clear();
        self.exit_nodes.clear();
        self.mesh.clone_from(&map.own.addresses);
        for peer in &map.peers {
            for route in &peer.routes {
                self.take_in(map, peer, route);
            }
        }
        self.chosen.retain(|prefix, _| self.offered.contains_key(prefix));
        let routers: BTreeSet<PublicKey> = self.routers().collect();
        self.reachable_since.retain(|key, _| routers.contains(key));
    }

    fn take_in(&mut self, map: &NetworkMap, peer: &Peer, route: &Route) {
        if is_default(&route.prefix) {
            self.exit_nodes.insert(peer.public_key);
            // One among several exit nodes, by the user's choice and no priority: the others are no routes that are left out.
            if self.settings.exit_node != Some(peer.id) {
                return;
            }
        } else if let Some(why) = self.reason_to_skip(map, &route.prefix) {
            self.skipped.insert(route.prefix, why);
            return;
        }
        self.offered.entry(route.prefix).or_default().push((route.priority, peer.public_key));
    }

    fn reason_to_skip(&self, map: &NetworkMap, prefix: &IpNet) -> Option<RouteSkipped> {
        if check_route(prefix, &map.own.addresses).is_err() {
            return Some(RouteSkipped::Unusable);
        }
        if !self.settings.is_accepting {
            return Some(RouteSkipped::NotAccepted);
        }
        // Two routers for one network would send its packets to each other.
        let mut own = self.settings.advertised.iter().filter(|own| !is_default(own));
        if own.any(|own| own.contains(prefix)) {
            return Some(RouteSkipped::Own);
        }
        if let Some(attached) = self.settings.attached.iter().find(|attached| attached.contains(prefix)) {
            return Some(RouteSkipped::Attached { network: attached.trunc() });
        }
        // What carries the tunnel must not go through it.
        let relays = map.relays.iter().map(|relay| relay.address.ip());
        let servers = map.stun_servers.iter().map(std::net::SocketAddr::ip);
        let plain = map.peers.iter().filter_map(|peer| peer.plain_endpoint.map(|endpoint| endpoint.ip()));
        let carriers = relays.chain(servers).chain(plain).chain(self.settings.coordinator);
        let address = carriers.into_iter().find(|address| prefix.contains(address));
        address.map(|address| RouteSkipped::Carrier { address })
    }

    /// The peers that have networks which are used.
    fn routers(&self) -> impl Iterator<Item = PublicKey> {
        self.offered.values().flatten().map(|(_, key)| *key)
    }

    /// The networks that are used: no peer is reached at an address in one, or its tunnel would go through a tunnel. But for what
    /// this machine is attached to, which the kernel prefers to a wider network; and what goes through an exit node, as the
    /// sockets of the tunnel itself are told from others there.
    pub(crate) fn used(&self) -> impl Iterator<Item = (IpAddr, u8)> {
        let left = |prefix: &IpNet| prefixes::without(*prefix, &self.settings.attached);
        self.offered
            .keys()
            .filter(|prefix| !is_default(prefix))
            .flat_map(left)
            .map(|prefix| (prefix.network(), prefix.prefix_len()))
    }

    /// Chooses the routers anew; says whether any is another one.
    pub(crate) fn choose(&mut self, now: Timestamp, is_reachable: impl Fn(&PublicKey) -> bool) -> bool {
        if self.offered.is_empty() && self.chosen.is_empty() {
            return false;
        }
        let routers: BTreeSet<PublicKey> = self.routers().collect();
        for key in routers {
            if is_reachable(&key) {
                self.reachable_since.entry(key).or_insert(now);
            } else {
                self.reachable_since.remove(&key);
            }
        }
        let chosen = self.offered.iter().filter_map(|(prefix, routers)| {
            let router = |(priority, key): &(u16, PublicKey)| Router {
                key: *key,
                priority: *priority,
                reachable_since: self.reachable_since.get(key).copied(),
            };
            let routers: Vec<Router> = routers.iter().map(router).collect();
            choose(self.chosen.get(prefix), &routers, now).map(|key| (*prefix, key))
        });
        let chosen: BTreeMap<IpNet, PublicKey> = chosen.collect();
        let is_other = self.chosen != chosen;
        self.chosen = chosen;
        is_other
    }

    /// The networks that go through a peer now; of an exit node, what that carries.
    pub(crate) fn through<'a>(&'a self, peer: &'a PublicKey) -> impl Iterator<Item = IpNet> + 'a {
        let chosen = self.chosen.iter().filter(move |(_, router)| *router == peer);
        chosen.flat_map(|(prefix, _)| prefixes::carried(*prefix, &self.mesh))
    }

    /// The peers that may be this machine's exit node.
    pub(crate) fn exit_nodes(&self) -> Vec<PublicKey> {
        self.exit_nodes.iter().copied().collect()
    }

    /// The networks that go through any peer now; an exit node's as a default route.
    pub(crate) fn prefixes(&self) -> Vec<IpNet> {
        self.chosen.keys().copied().collect()
    }

    /// For people: every network that the map names.
    pub(crate) fn status(&self) -> Vec<RouteStatus> {
        let used = self.offered.iter().map(|(prefix, routers)| RouteStatus {
            prefix: *prefix,
            through: self.chosen.get(prefix).copied(),
            routers: routers.iter().map(|(priority, key)| (*key, *priority)).collect(),
            skipped: None,
        });
        let skipped = self.skipped.iter().map(|(prefix, why)| RouteStatus {
            prefix: *prefix,
            through: None,
            routers: Vec::new(),
            skipped: Some(*why),
        });
        used.chain(skipped).collect()
    }
}

/// The router for one network.
fn choose(current: Option<&PublicKey>, routers: &[Router], now: Timestamp) -> Option<PublicKey> {
    let rank = |router: &&Router| (router.reachable_since.is_none(), router.priority, router.key);
    let best = routers.iter().min_by_key(rank)?;
    let Some(current) = current.and_then(|key| routers.iter().find(|router| router.key == *key)) else {
        return Some(best.key);
    };
    let Some(since) = best.reachable_since else { return Some(current.key) };
    let is_preferred = best.priority < current.priority && now.since(since) >= SETTLED_AFTER;
    let is_left = current.reachable_since.is_none() || is_preferred;
    Some(if is_left { best.key } else { current.key })
}

#[cfg(test)]
mod tests;
