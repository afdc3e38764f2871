//! `warren down`: the tunnel shall be down.

use super::Context;
use crate::control::Request;
use crate::control::answer::DoneAnswer;
use crate::failure::Failure;

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let done: DoneAnswer = context.call(&Request::Down)?;
    context.terminal.done(&done)
}
