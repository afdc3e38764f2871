//! `warren join`: this machine becomes a node.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use ipnet::IpNet;
use protocol::api::{EnrollRequest, EnrollResponse, NodeName, ProblemCode};
use protocol::key::PrivateKey;
use serde::Serialize;
use uuid::Uuid;

use super::{Context, device_authorization, enrollment_key};
use crate::control::Request;
use crate::control::answer::DoneAnswer;
use crate::coordinator_client::{CallError, CoordinatorClient, CoordinatorUrl};
use crate::failure::{Code, Failure};
use crate::state::{ChoiceChange, Enrolled, Identity, StateFolder, open_credentials, pending_private_key};

/// Mesh addresses that one node can have: one per IP version, with room for more.
const ADDRESSES_MAX: usize = 16;

#[derive(Debug, Args)]
pub(super) struct JoinArgs {
    /// The coordinator's URL, such as `https://warren.example.org`
    url: CoordinatorUrl,
    /// The node's name [default: the host's name]
    #[arg(long)]
    name: Option<NodeName>,
    /// A file with the enrollment key, `-` for standard input [default: WARREN_ENROLLMENT_KEY, or else a link by which a
    /// member of the organization lets the machine in]
    #[arg(long, value_name = "FILE")]
    enrollment_key_file: Option<PathBuf>,
    /// A network behind this node that it routes to once an administrator has approved it; may be given again
    #[arg(long, value_name = "PREFIX")]
    advertise_route: Vec<IpNet>,
}

/// `warren join --json`.
#[derive(Debug, Serialize)]
struct Joined<'a> {
    version: &'static str,
    verdict: &'a str,
    name: &'a NodeName,
    id: Uuid,
    network: &'a str,
    addresses: Vec<IpAddr>,
    agent_running: bool,
}

pub(super) fn run(context: &Context, args: JoinArgs) -> Result<(), Failure> {
    let exposed = args.url.is_exposed().then(|| {
        format!(
            "warning: {} is plain HTTP to a public host, where others can read along; use https",
            args.url
        )
    });
    let enrollment_key = enrollment_key::find(args.enrollment_key_file.as_deref())?;
    // Where a person is about to let the machine in they can still stop; a script hears it afterwards, as its errors are
    // one sentence alone.
    let is_asking = enrollment_key.is_none();
    if let Some(warning) = exposed.as_deref().filter(|_| is_asking) {
        context.terminal.error(warning);
    }
    let folder = StateFolder::new(&context.global.state_dir);
    let advertised = Some(args.advertise_route).filter(|routes| !routes.is_empty());
    let choice = ChoiceChange { advertise_routes: advertised, ..ChoiceChange::default() };
    choice.check(&[])?;
    let _lock = folder.lock("join.lock")?;
    if let Some(identity) = Identity::load(&folder)? {
        let Identity { name, network, coordinator, .. } = identity;
        let message = format!(
            "this machine is the node {name} of the network {network:?} at {coordinator}: run `warren leave` first"
        );
        return Err(Failure::new(Code::Failed, message));
    }
    let private_key = pending_private_key(&folder)?;
    let name = args.name.unwrap_or_else(host_name);
    let client = CoordinatorClient::new(args.url.clone(), None)?;
    let (runtime, public_key) = (super::runtime()?, private_key.public_key());
    let enrollment_key = match enrollment_key {
        Some(key) => key,
        None => runtime.block_on(device_authorization::obtain(context, &client, (&name, public_key)))?,
    };
    let request = EnrollRequest { enrollment_key, public_key, name };
    let identity = runtime
        .block_on(client.enroll(&request))
        .and_then(|response| check(args.url, response, private_key))
        .inspect_err(|error| forget_useless_key(&folder, error))?;
    identity.save(&folder)?;
    if choice != ChoiceChange::default() {
        folder.set_choices(&folder.choices().with(choice, None)?)?;
    }
    if let Err(error) = folder.forget_pending_private_key() {
        tracing::warn!(%error, "joined, but a copy of the private key stays");
    }
    if let Some(warning) = exposed.filter(|_| !is_asking) {
        context.terminal.error(&warning);
    }
    let agent = context.call(&Request::Reload);
    tell(context, &identity, agent, &folder)
}

