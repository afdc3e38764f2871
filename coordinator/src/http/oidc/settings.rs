//! What a provider needs to be known by, with and without the library that talks to one.

/// How the provider is known to us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Its issuer, exactly as it names itself.
    pub issuer: String,
    /// What it calls us.
    pub client_id: String,
    /// The secret between it and us, for a confidential client.
    pub client_secret: Option<String>,
    /// Root certificates (PEM) that vouch for it, instead of the system's.
    pub roots: Option<Vec<u8>>,
    /// The claim with somebody's groups.
    pub groups_claim: String,
    /// Whether it may be asked by plain HTTP.
    pub insecure: bool,
    /// Where it sends browsers back to.
    pub redirect_url: String,
}

/// Why nobody came in.
#[cfg_attr(not(feature = "oidc"), expect(dead_code, reason = "nobody is asked"))]
#[derive(Debug, thiserror::Error)]
pub(super) enum ProviderError {
    /// It cannot be asked.
    #[error("the sign-in provider cannot be asked: {0}")]
    Unreachable(String),
    /// What it answers is not right, or not for us.
    #[error("the sign-in provider's answer is not usable: {0}")]
    Unusable(String),
}

/// The secrets of one sign-in.
pub(super) struct FlowSecrets {
    /// What the browser brings back.
    pub(super) state: String,
    /// What the ID token repeats.
    pub(super) nonce: String,
    /// What proves that the code is ours (RFC 7636).
    pub(super) verifier: String,
}
