//! What a node reported, kept small: a coordinator holds it for thousands of nodes that each have hundreds of peers.

use std::net::{Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;

use endpoint_selection::nat::NatProfile;
use endpoint_selection::{Candidate, Snapshot};
use ipnet::IpNet;
use protocol::api::{OwnRelay, PathKind, PathReport, REPORT_EVIDENCE_MAX, Report, ServersSeen};
use protocol::key::PublicKey;
use uuid::Uuid;

/// Evidence younger than this is what is true now: a page that is looked at asks every two seconds.
const FRESH_MS: i64 = 1_500;

/// Somebody who has not asked for this long does not look any more.
const LOOKS_MS: i64 = 60_000;

/// The last report of a node.
#[derive(Default)]
pub(super) struct Reported {
    /// When it came, Unix milliseconds.
    pub(super) at_ms: i64,
    pub(super) candidates: Vec<Candidate>,
    pub(super) nat: NatProfile,
    pub(super) relay: Option<OwnRelay>,
    /// The networks behind the node that it offers to route to; absent where it cannot, or said nothing to this process.
    pub(super) routes: Option<Vec<IpNet>>,
    pub(super) agent_version: String,
    /// How it sees the servers of its map; absent until it said so to this process.
    pub(super) servers: Option<Box<ServersSeen>>,
    /// By the peer's id, in order; absent until all paths were reported to this process.
    paths: Option<Vec<Path>>,
}

/// The path in use to a peer, in 40 bytes.
#[derive(Clone, Copy)]
pub(super) struct Path {
    /// The peer.
    pub(super) peer: Uuid,
    remote: Ipv6Addr,
    /// Zero where there is no remote address.
    port: u16,
    pub(super) kind: PathKind,
    rtt_us: Option<NonZeroU32>,
}

impl Path {
    fn new(peer: Uuid, report: &PathReport) -> Self {
        let remote = report.remote.unwrap_or(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
        let ip = match remote.ip() {
            std::net::IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            std::net::IpAddr::V6(ip) => ip,
        };
        let rtt_us = report.rtt_us.and_then(NonZeroU32::new);
        Self { peer, remote: ip, port: remote.port(), kind: report.kind, rtt_us }
    }

    /// Its remote address.
    pub(super) fn remote(&self) -> Option<SocketAddr> {
        (self.port != 0).then(|| SocketAddr::new(self.remote.to_canonical(), self.port))
    }

    /// Smoothed RTT in microseconds.
    pub(super) fn rtt_us(&self) -> Option<u32> {
        self.rtt_us.map(NonZeroU32::get)
    }
}

impl Reported {
    /// What is left of a report to an earlier process.
    pub(super) fn old(candidates: Vec<Candidate>, at_ms: i64) -> Self {
        Self { candidates, at_ms, ..Self::default() }
    }

    /// Takes over a report; `id_of` knows the peers of the network.
    pub(super) fn take(&mut self, report: Report, now_ms: i64, id_of: impl Fn(&PublicKey) -> Option<Uuid>) {
        let named = report.paths.iter().filter_map(|path| Some(Path::new(id_of(&path.peer)?, path)));
        let mut named: Vec<Path> = named.collect();
        named.sort_by_key(|path| path.peer);
        named.dedup_by_key(|path| path.peer);
        if report.changed_paths_only {
            if let Some(paths) = &mut self.paths {
                put_all(paths, named);
            }
        } else {
            named.shrink_to_fit();
            self.paths = Some(named);
        }
        let Report { mut candidates, nat, relay, routes, agent_version, servers, .. } = report;
        candidates.shrink_to_fit();
        (self.at_ms, self.candidates, self.nat) = (now_ms, candidates, nat);
        (self.relay, self.routes, self.agent_version) = (relay, routes, agent_version);
        if let Some(mut servers) = servers {
            servers.relays.shrink_to_fit();
            servers.stun_servers.shrink_to_fit();
            self.servers = Some(Box::new(servers));
        }
    }

    /// Whether peers are told nothing new, but for candidates: most reports are of a node where nothing changed.
    pub(super) fn says_the_same_to_peers(&self, report: &Report) -> bool {
        (self.nat, &self.relay, &self.routes) == (report.nat, &report.relay, &report.routes)
    }

    /// Whether changes of paths are worth nothing, as the others are not known.
    pub(super) const fn wants_all_paths(&self) -> bool {
        self.paths.is_none()
    }

    /// The paths, those to peers that are gone among them.
    pub(super) fn paths(&self) -> &[Path] {
        self.paths.as_deref().unwrap_or_default()
    }

    /// The path to a peer.
    pub(super) fn path_to(&self, peer: Uuid) -> Option<&Path> {
        let paths = self.paths();
        paths.get(paths.binary_search_by_key(&peer, |path| path.peer).ok()?)
    }
}

/// Replaces and adds paths; both lists are in order.
fn put_all(paths: &mut Vec<Path>, changed: Vec<Path>) {
    let mut added = Vec::new();
    for path in changed {
        match paths.binary_search_by_key(&path.peer, |known| known.peer) {
            Ok(index) => paths[index] = path,
            Err(_) => added.push(path),
        }
    }
    if !added.is_empty() {
        paths.reserve_exact(added.len());
        paths.extend(added);
        paths.sort_by_key(|path| path.peer);
    }
}

/// What somebody looks at: a node's evidence on a few peers, asked for and kept for as long as that.
#[derive(Default)]
pub(super) struct Looks(Vec<Look>);

struct Look {
    peer: PublicKey,
    /// When it was last asked for, Unix milliseconds.
    asked_at_ms: i64,
    is_to_be_sent: bool,
    /// When the evidence came, and what it says.
    evidence: Option<(i64, Snapshot)>,
}

impl Looks {
    /// Asks for evidence on a peer; `true` where there is none that is fresh.
    pub(super) fn ask(&mut self, peer: PublicKey, now_ms: i64) -> bool {
        self.0.retain(|look| now_ms.saturating_sub(look.asked_at_ms) < LOOKS_MS);
        let is_recent = |at_ms: i64| now_ms.saturating_sub(at_ms) < FRESH_MS;
        if let Some(look) = self.0.iter_mut().find(|look| look.peer == peer) {
            let is_fresh = look.evidence.as_ref().is_some_and(|(at_ms, _)| is_recent(*at_ms));
            if !is_fresh && !is_recent(look.asked_at_ms) {
                (look.asked_at_ms, look.is_to_be_sent) = (now_ms, true);
            }
            return !is_fresh;
        }
        if self.0.len() == REPORT_EVIDENCE_MAX {
            self.0.remove(0);
        }
        self.0.push(Look { peer, asked_at_ms: now_ms, is_to_be_sent: true, evidence: None });
        true
    }

    /// The peers to ask the node about now.
    pub(super) fn take_questions(&mut self) -> Vec<PublicKey> {
        let open = self.0.iter_mut().filter(|look| look.is_to_be_sent);
        open.map(|look| {
            look.is_to_be_sent = false;
            look.peer
        })
        .collect()
    }

    /// Takes over the evidence that was asked for.
    pub(super) fn answer(&mut self, paths: &mut [PathReport], now_ms: i64) {
        for path in paths.iter_mut().filter(|path| path.evidence.is_some()) {
            if let Some(look) = self.0.iter_mut().find(|look| look.peer == path.peer) {
                look.evidence = path.evidence.take().map(|evidence| (now_ms, evidence));
            }
        }
    }

    /// The last evidence on a peer.
    pub(super) fn evidence_on(&self, peer: &PublicKey) -> Option<&Snapshot> {
        let look = self.0.iter().find(|look| look.peer == *peer)?;
        look.evidence.as_ref().map(|(_, evidence)| evidence)
    }
}

#[cfg(test)]
mod tests;
