//! What agents report, and what reports cost.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use endpoint_selection::{Candidate, CandidateKind, CandidateSource};
use protocol::api::{PathKind, PathReport, Report};
use protocol::key::PublicKey;

/// Candidates of a common node: two interfaces, a server-reflexive one and an IPv6 one count for four.
const CANDIDATES: u8 = 4;

/// A report whose first candidate has this port and that names no path, as of a node whose paths are as they were.
pub(crate) fn body(port: u16) -> Result<Vec<u8>> {
    bytes(port, &[], true)
}

/// A report that names the paths to all these peers.
pub(crate) fn whole(port: u16, peers: &[PublicKey]) -> Result<Vec<u8>> {
    bytes(port, peers, false)
}

fn bytes(port: u16, peers: &[PublicKey], changed_paths_only: bool) -> Result<Vec<u8>> {
    let report = Report {
        candidates: (1..=CANDIDATES).map(|host| candidate(host, port)).collect(),
        paths: peers.iter().map(|peer| path(*peer)).collect(),
        changed_paths_only,
        agent_version: "0.1.0".to_owned(),
        ..Report::default()
    };
    Ok(serde_json::to_vec(&report)?)
}

/// How the candidate is told in a map.
pub(crate) fn address(port: u16) -> String {
    candidate(1, port).address.to_string()
}

fn candidate(host: u8, port: u16) -> Candidate {
    let port = if host == 1 { port } else { 41_641 };
    Candidate {
        kind: CandidateKind::Host,
        address: SocketAddr::from((Ipv4Addr::new(192, 168, host, 20), port)),
        base: None,
        source: CandidateSource::Interface("eth0".to_owned()),
    }
}

fn path(peer: PublicKey) -> PathReport {
    let remote = Some(candidate(1, 41_641).address);
    PathReport { peer, kind: PathKind::Direct, remote, rtt_us: Some(12_345), evidence: None }
}
