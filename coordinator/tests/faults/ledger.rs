//! What the coordinator acknowledged, as its clients wrote it down; after a disaster all of it must be there.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::api::{EnrollRequest, EnrollResponse};
use protocol::key::PrivateKey;
use serde_json::Value;
use uuid::Uuid;

use crate::process::{Answer, admin, send};

/// A node that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acknowledged {
    pub(crate) id: Uuid,
    pub(crate) public_key: String,
    pub(crate) token: String,
}

/// What became of one enrollment.
pub(crate) enum Outcome {
    Acknowledged(Box<Acknowledged>),
    /// Refused with a problem document.
    Refused(u16),
    /// The connection broke: done or not, nobody said.
    Unknown,
}

/// The private key of the machine with this number.
pub(crate) fn key_of(number: u64) -> PrivateKey {
    let mut random = [0xc7; 32];
    random[..8].copy_from_slice(&number.to_be_bytes());
    PrivateKey::from_random(random)
}

/// Enrolls the machine with this number.
pub(crate) fn enroll(to: SocketAddr, enrollment_key: &str, number: u64) -> Outcome {
    let private_key = key_of(number);
    let request = EnrollRequest {
        enrollment_key: enrollment_key.parse().unwrap(),
        public_key: private_key.public_key(),
        name: format!("node-{number}").parse().unwrap(),
    };
    let source = u32::try_from(number % 4_000).unwrap();
    let body = serde_json::to_string(&request).unwrap();
    match send((to, source), "POST", "/api/v1/enroll", "", &body) {
        Err(_) => Outcome::Unknown,
        Ok(Answer { status: 200, body, .. }) => {
            let response: EnrollResponse = serde_json::from_str(&body).unwrap();
            let sealed = STANDARD.decode(&response.sealed_token).unwrap();
            let token = protocol::sealed::open(&sealed, &private_key).unwrap();
            Outcome::Acknowledged(Box::new(Acknowledged {
                id: response.node_id,
                public_key: request.public_key.to_string(),
                token: String::from_utf8(token.to_vec()).unwrap(),
            }))
        }
        Ok(answer) => {
            assert!(answer.head.contains("application/problem+json"), "{}\n{}", answer.head, answer.body);
            Outcome::Refused(answer.status)
        }
    }
}

/// All that the database holds.
pub(crate) fn nodes(directory: &Path) -> BTreeSet<(Uuid, String)> {
    let listed = admin(directory, &["node", "list"]);
    let text = |node: &Value, field: &str| node[field].as_str().unwrap().to_owned();
    let nodes = listed["nodes"].as_array().unwrap().iter();
    nodes.map(|node| (text(node, "id").parse().unwrap(), text(node, "public_key"))).collect()
}

/// Those of the acknowledged that are not there.
pub(crate) fn lost(directory: &Path, acknowledged: &[Acknowledged]) -> Vec<Acknowledged> {
    let there = nodes(directory);
    let is_lost = |node: &&Acknowledged| !there.contains(&(node.id, node.public_key.clone()));
    acknowledged.iter().filter(is_lost).cloned().collect()
}

/// Whether the node's token is taken.
pub(crate) fn is_known(to: SocketAddr, node: &Acknowledged) -> bool {
    let report = r#"{"candidates":[]}"#;
    send((to, 5_000), "POST", "/api/v1/report", &node.token, report).unwrap().status == 200
}
