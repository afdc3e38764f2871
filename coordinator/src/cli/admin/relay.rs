//! `admin relay`: relays on machines of their own; and nodes that may be one, `admin node allow-relay`.

use protocol::relay_token::TokenSigningKey;
use serde_json::{Value, json};

use super::super::args::RelayCommand;
use super::super::error::CliError;
use super::super::output::{answer, table};
use super::Admin;
use crate::service::relays::{self, NewRelay};
use crate::service::resources::nodes::NodeChange;
use crate::store::RelayRow;

fn relay_json(relay: &RelayRow) -> Value {
    json!({
        "id": relay.id, "name": relay.name, "public_key": relay.public_key,
        "addresses": relay.addresses, "stun_servers": relay.stun_servers,
    })
}

fn listed(addresses: &[std::net::SocketAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

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
                let relay = relays::add(&self.store, &self.entropy, self.now_ms, new)?;
                let text = format!(
                    "relay {} at {}: in every map within a second. `warren status` on a node shows whether it is reached.",
                    relay.name,
                    listed(&relay.addresses)
                );
                answer(self.json, &relay_json(&relay), &text)
            }
            RelayCommand::List => self.list_relays(),
            RelayCommand::Remove { relay } => {
                let name = relays::remove(&self.store, self.now_ms, relay)?;
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

    fn list_relays(&self) -> Result<(), CliError> {
        let (relays, own) = self.store.read(|tx| Ok::<_, CliError>((tx.relays()?, tx.coordinator()?)))?;
        let verify_key =
            own.map(|own| TokenSigningKey::from_random(&own.token_signing_key).verifying_key().to_string());
        let json = json!({
            "relays": relays.iter().map(relay_json).collect::<Vec<_>>(), "verify_key": verify_key,
        });
        let row = |relay: &RelayRow| {
            let (addresses, stun) = (listed(&relay.addresses), listed(&relay.stun_servers));
            vec![relay.name.clone(), addresses, stun, relay.public_key.to_string()]
        };
        let rows: Vec<_> = relays.iter().map(row).collect();
        let list = table(&["NAME", "ADDRESSES", "STUN", "PUBLIC KEY"], &rows);
        let next = verify_key.map_or_else(
            || "Start `warren-coordinator serve` once: it makes the key that relays verify tokens with.".to_owned(),
            |key| {
                format!(
                    "Another one, on its own machine:\n  warren-coordinator relay --listen 0.0.0.0:3478,0.0.0.0:3479 \
                     --private-key-file relay.key \\\n    --verify-key {key}"
                )
            },
        );
        answer(self.json, &json, &format!("{list}\n\n{next}"))
    }
}
