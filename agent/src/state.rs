//! What the agent keeps on disk: each file whole or absent, readable by its owner only.

mod folder;
mod identity;
mod private_key;
mod settings;

pub(crate) use folder::{StateError, StateFolder};
pub(crate) use identity::{Enrolled, Identity, Token};
pub(crate) use private_key::{pending_private_key, relay_private_key};
