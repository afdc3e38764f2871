//! `admin stun`: STUN servers of the installation.

use serde_json::json;
use uuid::Uuid;

use super::super::args::StunCommand;
use super::super::error::CliError;
use super::super::output::{answer, table_right};
use super::Admin;
use super::resources::value;
use super::servers::{NODE_HEAD, NODE_RIGHT, check_cells, node_cells, state};
use crate::service::AdminError;
use crate::service::resources::servers::ServerOrigin;
use crate::service::resources::stun_servers::{NewStunServer, StunServer, StunServerChange};

impl Admin {
    pub(super) fn stun(&self, command: &StunCommand) -> Result<(), CliError> {
        match command {
            StunCommand::Add { name, address } => {
                let new = NewStunServer { name: name.clone(), address: *address };
                let server = self.call(|call| Ok(call.create_stun_server(new)?))?;
                let text = format!(
                    "STUN server {} at {}: in every map within a second",
                    server.name, server.address
                );
                answer(self.json, &value(&server), &text)
            }
            StunCommand::List => self.list_stun_servers(),
            StunCommand::Set { server, name, address } => {
                let change = StunServerChange { name: name.clone(), address: *address, disabled: None };
                self.change_stun_server(server, change, "changed")
            }
            StunCommand::Disable { server } => {
                let change = StunServerChange { disabled: Some(true), ..StunServerChange::default() };
                self.change_stun_server(server, change, "taken out of all maps:")
            }
            StunCommand::Enable { server } => {
                let change = StunServerChange { disabled: Some(false), ..StunServerChange::default() };
                self.change_stun_server(server, change, "back in all maps:")
            }
            StunCommand::Remove { server } => {
                let id = self.stun_server_id(server)?;
                let name = self.call(|call| Ok(call.delete_stun_server(id)?))?;
                answer(self.json, &json!({"removed": name}), &format!("removed {name}"))
            }
        }
    }

    fn change_stun_server(&self, wanted: &str, change: StunServerChange, done: &str) -> Result<(), CliError> {
        let id = self.stun_server_id(wanted)?;
        let server = self.call(|call| Ok(call.update_stun_server(id, change)?))?;
        answer(self.json, &value(&server), &format!("{done} {}", server.name))
    }

    /// The registered STUN server with this id, else the one with this name.
    fn stun_server_id(&self, wanted: &str) -> Result<Uuid, CliError> {
        let missing = AdminError::NotFound {
            what: "registered STUN server",
            given: wanted.to_owned(),
            list: "stun list",
        };
        Ok(self.store.read(|tx| tx.stun_server_id(wanted))?.ok_or(missing)?)
    }

    fn list_stun_servers(&self) -> Result<(), CliError> {
        let (known, note) = self.known_servers()?;
        let row = |server: &StunServer| {
            let state = if server.asked || server.disabled { state(server.disabled) } else { "spare" };
            let mut row = vec![server.name.clone(), state.to_owned(), origin(server.origin).to_owned()];
            row.push(server.address.to_string());
            row.extend(check_cells(server.check.as_ref()));
            row.extend(node_cells(server.nodes.as_ref(), self.now_ms));
            row
        };
        let rows: Vec<_> = known.stun_servers.iter().map(row).collect();
        let head = [&["NAME", "STATE", "FROM", "ADDRESS", "FROM HERE", "RTT"][..], &NODE_HEAD].concat();
        let list = table_right(&head, &rows, &[&[5][..], &NODE_RIGHT.map(|column| column + 6)].concat());
        answer(self.json, &json!({"stun_servers": known.stun_servers}), format!("{list}\n{note}").trim_end())
    }
}

/// Where a server comes from.
const fn origin(origin: ServerOrigin) -> &'static str {
    match origin {
        ServerOrigin::Settings => "settings",
        ServerOrigin::Registered => "registered",
        ServerOrigin::Relay => "relay",
    }
}
