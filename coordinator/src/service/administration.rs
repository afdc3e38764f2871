//! The first set-up, and what commands find by name. Works on the database alone, so an admin command runs beside a coordinator
//! that serves, which notices.

use protocol::access::Verdict;
use uuid::Uuid;

use super::caller::COMMAND;
use super::{AdminError, addressing};
use crate::Entropy;
use crate::store::{Admission, AuditRow, NetworkRow, NodeRow, PersonRow, ReadTx, Role, Store, WriteTx};

/// The longest name of an organization or a network: that of a DNS label.
pub(super) const NAME_MAX: usize = 63;
/// The longest name of a person: that of an e-mail address (RFC 5321 §4.5.3.1.3).
pub(super) const PERSON_MAX: usize = 254;

/// The name that the audit log knows an OpenID provider by. No person may be called so.
pub(super) const PROVIDER: &str = "OpenID provider";

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
    if !is_person_name(owner) {
        return Err(AdminError::InvalidText { what: "owner", max: PERSON_MAX });
    }
    check_text("organization", organization, NAME_MAX)?;
    if is_id(organization) {
        return Err(AdminError::NameIsId(organization.to_owned()));
    }
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
        let what = ("organization.create", organization.clone(), "{}".to_owned());
        tx.insert_audit(&AuditRow::new(organization_id, now_ms, COMMAND.to_owned(), what))?;
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

/// Nodes of an organization, of one network or of all.
///
/// # Errors
/// A network that does not exist, or the database's.
pub fn list_nodes(
    store: &Store,
    organization: Uuid,
    network: Option<Uuid>,
) -> Result<Vec<(NodeRow, NetworkRow)>, AdminError> {
    store.read(|tx| {
        let mut networks = tx.networks()?;
        networks.retain(|known| known.organization_id == organization);
        networks.retain(|known| network.is_none_or(|wanted| known.id == wanted));
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

/// The most nodes of one network that may be relays for it. Every node holds a session at each of them, as at every other relay:
/// were each to choose its own few, a pair might have none in common.
pub const PEER_RELAYS_MAX: usize = 8;

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

pub(super) fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), AdminError> {
    if is_name(text, max) { Ok(()) } else { Err(AdminError::InvalidText { what, max }) }
}

/// Whether a text has 1 to `max` characters, none of them unseen, and no space at either end.
pub(super) fn is_name(text: &str, max: usize) -> bool {
    let length = text.chars().count();
    (1..=max).contains(&length) && !text.chars().any(is_unseen) && text.trim() == text
}

/// Whether a text could be an id, in any form: what is found by id or name must not be called so.
pub(super) fn is_id(text: &str) -> bool {
    Uuid::parse_str(text).is_ok()
}

/// Whether a person does not see a character, or sees others in another order for it (Unicode UAX 9): it makes one name look like
/// another.
pub(super) fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Whether a text may be a person's name: no name that the audit log gives to somebody else.
pub(super) fn is_person_name(text: &str) -> bool {
    is_name(text, PERSON_MAX) && ![COMMAND, PROVIDER].iter().any(|name| text.eq_ignore_ascii_case(name))
}
