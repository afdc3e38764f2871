//! What the node's user chose, beside how the agent is started: in one file, kept until chosen otherwise or until the node leaves.

use ipnet::IpNet;
use protocol::api::{ROUTES_MAX, check_route, is_default};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{StateError, StateFolder};
use crate::failure::{Code, Failure};

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
    /// Whether it would be an exit node for others.
    pub(crate) advertise_exit_node: bool,
    /// The node that this machine's traffic to the internet goes through.
    pub(crate) exit_node: Option<ExitNode>,
}

/// A node that was chosen as exit node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExitNode {
    /// Its id, which stays when it is renamed.
    pub(crate) id: Uuid,
    /// Its name when it was chosen, for people.
    pub(crate) name: String,
}

/// A wish for another exit node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ExitChoice {
    /// Traffic to the internet goes as without a mesh.
    None,
    /// It goes through the node of this name, mesh address or key.
    Node(String),
}

/// What is to be chosen otherwise; the rest stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChoiceChange {
    /// All networks behind this node that it would route to.
    pub(crate) advertise_routes: Option<Vec<IpNet>>,
    /// Whether networks behind other nodes are used.
    pub(crate) accept_routes: Option<bool>,
    /// Whether it would be an exit node for others.
    #[serde(default)]
    pub(crate) advertise_exit_node: Option<bool>,
    /// The exit node that it uses.
    #[serde(default)]
    pub(crate) exit_node: Option<ExitChoice>,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            advertise_routes: Vec::new(),
            accept_routes: true,
            advertise_exit_node: false,
            exit_node: None,
        }
    }
}

impl Choices {
    /// These with a change; the exit node that it asks for, where it asks for one, is `exit_node`.
    ///
    /// # Errors
    /// Where the machine would use an exit node and be one: whoever uses it would go on to the other one, or in a circle.
    pub(crate) fn with(mut self, change: ChoiceChange, exit_node: Option<ExitNode>) -> Result<Self, Failure> {
        if let Some(mut routes) = change.advertise_routes {
            routes.sort_unstable();
            routes.dedup();
            self.advertise_routes = routes;
        }
        self.accept_routes = change.accept_routes.unwrap_or(self.accept_routes);
        self.advertise_exit_node = change.advertise_exit_node.unwrap_or(self.advertise_exit_node);
        if change.exit_node.is_some() {
            self.exit_node = exit_node;
        }
        if self.advertise_exit_node && self.exit_node.is_some() {
            let message = "a machine that uses an exit node cannot be one: `warren set --no-exit-node` ends the one, \
                           `--advertise-exit-node false` the other";
            return Err(Failure::new(Code::Usage, message));
        }
        Ok(self)
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
        if routes.iter().any(is_default) {
            let message = "a default route is no network behind a node: `--advertise-exit-node true` offers the internet";
            return Err(Failure::new(Code::Usage, message));
        }
        let refused = |error: protocol::api::InvalidRoute| Failure::new(Code::Usage, error.to_string());
        routes.iter().try_for_each(|prefix| check_route(prefix, mesh)).map_err(refused)
    }
}

impl StateFolder {
    /// What the user chose; the usual where nothing was, or the file is damaged.
    pub(crate) fn choices(&self) -> Choices {
        self.sound_choices().unwrap_or_else(|error| {
            tracing::warn!(%error, "starting with the usual choices");
            Choices::default()
        })
    }

    /// What the user chose; the usual where nothing was.
    ///
    /// # Errors
    /// Where the file is damaged, or cannot be read.
    pub(crate) fn sound_choices(&self) -> Result<Choices, StateError> {
        let Some(bytes) = self.read(FILE, BYTES_MAX)? else { return Ok(Choices::default()) };
        serde_json::from_slice(&bytes).map_err(|error| self.damaged(FILE, error.to_string()))
    }

    /// Remembers what the user chose.
    ///
    /// # Errors
    /// Where the system refuses; nothing has changed then.
    pub(crate) fn set_choices(&self, choices: &Choices) -> Result<(), StateError> {
        let json =
            serde_json::to_vec_pretty(choices).map_err(|error| self.damaged(FILE, error.to_string()))?;
        self.write(FILE, &json)
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
        let twice = routes(&["192.168.5.0/24", "10.0.0.0/8", "10.0.0.0/8"]);
        folder.set_choices(&folder.choices().with(twice, None).unwrap()).unwrap();
        let change = ChoiceChange { accept_routes: Some(false), ..ChoiceChange::default() };
        let chosen = folder.choices().with(change, None).unwrap();
        folder.set_choices(&chosen).unwrap();
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
        assert!(folder.sound_choices().is_err(), "whether there is an exit node is not known");
    }

    #[test]
    fn choices_of_an_agent_that_knew_no_exit_nodes_are_read() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        folder.write(FILE, br#"{"advertise_routes":[],"accept_routes":false}"#).unwrap();
        assert_eq!(folder.sound_choices().unwrap(), Choices { accept_routes: false, ..Choices::default() });
    }

    #[test]
    fn a_machine_is_an_exit_node_or_uses_one() {
        let exit_node = Some(ExitNode { id: Uuid::nil(), name: "vps".into() });
        let choice = ExitChoice::Node("vps".into());
        let using = ChoiceChange { exit_node: Some(choice), ..ChoiceChange::default() };
        let chosen = Choices::default().with(using.clone(), exit_node.clone()).unwrap();
        assert_eq!(chosen.exit_node, exit_node);
        let offering = ChoiceChange { advertise_exit_node: Some(true), ..ChoiceChange::default() };
        assert_eq!(chosen.clone().with(offering.clone(), None).unwrap_err().code, Code::Usage);
        let other = chosen.with(ChoiceChange { accept_routes: Some(true), ..ChoiceChange::default() }, None);
        assert_eq!(other.unwrap().exit_node, exit_node, "what is not named stays");
        let offered = Choices::default().with(offering, None).unwrap();
        assert!(offered.with(using, exit_node).is_err());
    }

    #[test]
    fn a_network_that_cannot_be_routed_to_is_refused_with_the_reason() {
        let mesh = ["100.92.0.7/16".parse().unwrap()];
        assert!(routes(&["192.168.5.0/24"]).check(&mesh).is_ok());
        for (bad, why) in [
            ("0.0.0.0/0", "--advertise-exit-node"),
            ("100.92.1.0/24", "100.92.1.0/24"),
            ("192.168.5.1/24", "192.168.5.1/24"),
        ] {
            let failure = routes(&[bad]).check(&mesh).unwrap_err();
            assert!(failure.code == Code::Usage && failure.message.contains(why), "{failure}");
        }
    }
}
