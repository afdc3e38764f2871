//! How a NAT behaves, as plain values in the words of RFC 4787.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroI16, NonZeroU16};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// On what of the remote endpoint a behaviour depends (RFC 4787 §4.1 and §5); the order is from lax to strict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Dependence {
    /// On nothing.
    EndpointIndependent,
    /// On its address.
    AddressDependent,
    /// On its address and port.
    AddressAndPortDependent,
}

/// Which outside port a new mapping gets (RFC 4787 §4.2). All take ports from 1,024 up, 64,512 in all, and never one
/// that another mapping holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum PortAllocation {
    /// The inside port where it is free, else the next one of a counter.
    Preserving,
    /// The port that lies `step` after the last one, whoever took that.
    Sequential {
        /// How far the counter moves for each mapping; many boxes count down, or by two.
        step: NonZeroI16,
    },
    /// Each inside host has a block of ports for itself while it has a mapping, and any free one of these is taken.
    /// Carriers do so to keep their logs short (RFC 6888 §4). A host whose block is used up gets no more.
    PortBlock {
        /// Ports in a block; carriers give 64 to 4,096.
        size: NonZeroU16,
    },
    /// Any free one.
    Random,
}

impl PortAllocation {
    /// The next port: the usual sequential allocation.
    pub const NEXT: Self = Self::Sequential { step: NonZeroI16::new(1).unwrap() };
}

/// Whether inside hosts reach one another at their outside addresses (RFC 4787 §6). Where they do, the receiver sees
/// the sender's outside address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Hairpinning {
    /// They do not.
    None,
    /// They do if the filter lets the sender's outside address in, as from anywhere else.
    Filtered,
    /// They do, whatever the filter says.
    Open,
}

/// How a box in front of a network behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(deny_unknown_fields)]
pub struct NatBehaviour {
    /// `None`: addresses stay as they are; a stateful firewall.
    pub mapping: Option<Dependence>,
    /// Who may send in.
    pub filtering: Dependence,
    /// How ports are chosen.
    pub allocation: PortAllocation,
    /// How long a mapping lives after the last packet that refreshes it, in milliseconds.
    pub mapping_timeout_ms: u32,
    /// How long a permission to send in lives after the last packet that refreshes it, in milliseconds; never longer
    /// than its mapping.
    pub filter_timeout_ms: u32,
    /// Whether packets from outside refresh the mapping and the permission as well (RFC 4787 REQ-6 allows both).
    pub inbound_refresh: bool,
    /// Whether inside hosts reach one another at their outside addresses.
    pub hairpinning: Hairpinning,
    /// The most mappings at one time (of a firewall: the most inside endpoints); beyond it a packet that needs a new
    /// one is dropped. `None`: as many as there are ports.
    pub mappings_max: Option<u32>,
}

/// The least that RFC 4787 REQ-5 allows: two minutes.
const TIMEOUT_MS: u32 = 120_000;

impl NatBehaviour {
    /// A NAT that maps and filters as given, keeps ports where one mapping serves all and draws them where not, forgets
    /// after two minutes and does not hairpin.
    #[must_use]
    pub const fn new(mapping: Dependence, filtering: Dependence) -> Self {
        let allocation = match mapping {
            Dependence::EndpointIndependent => PortAllocation::Preserving,
            Dependence::AddressDependent | Dependence::AddressAndPortDependent => PortAllocation::Random,
        };
        Self {
            mapping: Some(mapping),
            filtering,
            allocation,
            mapping_timeout_ms: TIMEOUT_MS,
            filter_timeout_ms: TIMEOUT_MS,
            inbound_refresh: false,
            hairpinning: Hairpinning::None,
            mappings_max: None,
        }
    }

    /// A stateful firewall without translation, as in front of most IPv6 hosts.
    #[must_use]
    pub const fn firewall() -> Self {
        let dependence = Dependence::AddressAndPortDependent;
        Self { mapping: None, ..Self::new(dependence, dependence) }
    }

    /// The same with both timeouts set to this many milliseconds.
    #[must_use]
    pub const fn with_timeout_ms(self, timeout_ms: u32) -> Self {
        Self { mapping_timeout_ms: timeout_ms, filter_timeout_ms: timeout_ms, ..self }
    }

    pub(super) const fn mapping_timeout(&self) -> Duration {
        Duration::from_millis(self.mapping_timeout_ms as u64)
    }

    pub(super) const fn filter_timeout(&self) -> Duration {
        Duration::from_millis(self.filter_timeout_ms as u64)
    }
}

/// The part of a remote endpoint that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    Any,
    Address(IpAddr),
    Endpoint(SocketAddr),
}

impl Scope {
    pub(super) const fn of(remote: SocketAddr, dependence: Dependence) -> Self {
        match dependence {
            Dependence::EndpointIndependent => Self::Any,
            Dependence::AddressDependent => Self::Address(remote.ip()),
            Dependence::AddressAndPortDependent => Self::Endpoint(remote),
        }
    }
}
