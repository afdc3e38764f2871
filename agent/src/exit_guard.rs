//! While an exit node is used: traffic to the internet leaves through the tunnel or not at all. This is the part that says "not at
//! all": it is set before the exit node is used, stays while the agent is killed, replaced or without a tunnel, and goes only when
//! the user chooses none, takes the tunnel down or leaves. A start of the machine takes it away, too: `warren guard` sets it before the
//! network is there.
//!
//! Two layers of the kernel, so that nothing opens when another program takes one of them away: policy routing sends what is not
//! the tunnel's own to a table that knows the tunnel and nothing else, and a filter refuses what would leave by another interface.

mod called_hosts;
mod earlier;
mod filter;
mod policy_routing;
mod resolver;

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipnet::IpNet;
use nix::unistd::getuid;

use self::called_hosts::CalledHosts;
use self::filter::Filter;
use self::policy_routing::Wanted;
use crate::firewall::{Table, nft, nft_tells, removal};
use crate::net::KernelWatch;
use crate::state::{Identity, StateError, StateFolder};

pub(crate) use resolver::GuardedResolver;

/// The file that names the table of nft.
const FILE: &str = "exit-guard";

/// How the table's name begins.
const TABLE: &str = "warren_exit_";

/// All is looked at each so many ticks, for whatever the kernel did not tell of: 10 s, or 40 s where nobody uses the tunnel.
const LOOK_TICKS: u32 = 40;

/// Whether a guard may be on, as far as one may look into the state folder.
pub(crate) fn is_remembered(state: &StateFolder) -> bool {
    matches!(state.contains(FILE), Ok(true))
}

/// The guard of this machine, shared by the daemon and its HTTP client.
#[derive(Debug, Clone)]
pub(crate) struct ExitGuard(Arc<Mutex<Guard>>);

#[derive(Debug)]
struct Guard {
    state: StateFolder,
    table: Table,
    interface: String,
    /// `None` where the guard is off.
    closed: Option<Closed>,
    /// The hosts that the agent itself calls over TCP: its packets there cannot be told from those of other programs.
    called: CalledHosts,
    /// Told when somebody changes rules of policy routing or of nft, or an interface, which takes its routes along; none where the
    /// system tells nothing.
    watches: Vec<KernelWatch>,
    ticks: u32,
    trouble: Option<String>,
}

/// A guard that is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Closed {
    /// The node's mesh addresses.
    mesh: Vec<IpNet>,
    /// The default routes that go through the tunnel, while there is one.
    exits: Vec<IpNet>,
    /// The other networks that do.
    routes: Vec<IpNet>,
    /// TCP connections from outside that are older than the guard.
    earlier: Vec<(SocketAddr, SocketAddr)>,
}

impl ExitGuard {
    /// A guard of which the kernel's state is not known yet; what a former life left stays until [`Self::follow_choices`].
    pub(crate) fn new(state: &StateFolder, interface: &str) -> Self {
        let guard = Guard {
            state: state.clone(),
            table: Table::new(state, FILE, TABLE, interface),
            interface: interface.to_owned(),
            closed: None,
            called: CalledHosts::load(state),
            watches: [KernelWatch::of_rules(), KernelWatch::of_nft(), KernelWatch::of_interfaces()]
                .into_iter()
                .flatten()
                .collect(),
            ticks: 0,
            trouble: None,
        };
        Self(Arc::new(Mutex::new(guard)))
    }

    /// Lets traffic to the internet out past the tunnel, or not, as the state folder says. Where that is not known, all stays as it
    /// is.
    ///
    /// # Errors
    /// What the kernel refuses, in either direction.
    pub(crate) fn follow_choices(&self) -> Result<(), String> {
        let mut guard = self.guard();
        match guard.guarded_addresses() {
            Ok(None) if guard.is_known() => guard.open(),
            Ok(None) => Ok(()),
            Ok(Some(mesh)) => guard.close(mesh),
            Err(error) => {
                tracing::error!(%error, "whether an exit node is used is not known: leaving traffic as it is");
                Err(format!("whether an exit node is used is not known: {error}"))
            }
        }
    }

