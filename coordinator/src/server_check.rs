//! Asking relays and STUN servers from the coordinator's machine, when somebody looks: each at most once at a time, and its answer is
//! kept for some seconds. Only servers that a map names or may name are asked, and only in the words of STUN and of the relay.

mod relay;
mod stun;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::key::PublicKey;
use protocol::relay_token::TokenSigningKey;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::Entropy;
use crate::http::now_ms;
use crate::service::resources::relays::Relay;
use crate::service::resources::servers::{CheckResult, ServerCheck};
use crate::service::resources::stun_servers::StunServer;

/// What nobody has answered by then is silent: three times the round trip to the far side of the earth.
const PATIENCE: Duration = Duration::from_secs(1);

/// When a question is asked again: one lost datagram is not silence.
const REPEAT: Duration = Duration::from_millis(300);

/// For how long an answer is given again: a page that is looked at asks every two seconds, and servers shall not notice.
const FRESH_MS: i64 = 5_000;

/// For how long an answer is shown at all.
const SHOWN_MS: i64 = 15 * 60 * 1000;

/// The longest answer: that to a registration has 90 bytes.
const ANSWER_MAX: usize = 1500;

/// A server to ask. The key is that of a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) relay: Option<PublicKey>,
}

impl Target {
    /// A relay at each of its addresses.
    pub(crate) fn of_relay(relay: &Relay) -> Vec<Self> {
        relay
            .addresses
            .iter()
            .map(|address| Self { address: *address, relay: Some(relay.public_key) })
            .collect()
    }

    /// A STUN server.
    pub(crate) const fn of_stun_server(server: &StunServer) -> Self {
        Self { address: server.address, relay: None }
    }
}

/// The last answer of one server; locked while it is asked.
type Answer = Arc<tokio::sync::Mutex<Option<ServerCheck>>>;

/// What servers answered.
pub(crate) struct ServerChecks {
    entropy: Entropy,
    caller: relay::RelayCaller,
    answers: Mutex<BTreeMap<Target, Answer>>,
}

impl std::fmt::Debug for ServerChecks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServerChecks").finish_non_exhaustive()
    }
}

impl ServerChecks {
    /// Nobody has been asked yet. The key signs the tokens that relays are shown.
    pub(crate) fn new(signing_key: TokenSigningKey) -> Self {
        let entropy = Entropy::system();
        let caller = relay::RelayCaller::new(&entropy, signing_key);
        Self { entropy, caller, answers: Mutex::default() }
    }

    /// Asks these servers at once, but for those that answered within the last seconds. Takes a second at most, or two where somebody
    /// else is asking.
    pub(crate) async fn ask(self: &Arc<Self>, targets: &[Target]) {
        let mut asking = JoinSet::new();
        for target in targets.iter().copied() {
            let (checks, answer) = (Arc::clone(self), self.answer(target));
            asking.spawn(async move {
                let mut answer = answer.lock().await;
                let now_ms = now_ms();
                let is_fresh = |check: &ServerCheck| (0..FRESH_MS).contains(&(now_ms - check.at_ms));
                if !answer.as_ref().is_some_and(is_fresh) {
                    let (result, rtt_us) = checks.ask_one(target).await;
                    *answer = Some(ServerCheck { address: target.address, at_ms: now_ms, result, rtt_us });
                }
            });
        }
        asking.join_all().await;
    }

    /// Puts what a relay answered last where people see it.
    pub(crate) fn show_relay(&self, relay: &mut Relay) {
        relay.checks = Target::of_relay(relay).into_iter().filter_map(|target| self.last(target)).collect();
    }

    /// Puts what a STUN server answered last where people see it.
    pub(crate) fn show_stun_server(&self, server: &mut StunServer) {
        server.check = self.last(Target::of_stun_server(server));
    }

    /// What the server answered last; nothing where that is long ago, or it is being asked.
    fn last(&self, target: Target) -> Option<ServerCheck> {
        let answer = Arc::clone(self.answers().get(&target)?);
        let last = answer.try_lock().ok()?.clone();
        last.filter(is_shown)
    }

    async fn ask_one(&self, target: Target) -> (CheckResult, Option<u32>) {
        let asked = match target.relay {
            Some(key) => self.caller.ask(&self.entropy, target.address, &key).await,
            None => stun::ask(&self.entropy, target.address).await,
        };
        match asked {
            Ok((result, rtt)) => (result, rtt.and_then(|rtt| u32::try_from(rtt.as_micros()).ok())),
            Err(error) => {
                tracing::debug!(address = %target.address, %error, "a server cannot be asked");
                (CheckResult::Unroutable, None)
            }
        }
    }

    /// Where the answer of a server is. What nobody would be shown is forgotten, so servers that are gone are, too.
    fn answer(&self, target: Target) -> Answer {
        let mut answers = self.answers();
        answers.retain(|_, answer| {
            let is_in_use = Arc::strong_count(answer) > 1;
            is_in_use || answer.try_lock().is_ok_and(|last| last.as_ref().is_some_and(is_shown))
        });
        Arc::clone(answers.entry(target).or_default())
    }

    fn answers(&self) -> std::sync::MutexGuard<'_, BTreeMap<Target, Answer>> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_shown(check: &ServerCheck) -> bool {
    now_ms() - check.at_ms < SHOWN_MS
}

/// A question to one address: sent again while nobody answers.
struct Question {
    socket: UdpSocket,
    until: Instant,
}

impl Question {
    /// Opens a socket that hears this address alone.
    async fn open(address: SocketAddr) -> std::io::Result<Self> {
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        Ok(Self { socket, until: Instant::now() + PATIENCE })
    }

    /// Sends `request` until `read` takes an answer; gives what it read and how long the first answer took where that is clear.
    async fn ask<T>(
        &self,
        request: &[u8],
        mut read: impl FnMut(&[u8]) -> Option<T>,
    ) -> std::io::Result<Option<(T, Option<Duration>)>> {
        let (began, mut sent, mut buffer) = (Instant::now(), 0_u32, [0; ANSWER_MAX]);
        while Instant::now() < self.until {
            let is_sent = self.socket.send(request).await;
            // A port that is closed answers by ICMP: that is silence to us.
            if let Err(error) = is_sent
                && error.kind() != ErrorKind::ConnectionRefused
            {
                return Err(error);
            }
            sent += 1;
            let repeat = (Instant::now() + REPEAT).min(self.until);
            while let Ok(received) = timeout_at(repeat, self.socket.recv(&mut buffer)).await {
                let Ok(count) = received else {
                    tokio::time::sleep_until(repeat).await;
                    break;
                };
                if let Some(answer) = read(&buffer[..count]) {
                    return Ok(Some((answer, (sent == 1).then(|| began.elapsed()))));
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests;
