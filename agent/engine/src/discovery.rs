//! Our own candidates: interface addresses, and what STUN servers and relays saw us as.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use endpoint_selection::nat::{Mapping, NatProfile};
use endpoint_selection::{Candidate, CandidateKind, CandidateSource, Timestamp, check_address};
use protocol::api::REPORT_CANDIDATES_MAX;
use protocol::stun;

use crate::context::Context;
use crate::input::LocalAddress;
use crate::status::StunStatus;

/// Times of a binding request's transmissions after its start (RFC 8489 §6.2.1 with a shorter first timeout: the next
/// one costs 20 bytes, a lost first one costs a user's patience).
const SEND_MS: [u64; 5] = [0, 200, 600, 1_400, 3_000];

/// After the last transmission, how long an answer may still come.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// How often we ask again without a reason: a mapping can change silently, but a relay keepalive notices that sooner.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// The most STUN servers asked: two addresses with two ports tell a mapping apart.
const SERVERS_MAX: usize = 8;

#[derive(Default)]
pub(crate) struct Discovery {
    local_port: u16,
    statics: Vec<SocketAddr>,
    mesh: Vec<(IpAddr, u8)>,
    local: Vec<LocalAddress>,
    servers: BTreeMap<SocketAddr, Server>,
    seen_by_relays: BTreeMap<SocketAddr, SocketAddr>,
    refresh_at: Option<Timestamp>,
}

#[derive(Default)]
struct Server {
    asking: Option<Asking>,
    reflexive: Option<SocketAddr>,
}

/// What an address that a relay saw says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// We did not know that address.
    pub(crate) is_new: bool,
    /// That relay saw another one before: our mapping changed.
    pub(crate) is_moved: bool,
}

struct Asking {
    transaction: [u8; stun::TRANSACTION_LEN],
    started_at: Timestamp,
    sent: usize,
}

impl Discovery {
    pub(crate) fn new(local_port: u16, statics: Vec<SocketAddr>) -> Self {
        Self { local_port, statics, ..Self::default() }
    }

    pub(crate) fn set_mesh(&mut self, mesh: Vec<(IpAddr, u8)>) {
        self.mesh = mesh;
    }

    pub(crate) fn set_servers(&mut self, context: &mut Context<'_>, servers: &[SocketAddr]) {
        let wanted: BTreeSet<_> = servers.iter().take(SERVERS_MAX).copied().collect();
        self.servers.retain(|address, _| wanted.contains(address));
        let mut added = false;
        for address in wanted {
            added |= !self.servers.contains_key(&address);
            self.servers.entry(address).or_default();
        }
        if added {
            self.ask_all(context);
        }
    }

    /// Returns whether the addresses differ from before.
    pub(crate) fn set_local(&mut self, mut addresses: Vec<LocalAddress>) -> bool {
        addresses.sort();
        addresses.dedup();
        let changed = self.local != addresses;
        self.local = addresses;
        changed
    }

    /// A relay is no longer ours to use.
    pub(crate) fn forget_relay(&mut self, relay: SocketAddr) {
        self.seen_by_relays.remove(&relay);
    }

    /// Notes what a relay saw us as. What a lost relay saw stays until it sees another: it may still hold.
    pub(crate) fn set_seen_by_relay(&mut self, relay: SocketAddr, observed: SocketAddr) -> Seen {
        let is_new = !self.candidates().iter().any(|candidate| candidate.address == observed);
        let is_moved = self.seen_by_relays.insert(relay, observed).is_some_and(|before| before != observed);
        Seen { is_new, is_moved }
    }

    /// Asks every STUN server.
    pub(crate) fn ask_all(&mut self, context: &mut Context<'_>) {
        self.refresh_at = Some(context.now + REFRESH_INTERVAL);
        for (address, server) in &mut self.servers {
            let transaction = context.entropy.bytes();
            server.asking = Some(Asking { transaction, started_at: context.now, sent: 1 });
            context.transmit(*address, stun::encode_request(transaction));
        }
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.servers
            .values()
            .filter_map(|server| server.asking.as_ref().map(Asking::next_at))
            .chain(self.refresh_at.filter(|_| !self.servers.is_empty()))
            .min()
    }

