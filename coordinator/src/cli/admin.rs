//! `admin`: works on the data directory; a coordinator that serves from it notices within a second.

use serde_json::{Value, json};

use super::args::{AdminArgs, AdminCommand, EnrollmentKeyCommand, NetworkCommand, NodeCommand, PlaceArgs};
use super::config::{data_dir, parse_public_url};
use super::error::CliError;
use super::output::{answer, table, time};
use crate::Entropy;
use crate::http::now_ms;
use crate::service::resources::nodes::NodeChange;
use crate::service::{addressing, administration as service, sign_in};
use crate::store::{NetworkRow, NodeRow, Store};

mod relay;
mod resources;

/// The open data directory, and how to answer.
struct Admin {
    store: Store,
    entropy: Entropy,
    now_ms: i64,
    json: bool,
    /// The organization that was named.
    organization: Option<String>,
    /// Where the state and the configuration are.
    place: PlaceArgs,
}

pub(super) fn admin(args: &AdminArgs) -> Result<(), CliError> {
    let dir = data_dir(&args.place)?;
    let store = match args.command {
        AdminCommand::Init { .. } => Store::open_or_create(&dir)?,
        AdminCommand::Network(_)
        | AdminCommand::EnrollmentKey(_)
        | AdminCommand::Node(_)
        | AdminCommand::Relay(_)
        | AdminCommand::Member(_)
        | AdminCommand::Invitation(_)
        | AdminCommand::AccessRule(_)
        | AdminCommand::ApiToken(_)
        | AdminCommand::AuditLog
        | AdminCommand::SignInLink { .. } => Store::open(&dir)?,
    };
    let admin = Admin {
        store,
        entropy: Entropy::system(),
        now_ms: now_ms(),
        json: args.json,
        organization: args.organization.clone(),
        place: args.place.clone(),
    };
    match &args.command {
        AdminCommand::Init { owner, network } => admin.init(owner, network),
        AdminCommand::Network(command) => admin.network(command),
        AdminCommand::EnrollmentKey(command) => admin.enrollment_key(command),
        AdminCommand::Node(command) => admin.node(command),
        AdminCommand::Relay(command) => admin.relay(command),
        AdminCommand::Member(command) => admin.member(command),
        AdminCommand::Invitation(command) => admin.invitation(command),
        AdminCommand::AccessRule(command) => admin.access_rule(command),
        AdminCommand::ApiToken(command) => admin.api_token(command),
        AdminCommand::AuditLog => admin.audit_log(),
        AdminCommand::SignInLink { public_url } => admin.sign_in_link(public_url.as_deref()),
    }
}

fn network_json(network: &NetworkRow) -> Value {
    json!({"id": network.id, "name": network.name, "ipv4": network.ipv4, "ipv6": network.ipv6})
}

impl Admin {
    fn init(&self, owner: &str, network: &str) -> Result<(), CliError> {
        let names = (owner, self.organization.as_deref().unwrap_or("default"), network);
        let done = service::init(&self.store, &self.entropy, self.now_ms, names)?;
        let json = json!({
            "owner": done.owner,
            "organization": done.organization,
            "network": network_json(&done.network),
            "created": done.created,
        });
        let head = if done.created { "Ready." } else { "This was done already; nothing changed." };
        let (network, ipv4, ipv6) = (&done.network.name, done.network.ipv4, done.network.ipv6);
        let text = format!(
            "{head}\nowner         {}\norganization  {}\nnetwork       {network} ({ipv4}, {ipv6})\n\n\
             Next: `warren-coordinator admin enrollment-key create --network {network}`, and `warren join` on a machine.",
            done.owner, done.organization
        );
        answer(self.json, &json, &text)
    }

    fn network(&self, command: &NetworkCommand) -> Result<(), CliError> {
        match command {
            NetworkCommand::Create { name } => {
                let network = service::create_network(&self.store, &self.entropy, self.now_ms, name)?;
                let text = format!("network {} ({}, {})", network.name, network.ipv4, network.ipv6);
                answer(self.json, &network_json(&network), &text)
            }
            NetworkCommand::Set(args) => self.set_network(args),
            NetworkCommand::Delete { network } => self.delete_network(network),
            NetworkCommand::List => {
                let networks = self.store.read(|tx| tx.networks())?;
                let json = json!({"networks": networks.iter().map(network_json).collect::<Vec<_>>()});
                let row = |n: &NetworkRow| {
                    vec![n.name.clone(), n.ipv4.to_string(), n.ipv6.to_string(), n.id.to_string()]
                };
                let rows: Vec<_> = networks.iter().map(row).collect();
                answer(self.json, &json, &table(&["NAME", "IPV4", "IPV6", "ID"], &rows))
            }
        }
    }

    fn enrollment_key(&self, command: &EnrollmentKeyCommand) -> Result<(), CliError> {
        match command {
            EnrollmentKeyCommand::Create { network, reusable, expires } => {
                let wanted = (network.as_str(), !reusable, *expires);
                let new = service::create_enrollment_key(&self.store, &self.entropy, self.now_ms, wanted)?;
                let (key, expires_at) = (new.key.to_text(), time(new.row.expires_at_ms));
                let json = json!({
                    "id": new.row.id, "key": *key, "network": new.network, "reusable": reusable,
                    "expires_at": expires_at,
                });
                let uses = if *reusable { "any number of machines" } else { "one machine" };
                let text = format!(
                    "{}\n\nFor {uses} of network {}, until {expires_at}; shown this once. Id {}.",
                    *key, new.network, new.row.id
                );
                answer(self.json, &json, &text)
            }
            EnrollmentKeyCommand::List => self.list_enrollment_keys(),
            EnrollmentKeyCommand::Revoke { id } => {
                service::revoke_enrollment_key(&self.store, self.now_ms, id)?;
                answer(self.json, &json!({"revoked": id}), &format!("revoked {id}"))
            }
        }
    }

