//! Random secrets of 256 bits, told apart by type and by the prefix of their text form.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use crate::store::SecretHash;

/// What a secret is for.
pub trait SecretKind {
    /// What its text form begins with, so that leak scanners can find one.
    const PREFIX: &'static str;
}

/// A random secret. Its text form is the prefix and 43 base64url characters. Hidden in debug output, wiped when
/// dropped, and nothing prints it but [`Secret::to_text`].
pub struct Secret<K> {
    bytes: Zeroizing<[u8; 32]>,
    kind: PhantomData<K>,
}

/// Authenticates a node: `Authorization: Bearer wnt_…`.
pub type NodeToken = Secret<NodeKind>;
/// Signs a person in once: the last part of a sign-in link.
pub type SignInToken = Secret<SignInKind>;
/// Authenticates a browser: its cookie.
pub type SessionToken = Secret<SessionKind>;

/// Authenticates a program that uses the API: `Authorization: Bearer wat_…`.
pub type ApiToken = Secret<ApiKind>;
/// Lets a machine ask whether it was let in ([`super::device_authorization`]).
pub type DeviceCode = Secret<DeviceKind>;
/// Binds a sign-in with an OpenID provider to the browser that began it: its cookie.
pub type OidcBrowserToken = Secret<OidcBrowserKind>;
/// Lets somebody into an organization once: the last part of an invitation's link.
pub type InvitationToken = Secret<InvitationKind>;

/// Kind of an [`ApiToken`].
pub enum ApiKind {}
/// Kind of a [`DeviceCode`].
pub enum DeviceKind {}
/// Kind of an [`OidcBrowserToken`].
pub enum OidcBrowserKind {}
/// Kind of an [`InvitationToken`].
pub enum InvitationKind {}
/// Kind of a [`NodeToken`].
pub enum NodeKind {}
/// Kind of a [`SignInToken`].
pub enum SignInKind {}
/// Kind of a [`SessionToken`].
pub enum SessionKind {}

impl SecretKind for NodeKind {
    const PREFIX: &'static str = "wnt_";
}
impl SecretKind for SignInKind {
    const PREFIX: &'static str = "wsl_";
}
impl SecretKind for ApiKind {
    const PREFIX: &'static str = "wat_";
}
impl SecretKind for DeviceKind {
    const PREFIX: &'static str = "wdc_";
}
impl SecretKind for OidcBrowserKind {
    const PREFIX: &'static str = "wob_";
}
impl SecretKind for InvitationKind {
    const PREFIX: &'static str = "wiv_";
}
impl SecretKind for SessionKind {
    const PREFIX: &'static str = "wss_";
}

/// A text that is no such secret. It does not repeat the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token of this kind")]
pub struct InvalidSecret;

impl<K: SecretKind> Secret<K> {
    /// A secret of 32 random bytes.
    #[must_use]
    pub fn from_random(bytes: Zeroizing<[u8; 32]>) -> Self {
        Self { bytes, kind: PhantomData }
    }

    /// What the database keeps of it.
    #[must_use]
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.bytes)
    }

    /// The text form.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}{}", K::PREFIX, URL_SAFE_NO_PAD.encode(self.bytes.as_slice())))
    }
}

impl<K: SecretKind> FromStr for Secret<K> {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.strip_prefix(K::PREFIX).ok_or(InvalidSecret)?;
        let mut bytes = Zeroizing::new([0; 32]);
        let written =
            URL_SAFE_NO_PAD.decode_slice(encoded, bytes.as_mut_slice()).map_err(|_| InvalidSecret)?;
        if written == 32 { Ok(Self::from_random(bytes)) } else { Err(InvalidSecret) }
    }
}

impl<K: SecretKind> fmt::Debug for Secret<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}(hidden)", K::PREFIX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_survives_its_text_form_and_hides_in_debug_output() {
        let token = NodeToken::from_random(Zeroizing::new([7; 32]));
        let text = token.to_text();
        assert_eq!(text.parse::<NodeToken>().unwrap().hash(), token.hash());
        assert_eq!(format!("{token:?}"), "wnt_(hidden)");
    }

    #[test]
    fn a_secret_of_another_kind_or_length_is_refused() {
        let text = NodeToken::from_random(Zeroizing::new([7; 32])).to_text();
        assert_eq!(text.parse::<SessionToken>().unwrap_err(), InvalidSecret);
        for bad in ["", "wnt_", &text[..46], &format!("{}A", *text), &format!(" {}", *text)] {
            assert_eq!(bad.parse::<NodeToken>().unwrap_err(), InvalidSecret, "{bad}");
        }
    }
}
