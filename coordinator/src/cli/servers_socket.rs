//! What the serving process knows of relays and STUN servers, for commands on its machine: figures of nodes are in its memory alone. A
//! socket in the data directory, for who may read that; it reads nothing, asks the servers, writes what it knows and closes.

use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;

use super::error::CliError;
use crate::http::Site;
use crate::server_check::{ServerChecks, Target};
use crate::service::operator;
use crate::service::resources::relays::RelayList;
use crate::service::resources::stun_servers::StunServer;
use crate::store::DataDir;

const NAME: &str = "servers.sock";

/// The most that is read: 17 relays with 20 nodes each have not a hundredth of it.
const ANSWER_MAX: u64 = 1024 * 1024;

/// How long a command waits: servers get a second to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// All relays and STUN servers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KnownServers {
    pub(super) relays: RelayList,
    pub(super) stun_servers: Vec<StunServer>,
}

impl KnownServers {
    /// Asks those that are in maps, and notes what they answer.
    pub(super) async fn ask(&mut self, checks: &Arc<ServerChecks>) {
        let relays = self.relays.relays.iter().filter(|relay| !relay.disabled).flat_map(Target::of_relay);
        let stun_servers = self.stun_servers.iter().filter(|server| !server.disabled);
        let targets: Vec<Target> = relays.chain(stun_servers.map(Target::of_stun_server)).collect();
        checks.ask(&targets).await;
        self.relays.relays.iter_mut().for_each(|relay| checks.show_relay(relay));
        self.stun_servers.iter_mut().for_each(|server| checks.show_stun_server(server));
    }
}

/// The socket; its file goes with it.
pub(super) struct ServersSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl ServersSocket {
    /// Opens it, in the place of one that an earlier process left: the caller holds the data directory.
    pub(super) fn open(dir: &DataDir) -> std::io::Result<Self> {
        let path = dir.path().join(NAME);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        Ok(Self { listener, path })
    }

    /// Answers who asks, one after the other.
    pub(super) async fn serve(self, site: Arc<Site>) {
        loop {
            let Ok((mut stream, _)) = self.listener.accept().await else {
                tokio::time::sleep(Duration::from_secs(1)).await;
                continue;
            };
            let Some(answer) = answer(&site).await else { continue };
            let _ = tokio::time::timeout(PATIENCE, stream.write_all(&answer)).await;
        }
    }
}

impl Drop for ServersSocket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer(site: &Arc<Site>) -> Option<Vec<u8>> {
    let coordinator = Arc::clone(site.coordinator());
    let known = tokio::task::spawn_blocking(move || {
        let caller = operator(coordinator.store(), None).ok()?.caller;
        let relays = coordinator.relays(&caller).ok()?;
        Some(KnownServers { relays, stun_servers: coordinator.stun_servers(&caller).ok()? })
    });
    let mut known = known.await.ok()??;
    known.ask(site.checks()).await;
    serde_json::to_vec(&known).ok()
}

/// Asks the process that serves from a data directory; `None` where none does.
pub(super) fn ask(dir: &Path) -> Result<Option<KnownServers>, CliError> {
    let path = dir.join(NAME);
    let failed = || CliError::io(format!("the coordinator's socket {}", path.display()));
    let stream = match UnixStream::connect(&path) {
        // The last: a path that is too long for a socket, where `serve` has none either.
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::InvalidInput
            ) =>
        {
            return Ok(None);
        }
        connected => connected.map_err(failed())?,
    };
    stream.set_read_timeout(Some(PATIENCE)).map_err(failed())?;
    let mut text = String::new();
    stream.take(ANSWER_MAX).read_to_string(&mut text).map_err(failed())?;
    let unread = |error| {
        CliError::Failed(format!("the coordinator's answer cannot be read ({error}); is it of this version?"))
    };
    serde_json::from_str(&text).map(Some).map_err(unread)
}
