//! Access rules: what a node takes from its peers. The coordinator compiles the rules of a network for each node, the node
//! enforces them on what comes out of its tunnel.
//!
//! Rules have no order: what any matching rule denies is denied, else what any allows is allowed, else the network's default
//! decides. Answers to what a node sent itself are always taken; that is the agent's business, not a rule's.

use std::fmt;
use std::num::NonZeroU16;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::api::Tag;

/// The most rules of a network: what a person can survey, and what a node can look through for each new flow.
pub const RULES_MAX: usize = 256;

/// The most port ranges of a rule.
pub const PORT_RANGES_MAX: usize = 32;

/// Whether something may pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

/// What a rule is about, by the IP header's protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum IpProtocol {
    /// All of them.
    Any,
    /// TCP (6).
    Tcp,
    /// UDP (17).
    Udp,
    /// ICMP (1) and ICMPv6 (58).
    Icmp,
}

/// Ports from the first to the last, both included; in text `22` or `8000-8100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PortRange {
    first: NonZeroU16,
    last: NonZeroU16,
}

/// A text that is no port range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a port range is a number from 1 to 65535, or two with a hyphen between them, the smaller one first")]
pub struct InvalidPortRange;

/// What a verdict is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// The protocol.
    pub protocol: IpProtocol,
    /// The destination ports, for TCP and UDP; empty for all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortRange>,
}

/// One rule, as the node that it protects is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InboundRule {
    /// Whether the traffic may pass.
    pub verdict: Verdict,
    /// The peers that it comes from: those with one of these tags; empty for all peers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<Tag>,
    /// The traffic.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// What a node takes from its peers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// What becomes of traffic that no rule matches.
    pub default: Verdict,
    /// The rules that protect this node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<InboundRule>,
}

/// What a node takes from one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrafficFilter {
    default: Verdict,
    denied: Vec<Traffic>,
    allowed: Vec<Traffic>,
}

impl PortRange {
    /// The range from `first` to `last`; `None` where the first is zero or greater.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        let (first, last) = (NonZeroU16::new(first)?, NonZeroU16::new(last)?);
        (first <= last).then_some(Self { first, last })
    }

    /// Whether the port is in it.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        (self.first.get()..=self.last.get()).contains(&port)
    }
}

impl IpProtocol {
    /// Whether a protocol number (IANA, assigned internet protocol numbers) is meant.
    #[must_use]
    pub const fn matches(self, number: u8) -> bool {
        match self {
            Self::Any => true,
            Self::Tcp => number == 6,
            Self::Udp => number == 17,
            Self::Icmp => matches!(number, 1 | 58),
        }
    }

    /// Whether it has ports.
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

impl Traffic {
    /// Whether a packet is meant. A packet whose port is not known (a later fragment) is matched by its protocol alone.
    #[must_use]
    pub fn matches(&self, protocol: u8, port: Option<u16>) -> bool {
        let in_ports = |port| self.ports.is_empty() || self.ports.iter().any(|range| range.contains(port));
        self.protocol.matches(protocol) && port.is_none_or(in_ports)
    }

    fn is_everything(&self) -> bool {
        self.protocol == IpProtocol::Any && self.ports.is_empty()
    }
}

impl InboundRule {
    fn concerns(&self, tags: &[Tag]) -> bool {
        self.sources.is_empty() || self.sources.iter().any(|source| tags.contains(source))
    }
}

impl Access {
    /// What the node takes from a peer with these tags.
    #[must_use]
    pub fn filter_for(&self, tags: &[Tag]) -> TrafficFilter {
        let concerning = self.rules.iter().filter(|rule| rule.concerns(tags));
        let (denied, allowed): (Vec<_>, Vec<_>) = concerning.partition(|rule| rule.verdict == Verdict::Deny);
        let traffic = |rules: Vec<&InboundRule>| rules.into_iter().map(|rule| rule.traffic.clone()).collect();
        TrafficFilter { default: self.default, denied: traffic(denied), allowed: traffic(allowed) }
    }

    /// Whether nothing can pass from a peer with these tags: [`TrafficFilter::is_closed`] without making the filter, for whoever
    /// asks it of every pair of a network.
    #[must_use]
    pub fn is_closed_for(&self, tags: &[Tag]) -> bool {
        let mut allows = self.default == Verdict::Allow;
        for rule in self.rules.iter().filter(|rule| rule.concerns(tags)) {
            match rule.verdict {
                Verdict::Deny if rule.traffic.is_everything() => return true,
                Verdict::Deny => {}
                Verdict::Allow => allows = true,
            }
        }
        !allows
    }
}

impl TrafficFilter {
    /// A filter that lets everything pass.
    #[must_use]
    pub const fn open() -> Self {
        Self { default: Verdict::Allow, denied: Vec::new(), allowed: Vec::new() }
    }

    /// Whether a packet may pass, by its protocol number and, where that is known, its destination port.
    #[must_use]
    pub fn permits(&self, protocol: u8, port: Option<u16>) -> bool {
        if self.denied.iter().any(|traffic| traffic.matches(protocol, port)) {
            return false;
        }
        self.default == Verdict::Allow || self.allowed.iter().any(|traffic| traffic.matches(protocol, port))
    }

