//! While an exit node is used: traffic to the internet leaves through the tunnel or not at all. This is the part that says "not at
//! all": it is set before the exit node is used, stays while the agent is killed, replaced or without a tunnel, and goes only when
//! the user chooses none, takes the tunnel down or leaves.
//!
//! Two layers of the kernel, so that nothing opens when another program takes one of them away: policy routing sends what is not
//! the tunnel's own to a table that knows the tunnel and nothing else, and a filter refuses what would leave by another interface.

mod direct;
mod filter;
mod policy_routing;
mod resolver;

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;

use self::direct::DirectAddresses;
use crate::firewall::Table;
use crate::net::KernelWatch;
use crate::state::StateFolder;

pub(crate) use resolver::DirectResolver;

/// The file that names the table of nft.
const MARK: &str = "exit-guard";

/// All is looked at each so many ticks, for whatever the kernel did not tell of: 10 s, or 40 s where nobody uses the tunnel.
const LOOK_TICKS: u32 = 40;

/// What the guard works with, shared by the daemon and its HTTP client.
#[derive(Debug, Clone)]
pub(crate) struct ExitGuard(Arc<Mutex<Guard>>);

#[derive(Debug)]
struct Guard {
    table: Table,
    interface: String,
    /// The node's mesh addresses, where the guard is on.
    mesh: Option<Vec<IpNet>>,
    /// The hosts that the agent itself calls over TCP: its packets there cannot be told from those of other programs.
    direct: DirectAddresses,
    /// Told when somebody changes rules of policy routing; absent where the system tells nothing.
    watch: Option<KernelWatch>,
    ticks: u32,
    trouble: Option<String>,
}

impl ExitGuard {
    /// A guard of which the kernel's state is not known yet; what a former life left stays until the first of [`Self::close`] and
    /// [`Self::open`].
    pub(crate) fn new(state: &StateFolder, interface: &str) -> Self {
        let guard = Guard {
            table: Table::new(state, MARK, "warren_exit_", interface),
            interface: interface.to_owned(),
            mesh: None,
            direct: DirectAddresses::load(state),
            watch: KernelWatch::of_rules().ok(),
            ticks: 0,
            trouble: None,
        };
        Self(Arc::new(Mutex::new(guard)))
    }

    /// Lets nothing out to the internet but through the tunnel of the node with these mesh addresses. Where it is so already, it
    /// is made sure of.
    ///
    /// # Errors
    /// What the kernel refuses; what it does not is set all the same, and [`Self::tick`] tries the rest again.
    pub(crate) fn close(&self, mesh: &[IpNet]) -> Result<(), String> {
        let mut guard = self.guard();
        guard.mesh = Some(mesh.to_vec());
        guard.apply()
    }

    /// Takes over the node's mesh addresses, where the guard is on.
    pub(crate) fn set_mesh(&self, mesh: &[IpNet]) {
        let mut guard = self.guard();
        if guard.mesh.as_ref().is_some_and(|known| known != mesh) {
            guard.mesh = Some(mesh.to_vec());
            drop(guard.apply());
        }
    }

    /// Takes all of it away.
    pub(crate) fn open(&self) {
        let mut guard = self.guard();
        (guard.mesh, guard.trouble) = (None, None);
        policy_routing::remove();
        guard.table.remove();
    }

    /// The same, where this life or one before closed it.
    pub(crate) fn open_if_closed(&self) {
        if self.is_remembered() {
            self.open();
        }
    }

    /// Whether this life or one before closed it, and none has opened it since.
    pub(crate) fn is_remembered(&self) -> bool {
        self.guard().table.is_remembered()
    }

    /// Whether traffic to the internet leaves through the tunnel or not at all, as far as this life knows.
    pub(crate) fn is_closed(&self) -> bool {
        self.guard().mesh.is_some()
    }

    /// Sets again what somebody took away, and tries again what failed.
    pub(crate) fn tick(&self) {
        let mut guard = self.guard();
        guard.ticks = guard.ticks.wrapping_add(1);
        let is_told = guard.watch.as_ref().is_some_and(KernelWatch::take_changed);
        let is_due = is_told || guard.ticks.is_multiple_of(LOOK_TICKS);
        if guard.mesh.is_some() && is_due && !guard.is_whole() {
            tracing::warn!("what keeps traffic to the exit node was taken away: setting it again");
            drop(guard.apply());
        }
    }

    /// Why traffic may leave past the exit node; `None` where it may not, or the guard is off.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.guard().trouble.clone()
    }

    /// Takes down the addresses of a host that the agent calls, and lets its packets there go past the exit node. Done on return.
    fn learn(&self, host: &str, addresses: &[IpAddr]) {
        let mut guard = self.guard();
        if guard.direct.learn(host, addresses) && guard.mesh.is_some() {
            drop(guard.apply());
        }
    }

    /// Lets packets to this address go past the exit node.
    pub(crate) fn learn_address(&self, address: IpAddr) {
        self.learn(&address.to_string(), &[address]);
    }

    /// The addresses that a host had.
    fn known(&self, host: &str) -> Vec<IpAddr> {
        self.guard().direct.of(host)
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    fn apply(&mut self) -> Result<(), String> {
        let Some(mesh) = &self.mesh else { return Ok(()) };
        let direct = self.direct.public();
        let rules = filter::rules(self.table.name(), &self.interface, mesh, &direct);
        self.table.remove_other();
        policy_routing::heed_marks();
        let filtered = self.table.load(&rules);
        // Each without the other, where one is refused.
        let routed = policy_routing::set(&direct);
        let applied = filtered.and(routed);
        if let Err(why) = &applied
            && self.trouble.as_ref() != Some(why)
        {
            tracing::error!(why, "traffic may leave past the exit node");
        }
        self.trouble = applied.clone().err();
        applied
    }

    fn is_whole(&self) -> bool {
        self.trouble.is_none() && self.table.is_there() && policy_routing::is_there()
    }
}
