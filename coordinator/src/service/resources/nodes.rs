//! Nodes of an organization: add plain ones, admit, rename, tag, expire, disable, move, delete.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use ipnet::IpNet;
use protocol::api::{
    NodeName, ROUTE_PRIORITY_DEFAULT, ROUTES_MAX, Route, Standing, Tag, Zone, are_too_many, check_route,
};
use protocol::key::{PrivateKey, PublicKey};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Call, ResourceError, network_of};
use crate::service::administration::PEER_RELAYS_MAX;
use crate::service::enrollment::free_host_index;
use crate::service::network_map::NodeState;
use crate::service::{Directory, addressing};
use crate::store::{NetworkRow, NodeRow, ReadTx, WriteTx};

/// The most tags of a node.
pub const TAGS_MAX: usize = 32;

/// A node.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Node {
    /// Its id.
    pub id: Uuid,
    /// Its network.
    pub network: Uuid,
    /// Its name, unique in the network.
    #[schema(value_type = String)]
    pub name: NodeName,
    /// Its DNS name, which the agents of its network answer for.
    pub dns_name: String,
    /// Its WireGuard public key.
    #[schema(value_type = String)]
    pub public_key: PublicKey,
    /// Its mesh addresses, with the prefix of the network.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpNet>,
    /// What access rules know it by.
    #[schema(value_type = Vec<String>)]
    pub tags: Vec<Tag>,
    /// Whether it is part of the network: `admitted`, `waiting`, `disabled` or `expired`.
    #[schema(value_type = String)]
    pub standing: Standing,
    /// Until when it is, Unix milliseconds; for ever where absent.
    pub expires_at_ms: Option<i64>,
    /// Whether it is deleted when it goes offline.
    pub is_ephemeral: bool,
    /// Whether it may be a relay for its network.
    pub may_relay: bool,
    /// The networks behind it that it offers to route to, and those that it may.
    pub routes: Vec<NodeRoute>,
    /// Whether it holds a map stream open.
    pub online: bool,
    /// When it last reported, Unix milliseconds.
    pub reported_at_ms: Option<i64>,
    /// Version of its agent.
    pub agent_version: String,
}

/// A network behind a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NodeRoute {
    /// The network.
    #[schema(value_type = String)]
    pub prefix: IpNet,
    /// Whether the node offers it, as of its last report; absent where it has not reported since the coordinator started, or
    /// runs no agent that could.
    pub advertised: Option<bool>,
    /// Whether an administrator approved it. Traffic goes there where both are true.
    pub approved: bool,
    /// Which node is preferred where several have the network: the lowest.
    pub priority: u16,
}

/// A network to approve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteApproval {
    /// The network, such as `192.168.5.0/24`.
    #[schema(value_type = String)]
    pub prefix: IpNet,
    /// Its priority; 100 where absent.
    #[serde(default = "default_priority")]
    pub priority: u16,
}

const fn default_priority() -> u16 {
    ROUTE_PRIORITY_DEFAULT
}

/// What is to be another way; the rest stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeChange {
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub name: Option<NodeName>,
    /// Its tags, at most 32.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>)]
    pub tags: Option<BTreeSet<Tag>>,
    /// `true` admits it, `false` lets it wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admitted: Option<bool>,
    /// Switches it off, or on again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Until when it is part of the network, Unix milliseconds; `null` for ever.
    #[serde(default, deserialize_with = "given", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<i64>)]
    pub expires_at_ms: Option<Option<i64>>,
    /// Lets it be a relay for its network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_relay: Option<bool>,
    /// Moves it to another network of the organization, where it gets other mesh addresses and no routes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Uuid>,
    /// Networks that it may route to from now on, or with another priority; at most 32 in all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approve_routes: Vec<RouteApproval>,
    /// Networks that it may route to no longer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub withdraw_routes: Vec<IpNet>,
}

/// Tells a `null` from a field that is absent.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A new plain node: a WireGuard peer that runs no agent.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPlainNode {
    /// Its network.
    pub network: Uuid,
    /// Its name.
    #[schema(value_type = String)]
    pub name: NodeName,
    /// Its WireGuard public key.
    #[schema(value_type = String)]
    pub public_key: PublicKey,
    /// Where it is reached, `ip:port`.
    #[schema(value_type = String)]
    pub endpoint: SocketAddr,
}

/// What a plain node is to be configured with.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CreatedPlainNode {
    /// Its id.
    pub id: Uuid,
    /// Its mesh addresses, with the prefix of the network.
    #[schema(value_type = Vec<String>)]
    pub addresses: Vec<IpNet>,
}

impl Directory {
    /// The nodes of an organization, by name.
    pub(crate) fn nodes(&self, organization: Uuid) -> Vec<Node> {
        let networks = self.networks.values().filter(|network| network.row().organization_id == organization);
        let mut nodes: Vec<Node> = networks
            .flat_map(|network| network.nodes.values().map(|state| node(network.row(), state)))
            .collect();
        nodes.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        nodes
    }

