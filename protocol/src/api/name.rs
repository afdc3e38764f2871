//! Names of nodes and tags: one DNS label, so that a node's name can be a host name (RFC 1123 §2.1, RFC 1035 §2.3.4).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// A node's name: 1 to 63 of `a-z`, `0-9` and `-`, neither first nor last a hyphen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "ts", ts(type = "string"))]
#[serde(transparent)]
pub struct NodeName(String);

/// What nodes have in common, for access rules: 1 to 63 of `a-z`, `0-9` and `-`, neither first nor last a hyphen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[cfg_attr(feature = "ts", ts(type = "string"))]
#[serde(transparent)]
pub struct Tag(String);

/// A text that is no tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a tag has 1 to 63 characters of a-z, 0-9 and hyphen, and begins and ends with no hyphen")]
pub struct InvalidTag;

/// A text that is no node name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a node name has 1 to 63 characters of a-z, 0-9 and hyphen, and begins and ends with no hyphen")]
pub struct InvalidName;

impl NodeName {
    /// The nearest name to a free text such as a host name: lower case, everything else a hyphen, cut at 63.
    /// `None` where nothing is left.
    #[must_use]
    pub fn from_host_name(text: &str) -> Option<Self> {
        let label: String = text
            .split('.')
            .next()?
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
            .take(63)
            .collect();
        label.trim_matches('-').parse().ok()
    }
}

/// Whether a text is one DNS label in lower case.
pub(super) fn is_label(text: &str) -> bool {
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    (1..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The text form of a label.
macro_rules! label {
    ($name:ident, $invalid:ident) => {
        impl $name {
            /// As text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = $invalid;

            fn from_str(text: &str) -> Result<Self, $invalid> {
                if is_label(text) { Ok(Self(text.to_owned())) } else { Err($invalid) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

label!(NodeName, InvalidName);
label!(Tag, InvalidTag);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_dns_labels_are_names() {
        for name in ["a", "web-1", &"x".repeat(63)] {
            assert!(name.parse::<NodeName>().is_ok(), "{name}");
        }
        for name in ["", "-a", "a-", "A", "a.b", "a b", "ä", &"x".repeat(64)] {
            assert_eq!(name.parse::<NodeName>(), Err(InvalidName), "{name}");
        }
    }

    #[test]
    fn a_host_name_becomes_the_nearest_node_name() {
        let name = |text| NodeName::from_host_name(text).map(|name| name.to_string());
        assert_eq!(name("Web_1.example.org"), Some("web-1".into()));
        assert_eq!(name("--"), None);
    }
}
