//! What the node sets in the kernel's packet filter, by the program `nft`: each part in a table of its own, which goes with the node.

mod address_guard;
mod forwarding;
mod table;

use self::address_guard::AddressGuard;
use self::forwarding::Forwarding;
pub(crate) use self::table::{Table, removal};
use crate::program;
use crate::state::StateFolder;

/// What has `nft`.
const PACKAGE: &str = "nftables";

/// All of it.
#[derive(Debug)]
pub(crate) struct Firewall {
    pub(crate) forwarding: Forwarding,
    pub(crate) guard: AddressGuard,
}

impl Firewall {
    /// Nothing; what a killed agent left is taken away.
    pub(crate) fn new(state: &StateFolder, interface: &str) -> Self {
        Self { forwarding: Forwarding::new(state, interface), guard: AddressGuard::new(state, interface) }
    }

    /// Takes all rules away.
    pub(crate) fn stop(&mut self) {
        self.forwarding.stop();
        self.guard.stop();
    }
}

/// Runs `nft` on a script.
pub(crate) fn nft(script: &str) -> Result<(), String> {
    program::run(&["nft"], PACKAGE, &["-f", "-"], script).map(drop)
}

/// What `nft` tells.
pub(crate) fn nft_tells(arguments: &[&str]) -> Result<String, String> {
    program::run(&["nft"], PACKAGE, arguments, "")
}
