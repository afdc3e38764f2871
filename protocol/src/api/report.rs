//! `POST /api/v1/report`: what a node observed of itself; the answer keeps it on the relays.

use std::net::SocketAddr;

use endpoint_selection::nat::NatProfile;
use endpoint_selection::{Candidate, CandidateKind, Realm, Snapshot};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::route::{InvalidRoute, ROUTES_MAX, are_too_many, check_route};
use super::servers_seen::{RELAYS_SEEN_MAX, STUN_SERVERS_ASKED_MAX, ServersSeen};
use crate::key::PublicKey;
use crate::relay_token::SignedToken;

/// The largest report body, in bytes: 32 candidates and a thousand paths fit.
pub const REPORT_BYTES_MAX: usize = 256 * 1024;

/// The most candidates in a report; a machine with more addresses reports the first ones.
pub const REPORT_CANDIDATES_MAX: usize = 32;

/// The most addresses of one relay: IPv4 and IPv6, on two ports.
pub const RELAY_ADDRESSES_MAX: usize = 4;

/// The most paths in a report.
pub const REPORT_PATHS_MAX: usize = 4096;

/// The most peers that evidence is reported on at once: as many as the coordinator asks about.
pub const REPORT_EVIDENCE_MAX: usize = 8;

/// The most paths to one peer that evidence is reported on: as many as an agent keeps.
pub(super) const EVIDENCE_PATHS_MAX: usize = 64;

/// Facts about a node: each report replaces the one before, its paths where it says so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Report {
    /// Addresses that may reach the node; relayed ones are not reported, the coordinator knows its relays.
    pub candidates: Vec<Candidate>,
    /// What was learnt about the NAT in front of it.
    #[serde(default)]
    pub nat: NatProfile,
    /// The path in use to each peer, or to those where it is another than last reported.
    #[serde(default)]
    pub paths: Vec<PathReport>,
    /// Whether the paths that are not named are as they were: most reports are of a node where nothing changed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub changed_paths_only: bool,
    /// The relay that the node runs for its network, where it may and where strangers reach it. Ignored from a node that may
    /// not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<OwnRelay>,
    /// The networks behind the node that it would route to; absent from an agent that knows of no routes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routes: Option<Vec<IpNet>>,
    /// The relays and STUN servers as the node sees them; absent where that is as last reported, and from an agent that does not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<ServersSeen>,
    /// Version of the agent, for people.
    #[serde(default)]
    pub agent_version: String,
}

/// A relay that a node runs for its network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRelay {
    /// The relay's X25519 public key, not the node's.
    pub public_key: PublicKey,
    /// Where strangers reach it, best first: addresses of the node's own interfaces, ports that its router opened, and what its
    /// user gave. Never a reflexive address: packets of strangers do not get in there.
    pub addresses: Vec<SocketAddr>,
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
    /// All evidence on the paths to the peer, where a [`ReportRequest`] asked for it: what the choice was made from.
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
    /// Whether the next report shall name all paths: the coordinator does not know those that were reported before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wants_all_paths: bool,
}

/// An event of the map stream that is no part of the map: somebody looks at the node, and wants to see what is true now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRequest {
    /// The peers to report evidence on, [`REPORT_EVIDENCE_MAX`] at most.
    pub evidence_on: Vec<PublicKey>,
}

impl ReportRequest {
    /// The SSE `event` field. It comes without an `id`: nothing is to be resumed after it.
    pub const NAME: &str = "report-request";

    /// The SSE `data` field: JSON on one line.
    #[must_use]
    pub fn data(&self) -> String {
        #[expect(clippy::expect_used, reason = "a list of strings under one name")]
        serde_json::to_string(self).expect("a request is JSON")
    }
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
    /// Evidence on more peers than were asked about.
    #[error("paths: evidence on {0} peers given, at most {REPORT_EVIDENCE_MAX} allowed")]
    EvidenceOnTooMany(usize),
    /// Evidence on more paths to one peer than an agent keeps.
    #[error("paths[{index}].evidence.paths: {count} given, at most {EVIDENCE_PATHS_MAX} allowed")]
    TooMuchEvidence {
        /// Its place in the list.
        index: usize,
        /// How many.
        count: usize,
    },
    /// A relay at no address, or at too many.
    #[error("relay.addresses: {0} given, 1 to {RELAY_ADDRESSES_MAX} allowed")]
    RelayAddressCount(usize),
    /// An address that strangers cannot reach a relay at.
    #[error("relay.addresses[{index}]: {address} is no address of the internet")]
    UnusableRelayAddress {
        /// Its place in the list.
        index: usize,
        /// The address.
        address: SocketAddr,
    },
    /// Too many routes.
    #[error("routes: {0} given, at most {ROUTES_MAX} allowed")]
    TooManyRoutes(usize),
    /// A network that can never be routed to a node.
    #[error("routes[{index}]: {why}")]
    InvalidRoute {
        /// Its place in the list.
        index: usize,
        /// What is wrong with it.
        why: InvalidRoute,
    },
    /// More relays than a map names.
    #[error("servers.relays: {0} given, at most {RELAYS_SEEN_MAX} allowed")]
    TooManyRelaysSeen(usize),
    /// More STUN servers than an agent asks.
    #[error("servers.stun_servers: {0} given, at most {STUN_SERVERS_ASKED_MAX} allowed")]
    TooManyStunServersSeen(usize),
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
        let with_evidence = self.paths.iter().filter(|path| path.evidence.is_some()).count();
        if with_evidence > REPORT_EVIDENCE_MAX {
            return Err(ReportError::EvidenceOnTooMany(with_evidence));
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
        self.relay.as_ref().map_or(Ok(()), OwnRelay::validate)?;
        self.servers.as_ref().map_or(Ok(()), check_servers)?;
        let routes = self.routes.as_deref().unwrap_or_default();
        if are_too_many(routes.iter()) {
            return Err(ReportError::TooManyRoutes(routes.len()));
        }
        // Whether it overlaps the mesh is decided where it is approved: a network's range may change.
        let mut checked = routes.iter().enumerate().map(|(index, prefix)| (index, check_route(prefix, &[])));
        match checked.find_map(|(index, checked)| checked.err().map(|why| (index, why))) {
            Some((index, why)) => Err(ReportError::InvalidRoute { index, why }),
            None => Ok(()),
        }
    }
}

