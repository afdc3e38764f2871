//! What users ask of the daemon, each with its answer.

mod choose;

use serde::Serialize;
use serde_json::Value;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::control::answer::{DoneAnswer, NetcheckAnswer, PingReply};
use crate::control::{Call, Request};
use crate::coordinator_client::{CallError, CoordinatorClient};
use crate::departure;
use crate::failure::{Code, Failure};
use crate::state::Identity;

use super::netcheck;
use super::node::Node;
use super::standing::Standing;
use super::{Daemon, describe};

type Reply = oneshot::Sender<Result<Value, Failure>>;

/// The coordinator's answer to the wish to leave, on its way back to the loop.
#[derive(Debug)]
pub(crate) struct Departure {
    /// The node that asked; the machine may be another one by the time of the answer.
    node_id: Uuid,
    outcome: Result<(), CallError>,
    force: bool,
    reply: Reply,
}

impl Daemon {
    /// Answers a request, at once or from a task of its own.
    pub(crate) async fn on_call(&mut self, call: Call) {
        let Call { request, reply } = call;
        let answer = match request {
            Request::Status => self.status(),
            Request::Why { peer } => self.why(&peer),
            Request::Ping { peer } => return self.ping(&peer, reply),
            Request::Netcheck => return self.netcheck(reply),
            Request::Rediscover => self.rediscover(),
            Request::Up => self.set_down(false).await,
            Request::Down => self.set_down(true).await,
            Request::Set(change) => self.choose(change),
            Request::Leave { force } => return self.leave(force, reply),
            Request::Reload => self.reload_for_caller().await,
        };
        send(reply, answer);
    }

    /// Ends the node where the coordinator agreed, or where the user insisted.
    pub(crate) async fn on_departure(&mut self, departure: Departure) {
        let Departure { node_id, outcome, force, reply } = departure;
        let answer = match departure::judge(outcome, force) {
            Err(failure) => Err(failure),
            Ok(verdict) => self.forget(node_id).await.and_then(|()| self.done(verdict)),
        };
        send(reply, answer);
    }

    /// Forgets the node `node_id`, and no other: while the coordinator was asked, the machine may have left and joined
    /// again.
    async fn forget(&mut self, node_id: Uuid) -> Result<(), Failure> {
        let Some(standing) = self.standing.identity() else { return Err(Failure::not_enrolled()) };
        // A file that cannot be read is no other node's, as far as anyone knows; to leave is the way out of that.
        let saved = Identity::load(&self.state).ok().flatten();
        if standing.node_id != node_id || saved.is_some_and(|saved| saved.node_id != node_id) {
            let message = "this machine has become another node meanwhile, which stays: \
                           run `warren leave` again to leave with it";
            return Err(Failure::new(Code::Failed, message));
        }
        self.standing.stop().await;
        if let Err(error) = Identity::forget(&self.state) {
            // The machine is still what its folder says. What goes wrong with that is in the log; the caller hears
            // the cause.
            let _ = self.become_anew().await;
            return Err(error.into());
        }
        self.standing = Standing::NotEnrolled;
        self.exit_guard.forget_called();
        self.exit_guard.open().map_err(|why| Failure::new(Code::Failed, format!("left; {why}")))
    }

    fn status(&self) -> Result<Value, Failure> {
        let down = |identity, why| {
            let chosen = self.state.choices().exit_node;
            let exit_node = describe::exit_node_down(&self.exit_guard, chosen.as_ref());
            describe::status_down(identity, &self.options.interface, why, exit_node)
        };
        let answer = match &self.standing {
            Standing::NotEnrolled => return Err(Failure::not_enrolled()),
            Standing::Up(node) => describe::status(node),
            Standing::Down(identity) => down(identity, None),
            Standing::Deleted(identity, why) => down(identity, Some(why)),
        };
        value(&answer)
    }

    fn why(&self, peer: &str) -> Result<Value, Failure> {
        let node = up(&self.standing)?;
        describe::why(node, peer).and_then(|answer| value(&answer))
    }

    fn rediscover(&mut self) -> Result<Value, Failure> {
        up_mut(&mut self.standing)?.rediscover();
        self.done("learning the network anew")
    }

    fn ping(&mut self, peer: &str, reply: Reply) {
        let started = up_mut(&mut self.standing).and_then(|node| {
            let (key, name) = describe::find_peer(&node.status().0, peer)?;
            Ok((name, node.ping(key)))
        });
        match started {
            Err(failure) => send(reply, Err(failure)),
            Ok((peer, answer)) => {
                tokio::spawn(async move {
                    // A node that was stopped meanwhile answers as little as a silent peer.
                    let answer = answer.await.ok().flatten();
                    let (rtt_us, path_kind) = (answer.map(|a| a.rtt_us), answer.map(|a| a.kind));
                    send(reply, value(&PingReply { peer, rtt_us, path_kind }));
                });
            }
        }
    }

