//! What the node's user chose, beside how the agent is started: in one file, kept until chosen otherwise or until the node leaves.

use ipnet::IpNet;
use protocol::api::{ROUTES_MAX, check_route};
use serde::{Deserialize, Serialize};

use super::{StateError, StateFolder};
use crate::exit::{Code, Failure};

const FILE: &str = "choices.json";

/// The most routes take some 2 kB.
const BYTES_MAX: usize = 16 * 1024;

/// What the node's user chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Choices {
    /// The networks behind this node that it would route to.
    pub(crate) advertise_routes: Vec<IpNet>,
    /// Whether networks behind other nodes are used.
    pub(crate) accept_routes: bool,
}

/// What is to be chosen otherwise; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChoiceChange {
    /// All networks behind this node that it would route to.
    pub(crate) advertise_routes: Option<Vec<IpNet>>,
    /// Whether networks behind other nodes are used.
    pub(crate) accept_routes: Option<bool>,
}

impl Default for Choices {
    fn default() -> Self {
        Self { advertise_routes: Vec::new(), accept_routes: true }
    }
}

impl ChoiceChange {
    /// Checks it for a node with these mesh addresses.
    ///
    /// # Errors
    /// Which network cannot be routed to, and why.
    pub(crate) fn check(&self, mesh: &[IpNet]) -> Result<(), Failure> {
        let routes = self.advertise_routes.as_deref().unwrap_or_default();
        if routes.len() > ROUTES_MAX {
            let message = format!("{} routes given, at most {ROUTES_MAX} are possible", routes.len());
            return Err(Failure::new(Code::Usage, message));
        }
        let refused = |error: protocol::api::InvalidRoute| Failure::new(Code::Usage, error.to_string());
        routes.iter().try_for_each(|prefix| check_route(prefix, mesh)).map_err(refused)
    }
}

impl StateFolder {
    /// What the user chose; the usual where nothing was, or the file is damaged.
    pub(crate) fn choices(&self) -> Choices {
        let read = self.read(FILE, BYTES_MAX).and_then(|bytes| {
            let damaged = |error: serde_json::Error| self.damaged(FILE, error.to_string());
            bytes.map(|bytes| serde_json::from_slice(&bytes).map_err(damaged)).transpose()
        });
        read.unwrap_or_else(|error| {
            tracing::warn!(%error, "starting with the usual choices");
            None
        })
        .unwrap_or_default()
    }

    /// Remembers what the user chose otherwise, and gives all choices.
    ///
    /// # Errors
    /// Where the system refuses; nothing has changed then.
    pub(crate) fn choose(&self, change: ChoiceChange) -> Result<Choices, StateError> {
        let mut choices = self.choices();
        if let Some(mut routes) = change.advertise_routes {
            routes.sort_unstable();
            routes.dedup();
            choices.advertise_routes = routes;
        }
        choices.accept_routes = change.accept_routes.unwrap_or(choices.accept_routes);
        let json =
            serde_json::to_vec_pretty(&choices).map_err(|error| self.damaged(FILE, error.to_string()))?;
        self.write(FILE, &json)?;
        Ok(choices)
    }

    /// Forgets them.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn forget_choices(&self) -> Result<(), StateError> {
        self.remove(FILE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(texts: &[&str]) -> ChoiceChange {
        let routes = texts.iter().map(|text| text.parse().unwrap()).collect();
        ChoiceChange { advertise_routes: Some(routes), ..ChoiceChange::default() }
    }

    #[test]
    fn choices_outlive_a_restart_and_what_is_not_named_stays() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        assert!(folder.choices().accept_routes);
        folder.choose(routes(&["192.168.5.0/24", "10.0.0.0/8", "10.0.0.0/8"])).unwrap();
        let chosen =
            folder.choose(ChoiceChange { accept_routes: Some(false), ..ChoiceChange::default() }).unwrap();
        assert_eq!(folder.choices(), chosen);
        assert!(chosen.advertise_routes.len() == 2 && !chosen.accept_routes);
        folder.forget_choices().unwrap();
        assert_eq!(folder.choices(), Choices::default());
    }

    #[test]
    fn a_damaged_file_means_the_usual_choices() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        folder.write(FILE, b"{").unwrap();
        assert_eq!(folder.choices(), Choices::default());
    }

    #[test]
    fn a_network_that_cannot_be_routed_to_is_refused_with_the_reason() {
        let mesh = ["100.92.0.7/16".parse().unwrap()];
        assert!(routes(&["192.168.5.0/24"]).check(&mesh).is_ok());
        for bad in ["0.0.0.0/0", "100.92.1.0/24", "192.168.5.1/24"] {
            let failure = routes(&[bad]).check(&mesh).unwrap_err();
            assert!(failure.code == Code::Usage && failure.message.contains(bad), "{failure}");
        }
    }
}
