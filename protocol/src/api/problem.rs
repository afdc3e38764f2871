//! Errors of the HTTP API: problem details of RFC 9457.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::map_signature::MapSignature;

/// The media type of a problem (RFC 9457 §3).
pub const PROBLEM_CONTENT_TYPE: &str = "application/problem+json";

/// What went wrong, for a program to act on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// The enrollment key is not known here.
    EnrollmentKeyUnknown,
    /// The single-use enrollment key has been used by another machine.
    EnrollmentKeyUsed,
    /// The enrollment key's time is over.
    EnrollmentKeyExpired,
    /// The public key belongs to a node of another network.
    PublicKeyTaken,
    /// The network has no free mesh address.
    NetworkFull,
    /// The bearer token is missing, malformed or unknown.
    Unauthenticated,
    /// The node has been deleted.
    NodeDeleted,
    /// The body or a header is not what it should be.
    InvalidRequest,
    /// The body is too large.
    TooLarge,
    /// Too many requests; wait as `Retry-After` says.
    TooManyRequests,
    /// No such page, or nothing of this kind with this id.
    NotFound,
    /// Who asks may not do this.
    Forbidden,
    /// It does not fit what there is.
    Conflict,
    /// Nobody has decided about the request to join yet; ask again (RFC 8628 §3.5).
    AuthorizationPending,
    /// The same, and the machine asks too often: five seconds more between questions from now on (RFC 8628 §3.5).
    SlowDown,
    /// Somebody refused the request to join (RFC 8628 §3.5).
    AccessDenied,
    /// The request to join is unknown or its time is over; begin anew (RFC 8628 §3.5).
    ExpiredToken,
    /// The coordinator cannot answer now; try again.
    Unavailable,
    /// A newer coordinator says something this agent does not know.
    #[serde(other)]
    Other,
}

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:warren:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// One sentence: what is wrong.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What to do, or which field is wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The code itself.
    pub code: ProblemCode,
    /// With `node_deleted`: the coordinator's signature that the node was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Box<MapSignature>>,
}

impl Problem {
    /// A problem document.
    #[must_use]
    pub fn new(code: ProblemCode, status: u16, title: impl Into<String>, detail: Option<String>) -> Self {
        let kind = format!("urn:warren:problem:{code}");
        Self { kind, title: title.into(), status, detail, code, signature: None }
    }
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {detail}", self.title),
            None => f.write_str(&self.title),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_names_its_code_twice_once_as_a_uri() {
        let problem = Problem::new(ProblemCode::EnrollmentKeyUsed, 403, "used", None);
        let json = serde_json::to_string(&problem).unwrap();
        let expected = r#"{"type":"urn:warren:problem:enrollment-key-used","title":"used","status":403,"code":"enrollment-key-used"}"#;
        assert_eq!(json, expected);
    }

    #[test]
    fn a_code_from_the_future_is_read_as_other() {
        let json = r#"{"type":"x","title":"t","status":418,"code":"teapot"}"#;
        assert_eq!(serde_json::from_str::<Problem>(json).unwrap().code, ProblemCode::Other);
    }
}
