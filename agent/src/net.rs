//! What the machine's network looks like.

mod interfaces;

pub(crate) use interfaces::{local_address_towards, local_addresses};
