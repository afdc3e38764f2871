//! A closer look at the NAT: a few side sockets show how ports are allocated and whether the NAT hairpins (RFC 5780 §4.5).

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::nat::{Mapping, classify, mapping_of_main};
use endpoint_selection::{SocketId, Timestamp};
use protocol::stun;

use super::Discovery;
use crate::context::Context;
use crate::output::Output;

/// Sockets that show the allocation where each destination gets a port of its own: with the servers below sixteen samples.
/// Else one, for hairpinning and port preservation.
const SOCKETS: usize = 4;

/// Servers that each of them asks.
const SERVERS_EACH: usize = 4;

/// How long a measurement takes where answers are missing: each question is repeated twice meanwhile.
const DURATION: Duration = Duration::from_millis(1_500);

/// How long it goes on after the last answer, for packets that the NAT turns round.
const LAST_WAIT: Duration = Duration::from_millis(200);

/// How often it is repeated: facts are forgotten after ten minutes.
const INTERVAL: Duration = Duration::from_secs(480);

/// After something known was contradicted, the servers are asked once more, and that decides.
const DOUBT_PAUSE: Duration = Duration::from_secs(2);

pub(super) struct Measuring {
    sockets: Vec<SocketId>,
    pub(super) until: Timestamp,
    /// The transactions of requests that only a NAT which hairpins brings back to us.
    hairpin: Vec<[u8; stun::TRANSACTION_LEN]>,
    is_hairpin_seen: bool,
}

impl Discovery {
    /// How many sockets are wanted for a measurement now; 0: none is due.
    pub(crate) fn wanted_sockets(&self, now: Timestamp) -> usize {
        let is_due = self.measure_at.is_none_or(|at| at <= now);
        let is_ready = self.measuring.is_none() && is_due && !self.is_asking(SocketId::MAIN);
        match self.facts.profile().mapping.filter(|_| is_ready) {
            None | Some(Mapping::None) => 0,
            Some(Mapping::EndpointIndependent) => 1,
            Some(Mapping::AddressDependent | Mapping::AddressAndPortDependent | Mapping::Dependent) => {
                SOCKETS
            }
        }
    }

    /// Begins a measurement with these side sockets, which it opens and closes itself.
    pub(crate) fn begin_measuring(&mut self, context: &mut Context<'_>, sockets: Vec<SocketId>) {
        self.measure_at = Some(context.now + INTERVAL);
        self.evidence.forget_side_sockets();
        context.outputs.extend(sockets.iter().map(|socket| Output::OpenSocket(*socket)));
        let until = context.now + DURATION;
        self.measuring = Some(Measuring { sockets, until, hairpin: Vec::new(), is_hairpin_seen: false });
    }

    /// A side socket is open, at this local port. Returns whether it is one of a measurement.
    pub(crate) fn on_socket_opened(
        &mut self,
        context: &mut Context<'_>,
        socket: SocketId,
        port: Option<u16>,
    ) -> bool {
        if self.on_watch_opened(context, socket, port) {
            return true;
        }
        let is_ours = self.measuring.as_ref().is_some_and(|measuring| measuring.sockets.contains(&socket));
        if let (true, Some(port)) = (is_ours, port) {
            self.side_ports.insert(socket, port);
            let answering: Vec<SocketAddr> = self
                .servers
                .iter()
                .filter(|server| server.is_ipv4() && self.reflexive(**server).is_some())
                .take(SERVERS_EACH)
                .copied()
                .collect();
            for server in answering {
                self.ask(context, socket, server);
            }
        }
        is_ours
    }

    /// The first answer to the first socket shows its outside address: then both send to each other's. Behind a NAT that
    /// filters what it turns round, each opens the filter for the other.
    pub(crate) fn test_hairpinning(
        &mut self,
        context: &mut Context<'_>,
        socket: SocketId,
        reflexive: SocketAddr,
    ) {
        let main =
            self.servers.iter().filter(|server| server.is_ipv4()).find_map(|server| self.reflexive(*server));
        let (Some(main), Some(measuring)) = (main, &mut self.measuring) else { return };
        if measuring.sockets.first() != Some(&socket) || !measuring.hairpin.is_empty() {
            return;
        }
        if main.ip() != reflexive.ip() {
            return;
        }
        // Twice, because the first one may come before the filter is open.
        for _ in 0..2 {
            for (from, to) in [(socket, main), (SocketId::MAIN, reflexive)] {
                let transaction = context.entropy.bytes();
                measuring.hairpin.push(transaction);
                context.transmit_from(from, to, stun::encode_request(transaction));
            }
        }
    }

    /// A binding request came in: where it is our own, the NAT turned it round.
    pub(crate) fn handle_request(&mut self, datagram: &[u8]) {
        if let Some(measuring) = &mut self.measuring {
            let is_ours =
                |transaction: &[u8; stun::TRANSACTION_LEN]| stun::encode_request(*transaction) == datagram;
            measuring.is_hairpin_seen |= measuring.hairpin.iter().any(is_ours);
        }
    }

    /// Whether a measurement is under way.
    pub(crate) const fn is_measuring(&self) -> bool {
        self.measuring.is_some()
    }

    /// An answer came: after the last one a measurement ends early.
    pub(super) fn hasten_measuring(&mut self, now: Timestamp) {
        let is_answered =
            |socket: &SocketId| self.side_ports.contains_key(socket) && !self.is_asking(*socket);
        let is_over = self.measuring.as_ref().is_some_and(|it| it.sockets.iter().all(is_answered));
        if let Some(measuring) = self.measuring.as_mut().filter(|_| is_over) {
            measuring.until = measuring.until.min(now + LAST_WAIT);
        }
    }

    /// Ends a measurement whose time is over. Returns whether there was one.
    pub(super) fn finish_measuring(&mut self, context: &mut Context<'_>) -> bool {
        let Some(measuring) = self.measuring.take_if(|measuring| measuring.until <= context.now) else {
            return false;
        };
        for socket in measuring.sockets {
            self.forget_socket(socket);
            context.notices.push(crate::context::Notice::Idle(socket));
        }
        if !measuring.hairpin.is_empty() {
            self.evidence.hairpin = Some((measuring.is_hairpin_seen, context.now));
        }
        true
    }

    /// Judges the evidence. Returns whether the facts changed.
    pub(super) fn judge(&mut self, now: Timestamp) -> bool {
        let before = self.facts.profile();
        // What is collected here is bounded, so it is never refused.
        let profile = classify(&self.evidence).unwrap_or_default();
        if self.facts.see(&profile, now) {
            self.refresh_at = Some(self.refresh_at.map_or(now, |at| at.min(now + DOUBT_PAUSE)));
        }
        let after = self.facts.profile();
        let of_main = mapping_of_main(&self.evidence);
        let is_news = self.mapping_of_main.is_some_and(|known| of_main.is_some_and(|seen| seen != known));
        self.mapping_of_main = of_main.or(self.mapping_of_main);
        if before.mapping != after.mapping || is_news {
            self.measure_at = None;
        }
        before != after
    }
}
