//! Relays of the installation: the coordinator's own, and those on machines of their own.

use std::net::SocketAddr;

use protocol::api::{RELAY_ADDRESSES_MAX, Servers};
use protocol::key::PublicKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::servers::{ServerCheck, ServerOrigin, check_address};
use super::{Call, ResourceError, check_name};
use crate::service::NodeFigures;
use crate::service::administration::NAME_MAX;
use crate::service::peer_relays::is_usable_key;
use crate::service::relays::COORDINATOR;
use crate::store::{ReadTx, RelayRow};

/// The most relays beside the coordinator's own. Every node holds a session at every relay, so that each pair meets at the
/// one that is nearest to both: a keepalive of 60 bytes each 10 s per relay.
const RELAYS_MAX: usize = 16;

/// A relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Relay {
    /// Its id; absent for the coordinator's own.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub id: Option<Uuid>,
    /// Its name, unique in the installation.
    pub name: String,
    /// Where it comes from: `settings` or `registered`.
    pub origin: ServerOrigin,
    /// Whether it is in no map: nodes are not there.
    pub disabled: bool,
    /// Its X25519 public key, base64.
    #[schema(value_type = String)]
    pub public_key: PublicKey,
    /// Where it answers.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<SocketAddr>,
    /// Where it answers STUN.
    #[schema(value_type = Vec<String>)]
    pub stun_servers: Vec<SocketAddr>,
    /// When it was registered, Unix milliseconds.
    pub created_at_ms: Option<i64>,
    /// How nodes see it: of all organizations for the operator, else of the caller's.
    pub nodes: Option<NodeFigures>,
    /// How the coordinator's machine finds it, for each address; what nobody has looked at of late is not here.
    pub checks: Vec<ServerCheck>,
}

/// The relays.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct RelayList {
    /// The coordinator's own, then the others by name.
    pub relays: Vec<Relay>,
    /// The public key that relays verify nodes' tokens with: `warren-coordinator relay --verify-key`. Absent before the first start.
    pub verify_key: Option<String>,
}

/// A relay to register: one that runs elsewhere, as `warren-coordinator relay`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRelay {
    /// Its name, 1 to 63 characters.
    pub name: String,
    /// The X25519 public key that it prints when it starts, base64.
    #[schema(value_type = String)]
    pub public_key: PublicKey,
    /// Where nodes reach it: 1 to 4 addresses with ports, one relay at all of them.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<SocketAddr>,
    /// Where it answers STUN: up to 4 addresses with ports.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    pub stun_servers: Vec<SocketAddr>,
}

/// What is to be another way; the rest stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RelayChange {
    /// Its name.
    pub name: Option<String>,
    /// Whether it is in no map: nodes leave it at once for other relays. Do so before you stop it.
    pub disabled: Option<bool>,
    /// Where nodes reach it.
    #[schema(value_type = Option<Vec<String>>)]
    pub addresses: Option<Vec<SocketAddr>>,
    /// Where it answers STUN.
    #[schema(value_type = Option<Vec<String>>)]
    pub stun_servers: Option<Vec<SocketAddr>>,
}

impl From<RelayRow> for Relay {
    fn from(row: RelayRow) -> Self {
        Self {
            id: Some(row.id),
            name: row.name,
            origin: ServerOrigin::Registered,
            disabled: row.is_disabled,
            public_key: row.public_key,
            addresses: row.addresses,
            stun_servers: row.stun_servers,
            created_at_ms: Some(row.created_at_ms),
            nodes: None,
            checks: Vec::new(),
        }
    }
}

impl Relay {
    /// Those of the settings, one for each key: `serve` has one inside.
    pub(crate) fn own(servers: &Servers) -> Vec<Self> {
        let mut own: Vec<Self> = Vec::new();
        for relay in &servers.relays {
            if let Some(known) = own.iter_mut().find(|known| known.public_key == relay.public_key) {
                known.addresses.push(relay.address);
                continue;
            }
            own.push(Self {
                id: None,
                name: relay.name.clone(),
                origin: ServerOrigin::Settings,
                disabled: false,
                public_key: relay.public_key,
                addresses: vec![relay.address],
                stun_servers: servers.stun_servers.clone(),
                created_at_ms: None,
                nodes: None,
                checks: Vec::new(),
            });
        }
        own
    }
}

