//! Networks of an organization.

use ipnet::{Ipv4Net, Ipv6Net};
use protocol::access::Verdict;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Call, ResourceError, check_name, network_of};
use crate::service::addressing;
use crate::service::administration::NAME_MAX;
use crate::store::{Admission, NetworkRow};

/// The most networks of an organization.
const NETWORKS_MAX: usize = 1000;

/// A network.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Network {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique in the organization.
    pub name: String,
    /// Its IPv4 range.
    #[schema(value_type = String, example = "100.92.0.0/16")]
    pub ipv4: Ipv4Net,
    /// Its IPv6 range.
    #[schema(value_type = String, example = "fd12:3456:789a::/48")]
    pub ipv6: Ipv6Net,
    /// What becomes of traffic that no access rule matches: `allow` or `deny`.
    #[schema(value_type = String)]
    pub default_access: Verdict,
    /// Whether new nodes wait for an administrator.
    pub admission: Admission,
}

/// A new network.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewNetwork {
    /// Its name, 1 to 63 characters.
    pub name: String,
    /// Its IPv4 range, /8 to /29, private or shared addresses (RFC 1918, RFC 6598); a free one of 100.64.0.0/10 where absent.
    /// It may overlap with another network's, whose nodes then cannot join both.
    #[schema(value_type = Option<String>)]
    pub ipv4: Option<Ipv4Net>,
    /// What becomes of traffic that no access rule matches: `allow` (the default) or `deny`.
    #[serde(default = "allow")]
    #[schema(value_type = Option<String>)]
    pub default_access: Verdict,
    /// Whether new nodes wait for an administrator; `automatic` where absent.
    #[serde(default = "automatic")]
    #[schema(value_type = Option<Admission>)]
    pub admission: Admission,
}

impl NewNetwork {
    /// One that is as most are.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ipv4: None, default_access: allow(), admission: automatic() }
    }
}

/// What is to be another way; the rest stays.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkChange {
    /// Its name.
    pub name: Option<String>,
    /// What becomes of traffic that no access rule matches: `allow` or `deny`.
    #[schema(value_type = Option<String>)]
    pub default_access: Option<Verdict>,
    /// Whether new nodes wait for an administrator.
    pub admission: Option<Admission>,
}

const fn allow() -> Verdict {
    Verdict::Allow
}

const fn automatic() -> Admission {
    Admission::Automatic
}

impl From<NetworkRow> for Network {
    fn from(row: NetworkRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            ipv4: row.ipv4,
            ipv6: row.ipv6,
            default_access: row.default_access,
            admission: row.admission,
        }
    }
}

impl Call<'_> {
    /// The networks, by name.
    ///
    /// # Errors
    /// The database's.
    pub fn networks(&self) -> Result<Vec<Network>, ResourceError> {
        let rows = self.store.read(|tx| tx.networks())?;
        let own = rows.into_iter().filter(|row| row.organization_id == self.organization);
        Ok(own.map(Network::from).collect())
    }

    /// Makes a network.
    ///
    /// # Errors
    /// A name that is taken or out of bounds, a range that is none, or the database's.
    pub fn create_network(&self, wanted: NewNetwork) -> Result<Network, ResourceError> {
        check_name("name", &wanted.name, NAME_MAX)?;
        if let Some(range) = wanted.ipv4 {
            addressing::check_ipv4_range(range).map_err(|why| ResourceError::invalid("ipv4", why))?;
        }
        let (id, organization_id) = (self.entropy.id(self.now_ms), self.organization);
        let (free, ipv6) = (addressing::ipv4_ranges(self.entropy), addressing::ipv6_range(self.entropy));
        let (entry, now_ms) = (self.audit("network.create", &wanted.name, &wanted), self.now_ms);
        self.write(move |tx| {
            let known = tx.reading().networks()?;
            check_free_name(&known, organization_id, None, &wanted.name)?;
            if known.iter().filter(|known| known.organization_id == organization_id).count() >= NETWORKS_MAX {
                return Err(ResourceError::Conflict(format!(
                    "there are {NETWORKS_MAX} networks, which is the most"
                )));
            }
            // What another organization chose for itself takes nothing from this one, but for the very same range.
            let is_taken = |known: &NetworkRow, range: Ipv4Net| {
                let is_own = known.organization_id == organization_id;
                known.ipv4 == range || (is_own && overlap(known.ipv4, range))
            };
            let is_free = |range: &Ipv4Net| !known.iter().any(|known| is_taken(known, *range));
            let ipv4 = wanted.ipv4.or_else(|| free.into_iter().find(is_free)).ok_or_else(|| {
                ResourceError::Conflict("no range of 100.64.0.0/10 is free; give one with `ipv4`".to_owned())
            })?;
            let row = NetworkRow {
                id,
                organization_id,
                name: wanted.name,
                ipv4,
                ipv6,
                default_access: wanted.default_access,
                admission: wanted.admission,
            };
            tx.insert_network(&row, now_ms)?;
            tx.insert_audit(&entry)?;
            Ok(row.into())
        })
    }

    /// Changes a network.
    ///
    /// # Errors
    /// No such network, a name that is taken or out of bounds, or the database's.
    pub fn update_network(&self, id: Uuid, wanted: NetworkChange) -> Result<Network, ResourceError> {
        if let Some(name) = &wanted.name {
            check_name("name", name, NAME_MAX)?;
        }
        let (organization, mut entry) = (self.organization, self.audit("network.change", "", &wanted));
        self.write(move |tx| {
            let mut row = network_of(&tx.reading(), organization, id)?;
            entry.subject.clone_from(&row.name);
            row.name = wanted.name.unwrap_or(row.name);
            row.default_access = wanted.default_access.unwrap_or(row.default_access);
            row.admission = wanted.admission.unwrap_or(row.admission);
            check_free_name(&tx.reading().networks()?, organization, Some(id), &row.name)?;
            tx.update_network(&row)?;
            tx.insert_audit(&entry)?;
            Ok(row.into())
        })
    }

    /// Deletes a network that has no nodes any more, with its enrollment keys and access rules.
    ///
    /// # Errors
    /// No such network, one with nodes, or the database's.
    pub fn delete_network(&self, id: Uuid) -> Result<(), ResourceError> {
        let (organization, mut entry) = (self.organization, self.audit("network.delete", "", &()));
        self.write(move |tx| {
            let row = network_of(&tx.reading(), organization, id)?;
            let left = tx.reading().host_indexes(id)?.len();
            if left > 0 {
                return Err(ResourceError::Conflict(format!(
                    "the network has {left} nodes; delete or move them first"
                )));
            }
            entry.subject = row.name;
            tx.delete_network(id)?;
            Ok(tx.insert_audit(&entry)?)
        })
    }
}

fn overlap(a: Ipv4Net, b: Ipv4Net) -> bool {
    a.contains(&b.network()) || b.contains(&a.network())
}

fn check_free_name(
    known: &[NetworkRow],
    organization: Uuid,
    own: Option<Uuid>,
    name: &str,
) -> Result<(), ResourceError> {
    let is_same = |known: &NetworkRow| {
        known.organization_id == organization && known.name == name && Some(known.id) != own
    };
    if known.iter().any(is_same) {
        return Err(ResourceError::Conflict(format!("the name `{name}` is taken")));
    }
    Ok(())
}