    /// Whether everything may pass.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let allows_all = self.default == Verdict::Allow || self.allowed.iter().any(Traffic::is_everything);
        allows_all && self.denied.is_empty()
    }

    /// Whether nothing can pass.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        let allows_none = self.default == Verdict::Deny && self.allowed.is_empty();
        allows_none || self.denied.iter().any(Traffic::is_everything)
    }
}

impl Default for TrafficFilter {
    fn default() -> Self {
        Self::open()
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            write!(f, "{}", self.first)
        } else {
            write!(f, "{}-{}", self.first, self.last)
        }
    }
}

impl FromStr for PortRange {
    type Err = InvalidPortRange;

    fn from_str(text: &str) -> Result<Self, InvalidPortRange> {
        let port = |text: &str| {
            // `parse` alone would take a plus sign.
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
        };
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = port(first).zip(port(last)).and_then(|(first, last)| Self::new(first, last));
        range.ok_or(InvalidPortRange)
    }
}

impl Serialize for PortRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PortRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: u8 = 6;
    const UDP: u8 = 17;

    fn rule(verdict: Verdict, sources: &[&str], protocol: IpProtocol, ports: &[&str]) -> InboundRule {
        InboundRule {
            verdict,
            sources: sources.iter().map(|tag| tag.parse().unwrap()).collect(),
            traffic: Traffic { protocol, ports: ports.iter().map(|range| range.parse().unwrap()).collect() },
        }
    }

    fn filter(default: Verdict, rules: &[InboundRule], tags: &[&str]) -> TrafficFilter {
        let tags: Vec<Tag> = tags.iter().map(|tag| tag.parse().unwrap()).collect();
        let access = Access { default, rules: rules.to_vec() };
        let filter = access.filter_for(&tags);
        assert_eq!(filter.is_closed(), access.is_closed_for(&tags));
        filter
    }

    #[test]
    fn without_a_rule_the_default_decides() {
        assert!(filter(Verdict::Allow, &[], &[]).is_open());
        assert!(filter(Verdict::Deny, &[], &[]).is_closed());
    }

    #[test]
    fn a_rule_is_for_peers_with_one_of_its_tags_and_for_its_protocol_and_ports() {
        let rules = [rule(Verdict::Allow, &["admin", "ci"], IpProtocol::Tcp, &["22", "8000-8100"])];
        let ci = filter(Verdict::Deny, &rules, &["ci", "linux"]);
        assert!(ci.permits(TCP, Some(22)) && ci.permits(TCP, Some(8100)) && !ci.permits(TCP, Some(8101)));
        assert!(!ci.permits(UDP, Some(22)) && !ci.is_open() && !ci.is_closed());
        assert!(filter(Verdict::Deny, &rules, &["linux"]).is_closed());
    }

    #[test]
    fn what_one_rule_denies_no_other_allows() {
        let rules = [
            rule(Verdict::Allow, &[], IpProtocol::Any, &[]),
            rule(Verdict::Deny, &["guest"], IpProtocol::Tcp, &["22"]),
        ];
        let guest = filter(Verdict::Deny, &rules, &["guest"]);
        assert!(!guest.permits(TCP, Some(22)) && guest.permits(TCP, Some(23)) && !guest.is_open());
        assert!(filter(Verdict::Deny, &rules, &[]).is_open());
        let closed = [rule(Verdict::Deny, &[], IpProtocol::Any, &[])];
        assert!(filter(Verdict::Allow, &closed, &[]).is_closed());
    }

    #[test]
    fn icmp_is_one_protocol_in_both_families() {
        let rules = [rule(Verdict::Allow, &[], IpProtocol::Icmp, &[])];
        let filter = filter(Verdict::Deny, &rules, &[]);
        assert!(filter.permits(1, None) && filter.permits(58, None) && !filter.permits(TCP, None));
    }

    #[test]
    fn a_port_range_is_one_port_or_two_in_order() {
        for text in ["1", "65535", "22-22", "1-65535"] {
            assert!(text.parse::<PortRange>().is_ok(), "{text}");
        }
        for text in ["", "0", "65536", "9-8", "-", "1-", "-1", "+1", "1-2-3", " 1", "1–2"] {
            assert_eq!(text.parse::<PortRange>(), Err(InvalidPortRange), "{text}");
        }
        assert_eq!("22-22".parse::<PortRange>().unwrap().to_string(), "22");
    }

    #[test]
    fn rules_survive_their_text_form() {
        let access = Access {
            default: Verdict::Deny,
            rules: vec![rule(Verdict::Allow, &["a"], IpProtocol::Udp, &["53"])],
        };
        let text = serde_json::to_string(&access).unwrap();
        assert_eq!(
            text,
            r#"{"default":"deny","rules":[{"verdict":"allow","sources":["a"],"protocol":"udp","ports":["53"]}]}"#
        );
        assert_eq!(serde_json::from_str::<Access>(&text).unwrap(), access);
    }
}
