//! What the machine's network looks like.

mod interfaces;
mod kernel_watch;
mod nat64;
pub(crate) mod path_mtu;

pub(crate) use interfaces::{attached_networks, interface_index, local_address_towards, local_addresses};
pub(crate) use kernel_watch::KernelWatch;
pub(crate) use nat64::{Nat64Watch, through_nat64};
