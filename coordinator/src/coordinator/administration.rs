//! What people administer: a call on the database, and the memory brought up to it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::Coordinator;
use crate::service::identities::GroupMappings;
use crate::service::resources::nodes::Node;
use crate::service::resources::{Call, Membership};
use crate::store::StoreError;

impl Coordinator {
    /// A call on what people administer.
    #[must_use]
    pub fn call<'a>(&'a self, now_ms: i64, member: &'a Membership) -> Call<'a> {
        Call { groups: self.groups.get(), ..member.call(&self.store, &self.entropy, now_ms) }
    }

    /// Notes from which groups roles follow, once, and warns of each that leads into no organization.
    pub(crate) fn map_groups(&self, mappings: &Arc<GroupMappings>) {
        let mappings = self.groups.get_or_init(|| Arc::clone(mappings));
        match self.store.read(|tx| tx.organizations()) {
            Ok(organizations) => mappings.warn_of_missing(&organizations),
            Err(error) => tracing::error!(%error, "whether groups lead into organizations cannot be checked"),
        }
    }

    /// The nodes of an organization, by name.
    #[must_use]
    pub fn nodes(&self, organization: Uuid) -> Vec<Node> {
        self.directory().nodes(organization)
    }

    /// One node of an organization.
    #[must_use]
    pub fn node(&self, organization: Uuid, id: Uuid) -> Option<Node> {
        self.directory().node(organization, id)
    }

    /// Brings one network in memory to the state of the database: its row and its access rules.
    pub(crate) fn refresh_network(&self, id: Uuid) {
        let mut directory = self.directory();
        let read = self.store.read(|tx| Ok::<_, StoreError>((tx.network(id)?, tx.access_rules(id)?)));
        match read {
            Ok((Some(row), rules)) => directory.put_network_with_rules(row, rules),
            Ok((None, _)) => directory.remove_network(id),
            Err(error) => {
                tracing::error!(network = %id, %error, "a network could not be read back; what was known of it stays");
                self.stale.store(true, Ordering::Relaxed);
            }
        }
    }
}
