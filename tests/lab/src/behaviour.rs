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