impl Call<'_> {
    /// Registers a relay: it is in every map.
    ///
    /// # Errors
    /// A caller who is not the operator; what is wrong with the description; a name, key or address that is taken; too many relays;
    /// or the database's.
    pub fn create_relay(&self, wanted: NewRelay) -> Result<Relay, ResourceError> {
        self.check_operator()?;
        if !is_usable_key(&wanted.public_key) {
            let why = "is of low order and cannot protect anything; make a new one with `wg genkey`";
            return Err(ResourceError::invalid("public_key", why));
        }
        let entry = self.installation_audit("relay.create", &wanted.name, &wanted);
        let NewRelay { name, public_key, addresses, stun_servers } = wanted;
        let (id, created_at_ms) = (self.entropy.id(self.now_ms), self.now_ms);
        let row =
            RelayRow { id, name, public_key, addresses, stun_servers, created_at_ms, is_disabled: false };
        check_relay(&row)?;
        self.write(move |tx| {
            let known = tx.reading().relays()?;
            if known.len() >= RELAYS_MAX {
                let why =
                    format!("there are {RELAYS_MAX} relays already, which is the most; remove one first");
                return Err(ResourceError::Conflict(why));
            }
            check_free(&tx.reading(), &known, &row)?;
            tx.put_relay(&row)?;
            tx.insert_audit(&entry)?;
            Ok(row.into())
        })
    }

    /// Changes a relay; one that is disabled is in no map any more, and nodes leave it at once.
    ///
    /// # Errors
    /// A caller who is not the operator, no such relay, what is wrong with the description, a name or address that is taken, or the
    /// database's.
    pub fn update_relay(&self, id: Uuid, wanted: RelayChange) -> Result<Relay, ResourceError> {
        self.check_operator()?;
        let mut entry = self.installation_audit("relay.change", "", &wanted);
        self.write(move |tx| {
            let known = tx.reading().relays()?;
            let found = known.iter().find(|relay| relay.id == id).cloned();
            let mut row = found.ok_or(ResourceError::NotFound("relay"))?;
            entry.subject.clone_from(&row.name);
            let before = row.clone();
            row.name = wanted.name.unwrap_or(row.name);
            row.is_disabled = wanted.disabled.unwrap_or(row.is_disabled);
            row.addresses = wanted.addresses.unwrap_or(row.addresses);
            row.stun_servers = wanted.stun_servers.unwrap_or(row.stun_servers);
            // One of an older version, which allowed what is refused now, can be disabled all the same.
            let is_elsewhere = (&before.name, &before.addresses, &before.stun_servers)
                != (&row.name, &row.addresses, &row.stun_servers);
            if is_elsewhere {
                check_relay(&row)?;
                check_free(&tx.reading(), &known, &row)?;
            }
            tx.put_relay(&row)?;
            tx.insert_audit(&entry)?;
            Ok(row.into())
        })
    }

    /// Deletes a relay; nodes leave it at once. Gives its name.
    ///
    /// # Errors
    /// A caller who is not the operator, no such relay, or the database's.
    pub fn delete_relay(&self, id: Uuid) -> Result<String, ResourceError> {
        self.check_operator()?;
        let mut entry = self.installation_audit("relay.delete", "", &());
        self.write(move |tx| {
            let name = tx.delete_relay(id)?.ok_or(ResourceError::NotFound("relay"))?;
            entry.subject.clone_from(&name);
            tx.insert_audit(&entry)?;
            Ok(name)
        })
    }
}

/// Whether a relay can be one.
fn check_relay(row: &RelayRow) -> Result<(), ResourceError> {
    check_name("name", &row.name, NAME_MAX)?;
    if !(1..=RELAY_ADDRESSES_MAX).contains(&row.addresses.len()) {
        return Err(ResourceError::invalid(
            "addresses",
            format!("1 to {RELAY_ADDRESSES_MAX} addresses with ports"),
        ));
    }
    if row.stun_servers.len() > RELAY_ADDRESSES_MAX {
        let why = format!("at most {RELAY_ADDRESSES_MAX} addresses with ports");
        return Err(ResourceError::invalid("stun_servers", why));
    }
    row.addresses.iter().try_for_each(|address| check_address("addresses", *address))?;
    row.stun_servers.iter().try_for_each(|address| check_address("stun_servers", *address))
}

/// Whether name, key and addresses are no other's.
fn check_free(tx: &ReadTx<'_>, known: &[RelayRow], row: &RelayRow) -> Result<(), ResourceError> {
    let mut others = known.iter().filter(|relay| relay.id != row.id);
    if others.clone().any(|relay| relay.name == row.name) || row.name == COORDINATOR {
        return Err(ResourceError::Conflict(format!("the name `{}` is taken", row.name)));
    }
    let is_same = |relay: &&RelayRow| {
        relay.public_key == row.public_key || relay.addresses.iter().any(|at| row.addresses.contains(at))
    };
    if let Some(relay) = others.clone().find(is_same) {
        return Err(ResourceError::Conflict(format!(
            "relay `{}` has this public key or one of these addresses already; remove it first",
            relay.name
        )));
    }
    let is_told = |address: &SocketAddr| row.stun_servers.contains(address);
    if let Some(relay) = others.find(|relay| relay.stun_servers.iter().any(is_told)) {
        let why = format!("relay `{}` answers STUN at one of these addresses already", relay.name);
        return Err(ResourceError::Conflict(why));
    }
    match tx.stun_servers()?.iter().find(|server| is_told(&server.address)) {
        Some(server) => Err(ResourceError::Conflict(format!(
            "STUN server `{}` has one of these addresses already; remove it first",
            server.name
        ))),
        None => Ok(()),
    }
}
