//! The task that does what the keeper wants, beside the node and never in its way.

use std::num::NonZeroU16;
use std::pin::Pin;
use std::time::Duration;

use endpoint_selection::Timestamp;
use engine::{LocalAddress, PortMapping};
use protocol::key::PrivateKey;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::announcement::Listener;
use super::asking::{self, Ticket};
use super::grant::Grant;
use super::keeper::{Held, Keeper};
use super::nonce::NonceKey;
use super::place::Place;
use crate::clock::Clock;
use crate::entropy;

/// How often the routes are looked at: the default route comes a moment after the address, and goes alone.
const LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// How long giving the port back may take at the end.
const FAREWELL: Duration = Duration::from_millis(1_500);

/// What is known of the router and its port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Facts {
    /// Whom the agent asks.
    pub(crate) place: Option<Place>,
    /// The port that is open.
    pub(crate) mapping: Option<PortMapping>,
    /// When it closes, unless it is renewed.
    pub(crate) expires_at: Option<Timestamp>,
    /// Why none is open; `None` also while the first answer is awaited.
    pub(crate) why: Option<String>,
}

/// What the node tells the task: the newest counts, nothing waits in line.
#[derive(Debug, Clone, Default)]
struct Situation {
    addresses: Vec<LocalAddress>,
    refreshes: u64,
    doubts: u64,
}

/// A running task; dropping it makes it give the port back and end.
#[derive(Debug)]
pub(crate) struct PortMapper {
    situation: watch::Sender<Situation>,
    facts: watch::Receiver<Facts>,
    task: JoinHandle<()>,
}

impl PortMapper {
    /// Starts to keep this UDP port open, as soon as [`Self::set_addresses`] says where.
    pub(crate) fn start(port: NonZeroU16, private_key: &PrivateKey, clock: Clock) -> Self {
        let (situation, situation_receiver) = watch::channel(Situation::default());
        let (facts_sender, facts) = watch::channel(Facts::default());
        let listener = Listener::open();
        if let Err(error) = &listener {
            tracing::debug!(%error, "routers that announce a restart are not heard");
        }
        let task = Task {
            port,
            clock,
            nonce_key: NonceKey::new(private_key),
            keeper: Keeper::new(),
            question: None,
            listener: listener.ok(),
            situation: situation_receiver,
            facts: facts_sender,
        };
        Self { situation, facts, task: tokio::spawn(task.run()) }
    }

    /// The machine's addresses that may be offered changed.
    pub(crate) fn set_addresses(&self, addresses: &[LocalAddress]) {
        self.situation.send_modify(|situation| situation.addresses = addresses.to_vec());
    }

    /// The network may be another one.
    pub(crate) fn refresh(&self) {
        self.situation.send_modify(|situation| situation.refreshes += 1);
    }

    /// The router's word cannot be right any more.
    pub(crate) fn doubt(&self) {
        self.situation.send_modify(|situation| situation.doubts += 1);
    }

    /// What is known now.
    pub(crate) fn facts(&self) -> Facts {
        self.facts.borrow().clone()
    }

    /// Waits until something else is known. May be dropped without losing it.
    pub(crate) async fn changed(&mut self) {
        if self.facts.changed().await.is_err() {
            std::future::pending().await
        }
    }

    /// Gives the port back; done, or given up, on return.
    pub(crate) async fn stop(self) {
        let Self { situation, facts: _facts, task } = self;
        drop(situation);
        if timeout(FAREWELL, task).await.is_err() {
            tracing::debug!("the router did not take its port back in time");
        }
    }
}

type Question = Pin<Box<dyn Future<Output = Result<Grant<Ticket>, String>> + Send>>;

struct Task {
    port: NonZeroU16,
    clock: Clock,
    nonce_key: NonceKey,
    keeper: Keeper<Ticket>,
    question: Option<Question>,
    listener: Option<Listener>,
    situation: watch::Receiver<Situation>,
    facts: watch::Sender<Facts>,
}

