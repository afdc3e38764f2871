//! STUN binding transactions (RFC 8489 §6.2.1): from any socket, to any server, one at a time for each pair.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::nat::Binding;
use endpoint_selection::{SocketId, Timestamp};
use protocol::stun;

use super::{Discovery, REFRESH_INTERVAL};
use crate::context::Context;
use crate::reported_servers::rtt_with;

/// Times of a binding request's transmissions after its start (RFC 8489 §6.2.1 with a shorter first timeout: the next
/// one costs 20 bytes, a lost first one costs a user's patience).
const SEND_MS: [u64; 5] = [0, 200, 600, 1_400, 3_000];

/// After the last transmission, how long an answer may still come.
const LAST_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Asking {
    transaction: [u8; stun::TRANSACTION_LEN],
    started_at: Timestamp,
    /// When the first request left that nobody has answered yet, of this transaction or of one before: it made the mapping,
    /// and only the answer was lost.
    mapped_at: Timestamp,
    sent: usize,
}

/// What a binding response brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answered {
    /// Which socket had asked.
    pub(crate) socket: SocketId,
    /// What the server saw.
    pub(crate) reflexive: SocketAddr,
    /// Our candidates or the facts about the NAT changed.
    pub(crate) is_changed: bool,
}

impl Asking {
    pub(super) fn next_at(&self) -> Timestamp {
        match SEND_MS.get(self.sent) {
            Some(ms) => self.started_at + Duration::from_millis(*ms),
            None => self.started_at + Duration::from_millis(SEND_MS[SEND_MS.len() - 1]) + LAST_WAIT,
        }
    }
}

impl Discovery {
    /// Asks every STUN server from the main socket.
    pub(crate) fn ask_all(&mut self, context: &mut Context<'_>) {
        self.refresh_at = Some(context.now + REFRESH_INTERVAL);
        let servers: Vec<SocketAddr> = self.servers.iter().copied().collect();
        for server in servers {
            self.ask(context, SocketId::MAIN, server);
        }
    }

    /// Asks one server from a socket that was just opened, where one is known that sees us from outside over IPv4.
    pub(crate) fn ask_one(&mut self, context: &mut Context<'_>, socket: SocketId) {
        if let Some((server, _)) = self.outermost_server() {
            self.ask(context, socket, server);
        }
    }

    pub(super) fn ask(&mut self, context: &mut Context<'_>, socket: SocketId, server: SocketAddr) {
        let (transaction, now) = (context.entropy.bytes(), context.now);
        let mapped_at = self.asking.get(&(socket, server)).map_or(now, |before| before.mapped_at);
        self.asking.insert((socket, server), Asking { transaction, started_at: now, mapped_at, sent: 1 });
        context.transmit_from(socket, server, stun::encode_request(transaction));
    }

    pub(super) fn is_asking(&self, socket: SocketId) -> bool {
        self.asking.keys().any(|(asker, _)| *asker == socket)
    }

    /// A socket is closed: nobody answers it any more.
    pub(crate) fn forget_socket(&mut self, socket: SocketId) {
        self.asking.retain(|(asker, _), _| *asker != socket);
        self.side_ports.remove(&socket);
    }

    /// Sends again what was not answered. Returns whether a server that answered the main socket before no longer does.
    pub(super) fn repeat_questions(&mut self, context: &mut Context<'_>) -> bool {
        let mut given_up = Vec::new();
        for ((socket, server), asking) in &mut self.asking {
            if asking.next_at() > context.now {
                continue;
            }
            if asking.sent < SEND_MS.len() {
                asking.sent += 1;
                context.transmit_from(*socket, *server, stun::encode_request(asking.transaction));
            } else {
                given_up.push((*socket, *server));
            }
        }
        let mut is_lost = false;
        for (socket, server) in given_up {
            self.asking.remove(&(socket, server));
            if socket == SocketId::MAIN {
                // No answer is no knowledge: the old address is not offered any longer.
                self.evidence.add_unanswered(server);
                is_lost = true;
            }
        }
        is_lost
    }

    /// Takes a binding response. One that no request of ours from that socket to that very server waits for is ignored.
    pub(crate) fn handle_response(
        &mut self,
        now: Timestamp,
        socket: SocketId,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Option<Answered> {
        let asking = self.asking.get(&(socket, from))?;
        let (transaction, reflexive) = stun::decode_response(datagram).ok()?;
        if asking.transaction != transaction {
            return None;
        }
        let at = asking.mapped_at;
        // Which transmission was answered is known of the only one (RFC 6298 §3).
        let is_clear = asking.sent == 1 && socket == SocketId::MAIN;
        if let (true, Ok(sample)) = (is_clear, u32::try_from(now.since(asking.started_at).as_micros())) {
            let rtt = rtt_with(self.rtts.get(&from).copied(), sample);
            self.rtts.insert(from, rtt);
        }
        self.asking.remove(&(socket, from));
        if self.is_watching(socket) {
            let is_changed = self.on_watch_answered(now, socket, reflexive);
            return Some(Answered { socket, reflexive, is_changed });
        }
        let local_port = if socket == SocketId::MAIN {
            Some(self.local_port)
        } else {
            self.side_ports.get(&socket).copied()
        };
        let before = self.reflexive(from);
        if let Some(local_port) = local_port {
            self.evidence.add_binding(Binding { socket, local_port, server: from, reflexive, at });
        }
        self.hasten_measuring(now);
        let is_new = socket == SocketId::MAIN && before != Some(reflexive);
        let is_judged = socket == SocketId::MAIN && !self.is_asking(SocketId::MAIN) && self.judge(now);
        Some(Answered { socket, reflexive, is_changed: is_new || is_judged })
    }
}
