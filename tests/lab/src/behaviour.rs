//! How a NAT behaves, in the words of RFC 4787.

use serde::{Deserialize, Serialize};

/// RFC 4787 section 4.1: when a mapping is used again for another destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mapping {
    /// There is no translation.
    None,
    /// The same for every destination.
    EndpointIndependent,
    /// One for each destination address.
    AddressDependent,
    /// One for each destination address and port.
    AddressAndPortDependent,
}

/// RFC 4787 section 5: which senders may use a mapping to come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filtering {
    /// Anybody.
    EndpointIndependent,
    /// Addresses the host has sent to.
    AddressDependent,
    /// Endpoints the host has sent to.
    AddressAndPortDependent,
}

/// RFC 4787 section 4.2: how the outside port is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allocation {
    /// The inside port, while it is free.
    Preserved,
    /// The one after the last.
    Sequential,
    /// Any of a block that the host has for itself (RFC 6888 section 4).
    PortBlock,
    /// No pattern.
    Random,
}

/// RFC 4787 section 6: may hosts behind one NAT meet at its outside address?
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hairpin {
    /// There is no translation, so there is no question.
    NotApplicable,
    /// Never.
    No,
    /// Only once both have sent.
    Simultaneous,
    /// The first packet of one side arrives.
    Open,
}

/// Everything that the classifier can tell about the path of one host to the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Behaviour {
    /// When a mapping is used again.
    pub mapping: Mapping,
    /// Who may come in.
    pub filtering: Filtering,
    /// Which port a mapping gets.
    pub allocation: Allocation,
    /// Whether inside hosts meet at outside addresses.
    pub hairpin: Hairpin,
}

/// Where a network lets UDP go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Udp {
    /// Anywhere.
    Anywhere,
    /// Only to ports 53 and 443.
    #[serde(rename = "53-443")]
    To53And443,
    /// Nowhere; TCP gets out.
    Blocked,
}

/// All that a recipe claims, and all that the classifier can find out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Where UDP may go.
    pub udp: Udp,
    /// What becomes of UDP over IPv4, or of UDP to IPv4 addresses through NAT64; `None` where none gets out.
    pub ipv4: Option<Behaviour>,
    /// Who may come in over IPv6, which nobody translates; `None` where hosts have none.
    pub ipv6: Option<Filtering>,
    /// Whether hosts have no IPv4 and reach it through NAT64 (RFC 6146).
    pub nat64: bool,
}

impl std::fmt::Display for Claim {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = vec![format!("udp {}", word(&self.udp))];
        parts.extend(self.ipv4.map(|ipv4| ipv4.to_string()));
        parts.extend(self.ipv6.map(|filtering| format!("ipv6 filtering {}", word(&filtering))));
        parts.extend(self.nat64.then(|| "nat64".to_owned()));
        formatter.write_str(&parts.join(", "))
    }
}

impl std::fmt::Display for Behaviour {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fields =
            [word(&self.mapping), word(&self.filtering), word(&self.allocation), word(&self.hairpin)];
        formatter.write_str(&fields.join(" / "))
    }
}

/// The kebab-case name of one of the values above.
#[must_use]
pub fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "?".to_owned(),
    }
}
