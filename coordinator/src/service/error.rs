//! Why a service refuses. Whoever shows it decides the status.

use protocol::api::ReportError;
use protocol::map_signature::MapSignature;

use crate::store::StoreError;

/// Why a machine does not become a node.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// No such key.
    #[error("the enrollment key is not known here")]
    KeyUnknown,
    /// Single use, and another machine was first.
    #[error("the enrollment key has been used by another machine")]
    KeyUsed,
    /// It was made for one machine, and this is another one.
    #[error("the enrollment key was made for another machine")]
    KeyOfAnother,
    /// Its time is over.
    #[error("the enrollment key has expired")]
    KeyExpired,
    /// An administrator took it back.
    #[error("the enrollment key was revoked")]
    KeyRevoked,
    /// The public key is a node elsewhere.
    #[error("the public key belongs to another node")]
    PublicKeyTaken,
    /// Nobody can hold a secret behind it (RFC 7748 §6.1).
    #[error("public_key is of low order and cannot protect anything")]
    UnusablePublicKey,
    /// No address is left.
    #[error("the network has no free mesh address")]
    NetworkFull,
    /// No name is left.
    #[error("too many nodes have this name; choose another")]
    NameExhausted,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a caller is not believed to be a node.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Token unknown.
    #[error("the bearer token is not known here")]
    Unauthenticated,
    /// The node was deleted; with the signature that says so, where it is not just happening.
    #[error("this node has been deleted")]
    NodeDeleted(Option<MapSignature>),
    /// The database failed: nothing is known about the caller.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a report is not taken in.
#[derive(Debug, thiserror::Error)]
pub enum ReportRefused {
    /// A field is wrong.
    #[error(transparent)]
    Invalid(#[from] ReportError),
    /// Nobody can hold a secret behind a relay's key (RFC 7748 §6.1).
    #[error("relay.public_key is of low order and cannot protect anything")]
    UnusableRelayKey,
    /// A candidate's interface name is too long.
    #[error("candidates[{0}].source: an interface name has at most 64 bytes")]
    LongInterfaceName(usize),
    /// The node is gone.
    #[error(transparent)]
    Auth(#[from] AuthError),
}

/// A pair of nodes that a person asks for and may not see, or that is none.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("these are not two nodes of one of your networks")]
pub struct PairUnknown;

/// Why an administrative command is not carried out.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No such thing.
    #[error("{what} `{given}` does not exist; `{list}` shows what does")]
    NotFound {
        /// Network, node, relay or enrollment key.
        what: &'static str,
        /// What was asked for.
        given: String,
        /// The command that lists them.
        list: &'static str,
    },
    /// A name that means several things.
    #[error("several {what}s are called `{given}`; give the id instead")]
    Ambiguous {
        /// Network or node.
        what: &'static str,
        /// What was asked for.
        given: String,
    },
    /// A text out of bounds.
    #[error("{what}: 1 to {max} characters without control characters, please")]
    InvalidText {
        /// Which.
        what: &'static str,
        /// The longest.
        max: usize,
    },
    /// An organization that would be taken for another one's id.
    #[error("`{0}` has the form of an id; give the organization a name")]
    NameIsId(String),
    /// There is no organization yet.
    #[error("there is no organization yet; run `warren-coordinator admin init` first")]
    NotInitialized,
    /// No such organization.
    #[error("there is no organization `{given}`; there are: {known}")]
    NoSuchOrganization {
        /// What was asked for.
        given: String,
        /// The names of all.
        known: String,
    },
    /// No range is left.
    #[error("no IPv4 range is free: this coordinator holds as many networks as it can")]
    RangesExhausted,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