    /// Lets nothing out to the internet but through the tunnel of the node with these mesh addresses. Where it is so already, it
    /// is made sure of.
    ///
    /// # Errors
    /// What the kernel refuses; what it does not is set all the same, and [`Self::tick`] tries the rest again.
    pub(crate) fn close(&self, mesh: Vec<IpNet>) -> Result<(), String> {
        self.guard().close(mesh)
    }

    /// Takes over the tunnel that there is: the node's mesh addresses, the default routes that go through it, and the others. Nothing
    /// to do where the guard is off.
    pub(crate) fn set_tunnel(&self, mesh: &[IpNet], exits: Vec<IpNet>, routes: &[IpNet]) {
        let mut guard = self.guard();
        let Some(closed) = &guard.closed else { return };
        let earlier = closed.earlier.clone();
        let wanted = Closed { mesh: mesh.to_vec(), exits, routes: routes.to_vec(), earlier };
        if *closed != wanted {
            guard.closed = Some(wanted);
            drop(guard.apply());
        }
    }

    /// Takes all of it away, and what is there though nobody remembers it: the user says so.
    ///
    /// # Errors
    /// What the kernel refuses; it is remembered that the rest is there.
    pub(crate) fn open(&self) -> Result<(), String> {
        let mut guard = self.guard();
        let is_known = guard.is_known();
        // Where nothing is known of, what cannot be taken away need not be there.
        guard.open().or_else(|why| if is_known { Err(why) } else { Ok(()) })
    }

    /// Sets again what somebody took away, and tries again what failed, from time to time and where the kernel tells of changes.
    pub(crate) fn tick(&self) {
        let mut guard = self.guard();
        guard.ticks = guard.ticks.wrapping_add(1);
        // What failed is tried again now and then, and not each time that others change something.
        let is_told = guard.take_told() && guard.trouble.is_none();
        if is_told || guard.ticks.is_multiple_of(LOOK_TICKS) {
            guard.look();
        }
    }

    /// Whether traffic to the internet leaves through the tunnel or not at all, as far as this life knows.
    pub(crate) fn is_closed(&self) -> bool {
        self.guard().closed.is_some()
    }

