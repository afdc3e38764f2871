//! What is learnt about ourselves: interface addresses, what STUN servers and relays saw us as, and from that our candidates
//! and the NAT in front of us.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use endpoint_selection::nat::{Evidence, Mapping, NatFacts, NatProfile};
use endpoint_selection::{
    Candidate, CandidateKind, CandidateSource, Realm, SmoothedRtt, SocketId, Timestamp, check_address,
};
use protocol::api::{REPORT_CANDIDATES_MAX, STUN_SERVERS_ASKED_MAX, StunServerSeen};

use crate::context::{Context, Notice};
use crate::input::{LocalAddress, PortMapping};
use crate::status::StunStatus;

mod lifetime;
mod measuring;
mod port_mapping;
mod transactions;

use lifetime::Watch;
use measuring::Measuring;
use transactions::Asking;

/// How often we ask again without a reason: a mapping can change silently, but a relay keepalive notices that sooner.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// Lost paths make us ask no more often than this.
const LOSS_SPACING: Duration = Duration::from_secs(5);

/// The most STUN servers asked: two addresses with two ports tell a mapping apart.
const SERVERS_MAX: usize = STUN_SERVERS_ASKED_MAX;

#[derive(Default)]
pub(crate) struct Discovery {
    local_port: u16,
    statics: Vec<SocketAddr>,
    mesh: Vec<(IpAddr, u8)>,
    local: Vec<LocalAddress>,
    port_mapping: Option<PortMapping>,
    servers: BTreeSet<SocketAddr>,
    asking: BTreeMap<(SocketId, SocketAddr), Asking>,
    /// How soon each server answers the main socket.
    rtts: BTreeMap<SocketAddr, SmoothedRtt>,
    seen_by_relays: BTreeMap<SocketAddr, SocketAddr>,
    refresh_at: Option<Timestamp>,
    evidence: Evidence,
    facts: NatFacts,
    /// What the main socket alone showed of the mapping, at the last judgement.
    mapping_of_main: Option<Mapping>,
    /// Local ports of the sockets that ask servers, beside the main one.
    side_ports: BTreeMap<SocketId, u16>,
    measuring: Option<Measuring>,
    /// When the NAT is looked at more closely next.
    measure_at: Option<Timestamp>,
    watch: Option<Watch>,
    /// When a socket is silent on purpose next.
    watch_at: Option<Timestamp>,
}

