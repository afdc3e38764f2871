//! The Noise core of `gotatun`, behind [`Noise`].

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::BytesMut;
use gotatun::noise::handshake::parse_handshake_anon;
use gotatun::noise::index_table::IndexTable;
use gotatun::noise::rate_limiter::RateLimiter;
use gotatun::noise::{Tunn, TunnResult};
use gotatun::packet::{Packet, WgKind};
use gotatun::tun::MtuWatcher;
use gotatun::x25519;
use protocol::key::{PrivateKey, PublicKey};

use super::{Admission, Noise, NoiseStats, Owner, Refused, kind, receiver_index};

/// Handshakes per second and source that are answered without asking for a cookie: what `gotatun`'s own device
/// allows, and far above what two honest nodes do (one per 5 s).
const HANDSHAKES_PER_SECOND_MAX: u64 = 100;

/// A node's private key and what hangs on it: the MACs, the limit on handshakes and the session indices.
pub(crate) struct Identity {
    private: x25519::StaticSecret,
    public: x25519::PublicKey,
    indices: IndexTable,
    limiter: Arc<RateLimiter>,
}

impl Identity {
    pub(crate) fn new(private_key: &PrivateKey) -> Self {
        let private = x25519::StaticSecret::from(*private_key.as_bytes());
        let public = x25519::PublicKey::from(&private);
        let limiter = Arc::new(RateLimiter::new(&public, HANDSHAKES_PER_SECOND_MAX));
        Self { private, public, indices: IndexTable::from_os_rng(), limiter }
    }

    /// The Noise core for one peer.
    pub(crate) fn peer(&self, key: &PublicKey, keepalive_s: Option<u16>) -> Box<dyn Noise> {
        let tunn = Tunn::new(
            self.private.clone(),
            x25519::PublicKey::from(*key.as_bytes()),
            None,
            keepalive_s,
            self.indices.clone(),
            Arc::clone(&self.limiter),
        );
        Box::new(GotatunPeer { tunn, waiting: false })
    }

    /// Checks a message from `source` as far as that goes without knowing the peer: length, MAC1, and the limit on
    /// handshakes.
    pub(crate) fn admit(&self, source: SocketAddr, message: BytesMut) -> Admission {
        let message = match self.limiter.verify_packet(source, Packet::from_bytes(message)) {
            Ok(message) => message,
            Err(TunnResult::WriteToNetwork(cookie)) => return Admission::Limited(into_bytes(cookie)),
            Err(_) => return Admission::Refused,
        };
        let owner = if let WgKind::HandshakeInit(initiation) = &message {
            match parse_handshake_anon(&self.private, &self.public, initiation) {
                Ok(half) => Owner::Initiator(PublicKey::from_bytes(half.peer_static_public)),
                Err(_) => return Admission::Refused,
            }
        } else {
            let message = into_bytes(message);
            return match receiver_index(&message) {
                Some(index) => Admission::Admitted(Owner::Index(index), message),
                None => Admission::Refused,
            };
        };
        Admission::Admitted(owner, into_bytes(message))
    }

    /// Whether a session or handshake still uses `index`.
    pub(crate) fn is_index_live(&self, index: u32) -> bool {
        self.indices.in_use(index)
    }

    /// Begins a new second of the limit on handshakes. The limiter does not do it by itself, and its memory would
    /// grow with every source address (GHSA-m2rr-7rr7-vmp7).
    pub(crate) fn tick(&self) {
        self.limiter.try_reset_count();
    }
}

struct GotatunPeer {
    tunn: Tunn,
    /// The core queued a packet, or wants a handshake, and no session has come since.
    waiting: bool,
}

impl GotatunPeer {
    fn has_session(&self) -> bool {
        self.tunn.time_since_last_handshake().is_some()
    }

    /// Notes a handshake that the core began by itself.
    fn emit(&mut self, message: WgKind, out: &mut Vec<BytesMut>) {
        if matches!(message, WgKind::HandshakeInit(_)) {
            self.waiting = true;
        }
        out.push(into_bytes(message));
    }
}

impl Noise for GotatunPeer {
    fn seal(&mut self, packet: &[u8], mtu: u16, out: &mut Vec<BytesMut>) {
        let packet = Packet::from_bytes(BytesMut::from(packet));
        match self.tunn.handle_outgoing_packet(packet, Some(&mut MtuWatcher::new(mtu))) {
            Some(message) => self.emit(message, out),
            None => self.waiting = true,
        }
    }

    fn open(
        &mut self,
        message: BytesMut,
        mtu: u16,
        out: &mut Vec<BytesMut>,
    ) -> Result<Option<BytesMut>, Refused> {
        let is_data = message.first() == Some(&kind::DATA);
        let message = Packet::from_bytes(message).try_into_wg().map_err(|_| Refused)?;
        let inner = match self.tunn.handle_incoming_packet(message) {
            TunnResult::Err(_) => return Err(Refused),
            TunnResult::Done => None,
            TunnResult::WriteToNetwork(answer) => {
                out.push(into_bytes(answer));
                None
            }
            TunnResult::WriteToTunnel(mut packet) => Some(std::mem::take(packet.buf_mut())),
        };
        if self.waiting && self.has_session() {
            let queued: Vec<WgKind> = self.tunn.get_queued_packets(&mut MtuWatcher::new(mtu)).collect();
            out.extend(queued.into_iter().map(into_bytes));
            self.waiting = false;
        }
        debug_assert!(is_data || inner.is_none(), "only data messages carry packets");
        Ok(inner.filter(|packet| !packet.is_empty()))
    }

    fn tick(&mut self, out: &mut Vec<BytesMut>) {
        match self.tunn.update_timers() {
            Ok(Some(message)) => self.emit(message, out),
            Ok(None) => {}
            // The core gave up after 90 s and dropped its queue; the next packet begins anew.
            Err(_) => self.waiting = false,
        }
    }

    fn initiate(&mut self, out: &mut Vec<BytesMut>) {
        if let Some(initiation) = self.tunn.format_handshake_initiation(true) {
            self.emit(initiation.into(), out);
        }
    }

    fn set_keepalive(&mut self, interval_s: Option<u16>) {
        self.tunn.set_persistent_keepalive(interval_s);
    }

    fn stats(&self) -> NoiseStats {
        let (handshake_age, tx_bytes, rx_bytes, _, _) = self.tunn.stats();
        NoiseStats {
            handshake_age,
            waiting: self.waiting,
            tx_bytes: tx_bytes as u64,
            rx_bytes: rx_bytes as u64,
        }
    }
}

fn into_bytes(message: WgKind) -> BytesMut {
    let mut packet: Packet = message.into();
    std::mem::take(packet.buf_mut())
}
