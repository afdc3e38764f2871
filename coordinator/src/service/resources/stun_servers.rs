//! STUN servers of the installation: the coordinator's own, those at relays, and others.

use std::net::SocketAddr;

use protocol::api::{STUN_SERVERS_ASKED_MAX, Servers};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::servers::{ServerCheck, ServerOrigin, check_address};
use super::{Call, ResourceError, check_name};
use crate::service::NodeFigures;
use crate::service::administration::NAME_MAX;
use crate::service::relays::COORDINATOR;
use crate::store::{ReadTx, RelayRow, StunServerRow};

/// The most STUN servers beside the coordinator's own and those at relays: nodes ask no more.
const STUN_SERVERS_MAX: usize = STUN_SERVERS_ASKED_MAX;

/// A STUN server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct StunServer {
    /// Its id; absent for one that was not registered here.
    #[cfg_attr(feature = "ts", ts(type = "string | null"))]
    pub id: Option<Uuid>,
    /// Its name: `coordinator`, that of the relay, or the one that it was registered with.
    pub name: String,
    /// Where it comes from.
    pub origin: ServerOrigin,
    /// Whether it is in no map.
    pub disabled: bool,
    /// Where it answers.
    #[schema(value_type = String, example = "203.0.113.7:3478")]
    pub address: SocketAddr,
    /// When it was registered, Unix milliseconds.
    pub created_at_ms: Option<i64>,
    /// Whether nodes ask it: they ask the first eight of their map, and this list is in that order.
    pub asked: bool,
    /// How nodes see it: of all organizations for the operator, else of the caller's.
    pub nodes: Option<NodeFigures>,
    /// How the coordinator's machine finds it; absent where nobody has looked of late.
    pub check: Option<ServerCheck>,
}

/// A STUN server to register.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStunServer {
    /// Its name, 1 to 63 characters.
    pub name: String,
    /// Where it answers, an address and a port: nodes are told this and resolve no names.
    #[schema(value_type = String)]
    pub address: SocketAddr,
}

/// What is to be another way; the rest stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StunServerChange {
    /// Its name.
    pub name: Option<String>,
    /// Where it answers, an address and a port.
    #[schema(value_type = Option<String>)]
    pub address: Option<SocketAddr>,
    /// Whether it is in no map.
    pub disabled: Option<bool>,
}

impl From<StunServerRow> for StunServer {
    fn from(row: StunServerRow) -> Self {
        Self {
            id: Some(row.id),
            disabled: row.is_disabled,
            created_at_ms: Some(row.created_at_ms),
            ..Self::unregistered(&row.name, ServerOrigin::Registered, row.address)
        }
    }
}

impl StunServer {
    fn unregistered(name: &str, origin: ServerOrigin, address: SocketAddr) -> Self {
        Self {
            id: None,
            name: name.to_owned(),
            origin,
            disabled: false,
            address,
            created_at_ms: None,
            asked: false,
            nodes: None,
            check: None,
        }
    }

    /// All STUN servers in the order of maps: the coordinator's own, those registered, those at relays.
    pub(crate) fn all(own: &Servers, registered: Vec<StunServerRow>, relays: &[RelayRow]) -> Vec<Self> {
        let own =
            own.stun_servers.iter().map(|at| Self::unregistered(COORDINATOR, ServerOrigin::Settings, *at));
        let at_relays = relays.iter().flat_map(|relay| {
            let at = |address: &SocketAddr| Self {
                disabled: relay.is_disabled,
                ..Self::unregistered(&relay.name, ServerOrigin::Relay, *address)
            };
            relay.stun_servers.iter().map(at)
        });
        let mut all: Vec<Self> = Vec::new();
        for server in own.chain(registered.into_iter().map(Self::from)).chain(at_relays) {
            if !all.iter().any(|known| known.address == server.address) {
                all.push(server);
            }
        }
        let enabled = all.iter_mut().filter(|server| !server.disabled);
        enabled.take(STUN_SERVERS_ASKED_MAX).for_each(|server| server.asked = true);
        all
    }
}