enum Event {
    Situation,
    Answer(Result<Grant<Ticket>, String>),
    Announcement(u32),
    Time,
    End,
}

impl Task {
    async fn run(mut self) {
        let mut known = Situation::default();
        self.look(&known.addresses);
        loop {
            self.publish();
            match self.next().await {
                Event::End => break,
                Event::Situation => {
                    let newest = self.situation.borrow_and_update().clone();
                    let now = self.clock.now();
                    if newest.refreshes != known.refreshes {
                        self.keeper.refresh(now);
                    }
                    if newest.doubts != known.doubts {
                        self.keeper.on_doubt(now);
                    }
                    known = newest;
                }
                Event::Answer(answer) => self.on_answer(answer),
                Event::Announcement(counter) => {
                    self.keeper.on_announcement(self.clock.now(), counter, entropy::fraction());
                }
                Event::Time => {}
            }
            self.look(&known.addresses);
            if let Some(wish) = self.keeper.handle_timeout(self.clock.now()) {
                let nonce = self.nonce_key.nonce(wish.place.router);
                self.question = Some(Box::pin(asking::ask(wish, self.port, nonce)));
            }
        }
        self.give_back().await;
    }

    async fn next(&mut self) -> Event {
        let now = self.clock.now();
        let wait = self.keeper.next_at().map_or(LOOK_INTERVAL, |at| at.since(now).min(LOOK_INTERVAL));
        let heard = self.listener.as_ref().zip(self.keeper.place());
        tokio::select! {
            biased;
            changed = self.situation.changed() => changed.map_or(Event::End, |()| Event::Situation),
            Some(answer) = async { Some(self.question.as_mut()?.await) } => Event::Answer(answer),
            () = sleep(wait) => Event::Time,
            Some(counter) = async { let (listener, place) = heard?; Some(listener.next(place.router).await) } => {
                Event::Announcement(counter)
            }
        }
    }

    fn look(&mut self, addresses: &[LocalAddress]) {
        let place = Place::find(addresses).map_err(ToOwned::to_owned);
        let before = self.keeper.place();
        let old = self.keeper.set_place(self.clock.now(), place);
        if before != self.keeper.place() {
            self.question = None;
        }
        if let Some(old) = old {
            // Perhaps out of reach by now; the router forgets it in time.
            tokio::spawn(asking::release(old.place, self.port, old.grant));
        }
    }

    fn on_answer(&mut self, answer: Result<Grant<Ticket>, String>) {
        self.question = None;
        let before = self.keeper.held().map(|held| held.grant.external);
        match &answer {
            Ok(grant) if before != Some(grant.external) => {
                tracing::info!(external = %grant.external, protocol = ?grant.protocol, "the router opened a port");
            }
            Ok(_) => {}
            Err(why) => tracing::debug!(%why, "no port mapping"),
        }
        if self.keeper.on_answer(self.clock.now(), answer, entropy::fraction()) {
            tracing::info!("the router started anew: its port is mapped again");
        }
    }

    fn publish(&self) {
        let held = self.keeper.held();
        let mapping = |Held { grant, place, .. }: &Held<Ticket>| PortMapping {
            external: grant.external,
            base: asking::base(*place, self.port),
            protocol: grant.protocol,
        };
        let facts = Facts {
            place: self.keeper.place(),
            mapping: held.map(mapping),
            expires_at: held.map(|held| held.expires_at),
            why: self.keeper.why().map(ToOwned::to_owned),
        };
        self.facts.send_if_modified(|known| {
            let is_news = *known != facts;
            *known = facts;
            is_news
        });
    }

    /// What is asked right now may be granted already.
    async fn give_back(mut self) {
        if let Some(question) = self.question.take()
            && let Ok(answer) = timeout(FAREWELL / 2, question).await
        {
            self.on_answer(answer);
        }
        if let Some(held) = self.keeper.held() {
            asking::release(held.place, self.port, held.grant.clone()).await;
        }
    }
}
