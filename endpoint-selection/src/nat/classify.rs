//! From evidence to a profile (RFC 4787 terms; the comparison of mappings is that of RFC 5780 §4.3).

use std::net::{IpAddr, SocketAddr};

use super::allocation::{Sample, allocation_of};
use super::evidence::{Binding, Evidence, EvidenceError};
use super::profile::{Filtering, Lifetime, Mapping, NatProfile, UdpReach};
use crate::address::{Realm, check_address};
use crate::socket::SocketId;
use crate::sorted::SortedMap;
use crate::time::Timestamp;

/// Silent servers at this many addresses mean that UDP is blocked; one alone may simply be down.
const SILENT_SERVERS_MIN: usize = 2;

/// What the evidence says. Addresses that no NAT has (multicast, loopback, port 0) are ignored: a server that tells them
/// says nothing.
///
/// # Errors
/// Evidence with more entries than an honest collector keeps.
pub fn classify(evidence: &Evidence) -> Result<NatProfile, EvidenceError> {
    evidence.validate()?;
    let sound: Vec<Binding> = evidence
        .bindings
        .iter()
        .filter(|binding| binding.server.is_ipv4() && check_address(binding.reflexive, &[]).is_ok())
        .copied()
        .collect();
    let outer = outermost(&sound);
    let mapping = mapping_of(&outer, |binding| is_own(evidence, binding));
    let is_translated = mapping != Some(Mapping::None);
    Ok(NatProfile {
        mapping,
        filtering: filtering_of(evidence, &outer),
        allocation: mapping
            .filter(|_| is_translated)
            .and_then(|mapping| allocation_of(&samples(&outer, mapping))),
        hairpin: evidence.hairpin.filter(|_| is_translated).map(|(works, _)| works),
        lifetime: lifetime_of(evidence).filter(|_| is_translated),
        inner_address: inner_address(evidence, &sound, &outer),
        udp: udp_of(evidence),
        is_contradicted: contradiction_of(evidence, &outer, mapping),
    })
}

/// What the answers to the main socket alone say: it asks all the time, the others only now and then, and what those saw of a NAT
/// that has changed since may outvote it.
#[must_use]
pub fn mapping_of_main(evidence: &Evidence) -> Option<Mapping> {
    let main = evidence.bindings.iter().filter(|binding| binding.socket == SocketId::MAIN).copied().collect();
    classify(&Evidence { bindings: main, local: evidence.local.clone(), ..Evidence::default() }).ok()?.mapping
}

fn is_own(evidence: &Evidence, binding: &Binding) -> bool {
    binding.reflexive.port() == binding.local_port
        && evidence.local.contains(&binding.reflexive.ip().to_canonical())
}

/// The answers that see the node from farthest outside. Servers inside the carrier's or the own network see less of the way,
/// and comparing their answers with the others' would make layered NATs look address-dependent.
fn outermost(bindings: &[Binding]) -> Vec<Binding> {
    let realm = bindings.iter().map(|binding| Realm::of(binding.reflexive.ip())).max();
    bindings.iter().filter(|binding| Some(Realm::of(binding.reflexive.ip())) == realm).copied().collect()
}

fn inner_address(evidence: &Evidence, all: &[Binding], outer: &[Binding]) -> Option<IpAddr> {
    let outer_realm = outer.first().map(|binding| Realm::of(binding.reflexive.ip()))?;
    let seen = all.iter().map(|binding| binding.reflexive.ip());
    let told = evidence.router_address.map(|(address, _)| address);
    seen.chain(told)
        .filter(|ip| Realm::of(*ip) < outer_realm && !evidence.local.contains(ip))
        .max_by_key(|ip| Realm::of(*ip))
}

fn mapping_of(outer: &[Binding], is_own: impl Fn(&Binding) -> bool) -> Option<Mapping> {
    if !outer.is_empty() && outer.iter().all(is_own) {
        return Some(Mapping::None);
    }
    let (mut by_address, mut by_port) = (false, false);
    let (mut compared_addresses, mut compared_ports) = (false, false);
    for (index, one) in outer.iter().enumerate() {
        for other in outer[..index].iter().filter(|other| other.socket == one.socket) {
            let differs = one.reflexive != other.reflexive;
            if one.server.ip() == other.server.ip() {
                compared_ports = true;
                by_port |= differs;
            } else {
                compared_addresses = true;
                by_address |= differs;
            }
        }
    }
    match (by_port, by_address) {
        (true, _) => Some(Mapping::AddressAndPortDependent),
        (false, true) if compared_ports => Some(Mapping::AddressDependent),
        (false, true) => Some(Mapping::Dependent),
        (false, false) if compared_addresses => Some(Mapping::EndpointIndependent),
        // One server, or several ports of one, cannot prove independence.
        (false, false) => None,
    }
}

