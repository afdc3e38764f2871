//! What the agent keeps on disk: each file whole or absent, readable by its owner only.

mod choices;
mod credentials;
mod folder;
mod identity;
mod private_key;
mod saved_map;
mod settings;

pub(crate) use choices::{ChoiceChange, Choices, ExitChoice, ExitNode};
pub(crate) use credentials::open_credentials;
pub(crate) use folder::{StateError, StateFolder};
pub(crate) use identity::{Enrolled, Identity, Token};
pub(crate) use private_key::{pending_private_key, relay_private_key};
