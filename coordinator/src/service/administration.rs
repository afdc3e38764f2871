//! What the owner does: the first set-up, networks, enrollment keys, nodes. Works on the database alone, so an admin
//! command runs beside a coordinator that serves, which notices.

use std::net::SocketAddr;

use ipnet::IpNet;
use protocol::access::Verdict;
use protocol::api::{EnrollmentKey, NodeName};
use protocol::key::{PrivateKey, PublicKey};
use uuid::Uuid;

use super::enrollment::free_host_index;
use super::{AdminError, addressing};
use crate::Entropy;
use crate::store::{
    Admission, EnrollmentKeyRow, NetworkRow, NodeRow, PersonRow, ReadTx, Role, SecretHash, Store, WriteTx,
};

/// The longest name of an organization or a network: that of a DNS label.
pub(super) const NAME_MAX: usize = 63;
/// The longest name of a person: that of an e-mail address (RFC 5321 §4.5.3.1.3).
pub(super) const PERSON_MAX: usize = 254;

/// What there is after [`init`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Initialized {
    /// The owner's name.
    pub owner: String,
    /// The organization's name.
    pub organization: String,
    /// The first network.
    pub network: NetworkRow,
    /// Whether this call made it.
    pub created: bool,
}

/// Makes the first owner, organization and network. Where there is an owner already, nothing changes, and what there
/// is comes back.
///
/// # Errors
/// Names out of bounds, or the database's.
pub fn init(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    (owner, organization, network): (&str, &str, &str),
) -> Result<Initialized, AdminError> {
    check_text("owner", owner, PERSON_MAX)?;
    check_text("organization", organization, NAME_MAX)?;
    let plan = NetworkPlan::new(entropy, now_ms, network)?;
    let person = PersonRow { id: entropy.id(now_ms), name: owner.to_owned() };
    let (organization_id, organization) = (entropy.id(now_ms), organization.to_owned());
    store.write(move |tx| {
        if let Some(initialized) = existing(&tx.reading())? {
            return Ok(initialized);
        }
        let known = (tx.reading().first_owner()?, tx.reading().first_organization()?);
        if let (Some(owner), Some((id, organization))) = known {
            // Somebody deleted the last network.
            let network = plan.insert(tx, id, now_ms)?;
            return Ok(Initialized { owner: owner.name, organization, network, created: true });
        }
        tx.insert_organization(organization_id, &organization, now_ms)?;
        tx.insert_person(&person, None, now_ms)?;
        tx.set_membership(organization_id, person.id, Role::Owner, now_ms)?;
        let network = plan.insert(tx, organization_id, now_ms)?;
        Ok(Initialized { owner: person.name, organization, network, created: true })
    })
}

fn existing(tx: &ReadTx<'_>) -> Result<Option<Initialized>, AdminError> {
    let (Some(owner), Some((id, organization))) = (tx.first_owner()?, tx.first_organization()?) else {
        return Ok(None);
    };
    let networks = tx.networks()?.into_iter().filter(|network| network.organization_id == id);
    let network = networks.min_by_key(|network| network.id);
    Ok(network.map(|network| Initialized { owner: owner.name, organization, network, created: false }))
}

/// A network that is about to be made: everything that needs chance, drawn before the transaction.
struct NetworkPlan {
    id: Uuid,
    name: String,
    ipv4: Vec<ipnet::Ipv4Net>,
    ipv6: ipnet::Ipv6Net,
}

impl NetworkPlan {
    fn new(entropy: &Entropy, now_ms: i64, name: &str) -> Result<Self, AdminError> {
        check_text("network", name, NAME_MAX)?;
        let (ipv4, ipv6) = (addressing::ipv4_ranges(entropy), addressing::ipv6_range(entropy));
        Ok(Self { id: entropy.id(now_ms), name: name.to_owned(), ipv4, ipv6 })
    }

    fn insert(self, tx: &WriteTx<'_>, organization_id: Uuid, now_ms: i64) -> Result<NetworkRow, AdminError> {
        let networks = tx.reading().networks()?;
        let same_name =
            |known: &NetworkRow| known.organization_id == organization_id && known.name == self.name;
        if networks.iter().any(same_name) {
            return Err(AdminError::NameTaken { what: "network", given: self.name });
        }
        let free = |range: &ipnet::Ipv4Net| networks.iter().all(|known| known.ipv4 != *range);
        let ipv4 = self.ipv4.into_iter().find(free).ok_or(AdminError::RangesExhausted)?;
        let network = NetworkRow {
            id: self.id,
            organization_id,
            name: self.name,
            ipv4,
            ipv6: self.ipv6,
            default_access: Verdict::Allow,
            admission: Admission::Automatic,
        };
        tx.insert_network(&network, now_ms)?;
        Ok(network)
    }
}

