//! How a call to the coordinator can fail, and what that means to a user and to a retry.

use std::error::Error;
use std::time::Duration;

use protocol::api::ProblemCode;

use super::CoordinatorUrl;
use crate::failure::{Code, Failure};
use crate::printable::printable;

/// Why a call gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// No connection, or it broke.
    #[error("cannot reach the coordinator at {url}: {why}; check the URL, the network and the coordinator")]
    Unreachable {
        /// Where it should be.
        url: String,
        /// The innermost cause.
        why: String,
    },
    /// No answer in time.
    #[error("the coordinator at {url} does not answer in time; try again later")]
    TimedOut {
        /// Where it should be.
        url: String,
    },
    /// It is there and cannot serve.
    #[error("the coordinator at {url} cannot answer now: {why}; try again later")]
    Unavailable {
        /// Where it is.
        url: String,
        /// What it says.
        why: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// It understood and said no.
    #[error("the coordinator refused: {why}")]
    Refused {
        /// The kind of refusal.
        code: ProblemCode,
        /// What it says, and what to do.
        why: String,
        /// How long it asks to be left alone.
        retry_after: Option<Duration>,
    },
    /// What answers does not speak our protocol.
    #[error("what answers at {url} is no Warren coordinator of a version this agent knows: {why}")]
    Malformed {
        /// Where it is.
        url: String,
        /// What is wrong with the answer.
        why: String,
    },
}

/// What to do about a refusal: what this machine knows better than the coordinator, else what the coordinator says.
pub(super) fn advice(code: ProblemCode, detail: Option<&str>) -> &str {
    let own = match code {
        ProblemCode::Unauthenticated | ProblemCode::NodeDeleted => {
            return "run `warren leave --force` and join again with a new enrollment key";
        }
        ProblemCode::PublicKeyTaken => return "run the command again, it makes a new key",
        ProblemCode::TooManyRequests => return "wait a minute and try again",
        ProblemCode::EnrollmentKeyUnknown
        | ProblemCode::EnrollmentKeyUsed
        | ProblemCode::EnrollmentKeyExpired => "ask an administrator of the network for a new enrollment key",
        ProblemCode::AccessDenied => "ask an administrator of the network",
        ProblemCode::ExpiredToken => "run the command again",
        ProblemCode::NetworkFull => "ask an administrator of the network to remove nodes",
        ProblemCode::InvalidRequest
        | ProblemCode::TooLarge
        | ProblemCode::NotFound
        | ProblemCode::Forbidden
        | ProblemCode::Conflict
        | ProblemCode::AuthorizationPending
        | ProblemCode::SlowDown
        | ProblemCode::Unavailable
        | ProblemCode::Other => "check that agent and coordinator have matching versions",
    };
    detail.unwrap_or(own)
}

impl CallError {
    /// What a failed request means; the error's own text would repeat the URL and hide the cause.
    pub(crate) fn from_reqwest(url: &CoordinatorUrl, error: &reqwest::Error) -> Self {
        if error.is_timeout() {
            return Self::TimedOut { url: url.to_string() };
        }
        let mut innermost: &dyn Error = error;
        while let Some(source) = innermost.source() {
            innermost = source;
        }
        let why = printable(&innermost.to_string());
        Self::Unreachable { url: url.to_string(), why }
    }

    /// Whether the coordinator says that this node is no more.
    pub(crate) const fn is_node_deleted(&self) -> bool {
        matches!(self, Self::Refused { code: ProblemCode::NodeDeleted, .. })
    }

    /// How long the coordinator asks to be left alone.
    pub(crate) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } | Self::Refused { retry_after, .. } => *retry_after,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Malformed { .. } => None,
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        let code = match &error {
            CallError::Unreachable { .. } | CallError::Unavailable { .. } => Code::Unreachable,
            CallError::TimedOut { .. } => Code::TimedOut,
            CallError::Refused { .. } => Code::Refused,
            CallError::Malformed { .. } => Code::Failed,
        };
        Self::new(code, error.to_string())
    }
}