    /// Sends what is due. Returns whether our candidates changed.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) -> bool {
        if self.refresh_at.is_some_and(|at| at <= context.now) {
            self.ask_all(context);
        }
        let mut changed = false;
        for (address, server) in &mut self.servers {
            let Some(asking) = server.asking.as_mut().filter(|asking| asking.next_at() <= context.now) else {
                continue;
            };
            if asking.sent < SEND_MS.len() {
                asking.sent += 1;
                context.transmit(*address, stun::encode_request(asking.transaction));
            } else {
                // No answer is no knowledge: the old address is not offered any longer.
                changed |= server.reflexive.take().is_some();
                server.asking = None;
            }
        }
        changed
    }

    /// Takes a binding response. Returns whether our candidates changed. A response that no request of ours to that
    /// very server waits for is ignored.
    pub(crate) fn handle_response(&mut self, from: SocketAddr, datagram: &[u8]) -> bool {
        let Some(server) = self.servers.get_mut(&from) else { return false };
        let Ok((transaction, reflexive)) = stun::decode_response(datagram) else { return false };
        if server.asking.as_ref().is_none_or(|asking| asking.transaction != transaction) {
            return false;
        }
        server.asking = None;
        let before = server.reflexive.replace(reflexive);
        before != Some(reflexive)
    }

    /// Our candidates: hosts first, then reflexive addresses that differ from them; bounded, without duplicates.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let hosts = self.local.iter().map(|local| {
            let address = SocketAddr::new(local.address, self.local_port);
            let source = CandidateSource::Interface(local.interface.clone());
            Candidate { kind: CandidateKind::Host, address, base: Some(address), source }
        });
        let stun = self.servers.iter().filter_map(|(server, state)| {
            state.reflexive.map(|seen| (CandidateSource::StunServer(*server), seen))
        });
        let relays = self.seen_by_relays.iter().map(|(relay, seen)| (CandidateSource::Relay(*relay), *seen));
        let reflexive = stun.chain(relays).map(|(source, address)| Candidate {
            kind: CandidateKind::ServerReflexive,
            address,
            base: None,
            source,
        });
        let statics = self.statics.iter().map(|address| Candidate {
            kind: CandidateKind::Static,
            address: *address,
            base: None,
            source: CandidateSource::Administrator,
        });
        let mut known = BTreeSet::new();
        hosts
            .chain(statics)
            .chain(reflexive)
            .filter(|candidate| check_address(candidate.address, &self.mesh).is_ok())
            .filter(|candidate| known.insert(candidate.address))
            .take(REPORT_CANDIDATES_MAX)
            .collect()
    }

    /// What the answers say about the NAT in front of us (RFC 5780 §4.3), over IPv4.
    pub(crate) fn nat(&self) -> NatProfile {
        let seen: Vec<(SocketAddr, SocketAddr)> = self
            .servers
            .iter()
            .filter(|(server, _)| server.is_ipv4())
            .filter_map(|(server, state)| state.reflexive.map(|reflexive| (*server, reflexive)))
            .collect();
        NatProfile { mapping: mapping_of(&seen, |seen| self.is_own(seen)), ..NatProfile::default() }
    }

    pub(crate) fn stun_status(&self) -> Vec<StunStatus> {
        self.servers
            .iter()
            .map(|(server, state)| StunStatus { server: *server, reflexive: state.reflexive })
            .collect()
    }

    fn is_own(&self, address: SocketAddr) -> bool {
        address.port() == self.local_port && self.local.iter().any(|local| local.address == address.ip())
    }
}

impl Asking {
    fn next_at(&self) -> Timestamp {
        match SEND_MS.get(self.sent) {
            Some(ms) => self.started_at + Duration::from_millis(*ms),
            None => self.started_at + Duration::from_millis(SEND_MS[SEND_MS.len() - 1]) + LAST_WAIT,
        }
    }
}

fn mapping_of(seen: &[(SocketAddr, SocketAddr)], is_own: impl Fn(SocketAddr) -> bool) -> Option<Mapping> {
    if !seen.is_empty() && seen.iter().all(|(_, reflexive)| is_own(*reflexive)) {
        return Some(Mapping::None);
    }
    let mut by_address = false;
    let mut by_port = false;
    let mut compared_addresses = false;
    let mut compared_ports = false;
    for (index, (server, reflexive)) in seen.iter().enumerate() {
        for (other_server, other_reflexive) in &seen[..index] {
            let differs = reflexive != other_reflexive;
            if server.ip() == other_server.ip() {
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
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(seen: &[(&str, &str)]) -> Option<Mapping> {
        let seen: Vec<_> = seen.iter().map(|(a, b)| (a.parse().unwrap(), b.parse().unwrap())).collect();
        mapping_of(&seen, |address| address == "203.0.113.9:5".parse().unwrap())
    }

    #[test]
    fn one_answer_says_nothing_about_the_mapping() {
        assert_eq!(mapping(&[("198.51.100.1:3478", "192.0.2.1:5")]), None);
        assert_eq!(mapping(&[]), None);
    }

    #[test]
    fn two_ports_of_one_server_cannot_prove_endpoint_independence() {
        let same = [("198.51.100.1:3478", "192.0.2.1:5"), ("198.51.100.1:3479", "192.0.2.1:5")];
        assert_eq!(mapping(&same), None);
    }

    #[test]
    fn the_mapping_follows_from_what_differs() {
        let first = ("198.51.100.1:3478", "192.0.2.1:5");
        let same_address = |seen| ("198.51.100.1:3479", seen);
        let other_address = |seen| ("198.51.100.2:3478", seen);
        let (same, differs) = ("192.0.2.1:5", "192.0.2.1:6");
        for (answers, expected) in [
            (vec![first, other_address(same)], Mapping::EndpointIndependent),
            (vec![first, other_address(differs)], Mapping::Dependent),
            (vec![first, same_address(same), other_address(differs)], Mapping::AddressDependent),
            (vec![first, same_address(differs)], Mapping::AddressAndPortDependent),
        ] {
            assert_eq!(mapping(&answers), Some(expected), "{answers:?}");
        }
    }

    #[test]
    fn seeing_our_own_address_means_no_nat() {
        assert_eq!(mapping(&[("198.51.100.1:3478", "203.0.113.9:5")]), Some(Mapping::None));
    }
}
