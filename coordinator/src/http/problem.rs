//! Refusals as problem documents (RFC 9457): the only file that knows status codes.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use protocol::api::{PROBLEM_CONTENT_TYPE, Problem, ProblemCode};

use crate::service::device_authorization::DeviceError;
use crate::service::identities::IdentityError;
use crate::service::resources::ResourceError;
use crate::service::{AuthError, EnrollError, PairUnknown, ReportRefused};
use crate::store::{DiskTrouble, StoreError};

/// Seconds after which to try again while the database does not answer.
const UNAVAILABLE_RETRY_S: u64 = 2;

/// Seconds after which there may be room for another connection: those without a session end within 30 s.
const CONNECTIONS_RETRY_S: u64 = 30;

/// A refusal.
#[derive(Debug)]
pub(super) struct ApiError {
    problem: Problem,
    status: StatusCode,
    retry_after_s: Option<u64>,
}

impl ApiError {
    fn new(code: ProblemCode, status: StatusCode, title: impl fmt::Display, detail: Option<&str>) -> Self {
        let problem = Problem::new(code, status.as_u16(), title.to_string(), detail.map(str::to_owned));
        Self { problem, status, retry_after_s: None }
    }

    pub(super) fn unavailable() -> Self {
        let detail = "try again; if it lasts, the coordinator's log says why";
        let mut error = Self::new(
            ProblemCode::Unavailable,
            StatusCode::SERVICE_UNAVAILABLE,
            "the coordinator cannot answer now",
            Some(detail),
        );
        error.retry_after_s = Some(UNAVAILABLE_RETRY_S);
        error
    }

    pub(super) fn read_only(trouble: DiskTrouble) -> Self {
        let title = format!("{trouble}: nothing can be changed at the coordinator now");
        let detail = "who operates it must make room or repair the disk; maps and tunnels go on meanwhile";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let mut error = Self::new(ProblemCode::Unavailable, status, title, Some(detail));
        error.retry_after_s = Some(UNAVAILABLE_RETRY_S);
        error
    }

    pub(super) fn invalid(title: impl fmt::Display) -> Self {
        Self::new(ProblemCode::InvalidRequest, StatusCode::BAD_REQUEST, title, None)
    }

    pub(super) fn too_large(bytes_max: usize) -> Self {
        let title = format!("the body has more than {bytes_max} bytes");
        Self::new(ProblemCode::TooLarge, StatusCode::PAYLOAD_TOO_LARGE, title, None)
    }

    pub(super) fn not_json() -> Self {
        let title = "the body is not said to be JSON: send it with `Content-Type: application/json`";
        Self::new(ProblemCode::InvalidRequest, StatusCode::UNSUPPORTED_MEDIA_TYPE, title, None)
    }

    pub(super) fn body_timeout() -> Self {
        let title = "the body did not arrive in time";
        Self::new(ProblemCode::InvalidRequest, StatusCode::REQUEST_TIMEOUT, title, None)
    }

    pub(super) fn too_many_requests(retry_after_s: u64) -> Self {
        let title = format!("too many requests from this address; try again in {retry_after_s} s");
        Self::later(title, retry_after_s)
    }

    pub(super) fn too_many_connections() -> Self {
        Self::later("too many connections to the relay", CONNECTIONS_RETRY_S)
    }

    /// Too much for now.
    fn later(title: impl fmt::Display, retry_after_s: u64) -> Self {
        let mut error = Self::new(ProblemCode::TooManyRequests, StatusCode::TOO_MANY_REQUESTS, title, None);
        error.retry_after_s = Some(retry_after_s);
        error
    }

    pub(super) fn no_bearer_token() -> Self {
        let detail = "send the node token as `Authorization: Bearer wnt_…`";
        Self::new(
            ProblemCode::Unauthenticated,
            StatusCode::UNAUTHORIZED,
            "no node token was given",
            Some(detail),
        )
    }

