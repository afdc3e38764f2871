//! `POST /api/v1/enroll`: a machine with an enrollment key becomes a node.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{EnrollmentKey, NodeName};
use crate::key::PublicKey;

/// The largest request body, in bytes; a sound one has about 300.
pub const ENROLL_BYTES_MAX: usize = 4 * 1024;

/// What the machine says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollRequest {
    /// The secret that allows it.
    pub enrollment_key: EnrollmentKey,
    /// The public half of the key that the machine made itself.
    pub public_key: PublicKey,
    /// The wanted name; the coordinator appends a number where it is taken.
    pub name: NodeName,
}

/// What it becomes. A repeated request with the same public key gives the same node again, so a lost answer loses
/// nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollResponse {
    /// The node's id.
    pub node_id: Uuid,
    /// The name that it got.
    pub name: NodeName,
    /// The network's name.
    pub network: String,
    /// Its mesh addresses, each with the prefix of the network.
    pub addresses: Vec<IpNet>,
    /// The node token, sealed to the node's public key ([`crate::sealed`]), base64. It authenticates every later
    /// request as `Authorization: Bearer`.
    pub sealed_token: String,
    /// The token again, a space and the key that verifies maps ([`crate::map_signature`]), sealed in the same way: to put another
    /// key in takes the token. Absent from a coordinator that signs no maps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed_credentials: Option<String>,
}
