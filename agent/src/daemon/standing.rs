//! What this machine is right now: no node, a node that is down, or one that works.

use std::time::Duration;

use crate::clock::Clock;
use crate::exit_guard::ExitGuard;
use crate::failure::Failure;
use crate::state::{Identity, StateFolder};

use super::happening::Happening;
use super::node::Node;
use super::{Options, TICK, TICK_AT_REST};

/// Where the daemon stands.
pub(crate) enum Standing {
    /// The machine is no node.
    NotEnrolled,
    /// The user wants the tunnel down.
    Down(Identity),
    /// The coordinator deleted the node, for this reason; the identity is there until the user leaves.
    Deleted(Identity, String),
    /// The node works.
    Up(Box<Node>),
}

impl Standing {
    /// Brings the node up.
    ///
    /// # Errors
    /// Where the machine gives no UDP port or no certificates.
    pub(crate) fn up(
        identity: Identity,
        state: &StateFolder,
        options: &Options,
        exit_guard: &ExitGuard,
        clock: Clock,
    ) -> Result<Self, Failure> {
        Node::start(identity, state.clone(), options, exit_guard, clock).map(|node| Self::Up(Box::new(node)))
    }

    /// The identity, where the machine has one.
    pub(crate) fn identity(&self) -> Option<&Identity> {
        match self {
            Self::NotEnrolled => None,
            Self::Down(identity) | Self::Deleted(identity, _) => Some(identity),
            Self::Up(node) => Some(node.identity()),
        }
    }

    /// Waits for the next happening; forever, where no node works. May be dropped at any time without losing one.
    pub(crate) async fn next(&mut self) -> Happening {
        match self {
            Self::Up(node) => node.next().await,
            Self::NotEnrolled | Self::Down(_) | Self::Deleted(..) => std::future::pending().await,
        }
    }

    /// Hands a happening to the node.
    pub(crate) fn handle(&mut self, happening: Happening) {
        if let Self::Up(node) = self {
            node.handle(happening);
        }
    }

    /// Lets the node look around; says when it wants to again.
    pub(crate) fn tick(&mut self) -> Duration {
        let is_used = match self {
            Self::Up(node) => node.tick(),
            Self::NotEnrolled | Self::Down(_) | Self::Deleted(..) => false,
        };
        if is_used { TICK } else { TICK_AT_REST }
    }

    /// Takes the tunnel down, in order; the standing is meaningless until it is set anew.
    pub(crate) async fn stop(&mut self) {
        if let Self::Up(node) = std::mem::replace(self, Self::NotEnrolled) {
            node.stop().await;
        }
    }
}
