//! `POST /api/v1/report`: what a node observed of itself; the answer keeps it on the relays.

use std::net::SocketAddr;

use endpoint_selection::nat::NatProfile;
use endpoint_selection::{Candidate, CandidateKind, Snapshot};
use serde::{Deserialize, Serialize};

use crate::key::PublicKey;
use crate::relay_token::SignedToken;

/// The largest report body, in bytes: 32 candidates and a thousand paths fit.
pub const REPORT_BYTES_MAX: usize = 256 * 1024;

/// The most candidates in a report; a machine with more addresses reports the first ones.
pub const REPORT_CANDIDATES_MAX: usize = 32;

/// The most paths in a report.
pub const REPORT_PATHS_MAX: usize = 4096;

/// The most paths to one peer that evidence is reported on: as many as an agent keeps.
pub(super) const EVIDENCE_PATHS_MAX: usize = 64;

/// Facts about a node, whole: each report replaces the one before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Addresses that may reach the node; relayed ones are not reported, the coordinator knows its relays.
    pub candidates: Vec<Candidate>,
    /// What was learnt about the NAT in front of it.
    #[serde(default)]
    pub nat: NatProfile,
    /// The path in use to each peer.
    #[serde(default)]
    pub paths: Vec<PathReport>,
    /// Version of the agent, for people.
    #[serde(default)]
    pub agent_version: String,
}

/// The path in use to one peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PathReport {
    /// The peer.
    pub peer: PublicKey,
    /// What kind of path.
    pub kind: PathKind,
    /// Its remote address; the relay's for a relayed path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<SocketAddr>,
    /// Smoothed RTT in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rtt_us: Option<u32>,
    /// All evidence on the paths to the peer, for as many peers as fit: what the choice was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Snapshot>,
}

/// What kind of path carries the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum PathKind {
    /// From node to node.
    Direct,
    /// Nobody has used the tunnel of late: no direct path is kept open, and a relay stands by.
    Idle,
    /// Through a relay.
    Relay,
    /// Nothing reaches the peer.
    None,
}

/// The answer to a report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportResponse {
    /// A fresh token for the relays.
    pub relay_token: SignedToken,
    /// Seconds for which relays accept it.
    pub relay_token_lifetime_s: u32,
    /// Seconds after which the next report is due even if nothing changed.
    pub report_interval_s: u32,
}

/// A report that is not taken in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Too many candidates.
    #[error("candidates: {0} given, at most {REPORT_CANDIDATES_MAX} allowed")]
    TooManyCandidates(usize),
    /// Too many paths.
    #[error("paths: {0} given, at most {REPORT_PATHS_MAX} allowed")]
    TooManyPaths(usize),
    /// A candidate that can never be one.
    #[error("candidates[{index}]: {address} can be no candidate of a node")]
    UnusableCandidate {
        /// Its place in the list.
        index: usize,
        /// Its address.
        address: SocketAddr,
    },
    /// Evidence on more paths to one peer than an agent keeps.
    #[error("paths[{index}].evidence.paths: {count} given, at most {EVIDENCE_PATHS_MAX} allowed")]
    TooMuchEvidence {
        /// Its place in the list.
        index: usize,
        /// How many.
        count: usize,
    },
    /// A text that is too long.
    #[error("agent_version: at most 64 characters allowed")]
    LongVersion,
}

impl Report {
    /// Checks the bounds that JSON cannot express.
    ///
    /// # Errors
    /// Names the field that is wrong.
    pub fn validate(&self) -> Result<(), ReportError> {
        if self.candidates.len() > REPORT_CANDIDATES_MAX {
            return Err(ReportError::TooManyCandidates(self.candidates.len()));
        }
        if self.paths.len() > REPORT_PATHS_MAX {
            return Err(ReportError::TooManyPaths(self.paths.len()));
        }
        for (index, path) in self.paths.iter().enumerate() {
            let count = path.evidence.as_ref().map_or(0, |evidence| evidence.paths.len());
            if count > EVIDENCE_PATHS_MAX {
                return Err(ReportError::TooMuchEvidence { index, count });
            }
        }
        if self.agent_version.chars().count() > 64 {
            return Err(ReportError::LongVersion);
        }
        for (index, candidate) in self.candidates.iter().enumerate() {
            let unusable = endpoint_selection::check_address(candidate.address, &[]).is_err();
            if unusable || candidate.kind == CandidateKind::Relayed {
                return Err(ReportError::UnusableCandidate { index, address: candidate.address });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use endpoint_selection::CandidateSource;

    use super::*;

    fn report(address: &str, count: usize) -> Report {
        let candidate = Candidate {
            kind: CandidateKind::Host,
            address: address.parse().unwrap(),
            base: None,
            source: CandidateSource::Interface("eth0".into()),
        };
        Report { candidates: vec![candidate; count], ..Report::default() }
    }

    #[test]
    fn a_report_within_its_bounds_is_valid() {
        assert_eq!(report("10.0.0.1:1", REPORT_CANDIDATES_MAX).validate(), Ok(()));
    }

    #[test]
    fn the_error_names_the_field() {
        let too_many = report("10.0.0.1:1", REPORT_CANDIDATES_MAX + 1).validate().unwrap_err();
        assert_eq!(too_many.to_string(), "candidates: 33 given, at most 32 allowed");
        let loopback = report("127.0.0.1:1", 1).validate().unwrap_err();
        assert_eq!(loopback.to_string(), "candidates[0]: 127.0.0.1:1 can be no candidate of a node");
    }
}
