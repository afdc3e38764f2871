//! The port that the router in front of this machine is asked to open (PCP, RFC 6887; NAT-PMP, RFC 6886; UPnP-IGD).
//!
//! - `Place`: which router is asked, and for which address of ours.
//! - `Keeper`: when to ask, renew, doubt and try again; pure, its time comes in.
//! - [`asking`]: the question in all three protocols, [`upnp`] in the third; bytes are the libraries' business.
//! - [`PortMapper`]: the task that does what the keeper wants.
//!
//! A router is believed nothing but what it says about itself, and only where the one that was asked says it: whether its
//! outside address leads here, probes of peers find out. It holds nothing up: the node works while the router thinks.

mod announcement;
mod asking;
mod epoch;
mod grant;
mod keeper;
mod mapper;
mod nonce;
mod place;
mod upnp;

pub(crate) use mapper::{Facts, PortMapper};