    /// One node of an organization.
    pub(crate) fn node(&self, organization: Uuid, id: Uuid) -> Option<Node> {
        let network = self.network_of(id).filter(|network| network.row().organization_id == organization)?;
        network.nodes.get(&id).map(|state| node(network.row(), state))
    }
}

fn node(network: &NetworkRow, state: &NodeState) -> Node {
    let row = &state.row;
    Node {
        id: row.id,
        network: network.id,
        name: row.name.clone(),
        dns_name: Zone::of_network(&network.name, network.id).name_of(&row.name),
        public_key: row.public_key,
        addresses: addressing::addresses(network, row.host_index),
        tags: row.tags.clone(),
        standing: state.standing,
        expires_at_ms: row.expires_at_ms,
        is_ephemeral: row.is_ephemeral,
        may_relay: row.may_relay,
        routes: routes(state),
        online: state.is_online(),
        reported_at_ms: state.reported_at_ms(),
        agent_version: state
            .reported
            .as_ref()
            .map(|reported| reported.agent_version.clone())
            .unwrap_or_default(),
    }
}

/// What a node offers, and what it may, by prefix.
fn routes(state: &NodeState) -> Vec<NodeRoute> {
    let offered = state.reported.as_ref().and_then(|reported| reported.routes.as_ref());
    let approved = state.row.approved_routes.iter().map(|route| NodeRoute {
        prefix: route.prefix,
        advertised: offered.map(|offered| offered.contains(&route.prefix)),
        approved: true,
        priority: route.priority,
    });
    let mut routes: Vec<NodeRoute> = approved.collect();
    let is_new = |prefix: &&IpNet| state.row.approved_routes.iter().all(|route| route.prefix != **prefix);
    routes.extend(offered.into_iter().flatten().filter(is_new).map(|prefix| NodeRoute {
        prefix: *prefix,
        advertised: Some(true),
        approved: false,
        priority: ROUTE_PRIORITY_DEFAULT,
    }));
    routes.sort_by_key(|route| route.prefix);
    routes.dedup();
    routes
}

impl Call<'_> {
    /// Registers a WireGuard peer that runs no agent; gives it its mesh addresses.
    ///
    /// # Errors
    /// No such network, a name or key that is taken, an endpoint that nobody can reach, a full network, or the database's.
    pub fn create_plain_node(&self, wanted: NewPlainNode) -> Result<CreatedPlainNode, ResourceError> {
        if endpoint_selection::check_address(wanted.endpoint, &[]).is_err() {
            return Err(ResourceError::invalid(
                "endpoint",
                "a unicast address and a port that peers can reach",
            ));
        }
        if PrivateKey::from_random(*self.entropy.secret()).shared_secret(&wanted.public_key).is_none() {
            let why = "it is of low order and cannot protect anything; make a new one with `wg genkey`";
            return Err(ResourceError::invalid("public_key", why));
        }
        let (id, organization, now_ms) = (self.entropy.id(self.now_ms), self.organization, self.now_ms);
        let entry = self.audit("node.create", &wanted.name, &wanted);
        self.write(move |tx| {
            let network = network_of(&tx.reading(), organization, wanted.network)?;
            if tx.reading().node_by_public_key(&wanted.public_key)?.is_some() {
                return Err(ResourceError::Conflict(
                    "the public key belongs to another node already".to_owned(),
                ));
            }
            check_free_name(&tx.reading(), network.id, &wanted.name)?;
            let host_index = free_host_index(tx, &network)?.ok_or_else(full)?;
            let peer = (wanted.public_key, wanted.endpoint);
            let node = NodeRow::plain(id, network.id, wanted.name, peer, host_index);
            tx.insert_node(&node, now_ms)?;
            tx.insert_audit(&entry)?;
            Ok(CreatedPlainNode { id, addresses: addressing::addresses(&network, host_index) })
        })
    }

    /// Changes a node.
    ///
    /// # Errors
    /// No such node or network, a name that is taken, too many tags or relays, a full network, or the database's.
    pub fn update_node(&self, id: Uuid, wanted: NodeChange) -> Result<(), ResourceError> {
        let (organization, mut entry) = (self.organization, self.audit("node.change", "", &wanted));
        self.write(move |tx| {
            let (before, network) = node_of(&tx.reading(), organization, id)?;
            entry.subject = before.name.to_string();
            let (mut node, mut network) = (before.clone(), network);
            if let Some(target) = wanted.network.filter(|target| *target != network.id) {
                network = network_of(&tx.reading(), organization, target)?;
                move_node(tx, &mut node, &network)?;
            }
            node.approved_routes = approve(&node, &network, &wanted)?;
            apply(&mut node, wanted)?;
            check(&tx.reading(), &before, &node)?;
            tx.update_node(&node)?;
            Ok(tx.insert_audit(&entry)?)
        })
    }

    /// Deletes a node: its tunnels are cut, its token is refused.
    ///
    /// # Errors
    /// No such node, or the database's.
    pub fn delete_node(&self, id: Uuid) -> Result<(), ResourceError> {
        let (organization, now_ms) = (self.organization, self.now_ms);
        let mut entry = self.audit("node.delete", "", &());
        self.write(move |tx| {
            let (node, _) = node_of(&tx.reading(), organization, id)?;
            entry.subject = node.name.to_string();
            tx.delete_node(id, now_ms)?;
            Ok(tx.insert_audit(&entry)?)
        })
    }
}