/// The host's name as a node name; `node` where nothing of it is left.
#[expect(clippy::expect_used, reason = "the word is a node name")]
fn host_name() -> NodeName {
    let host = nix::unistd::gethostname().unwrap_or_default();
    NodeName::from_host_name(&host.to_string_lossy())
        .unwrap_or_else(|| "node".parse().expect("`node` is a node name"))
}

/// Believes the coordinator's answer only whole.
fn check(
    url: CoordinatorUrl,
    response: EnrollResponse,
    private_key: PrivateKey,
) -> Result<Identity, CallError> {
    let malformed = |why: &str| CallError::Malformed { url: url.to_string(), why: why.to_owned() };
    let (token, map_key) = open_credentials(&response, &private_key).map_err(malformed)?;
    let EnrollResponse { node_id, name, network, addresses, .. } = response;
    if !(1..=ADDRESSES_MAX).contains(&addresses.len()) {
        return Err(malformed("the node got no address, or too many"));
    }
    if network.len() > 256 || network.chars().any(char::is_control) {
        return Err(malformed("the network's name cannot be a name"));
    }
    let enrolled = Enrolled { node_id, name, network, addresses, map_key };
    Ok(Identity::new(url.clone(), enrolled, token, private_key))
}

/// A key that can never enroll here makes room for a new one. After every other failure it stays, because the
/// coordinator may have taken it, and only the same key gets the same node again.
fn forget_useless_key(folder: &StateFolder, error: &CallError) {
    let useless = matches!(
        error,
        CallError::Refused { code: ProblemCode::PublicKeyTaken | ProblemCode::NodeDeleted, .. }
    );
    if useless && let Err(error) = folder.forget_pending_private_key() {
        tracing::warn!(%error, "the refused private key stays");
    }
}

/// Tells how it went.
///
/// # Errors
/// Where the running agent cannot work as the new node: a script that joined must not take the tunnel for up.
fn tell(
    context: &Context,
    identity: &Identity,
    agent: Result<DoneAnswer, Failure>,
    folder: &StateFolder,
) -> Result<(), Failure> {
    let (name, network) = (&identity.name, &identity.network);
    let agent_running = agent.is_ok();
    let rest = match agent {
        Ok(done) if is_same_folder(&done.state_dir, folder.path()) => done.verdict,
        Ok(DoneAnswer { state_dir, .. }) => other_folder(&state_dir),
        Err(failure) if failure.code == Code::NotRunning => "start the agent with `warren agent`".to_owned(),
        Err(failure) if failure.code == Code::NotEnrolled => other_folder("another folder"),
        Err(failure) => {
            let message = format!(
                "joined the network {network} as {name}, but the agent does not take it up: {}",
                failure.message
            );
            return Err(Failure { message, ..failure });
        }
    };
    let verdict = format!("joined the network {network} as {name}; {rest}");
    if !context.terminal.wants_json() {
        context.terminal.line(&verdict);
        return Ok(());
    }
    context.terminal.json(&Joined {
        version: env!("CARGO_PKG_VERSION"),
        verdict: &verdict,
        name,
        id: identity.node_id,
        network,
        addresses: identity.addresses.iter().map(ipnet::IpNet::addr).collect(),
        agent_running,
    })
}

fn other_folder(folder: &str) -> String {
    format!("but the running agent works on {folder}: give both the same --state-dir")
}

fn is_same_folder(theirs: &str, ours: &Path) -> bool {
    match (std::fs::canonicalize(theirs), std::fs::canonicalize(ours)) {
        (Ok(theirs), Ok(ours)) => theirs == ours,
        _ => Path::new(theirs) == ours,
    }
}
