//! `admin relay`: relays of the installation; and nodes that may be one, `admin node allow-relay`.

use serde_json::json;
use uuid::Uuid;

use super::super::args::RelayCommand;
use super::super::error::CliError;
use super::super::output::{answer, table_right};
use super::Admin;
use super::resources::value;
use super::servers::{NODE_HEAD, NODE_RIGHT, check_cells, node_cells, state};
use crate::service::AdminError;
use crate::service::resources::nodes::NodeChange;
use crate::service::resources::relays::{NewRelay, Relay, RelayChange};

impl Admin {
    pub(super) fn relay(&self, command: &RelayCommand) -> Result<(), CliError> {
        match command {
            RelayCommand::Add { name, public_key, address, stun } => {
                let new = NewRelay {
                    name: name.clone(),
                    public_key: *public_key,
                    addresses: address.clone(),
                    stun_servers: stun.clone(),
                };
                let relay = self.call(|call| Ok(call.create_relay(new)?))?;
                let text = format!(
                    "relay {} at {}: in every map within a second. `warren-coordinator admin relay list` shows who reaches it.",
                    relay.name,
                    listed(&relay.addresses)
                );
                answer(self.json, &value(&relay), &text)
            }
            RelayCommand::List => self.list_relays(),
            RelayCommand::Show { relay } => self.show_relay(relay),
            RelayCommand::Set { relay, name, address, stun } => {
                let (name, addresses, stun_servers) = (name.clone(), address.clone(), stun.clone());
                let change = RelayChange { name, addresses, stun_servers, disabled: None };
                self.change_relay(relay, change, "changed")
            }
            RelayCommand::Disable { relay } => {
                let change = RelayChange { disabled: Some(true), ..RelayChange::default() };
                self.change_relay(relay, change, "taken out of all maps, so nodes leave it now:")
            }
            RelayCommand::Enable { relay } => {
                let change = RelayChange { disabled: Some(false), ..RelayChange::default() };
                self.change_relay(relay, change, "back in all maps:")
            }
            RelayCommand::Remove { relay } => {
                let id = self.relay_id(relay)?;
                let name = self.call(|call| Ok(call.delete_relay(id)?))?;
                answer(self.json, &json!({"removed": name}), &format!("removed {name}"))
            }
        }
    }

    pub(super) fn set_may_relay(&self, node: &str, may_relay: bool) -> Result<(), CliError> {
        let node = self.find_node(node)?;
        let change = NodeChange { may_relay: Some(may_relay), ..NodeChange::default() };
        self.call(|call| Ok(call.update_node(node.id, change)?))?;
        let json = json!({"id": node.id, "name": node.name, "may_relay": may_relay});
        let text = if may_relay {
            format!(
                "{} may be a relay for its network: `warren status` there shows since when, or why not yet.",
                node.name
            )
        } else {
            format!("{} is no relay any more", node.name)
        };
        answer(self.json, &json, &text)
    }

    fn change_relay(&self, wanted: &str, change: RelayChange, done: &str) -> Result<(), CliError> {
        let id = self.relay_id(wanted)?;
        let relay = self.call(|call| Ok(call.update_relay(id, change)?))?;
        answer(self.json, &value(&relay), &format!("{done} {}", relay.name))
    }

    /// The relay with this id, else the one with this name.
    fn relay_id(&self, wanted: &str) -> Result<Uuid, CliError> {
        let missing = AdminError::NotFound { what: "relay", given: wanted.to_owned(), list: "relay list" };
        Ok(self.store.read(|tx| tx.relay_id(wanted))?.ok_or(missing)?)
    }

    fn list_relays(&self) -> Result<(), CliError> {
        let (known, note) = self.known_servers()?;
        let rows: Vec<Vec<String>> =
            known.relays.relays.iter().flat_map(|relay| self.relay_rows(relay)).collect();
        let head = [&["NAME", "STATE", "ADDRESS", "FROM HERE", "RTT"][..], &NODE_HEAD].concat();
        let list = table_right(&head, &rows, &[&[4][..], &NODE_RIGHT.map(|column| column + 5)].concat());
        let next = known.relays.verify_key.as_deref().map_or_else(
            || "Start `warren-coordinator serve` once: it makes the key that relays verify tokens with.".to_owned(),
            |key| {
                format!(
                    "Another one, on its own machine:\n  warren-coordinator relay --listen 0.0.0.0:3478,0.0.0.0:3479 \
                     --private-key-file relay.key \\\n    --verify-key {key}"
                )
            },
        );
        answer(self.json, &value(&known.relays), &format!("{list}\n{note}\n{next}"))
    }

    /// A line for each address of a relay.
    fn relay_rows(&self, relay: &Relay) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        for address in &relay.addresses {
            let check = relay.checks.iter().find(|check| check.address == *address);
            let mut row = if rows.is_empty() {
                vec![relay.name.clone(), state(relay.disabled).to_owned()]
            } else {
                vec![String::new(); 2]
            };
            row.push(address.to_string());
            row.extend(check_cells(check));
            if rows.is_empty() {
                row.extend(node_cells(relay.nodes.as_ref(), self.now_ms));
            }
            rows.push(row);
        }
        rows
    }

    fn show_relay(&self, wanted: &str) -> Result<(), CliError> {
        let (known, note) = self.known_servers()?;
        let is_it =
            |relay: &&Relay| relay.name == wanted || relay.id.is_some_and(|id| id.to_string() == wanted);
        let missing = AdminError::NotFound { what: "relay", given: wanted.to_owned(), list: "relay list" };
        let relay = known.relays.relays.iter().find(is_it).ok_or(missing)?;
        let mut facts = vec![
            ("name", relay.name.clone()),
            (
                "id",
                relay
                    .id
                    .map_or_else(|| "none: by the coordinator's settings".to_owned(), |id| id.to_string()),
            ),
            ("state", state(relay.disabled).to_owned()),
            ("public key", relay.public_key.to_string()),
            ("stun", listed(&relay.stun_servers)),
        ];
        for address in &relay.addresses {
            let check = relay.checks.iter().find(|check| check.address == *address);
            let [result, rtt] = check_cells(check);
            facts.push(("address", format!("{address}  from here: {result} {rtt}").trim_end().to_owned()));
        }
        if let Some(nodes) = &relay.nodes {
            let cells = node_cells(Some(nodes), self.now_ms);
            let [reached, unreached, median, p95, last] = cells;
            facts.push((
                "nodes",
                format!(
                    "{reached} reach it, {unreached} do not; RTT median {median}, p95 {p95}; last {last}"
                ),
            ));
            facts.extend(
                nodes.unreached_by.iter().map(|node| ("no way from", format!("{} ({})", node.name, node.id))),
            );
        }
        let lines: Vec<String> = facts.iter().map(|(what, is)| format!("{what:<12}{is}")).collect();
        answer(self.json, &value(relay), format!("{}\n{note}", lines.join("\n")).trim_end())
    }
}

fn listed(addresses: &[std::net::SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
