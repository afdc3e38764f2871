//! What the machine's network looks like.

mod interface_watch;
mod interfaces;
mod nat64;
pub(crate) mod path_mtu;

pub(crate) use interface_watch::InterfaceWatch;
pub(crate) use interfaces::{attached_networks, interface_index, local_address_towards, local_addresses};
pub(crate) use nat64::{Nat64Watch, through_nat64};