    pub(super) fn not_signed_in() -> Self {
        let detail = "make a link with `warren-coordinator admin sign-in-link` and open it in this browser";
        Self::new(ProblemCode::Unauthenticated, StatusCode::UNAUTHORIZED, "not signed in", Some(detail))
    }

    pub(super) fn link_unusable() -> Self {
        let detail = "make a new one with `warren-coordinator admin sign-in-link`";
        let title = "this sign-in link is unknown, used or expired";
        Self::new(ProblemCode::Unauthenticated, StatusCode::FORBIDDEN, title, Some(detail))
    }

    pub(super) fn cross_site() -> Self {
        let title = "this request came from a page of another site";
        let detail =
            "where this is the coordinator's own page, tell it by --public-url how browsers reach it";
        Self::new(ProblemCode::InvalidRequest, StatusCode::FORBIDDEN, title, Some(detail))
    }

    pub(super) fn not_found() -> Self {
        Self::new(ProblemCode::NotFound, StatusCode::NOT_FOUND, "there is nothing at this address", None)
    }

    pub(super) fn method_not_allowed() -> Self {
        let title = "this address does not answer to this method";
        Self::new(ProblemCode::InvalidRequest, StatusCode::METHOD_NOT_ALLOWED, title, None)
    }

    pub(super) fn forbidden(title: impl fmt::Display) -> Self {
        Self::new(ProblemCode::Forbidden, StatusCode::FORBIDDEN, title, None)
    }

    pub(super) fn wrong_password() -> Self {
        let title = "name and password do not belong together";
        Self::new(ProblemCode::Unauthenticated, StatusCode::FORBIDDEN, title, None)
    }

    pub(super) fn provider_unavailable(name: &str) -> Self {
        let title = format!("{name} cannot be asked now");
        let detail = "try again, or sign in another way; the coordinator's log says why";
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(ProblemCode::Unavailable, status, title, Some(detail))
    }

    /// The problem of a status that the web framework chose itself.
    pub(super) fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::NOT_FOUND => Self::not_found(),
            StatusCode::METHOD_NOT_ALLOWED => Self::method_not_allowed(),
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(ProblemCode::TooLarge, status, "the request is too large", None)
            }
            status if status.is_server_error() => Self::unavailable(),
            status => {
                let title = status.canonical_reason().unwrap_or("refused").to_lowercase();
                Self::new(ProblemCode::InvalidRequest, status, title, None)
            }
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.problem.fmt(f)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        response.content_type(PROBLEM_CONTENT_TYPE);
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        #[expect(clippy::expect_used, reason = "a problem has no map with keys other than strings")]
        let json = serde_json::to_string(&self.problem).expect("a problem is JSON");
        response.body(json)
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        if let StoreError::Disk(trouble) = error {
            // Not logged each time: a full disk must not fill the log too.
            return Self::read_only(trouble);
        }
        tracing::error!(%error, "the database did not answer a request");
        Self::unavailable()
    }
}

