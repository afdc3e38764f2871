//! `relay`: a relay and STUN server alone.

use std::io::Write;

use protocol::key::PrivateKey;
use relay::core::{RelayConfig, RelayCore};
use relay::server::{Config, UdpServer};

use super::args::RelayArgs;
use super::error::CliError;
use super::{logs, serve};
use crate::Entropy;

pub(super) fn relay(args: &RelayArgs) -> Result<(), CliError> {
    logs::start(args.log_format);
    let text = std::fs::read_to_string(&args.private_key_file).map(zeroize::Zeroizing::new);
    let file = args.private_key_file.display();
    let text = text.map_err(CliError::io(format!("cannot read the private key {file}")))?;
    let private_key: PrivateKey =
        text.parse().map_err(|error| CliError::Usage(format!("{file}: {error}")))?;
    let public_key = private_key.public_key();
    let core =
        RelayCore::new(RelayConfig::new(private_key, vec![args.verify_key]), *Entropy::system().secret());
    let runtime = serve::runtime()?;
    runtime.block_on(async {
        let config = Config { stun: args.listen.clone(), relay: args.listen.first().copied(), core };
        let server = UdpServer::bind(config).map_err(CliError::io("STUN and relay"))?;
        tracing::info!(addresses = ?server.local_addrs(), %public_key, "relay and STUN answer");
        serve::stop_signal().await?;
        server.stop().await;
        let _ = std::io::stderr().flush();
        Ok(())
    })
}
