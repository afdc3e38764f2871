//! `admin`: works on the data directory; a coordinator that serves from it notices within a second.

use serde_json::{Value, json};

use super::args::{AdminArgs, AdminCommand, NetworkCommand, NodeCommand, PlaceArgs};
use super::config::{data_dir, parse_public_url};
use super::error::CliError;
use super::output::{answer, table, time};
use crate::Entropy;
use crate::http::now_ms;
use crate::service::resources::networks::{Network, NewNetwork};
use crate::service::resources::nodes::{NewPlainNode, NodeChange};
use crate::service::{addressing, administration as service, sign_in};
use crate::store::{NetworkRow, NodeRow, Store};

mod enrollment_key;
mod relay;
mod resources;
mod servers;
mod stun;

/// The open data directory, and how to answer.
struct Admin {
    store: Store,
    data_dir: std::path::PathBuf,
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
        | AdminCommand::Stun(_)
        | AdminCommand::Member(_)
        | AdminCommand::Invitation(_)
        | AdminCommand::AccessRule(_)
        | AdminCommand::ApiToken(_)
        | AdminCommand::AuditLog
        | AdminCommand::SignInLink { .. } => Store::open(&dir)?,
    };
    let admin = Admin {
        store,
        data_dir: dir.path().to_owned(),
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
        AdminCommand::Stun(command) => admin.stun(command),
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
            NetworkCommand::Create { name, ipv4 } => {
                let wanted = NewNetwork { ipv4: *ipv4, ..NewNetwork::named(name) };
                let network = self.call(|call| Ok(call.create_network(wanted)?))?;
                let text = format!("network {} ({}, {})", network.name, network.ipv4, network.ipv6);
                answer(self.json, &json!(network), &text)
            }
            NetworkCommand::Set(args) => self.set_network(args),
            NetworkCommand::Delete { network } => self.delete_network(network),
            NetworkCommand::List => {
                let networks = self.call(|call| Ok(call.networks()?))?;
                let row = |n: &Network| {
                    vec![n.name.clone(), n.ipv4.to_string(), n.ipv6.to_string(), n.id.to_string()]
                };
                let rows: Vec<_> = networks.iter().map(row).collect();
                let text = table(&["NAME", "IPV4", "IPV6", "ID"], &rows);
                answer(self.json, &json!({"networks": networks}), &text)
            }
        }
    }

    fn node(&self, command: &NodeCommand) -> Result<(), CliError> {
        match command {
            NodeCommand::List { network } => self.list_nodes(network.as_deref()),
            NodeCommand::Delete { node } => {
                let node = self.find_node(node)?;
                self.call(|call| Ok(call.delete_node(node.id)?))?;
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
                let (name, public_key, endpoint) = (name.clone(), *public_key, *endpoint);
                let wanted = NewPlainNode {
                    network: self.network_id(network)?,
                    name: name.clone(),
                    public_key,
                    endpoint,
                };
                let made = self.call(|call| Ok(call.create_plain_node(wanted)?))?;
                let json = json!({"id": made.id, "name": name, "addresses": made.addresses});
                let addresses: Vec<_> = made.addresses.iter().map(ToString::to_string).collect();
                let text = format!("added {name} with {} ({})", addresses.join(", "), made.id);
                answer(self.json, &json, &text)
            }
        }
    }

    fn list_nodes(&self, network: Option<&str>) -> Result<(), CliError> {
        let network = network.map(|network| self.network_id(network)).transpose()?;
        let nodes = service::list_nodes(&self.store, self.organization_id()?, network)?;
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
