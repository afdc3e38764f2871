//! The engine and its relays: which there are, what they deliver, and what their coming and going changes.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;
use protocol::api::{NetworkMap, RelayInfo};
use protocol::frame::{DatagramClass, classify};
use protocol::key::PublicKey;
use protocol::probe::tag_of;
use protocol::relay::{self, Frame};

use super::{Engine, key};
use crate::context::Context;
use crate::output::Output;
use crate::peer::Route;
use crate::relay_client::{Event, RelayClient};

/// A relay's word makes us doubt all direct paths no more often than this: a hostile one must not be able to hold all
/// traffic. A mapping that really moves again is noticed by silence.
const DOUBT_SPACING: Duration = Duration::from_secs(30);

/// How long the second address of a relay waits for the first: a relay holds one session of ours, wherever that is (RFC 8305
/// §5 starts the next connection after 250 ms).
const HEAD_START: Duration = Duration::from_millis(250);

/// How long peer relays wait for those of the coordinator's owner. These are in use by then, and the switch margin keeps them
/// unless a peer relay is nearer indeed. Longer than two round trips to any place on earth.
const OWNERS_HEAD_START: Duration = Duration::from_secs(1);

impl Engine {
    pub(super) fn set_relays(&mut self, now: Timestamp, map: &NetworkMap) {
        let relays = self.relays.iter_mut();
        let gone: Vec<SocketAddr> = relays
            .filter_map(|(address, relay)| (!relay.is_still(&map.relays)).then_some(*address))
            .collect();
        for address in gone {
            let Some(relay) = self.relays.remove(&address) else { continue };
            if relay.has_web_socket() {
                self.outputs.push_back(Output::CloseWebSocket { relay: address });
            }
            self.end_session(now, address);
            self.resume_relay(now, relay.info().public_key);
            self.discovery.forget_relay(address);
            for peer in self.peers.values_mut() {
                peer.on_relay_gone(&mut context!(self, now), address);
            }
        }
        for info in &map.relays {
            // What we send to a peer through a relay of our own would be sent to ourselves first.
            let is_own = info.node == Some(self.config.private_key.public_key());
            if is_own || self.relays.contains_key(&info.address) {
                continue;
            }
            let relay = RelayClient::new(info.clone(), &self.config.private_key, wait_for(info, map));
            self.relays.extend(relay.map(|relay| (info.address, relay)));
            self.take_token(now, info.address);
        }
        self.note_servers(now);
        self.relay_sources = self.relay_addresses().collect();
        self.outputs.push_back(Output::SetRelays(self.relay_sources.clone()));
    }

    /// Tells the path layer where relays' packets come from, where that changed.
    pub(super) fn note_relay_sources(&mut self) {
        if !self.relay_addresses().eq(self.relay_sources.iter().copied()) {
            self.relay_sources = self.relay_addresses().collect();
            self.outputs.push_back(Output::SetRelays(self.relay_sources.clone()));
        }
    }

    /// The addresses of all relays, their own and those that stand for them.
    fn relay_addresses(&self) -> impl Iterator<Item = SocketAddr> {
        let stand_ins = self.relays.values().filter_map(RelayClient::web_socket_address);
        self.relays.keys().copied().chain(stand_ins)
    }

    /// The relay that a datagram came from, by its own address.
    fn relay_at(&self, from: SocketAddr) -> Option<SocketAddr> {
        if self.relays.contains_key(&from) {
            return Some(from);
        }
        self.relays.iter().find(|(_, relay)| relay.web_socket_address() == Some(from)).map(key)
    }

    pub(super) fn handle_relay_timeout(&mut self, now: Timestamp, address: SocketAddr) {
        let is_elsewhere = self.is_elsewhere(address, RelayClient::is_in_use);
        let relay = self.relays.get_mut(&address);
        let event = relay.and_then(|relay| relay.handle_timeout(&mut context!(self, now), is_elsewhere));
        self.on_relay_event(now, address, event);
    }

    pub(super) fn on_web_socket_opened(&mut self, now: Timestamp, relay: SocketAddr, address: SocketAddr) {
        if let Some(relay) = self.relays.get_mut(&relay) {
            relay.on_web_socket_opened(&mut context!(self, now), address);
        }
    }

    pub(super) fn on_web_socket_closed(&mut self, now: Timestamp, address: SocketAddr) {
        let relay = self.relays.get_mut(&address);
        let event = relay.and_then(|relay| relay.on_web_socket_closed(&mut context!(self, now)));
        self.on_relay_event(now, address, event);
    }

    /// Gives a relay the token of the last report.
    pub(super) fn take_token(&mut self, now: Timestamp, address: SocketAddr) {
        let is_elsewhere = self.is_elsewhere(address, RelayClient::is_reached_by_udp);
        if let (Some(relay), Some(token)) = (self.relays.get_mut(&address), &self.token) {
            relay.set_token(&mut context!(self, now), token, is_elsewhere);
        }
    }

    /// Whether the relay is reached at another of its addresses, in such a way.
    fn is_elsewhere(&self, address: SocketAddr, way: impl Fn(&RelayClient) -> bool) -> bool {
        self.others_of(address).iter().any(|other| self.relays.get(other).is_some_and(&way))
    }

    /// A relay is not reached any more: all its addresses get another chance.
    fn resume_relay(&mut self, now: Timestamp, public_key: PublicKey) {
        let addresses = self.relays.values_mut().filter(|relay| relay.info().public_key == public_key);
        for relay in addresses {
            relay.resume(&mut context!(self, now));
        }
    }

