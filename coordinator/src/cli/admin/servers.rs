//! What `admin relay` and `admin stun` show: what the coordinator that serves knows, or where none does, what the database says.

use protocol::api::Servers;
use protocol::relay_token::TokenSigningKey;

use super::super::error::CliError;
use super::super::serve::runtime;
use super::super::servers_socket::{self, KnownServers};
use super::Admin;
use crate::server_check::ServerChecks;
use crate::service::NodeFigures;
use crate::service::resources::relays::{Relay, RelayList};
use crate::service::resources::servers::ServerCheck;
use crate::service::resources::stun_servers::StunServer;
use crate::store::StoreError;

/// The columns of what nodes see.
pub(super) const NODE_HEAD: [&str; 5] = ["NODES", "WITHOUT", "MEDIAN", "P95", "LAST SEEN"];

/// Those of them that hold numbers.
pub(super) const NODE_RIGHT: [usize; 4] = [0, 1, 2, 3];

impl Admin {
    /// The servers, and what has to be said of them.
    pub(super) fn known_servers(&self) -> Result<(KnownServers, String), CliError> {
        // As every command: an installation without an owner is none yet.
        self.organization_id()?;
        if let Some(known) = servers_socket::ask(&self.data_dir)? {
            return Ok((known, String::new()));
        }
        let note = "\nNo coordinator serves from this data directory: its own servers, and what nodes see, are not known.\n";
        Ok((self.stored_servers()?, note.to_owned()))
    }

    fn stored_servers(&self) -> Result<KnownServers, CliError> {
        let (relays, stun_servers, own) = self
            .store
            .read(|tx| Ok::<_, StoreError>((tx.relays()?, tx.stun_servers()?, tx.coordinator()?)))?;
        let key = own.map(|own| TokenSigningKey::from_random(&own.token_signing_key));
        let mut known = KnownServers {
            stun_servers: StunServer::all(&Servers::default(), stun_servers, &relays),
            relays: RelayList {
                relays: relays.into_iter().map(Relay::from).collect(),
                verify_key: key.as_ref().map(|key| key.verifying_key().to_string()),
            },
        };
        if let Some(key) = key {
            let checks = std::sync::Arc::new(ServerChecks::new(key));
            runtime()?.block_on(known.ask(&checks));
        }
        Ok(known)
    }
}

/// Whether a server is in the maps.
pub(super) const fn state(is_disabled: bool) -> &'static str {
    if is_disabled { "disabled" } else { "in use" }
}

/// What a server answered this machine, and how soon.
pub(super) fn check_cells(check: Option<&ServerCheck>) -> [String; 2] {
    let Some(check) = check else { return ["not asked".to_owned(), String::new()] };
    [check.result.words().to_owned(), check.rtt_us.map(rtt).unwrap_or_default()]
}

/// How nodes see a server.
pub(super) fn node_cells(nodes: Option<&NodeFigures>, now_ms: i64) -> [String; 5] {
    let Some(nodes) = nodes else { return ["?", "?", "", "", ""].map(str::to_owned) };
    [
        nodes.reached.to_string(),
        nodes.unreached.to_string(),
        nodes.rtt_median_us.map_or_else(|| "-".to_owned(), rtt),
        nodes.rtt_p95_us.map_or_else(|| "-".to_owned(), rtt),
        nodes
            .last_reached_at_ms
            .map_or_else(|| "never".to_owned(), |at_ms| age(now_ms.saturating_sub(at_ms))),
    ]
}

fn rtt(us: u32) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

fn age(ms: i64) -> String {
    match ms.max(0) / 1000 {
        s @ ..=99 => format!("{s} s ago"),
        s @ 100..=5_999 => format!("{} min ago", s / 60),
        s => format!("{} h ago", s / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_units() {
        assert_eq!((rtt(950), rtt(12_345)), ("0.9 ms".into(), "12.3 ms".into()));
        let ages = [-5, 99_999, 100_000, 6_000_000].map(age);
        assert_eq!(ages, ["0 s ago", "99 s ago", "1 min ago", "1 h ago"]);
        assert_eq!(node_cells(Some(&NodeFigures::default()), 0), ["0", "0", "-", "-", "never"]);
    }
}