impl Call<'_> {
    /// Registers a STUN server: it is in every map.
    ///
    /// # Errors
    /// A caller who is not the operator; what is wrong with the description; a name or address that is taken; too many; or the
    /// database's.
    pub fn create_stun_server(&self, wanted: NewStunServer) -> Result<StunServer, ResourceError> {
        self.check_operator()?;
        let entry = self.installation_audit("stun-server.create", &wanted.name, &wanted);
        let NewStunServer { name, address } = wanted;
        let (id, created_at_ms) = (self.entropy.id(self.now_ms), self.now_ms);
        let row = StunServerRow { id, name, address, created_at_ms, is_disabled: false };
        check_stun_server(&row)?;
        self.write(move |tx| {
            let known = tx.reading().stun_servers()?;
            if known.len() >= STUN_SERVERS_MAX {
                let why = format!("there are {STUN_SERVERS_MAX} STUN servers already, and nodes ask no more");
                return Err(ResourceError::Conflict(why));
            }
            check_free(&tx.reading(), &known, &row)?;
            tx.put_stun_server(&row)?;
            tx.insert_audit(&entry)?;
            Ok(row.into())
        })
    }

    /// Changes a STUN server.
    ///
    /// # Errors
    /// A caller who is not the operator, no such server, what is wrong with the description, a name or address that is taken, or the
    /// database's.
    pub fn update_stun_server(
        &self,
        id: Uuid,
        wanted: StunServerChange,
    ) -> Result<StunServer, ResourceError> {
        self.check_operator()?;
        let mut entry = self.installation_audit("stun-server.change", "", &wanted);
        self.write(move |tx| {
            let known = tx.reading().stun_servers()?;
            let found = known.iter().find(|server| server.id == id).cloned();
            let mut row = found.ok_or(ResourceError::NotFound("STUN server"))?;
            entry.subject.clone_from(&row.name);
            row.name = wanted.name.unwrap_or(row.name);
            row.address = wanted.address.unwrap_or(row.address);
            row.is_disabled = wanted.disabled.unwrap_or(row.is_disabled);
            check_stun_server(&row)?;
            check_free(&tx.reading(), &known, &row)?;
            tx.put_stun_server(&row)?;
            tx.insert_audit(&entry)?;
            Ok(row.into())
        })
    }

    /// Deletes a STUN server. Gives its name.
    ///
    /// # Errors
    /// A caller who is not the operator, no such server, or the database's.
    pub fn delete_stun_server(&self, id: Uuid) -> Result<String, ResourceError> {
        self.check_operator()?;
        let mut entry = self.installation_audit("stun-server.delete", "", &());
        self.write(move |tx| {
            let name = tx.delete_stun_server(id)?.ok_or(ResourceError::NotFound("STUN server"))?;
            entry.subject.clone_from(&name);
            tx.insert_audit(&entry)?;
            Ok(name)
        })
    }
}

fn check_stun_server(row: &StunServerRow) -> Result<(), ResourceError> {
    check_name("name", &row.name, NAME_MAX)?;
    check_address("address", row.address)
}

/// Whether name and address are no other's.
fn check_free(tx: &ReadTx<'_>, known: &[StunServerRow], row: &StunServerRow) -> Result<(), ResourceError> {
    let mut others = known.iter().filter(|server| server.id != row.id);
    if others.clone().any(|server| server.name == row.name) || row.name == COORDINATOR {
        return Err(ResourceError::Conflict(format!("the name `{}` is taken", row.name)));
    }
    if let Some(server) = others.find(|server| server.address == row.address) {
        return Err(ResourceError::Conflict(format!(
            "STUN server `{}` has this address already",
            server.name
        )));
    }
    match tx.relays()?.iter().find(|relay| relay.stun_servers.contains(&row.address)) {
        Some(relay) => Err(ResourceError::Conflict(format!(
            "relay `{}` answers STUN at this address already",
            relay.name
        ))),
        None => Ok(()),
    }
}
