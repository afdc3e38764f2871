//! The HTTP messages between agent and coordinator: JSON, one file per exchange.
//!
//! Unknown fields are ignored, so that a newer side may say more; a field that is missing and has no default refuses
//! the message.

mod device_authorization;
mod enroll;
mod enrollment_key;
mod name;
mod network_map;
mod problem;
mod report;
mod route;
mod servers_seen;
mod zone;

pub use device_authorization::{
    DEVICE_AUTHORIZATION_BYTES_MAX, DeviceAuthorizationRequest, DeviceAuthorizationResponse,
    DeviceKeyRequest, DeviceKeyResponse, OS_MAX,
};
pub use enroll::{ENROLL_BYTES_MAX, EnrollRequest, EnrollResponse};
pub use enrollment_key::{EnrollmentKey, InvalidEnrollmentKey};
pub use name::{InvalidName, InvalidTag, NodeName, Tag};
pub use network_map::{
    MAP_EVENT_BYTES_MAX, MapDelta, MapEvent, NetworkMap, OwnNode, Peer, RelayInfo, RelayPermission, Servers,
    StaleDelta, Standing,
};
pub use problem::{PROBLEM_CONTENT_TYPE, Problem, ProblemCode};
pub use report::{
    OwnRelay, PathKind, PathReport, RELAY_ADDRESSES_MAX, REPORT_BYTES_MAX, REPORT_CANDIDATES_MAX,
    REPORT_EVIDENCE_MAX, REPORT_PATHS_MAX, Report, ReportError, ReportRequest, ReportResponse,
    may_be_relay_address,
};
pub use route::{
    DEFAULT_ROUTES, GLOBAL_UNICAST_V6, InvalidRoute, ROUTE_PRIORITY_DEFAULT, ROUTES_MAX, Route, are_too_many,
    check_route, is_default, local_ranges, overlap,
};
pub use servers_seen::{RELAYS_SEEN_MAX, RelaySeen, STUN_SERVERS_ASKED_MAX, ServersSeen, StunServerSeen};
pub use zone::{InvalidZone, ZONE_SUFFIX, Zone};

/// Where the API lives below the coordinator's URL.
pub const API_PREFIX: &str = "/api/v1";
