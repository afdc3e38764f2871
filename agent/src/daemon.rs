//! The daemon: one loop that owns the node, serves the control socket, and ends in order.

mod describe;
mod happening;
mod map_saver;
mod netcheck;
mod node;
mod requests;
mod standing;
mod tunnel_keeper;
mod verdict;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use endpoint_selection::LocalRules;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::clock::Clock;
use crate::control::Server;
use crate::exit_guard::ExitGuard;
use crate::failure::{Code, Failure};
use crate::peer_relay::RelayOptions;
use crate::state::{Identity, StateError, StateFolder};
use requests::Departure;
use standing::Standing;

/// How often the daemon looks around: traffic, interfaces, what is to be saved. A path that only sends is noticed within
/// two looks, so this is a good part of the silence after a router's rebinding.
const TICK: Duration = Duration::from_millis(250);

/// How often it does while nobody uses the tunnel; the first packet wakes it all the same.
const TICK_AT_REST: Duration = Duration::from_secs(1);

/// Requests that wait for the loop.
const CALLS_MAX: usize = 64;

/// What a daemon is started with.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where the state is kept.
    pub(crate) state_dir: PathBuf,
    /// Where the control socket is made.
    pub(crate) socket: PathBuf,
    /// The name of the tunnel's interface.
    pub(crate) interface: String,
    /// Which addresses peers are told.
    pub(crate) offer: Offer,
    /// The relay that it runs where an administrator allows it.
    pub(crate) relay: RelayOptions,
    /// The port at which it answers for DNS names; 0 for none.
    pub(crate) names_port: u16,
}

/// Which addresses peers are told.
#[derive(Debug, Clone)]
pub(crate) struct Offer {
    /// Which of the machine's own.
    pub(crate) rules: LocalRules,
    /// Others that lead to it, as its user knows.
    pub(crate) static_candidates: Vec<SocketAddr>,
    /// Whether the router is asked to open a port.
    pub(crate) port_mapping: bool,
}

struct Daemon {
    options: Options,
    state: StateFolder,
    clock: Clock,
    standing: Standing,
    exit_guard: ExitGuard,
    departures: mpsc::Sender<Departure>,
}

/// Runs until SIGTERM or SIGINT, or until the tunnel proves impossible on this machine.
///
/// # Errors
/// Where the state folder or the socket is another agent's, or the machine gives no tunnel.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let mut terminate = handle(SignalKind::terminate())?;
    let mut interrupt = handle(SignalKind::interrupt())?;
    // Checked first, so that a wrong name is told before anything is touched.
    tunnel::TunInterface::new(&options.interface)
        .map_err(|error| Failure::new(Code::Usage, format!("--interface: {error}")))?;
    let state = StateFolder::new(&options.state_dir);
    let _lock = state.lock("agent.lock").map_err(|error| match error {
        StateError::Busy { path } => {
            let message = format!(
                "another agent works on {}: stop it, or choose another folder with --state-dir",
                path.display()
            );
            Failure::new(Code::Failed, message)
        }
        error @ (StateError::Io { .. } | StateError::Damaged { .. }) => error.into(),
    })?;
    let (calls_sender, mut calls) = mpsc::channel(CALLS_MAX);
    let (departures_sender, mut departures) = mpsc::channel(CALLS_MAX);
    let _server = Server::start(&options.socket, calls_sender)?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), socket = %options.socket.display(), "agent started");
    let standing = Standing::NotEnrolled;
    let exit_guard = ExitGuard::new(&state, &options.interface);
    let mut daemon =
        Daemon { options, state, clock: Clock::start(), standing, exit_guard, departures: departures_sender };
    let mut outcome = daemon.reload().await;
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while outcome.is_ok() {
        tokio::select! {
            Some(call) = calls.recv() => daemon.on_call(call).await,
            Some(departure) = departures.recv() => daemon.on_departure(departure).await,
            happening = daemon.standing.next() => daemon.standing.handle(happening),
            _ = ticks.tick() => {
                daemon.exit_guard.tick();
                ticks.reset_after(daemon.standing.tick());
            }
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        }
        outcome = daemon.settle().await;
    }
    // The guard of an exit node stays: a machine whose agent is replaced does not fall back to its own address meanwhile.
    tracing::info!("agent stops");
    daemon.standing.stop().await;
    outcome
}

fn handle(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind)
        .map_err(|error| Failure::from_io(&error, format!("cannot wait for signals: {error}; try again")))
}

impl Daemon {
    /// Becomes what the state folder says.
    async fn reload(&mut self) -> Result<(), Failure> {
        self.standing.stop().await;
        // The guard has told what went wrong; what it could not set it tries again.
        drop(self.exit_guard.follow_choices());
        self.standing = match Identity::load(&self.state)? {
            None => {
                tracing::info!("not enrolled: waiting for `warren join`");
                Standing::NotEnrolled
            }
            Some(identity) if self.state.is_down()? => {
                tracing::info!("the tunnel is to be down: waiting for `warren up`");
                Standing::Down(identity)
            }
            Some(identity) => {
                Standing::up(identity, &self.state, &self.options, &self.exit_guard, self.clock)?
            }
        };
        self.settle().await
    }

    /// Does what the node wants done, and lets it go where the coordinator says so.
    async fn settle(&mut self) -> Result<(), Failure> {
        let Standing::Up(node) = &mut self.standing else { return Ok(()) };
        node.settle()?;
        let Some(why) = node.take_deletion() else { return Ok(()) };
        tracing::error!(%why, "the coordinator deleted this node: the tunnel goes down");
        let identity = node.identity().clone();
        self.standing.stop().await;
        // Else the next start would bring a network up that the node is no part of any more.
        if let Err(error) = self.state.forget_map() {
            tracing::warn!(%error, "cannot remove the saved network map");
        }
        self.standing = Standing::Deleted(identity, why);
        Ok(())
    }
}
