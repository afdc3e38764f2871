//! How long a packet the path in use carries in one piece: padded requests that may not be fragmented (RFC 8899).

use std::net::SocketAddr;
use std::time::Duration;

use endpoint_selection::Timestamp;
use protocol::probe::REQUEST_LEN;
use protocol::relay::SEND_PREFIX_LEN;

use super::upkeep::LONG_LEN;
use super::{Peer, Route};
use crate::context::Context;
use crate::output::Output;

mod search;

use search::{Question, Search};

/// Bytes that WireGuard adds to a tunnel packet: header 16, tag 16.
pub(super) const WIREGUARD_LEN: u16 = 32;

const UDP_HEADER_LEN: u16 = 8;
const IPV4_HEADER_LEN: u16 = 20;
const IPV6_HEADER_LEN: u16 = 40;

/// A path is measured once it has been in use for so long: while a pair opens, it changes its path several times.
const HOLD: Duration = Duration::from_millis(500);

/// How often the length in use is asked for again: as often as the whole path is, a third of the time.
const CHECK_INTERVAL: Duration = Duration::from_secs(15);

/// Doubt asks for the length in use no more often than this.
const DOUBT_SPACING: Duration = Duration::from_secs(2);

/// A path that answers no short request either is asked again after so long.
const PAUSE: Duration = Duration::from_secs(5);

/// How often a larger length is tried again (RFC 8899 §5.1.1, `PMTU_RAISE_TIMER`).
const RAISE_INTERVAL: Duration = Duration::from_secs(600);

/// What is known about the length of packets on the path in use, and what is asked next.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PathMtu {
    search: Search,
    at: Option<Timestamp>,
    asked: Option<Asked>,
    answered_at: Timestamp,
    raise_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    transaction: u64,
    question: Question,
    deadline: Timestamp,
}

impl PathMtu {
    /// A new path, of which nothing is known.
    pub(super) fn begin(now: Timestamp) -> Self {
        Self { at: Some(now + HOLD), ..Self::default() }
    }

    /// The pair talks again, over the path that it had: what was known of it has to be shown again.
    pub(super) fn resume(&mut self, now: Timestamp) {
        self.at = Some(now + HOLD);
        self.asked = None;
    }

    /// Nothing is asked any more until [`Self::resume`].
    pub(super) const fn stop(&mut self) {
        self.at = None;
        self.asked = None;
    }

    /// Something was sent and nothing came back: perhaps because it was too long.
    pub(super) fn doubt(&mut self, now: Timestamp) {
        let earliest = (self.answered_at + DOUBT_SPACING).max(now);
        if self.asked.is_none() && self.at.is_some_and(|at| at > earliest) && self.search.is_over() {
            self.at = Some(earliest);
        }
    }

    pub(super) fn next_at(&self) -> Option<Timestamp> {
        self.asked.map(|asked| asked.deadline).or(self.at)
    }

    /// The longest tunnel packet that the path carries in one piece, as far as that is known, in bytes.
    pub(super) fn tunnel_mtu(&self) -> u16 {
        self.search.tunnel_mtu()
    }

    /// What to ask now, on a path that adds `overhead` bytes to a tunnel packet.
    fn question(&mut self, now: Timestamp, overhead: u16) -> Question {
        self.search.set_overhead(overhead);
        if self.search.is_over() {
            if self.raise_at.is_some_and(|at| at <= now) {
                self.raise_at = None;
                self.search.reopen();
            } else {
                self.raise_at = self.raise_at.or(Some(now + RAISE_INTERVAL));
            }
        }
        self.search.question()
    }

    fn on_answered(&mut self, now: Timestamp, question: Question) {
        self.search.on_answered(question);
        self.answered_at = now;
        self.at = Some(if self.search.is_over() { now + CHECK_INTERVAL } else { now });
    }

    fn on_unanswered(&mut self, now: Timestamp, question: Question) {
        self.search.on_unanswered(question);
        self.at = Some(if question == Question::Alive { now + PAUSE } else { now });
    }
}

impl Peer {
    /// Judges the request that is out, and sends the next one when its time has come.
    pub(super) fn measure_path_mtu(&mut self, context: &mut Context<'_>) {
        let now = context.now;
        let late = self.upkeep.path_mtu.asked.take_if(|asked| asked.deadline <= now);
        if let Some(Asked { transaction, question, .. }) = late {
            // It says nothing about how much the path loses: it was lost because of its length, if it was.
            self.outstanding.remove(&transaction);
            self.upkeep.path_mtu.on_unanswered(now, question);
        }
        let path_mtu = &mut self.upkeep.path_mtu;
        if path_mtu.asked.is_some() || path_mtu.at.is_none_or(|at| at > now) {
            return;
        }
        path_mtu.at = None;
        let is_measured = self.info.plain_endpoint.is_none() && !self.is_idle(now);
        let Some(route) = self.route().filter(|_| is_measured) else { return };
        let question = self.upkeep.path_mtu.question(now, overhead(route));
        let padding = match question {
            Question::Alive => 0,
            Question::Passes(tunnel_mtu) => {
                tunnel_mtu.saturating_add(WIREGUARD_LEN).saturating_sub(REQUEST_LEN)
            }
        };
        let Some(transaction) = self.send_whole_request(context, route, padding) else {
            self.upkeep.path_mtu.at = Some(now + PAUSE);
            return;
        };
        let (Route::Direct(_, remote) | Route::Relay(remote)) = route;
        let deadline = now + self.patience(remote);
        self.upkeep.path_mtu.asked = Some(Asked { transaction, question, deadline });
    }

    /// The answer to the request that was out.
    pub(super) fn on_path_mtu_reply(&mut self, context: &mut Context<'_>, transaction: u64) {
        let asked = self.upkeep.path_mtu.asked.take_if(|asked| asked.transaction == transaction);
        let Some(Asked { question, .. }) = asked else { return };
        if matches!(question, Question::Passes(tunnel_mtu) if tunnel_mtu + WIREGUARD_LEN >= LONG_LEN) {
            self.upkeep.on_long_answered();
        }
        let before = self.upkeep.path_mtu.tunnel_mtu();
        self.upkeep.path_mtu.on_answered(context.now, question);
        let after = self.upkeep.path_mtu.tunnel_mtu();
        if after < before {
            // What was lost of late was too long: the path may serve well from now on.
            self.data.restart();
        }
        if after != before {
            self.tell_tunnel_mtu(context);
        }
    }

    /// Tells the path layer, which forgets it with each path that it gets.
    pub(super) fn tell_tunnel_mtu(&self, context: &mut Context<'_>) {
        let mtu = self.upkeep.path_mtu.tunnel_mtu();
        context.outputs.push_back(Output::SetTunnelMtu { peer: self.info.public_key, mtu });
    }
}

/// Bytes that a path adds to a tunnel packet. Through a relay the peer's half counts too, which may be over IPv6.
fn overhead(route: Route) -> u16 {
    let relay_len = u16::try_from(SEND_PREFIX_LEN).unwrap_or(u16::MAX);
    let below = match route {
        Route::Direct(_, SocketAddr::V4(_)) => IPV4_HEADER_LEN,
        Route::Direct(_, SocketAddr::V6(_)) => IPV6_HEADER_LEN,
        Route::Relay(_) => IPV6_HEADER_LEN + relay_len,
    };
    below + UDP_HEADER_LEN + WIREGUARD_LEN
}