/// Makes a network of the first organization.
///
/// # Errors
/// [`AdminError::NotInitialized`], a name that is taken or out of bounds, or the database's.
pub fn create_network(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    name: &str,
) -> Result<NetworkRow, AdminError> {
    let plan = NetworkPlan::new(entropy, now_ms, name)?;
    store.write(move |tx| {
        let (organization, _) = tx.reading().first_organization()?.ok_or(AdminError::NotInitialized)?;
        plan.insert(tx, organization, now_ms)
    })
}

/// An enrollment key, and the only copy of its secret.
#[derive(Debug)]
pub struct NewEnrollmentKey {
    /// What is stored.
    pub row: EnrollmentKeyRow,
    /// The network's name.
    pub network: String,
    /// The secret: show it once.
    pub key: EnrollmentKey,
}

/// Makes an enrollment key for a network, given by name or id.
///
/// # Errors
/// A network that does not exist, or the database's.
pub fn create_enrollment_key(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    (network, single_use, lifetime_ms): (&str, bool, i64),
) -> Result<NewEnrollmentKey, AdminError> {
    let key = EnrollmentKey::from_random(*entropy.secret());
    let (hash, id, wanted) = (SecretHash::of(key.as_bytes()), entropy.id(now_ms), network.to_owned());
    let (row, network) = store.write(move |tx| {
        let network = find_network(&tx.reading(), &wanted)?;
        let row = EnrollmentKeyRow {
            id,
            network_id: network.id,
            single_use,
            created_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(lifetime_ms),
            revoked_at_ms: None,
            use_count: 0,
            last_used_at_ms: None,
            description: String::new(),
            tags: Vec::new(),
            is_ephemeral: false,
        };
        tx.insert_enrollment_key(&row, hash)?;
        Ok::<_, AdminError>((row, network.name))
    })?;
    Ok(NewEnrollmentKey { row, network, key })
}

/// Revokes an enrollment key.
///
/// # Errors
/// A key that does not exist or is revoked already, or the database's.
pub fn revoke_enrollment_key(store: &Store, now_ms: i64, id: &str) -> Result<(), AdminError> {
    let missing =
        AdminError::NotFound { what: "enrollment key", given: id.to_owned(), list: "enrollment-key list" };
    let Ok(id) = id.parse::<Uuid>() else { return Err(missing) };
    store.write(move |tx| if tx.revoke_enrollment_key(id, now_ms)? { Ok(()) } else { Err(missing) })
}

/// Nodes of one network or of all, with their addresses.
///
/// # Errors
/// A network that does not exist, or the database's.
pub fn list_nodes(store: &Store, network: Option<&str>) -> Result<Vec<(NodeRow, NetworkRow)>, AdminError> {
    store.read(|tx| {
        let networks = match network {
            Some(wanted) => vec![find_network(tx, wanted)?],
            None => tx.networks()?,
        };
        let (nodes, bad) = tx.nodes()?;
        for row in bad {
            tracing::error!(node = ?row.id, error = %row.error, "a node's row cannot be read");
        }
        let home = |node: &NodeRow| networks.iter().find(|network| network.id == node.network_id).cloned();
        let mut listed: Vec<_> =
            nodes.into_iter().filter_map(|node| home(&node).map(|network| (node, network))).collect();
        listed.sort_by(|a, b| (&a.1.name, &a.0.name).cmp(&(&b.1.name, &b.0.name)));
        Ok(listed)
    })
}

/// Deletes a node, given by id or by a name that only one node has.
///
/// # Errors
/// A node that does not exist, a name of several, or the database's.
pub fn delete_node(store: &Store, now_ms: i64, wanted: &str) -> Result<NodeRow, AdminError> {
    let wanted = wanted.to_owned();
    store.write(move |tx| {
        let node = find_node(&tx.reading().nodes()?.0, &wanted)?;
        tx.delete_node(node.id, now_ms)?;
        Ok(node)
    })
}

/// The most nodes of one network that may be relays for it. Every node holds a session at each of them, as at every other relay:
/// were each to choose its own few, a pair might have none in common.
pub const PEER_RELAYS_MAX: usize = 8;