    fn netcheck(&self, reply: Reply) {
        match up(&self.standing) {
            Err(failure) => send(reply, Err(failure)),
            Ok(node) => {
                let ((status, now), client) = (node.status(), node.client().clone());
                let addresses = node.addresses().to_vec();
                let port_mapping = describe::port_mapping(node, &status.candidates, now);
                let nat64 = node.nat64();
                tokio::spawn(async move {
                    let (rtt, path_mtu) =
                        tokio::join!(netcheck::measure(&client), netcheck::path_mtu(&status.stun, nat64));
                    let url = client.url().to_string();
                    let answer = netcheck::answer(status, &addresses, port_mapping, url, rtt);
                    let nat64 = nat64.map(|prefix| prefix.to_string());
                    send(reply, value(&NetcheckAnswer { nat64, path_mtu, ..answer }));
                });
            }
        }
    }

    async fn set_down(&mut self, down: bool) -> Result<Value, Failure> {
        if self.standing.identity().is_none() {
            return Err(Failure::not_enrolled());
        }
        if let Standing::Deleted(_, why) = &self.standing
            && !down
        {
            return Err(Failure::new(Code::Refused, why.clone()));
        }
        self.state.set_down(down)?;
        let is_up = matches!(self.standing, Standing::Up(_));
        if is_up == down {
            self.become_anew().await?;
        }
        // Whatever the standing is, such as that of a node that was deleted.
        self.exit_guard.follow_choices().map_err(|why| Failure::new(Code::Failed, why))?;
        self.done(if down {
            "the tunnel is down and stays down until `warren up`"
        } else {
            "the tunnel is up"
        })
    }

    fn leave(&self, force: bool, reply: Reply) {
        let Some(identity) = self.standing.identity() else {
            send(reply, Err(Failure::not_enrolled()));
            return;
        };
        let node_id = identity.node_id;
        let client = CoordinatorClient::of_node(identity, &self.exit_guard);
        let departures = self.departures.clone();
        tokio::spawn(async move {
            let outcome = match client {
                Ok(client) => client.delete_node().await,
                Err(error) => Err(error),
            };
            // Where the loop is gone the agent stops, and the caller is told so by the closed channel.
            let _ = departures.send(Departure { node_id, outcome, force, reply }).await;
        });
    }

    async fn reload_for_caller(&mut self) -> Result<Value, Failure> {
        self.become_anew().await?;
        match self.standing {
            Standing::NotEnrolled => Err(Failure::not_enrolled()),
            Standing::Down(_) => self.done("enrolled; the tunnel is down until `warren up`"),
            Standing::Up(_) | Standing::Deleted(..) => self.done("the tunnel comes up"),
        }
    }

    /// As [`Daemon::reload`], for a caller: what goes wrong is the caller's to hear, and the loop goes on.
    async fn become_anew(&mut self) -> Result<(), Failure> {
        let outcome = self.reload().await;
        if let Err(error) = &outcome {
            tracing::error!(%error, "cannot become what the state folder says");
            self.standing.stop().await;
            if let Ok(Some(identity)) = Identity::load(&self.state) {
                self.standing = Standing::Down(identity);
            }
        }
        outcome
    }

    fn done(&self, verdict: impl Into<String>) -> Result<Value, Failure> {
        value(&DoneAnswer::new(verdict, &self.state))
    }
}

fn up(standing: &Standing) -> Result<&Node, Failure> {
    match standing {
        Standing::Up(node) => Ok(node),
        Standing::NotEnrolled => Err(Failure::not_enrolled()),
        Standing::Down(_) => Err(is_down()),
        Standing::Deleted(_, why) => Err(Failure::new(Code::Refused, why.clone())),
    }
}

fn up_mut(standing: &mut Standing) -> Result<&mut Node, Failure> {
    up(standing)?;
    match standing {
        Standing::Up(node) => Ok(node),
        Standing::NotEnrolled | Standing::Down(_) | Standing::Deleted(..) => Err(is_down()),
    }
}

fn is_down() -> Failure {
    Failure::new(Code::Failed, "the tunnel is down: run `warren up` first")
}

fn value<T: Serialize>(answer: &T) -> Result<Value, Failure> {
    serde_json::to_value(answer).map_err(|error| {
        Failure::new(
            Code::Failed,
            format!("the answer cannot be written as JSON: {error}; report this as a bug"),
        )
    })
}

/// The caller may have gone away; then nobody misses the answer.
fn send(reply: Reply, answer: Result<Value, Failure>) {
    let _ = reply.send(answer);
}