impl OwnRelay {
    fn validate(&self) -> Result<(), ReportError> {
        if !(1..=RELAY_ADDRESSES_MAX).contains(&self.addresses.len()) {
            return Err(ReportError::RelayAddressCount(self.addresses.len()));
        }
        match self.addresses.iter().position(|address| !may_be_relay_address(*address)) {
            Some(index) => Err(ReportError::UnusableRelayAddress { index, address: self.addresses[index] }),
            None => Ok(()),
        }
    }
}

fn check_servers(servers: &ServersSeen) -> Result<(), ReportError> {
    match (servers.relays.len(), servers.stun_servers.len()) {
        (relays, _) if relays > RELAYS_SEEN_MAX => Err(ReportError::TooManyRelaysSeen(relays)),
        (_, stun) if stun > STUN_SERVERS_ASKED_MAX => Err(ReportError::TooManyStunServersSeen(stun)),
        _ => Ok(()),
    }
}

/// Whether a relay may be told to nodes at this address: every node must be able to reach it, so one that means something only
/// in a site or behind a carrier's NAT is none.
#[must_use]
pub fn may_be_relay_address(address: SocketAddr) -> bool {
    endpoint_selection::check_address(address, &[]).is_ok() && Realm::of(address.ip()) == Realm::Global
}

#[cfg(test)]
mod tests {
    use endpoint_selection::CandidateSource;

    use super::super::servers_seen::{RelaySeen, StunServerSeen};
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

    #[test]
    fn a_relay_has_one_to_four_addresses_that_the_whole_internet_can_send_to() {
        let relay = |addresses: &[&str]| Report {
            relay: Some(OwnRelay {
                public_key: PublicKey::from_bytes([9; 32]),
                addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            }),
            ..Report::default()
        };
        assert_eq!(relay(&["198.51.100.1:4000", "[2001:db8::1]:4000"]).validate(), Ok(()));
        let why = |addresses: &[&str]| relay(addresses).validate().unwrap_err().to_string();
        assert_eq!(why(&[]), "relay.addresses: 0 given, 1 to 4 allowed");
        assert_eq!(why(&["198.51.100.1:1"; 5]), "relay.addresses: 5 given, 1 to 4 allowed");
        for bad in [
            "10.0.0.1:1",
            "192.168.1.1:1",
            "100.64.0.1:1",
            "127.0.0.1:1",
            "169.254.0.1:1",
            "224.0.0.1:1",
            "0.0.0.0:1",
            "255.255.255.255:1",
            "198.51.100.1:0",
            "[fd00::1]:1",
            "[fe80::1]:1",
            "[ff02::1]:1",
            "[::1]:1",
            "[::ffff:10.0.0.1]:1",
        ] {
            let expected = format!("relay.addresses[1]: {bad} is no address of the internet");
            assert_eq!(why(&["198.51.100.1:1", bad]), expected);
        }
    }

    #[test]
    fn more_servers_than_a_map_names_are_refused_by_name() {
        let relay = RelaySeen { public_key: PublicKey::from_bytes([9; 32]), reached: true, rtt_us: None };
        let stun = StunServerSeen { address: "192.0.2.1:1".parse().unwrap(), reached: true, rtt_us: None };
        let why = |relays, stun_servers| {
            let servers = Some(ServersSeen {
                relays: vec![relay.clone(); relays],
                stun_servers: vec![stun.clone(); stun_servers],
            });
            Report { servers, ..Report::default() }.validate().map_err(|error| error.to_string())
        };
        assert_eq!(why(RELAYS_SEEN_MAX, STUN_SERVERS_ASKED_MAX), Ok(()));
        assert_eq!(why(33, 0), Err("servers.relays: 33 given, at most 32 allowed".into()));
        assert_eq!(why(0, 9), Err("servers.stun_servers: 9 given, at most 8 allowed".into()));
    }

    #[test]
    fn too_many_routes_and_one_that_cannot_be_are_refused_by_name() {
        let report = |routes: Vec<&str>| Report {
            routes: Some(routes.iter().map(|prefix| prefix.parse().unwrap()).collect()),
            ..Report::default()
        };
        let most = vec!["192.168.5.0/24"; ROUTES_MAX];
        assert_eq!(report(most.clone()).validate(), Ok(()));
        assert_eq!(
            report([most, vec!["0.0.0.0/0", "::/0"]].concat()).validate(),
            Ok(()),
            "an exit node besides"
        );
        assert!(report(vec!["::/0"; 3]).validate().is_err());
        let error = report(vec!["192.168.5.0/24"; ROUTES_MAX + 1]).validate();
        assert_eq!(error, Err(ReportError::TooManyRoutes(ROUTES_MAX + 1)));
        let error = report(vec!["10.0.0.0/8", "127.0.0.0/8"]).validate().unwrap_err();
        assert!(error.to_string().starts_with("routes[1]: 127.0.0.0/8 overlaps"), "{error}");
    }
}
