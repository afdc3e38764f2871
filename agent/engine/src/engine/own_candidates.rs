//! Where we may be reached: asked anew, and told to whom it concerns.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use endpoint_selection::Timestamp;
use endpoint_selection::nat::Mapping;
use protocol::probe::CALL_CANDIDATES_MAX;

use super::Engine;
use crate::context::Context;

impl Engine {
    pub(super) fn rediscover(&mut self, now: Timestamp) {
        self.discovery.ask_all(&mut context!(self, now));
        for relay in self.relays.values_mut() {
            relay.check_now(now);
        }
    }

    pub(super) fn on_own_candidates_changed(&mut self, now: Timestamp) {
        self.note_own_relay(now);
        let addresses: Vec<SocketAddr> = self
            .discovery
            .candidates()
            .into_iter()
            .map(|candidate| candidate.address)
            .take(CALL_CANDIDATES_MAX)
            .collect();
        let nat = self.discovery.nat();
        let is_other_mapping = self.reported_nat.mapping != nat.mapping;
        if self.reported_nat != nat {
            self.reported_nat = nat;
            self.reporter.touch(now);
        }
        let mapped = self.discovery.port_mapped().map(|candidate| candidate.address);
        let is_other_port = std::mem::replace(&mut self.own_port_mapped, mapped) != mapped;
        if is_other_port {
            // Where the NAT keeps ports, the same address was known before, but not that anyone may send to it.
            self.reporter.touch(now);
        }
        if self.own_addresses == addresses && !is_other_mapping {
            return;
        }
        // A NAT with another port for each destination shows servers new ones again and again; no peer can use them.
        let is_dependent = nat.mapping.is_some_and(Mapping::is_dependent);
        let is_told = is_other_mapping || is_other_port || !is_dependent;
        let is_news = is_told || ips(&self.own_addresses) != ips(&addresses);
        self.own_addresses = addresses;
        if is_news {
            self.reporter.touch(now);
            for peer in self.peers.values_mut() {
                peer.on_own_change(now);
            }
        }
    }
}

fn ips(addresses: &[SocketAddr]) -> BTreeSet<IpAddr> {
    addresses.iter().map(SocketAddr::ip).collect()
}
