//! What people administer: a call on the database, and the memory brought up to it.

use std::sync::atomic::Ordering;

use uuid::Uuid;

use super::Coordinator;
use crate::service::resources::nodes::Node;
use crate::service::resources::{Call, Membership};
use crate::store::StoreError;

impl Coordinator {
    /// A call on what people administer.
    #[must_use]
    pub fn call<'a>(&'a self, now_ms: i64, member: &'a Membership) -> Call<'a> {
        member.call(&self.store, &self.entropy, now_ms)
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