    /// There is no session at this address any more.
    fn end_session(&mut self, now: Timestamp, relay: SocketAddr) {
        self.sessions.remove(&relay);
        for peer in self.peers.values_mut() {
            peer.on_relay(&mut context!(self, now), relay, false);
        }
    }

    /// The other addresses of the same relay: it holds one session for us, wherever that is.
    fn others_of(&self, address: SocketAddr) -> Vec<SocketAddr> {
        let Some(relay) = self.relays.get(&address) else { return Vec::new() };
        let is_same = |other: &RelayClient| other.info().public_key == relay.info().public_key;
        self.relays.iter().filter(|(at, other)| **at != address && is_same(other)).map(key).collect()
    }

    pub(super) fn on_relay_frame(&mut self, now: Timestamp, from: SocketAddr, datagram: &[u8]) {
        let (Some(relay), Ok(frame)) = (self.relay_at(from), relay::decode(datagram)) else { return };
        match frame {
            Frame::Deliver { source, payload } => self.on_delivered(now, relay, &source, payload),
            Frame::Unreachable { session, destination }
                if self.sessions.get(&relay).is_some_and(|own| (own.id, own.server) == (session, from)) =>
            {
                if let Some(peer) = self.peers.get_mut(&destination) {
                    peer.on_relay(&mut context!(self, now), relay, false);
                }
            }
            Frame::Challenge(_)
            | Frame::Registered(_)
            | Frame::Refused { .. }
            | Frame::KeepaliveReply { .. }
            | Frame::NoSession(_) => {
                let client = self.relays.get_mut(&relay);
                let event = client.and_then(|it| it.handle_frame(&mut context!(self, now), from, &frame));
                self.on_relay_event(now, relay, event);
            }
            // What only a relay receives, and what only an agent of another version would understand.
            Frame::Register(_)
            | Frame::Send { .. }
            | Frame::Keepalive { .. }
            | Frame::Unreachable { .. }
            | Frame::VersionUnsupported => {}
        }
    }

    fn on_delivered(&mut self, now: Timestamp, relay: SocketAddr, source: &PublicKey, payload: &[u8]) {
        let tagged = tag_of(payload).and_then(|tag| self.tags.get(&tag));
        match classify(payload) {
            DatagramClass::Probe if tagged == Some(source) => {
                self.on_probe(now, Route::Relay(relay), payload)
            }
            // The tunnel had no path for its answer, and so tells us that the peer is at this relay.
            DatagramClass::WireGuard => {
                if let Some(peer) = self.peers.get_mut(source) {
                    peer.on_relay(&mut context!(self, now), relay, true);
                }
            }
            DatagramClass::Probe
            | DatagramClass::Stun
            | DatagramClass::Relay
            | DatagramClass::OtherVersion(_)
            | DatagramClass::Unknown => {}
        }
    }

    /// Takes in the address that a relay saw us at over UDP. Returns whether our mapping moved, so that direct paths are in
    /// doubt.
    fn is_moved(&mut self, now: Timestamp, relay: SocketAddr, observed: SocketAddr) -> bool {
        let seen = self.discovery.set_seen_by_relay(relay, observed);
        if seen.is_new {
            self.discovery.ask_all(&mut context!(self, now));
            self.on_own_candidates_changed(now);
        }
        let is_doubted_lately = self.doubted_at.is_some_and(|at| now.since(at) < DOUBT_SPACING);
        let is_doubtful = seen.is_moved && !is_doubted_lately;
        if is_doubtful {
            self.doubted_at = Some(now);
        }
        is_doubtful
    }

    pub(super) fn on_relay_event(&mut self, now: Timestamp, relay: SocketAddr, event: Option<Event>) {
        match event {
            Some(Event::Registered { session, observed }) => {
                let is_first = self.sessions.insert(relay, session).is_none();
                let others = self.others_of(relay);
                for other in &others {
                    if let Some(client) = self.relays.get_mut(other) {
                        client.stand_by(&mut context!(self, now), observed.is_some());
                    }
                }
                // A node's word on where we are is no server's: it would be told on to everybody as our address.
                let seen = observed.filter(|_| session.node.is_none());
                let is_doubtful = seen.is_some_and(|seen| self.is_moved(now, relay, seen));
                // Peer relays come and go with their nodes: were every pair of a large network to greet each time, the one who
                // runs it would drown. An idle pair asks there when it wakes.
                let is_worth_greeting_idle = is_first && session.node.is_none();
                for peer in self.peers.values_mut() {
                    if is_worth_greeting_idle || !peer.is_idle(now) {
                        peer.greet(&mut context!(self, now), relay, is_doubtful);
                    }
                    peer.on_relay(&mut context!(self, now), relay, true);
                }
                // After the new one is there, so that no peer is without a relay in between.
                for other in others {
                    self.end_session(now, other);
                }
            }
            Some(Event::Lost) => {
                self.end_session(now, relay);
                if let Some(public_key) = self.relays.get(&relay).map(|relay| relay.info().public_key) {
                    self.resume_relay(now, public_key);
                }
            }
            Some(Event::TokenRefused) => self.reporter.touch(now),
            None => return,
        }
        self.note_servers(now);
    }
}

/// How long an address of a relay waits for others before it is tried.
fn wait_for(info: &RelayInfo, map: &NetworkMap) -> Duration {
    let before = map.relays.iter().take_while(|other| other.address != info.address);
    let place = before.filter(|other| other.public_key == info.public_key).count();
    let wait = HEAD_START * u32::try_from(place).unwrap_or(u32::MAX);
    if info.node.is_some() { OWNERS_HEAD_START + wait } else { wait }
}
