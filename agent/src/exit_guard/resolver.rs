//! The system's resolver for the agent's own calls: what it says is let past the exit node before it is used, and what it said last
//! counts where it says nothing.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::time::timeout;

use super::ExitGuard;

/// How long the system's resolver may take; its own patience is a multiple, and known addresses are as good.
const PATIENCE: Duration = Duration::from_secs(4);

/// The resolver of one guard.
#[derive(Debug, Clone)]
pub(crate) struct GuardedResolver(ExitGuard);

impl GuardedResolver {
    /// Tells this guard.
    pub(crate) const fn new(guard: ExitGuard) -> Self {
        Self(guard)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.0.clone();
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let addresses = look_up(guard, host).await?;
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}

async fn look_up(guard: ExitGuard, host: String) -> Result<Vec<IpAddr>, std::io::Error> {
    let known = guard.known(&host);
    let asked = tokio::net::lookup_host((host.clone(), 0));
    // With nothing else to go by the resolver may take its time, and its error is told.
    let told = if known.is_empty() {
        asked.await
    } else {
        timeout(PATIENCE, asked).await.unwrap_or_else(|late| Err(late.into()))
    };
    let addresses: Vec<IpAddr> = match told {
        Ok(told) => told.map(|address| address.ip()).collect(),
        Err(error) if known.is_empty() => return Err(error),
        Err(error) => {
            tracing::debug!(host, %error, "no answer of the resolver: using the addresses that it told last");
            return Ok(known);
        }
    };
    let learnt = addresses.clone();
    // It runs programs where an exit node is used.
    tokio::task::spawn_blocking(move || guard.learn(&host, &learnt)).await?;
    Ok(addresses)
}
