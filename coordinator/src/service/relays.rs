//! Relays on machines of their own: what an administrator says of them, and how maps name them.

use std::net::SocketAddr;

use protocol::api::{RELAY_ADDRESSES_MAX, RelayInfo, Servers};
use protocol::key::{PrivateKey, PublicKey};

use super::AdminError;
use super::administration::{NAME_MAX, check_text};
use super::caller::COMMAND;
use crate::Entropy;
use crate::store::{AuditRow, RelayRow, Store};

/// The most relays beside the coordinator's own. Every node holds a session at every relay, so that each pair meets at the
/// one that is nearest to both: a keepalive of 60 bytes each 10 s per relay.
const RELAYS_MAX: usize = 16;

/// A relay as an administrator describes it.
#[derive(Debug, Clone)]
pub struct NewRelay {
    /// Its name.
    pub name: String,
    /// Its X25519 public key.
    pub public_key: PublicKey,
    /// Where it answers.
    pub addresses: Vec<SocketAddr>,
    /// Where it answers STUN.
    pub stun_servers: Vec<SocketAddr>,
}

/// Adds a relay to every map.
///
/// # Errors
/// What is wrong with the description, a name, key or address that is taken, too many relays, or the database's.
pub fn add(store: &Store, entropy: &Entropy, now_ms: i64, new: NewRelay) -> Result<RelayRow, AdminError> {
    check_text("relay", &new.name, NAME_MAX)?;
    if PrivateKey::from_random(*entropy.secret()).shared_secret(&new.public_key).is_none() {
        return Err(AdminError::UnusablePublicKey);
    }
    if new.addresses.is_empty() || new.addresses.len().max(new.stun_servers.len()) > RELAY_ADDRESSES_MAX {
        return Err(AdminError::AddressCount { max: RELAY_ADDRESSES_MAX });
    }
    let mut named = new.addresses.iter().chain(&new.stun_servers);
    if let Some(address) = named.find(|address| endpoint_selection::check_address(**address, &[]).is_err()) {
        return Err(AdminError::UnusableEndpoint(*address));
    }
    let NewRelay { name, public_key, addresses, stun_servers } = new;
    let row = RelayRow { id: entropy.id(now_ms), name, public_key, addresses, stun_servers };
    store.write(move |tx| {
        let known = tx.reading().relays()?;
        if known.len() >= RELAYS_MAX {
            return Err(AdminError::TooManyRelays(RELAYS_MAX));
        }
        if known.iter().any(|relay| relay.name == row.name) || row.name == COORDINATOR {
            return Err(AdminError::NameTaken { what: "relay", given: row.name });
        }
        let is_same = |relay: &&RelayRow| {
            relay.public_key == row.public_key || relay.addresses.iter().any(|at| row.addresses.contains(at))
        };
        if let Some(relay) = known.iter().find(is_same) {
            return Err(AdminError::RelayTaken(relay.name.clone()));
        }
        tx.insert_relay(&row, now_ms)?;
        tx.insert_audit(&entry(now_ms, "relay.create", &row.name, &row.addresses))?;
        Ok(row)
    })
}

/// Removes a relay, given by name or id; nodes leave it at once. Gives its name.
///
/// # Errors
/// A relay that does not exist, or the database's.
pub fn remove(store: &Store, now_ms: i64, wanted: &str) -> Result<String, AdminError> {
    let wanted = wanted.to_owned();
    store.write(move |tx| {
        let missing = AdminError::NotFound { what: "relay", given: wanted.clone(), list: "relay list" };
        let name = tx.remove_relay(&wanted)?.ok_or(missing)?;
        tx.insert_audit(&entry(now_ms, "relay.delete", &name, &[]))?;
        Ok(name)
    })
}

/// An entry of the audit log: relays are of the installation as a whole.
fn entry(now_ms: i64, action: &str, name: &str, addresses: &[SocketAddr]) -> AuditRow {
    let details = serde_json::json!({ "addresses": addresses }).to_string();
    AuditRow::new(None, now_ms, COMMAND.to_owned(), (action, name.to_owned(), details))
}

/// The name of the relay inside the coordinator.
pub const COORDINATOR: &str = "coordinator";

/// The coordinator's own servers, then these relays.
pub(crate) fn with_relays(own: &Servers, rows: Vec<RelayRow>) -> Servers {
    let mut all = own.clone();
    for row in rows {
        let RelayRow { name, public_key, addresses, stun_servers, .. } = row;
        all.relays.extend(addresses.into_iter().map(|address| RelayInfo {
            name: name.clone(),
            address,
            public_key,
            url: None,
            node: None,
        }));
        all.stun_servers.extend(stun_servers);
    }
    all
}
