//! `warren set`: what the node's user chooses, now and after restarts.

use clap::{ArgAction, Args};
use ipnet::IpNet;

use super::Context;
use crate::control::Request;
use crate::control::answer::DoneAnswer;
use crate::exit::{Code, Failure};
use crate::state::ChoiceChange;

#[derive(Debug, Args)]
pub(super) struct SetArgs {
    /// A network behind this node that it routes to once an administrator has approved it; may be given again. All that are
    /// given replace those before
    #[arg(long, value_name = "PREFIX", conflicts_with = "no_advertised_routes")]
    advertise_route: Vec<IpNet>,
    /// Route to no network behind this node any more
    #[arg(long)]
    no_advertised_routes: bool,
    /// Whether to use networks behind other nodes
    #[arg(long, value_name = "true|false", action = ArgAction::Set)]
    accept_routes: Option<bool>,
}

pub(super) fn run(context: &Context, args: SetArgs) -> Result<(), Failure> {
    let is_about_routes = args.no_advertised_routes || !args.advertise_route.is_empty();
    let change = ChoiceChange {
        advertise_routes: is_about_routes.then_some(args.advertise_route),
        accept_routes: args.accept_routes,
    };
    if change == ChoiceChange::default() {
        return Err(Failure::new(Code::Usage, "nothing to set: `warren set --help` shows what there is"));
    }
    let done: DoneAnswer = context.call(&Request::Set(change))?;
    context.terminal.done(&done)
}