    fn list_enrollment_keys(&self) -> Result<(), CliError> {
        let (keys, networks) =
            self.store.read(|tx| Ok::<_, CliError>((tx.enrollment_keys()?, tx.networks()?)))?;
        let (mut listed, mut rows) = (Vec::new(), Vec::new());
        for key in keys {
            let network = networks.iter().find(|network| network.id == key.network_id);
            let network = network.map_or("?", |network| network.name.as_str());
            let state = if key.revoked_at_ms.is_some() {
                "revoked"
            } else if key.single_use && key.use_count > 0 {
                "used"
            } else if key.expires_at_ms <= self.now_ms {
                "expired"
            } else {
                "usable"
            };
            listed.push(json!({
                "id": key.id, "network": network, "reusable": !key.single_use, "state": state,
                "use_count": key.use_count, "created_at": time(key.created_at_ms),
                "expires_at": time(key.expires_at_ms), "last_used_at": key.last_used_at_ms.map(time),
            }));
            let uses = format!("{}{}", key.use_count, if key.single_use { "/1" } else { "" });
            rows.push(vec![key.id.to_string(), network.into(), state.into(), uses, time(key.expires_at_ms)]);
        }
        let text = table(&["ID", "NETWORK", "STATE", "USES", "EXPIRES"], &rows);
        answer(self.json, &json!({"enrollment_keys": listed}), &text)
    }

    fn node(&self, command: &NodeCommand) -> Result<(), CliError> {
        match command {
            NodeCommand::List { network } => self.list_nodes(network.as_deref()),
            NodeCommand::Delete { node } => {
                let node = service::delete_node(&self.store, self.now_ms, node)?;
                let json = json!({"id": node.id, "name": node.name});
                answer(self.json, &json, &format!("deleted {} ({})", node.name, node.id))
            }
            NodeCommand::Set(args) => self.set_node(args),
            NodeCommand::Admit { node } => self.change_node(
                node,
                NodeChange { admitted: Some(true), ..NodeChange::default() },
                "admitted",
            ),
            NodeCommand::Disable { node } => self.change_node(
                node,
                NodeChange { disabled: Some(true), ..NodeChange::default() },
                "switched off",
            ),
            NodeCommand::Enable { node } => self.change_node(
                node,
                NodeChange { disabled: Some(false), ..NodeChange::default() },
                "switched on",
            ),
            NodeCommand::AllowRelay { node } => self.set_may_relay(node, true),
            NodeCommand::ForbidRelay { node } => self.set_may_relay(node, false),
            NodeCommand::Add { network, name, public_key, endpoint } => {
                let peer = (name.clone(), *public_key, *endpoint);
                let (node, addresses) =
                    service::add_plain_node(&self.store, &self.entropy, self.now_ms, network, peer)?;
                let json = json!({"id": node.id, "name": node.name, "addresses": addresses});
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                let text = format!("added {} with {} ({})", node.name, addresses.join(", "), node.id);
                answer(self.json, &json, &text)
            }
        }
    }

    fn list_nodes(&self, network: Option<&str>) -> Result<(), CliError> {
        let nodes = service::list_nodes(&self.store, network)?;
        let addresses = |(node, network): &(NodeRow, NetworkRow)| {
            let nets = addressing::addresses(network, node.host_index);
            nets.iter().map(|net| net.addr().to_string()).collect::<Vec<_>>()
        };
        let json = |listed: &(NodeRow, NetworkRow)| {
            let (node, network) = listed;
            json!({
                "id": node.id, "name": node.name, "network": network.name, "public_key": node.public_key,
                "addresses": addresses(listed), "plain_endpoint": node.plain_endpoint,
                "may_relay": node.may_relay,
            })
        };
        let row = |listed: &(NodeRow, NetworkRow)| {
            let (node, network) = listed;
            vec![
                node.name.to_string(),
                network.name.clone(),
                addresses(listed).join(" "),
                node.plain_endpoint.map_or_else(|| "agent".into(), |endpoint| format!("plain {endpoint}")),
                if node.may_relay { "allowed".into() } else { "no".into() },
                node.id.to_string(),
            ]
        };
        let rows: Vec<_> = nodes.iter().map(row).collect();
        let text = table(&["NAME", "NETWORK", "ADDRESSES", "KIND", "RELAY", "ID"], &rows);
        answer(self.json, &json!({"nodes": nodes.iter().map(json).collect::<Vec<_>>()}), &text)
    }

    fn sign_in_link(&self, public_url: Option<&str>) -> Result<(), CliError> {
        let url = self.public_url(public_url)?;
        let made = sign_in::create_link(&self.store, &self.entropy, self.now_ms)?;
        let link = format!("{url}/sign-in/{}", *made.token.to_text());
        let expires_at = time(made.expires_at_ms);
        let text = format!("{link}\n\nSigns the owner in, once, until {expires_at}.");
        answer(self.json, &json!({"link": link, "expires_at": expires_at}), &text)
    }

    /// Where browsers reach the coordinator, as it was given or as `serve` was last told.
    fn public_url(&self, given: Option<&str>) -> Result<String, CliError> {
        let stored = || self.store.read(|tx| tx.coordinator()).map(|row| row.and_then(|row| row.public_url));
        match given {
            Some(url) => parse_public_url(url),
            None => stored()?.ok_or_else(|| {
                let what = "the public URL is not known; give --public-url, or start `serve` with it first";
                CliError::Usage(what.to_owned())
            }),
        }
    }
}
