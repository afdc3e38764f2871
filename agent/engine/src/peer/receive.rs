//! What a probe from the peer does.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use endpoint_selection::nat::{Heard, PeerView};
use endpoint_selection::{Candidate, CandidateKind, CandidateSource, ObservationKind, SocketId, Timestamp};
use protocol::probe::{DirectPath, Message};
use protocol::replay::Freshness;

use super::upkeep::LONG_LEN;
use super::{Peer, REPLY_TIMEOUT, Route};
use crate::context::{Context, Notice};
use crate::output::Output;

/// While a pair opens its first path, the two sides learn of it at different times: a call that says "no direct path" means
/// nothing within this time after ours began.
const CROSSING_MAX: Duration = Duration::from_secs(1);

impl Peer {
    /// Takes a probe datagram that came over `route`. Returns false where it is not the peer's.
    pub(crate) fn handle_probe(&mut self, context: &mut Context<'_>, route: Route, datagram: &[u8]) -> bool {
        let Some(probe) = self.keys.as_ref().and_then(|keys| keys.open(datagram)) else { return false };
        let life = self.replay.epoch();
        let freshness = self.replay.judge(&probe, context.epoch);
        if life != 0 && self.replay.epoch() != life {
            self.on_new_life(context);
        }
        if freshness != Freshness::Replayed {
            self.reach.note_heard(context.now);
            self.claimed_epoch = probe.sender_epoch;
            if let Route::Relay(relay) = route {
                // It came through, so the peer is at that relay.
                self.on_relay(context, relay, true);
            }
        }
        let is_for_this_life = probe.receiver_epoch == context.epoch;
        match probe.message {
            Message::Request { transaction, .. } => {
                self.on_request(context, route, transaction, freshness);
            }
            // A reply counts once because its request does, not because of its counter: a copy that a neighbour sent
            // ahead over another path must not spoil the reply over the right one.
            Message::Reply { transaction, observed, heard_bytes } if is_for_this_life => {
                self.on_reply(context, route, transaction, (observed, heard_bytes));
            }
            Message::Call { direct, candidates }
                if freshness != Freshness::Replayed && matches!(route, Route::Relay(_)) =>
            {
                if freshness == Freshness::Fresh && context.now.since(self.since) > CROSSING_MAX {
                    self.on_other_end(context, direct);
                }
                // One that may be a replay starts a round, but names nothing new.
                let addresses = if freshness == Freshness::Fresh { &candidates[..] } else { &[] };
                self.on_call(context, addresses);
            }
            Message::Punch(punch) if freshness == Freshness::Fresh && matches!(route, Route::Relay(_)) => {
                self.on_punch(context, punch);
            }
            Message::Reply { .. } | Message::Call { .. } | Message::Punch(_) => {}
        }
        true
    }

    /// Answers, a copy too: the copy may have come first, and the reply is never longer than the request. A fresh request from an
    /// address that we do not use yet is a candidate (RFC 8445 §7.3.1.3), and is probed at once (§7.3.1.4): its mapping is
    /// open right now.
    fn on_request(
        &mut self,
        context: &mut Context<'_>,
        route: Route,
        transaction: u64,
        freshness: Freshness,
    ) {
        let observed = match route {
            Route::Direct(_, address) => Some(address),
            Route::Relay(_) => None,
        };
        let heard_bytes = self.traffic.map_or(0, |traffic| traffic.rx_bytes);
        self.send(context, route, Message::Reply { transaction, observed, heard_bytes });
        if freshness == Freshness::Fresh && self.route() != Some(route) {
            // The peer may have left our path because it is dead: without own traffic that is lost nothing else would tell us.
            self.upkeep.ask_now(context.now);
        }
        if let (Route::Direct(socket, address), Freshness::Fresh) = (route, freshness) {
            self.note_heard(context, address);
            self.trigger_check(context, socket, address);
        }
    }

    fn trigger_check(&mut self, context: &mut Context<'_>, socket: SocketId, address: SocketAddr) {
        let is_new = self.selector.status(address).is_none();
        let is_wanted = !self.selector.may_carry(address, context.now)
            && self.may_take_socket(context.now, socket, address);
        if is_wanted && self.triggered.take(is_new) {
            if is_new {
                self.punching.note_checked(address);
            }
            self.learn(CandidateKind::PeerReflexive, address);
            self.send_request(context, Route::Direct(socket, address));
            self.observe(context, address, ObservationKind::ProbeSent);
        }
    }

    fn on_reply(
        &mut self,
        context: &mut Context<'_>,
        route: Route,
        transaction: u64,
        (observed, heard_bytes): (Option<SocketAddr>, u64),
    ) {
        let Some(sent) = self.outstanding.get(&transaction).copied().filter(|sent| sent.route == route)
        else {
            return;
        };
        self.outstanding.remove(&transaction);
        let elapsed = context.now.since(sent.at);
        if elapsed > REPLY_TIMEOUT {
            return;
        }
        let rtt_us = u32::try_from(elapsed.as_micros()).unwrap_or(u32::MAX);
        let (Route::Direct(_, remote) | Route::Relay(remote)) = route;
        if let Route::Direct(socket, address) = route {
            if let Some(observed) = observed {
                context.notices.push(Notice::Seen(PeerView { socket, remote, observed, at: context.now }));
            }
            if !self.take_socket(context, socket, address) {
                return;
            }
            // The list may have been replaced while the request was out.
            self.learn(CandidateKind::PeerReflexive, address);
        }
        self.finish_ping(context, transaction, route, rtt_us);
        self.observe(context, remote, ObservationKind::ProbeAnswered { rtt_us });
        if sent.is_long {
            self.observe(context, remote, ObservationKind::PayloadMeasured { payload_max: LONG_LEN });
        }
        self.check_data(context, route, heard_bytes);
        self.on_upkeep_reply(context.now, transaction);
        self.on_path_mtu_reply(context, transaction);
        if sent.receiver_epoch != self.claimed_epoch {
            // The peer could not tell our request from a replay; this one it can.
            self.send_request(context, route);
        }
    }

