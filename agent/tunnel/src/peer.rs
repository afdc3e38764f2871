//! The peers of a running tunnel: found by key, by session index, or by inner address.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use engine::tunnel_config::PeerConfig;
use protocol::key::PublicKey;

use crate::allowed_ips::AllowedIps;
use crate::backend::PeerStats;
use crate::inbound_filter::InboundFilter;
use crate::noise::{Identity, Noise, Owner};
use crate::path::PathSlot;

/// The least time between two handshakes that a new path begins: an engine that tries path after path must not
/// make us storm, and WireGuard's own retry (5 s) is too slow to wait for.
const POKE_INTERVAL: Duration = Duration::from_millis(500);

/// How long a session is of use (WireGuard whitepaper §6.1, Reject-After-Time).
const SESSION_LIFE: Duration = Duration::from_secs(180);

/// Ticks of 250 ms after the last message until a peer's timers stand still: 10 min. WireGuard's own wipe the keys of an unused
/// session after nine (whitepaper §6.3, three times Reject-After-Time), and the timers of a thousand idle peers cost what those of a
/// thousand busy ones do.
const TICKS_AFTER_USE: u16 = 2_400;

/// Answers per second and peer to packets that are too long (RFC 4443 §2.4 f asks for a limit): many hosts behind a node may
/// have to learn of a narrow path at once, each of them once.
const TOO_BIG_ANSWERS_MAX: u8 = 64;

/// One peer of a running tunnel.
pub(crate) struct Peer {
    pub(crate) key: PublicKey,
    pub(crate) slot: Arc<PathSlot>,
    state: Mutex<PeerState>,
}

/// What changes with every packet of a peer.
pub(crate) struct PeerState {
    pub(crate) noise: Box<dyn Noise>,
    /// What is taken from it.
    pub(crate) inbound: InboundFilter,
    last_source: Option<SocketAddr>,
    received_at: Option<Instant>,
    poked_at: Option<Instant>,
    poke_due: bool,
    has_keepalive: bool,
    /// Whether the peer is in [`Peers::awake`].
    is_awake: bool,
    ticks_left: u16,
    /// Answers to packets that were too long that may still be made in this second, and when it began.
    too_big: (u8, Option<Instant>),
}

impl Peer {
    pub(crate) fn lock(&self) -> MutexGuard<'_, PeerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PeerState {
    /// Notes that the Noise core took a message; `source` is where it came from, where that is an address.
    pub(crate) fn received(&mut self, source: Option<SocketAddr>, now: Instant) {
        self.received_at = Some(now);
        self.last_source = source.or(self.last_source);
    }

    /// Whether the timers run at this tick.
    const fn take_tick(&mut self) -> bool {
        self.is_awake = self.has_keepalive || self.ticks_left > 0;
        self.ticks_left = self.ticks_left.saturating_sub(1);
        self.is_awake
    }

    /// Asks for a handshake over a new path, where packets wait for one.
    pub(crate) fn want_poke(&mut self) {
        self.poke_due = self.noise.stats().waiting;
    }

    /// Whether the last handshake that was begun out of turn is long enough ago.
    fn is_rested(&self, now: Instant) -> bool {
        self.poked_at.is_none_or(|at| now.saturating_duration_since(at) >= POKE_INTERVAL)
    }

    /// Whether a handshake that was asked for may begin now.
    pub(crate) fn take_poke(&mut self, now: Instant) -> bool {
        if !(self.poke_due && self.is_rested(now)) {
            return false;
        }
        self.poke_due = false;
        let wanted = self.noise.stats().waiting;
        if wanted {
            self.poked_at = Some(now);
        }
        wanted
    }

    /// Whether a handshake may begin now that replaces a session which the peer has lost.
    pub(crate) fn take_renewal(&mut self, now: Instant) -> bool {
        let rested = self.is_rested(now);
        let has_session = self.noise.stats().handshake_age.is_some_and(|age| age < SESSION_LIFE);
        if rested && has_session {
            self.poked_at = Some(now);
        }
        rested && has_session
    }

