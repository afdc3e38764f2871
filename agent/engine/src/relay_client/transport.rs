//! Which way leads to the relay: UDP, or a WebSocket where UDP is silent.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;
use protocol::relay::COOKIE_LEN;

use super::web_socket::SESSIONLESS_MAX;
use super::{ANSWER_TIMEOUT, ANSWER_TIMEOUT_WEB_SOCKET, Event, NO_COOKIE, RelayClient, Session};
use crate::context::Context;
use crate::output::Output;

impl RelayClient {
    /// The loopback address that stands for the relay while it is reached over WebSocket.
    pub(crate) const fn web_socket_address(&self) -> Option<SocketAddr> {
        self.web_socket.address()
    }

    /// Whether the node is at this relay, or soon will be.
    pub(crate) fn is_in_use(&self) -> bool {
        self.session.is_some() || self.has_web_socket()
    }

    /// Whether the relay holds a session of the node at this address.
    pub(crate) const fn is_registered(&self) -> bool {
        self.session.is_some()
    }

    /// Whether the relay holds a session of the node at this very address, over UDP.
    pub(crate) fn is_reached_by_udp(&self) -> bool {
        self.session.as_ref().is_some_and(|session| session.server == self.info.address)
    }

    /// Whether a WebSocket is open or being opened.
    pub(crate) fn has_web_socket(&self) -> bool {
        !self.web_socket.is_closed()
    }

    pub(super) fn answer_timeout(&self, session: &Session) -> Duration {
        if session.server == self.info.address { ANSWER_TIMEOUT } else { ANSWER_TIMEOUT_WEB_SOCKET }
    }

    /// When UDP has been silent for so long that a WebSocket is due.
    pub(super) fn open_at(&self) -> Option<Timestamp> {
        let is_wanted = self.info.url.is_some() && self.session.is_none() && self.registration.is_some();
        self.web_socket.open_at().filter(|_| is_wanted)
    }

    pub(super) fn check_at(&self) -> Option<Timestamp> {
        self.web_socket.check_at().filter(|_| self.token.is_some())
    }

    /// When a registration has taken so long that the other way is the better one.
    pub(super) fn give_up_at(&self) -> Option<Timestamp> {
        self.web_socket.address()?;
        self.registration.as_ref().map(|registration| registration.since + SESSIONLESS_MAX)
    }

    /// UDP is silent: asks for a WebSocket, unless the relay is reached at another of its addresses.
    pub(super) fn open_web_socket(&mut self, context: &mut Context<'_>, is_elsewhere: bool) {
        if is_elsewhere {
            // The next registration begins another wait.
            self.web_socket.close();
        } else if let Some(url) = self.info.url.clone() {
            self.web_socket.begin();
            context.outputs.push_back(Output::OpenWebSocket { relay: self.info.address, url });
        }
    }

    /// The WebSocket is open, and this loopback address stands for it.
    pub(crate) fn on_web_socket_opened(&mut self, context: &mut Context<'_>, address: SocketAddr) {
        if self.web_socket.opened(context.now, address) {
            self.register(context);
        } else {
            context.outputs.push_back(Output::CloseWebSocket { relay: self.info.address });
        }
    }

    /// The WebSocket is gone, or could not be opened.
    pub(crate) fn on_web_socket_closed(&mut self, context: &mut Context<'_>) -> Option<Event> {
        if self.web_socket.is_closed() {
            return None;
        }
        self.web_socket.fail(context.now, context.entropy);
        self.leave_web_socket(context)
    }

    /// The WebSocket serves no more: it is closed, and UDP gets its chance before the next one.
    pub(super) fn on_web_socket_failed(&mut self, context: &mut Context<'_>) -> Option<Event> {
        context.outputs.push_back(Output::CloseWebSocket { relay: self.info.address });
        self.on_web_socket_closed(context)
    }

    /// The WebSocket is not wanted any more.
    pub(super) fn close_web_socket(&mut self, context: &mut Context<'_>) {
        if !self.web_socket.is_closed() {
            context.outputs.push_back(Output::CloseWebSocket { relay: self.info.address });
        }
        self.web_socket.close();
    }

    /// Takes session and registration off a WebSocket that is closed.
    fn leave_web_socket(&mut self, context: &mut Context<'_>) -> Option<Event> {
        let own = self.info.address;
        if self.session.as_ref().is_some_and(|session| session.server != own) {
            return Some(self.lose(context));
        }
        if self.registration.as_ref().is_some_and(|registration| registration.server != own) {
            self.register(context);
        }
        None
    }

    /// A registration took too long while the WebSocket is open.
    pub(super) fn give_up_registration(&mut self, context: &mut Context<'_>) -> Option<Event> {
        let registration = self.registration.as_ref()?;
        if Some(registration.server) == self.web_socket.address() {
            return self.on_web_socket_failed(context);
        }
        // The way back to UDP was not open after all.
        self.registration = None;
        if self.session.is_none() {
            self.register(context);
        }
        None
    }

    /// Asks over UDP for a challenge, which changes nothing at the relay.
    pub(super) fn check_udp(&mut self, context: &mut Context<'_>) {
        let Some(token) = &self.token else { return };
        self.web_socket.note_check(context.now);
        let nonce = context.entropy.bytes();
        context.transmit(self.info.address, self.key.encode_register(NO_COOKIE, nonce, &token.bytes));
    }

    /// A challenge came that no registration waits for. After some in a row the session moves to UDP; until the relay has
    /// confirmed that, the WebSocket serves.
    pub(super) fn on_udp_check_answered(
        &mut self,
        context: &mut Context<'_>,
        from: SocketAddr,
        cookie: [u8; COOKIE_LEN],
    ) {
        let is_open = self.web_socket.address().is_some();
        if is_open && from == self.info.address && self.web_socket.note_check_answered() {
            self.begin_registration(context, from, cookie);
        }
    }

    /// The relay let us in by this way. Returns whether it is UDP; then no WebSocket is needed.
    pub(super) fn on_transport_proven(&mut self, context: &mut Context<'_>, server: SocketAddr) -> bool {
        let is_udp = server == self.info.address;
        if !is_udp {
            self.web_socket.reset_pause();
        } else {
            self.close_web_socket(context);
        }
        is_udp
    }
}