/// A node of an organization that is not deleted, and its network.
fn node_of(tx: &ReadTx<'_>, organization: Uuid, id: Uuid) -> Result<(NodeRow, NetworkRow), ResourceError> {
    let missing = || ResourceError::NotFound("node");
    let node = tx.node(id)?.filter(|node| node.deleted_at_ms.is_none()).ok_or_else(missing)?;
    let network = network_of(tx, organization, node.network_id).map_err(|_| missing())?;
    Ok((node, network))
}

fn move_node(tx: &WriteTx<'_>, node: &mut NodeRow, target: &NetworkRow) -> Result<(), ResourceError> {
    node.network_id = target.id;
    // Who is behind it was approved for the others of the network that it leaves.
    node.approved_routes.clear();
    node.host_index = free_host_index(tx, target)?.ok_or_else(full)?;
    Ok(())
}

fn full() -> ResourceError {
    ResourceError::Conflict("that network has no free mesh address; delete nodes that are gone".to_owned())
}

fn check_free_name(tx: &ReadTx<'_>, network: Uuid, name: &NodeName) -> Result<(), ResourceError> {
    if tx.node_name_taken(network, name)? {
        return Err(ResourceError::Conflict(format!("the name `{name}` is taken in that network")));
    }
    Ok(())
}

/// The routes of a node after a change, by prefix.
fn approve(node: &NodeRow, network: &NetworkRow, wanted: &NodeChange) -> Result<Vec<Route>, ResourceError> {
    let mut routes: BTreeMap<IpNet, u16> =
        node.approved_routes.iter().map(|route| (route.prefix, route.priority)).collect();
    for (index, prefix) in wanted.withdraw_routes.iter().enumerate() {
        if routes.remove(prefix).is_none() {
            let why = format!("{prefix} is not approved");
            return Err(ResourceError::Conflict(format!("withdraw_routes[{index}]: {why}")));
        }
    }
    let mesh = [network.ipv4.into(), network.ipv6.into()];
    for RouteApproval { prefix, priority } in &wanted.approve_routes {
        check_route(prefix, &mesh)
            .map_err(|error| ResourceError::invalid("approve_routes", error.to_string()))?;
        routes.insert(*prefix, *priority);
    }
    if are_too_many(routes.keys()) {
        return Err(ResourceError::invalid("approve_routes", format!("at most {ROUTES_MAX} in all")));
    }
    Ok(routes.into_iter().map(|(prefix, priority)| Route { prefix, priority }).collect())
}

fn apply(node: &mut NodeRow, wanted: NodeChange) -> Result<(), ResourceError> {
    if let Some(tags) = wanted.tags {
        if tags.len() > TAGS_MAX {
            return Err(ResourceError::invalid("tags", format!("at most {TAGS_MAX}")));
        }
        node.tags = tags.into_iter().collect();
    }
    if wanted.may_relay == Some(true) && node.plain_endpoint.is_some() {
        let why = "a plain WireGuard peer cannot be a relay: that takes an agent";
        return Err(ResourceError::Conflict(why.to_owned()));
    }
    if wanted.expires_at_ms.flatten().is_some_and(|at| at <= 0) {
        return Err(ResourceError::invalid("expires_at_ms", "Unix milliseconds after 1970"));
    }
    node.name = wanted.name.unwrap_or_else(|| node.name.clone());
    node.is_waiting = wanted.admitted.map_or(node.is_waiting, |admitted| !admitted);
    node.is_disabled = wanted.disabled.unwrap_or(node.is_disabled);
    node.expires_at_ms = wanted.expires_at_ms.unwrap_or(node.expires_at_ms);
    node.may_relay = wanted.may_relay.unwrap_or(node.may_relay);
    Ok(())
}

/// Whether a changed node fits beside the others of its network.
fn check(tx: &ReadTx<'_>, before: &NodeRow, node: &NodeRow) -> Result<(), ResourceError> {
    let is_other_name = (before.network_id, &before.name) != (node.network_id, &node.name);
    if is_other_name {
        check_free_name(tx, node.network_id, &node.name)?;
    }
    if node.may_relay && tx.other_relaying_nodes(node.network_id, node.id)? >= PEER_RELAYS_MAX {
        let why = format!("{PEER_RELAYS_MAX} nodes of this network may relay already, which is the most");
        return Err(ResourceError::Conflict(why));
    }
    Ok(())
}
