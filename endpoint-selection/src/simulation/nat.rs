//! A NAT or firewall in the terms of RFC 4787: how it maps (§4.1), how it filters (§5), which ports it takes (§4.2),
//! when it forgets (§4.3), whether it turns packets round (hairpinning, §6), and how much it can remember.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use self::behaviour::Scope;
pub use self::behaviour::{Dependence, Hairpinning, NatBehaviour, PortAllocation};
use self::ports::{COUNT, Ports};
use self::table::Table;
use super::rng::Rng;
use crate::sorted::SortedMap;
use crate::time::Timestamp;

mod behaviour;
mod ports;
mod table;

/// What a mapping is found by when a packet leaves: the inside endpoint and the part of the outside that it is sent to.
type Key = (SocketAddr, Scope);

#[derive(Debug, Clone, Copy)]
struct Mapping {
    number: u64,
    key: Key,
    outside: SocketAddr,
}

impl Mapping {
    const fn inside(&self) -> SocketAddr {
        self.key.0
    }
}

/// Hosts that nobody simulates: all of a box's foreign flows are theirs.
const FOREIGN_HOST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// A NAT or firewall at work. Its cost for a packet hardly grows with what it remembers.
#[derive(Debug, Clone)]
pub struct Nat {
    behaviour: NatBehaviour,
    external: IpAddr,
    exempt: Vec<SocketAddr>,
    mappings: Table<Key, Mapping>,
    by_outside: SortedMap<SocketAddr, Key>,
    /// The ports that were asked for: inside and outside endpoint of each.
    opened: Vec<(SocketAddr, SocketAddr)>,
    /// Who may send in, for each mapping's number.
    permissions: Table<(u64, Scope), ()>,
    /// When each foreign flow's mapping began, and its port, where it has one: nobody sends in there, and all live equally
    /// long.
    foreign: VecDeque<(Timestamp, Option<u16>)>,
    ports: Ports,
    /// How many mappings of hosts that are simulated there have been.
    made: u64,
}

impl Nat {
    /// A NAT with empty tables and this outside address. A firewall has one too, but never uses it.
    #[must_use]
    pub const fn new(behaviour: NatBehaviour, external: IpAddr) -> Self {
        Self {
            behaviour,
            external,
            exempt: Vec::new(),
            mappings: Table::new(behaviour.mapping_timeout()),
            by_outside: SortedMap::new(),
            opened: Vec::new(),
            permissions: Table::new(behaviour.filter_timeout()),
            foreign: VecDeque::new(),
            ports: Ports::new(),
            made: 0,
        }
    }

    /// How it behaves.
    #[must_use]
    pub const fn behaviour(&self) -> &NatBehaviour {
        &self.behaviour
    }

    /// Its outside address.
    #[must_use]
    pub const fn external(&self) -> IpAddr {
        self.external
    }

    /// Mappings that live, as of the last packet.
    #[must_use]
    pub fn mappings(&self) -> usize {
        self.mappings.len() + self.foreign.len()
    }

    /// Whether it changes addresses; a firewall does not.
    #[must_use]
    pub const fn translates(&self) -> bool {
        self.behaviour.mapping.is_some()
    }

    /// Packets to `remote` share one mapping for each inside endpoint, whatever the mapping behaviour is. Boxes that do
    /// this for STUN servers make STUN report a mapping that peers never see.
    pub fn exempt(&mut self, remote: SocketAddr) {
        self.exempt.push(remote);
    }

    /// Opens an outside port for an inside endpoint that asked for one (PCP, NAT-PMP, UPnP-IGD), until the tables are emptied:
    /// anyone may send in, and what the endpoint sends leaves from there. `None` where there is no port left, or nothing is
    /// translated.
    pub fn open_port(&mut self, inside: SocketAddr, rng: &mut Rng) -> Option<SocketAddr> {
        if let Some(outside) = self.opened_by(inside) {
            return Some(outside);
        }
        if !self.translates() {
            return None;
        }
        // What a user asks for does not depend on how the box chooses ports by itself.
        let port = self.ports.take(PortAllocation::Preserving, inside, rng)?;
        let outside = SocketAddr::new(self.external, port);
        self.opened.push((inside, outside));
        Some(outside)
    }

    fn opened_by(&self, inside: SocketAddr) -> Option<SocketAddr> {
        self.opened.iter().find(|(by, _)| *by == inside).map(|(_, outside)| *outside)
    }

    fn opened_for(&self, outside: SocketAddr) -> Option<SocketAddr> {
        self.opened.iter().find(|(_, open)| *open == outside).map(|(inside, _)| *inside)
    }

    /// Power off and on, and a new address from the provider.
    pub fn reboot(&mut self, external: IpAddr) {
        let exempt = std::mem::take(&mut self.exempt);
        *self = Self { exempt, ..Self::new(self.behaviour, external) };
    }

    /// Forgets its tables; address and counters stay.
    pub fn flush(&mut self) {
        self.mappings.clear();
        self.by_outside.clear();
        self.opened.clear();
        self.permissions.clear();
        self.foreign.clear();
        self.ports.clear();
    }

