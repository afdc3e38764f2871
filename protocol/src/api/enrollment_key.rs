//! The secret that lets a machine join a network.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

/// 256 random bits; text form `wek_` and 43 base64url characters, so that leak scanners can find one. Hidden in
/// debug output, wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrollmentKey(Zeroizing<[u8; 32]>);

const PREFIX: &str = "wek_";

/// A text that is no enrollment key. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an enrollment key: expected `wek_` and 43 characters; copy it whole")]
pub struct InvalidEnrollmentKey;

impl EnrollmentKey {
    /// A key of 32 random bytes.
    #[must_use]
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// The key's bytes, to hash them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The text form: show it once, store it nowhere.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(self.0.as_slice())))
    }
}

impl FromStr for EnrollmentKey {
    type Err = InvalidEnrollmentKey;

    fn from_str(text: &str) -> Result<Self, InvalidEnrollmentKey> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(InvalidEnrollmentKey)?;
        let mut bytes = Zeroizing::new([0; 32]);
        let written =
            URL_SAFE_NO_PAD.decode_slice(encoded, bytes.as_mut_slice()).map_err(|_| InvalidEnrollmentKey)?;
        if written == 32 { Ok(Self(bytes)) } else { Err(InvalidEnrollmentKey) }
    }
}

impl fmt::Debug for EnrollmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnrollmentKey(hidden)")
    }
}

impl Serialize for EnrollmentKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for EnrollmentKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_its_text_form_and_hides_in_debug_output() {
        let key = EnrollmentKey::from_random([7; 32]);
        assert_eq!(key.to_text().parse::<EnrollmentKey>().as_ref(), Ok(&key));
        assert_eq!(format!("{key:?}"), "EnrollmentKey(hidden)");
    }

    #[test]
    fn a_cut_or_foreign_text_is_refused() {
        let text = EnrollmentKey::from_random([7; 32]).to_text();
        for bad in ["", "wek_", &text[..46], &text[4..], &format!("{}A", *text)] {
            assert_eq!(bad.parse::<EnrollmentKey>(), Err(InvalidEnrollmentKey), "{bad}");
        }
    }
}
