//! What makes evidence count no more, in whole or in part.

use std::net::SocketAddr;

use super::{Path, Selector};
use crate::candidate::CandidateKind;
use crate::path::PathStatus;
use crate::quality::PathQuality;
use crate::time::Timestamp;

impl Path {
    /// What lost data there may still do so; the rest has to be measured anew.
    pub(super) fn forget(&mut self) {
        let PathQuality { data_lost_at, data_losses, .. } = self.quality;
        self.quality = PathQuality { data_lost_at, data_losses, ..PathQuality::default() };
        self.status = PathStatus::Untried;
    }
}

impl Selector {
    /// Forgets evidence on direct paths, for instance because our own network changed; candidates stay.
    pub fn forget_direct_evidence(&mut self) {
        for path in self.paths.values_mut().filter(|path| path.candidate.kind != CandidateKind::Relayed) {
            path.forget();
        }
    }

    /// No direct path may carry traffic until it answers anew. How well each serves is not forgotten: that it answers is no
    /// reason to take a lossy one for a sound one.
    pub fn doubt_direct(&mut self) {
        for path in self.paths.values_mut().filter(|path| path.candidate.kind != CandidateKind::Relayed) {
            path.status = PathStatus::Untried;
        }
    }

    /// When a direct path last lost the tunnel's packets, though it answered probes.
    #[must_use]
    pub fn data_lost_at(&self) -> Option<Timestamp> {
        let direct = self.paths.values().filter(|path| path.candidate.kind != CandidateKind::Relayed);
        direct.filter_map(|path| path.quality.data_lost_at).max()
    }

    /// Forgets that direct paths lost the tunnel's packets: the peer began a new life, and could not read what was for the one
    /// before.
    pub fn forgive_data_losses(&mut self) {
        for path in self.paths.values_mut() {
            path.quality.data_lost_at = None;
            path.quality.data_losses = 0;
        }
    }

    /// Forgets the evidence on one path, because packets will go there from another socket.
    pub fn forget_evidence(&mut self, remote: SocketAddr) {
        if let Some(path) = self.paths.get_mut(&remote) {
            path.forget();
        }
    }
}
