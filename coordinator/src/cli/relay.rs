//! `relay`: a relay and STUN server alone.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use protocol::key::PrivateKey;
use relay::core::{RelayConfig, RelayCore};
use relay::server::{Config, UdpServer};
use zeroize::Zeroizing;

use super::args::RelayArgs;
use super::error::CliError;
use super::{logs, serve};
use crate::Entropy;

pub(super) fn relay(args: &RelayArgs) -> Result<(), CliError> {
    logs::start(args.log_format);
    let private_key = private_key(&args.private_key_file)?;
    let public_key = private_key.public_key();
    let core =
        RelayCore::new(RelayConfig::new(private_key, vec![args.verify_key]), *Entropy::system().secret());
    let runtime = serve::runtime()?;
    runtime.block_on(async {
        let config =
            Config { stun: args.listen.clone(), relay: args.listen.first().copied(), mark: None, core };
        let server = UdpServer::bind(config).map_err(CliError::io("STUN and relay"))?;
        tracing::info!(addresses = ?server.local_addrs(), %public_key, "relay and STUN answer");
        serve::stop_signal().await?;
        server.stop().await;
        let _ = std::io::stderr().flush();
        Ok(())
    })
}

/// Reads the relay's key, or makes one where there is no file: nodes know a relay by it, so it stays.
fn private_key(path: &Path) -> Result<PrivateKey, CliError> {
    let file = path.display();
    match std::fs::read_to_string(path).map(Zeroizing::new) {
        Ok(text) => text.trim().parse().map_err(|error| CliError::Usage(format!("{file}: {error}"))),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = PrivateKey::from_random(*Entropy::system().secret());
            let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
            let written = made.and_then(|mut made| {
                writeln!(made, "{}", *key.to_base64())?;
                made.sync_all()
            });
            written.map_err(CliError::io(format!("cannot make the private key {file}")))?;
            tracing::info!(%file, "made a private key");
            Ok(key)
        }
        Err(error) => Err(CliError::io(format!("cannot read the private key {file}"))(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_readable_by_nobody_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relay.key");
        let made = private_key(&path).unwrap().public_key();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(private_key(&path).unwrap().public_key(), made);
    }

    #[test]
    fn a_file_that_holds_no_key_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("relay.key");
        std::fs::write(&path, "half a k").unwrap();
        assert!(private_key(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "half a k");
    }
}
