//! Names of nodes in the DNS: each network is a zone, in which a node's name is one label.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

use super::NodeName;
use super::name::is_label;

/// What all zones end in. `internal` is reserved for private use and will never be delegated (ICANN board resolution 2024.07.29.06).
pub const ZONE_SUFFIX: &str = "warren.internal";

/// The one top-level domain that a zone may be in: whoever serves a map answers for no name of the public DNS.
const PRIVATE_TOP: &str = "internal";

/// The longest zone in characters: a name has 253 (RFC 1035 §2.3.4), of which a node's takes 63 and a dot.
const ZONE_LEN_MAX: usize = 253 - 64;

/// The zone of a network, in lower case and without a dot at its end: `office.warren.internal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Zone(String);

/// A text that is no zone of a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a zone has 2 or more labels of a-z, 0-9 and hyphen, at most 189 characters, and ends in .internal")]
pub struct InvalidZone;

impl Zone {
    /// The zone of a network that people named as they liked: in lower case, each run of other characters one hyphen. A
    /// name of which nothing is left is `network-` and the end of its id. Two networks may get the same; nodes are
    /// told apart within one.
    #[must_use]
    pub fn of_network(name: &str, id: Uuid) -> Self {
        let mut label = String::new();
        for letter in name.chars().map(|letter| letter.to_ascii_lowercase()) {
            if letter.is_ascii_alphanumeric() {
                label.push(letter);
            } else if !label.is_empty() && !label.ends_with('-') {
                label.push('-');
            }
        }
        label.truncate(63);
        let label = label.trim_end_matches('-');
        if label.is_empty() {
            // The end of an id is random, its beginning is the time.
            let id = id.simple().to_string();
            return Self(format!("network-{}.{ZONE_SUFFIX}", &id[id.len() - 8..]));
        }
        Self(format!("{label}.{ZONE_SUFFIX}"))
    }

    /// As text, without a dot at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The labels, the one of the network first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('.')
    }

    /// The DNS name of a node of the network.
    #[must_use]
    pub fn name_of(&self, node: &NodeName) -> String {
        format!("{node}.{}", self.0)
    }
}

impl FromStr for Zone {
    type Err = InvalidZone;

    fn from_str(text: &str) -> Result<Self, InvalidZone> {
        let is_private = text.rsplit_once('.').is_some_and(|(_, top)| top == PRIVATE_TOP);
        if is_private && text.len() <= ZONE_LEN_MAX && text.split('.').all(is_label) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidZone)
        }
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Zone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let invalid = |error| serde::de::Error::custom(format_args!("zone: {error}"));
        String::deserialize(deserializer)?.parse().map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_networks_name_becomes_one_label_of_its_zone() {
        let id = Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_dead_beef);
        for (name, label) in [
            ("office", "office"),
            ("Acme & Sons, Office_1", "acme-sons-office-1"),
            ("xn--bro-hoa", "xn-bro-hoa"),
            ("-eu.west-", "eu-west"),
            ("Büro", "b-ro"),
            ("東京", "network-deadbeef"),
        ] {
            let zone = Zone::of_network(name, id);
            assert_eq!(zone.as_str(), format!("{label}.warren.internal"), "{name}");
            assert_eq!(zone.as_str().parse(), Ok(zone.clone()));
        }
        let longest = Zone::of_network(&"y".repeat(63), id);
        assert_eq!(longest.as_str().parse(), Ok(longest.clone()));
        let name = longest.name_of(&"x".repeat(63).parse().unwrap());
        assert!(name.len() <= 253, "{name}");
    }

    #[test]
    fn a_zone_of_the_public_dns_or_of_no_host_names_is_refused() {
        let long = format!("{}.internal", ["a"; 100].join("."));
        for text in [
            "internal",
            "com",
            "example.org",
            "a..internal",
            "A.internal",
            "a_b.internal",
            "a.internal.",
            &long,
        ] {
            assert_eq!(text.parse::<Zone>(), Err(InvalidZone), "{text}");
        }
        let told = serde_json::from_str::<Zone>("\"com\"").unwrap_err().to_string();
        assert!(told.starts_with("zone: a zone has"), "{told}");
    }
}
