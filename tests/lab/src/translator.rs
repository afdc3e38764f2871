//! `tayga` in the namespace of a lab router: it turns IPv6 packets into IPv4 ones and back (RFC 7915), and the router's
//! own NAT makes NAT64 of that.

use std::path::PathBuf;

use crate::daemon::Daemon;
use crate::error::LabError;
use crate::ipv6::translator_config;
use crate::namespace::Namespace;

/// A running translator; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Translator {
    _daemon: Daemon,
}

impl Translator {
    /// Starts it at the device that the router already has. Until it is ready packets are lost, as on any network.
    pub(crate) fn start(router: &Namespace) -> Result<Self, LabError> {
        let folder = PathBuf::from("/run/lab-nat64").join(router.name());
        std::fs::create_dir_all(&folder).map_err(|error| LabError::at_path("create", &folder, error))?;
        let config = folder.join("tayga.conf");
        std::fs::write(&config, translator_config(&folder.display().to_string()))
            .map_err(|error| LabError::at_path("write", &config, error))?;
        let mut command = router.command("tayga");
        command.arg("--nodetach").arg("--config").arg(&config);
        Ok(Self { _daemon: Daemon::start(&mut command, &folder.join("tayga.log"))? })
    }
}
