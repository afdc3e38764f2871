//! A NAT or firewall in the terms of RFC 4787: how it maps (§4.1), how it filters (§5), which ports it takes (§4.2),
//! when it forgets (§4.3) and whether it turns packets round (hairpinning, §6).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::rng::Rng;
use crate::time::Timestamp;

/// On what of the remote endpoint a behaviour depends (RFC 4787 §4.1 and §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dependence {
    /// On nothing.
    EndpointIndependent,
    /// On its address.
    AddressDependent,
    /// On its address and port.
    AddressAndPortDependent,
}

/// Which outside port a new mapping gets (RFC 4787 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortAllocation {
    /// The inside port where it is free, else as [`Self::Sequential`].
    Preserving,
    /// The next one.
    Sequential,
    /// Any free one.
    Random,
}

/// How a box in front of a network behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NatBehaviour {
    /// `None`: addresses stay as they are; a stateful firewall.
    pub mapping: Option<Dependence>,
    /// Who may send in.
    pub filtering: Dependence,
    /// How ports are chosen.
    pub ports: PortAllocation,
    /// How long a mapping, and a permission to send in, lives after the last packet out (REQ-6: only packets from
    /// the inside refresh).
    pub timeout: Duration,
    /// Whether inside hosts reach one another by their outside addresses.
    pub hairpin: bool,
}

impl NatBehaviour {
    /// A NAT that maps and filters as given, keeps ports where it can, forgets after two minutes (the least that
    /// RFC 4787 REQ-5 allows) and does not hairpin.
    #[must_use]
    pub const fn new(mapping: Dependence, filtering: Dependence) -> Self {
        let ports = match mapping {
            Dependence::EndpointIndependent => PortAllocation::Preserving,
            Dependence::AddressDependent | Dependence::AddressAndPortDependent => PortAllocation::Random,
        };
        Self { mapping: Some(mapping), filtering, ports, timeout: Duration::from_secs(120), hairpin: false }
    }

    /// A stateful firewall without translation, as in front of most IPv6 hosts.
    #[must_use]
    pub const fn firewall() -> Self {
        let dependence = Dependence::AddressAndPortDependent;
        Self { mapping: None, ..Self::new(dependence, dependence) }
    }
}

/// The part of a remote endpoint that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Any,
    Address(IpAddr),
    Endpoint(SocketAddr),
}

impl Scope {
    const fn of(remote: SocketAddr, dependence: Dependence) -> Self {
        match dependence {
            Dependence::EndpointIndependent => Self::Any,
            Dependence::AddressDependent => Self::Address(remote.ip()),
            Dependence::AddressAndPortDependent => Self::Endpoint(remote),
        }
    }
}

type Key = (SocketAddr, Scope);

#[derive(Debug)]
struct Mapping {
    external: SocketAddr,
    used_at: Timestamp,
    permitted: BTreeMap<Scope, Timestamp>,
}

/// A NAT or firewall at work.
#[derive(Debug)]
pub struct Nat {
    /// How it behaves.
    pub behaviour: NatBehaviour,
    /// Its outside address; a firewall has one too, but never uses it.
    pub external: IpAddr,
    mappings: BTreeMap<Key, Mapping>,
    by_external: BTreeMap<SocketAddr, Key>,
    next_port: u16,
}

/// The ports that sequential and random allocation take: those that no host of ours uses itself.
const PORT_FIRST: u16 = 20_000;
const PORT_COUNT: u16 = 20_000;

impl Nat {
    /// A NAT with empty tables.
    #[must_use]
    pub const fn new(behaviour: NatBehaviour, external: IpAddr) -> Self {
        Self {
            behaviour,
            external,
            mappings: BTreeMap::new(),
            by_external: BTreeMap::new(),
            next_port: PORT_FIRST,
        }
    }

    /// Power off and on, and a new address from the provider.
    pub fn reboot(&mut self, external: IpAddr) {
        *self = Self::new(self.behaviour, external);
    }

    /// A packet leaves: its source as the outside sees it.
    pub fn outbound(
        &mut self,
        now: Timestamp,
        from: SocketAddr,
        to: SocketAddr,
        rng: &mut Rng,
    ) -> SocketAddr {
        let dependence = self.behaviour.mapping.unwrap_or(Dependence::EndpointIndependent);
        let key = (from, Scope::of(to, dependence));
        if self.mappings.get(&key).is_some_and(|mapping| self.is_over(now, mapping.used_at))
            && let Some(mapping) = self.mappings.remove(&key)
        {
            self.by_external.remove(&mapping.external);
        }
        if !self.mappings.contains_key(&key) {
            let external = self.allocate(now, from, rng);
            self.by_external.insert(external, key);
            let mapping = Mapping { external, used_at: now, permitted: BTreeMap::new() };
            self.mappings.insert(key, mapping);
        }
        let permission = Scope::of(to, self.behaviour.filtering);
        let Some(mapping) = self.mappings.get_mut(&key) else { return from };
        mapping.used_at = now;
        mapping.permitted.insert(permission, now);
        mapping.external
    }

    /// A packet comes from outside: the inside endpoint that it is for; `None` where it is dropped.
    pub fn inbound(&self, now: Timestamp, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        let key = self.by_external.get(&to)?;
        let mapping = self.mappings.get(key)?;
        let permission = Scope::of(from, self.behaviour.filtering);
        let permitted = mapping.permitted.get(&permission).is_some_and(|at| !self.is_over(now, *at));
        (permitted && !self.is_over(now, mapping.used_at)).then_some(key.0)
    }

    fn is_over(&self, now: Timestamp, since: Timestamp) -> bool {
        now.since(since) > self.behaviour.timeout
    }

    fn allocate(&mut self, now: Timestamp, from: SocketAddr, rng: &mut Rng) -> SocketAddr {
        if self.behaviour.mapping.is_none() {
            return from;
        }
        let preserved = SocketAddr::new(self.external, from.port());
        if self.behaviour.ports == PortAllocation::Preserving && self.is_free(now, preserved) {
            return preserved;
        }
        loop {
            let port = if self.behaviour.ports == PortAllocation::Random {
                PORT_FIRST + u16::try_from(rng.below(u64::from(PORT_COUNT))).unwrap_or(0)
            } else {
                // Never one that was in use lately: a counter, as in most devices.
                let port = self.next_port;
                self.next_port = if port >= PORT_FIRST + PORT_COUNT { PORT_FIRST } else { port + 1 };
                port
            };
            let external = SocketAddr::new(self.external, port);
            if self.is_free(now, external) {
                return external;
            }
        }
    }

    fn is_free(&mut self, now: Timestamp, external: SocketAddr) -> bool {
        let Some(key) = self.by_external.get(&external).copied() else { return true };
        let over = self.mappings.get(&key).is_none_or(|mapping| self.is_over(now, mapping.used_at));
        if over {
            self.mappings.remove(&key);
            self.by_external.remove(&external);
        }
        over
    }
}

#[cfg(test)]
mod tests;