/// What an address that a relay saw says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// We did not know that address.
    pub(crate) is_new: bool,
    /// That relay saw another one before: our mapping changed.
    pub(crate) is_moved: bool,
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
        self.asking.retain(|(_, server), _| wanted.contains(server));
        self.rtts.retain(|server, _| wanted.contains(server));
        self.evidence.keep_servers(&wanted);
        let is_added = wanted.iter().any(|server| !self.servers.contains(server));
        self.servers = wanted;
        if is_added {
            self.ask_all(context);
        }
    }

    /// Returns whether the addresses differ from before. Then nothing is known about the NAT any more.
    pub(crate) fn set_local(&mut self, mut addresses: Vec<LocalAddress>) -> bool {
        addresses.sort();
        addresses.dedup();
        let changed = self.local != addresses;
        let router = self.evidence.router_address;
        if changed {
            self.facts = NatFacts::default();
            self.measure_at = None;
            self.evidence.set_local(addresses.iter().map(|local| local.address).collect());
        }
        self.local = addresses;
        if changed {
            self.keep_port_mapping(router);
        }
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

    /// A direct path was lost: the NAT may be another one, so the servers are asked again, unless they just were.
    pub(crate) fn ask_soon(&mut self, now: Timestamp) {
        let asked_at = self.refresh_at.map(|at| at - REFRESH_INTERVAL);
        if asked_at.is_none_or(|at| now.since(at) >= LOSS_SPACING) {
            self.refresh_at = Some(now);
        }
    }

    /// Takes in what a peer noticed of us.
    pub(crate) fn on_notice(&mut self, notice: &Notice) {
        match notice {
            Notice::Seen(view) => self.evidence.add_peer_view(*view),
            Notice::Heard(heard) => self.evidence.add_heard(*heard),
            Notice::Punch(..) | Notice::Opened(..) | Notice::Lost | Notice::Idle(_) => {}
        }
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        let asking = self.asking.values().map(Asking::next_at);
        let measuring = self.measuring.as_ref().map(|measuring| measuring.until);
        let refresh = self.refresh_at.filter(|_| !self.servers.is_empty());
        let watch = self.watch.as_ref().and_then(|watch| watch.ask_at);
        asking.chain(refresh).chain(measuring).chain(watch).min()
    }

    /// Sends what is due. Returns whether our candidates or the facts about the NAT changed.
    pub(crate) fn handle_timeout(&mut self, context: &mut Context<'_>) -> bool {
        if self.refresh_at.is_some_and(|at| at <= context.now) {
            self.ask_all(context);
        }
        let is_given_up = self.repeat_questions(context);
        let is_measured = self.finish_measuring(context);
        self.finish_watching(context);
        self.keep_watching(context);
        let is_quiet = !self.is_asking(SocketId::MAIN);
        let is_judged = (is_given_up && is_quiet) || is_measured;
        let changed = is_judged && self.judge(context.now);
        changed || is_given_up
    }

    /// Our candidates: hosts first, then what the router opened, what the user gave, then reflexive addresses that differ from
    /// them; bounded, without duplicates.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let hosts = self.local.iter().map(|local| {
            let address = SocketAddr::new(local.address, self.local_port);
            let source = CandidateSource::Interface(local.interface.clone());
            Candidate { kind: CandidateKind::Host, address, base: Some(address), source }
        });
        let statics = self.statics.iter().map(|address| Candidate {
            kind: CandidateKind::Static,
            address: *address,
            base: None,
            source: CandidateSource::Administrator,
        });
        // Two servers may see two addresses (layers of NAT, or a port per destination): all are told, with who saw them.
        let seen = self.servers.iter().filter_map(|server| Some((*server, self.reflexive(*server)?)));
        let stun = seen.map(|(server, seen)| (CandidateSource::StunServer(server), seen));
        let relays = self.seen_by_relays.iter().map(|(relay, seen)| (CandidateSource::Relay(*relay), *seen));
        let reflexive = stun.chain(relays).map(|(source, address)| Candidate {
            kind: CandidateKind::ServerReflexive,
            address,
            base: None,
            source,
        });
        let mut known = BTreeSet::new();
        hosts
            .chain(self.port_mapped())
            .chain(statics)
            .chain(reflexive)
            .filter(|candidate| check_address(candidate.address, &self.mesh).is_ok())
            .filter(|candidate| known.insert(candidate.address))
            .take(REPORT_CANDIDATES_MAX)
            .collect()
    }

    /// What is known about the NAT in front of us, over IPv4.
    pub(crate) fn nat(&self) -> NatProfile {
        self.facts.profile()
    }

    /// Our address as the internet sees it, for peers that look for our mappings.
    pub(crate) fn outside(&self) -> Option<SocketAddr> {
        let by_server = self.outermost_server().map(|(_, seen)| seen);
        by_server.or_else(|| self.seen_by_relays.values().copied().find(SocketAddr::is_ipv4))
    }

    /// The server that sees us from farthest outside, and what it sees: one in a carrier's network shows what nobody beyond it
    /// can send to.
    fn outermost_server(&self) -> Option<(SocketAddr, SocketAddr)> {
        let seen = self.servers.iter().filter_map(|server| Some((*server, self.reflexive(*server)?)));
        seen.filter(|(_, seen)| seen.is_ipv4()).min_by_key(|(_, seen)| Reverse(Realm::of(seen.ip())))
    }

    pub(crate) fn stun_status(&self) -> Vec<StunStatus> {
        self.servers
            .iter()
            .map(|server| {
                let (server, reflexive) = (*server, self.reflexive(*server));
                StunStatus { server, reflexive, rtt_us: self.rtt_us(server).filter(|_| reflexive.is_some()) }
            })
            .collect()
    }

    /// Who of the servers answered the last question, of those that were asked.
    pub(crate) fn servers_seen(&self) -> Vec<StunServerSeen> {
        let seen = self.servers.iter().filter_map(|server| {
            let reached = self.reflexive(*server).is_some();
            let is_known = reached || self.evidence.unanswered.contains(server);
            let rtt_us = self.rtt_us(*server).filter(|_| reached);
            is_known.then_some(StunServerSeen { address: *server, reached, rtt_us })
        });
        seen.collect()
    }

    fn rtt_us(&self, server: SocketAddr) -> Option<u32> {
        self.rtts.get(&server).copied().map(SmoothedRtt::as_micros)
    }

    /// What a server saw the main socket as.
    fn reflexive(&self, server: SocketAddr) -> Option<SocketAddr> {
        let of = |binding: &&endpoint_selection::nat::Binding| {
            binding.socket == SocketId::MAIN && binding.server == server
        };
        self.evidence.bindings.iter().find(of).map(|binding| binding.reflexive)
    }
}

#[cfg(test)]
mod tests;