    /// Whether `socket` is the way to the address, or may become it: unless tunnel packets go through another one.
    fn may_take_socket(&self, now: Timestamp, socket: SocketId, address: SocketAddr) -> bool {
        let holder = self.socket_for(address);
        let is_in_use = |(address, socket)| {
            self.route() == Some(Route::Direct(socket, address)) && self.selector.may_carry(address, now)
        };
        holder == socket || !(is_in_use((address, holder)) || self.side.is_some_and(is_in_use))
    }

    /// An answer came on `socket`, which becomes the way to the address if it may. Returns whether it is: an answer on another
    /// socket says nothing about the way.
    fn take_socket(&mut self, context: &mut Context<'_>, socket: SocketId, address: SocketAddr) -> bool {
        if self.socket_for(address) == socket {
            return true;
        }
        if !self.may_take_socket(context.now, socket, address) {
            return false;
        }
        self.selector.forget_evidence(address);
        let before = self.side.take();
        if socket != SocketId::MAIN {
            self.side = Some((address, socket));
        }
        if let Some((remote, idle)) = before {
            // What was seen there says nothing of the main socket, which is the way there from now on.
            self.selector.forget_evidence(remote);
            if idle != socket {
                context.notices.push(Notice::Idle(idle));
            }
        }
        true
    }

    /// A probe from where nothing was sent shows that the filter in front of us is lax. Attempts send to addresses that the
    /// selector does not know.
    fn note_heard(&self, context: &mut Context<'_>, from: SocketAddr) {
        if self.selector.status(from).is_none() && !self.punching.may_have_opened(context.now, from) {
            let is_address_known = self.selector.probe_targets().any(|target| target.ip() == from.ip());
            context.notices.push(Notice::Heard(Heard { from, is_address_known, at: context.now }));
        }
    }

    /// The peer says over the path in use how much of the tunnel it has heard.
    fn check_data(&mut self, context: &mut Context<'_>, route: Route, heard_bytes: u64) {
        let (Route::Direct(_, remote) | Route::Relay(remote)) = route;
        let is_in_use = self.route() == Some(route);
        if is_in_use && self.may_lose_data(context) && self.data.on_answer(context.now, heard_bytes) {
            self.observe(context, remote, ObservationKind::DataLost);
        }
    }

    /// Whether the path in use may let probes through and nothing else: a relay of the owner's cannot tell them apart by what
    /// it is for, one that a node runs may want to.
    pub(super) fn may_lose_data(&self, context: &Context<'_>) -> bool {
        match self.route() {
            Some(Route::Direct(..)) => true,
            Some(Route::Relay(relay)) => context.is_peer_relay(relay),
            None => false,
        }
    }

    /// Takes an address that the peer's own messages told.
    fn learn(&mut self, kind: CandidateKind, address: SocketAddr) {
        self.selector.add_candidate(Candidate { kind, address, base: None, source: CandidateSource::Peer });
    }

    /// The peer was restarted. What we sent it since got lost in the tunnel, not on the way.
    fn on_new_life(&mut self, context: &mut Context<'_>) {
        self.data.restart();
        self.selector.forgive_data_losses();
        context.outputs.push_back(Output::RenewSession { peer: self.info.public_key });
    }

    /// The peer says what it makes of the path between us.
    fn on_other_end(&mut self, context: &mut Context<'_>, direct: DirectPath) {
        match (direct, self.route()) {
            (DirectPath::LosesData, Some(Route::Direct(_, remote))) if self.selector.has_relay() => {
                self.observe(context, remote, ObservationKind::DataLost);
            }
            (DirectPath::None, _) => self.doubt_direct(context),
            (DirectPath::InUse | DirectPath::LosesData, _) => {}
        }
    }

    /// The peer probes now and tells its addresses. A replayed call costs one round of probes, no more.
    fn on_call(&mut self, context: &mut Context<'_>, addresses: &[SocketAddr]) {
        let is_news = self.is_news(addresses.iter().copied());
        for address in addresses {
            self.learn(kind_of(address.ip()), *address);
        }
        // A peer calls when something changed: our path may be dead as well.
        self.upkeep.ask_now(context.now);
        self.is_called = true;
        if is_news && !self.is_idle(context.now) {
            self.search(context.now);
        } else {
            self.schedule.join(context.now);
        }
    }
}

/// A call names addresses without their kind; a private one can only be the peer's own.
fn kind_of(ip: IpAddr) -> CandidateKind {
    let private = match ip {
        IpAddr::V4(ip) => ip.is_private(),
        IpAddr::V6(ip) => ip.is_unique_local(),
    };
    if private { CandidateKind::Host } else { CandidateKind::ServerReflexive }
}

#[cfg(test)]
mod tests;
