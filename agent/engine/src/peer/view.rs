//! The peer as people see it.

use std::collections::BTreeSet;

use endpoint_selection::explain::{Explanation, NodeView, Pair, explain};
use endpoint_selection::{
    Candidate, CandidateKind, CandidateSource, PathQuality, PathStatus, Reason, Snapshot, Verdict,
};

use protocol::api::{PathKind, PathReport};
use protocol::key::PublicKey;
use uuid::Uuid;

use super::Peer;
use crate::status::{PathState, PeerStatus};

impl Peer {
    /// Everything about the peer; `scene` is a pair of this node and of nobody yet.
    pub(crate) fn status(&self, scene: &Pair) -> PeerStatus {
        let (kind, remote) = self.path_kind();
        let plain = self.plain_verdict();
        let explanation = plain.is_none().then(|| self.explanation(scene));
        let candidates = explanation.as_ref().map(|story| &story.peer_candidates[..]).unwrap_or_default();
        let verdicts: Vec<Verdict> = candidates.iter().map(Verdict::from).chain(plain).collect();
        let chosen = verdicts.iter().find(|verdict| verdict.reason.is_chosen());
        PeerStatus {
            id: self.info.id,
            name: self.info.name.clone(),
            public_key: self.info.public_key,
            allowed_ips: self.info.allowed_ips.clone(),
            online: self.info.online,
            path: PathState {
                kind,
                remote,
                candidate_kind: chosen.map(|verdict| verdict.candidate.kind),
                rtt_us: remote.and_then(|remote| self.selector.rtt_us(remote)),
                tunnel_mtu: (kind != PathKind::None).then(|| self.upkeep.path_mtu.tunnel_mtu()),
                since: self.since,
            },
            switches: self.switches,
            verdicts,
            explanation,
        }
    }

    /// The id by which the coordinator knows it.
    pub(crate) const fn id(&self) -> Uuid {
        self.info.id
    }

    /// The path in use, and all that the choice was made from where the peer is one of `evidence_on`.
    pub(crate) fn path_report(&self, evidence_on: &BTreeSet<PublicKey>) -> PathReport {
        let (kind, remote) = self.path_kind();
        let rtt_us = remote.and_then(|remote| self.selector.rtt_us(remote));
        let evidence = evidence_on.contains(&self.info.public_key).then(|| self.evidence());
        PathReport { peer: self.info.public_key, kind, remote, rtt_us, evidence }
    }

    /// What the choice of the path was made from.
    fn evidence(&self) -> Snapshot {
        Snapshot { idle: self.activity.is_resting, ..self.selector.snapshot(self.judged_at) }
    }

    /// Why the peer is reached the way it is, from this side's evidence: the other side's is at the other node.
    fn explanation(&self, scene: &Pair) -> Explanation {
        let mut pair = scene.clone();
        pair.own.paths = Some(self.evidence());
        pair.peer = NodeView {
            name: self.info.name.to_string(),
            candidates: self.info.candidates.clone(),
            nat: self.info.nat,
            paths: None,
        };
        explain(&pair)
    }

    fn plain_verdict(&self) -> Option<Verdict> {
        let address = self.info.plain_endpoint?;
        let source = CandidateSource::Administrator;
        let candidate = Candidate { kind: CandidateKind::Static, address, base: None, source };
        Some(Verdict {
            candidate,
            status: PathStatus::Untried,
            quality: PathQuality::default(),
            reason: Reason::Configured,
        })
    }
}
