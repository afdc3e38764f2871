//! A NAT or firewall in the terms of RFC 4787: how it maps (§4.1), how it filters (§5), which ports it takes (§4.2),
//! when it forgets (§4.3), whether it turns packets round (hairpinning, §6), and how much it can remember.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use self::behaviour::Scope;
pub use self::behaviour::{Dependence, Hairpinning, NatBehaviour, PortAllocation};
use self::ports::Ports;
use self::table::Table;
use super::rng::Rng;
use crate::time::Timestamp;

mod behaviour;
mod ports;
mod table;

/// What a mapping is found by when a packet leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// A packet from this inside endpoint to this part of the outside.
    Own(SocketAddr, Scope),
    /// A mapping of hosts that nobody simulates; numbered.
    Foreign(u64),
}

#[derive(Debug, Clone, Copy)]
struct Mapping {
    number: u64,
    inside: SocketAddr,
    outside: SocketAddr,
}

/// A NAT or firewall at work. Its cost for a packet grows with the logarithm of what it remembers.
#[derive(Debug)]
pub struct Nat {
    behaviour: NatBehaviour,
    external: IpAddr,
    exempt: BTreeSet<SocketAddr>,
    mappings: Table<Key, Mapping>,
    by_outside: BTreeMap<SocketAddr, Key>,
    /// Who may send in, for each mapping's number.
    permissions: Table<(u64, Scope), ()>,
    ports: Ports,
    /// How many mappings there have been.
    made: u64,
}

impl Nat {
    /// A NAT with empty tables and this outside address. A firewall has one too, but never uses it.
    #[must_use]
    pub const fn new(behaviour: NatBehaviour, external: IpAddr) -> Self {
        Self {
            behaviour,
            external,
            exempt: BTreeSet::new(),
            mappings: Table::new(behaviour.mapping_timeout()),
            by_outside: BTreeMap::new(),
            permissions: Table::new(behaviour.filter_timeout()),
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
        self.mappings.len()
    }

    /// Whether it changes addresses; a firewall does not.
    #[must_use]
    pub const fn translates(&self) -> bool {
        self.behaviour.mapping.is_some()
    }

    /// Packets to `remote` share one mapping for each inside endpoint, whatever the mapping behaviour is. Boxes that do
    /// this for STUN servers make STUN report a mapping that peers never see.
    pub fn exempt(&mut self, remote: SocketAddr) {
        self.exempt.insert(remote);
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
        self.permissions.clear();
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
        let dependence = match self.behaviour.mapping {
            Some(dependence) if !self.exempt.contains(&to) => dependence,
            Some(_) | None => Dependence::EndpointIndependent,
        };
        let key = Key::Own(from, Scope::of(to, dependence));
        let mapping = match self.mappings.refresh(now, &key) {
            Some(mapping) => *mapping,
            None => self.map(now, key, from, rng)?,
        };
        self.permissions.insert(now, (mapping.number, Scope::of(to, self.behaviour.filtering)), ());
        Some(mapping.outside)
    }

    /// A packet comes from outside: the inside endpoint that it is for; `None` where it is dropped.
    pub fn inbound(&mut self, now: Timestamp, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        self.expire(now);
        let key = *self.by_outside.get(&to)?;
        let mapping = *self.mappings.get(&key)?;
        let permission = (mapping.number, Scope::of(from, self.behaviour.filtering));
        if !self.permissions.contains(&permission) {
            return None;
        }
        if self.behaviour.inbound_refresh {
            self.mappings.refresh(now, &key);
            self.permissions.refresh(now, &permission);
        }
        Some(mapping.inside)
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
        let inside = match self.by_outside.get(&to)? {
            Key::Own(inside, _) if self.behaviour.hairpinning == Hairpinning::Open => *inside,
            Key::Own(..) | Key::Foreign(_) => self.inbound(now, outside, to)?,
        };
        Some((outside, inside))
    }

    /// Other hosts behind this box open `n` mappings, which take ports, count against [`NatBehaviour::mappings_max`], and
    /// are over after the usual time. Returns how many there was room for.
    pub fn foreign_flows(&mut self, now: Timestamp, n: u32, rng: &mut Rng) -> u32 {
        self.expire(now);
        let is_mapped = |_: &u32| {
            let port = u16::try_from(rng.below(1 << 16)).unwrap_or_default();
            let inside = match self.translates() {
                true => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
                // A firewall has no ports to give: each flow is an endpoint of its own.
                false => SocketAddr::new(foreign_host(self.made), port),
            };
            self.map(now, Key::Foreign(self.made), inside, rng).is_some()
        };
        u32::try_from((0..n).take_while(is_mapped).count()).unwrap_or(n)
    }

    fn map(&mut self, now: Timestamp, key: Key, inside: SocketAddr, rng: &mut Rng) -> Option<Mapping> {
        let is_full = |max: u32| usize::try_from(max).is_ok_and(|max| self.mappings.len() >= max);
        if self.behaviour.mappings_max.is_some_and(is_full) {
            return None;
        }
        let outside = if self.translates() {
            let port = self.ports.take(self.behaviour.allocation, inside, rng)?;
            SocketAddr::new(self.external, port)
        } else {
            inside
        };
        let mapping = Mapping { number: self.made, inside, outside };
        self.made += 1;
        self.by_outside.insert(outside, key);
        self.mappings.insert(now, key, mapping);
        Some(mapping)
    }

    fn expire(&mut self, now: Timestamp) {
        while let Some((_, mapping)) = self.mappings.take_over(now) {
            self.by_outside.remove(&mapping.outside);
            self.ports.release(mapping.inside.ip(), mapping.outside.port());
        }
        while self.permissions.take_over(now).is_some() {}
    }
}

/// An address for a host that nobody simulates, from a range that is never used (RFC 1112 §4: 240.0.0.0/4).
fn foreign_host(number: u64) -> IpAddr {
    let low = u32::try_from(number % (1 << 28)).unwrap_or_default();
    Ipv4Addr::from(0xf000_0000 | low).into()
}

#[cfg(test)]
mod tests;
