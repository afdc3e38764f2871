//! DNS names of the network's nodes, answered by the agent for its own machine.
//!
//! - [`Records`]: the names that the network map shows, and nothing else.
//! - `answer`: from the bytes of a question to those of an answer, without IO.
//! - `server`: a UDP and TCP port of the node's mesh addresses.
//! - `resolved`: tells systemd-resolved whom to ask for the network's zone.
//! - [`Names`]: the task beside the node that keeps all of it as the map and the interface want it.
//!
//! Only the machine itself is answered. Nothing is ever asked of another server, and `/etc/resolv.conf` is never touched.

mod answer;
mod records;
mod resolved;
mod server;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::api::NetworkMap;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use records::Records;
pub(crate) use resolved::System;
use server::Server;

/// The port that answers. Not 53: a DNS server that comes later and wants that port of all addresses (Pi-hole, one in a container) could not
/// start, and the home behind it would have no names at all. systemd-resolved and every forwarder take another port. One below
/// 32,768, where the kernel gives out no ports by itself.
pub(crate) const PORT: u16 = 15_353;

/// How long until a port that could not be opened is tried again: it may be free by then, and its address there.
const RETRY: Duration = Duration::from_secs(5);

/// How long until systemd-resolved is told again what it refused, or may have started: longer, as that starts a program.
const RETRY_SYSTEM: Duration = Duration::from_secs(60);

/// How it stands with the names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The addresses and ports that answer.
    pub(crate) resolvers: Vec<SocketAddr>,
    /// Whether this machine's programs find the names by themselves.
    pub(crate) system: System,
    /// Why some address does not answer.
    pub(crate) why: Option<String>,
}

/// What is to be answered, and on which interface: the newest counts.
#[derive(Debug, Clone, Default)]
struct Wanted {
    records: Option<Arc<Records>>,
    /// The kernel's number of the tunnel's interface, while there is one: a new one is to be told of anew.
    interface: Option<u32>,
}

/// A running task; dropping it ends the answers.
#[derive(Debug)]
pub(crate) struct Names {
    wanted: watch::Sender<Wanted>,
    facts: watch::Receiver<Facts>,
    task: JoinHandle<()>,
    /// The map may show other names than before.
    is_due: bool,
}

impl Names {
    /// Starts the task, which waits for names and for the interface. Port 0: nothing is answered.
    pub(crate) fn start(interface: &str, port: u16) -> Self {
        let (wanted, wanted_receiver) = watch::channel(Wanted::default());
        let (facts_sender, facts) = watch::channel(Facts::default());
        let task =
            Task { interface: interface.to_owned(), port, wanted: wanted_receiver, facts: facts_sender };
        Self { wanted, facts, task: tokio::spawn(task.run()), is_due: true }
    }

    /// The map changed.
    pub(crate) const fn touch(&mut self) {
        self.is_due = true;
    }

    /// Answers from this map from now on, where it may show other names. Maps change in bursts, and a look at all names takes as
    /// long as there are peers.
    pub(crate) fn tick(&mut self, map: Option<&NetworkMap>) {
        if !std::mem::take(&mut self.is_due) {
            return;
        }
        let records = map.and_then(Records::of);
        self.wanted.send_if_modified(|wanted| {
            let is_other = wanted.records.as_deref() != records.as_ref();
            if is_other {
                wanted.records = records.map(Arc::new);
            }
            is_other
        });
    }

    /// The tunnel's interface has this number now; `None`: there is none.
    pub(crate) fn set_interface(&self, index: Option<u32>) {
        self.wanted.send_if_modified(|wanted| std::mem::replace(&mut wanted.interface, index) != index);
    }

    /// What is known now.
    pub(crate) fn facts(&self) -> Facts {
        self.facts.borrow().clone()
    }

    /// Ends the answers; the ports are free on return.
    pub(crate) async fn stop(&mut self) {
        self.task.abort();
        // It ends as it was told to.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Names {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Task {
    interface: String,
    port: u16,
    wanted: watch::Receiver<Wanted>,
    facts: watch::Sender<Facts>,
}

impl Task {
    async fn run(mut self) {
        if self.port == 0 {
            let why = Some("switched off by `--names-port 0`".to_owned());
            return self.tell(Facts { why, ..Facts::default() });
        }
        let mut server: Option<Server> = None;
        // What systemd-resolved was told, and of which interface.
        let mut told: Option<(u32, Vec<SocketAddr>, Vec<String>)> = None;
        loop {
            let Wanted { records, interface } = self.wanted.borrow_and_update().clone();
            let mut facts = Facts::default();
            let addresses =
                records.as_ref().filter(|_| interface.is_some()).map(|records| records.addresses());
            if let Some(old) = server.take_if(|server| addresses != Some(server.addresses())) {
                old.close().await;
            }
            if let Some((records, interface)) = records.zip(interface) {
                let server = server.get_or_insert_with(|| Server::new(records.addresses(), self.port));
                server.open();
                server.set_records(Arc::clone(&records));
                (facts.resolvers, facts.why) = (server.resolvers(), server.trouble());
                let wish = (interface, server.resolvers(), records.domains());
                facts.system = self.facts.borrow().system.clone();
                if told.as_ref() != Some(&wish) && !wish.1.is_empty() {
                    facts.system = resolved::tell(&self.interface, &wish.1, &wish.2).await;
                    told = Some(wish).filter(|_| facts.system == System::Asks);
                }
            } else {
                told = None;
            }
            let retry = match (&facts.why, &facts.system) {
                (Some(_), _) => Some(RETRY),
                (None, System::Refused(_) | System::Absent) => Some(RETRY_SYSTEM),
                (None, System::Unknown | System::Asks) => None,
            };
            self.tell(facts);
            tokio::select! {
                changed = self.wanted.changed() => if changed.is_err() { return },
                () = sleep(retry.unwrap_or_default()), if retry.is_some() => {}
            }
        }
    }

    /// Notes what is known, and logs what is news.
    fn tell(&self, facts: Facts) {
        self.facts.send_if_modified(|known| {
            if *known == facts {
                return false;
            }
            match (&facts.why, &facts.system) {
                (Some(why), _) => tracing::warn!(%why, "names of nodes are not answered there"),
                (None, System::Refused(why)) => {
                    tracing::warn!(%why, "systemd-resolved does not ask for names of nodes");
                }
                (None, System::Unknown | System::Asks | System::Absent) => {
                    tracing::debug!(?facts, "names of nodes");
                }
            }
            *known = facts;
            true
        });
    }
}
