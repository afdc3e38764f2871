//! `warren set`: checked whole before anything of it is done.

use serde_json::Value;

use super::{Daemon, up};
use crate::daemon::describe;
use crate::daemon::standing::Standing;
use crate::failure::{Code, Failure};
use crate::state::{ChoiceChange, Choices, ExitChoice, ExitNode};

impl Daemon {
    /// Does what the user chose, and remembers it. An exit node is guarded before it is used: where that fails, nothing changes.
    pub(super) fn choose(&mut self, change: ChoiceChange) -> Result<Value, Failure> {
        let wish = change.exit_node.clone();
        if wish == Some(ExitChoice::None) {
            // First, and whatever else goes wrong.
            self.exit_guard.open().map_err(|why| Failure::new(Code::Failed, why))?;
        }
        let identity = self.standing.identity().ok_or_else(Failure::not_enrolled)?;
        change.check(&identity.addresses)?;
        let exit_node = match &wish {
            Some(ExitChoice::Node(name)) => Some(self.find_exit_node(name)?),
            Some(ExitChoice::None) | None => None,
        };
        let known = match self.state.sound_choices() {
            // What else was chosen is lost; that an exit node was must not get lost along with it.
            Err(error) if wish.is_some() => {
                tracing::warn!(%error, "beginning with the usual choices");
                Choices::default()
            }
            known => known?,
        };
        let wants_guard = exit_node.is_some();
        let choices = known.with(change, exit_node)?;
        if wants_guard && let Err(why) = self.exit_guard.close(identity.addresses.clone()) {
            drop(self.exit_guard.follow_choices());
            let message = format!("no exit node is used, as traffic could leave past it: {why}");
            return Err(Failure::new(Code::Failed, message));
        }
        if let Err(error) = self.state.set_choices(&choices) {
            if wants_guard {
                // As it was.
                drop(self.exit_guard.follow_choices());
            }
            return Err(error.into());
        }
        if let Standing::Up(node) = &mut self.standing {
            node.set_choices(choices);
        }
        self.done("chosen; `warren status` shows what comes of it")
    }

    fn find_exit_node(&self, name: &str) -> Result<ExitNode, Failure> {
        let (status, _) = up(&self.standing)?.status();
        let (key, name) = describe::find_peer(&status, name)?;
        let peer = status.peers.iter().find(|peer| peer.public_key == key);
        match peer.filter(|_| status.exit_nodes.contains(&key)) {
            Some(peer) => Ok(ExitNode { id: peer.id, name }),
            None => {
                let message = format!(
                    "{name} is no exit node: a node has to offer that (`warren set --advertise-exit-node true` there), \
                     and an administrator to approve it (`warren-coordinator admin node set {name} --approve-exit-node`)"
                );
                Err(Failure::new(Code::Refused, message))
            }
        }
    }
}
