//! Device authorization (RFC 8628): a machine without an enrollment key asks for one, and a person lets it in.

use serde::{Deserialize, Serialize};

use super::{EnrollmentKey, NodeName};
use crate::key::PublicKey;

/// The largest request body of both calls, in bytes; a sound one has about 200.
pub const DEVICE_AUTHORIZATION_BYTES_MAX: usize = 4 * 1024;

/// The longest name of an operating system, in characters.
pub const OS_MAX: usize = 64;

/// What the machine says of itself; whoever decides sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAuthorizationRequest {
    /// The wanted name.
    pub name: NodeName,
    /// The public half of the key that the machine made itself. Only this key enrolls afterwards.
    pub public_key: PublicKey,
    /// The operating system, at most [`OS_MAX`] characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
}

/// The machine's and the person's half of a request that waits (RFC 8628 §3.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAuthorizationResponse {
    /// The machine's secret: it asks with it how the person decided.
    pub device_code: String,
    /// What the person compares or types, such as `WDJB-MJHT`.
    pub user_code: String,
    /// Where the person types it; absent where the coordinator does not know its own URL: then `/join` below the URL
    /// that the machine uses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_uri: Option<String>,
    /// The same with the code in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_uri_complete: Option<String>,
    /// Seconds for which both codes work.
    pub expires_in: u32,
    /// Seconds between two questions for the decision.
    pub interval: u32,
}

/// The question for the decision (RFC 8628 §3.4). While there is none it is answered by a problem:
/// `authorization-pending`, `slow-down` (ask five seconds less often from now on), `access-denied`, `expired-token`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeyRequest {
    /// The machine's secret.
    pub device_code: String,
}

/// The decision: an enrollment key for the public key of the request, used once, within minutes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceKeyResponse {
    /// What to enroll with.
    pub enrollment_key: EnrollmentKey,
}

impl std::fmt::Debug for DeviceKeyRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeviceKeyRequest(hidden)")
    }
}