    /// Whether one more sender of a packet that was too long may be told so.
    pub(crate) fn may_tell_too_big(&mut self, now: Instant) -> bool {
        let (left, since) = &mut self.too_big;
        if since.is_none_or(|since| now.saturating_duration_since(since) >= Duration::from_secs(1)) {
            (*left, *since) = (TOO_BIG_ANSWERS_MAX, Some(now));
        }
        let may = *left > 0;
        *left = left.saturating_sub(1);
        may
    }

    fn stats(&self, now: Instant) -> PeerStats {
        let noise = self.noise.stats();
        PeerStats {
            handshake_age: noise.handshake_age,
            received_age: self.received_at.map(|at| now.saturating_duration_since(at)),
            rx_bytes: noise.rx_bytes,
            tx_bytes: noise.tx_bytes,
            last_source: self.last_source,
        }
    }
}

/// All peers of a running tunnel.
#[derive(Default)]
pub(crate) struct Peers {
    by_key: BTreeMap<PublicKey, Arc<Peer>>,
    by_address: AllowedIps<Arc<Peer>>,
    /// Behind its own lock, because it changes with every handshake while the rest is read.
    by_index: RwLock<HashMap<u32, Arc<Peer>>>,
    /// Those whose timers run. Taken after a peer's state, never before.
    awake: Mutex<Vec<Arc<Peer>>>,
}

impl Peers {
    /// Adds a peer, or replaces the allowed IPs and keepalive of a known one, which keeps its session.
    pub(crate) fn set(
        &mut self,
        identity: &Identity,
        key: &PublicKey,
        config: &PeerConfig,
        slot: impl FnOnce() -> Arc<PathSlot>,
    ) {
        let keepalive_s = config.persistent_keepalive_s.filter(|interval_s| *interval_s > 0);
        let peer = self.by_key.entry(*key).or_insert_with(|| {
            let state = PeerState {
                noise: identity.peer(key, keepalive_s),
                inbound: InboundFilter::default(),
                last_source: None,
                received_at: None,
                poked_at: None,
                poke_due: false,
                has_keepalive: false,
                is_awake: false,
                ticks_left: 0,
                too_big: (0, None),
            };
            Arc::new(Peer { key: *key, slot: slot(), state: Mutex::new(state) })
        });
        let peer = Arc::clone(peer);
        let mut state = peer.lock();
        state.noise.set_keepalive(keepalive_s);
        state.has_keepalive = keepalive_s.is_some();
        state.inbound.set(&config.inbound);
        if keepalive_s.is_some() {
            Self::wake(&self.awake, &peer, &mut state);
        }
        drop(state);
        self.by_address.remove(|owner| owner.key == *key);
        for prefix in &config.allowed_ips {
            self.by_address.insert(*prefix, Arc::clone(&peer));
        }
    }

    pub(crate) fn remove(&mut self, key: &PublicKey) {
        self.by_key.remove(key);
        self.by_address.remove(|owner| owner.key == *key);
        self.indices_mut().retain(|_, owner| owner.key != *key);
        self.awake().retain(|peer| peer.key != *key);
    }

    /// A message of `peer` is made or taken: its timers run.
    pub(crate) fn note_used(&self, peer: &Arc<Peer>, state: &mut PeerState) {
        state.ticks_left = TICKS_AFTER_USE;
        Self::wake(&self.awake, peer, state);
    }

