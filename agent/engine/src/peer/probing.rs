//! What is sent to the peer: rounds of requests to its candidates, calls over relays, and single requests.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::traversal::TriggeredChecks;
use endpoint_selection::{ObservationKind, SocketId};
use protocol::api::PathKind;
use protocol::probe::{DirectPath, Message, Probe, REQUEST_LEN};

use super::upkeep::LONG_LEN;
use super::{Peer, REPLY_TIMEOUT, Route, Sent};
use crate::context::Context;
use crate::output::{Output, PingAnswer};
use crate::schedule::{Due, ROUND_PROBES};

/// A call answered by a call within this time is not answered again.
const CALL_SPACING: Duration = Duration::from_secs(5);

/// For how long a peer is told that the direct path lost data: told later, it would be held back at the very time of its next
/// chance, and the two sides in turns for ever.
const DATA_LOST_NEWS: Duration = Duration::from_secs(2);

/// The most requests remembered at once: those of an attempt at its full rate until their time is over, and a round to 64
/// candidates.
const OUTSTANDING_MAX: usize = 1_024;

impl Peer {
    /// Sends what a round's step asks for: to every address that does not answer yet; at its start to all, and a
    /// call over the relays, so that both sides probe at the same time. Addresses of a worse tier than that of a direct path
    /// which serves well are left out: the answer of one is worth nothing any more by the time that the path fails, and a
    /// round is begun then anyway.
    pub(super) fn probe_candidates(&mut self, context: &mut Context<'_>, due: Due) {
        if due == Due::RoundStart {
            self.punching.on_round_begun(context.now);
            self.triggered = TriggeredChecks::default();
            self.selector.forget_learnt(ROUND_PROBES, context.now);
            let is_calling = self.is_worth_a_call(context);
            let relays: Vec<SocketAddr> = context.sessions.keys().copied().collect();
            for relay in relays {
                if is_calling {
                    self.call(context, relay);
                } else {
                    self.send_request(context, Route::Relay(relay));
                }
            }
        }
        let targets: Vec<SocketAddr> = self
            .selector
            .probe_targets()
            .filter(|target| due == Due::RoundStart || !self.selector.may_carry(*target, context.now))
            // A NAT's mappings are few: none is spent on what would not be used.
            .filter(|target| self.selector.may_replace_current(*target, context.now))
            .collect();
        if targets.is_empty() && context.sessions.is_empty() {
            self.schedule.forget_start();
        }
        for target in targets {
            let socket = self.socket_for(target);
            self.send_request(context, Route::Direct(socket, target));
            self.observe(context, target, ObservationKind::ProbeSent);
        }
    }

    /// Tells the peer our candidates through a relay, and asks whether it is there at all.
    pub(super) fn call(&mut self, context: &mut Context<'_>, relay: SocketAddr) {
        let candidates = context.own_addresses.to_vec();
        self.last_call = Some((context.now, candidates.clone()));
        let is_news = |at| context.now.since(at) < DATA_LOST_NEWS;
        let direct = match () {
            () if self.is_direct() => DirectPath::InUse,
            () if self.selector.data_lost_at().is_some_and(is_news) => DirectPath::LosesData,
            () => DirectPath::None,
        };
        self.send(context, Route::Relay(relay), Message::Call { direct, candidates });
        self.send_request(context, Route::Relay(relay));
    }

    /// A round that answers a call does not call back what the peer was just told, or two nodes would call each
    /// other for ever.
    fn is_worth_a_call(&mut self, context: &Context<'_>) -> bool {
        let is_answer = std::mem::take(&mut self.is_called);
        let is_told = self.last_call.as_ref().is_some_and(|(at, addresses)| {
            context.now.since(*at) < CALL_SPACING && addresses == context.own_addresses
        });
        !(is_answer && is_told)
    }

    pub(super) fn send_request(&mut self, context: &mut Context<'_>, route: Route) -> Option<u64> {
        self.send_padded_request(context, route, 0)
    }

    /// A request with so many bytes of padding.
    pub(super) fn send_padded_request(
        &mut self,
        context: &mut Context<'_>,
        route: Route,
        padding: u16,
    ) -> Option<u64> {
        let (transaction, socket, to, datagram) = self.request(context, route, padding)?;
        context.transmit_from(socket, to, datagram);
        Some(transaction)
    }

    /// The same, which nobody may fragment.
    pub(super) fn send_whole_request(
        &mut self,
        context: &mut Context<'_>,
        route: Route,
        padding: u16,
    ) -> Option<u64> {
        let (transaction, socket, to, datagram) = self.request(context, route, padding)?;
        context.outputs.push_back(Output::TransmitWhole { socket, to, datagram });
        Some(transaction)
    }

    /// A sealed request whose answer is awaited from now on, and how it travels. `None` where too many are, or there is no way.
    fn request(
        &mut self,
        context: &mut Context<'_>,
        route: Route,
        padding: u16,
    ) -> Option<(u64, SocketId, SocketAddr, Vec<u8>)> {
        let transaction = context.entropy.number();
        let now = context.now;
        if self.outstanding.len() >= OUTSTANDING_MAX {
            self.outstanding.retain(|_, sent| now.since(sent.at) < REPLY_TIMEOUT);
            if self.outstanding.len() >= OUTSTANDING_MAX {
                return None;
            }
        }
        let is_long = padding >= LONG_LEN - REQUEST_LEN && matches!(route, Route::Direct(..));
        let sent = Sent { route, at: now, receiver_epoch: self.claimed_epoch, is_long };
        let (socket, to, datagram) = self.seal(context, route, Message::Request { transaction, padding })?;
        self.outstanding.insert(transaction, sent);
        Some((transaction, socket, to, datagram))
    }

    /// Seals and sends a message. `None` where there is no way: the peer's key is unusable, or no relay session.
    pub(super) fn send(&mut self, context: &mut Context<'_>, route: Route, message: Message) -> Option<()> {
        let (socket, to, datagram) = self.seal(context, route, message)?;
        context.transmit_from(socket, to, datagram);
        Some(())
    }

    /// A message as it travels: from where, to where, and its bytes.
    fn seal(
        &mut self,
        context: &mut Context<'_>,
        route: Route,
        message: Message,
    ) -> Option<(SocketId, SocketAddr, Vec<u8>)> {
        let keys = self.keys.as_ref()?;
        self.counter += 1;
        let probe = Probe {
            sender_epoch: context.epoch,
            receiver_epoch: self.claimed_epoch,
            counter: self.counter,
            message,
        };
        let sealed = keys.seal(&probe, context.entropy.bytes());
        match route {
            Route::Direct(socket, remote) => Some((socket, remote, sealed)),
            Route::Relay(relay) => {
                let prefix = context.relay_prefix(relay, &self.info.public_key)?;
                let framed = [&prefix[..], &sealed].concat();
                Some((SocketId::MAIN, context.relay_server(relay), framed))
            }
        }
    }

    pub(super) fn finish_ping(
        &mut self,
        context: &mut Context<'_>,
        transaction: u64,
        route: Route,
        rtt_us: u32,
    ) {
        if let Some(ping) = self.pings.remove(&transaction) {
            let kind = match route {
                Route::Direct(..) => PathKind::Direct,
                Route::Relay(_) => PathKind::Relay,
            };
            let answer = Some(PingAnswer { rtt_us, kind });
            context.outputs.push_back(Output::Pinged { id: ping.id, answer });
        }
    }
}
