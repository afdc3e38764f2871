//! `warren set`: what the node's user chooses, now and after restarts.

use clap::{ArgAction, Args};
use ipnet::IpNet;

use super::Context;
use crate::control::Request;
use crate::control::answer::DoneAnswer;
use crate::exit_guard::ExitGuard;
use crate::failure::{Code, Failure};
use crate::state::{ChoiceChange, ExitChoice, StateFolder};

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
    /// Whether this node is an exit node: others reach the internet through it once an administrator has approved it
    #[arg(long, value_name = "true|false", action = ArgAction::Set)]
    advertise_exit_node: Option<bool>,
    /// The node that this machine reaches the internet through; while it cannot, nothing leaves for the internet
    #[arg(long, value_name = "NODE", conflicts_with = "no_exit_node")]
    exit_node: Option<String>,
    /// Reach the internet without an exit node
    #[arg(long)]
    no_exit_node: bool,
}

pub(super) fn run(context: &Context, args: SetArgs) -> Result<(), Failure> {
    let is_about_routes = args.no_advertised_routes || !args.advertise_route.is_empty();
    let change = ChoiceChange {
        advertise_routes: is_about_routes.then_some(args.advertise_route),
        accept_routes: args.accept_routes,
        advertise_exit_node: args.advertise_exit_node,
        exit_node: args.exit_node.map(ExitChoice::Node).or(args.no_exit_node.then_some(ExitChoice::None)),
    };
    if change == ChoiceChange::default() {
        return Err(Failure::new(Code::Usage, "nothing to set: `warren set --help` shows what there is"));
    }
    let is_way_out = change == no_exit_node();
    let done = match context.call(&Request::Set(change)) {
        // Nothing leaves for the internet meanwhile, maybe not even what would bring the agent back.
        Err(failure) if failure.code == Code::NotRunning && is_way_out => without_daemon(context),
        outcome => outcome,
    }?;
    context.terminal.done(&done)
}

fn no_exit_node() -> ChoiceChange {
    ChoiceChange { exit_node: Some(ExitChoice::None), ..ChoiceChange::default() }
}

fn without_daemon(context: &Context) -> Result<DoneAnswer, Failure> {
    let folder = StateFolder::new(&context.global.state_dir);
    let _lock = folder.lock("agent.lock")?;
    let guard = ExitGuard::new(&folder, &context.global.interface);
    guard.open().map_err(|why| Failure::new(Code::Failed, why))?;
    // What else was chosen is lost where the file is damaged, as it was for the agent.
    folder.set_choices(&folder.choices().with(no_exit_node(), None)?)?;
    Ok(DoneAnswer::new("chosen; the agent does not run", &folder))
}
