//! The rules of the coordinator, without HTTP and without SQL. Time (Unix milliseconds) and randomness come in.

pub mod addressing;
pub mod administration;
mod admission;
mod caller;
mod change_budget;
mod change_log;
mod counts;
pub mod device_authorization;
mod directory;
mod enrollment;
mod error;
pub mod first_owner;
pub mod identities;
mod map_stream;
mod network_map;
mod network_view;
mod operator;
mod overview;
mod pair;
pub mod passwords;
mod peer_record;
mod peer_relays;
pub mod relays;
mod reported;
mod reports;
pub mod resources;
mod secret;
mod server_figures;
pub mod sign_in;

pub use caller::{Caller, Credential};
pub use counts::Counts;
pub(crate) use directory::{Directory, Everything};
pub(crate) use enrollment::enroll;
pub use error::{AdminError, AuthError, EnrollError, PairUnknown, ReportRefused};
pub use map_stream::{MapPoll, MapSubscription, StreamEnd};
pub use network_map::NodeIdentity;
pub(crate) use network_view::MapView;
pub(crate) use operator::operator_at_api;
pub use operator::{is_operator, operator};
pub use overview::{NetworkOverview, NodeOverview, Overview, PathOverview};
pub use pair::PairReport;
pub(crate) use peer_relays::with_peer_relays;
pub(crate) use relays::with_registered;
pub(crate) use reports::clean;
pub use reports::{RELAY_TOKEN_LIFETIME_S, REPORT_INTERVAL_S};
pub use secret::{
    ApiToken, DeviceCode, InvalidSecret, InvitationToken, NodeToken, OidcBrowserToken, Secret, SecretKind,
    SessionToken, SignInToken,
};
pub(crate) use server_figures::ServerFigures;
pub use server_figures::{NamedNode, NodeFigures};
