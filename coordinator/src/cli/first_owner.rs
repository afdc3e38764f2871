//! Shows the link of the first owner to whoever starts the coordinator, and to no log.

use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::Path;

use super::args::LogFormat;
use super::config::ServeConfig;
use super::error::CliError;
use super::output::time;
use super::tls::TlsSource;
use crate::Coordinator;
use crate::http::now_ms;
use crate::service::SignInToken;
use crate::service::first_owner::{self, FirstOwner};
use crate::store::DataDir;

/// The file with the link, in the data directory.
const FILE: &str = "first-sign-in-link";

/// Makes the first owner and their link where there is none, and shows it: on a terminal, else in a file that only the
/// coordinator's user reads. A link on a terminal is made anew at each start until somebody signs in: nobody can tell whether the last
/// one was seen. `public_url` is where browsers reach it; without one, the first of `addresses` is as good as told.
pub(super) fn welcome(
    config: &ServeConfig,
    coordinator: &Coordinator,
    public_url: Option<&str>,
    addresses: &[SocketAddr],
) -> Result<(), CliError> {
    let dir = DataDir::new(&config.data_dir);
    let file = dir.path().join(FILE);
    let (store, shown) = (coordinator.store(), token_in(&file));
    let link = match first_owner::prepare(store, coordinator.entropy(), now_ms(), shown.as_ref())? {
        FirstOwner::Known => return Ok(dir.remove_private(FILE)?),
        FirstOwner::Invited => {
            tracing::info!(file = %file.display(), "open the link in this file to become the owner; it still works");
            return Ok(());
        }
        FirstOwner::New(link) => link,
    };
    coordinator.reload()?;
    let base = public_url.map_or_else(|| listened(config, addresses), str::to_owned);
    let url = format!("{base}/sign-in/{}", *link.token.to_text());
    let until = time(link.expires_at_ms);
    let mut terminal = std::io::stderr();
    if terminal.is_terminal() && config.log_format == LogFormat::Human {
        let shown = writeln!(
            terminal,
            "\n  open this link to become the owner: {url}\n  (it works once, until {until})\n"
        );
        return shown.map_err(CliError::io("cannot show the link of the first owner"));
    }
    dir.write_private(FILE, &format!("{url}\n"))?;
    tracing::info!(file = %file.display(), until, "open the link in this file to become the owner");
    Ok(())
}

/// The secret of the link in the file, where there is a whole one.
fn token_in(file: &Path) -> Option<SignInToken> {
    std::fs::read_to_string(file).ok()?.trim().rsplit('/').next()?.parse().ok()
}

/// Where a browser on this machine reaches it.
fn listened(config: &ServeConfig, addresses: &[SocketAddr]) -> String {
    let scheme = if config.tls == TlsSource::Off { "http" } else { "https" };
    match addresses.first() {
        Some(address) if !address.ip().is_unspecified() => format!("{scheme}://{address}"),
        Some(address) => format!("{scheme}://localhost:{}", address.port()),
        None => format!("{scheme}://localhost"),
    }
}
