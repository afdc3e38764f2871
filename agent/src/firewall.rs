//! What the node sets in the kernel's packet filter, by the program `nft`: each part in a table of its own, which goes with the node.

mod address_guard;
mod forwarding;
mod table;

use std::io::Write;
use std::process::{Command, Stdio};

use self::address_guard::AddressGuard;
use self::forwarding::Forwarding;
pub(crate) use self::table::{Table, removal};
use crate::state::StateFolder;

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
    run(&["-f", "-"], script).map(drop)
}

/// What `nft` tells.
pub(crate) fn nft_tells(arguments: &[&str]) -> Result<String, String> {
    run(arguments, "")
}

fn run(arguments: &[&str], script: &str) -> Result<String, String> {
    let mut command = Command::new("nft");
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        if error.kind() == std::io::ErrorKind::NotFound {
            "the program `nft` is missing: install nftables".to_owned()
        } else {
            format!("cannot run `nft`: {error}")
        }
    })?;
    if let Some(mut input) = child.stdin.take() {
        // One that ends without reading says why below.
        let _ = input.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("cannot wait for `nft`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`nft` refuses: {}", said.lines().next().unwrap_or_default().trim()))
}
