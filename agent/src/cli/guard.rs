//! `warren guard`: what the choice of an exit node asks for, before the agent and the network are there.

use super::Context;
use crate::control::answer::DoneAnswer;
use crate::exit_guard::ExitGuard;
use crate::failure::{Code, Failure};
use crate::state::{StateError, StateFolder};

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let folder = StateFolder::new(&context.global.state_dir);
    let _lock = match folder.lock("agent.lock") {
        Err(StateError::Busy { .. }) => return tell(context, &folder, "the agent runs, and sees to it"),
        lock => lock?,
    };
    let guard = ExitGuard::new(&folder, &context.global.interface);
    guard.follow_choices().map_err(|why| Failure::new(Code::Failed, why))?;
    let verdict = if guard.is_closed() {
        "nothing leaves for the internet until the agent uses the exit node"
    } else {
        "no exit node is used: traffic goes as it did"
    };
    tell(context, &folder, verdict)
}

fn tell(context: &Context, folder: &StateFolder, verdict: &str) -> Result<(), Failure> {
    context.terminal.done(&DoneAnswer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        verdict: verdict.to_owned(),
        state_dir: folder.path().display().to_string(),
    })
}
