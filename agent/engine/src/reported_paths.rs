//! Which paths a report names: those that the coordinator knows otherwise, or not at all.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;
use protocol::api::{PathKind, PathReport, REPORT_EVIDENCE_MAX};
use protocol::key::PublicKey;
use uuid::Uuid;

use crate::peer::Peer;

/// All paths are reported anew after this long, so whatever went wrong with a change is mended by then. It is fifteen reports: all
/// the others are small.
const ALL_INTERVAL: Duration = Duration::from_secs(15 * 60);

/// An RTT is another one only where it moved by more than this, and by more than a quarter: people do not look at less.
const RTT_MOVE_US: u32 = 1_000;

/// What the coordinator was told of a path. The peer's id tells one that was enrolled anew from the one before.
#[derive(Clone, Copy)]
struct Told {
    id: Uuid,
    kind: PathKind,
    remote: Option<SocketAddr>,
    rtt_us: Option<u32>,
}

/// The paths of one report.
pub(crate) struct Paths {
    pub(crate) paths: Vec<PathReport>,
    /// Whether those that are missing are as they were.
    pub(crate) changed_only: bool,
}

/// What the coordinator knows of this node's paths.
#[derive(Default)]
pub(crate) struct ReportedPaths {
    known: BTreeMap<PublicKey, Told>,
    in_flight: Vec<(PublicKey, Told)>,
    is_all_in_flight: bool,
    /// When all are reported again; absent for now.
    all_at: Option<Timestamp>,
    /// The peers that somebody looks at.
    evidence_on: BTreeSet<PublicKey>,
}

impl ReportedPaths {
    /// The next report shall hold all evidence on these peers.
    pub(crate) fn ask_evidence(&mut self, peers: Vec<PublicKey>) {
        self.evidence_on.extend(peers);
        while self.evidence_on.len() > REPORT_EVIDENCE_MAX {
            self.evidence_on.pop_first();
        }
    }

    /// The paths to report now, of these peers.
    pub(crate) fn take<'a>(&mut self, now: Timestamp, peers: impl Iterator<Item = &'a Peer>) -> Paths {
        let is_all = self.all_at.is_none_or(|at| at <= now);
        if is_all {
            self.all_at = Some(now + ALL_INTERVAL);
        }
        self.is_all_in_flight = is_all;
        let evidence_on = std::mem::take(&mut self.evidence_on);
        // Peers that are gone are not put back.
        let known = std::mem::take(&mut self.known);
        let mut paths = Vec::new();
        for peer in peers {
            let path = peer.path_report(&evidence_on);
            let told = Told::of(peer.id(), &path);
            match known.get(&path.peer) {
                Some(before) if before.is_like(&told) && path.evidence.is_none() && !is_all => {
                    self.known.insert(path.peer, *before);
                }
                _ => {
                    self.in_flight.push((path.peer, told));
                    paths.push(path);
                }
            }
        }
        Paths { paths, changed_only: !is_all }
    }

    /// The report came in; `wants_all` where the coordinator does not know what came before it.
    pub(crate) fn on_accepted(&mut self, wants_all: bool) {
        self.known.extend(self.in_flight.drain(..));
        if wants_all {
            self.all_at = None;
        }
    }

    /// Nobody knows whether the report came in: what it said is said again.
    pub(crate) fn on_failed(&mut self) {
        self.in_flight.clear();
        if self.is_all_in_flight {
            self.all_at = None;
        }
    }
}

impl Told {
    const fn of(id: Uuid, path: &PathReport) -> Self {
        Self { id, kind: path.kind, remote: path.remote, rtt_us: path.rtt_us }
    }

    fn is_like(&self, other: &Self) -> bool {
        let is_like_rtt = match (self.rtt_us, other.rtt_us) {
            (Some(before), Some(now)) => before.abs_diff(now) <= RTT_MOVE_US.max(before / 4),
            (before, now) => before == now,
        };
        (self.id, self.kind, self.remote) == (other.id, other.kind, other.remote) && is_like_rtt
    }
}
