//! The rules of the coordinator, without HTTP and without SQL. Time (Unix milliseconds) and randomness come in.

pub mod addressing;
pub mod administration;
mod directory;
mod enrollment;
mod error;
mod map_stream;
mod network_map;
mod overview;
mod pair;
mod peer_relays;
pub mod relays;
mod reports;
mod secret;
pub mod sign_in;

pub(crate) use directory::Directory;
pub(crate) use enrollment::enroll;
pub use error::{AdminError, AuthError, EnrollError, PairUnknown, ReportRefused};
pub use map_stream::{MapPoll, MapSubscription, StreamEnd};
pub(crate) use network_map::MapView;
pub use network_map::NodeIdentity;
pub use overview::{NetworkOverview, NodeOverview, Overview, PathOverview};
pub use pair::PairReport;
pub(crate) use peer_relays::with_peer_relays;
pub(crate) use relays::with_relays;
pub use reports::{RELAY_TOKEN_LIFETIME_S, REPORT_INTERVAL_S};
pub(crate) use reports::{clean, relay_token};
pub use secret::{InvalidSecret, NodeToken, Secret, SecretKind, SessionToken, SignInToken};