    /// Behaves otherwise from now on, with the same address and empty tables.
    pub fn set_behaviour(&mut self, behaviour: NatBehaviour) {
        self.flush();
        self.behaviour = behaviour;
        self.mappings = Table::new(behaviour.mapping_timeout());
        self.permissions = Table::new(behaviour.filter_timeout());
    }

    /// A packet leaves: its source as the outside sees it; `None` where it is dropped because there is no room for its
    /// mapping.
    pub fn outbound(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        to: SocketAddr,
        rng: &mut Rng,
    ) -> Option<SocketAddr> {
        self.expire(now);
        if let Some(outside) = self.opened_by(from) {
            return Some(outside);
        }
        let dependence = match self.behaviour.mapping {
            Some(dependence) if !self.exempt.contains(&to) => dependence,
            Some(_) | None => Dependence::EndpointIndependent,
        };
        let key = (from, Scope::of(to, dependence));
        let mapping = match self.mappings.refresh(now, &key) {
            Some(mapping) => *mapping,
            None => self.map(now, key, rng)?,
        };
        let permission = (mapping.number, Scope::of(to, self.behaviour.filtering));
        if self.permissions.refresh(now, &permission).is_none() {
            self.permissions.insert(now, permission, ());
        }
        Some(mapping.outside)
    }

    /// A packet comes from outside: the inside endpoint that it is for; `None` where it is dropped.
    pub fn inbound(&mut self, now: Timestamp, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        self.expire(now);
        if let Some(inside) = self.opened_for(to) {
            return Some(inside);
        }
        let key = *self.by_outside.get(&to)?;
        let mapping = *self.mappings.get(&key)?;
        let permission = (mapping.number, Scope::of(from, self.behaviour.filtering));
        self.permissions.get(&permission)?;
        if self.behaviour.inbound_refresh {
            self.mappings.refresh(now, &key);
            self.permissions.refresh(now, &permission);
        }
        Some(mapping.inside())
    }

    /// A packet from inside to our own outside address ([`Self::external`]): its source as the receiver sees it, and the
    /// inside endpoint that it is for; `None` where it is dropped.
    pub fn hairpin(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        to: SocketAddr,
        rng: &mut Rng,
    ) -> Option<(SocketAddr, SocketAddr)> {
        if !self.translates() || self.behaviour.hairpinning == Hairpinning::None {
            return None;
        }
        let outside = self.outbound(now, from, to, rng)?;
        let (inside, is_open) = match self.opened_for(to) {
            Some(inside) => (inside, true),
            None => (self.by_outside.get(&to)?.0, self.behaviour.hairpinning == Hairpinning::Open),
        };
        let is_let_in = is_open || self.inbound(now, outside, to).is_some();
        is_let_in.then_some((outside, inside))
    }

    /// Other hosts behind this box open `n` mappings, which take ports, count against [`NatBehaviour::mappings_max`], and
    /// are over after the usual time. Returns how many there was room for.
    pub fn foreign_flows(&mut self, now: Timestamp, n: u32, rng: &mut Rng) -> u32 {
        self.expire(now);
        (0..n).take_while(|_| self.is_foreign_mapped(now, rng)).fold(0, |mapped, _| mapped + 1)
    }

    fn is_foreign_mapped(&mut self, now: Timestamp, rng: &mut Rng) -> bool {
        let inside = SocketAddr::new(FOREIGN_HOST, u16::try_from(rng.below(1 << 16)).unwrap_or_default());
        if self.is_full() {
            return false;
        }
        // A firewall has no ports to give: each flow is an endpoint of its own.
        let port = self.translates().then(|| self.ports.take(self.behaviour.allocation, inside, rng));
        let has_room = port != Some(None);
        if has_room {
            self.foreign.push_back((now, port.flatten()));
        }
        has_room
    }

    fn is_full(&self) -> bool {
        let ports = u32::from(COUNT);
        let max = self.behaviour.mappings_max.map_or(ports, |max| max.min(ports));
        u32::try_from(self.mappings()).is_ok_and(|mappings| mappings >= max)
    }

    fn map(&mut self, now: Timestamp, key: Key, rng: &mut Rng) -> Option<Mapping> {
        if self.is_full() {
            return None;
        }
        let (inside, _) = key;
        let outside = if self.translates() {
            let port = self.ports.take(self.behaviour.allocation, inside, rng)?;
            SocketAddr::new(self.external, port)
        } else {
            inside
        };
        let mapping = Mapping { number: self.made, key, outside };
        self.made += 1;
        self.by_outside.insert(outside, key);
        self.mappings.insert(now, key, mapping);
        Some(mapping)
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some(mapping) = self.mappings.take_over(now) {
            self.by_outside.remove(&mapping.outside);
            self.ports.release(mapping.inside().ip(), mapping.outside.port());
        }
        while self.permissions.take_over(now).is_some() {}
        let timeout = self.behaviour.mapping_timeout();
        while let Some((since, port)) = self.foreign.front().copied()
            && since + timeout < now
        {
            self.foreign.pop_front();
            if let Some(port) = port {
                self.ports.release(FOREIGN_HOST, port);
            }
        }
    }
}

#[cfg(test)]
mod tests;
