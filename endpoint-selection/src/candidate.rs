//! Candidates: addresses that may reach a node (RFC 8445 §5.1.1), and where each was learnt.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// How an address came to belong to a node (RFC 8445 §5.1.1.1 and §7.2.5.3); better knowledge first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum CandidateKind {
    /// On an interface of the node itself.
    Host,
    /// A port that the node's router opened because it was asked to (PCP, NAT-PMP, UPnP-IGD).
    PortMapped,
    /// Seen by a peer as the source of our probe.
    PeerReflexive,
    /// Seen by a STUN server or relay.
    ServerReflexive,
    /// Given by a user or administrator.
    Static,
    /// A relay that forwards to the node.
    Relayed,
}

impl fmt::Display for CandidateKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::PortMapped => "port-mapped",
            Self::PeerReflexive => "peer-reflexive",
            Self::ServerReflexive => "server-reflexive",
            Self::Static => "static",
            Self::Relayed => "relayed",
        })
    }
}

/// How a router is asked for a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum PortMappingProtocol {
    /// RFC 6887.
    Pcp,
    /// RFC 6886.
    NatPmp,
    /// UPnP Internet Gateway Device.
    UpnpIgd,
}

/// Who told the address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum CandidateSource {
    /// An interface of the node, by name.
    Interface(String),
    /// The node's router, by the protocol that it was asked in.
    Router(PortMappingProtocol),
    /// A STUN server, by address.
    StunServer(SocketAddr),
    /// A relay, by address.
    Relay(SocketAddr),
    /// The peer itself: in a call, or as the source of an authenticated probe.
    Peer,
    /// A user of the node, or an administrator.
    Administrator,
}

impl fmt::Display for CandidateSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interface(name) => write!(f, "interface {name}"),
            Self::Router(PortMappingProtocol::Pcp) => f.write_str("router (PCP)"),
            Self::Router(PortMappingProtocol::NatPmp) => f.write_str("router (NAT-PMP)"),
            Self::Router(PortMappingProtocol::UpnpIgd) => f.write_str("router (UPnP-IGD)"),
            Self::StunServer(address) => write!(f, "STUN server {address}"),
            Self::Relay(address) => write!(f, "relay {address}"),
            Self::Peer => f.write_str("peer"),
            Self::Administrator => f.write_str("administrator"),
        }
    }
}

/// An address that may reach a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Candidate {
    /// How it came to belong to the node.
    pub kind: CandidateKind,
    /// Where packets would be sent.
    pub address: SocketAddr,
    /// The node's own address that it is sent from (RFC 8445 "base"), where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<SocketAddr>,
    /// Who told it.
    pub source: CandidateSource,
}
