//! How long the NAT keeps a mapping that nothing is sent through (RFC 4787 §4.3): one side socket asks a server, is silent for a
//! while and asks again. Where it is seen at the same port, the mapping has outlived the pause. Of a NAT that keeps ports nothing is
//! learnt so: RFC 5780 §4.6 has a server answer to another port for that, which ours do not do yet.

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::nat::{IdleOutcome, Lifetime};
use endpoint_selection::{SocketId, Timestamp};

use super::Discovery;
use crate::context::{Context, Notice};
use crate::output::Output;

/// The pauses that are tried, shortest first: what NATs are known to forget after, up to what RFC 4787 REQ-5 recommends.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
    Duration::from_secs(300),
];

/// Where no socket was to be had or a server did not answer, the next try comes so much later.
const RETRY: Duration = Duration::from_secs(600);

/// A socket that is silent on purpose.
pub(super) struct Watch {
    socket: SocketId,
    server: SocketAddr,
    /// What the server saw at the last answer, and when that came.
    seen: Option<(SocketAddr, Timestamp)>,
    /// When the socket asks again; `None` while it waits for an answer.
    pub(super) ask_at: Option<Timestamp>,
    /// The pause before the question that is out.
    idle: Duration,
    /// After such a pause the mapping was gone once; the router may only have started anew.
    doubted: Option<Duration>,
}

/// The pause to try next; `None` where the bounds cannot come closer.
fn next_pause(known: Option<Lifetime>) -> Option<Duration> {
    let known = known.unwrap_or_default();
    let ms = |pause: &Duration| u32::try_from(pause.as_millis()).unwrap_or(u32::MAX);
    let next = PAUSES.into_iter().find(|pause| known.longer_than_ms.is_none_or(|longer| ms(pause) > longer));
    next.filter(|pause| known.shorter_than_ms.is_none_or(|shorter| ms(pause) < shorter))
}

impl Discovery {
    /// Whether a side socket is wanted to see how long mappings live.
    pub(crate) fn wants_watch(&self, now: Timestamp) -> bool {
        // Asked at each event: what is cheap comes first.
        if self.watch.is_some() || self.watch_at.is_some_and(|at| at > now) {
            return false;
        }
        let nat = self.facts.profile();
        let bindings = &self.evidence.bindings;
        // A NAT that keeps the socket's own port gives it to the next mapping as well, so the same port proves nothing there.
        let shows = || bindings.iter().all(|binding| binding.reflexive.port() != binding.local_port);
        nat.mapping.is_some() && next_pause(nat.lifetime).is_some() && !bindings.is_empty() && shows()
    }

    /// Opens the socket, from then on silent but for a question after each pause. Returns whether there is a server to ask.
    pub(crate) fn begin_watching(&mut self, context: &mut Context<'_>, socket: SocketId) -> bool {
        self.watch_at = Some(context.now + RETRY);
        let Some((server, _)) = self.outermost_server() else { return false };
        context.outputs.push_back(Output::OpenSocket(socket));
        let idle = Duration::ZERO;
        self.watch = Some(Watch { socket, server, seen: None, ask_at: None, idle, doubted: None });
        true
    }

    /// The socket is open, or there is none. Returns whether it is the one that was asked for here.
    pub(super) fn on_watch_opened(
        &mut self,
        context: &mut Context<'_>,
        socket: SocketId,
        port: Option<u16>,
    ) -> bool {
        let Some(watch) = self.watch.take_if(|watch| watch.socket == socket) else { return false };
        if let Some(port) = port {
            let server = watch.server;
            self.watch = Some(watch);
            self.side_ports.insert(socket, port);
            self.ask(context, socket, server);
        }
        true
    }

    pub(super) fn is_watching(&self, socket: SocketId) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.socket == socket)
    }

    /// Asks again after a pause.
    pub(super) fn keep_watching(&mut self, context: &mut Context<'_>) {
        let Some(watch) = &mut self.watch else { return };
        let is_due = watch.ask_at.take_if(|at| *at <= context.now).is_some();
        if let (true, Some((_, answered_at))) = (is_due, watch.seen) {
            watch.idle = context.now.since(answered_at);
            let (socket, server) = (watch.socket, watch.server);
            self.ask(context, socket, server);
        }
    }

    /// The server answered the silent socket. Returns whether something was learnt.
    pub(super) fn on_watch_answered(
        &mut self,
        now: Timestamp,
        socket: SocketId,
        reflexive: SocketAddr,
    ) -> bool {
        let Some(watch) = self.watch.as_mut().filter(|watch| watch.socket == socket) else { return false };
        let held = watch.seen.replace((reflexive, now)).map(|(before, _)| before == reflexive);
        let idle = watch.idle;
        let is_proven = match held {
            None => false,
            Some(true) => true,
            Some(false) => watch.doubted.replace(idle).is_some_and(|doubted| doubted <= idle),
        };
        if let (Some(held), true) = (held, is_proven) {
            let idle_ms = u32::try_from(idle.as_millis()).unwrap_or(u32::MAX);
            self.evidence.add_idle(IdleOutcome { idle_ms, held, at: now });
            watch.doubted = None;
            self.judge(now);
        }
        let pause = next_pause(self.facts.profile().lifetime);
        if let Some(watch) = &mut self.watch {
            // Without another pause to try, its time is over at once.
            watch.ask_at = Some(now + pause.unwrap_or_default());
        }
        is_proven
    }

    /// Ends where nothing is left to learn, or the server is silent. The engine closes the socket.
    pub(super) fn finish_watching(&mut self, context: &mut Context<'_>) {
        let is_asking = |watch: &Watch| self.asking.contains_key(&(watch.socket, watch.server));
        let is_done = next_pause(self.facts.profile().lifetime).is_none();
        let is_over = |watch: &mut Watch| {
            let is_open = self.side_ports.contains_key(&watch.socket);
            is_open && (is_done || (watch.ask_at.is_none() && !is_asking(watch)))
        };
        let Some(over) = self.watch.take_if(is_over) else { return };
        self.forget_socket(over.socket);
        context.notices.push(Notice::Idle(over.socket));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_come_closer_until_no_pause_lies_between_them() {
        let between = |longer: Option<u32>, shorter: Option<u32>| {
            let known = Lifetime { longer_than_ms: longer, shorter_than_ms: shorter };
            next_pause(Some(known)).map(|pause| pause.as_secs())
        };
        assert_eq!(next_pause(None), Some(Duration::from_secs(15)));
        assert_eq!(between(Some(15_020), None), Some(30));
        assert_eq!(between(Some(30_000), Some(120_000)), Some(60));
        assert_eq!(between(Some(60_000), Some(120_000)), None);
        assert_eq!(between(None, Some(15_000)), None);
        assert_eq!(between(Some(300_000), None), None);
    }
}
