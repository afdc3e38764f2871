//! The engine and its relays: which there are, what they deliver, and what their coming and going changes.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;
use protocol::api::NetworkMap;
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

impl Engine {
    pub(super) fn set_relays(&mut self, now: Timestamp, map: &NetworkMap) {
        let gone: Vec<SocketAddr> =
            self.relays.iter().filter(|(_, relay)| !map.relays.contains(relay.info())).map(key).collect();
        for address in gone {
            self.relays.remove(&address);
            self.on_relay_event(now, address, Some(Event::Lost));
            self.discovery.forget_relay(address);
            for peer in self.peers.values_mut() {
                peer.on_relay_gone(&mut context!(self, now), address);
            }
        }
        for info in &map.relays {
            if self.relays.contains_key(&info.address) {
                continue;
            }
            let Some(mut relay) = RelayClient::new(info.clone(), &self.config.private_key) else { continue };
            if let Some(token) = &self.token {
                relay.set_token(&mut context!(self, now), token);
            }
            self.relays.insert(info.address, relay);
        }
        self.outputs.push_back(Output::SetRelays(self.relays.keys().copied().collect()));
    }

    pub(super) fn on_relay_frame(&mut self, now: Timestamp, from: SocketAddr, datagram: &[u8]) {
        let (Some(relay), Ok(frame)) = (self.relays.get_mut(&from), relay::decode(datagram)) else { return };
        match frame {
            Frame::Deliver { source, payload } => self.on_delivered(now, from, &source, payload),
            Frame::Unreachable { session, destination } if self.sessions.get(&from) == Some(&session) => {
                if let Some(peer) = self.peers.get_mut(&destination) {
                    peer.on_relay(&mut context!(self, now), from, false);
                }
            }
            Frame::Challenge(_)
            | Frame::Registered(_)
            | Frame::Refused { .. }
            | Frame::KeepaliveReply { .. }
            | Frame::NoSession(_) => {
                let event = relay.handle_frame(&mut context!(self, now), &frame);
                self.on_relay_event(now, from, event);
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

    pub(super) fn on_relay_event(&mut self, now: Timestamp, relay: SocketAddr, event: Option<Event>) {
        match event {
            Some(Event::Registered { session, observed }) => {
                let is_first = self.sessions.insert(relay, session).is_none();
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
                for peer in self.peers.values_mut() {
                    if is_first || !peer.is_idle(now) {
                        peer.greet(&mut context!(self, now), relay, is_doubtful);
                    }
                    peer.on_relay(&mut context!(self, now), relay, true);
                }
            }
            Some(Event::Lost) => {
                self.sessions.remove(&relay);
                for peer in self.peers.values_mut() {
                    peer.on_relay(&mut context!(self, now), relay, false);
                }
            }
            Some(Event::TokenRefused) => self.reporter.touch(now),
            None => {}
        }
    }
}