    /// Why traffic may leave past the exit node; `None` where it may not, or the guard is off.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.guard().trouble.clone()
    }

    /// The public addresses that are reached past the exit node.
    pub(crate) fn past_it(&self) -> Vec<IpAddr> {
        self.guard().called.public()
    }

    /// Takes down the addresses of a host that the agent calls, and lets packets there go past the exit node. Done on return.
    pub(crate) fn learn(&self, host: &str, addresses: &[IpAddr]) {
        let mut guard = self.guard();
        if guard.called.learn(host, addresses) && guard.closed.is_some() {
            drop(guard.apply());
        }
    }

    /// The addresses that a host had.
    fn known(&self, host: &str) -> Vec<IpAddr> {
        self.guard().called.of(host)
    }

    /// Forgets them all: the node is none any more.
    pub(crate) fn forget_called(&self) {
        self.guard().called.forget();
    }

    fn guard(&self) -> MutexGuard<'_, Guard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Guard {
    /// The mesh addresses, where an exit node is chosen and the tunnel not taken down; none where the node's own file is damaged.
    fn guarded_addresses(&self) -> Result<Option<Vec<IpNet>>, StateError> {
        let mesh = match Identity::load(&self.state) {
            Ok(None) => return Ok(None),
            Ok(Some(identity)) => identity.addresses,
            Err(error) => {
                tracing::error!(%error, "whether an exit node is used goes by the choices alone");
                Vec::new()
            }
        };
        // Of choices that are lost only this much is known.
        let is_chosen = self
            .state
            .sound_choices()
            .map_or_else(|_| self.table.remembered().is_some(), |choices| choices.exit_node.is_some());
        Ok((is_chosen && !self.state.is_down()?).then_some(mesh))
    }

    /// Whether this life or one before closed it, and none has opened it since.
    fn is_known(&self) -> bool {
        self.closed.is_some() || self.table.remembered().is_some()
    }

    fn close(&mut self, mesh: Vec<IpNet>) -> Result<(), String> {
        if !self.is_known() {
            self.check_machine()?;
        }
        self.closed = Some(match self.closed.take() {
            Some(closed) => Closed { mesh, ..closed },
            None => Closed { earlier: earlier::connections(&mesh), mesh, ..Closed::default() },
        });
        self.apply()
    }

    /// Nothing is begun that cannot be taken away again, or that another agent of this machine would undo.
    fn check_machine(&self) -> Result<(), String> {
        policy_routing::check()?;
        let tables = nft_tells(&["list", "tables", "inet"])?;
        let mut others = tables.split_whitespace().filter(|word| word.starts_with(TABLE));
        match others.find(|name| *name != self.table.name()) {
            Some(other) => Err(format!(
                "another agent of this machine uses an exit node (`nft list table inet {other}`)"
            )),
            None => Ok(()),
        }
    }

    fn open(&mut self) -> Result<(), String> {
        (self.closed, self.trouble) = (None, None);
        let routed = policy_routing::remove(&self.interface);
        let table = self.table.remembered().unwrap_or_else(|| self.table.name().to_owned());
        let opened = routed.and(take_away(&table));
        if opened.is_ok() {
            self.table.forget();
        }
        opened.map_err(|why| format!("what keeps traffic to the exit node is still there: {why}"))
    }

    /// Whether the kernel told of changes since the last time.
    fn take_told(&self) -> bool {
        // Each is emptied.
        self.watches.iter().map(KernelWatch::take_changed).fold(false, |one, other| one | other)
    }

    fn apply(&mut self) -> Result<(), String> {
        let Some(closed) = &self.closed else { return Ok(()) };
        let applied = self.set(closed);
        if let Err(why) = &applied
            && self.trouble.as_ref() != Some(why)
        {
            tracing::error!(why, "traffic may leave past the exit node");
        }
        self.trouble = applied.clone().err();
        // Our own changes are no news.
        self.take_told();
        applied
    }

    fn set(&self, closed: &Closed) -> Result<(), String> {
        let called = self.called.public();
        let filter = Filter {
            table: self.table.name(),
            interface: &self.interface,
            mesh: &closed.mesh,
            called: &called,
            uid: getuid().as_raw(),
            earlier: &closed.earlier,
        };
        if let Some(other) = self.table.remembered().filter(|name| name != self.table.name()) {
            take_away(&other)?;
            self.table.forget();
        }
        // Before anything is set, as it is taken away by that. On a full disk nothing may leave either.
        if self.table.remembered().is_none()
            && let Err(why) = self.table.remember()
        {
            tracing::warn!(why, "it is not remembered that traffic is kept to the exit node");
        }
        policy_routing::heed_marks();
        // Each without the other, where one is refused.
        let filtered = nft(&filter.rules());
        if let Err(why) = nft(&filter.arp_rules()) {
            tracing::warn!(why, "a gateway with a public address may not find this machine any more");
        }
        filtered.and(policy_routing::set(&self.wanted(closed)))
    }

    fn look(&mut self) {
        let Some(closed) = &self.closed else { return };
        let is_whole = self.trouble.is_none()
            && filter::is_whole(&self.table.listing())
            && policy_routing::is_there(&self.wanted(closed));
        if !is_whole {
            tracing::warn!("what keeps traffic to the exit node is not as it should be: setting it again");
            drop(self.apply());
        }
    }

    fn wanted(&self, closed: &Closed) -> Wanted {
        Wanted {
            interface: self.interface.clone(),
            exits: closed.exits.clone(),
            inside: [closed.mesh.as_slice(), &closed.routes].concat(),
            called: self.called.public(),
            uid: getuid().as_raw(),
        }
    }
}

/// Takes both tables of this name out of nft.
fn take_away(table: &str) -> Result<(), String> {
    // There is none where the kernel has no tables for ARP.
    let _ = nft(&filter::arp_removal(table));
    nft(&removal(table))
}