/// One sample per mapping, in the order in which they were made.
fn samples(outer: &[Binding], mapping: Mapping) -> Vec<Sample> {
    let scope = |binding: &Binding| match mapping {
        Mapping::None | Mapping::EndpointIndependent => None,
        Mapping::AddressDependent => Some(SocketAddr::new(binding.server.ip(), 0)),
        Mapping::AddressAndPortDependent | Mapping::Dependent => Some(binding.server),
    };
    let mut first: SortedMap<(SocketId, Option<SocketAddr>), &Binding> = SortedMap::new();
    for binding in outer {
        let key = (binding.socket, scope(binding));
        if first.get(&key).is_none_or(|known| (binding.at, binding.server) < (known.at, known.server)) {
            first.insert(key, binding);
        }
    }
    let mut made: SortedMap<(Timestamp, SocketId, SocketAddr), &Binding> = SortedMap::new();
    for binding in first.values() {
        made.insert((binding.at, binding.socket, binding.server), binding);
    }
    made.values().map(|b| Sample { at: b.at, local: b.local_port, outside: b.reflexive.port() }).collect()
}

/// Only laxness shows: that nothing came in proves nothing. A neighbour's packet passed no filter, one from the carrier's
/// network only the inner one, and one from our own outside address was turned round, which has rules of its own.
fn filtering_of(evidence: &Evidence, outer: &[Binding]) -> Option<Filtering> {
    let is_turned = |ip| outer.iter().any(|binding| binding.reflexive.ip() == ip);
    let passed = |from: IpAddr| from.is_ipv4() && Realm::of(from) == Realm::Global && !is_turned(from);
    evidence
        .heard
        .iter()
        .filter(|heard| passed(heard.from.ip()))
        .map(|heard| {
            if heard.is_address_known { Filtering::AddressDependent } else { Filtering::EndpointIndependent }
        })
        .min()
}

fn lifetime_of(evidence: &Evidence) -> Option<Lifetime> {
    let shorter = evidence.idle.iter().filter(|outcome| !outcome.held).map(|outcome| outcome.idle_ms).min();
    let held = evidence.idle.iter().filter(|outcome| outcome.held).map(|outcome| outcome.idle_ms);
    // A mapping that once held longer than another did has luck on its side (somebody else refreshed it).
    let longer = held.filter(|idle_ms| shorter.is_none_or(|shorter| *idle_ms < shorter)).max();
    (shorter.is_some() || longer.is_some())
        .then_some(Lifetime { longer_than_ms: longer, shorter_than_ms: shorter })
}

fn udp_of(evidence: &Evidence) -> Option<UdpReach> {
    if !(evidence.bindings.is_empty() && evidence.peer_views.is_empty() && evidence.heard.is_empty()) {
        return Some(UdpReach::Open);
    }
    let mut silent: SortedMap<IpAddr, ()> = SortedMap::new();
    for server in &evidence.unanswered {
        silent.insert(server.ip(), ());
    }
    (silent.len() >= SILENT_SERVERS_MIN).then_some(UdpReach::Blocked)
}

/// Whether peers see another port of the NAT than the servers do, though the servers agree. A peer that sees us from
/// another address altogether stands behind the same NAT, or our way to it does not pass it: that proves nothing.
fn contradiction_of(evidence: &Evidence, outer: &[Binding], mapping: Option<Mapping>) -> Option<bool> {
    if mapping != Some(Mapping::EndpointIndependent) {
        return None;
    }
    let reflexive = outer.iter().find(|binding| binding.socket == SocketId::MAIN)?.reflexive;
    let mut views = evidence
        .peer_views
        .iter()
        .filter(|view| view.socket == SocketId::MAIN && view.observed.ip() == reflexive.ip())
        .peekable();
    views.peek()?;
    Some(views.any(|view| view.observed != reflexive))
}

#[cfg(test)]
mod tests;