/// Lets a node, given by id or by a name that only one node has, be a relay for its network, or does so no longer. What is so
/// already stays.
///
/// # Errors
/// A node that does not exist or runs no agent, a name of several, too many nodes that may, or the database's.
pub fn set_may_relay(store: &Store, wanted: &str, may_relay: bool) -> Result<NodeRow, AdminError> {
    let wanted = wanted.to_owned();
    store.write(move |tx| {
        let (nodes, _) = tx.reading().nodes()?;
        let node = find_node(&nodes, &wanted)?;
        if may_relay && node.plain_endpoint.is_some() {
            return Err(AdminError::NoAgent(node.name.to_string()));
        }
        if may_relay && tx.reading().other_relaying_nodes(node.network_id, node.id)? >= PEER_RELAYS_MAX {
            return Err(AdminError::TooManyPeerRelays(PEER_RELAYS_MAX));
        }
        let node = NodeRow { may_relay, ..node };
        tx.update_node(&node)?;
        Ok(node)
    })
}

/// The node with this id, or with this name where only one has it.
///
/// # Errors
/// A node that does not exist, or a name of several.
pub fn find_node<'a>(
    nodes: impl IntoIterator<Item = &'a NodeRow>,
    wanted: &str,
) -> Result<NodeRow, AdminError> {
    let mut found =
        nodes.into_iter().filter(|node| node.name.as_str() == wanted || node.id.to_string() == wanted);
    let missing = || AdminError::NotFound { what: "node", given: wanted.to_owned(), list: "node list" };
    let node = found.next().ok_or_else(missing)?;
    match found.next() {
        None => Ok(node.clone()),
        Some(_) => Err(AdminError::Ambiguous { what: "node", given: wanted.to_owned() }),
    }
}

/// Registers a WireGuard peer that runs no agent; gives it its mesh addresses.
///
/// # Errors
/// A network that does not exist, a name or key that is taken, an endpoint that nobody can reach, or the database's.
pub fn add_plain_node(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    network: &str,
    (name, public_key, endpoint): (NodeName, PublicKey, SocketAddr),
) -> Result<(NodeRow, Vec<IpNet>), AdminError> {
    if endpoint_selection::check_address(endpoint, &[]).is_err() {
        return Err(AdminError::UnusableEndpoint(endpoint));
    }
    if PrivateKey::from_random(*entropy.secret()).shared_secret(&public_key).is_none() {
        return Err(AdminError::UnusablePublicKey);
    }
    let (id, wanted) = (entropy.id(now_ms), network.to_owned());
    store.write(move |tx| {
        let network = find_network(&tx.reading(), &wanted)?;
        if let Some(known) = tx.reading().node_by_public_key(&public_key)? {
            return Err(AdminError::PublicKeyTaken(known.name.to_string()));
        }
        if tx.reading().node_name_taken(network.id, &name)? {
            return Err(AdminError::NameTaken { what: "node", given: name.to_string() });
        }
        let node = NodeRow {
            id,
            network_id: network.id,
            name,
            public_key,
            host_index: free_host_index(tx, &network)?.ok_or(AdminError::NetworkFull)?,
            enrollment_key_id: None,
            token_hash: None,
            pending_token_hash: None,
            plain_endpoint: Some(endpoint),
            may_relay: false,
            tags: Vec::new(),
            is_waiting: false,
            is_disabled: false,
            is_ephemeral: false,
            expires_at_ms: None,
            approved_routes: Vec::new(),
            deleted_at_ms: None,
        };
        tx.insert_node(&node, now_ms)?;
        let addresses = addressing::addresses(&network, node.host_index);
        Ok((node, addresses))
    })
}

fn find_network(tx: &ReadTx<'_>, wanted: &str) -> Result<NetworkRow, AdminError> {
    let mut found = tx
        .networks()?
        .into_iter()
        .filter(|network| network.name == wanted || network.id.to_string() == wanted);
    let missing = || AdminError::NotFound { what: "network", given: wanted.to_owned(), list: "network list" };
    let network = found.next().ok_or_else(missing)?;
    match found.next() {
        None => Ok(network),
        Some(_) => Err(AdminError::Ambiguous { what: "network", given: wanted.to_owned() }),
    }
}

pub(super) fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), AdminError> {
    if is_name(text, max) { Ok(()) } else { Err(AdminError::InvalidText { what, max }) }
}

/// Whether a text has 1 to `max` characters, none of them a control character, and no space at either end.
pub(super) fn is_name(text: &str, max: usize) -> bool {
    let length = text.chars().count();
    (1..=max).contains(&length) && !text.chars().any(char::is_control) && text.trim() == text
}