impl From<EnrollError> for ApiError {
    fn from(error: EnrollError) -> Self {
        let new_key = Some("ask for a new one: `warren-coordinator admin enrollment-key create`");
        let (code, status, detail) = match error {
            EnrollError::Store(error) => return error.into(),
            EnrollError::KeyUnknown => {
                let detail = Some("check that the key was copied whole and belongs to this coordinator");
                (ProblemCode::EnrollmentKeyUnknown, StatusCode::FORBIDDEN, detail)
            }
            EnrollError::KeyUsed | EnrollError::KeyOfAnother => {
                (ProblemCode::EnrollmentKeyUsed, StatusCode::FORBIDDEN, new_key)
            }
            EnrollError::KeyExpired | EnrollError::KeyRevoked => {
                (ProblemCode::EnrollmentKeyExpired, StatusCode::FORBIDDEN, new_key)
            }
            EnrollError::PublicKeyTaken => {
                let detail = Some("delete that node first, or enroll with a new key pair");
                (ProblemCode::PublicKeyTaken, StatusCode::CONFLICT, detail)
            }
            EnrollError::UnusablePublicKey => {
                (ProblemCode::InvalidRequest, StatusCode::BAD_REQUEST, Some("make a new key pair"))
            }
            EnrollError::NetworkFull => {
                let detail = Some("delete nodes that are gone, or make another network");
                (ProblemCode::NetworkFull, StatusCode::CONFLICT, detail)
            }
            EnrollError::NameExhausted => (ProblemCode::InvalidRequest, StatusCode::CONFLICT, None),
        };
        Self::new(code, status, error, detail)
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        match error {
            AuthError::Store(error) => error.into(),
            AuthError::Unauthenticated => {
                let detail = Some("enroll the node again with a new enrollment key");
                Self::new(ProblemCode::Unauthenticated, StatusCode::UNAUTHORIZED, error, detail)
            }
            AuthError::NodeDeleted(signature) => {
                let detail = Some("enroll again with a new enrollment key if that was a mistake");
                let mut gone = Self::new(ProblemCode::NodeDeleted, StatusCode::GONE, error, detail);
                gone.problem.signature = signature.map(Box::new);
                gone
            }
        }
    }
}

impl From<ResourceError> for ApiError {
    fn from(error: ResourceError) -> Self {
        match error {
            ResourceError::Store(error) => error.into(),
            ResourceError::NotFound(_) | ResourceError::InvitationUnusable => {
                Self::new(ProblemCode::NotFound, StatusCode::NOT_FOUND, error, None)
            }
            ResourceError::Invalid { .. } => Self::invalid(error),
            ResourceError::Conflict(_) => Self::new(ProblemCode::Conflict, StatusCode::CONFLICT, error, None),
            ResourceError::TooMany { why, retry_after_s } => Self::later(why, retry_after_s),
            ResourceError::Forbidden(_) | ResourceError::SignedOut => Self::forbidden(error),
        }
    }
}

impl From<DeviceError> for ApiError {
    fn from(error: DeviceError) -> Self {
        // The codes and, but for the first two, the status of RFC 8628 §3.5.
        let (code, detail) = match error {
            DeviceError::TooMany(seconds) => return Self::later(error, seconds.into()),
            DeviceError::InvalidOs => return Self::invalid(error),
            DeviceError::Pending => (ProblemCode::AuthorizationPending, "open the link and let it in"),
            DeviceError::SlowDown(_) => (ProblemCode::SlowDown, "wait longer between two questions"),
            DeviceError::Refused => (ProblemCode::AccessDenied, "ask an administrator of the network"),
            DeviceError::Expired => (ProblemCode::ExpiredToken, "run `warren join` again"),
        };
        Self::new(code, StatusCode::BAD_REQUEST, error, Some(detail))
    }
}

impl From<IdentityError> for ApiError {
    fn from(error: IdentityError) -> Self {
        match error {
            IdentityError::Store(error) => error.into(),
            IdentityError::InvitationUnusable => {
                Self::new(ProblemCode::NotFound, StatusCode::NOT_FOUND, error, None)
            }
            IdentityError::NoAccess
            | IdentityError::GroupsUnknown
            | IdentityError::LinkedElsewhere
            | IdentityError::SignedOut => Self::forbidden(error),
        }
    }
}

impl From<PairUnknown> for ApiError {
    fn from(error: PairUnknown) -> Self {
        Self::new(ProblemCode::NotFound, StatusCode::NOT_FOUND, error, None)
    }
}

impl From<ReportRefused> for ApiError {
    fn from(error: ReportRefused) -> Self {
        match error {
            ReportRefused::Auth(error) => error.into(),
            ReportRefused::Invalid(_)
            | ReportRefused::LongInterfaceName(_)
            | ReportRefused::UnusableRelayKey => Self::invalid(error),
        }
    }
}