    /// Moves the timers of those that are in use, with `tick`; costs nothing for the others. Says whether there are any.
    pub(crate) fn tick(&self, mut tick: impl FnMut(&Arc<Peer>, MutexGuard<'_, PeerState>)) -> bool {
        // Not held while they tick: whoever is used meanwhile may lock it.
        let mut ticking = Ticking { awake: &self.awake, peers: std::mem::take(&mut *self.awake()) };
        ticking.peers.retain(|peer| {
            let mut state = peer.lock();
            let runs = state.take_tick();
            if runs {
                tick(peer, state);
            }
            runs
        });
        drop(ticking);
        !self.awake().is_empty()
    }

    /// Replaces every session after the node's own key changed.
    pub(crate) fn renew(
        &mut self,
        identity: &Identity,
        configs: &BTreeMap<PublicKey, PeerConfig>,
        slot: impl Fn(&PublicKey) -> Arc<PathSlot>,
    ) {
        *self = Self::default();
        for (key, config) in configs {
            self.set(identity, key, config, || slot(key));
        }
    }

    pub(crate) fn find(&self, owner: Owner) -> Option<Arc<Peer>> {
        match owner {
            Owner::Initiator(key) => self.by_key.get(&key).cloned(),
            Owner::Index(index) => {
                self.by_index.read().unwrap_or_else(PoisonError::into_inner).get(&index).cloned()
            }
        }
    }

    pub(crate) fn by_key(&self, key: &PublicKey) -> Option<&Arc<Peer>> {
        self.by_key.get(key)
    }

    /// The peer that `address` is routed to.
    pub(crate) fn by_address(&self, address: IpAddr) -> Option<&Arc<Peer>> {
        self.by_address.find(address)
    }

    /// Remembers whose handshake `index` is.
    pub(crate) fn learn_index(&self, index: u32, peer: &Arc<Peer>) {
        self.indices_mut().insert(index, Arc::clone(peer));
    }

    /// Forgets the indices of sessions that ended.
    pub(crate) fn forget_indices(&self, identity: &Identity) {
        self.indices_mut().retain(|index, _| identity.is_index_live(*index));
    }

    pub(crate) fn stats(&self) -> BTreeMap<PublicKey, PeerStats> {
        let now = Instant::now();
        self.by_key.iter().map(|(key, peer)| (*key, peer.lock().stats(now))).collect()
    }

    fn wake(awake: &Mutex<Vec<Arc<Peer>>>, peer: &Arc<Peer>, state: &mut PeerState) {
        if !std::mem::replace(&mut state.is_awake, true) {
            awake.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(peer));
        }
    }

    fn awake(&self) -> MutexGuard<'_, Vec<Arc<Peer>>> {
        self.awake.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn indices_mut(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<u32, Arc<Peer>>> {
        self.by_index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those that tick; given back also where one of them panics, or their timers would stand still for ever.
struct Ticking<'a> {
    awake: &'a Mutex<Vec<Arc<Peer>>>,
    peers: Vec<Arc<Peer>>,
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.awake.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.peers);
    }
}

#[cfg(test)]
mod tests {
    use protocol::key::PrivateKey;

    use super::*;

    fn ticks(persistent_keepalive_s: Option<u16>, is_used: bool) -> usize {
        let identity = Identity::new(&PrivateKey::from_random([1; 32]));
        let key = PrivateKey::from_random([2; 32]).public_key();
        let mut peers = Peers::default();
        let config = PeerConfig { persistent_keepalive_s, ..PeerConfig::default() };
        peers.set(&identity, &key, &config, Arc::<PathSlot>::default);
        let Some(peer) = peers.by_key.get(&key) else { return 0 };
        if is_used {
            // Twice: it ticks once at a time all the same.
            peers.note_used(peer, &mut peer.lock());
            peers.note_used(peer, &mut peer.lock());
        }
        let mut count = 0;
        for _ in 0..10_000 {
            peers.tick(|_, _| count += 1);
        }
        count
    }

    #[test]
    fn the_timers_of_a_peer_run_for_ten_minutes_after_its_use_and_for_ever_with_a_keepalive() {
        assert_eq!(ticks(None, false), 0);
        assert_eq!(ticks(None, true), usize::from(TICKS_AFTER_USE));
        assert_eq!(ticks(Some(25), false), 10_000);
        assert_eq!(ticks(Some(0), false), 0, "0 means none");
    }
}
