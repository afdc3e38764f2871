//! `warren guard`: what the choice of an exit node asks for, before the agent and the network are there.

use super::Context;
use crate::control::answer::DoneAnswer;
use crate::exit_guard::ExitGuard;
use crate::failure::{Code, Failure};
use crate::state::{StateError, StateFolder};

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let folder = StateFolder::new(&context.global.state_dir);
    let _lock = match folder.lock("agent.lock") {
        Err(StateError::Busy { .. }) => {
            return context.terminal.done(&DoneAnswer::new("the agent runs, and sees to it", &folder));
        }
        lock => lock?,
    };
    let guard = ExitGuard::new(&folder, &context.global.interface);
    guard.follow_choices().map_err(|why| Failure::new(Code::Failed, why))?;
    let verdict = if guard.is_closed() {
        "nothing leaves for the internet until the agent uses the exit node"
    } else {
        "no exit node is used: traffic goes as it did"
    };
    context.terminal.done(&DoneAnswer::new(verdict, &folder))
}
