//! `warren leave`: the coordinator deletes the node, then the machine forgets that it was one.

use std::path::Path;

use clap::Args;

use super::Context;
use crate::control::Request;
use crate::control::answer::DoneAnswer;
use crate::coordinator_client::CoordinatorClient;
use crate::departure;
use crate::exit_guard::ExitGuard;
use crate::failure::{Code, Failure};
use crate::state::{Identity, StateError, StateFolder};

#[derive(Debug, Args)]
pub(super) struct LeaveArgs {
    /// Leave even where the coordinator does not answer or refuses
    #[arg(long)]
    force: bool,
}

pub(super) fn run(context: &Context, args: &LeaveArgs) -> Result<(), Failure> {
    let done = match context.call(&Request::Leave { force: args.force }) {
        Err(failure) if failure.code == Code::NotRunning => without_daemon(context, args.force),
        outcome => outcome,
    }?;
    context.terminal.done(&done)
}

fn without_daemon(context: &Context, force: bool) -> Result<DoneAnswer, Failure> {
    let folder = StateFolder::new(&context.global.state_dir);
    // Looked at before the locks, which would make the folder.
    if Identity::load(&folder)?.is_none() {
        return Err(Failure::not_enrolled());
    }
    let _agent_lock = folder.lock("agent.lock").map_err(|error| match error {
        StateError::Busy { path } => agent_elsewhere(&path, &context.global.socket),
        error @ (StateError::Io { .. } | StateError::Damaged { .. }) => error.into(),
    })?;
    let _join_lock = folder.lock("join.lock")?;
    // Again: only under the locks it is sure to stay the same.
    let Some(identity) = Identity::load(&folder)? else { return Err(Failure::not_enrolled()) };
    let exit_guard = ExitGuard::new(&folder, &context.global.interface);
    let client = CoordinatorClient::of_node(&identity, &exit_guard)?;
    let outcome = super::runtime()?.block_on(client.delete_node());
    let verdict = departure::judge(outcome, force)?;
    Identity::forget(&folder)?;
    exit_guard.forget_called();
    exit_guard.open().map_err(|why| Failure::new(Code::Failed, format!("left; {why}")))?;
    Ok(DoneAnswer::new(verdict, &folder))
}

/// An agent at work would keep the tunnel up, and write the folder anew, for a node that is no more.
fn agent_elsewhere(folder: &Path, socket: &Path) -> Failure {
    let message = format!(
        "an agent works on {} but does not listen at {}: give its socket with --socket, or stop it first",
        folder.display(),
        socket.display()
    );
    Failure::new(Code::Failed, message)
}
