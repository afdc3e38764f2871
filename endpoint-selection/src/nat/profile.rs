//! What is known about the NAT in front of a node, as values.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// How a NAT picks the outside port (RFC 4787 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Mapping {
    /// No NAT: the reflexive address is one of our own.
    None,
    /// One outside port for all destinations.
    EndpointIndependent,
    /// One per destination address.
    AddressDependent,
    /// One per destination address and port.
    AddressAndPortDependent,
    /// The outside differs between destinations; whether by address or by port was not measured.
    Dependent,
}

impl Mapping {
    /// Whether another destination is sent to from another outside address, so that what a STUN server saw helps no peer.
    #[must_use]
    pub const fn is_dependent(self) -> bool {
        matches!(self, Self::AddressDependent | Self::AddressAndPortDependent | Self::Dependent)
    }
}

/// Which packets a NAT lets in (RFC 4787 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Filtering {
    /// From anyone.
    EndpointIndependent,
    /// From addresses that were sent to.
    AddressDependent,
    /// From addresses and ports that were sent to.
    AddressAndPortDependent,
}

/// Which outside port a new mapping gets (RFC 4787 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Allocation {
    /// The inside port.
    Preserving,
    /// The one before plus `step`, or a little further where others took some between.
    Sequential {
        /// From one mapping to the next; never 0.
        step: i16,
    },
    /// Any of a block that belongs to this subscriber (RFC 6888 REQ-14, RFC 7422).
    PortBlock {
        /// The lowest port of the block, as far as it was seen.
        first: u16,
        /// The highest.
        last: u16,
    },
    /// Any.
    Random,
}

/// How long a mapping lives without a packet from inside (RFC 4787 §4.3), bounded from both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Lifetime {
    /// It outlived a pause of this many milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longer_than_ms: Option<u32>,
    /// It did not outlive one of this many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shorter_than_ms: Option<u32>,
}

/// Whether UDP gets out and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum UdpReach {
    /// A STUN server answered.
    Open,
    /// Several servers were asked again and again, and none answered.
    Blocked,
}

/// Everything that is known about the NAT in front of a node; `None` is "not known", never "good".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default)]
pub struct NatProfile {
    /// Mapping behaviour, towards servers and peers alike.
    pub mapping: Option<Mapping>,
    /// Filtering behaviour; only ever known to be as lax as what came in.
    pub filtering: Option<Filtering>,
    /// How ports are chosen.
    pub allocation: Option<Allocation>,
    /// Whether two inside hosts meet at outside addresses (RFC 4787 §6).
    pub hairpin: Option<bool>,
    /// How long a mapping lives.
    pub lifetime: Option<Lifetime>,
    /// The node's address between two layers of NAT, seen by a server or told by the router: it reaches the node from
    /// behind the same carrier.
    pub inner_address: Option<IpAddr>,
    /// Whether UDP works at all.
    pub udp: Option<UdpReach>,
    /// Peers see other ports than STUN servers do, though those agree: STUN's word is not to be trusted here.
    pub is_contradicted: Option<bool>,
}

impl NatProfile {
    /// Whether peers can be told an address that is right for them too. `None`: not known.
    #[must_use]
    pub const fn is_address_known(&self) -> Option<bool> {
        match (self.mapping, self.is_contradicted) {
            (_, Some(true)) => Some(false),
            (Some(mapping), _) => Some(!mapping.is_dependent()),
            (None, _) => None,
        }
    }
}
