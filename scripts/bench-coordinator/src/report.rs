//! What agents report, and what reports cost.

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::Result;
use endpoint_selection::{
    Candidate, CandidateKind, CandidateSource, PathEvidence, PathQuality, PathStatus, Snapshot, Timestamp,
};
use protocol::api::{PathKind, PathReport, Report};
use protocol::key::PublicKey;

/// Candidates of a common node: two interfaces, a server-reflexive one and an IPv6 one count for four.
const CANDIDATES: u8 = 4;

/// As in the agent's engine: so many peers' evidence is reported, on so many paths.
const EVIDENCE_PEERS: usize = 32;
const EVIDENCE_PATHS: u8 = 5;

/// A report whose first candidate has this port, with paths to these peers.
pub(crate) fn body(port: u16, peers: &[PublicKey]) -> Result<Vec<u8>> {
    let report = Report {
        candidates: (1..=CANDIDATES).map(|host| candidate(host, port)).collect(),
        paths: peers.iter().enumerate().map(|(index, peer)| path(index, *peer)).collect(),
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

fn path(index: usize, peer: PublicKey) -> PathReport {
    let at = Timestamp::from_micros(1_234_567_890);
    let evidence = |host| PathEvidence {
        candidate: candidate(host, 41_641),
        status: PathStatus::Answered { at, unanswered: 0 },
        quality: PathQuality::default(),
    };
    let evidence = (index < EVIDENCE_PEERS).then(|| Snapshot {
        now: at,
        current: Some(candidate(1, 41_641).address),
        idle: false,
        paths: (1..=EVIDENCE_PATHS).map(evidence).collect(),
    });
    let remote = Some(candidate(1, 41_641).address);
    PathReport { peer, kind: PathKind::Direct, remote, rtt_us: Some(12_345), evidence }
}
