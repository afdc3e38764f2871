//! The port that our router opened for us (PCP, NAT-PMP, UPnP-IGD): a candidate, and what it says about the NATs on the way.

use std::net::{IpAddr, SocketAddr};

use endpoint_selection::{
    Candidate, CandidateKind, CandidateSource, Realm, SocketId, Timestamp, check_address,
};
use protocol::api::may_be_relay_address;

use super::Discovery;
use crate::input::PortMapping;

impl Discovery {
    /// Takes in what the router says. Returns whether our candidates changed.
    pub(crate) fn set_port_mapping(&mut self, now: Timestamp, mapping: Option<PortMapping>) -> bool {
        if self.port_mapping == mapping {
            return false;
        }
        let before = self.candidates();
        self.port_mapping = mapping;
        let router = mapping.map(|mapping| mapping.external.ip().to_canonical());
        self.evidence.router_address = router.map(|ip| (ip, now));
        if router.is_some_and(|ip| Realm::of(ip) != Realm::Global) {
            // A layer of NAT beyond the router: judged together with what servers see now, not by evidence that was judged
            // before, for what is seen twice counts.
            self.refresh_at = Some(now);
        }
        before != self.candidates()
    }

    /// Whether servers on the internet see us at another address than the one that the router calls its own: its address changed,
    /// or it lies. Traffic to a foreign address would bother others and reach nobody of ours.
    pub(crate) fn doubts_port_mapping(&self) -> bool {
        self.port_mapping.is_some_and(|mapping| self.doubts(&mapping))
    }

    /// The same of any port that the router opened.
    pub(crate) fn doubts(&self, mapping: &PortMapping) -> bool {
        self.is_foreign(mapping.external.ip().to_canonical())
    }

    /// The machine's own addresses with this port.
    pub(crate) fn host_addresses(&self, port: u16) -> impl Iterator<Item = SocketAddr> {
        self.local.iter().map(move |local| SocketAddr::new(local.address, port))
    }

    /// Whether strangers may be told that a relay of ours is at this address.
    pub(crate) fn may_be_relay_address(&self, address: SocketAddr) -> bool {
        may_be_relay_address(address) && check_address(address, &self.mesh).is_ok()
    }

    /// The candidate that the router opened. An address of another realm than the internet's stays one: it may reach us from
    /// within that realm, behind one carrier's NAT or in one house.
    pub(crate) fn port_mapped(&self) -> Option<Candidate> {
        let mapping = self.port_mapping.filter(|_| !self.doubts_port_mapping())?;
        check_address(mapping.external, &self.mesh).ok()?;
        Some(Candidate {
            kind: CandidateKind::PortMapped,
            address: mapping.external,
            base: Some(mapping.base),
            source: CandidateSource::Router(mapping.protocol),
        })
    }

    /// The machine's addresses changed: a port that led to one of them may still be open, one to another address is not ours.
    pub(super) fn keep_port_mapping(&mut self, router: Option<(IpAddr, Timestamp)>) {
        let is_ours =
            |mapping: &PortMapping| self.local.iter().any(|local| local.address == mapping.base.ip());
        self.port_mapping = self.port_mapping.filter(is_ours);
        self.evidence.router_address = router.filter(|_| self.port_mapping.is_some());
    }

    fn is_foreign(&self, router: IpAddr) -> bool {
        let is_internet = |ip: &IpAddr| ip.is_ipv4() && Realm::of(*ip) == Realm::Global;
        if !is_internet(&router) {
            return false;
        }
        let bindings = self.evidence.bindings.iter().filter(|binding| binding.socket == SocketId::MAIN);
        let by_servers = bindings.map(|binding| binding.reflexive);
        let mut seen = by_servers
            .chain(self.seen_by_relays.values().copied())
            .map(|address| address.ip().to_canonical())
            .filter(is_internet)
            .peekable();
        seen.peek().is_some() && seen.all(|ip| ip != router)
    }
}
