//! `warren up`: the tunnel shall be up.

use super::Context;
use crate::control::Request;
use crate::control::answer::DoneAnswer;
use crate::failure::Failure;

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let done: DoneAnswer = context.call(&Request::Up)?;
    context.terminal.done(&done)
}
