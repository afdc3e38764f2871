//! The peer as people see it.

use endpoint_selection::{
    Candidate, CandidateKind, CandidateSource, PathQuality, PathStatus, Reason, Verdict,
};

use super::Peer;
use crate::status::{PathState, PeerStatus};

impl Peer {
    pub(crate) fn status(&self) -> PeerStatus {
        let (kind, remote) = self.path_kind();
        let (chosen, verdicts) = match self.plain_verdict() {
            Some(verdict) => (Some(verdict.candidate.kind), vec![verdict]),
            None => {
                let selection = self.selector.clone().select(self.judged_at);
                (selection.chosen.map(|candidate| candidate.kind), selection.verdicts)
            }
        };
        PeerStatus {
            id: self.info.id,
            name: self.info.name.clone(),
            public_key: self.info.public_key,
            allowed_ips: self.info.allowed_ips.clone(),
            online: self.info.online,
            path: PathState {
                kind,
                remote,
                candidate_kind: chosen,
                rtt_us: remote.and_then(|remote| self.selector.rtt_us(remote)),
                since: self.since,
            },
            switches: self.switches,
            verdicts,
        }
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
