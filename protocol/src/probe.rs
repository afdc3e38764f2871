//! Probes: how two nodes test a path between them, sealed end to end with a key that only the two can derive.
//!
//! ```text
//! header 4 | pair tag 8 | nonce 24 | XChaCha20-Poly1305 ciphertext
//! ```
//!
//! The pair tag tells the receiver which peer's key opens the rest; outsiders cannot link it to a node. Nonces are
//! random, so a restart never repeats one. Every message says which life of the sender (`sender_epoch`, random at
//! start) it belongs to, which life of the receiver it answers to, and a counter: see [`crate::replay`].

use std::net::SocketAddr;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use endpoint_selection::traversal::{Punch, PunchKind};

use crate::derive::SharedSecret;
use crate::frame::{HEADER_LEN, header};
use crate::key::{PrivateKey, PublicKey};
use crate::relay::{ADDRESS_LEN, decode_address, encode_address};

/// The datagram kind of a probe (third byte).
pub const KIND: u8 = 0x01;

/// The most candidates that one call carries; more are left to the network map.
pub const CALL_CANDIDATES_MAX: usize = 16;

/// The most padding of a request: with the rest of a probe it fills a UDP datagram of an Ethernet link.
pub const PADDING_MAX: u16 = 1_360;

/// The UDP payload of a request without padding, in bytes.
pub const REQUEST_LEN: u16 = 111;

const TAG_LEN: usize = 8;
const NONCE_LEN: usize = 24;
const MAC_LEN: usize = 16;
const CLEAR_LEN: usize = HEADER_LEN + TAG_LEN + NONCE_LEN;
const FIXED_LEN: usize = 1 + 8 + 8 + 8;
/// What follows in a request and its reply: transaction, address, bytes heard.
const ANSWER_LEN: usize = 8 + ADDRESS_LEN + 8;
const PUNCH_LEN: usize = ADDRESS_LEN + 1 + 3 * 2;
const LABEL: &str = "warren probe";

/// What one node tells the other in a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Are you there, over this path? `transaction` comes back in the reply.
    Request {
        /// Names the request; random.
        transaction: u64,
        /// Bytes of padding, at most [`PADDING_MAX`]: shows whether datagrams of that size pass this way. The reply has none,
        /// because the way back may be narrower.
        padding: u16,
    },
    /// Yes.
    Reply {
        /// The request's transaction.
        transaction: u64,
        /// Where the request came from as the replier saw it: a candidate of the asker that no STUN server
        /// knows. `None` where it came over a relay.
        observed: Option<SocketAddr>,
        /// Bytes of the asker's tunnel packets that the replier has received in its life: whether data arrives, and not
        /// only probes.
        heard_bytes: u64,
    },
    /// Sent over a relay: these are my candidates, please probe them now, as I probe yours.
    Call {
        /// What the sender makes of its direct path to the receiver.
        direct: DirectPath,
        /// Addresses to probe, at most [`CALL_CANDIDATES_MAX`].
        candidates: Vec<SocketAddr>,
    },
    /// Sent over a relay: I open mappings towards you now, please send to where they may be.
    Punch(Punch),
}

/// A node's direct path to a peer, as it tells the peer: both have the same path, but each sees only what it sends get lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DirectPath {
    /// There is none, or none any more: the receiver's own is in doubt too.
    None,
    /// It is in use.
    InUse,
    /// It just failed: probes pass, and the tunnel's packets do not: of no use to the receiver either, whose answers would go astray.
    LosesData,
}

/// A message with what guards it against replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// Which life of the sender this is.
    pub sender_epoch: u64,
    /// Which life of the receiver the sender speaks to; 0 where it knows none yet.
    pub receiver_epoch: u64,
    /// Grows with every message of this life to this peer.
    pub counter: u64,
    /// The message.
    pub message: Message,
}

/// The probe keys of one pair of nodes.
pub struct PairKeys {
    seal: XChaCha20Poly1305,
    open: XChaCha20Poly1305,
    tag_out: [u8; TAG_LEN],
    tag_in: [u8; TAG_LEN],
}

impl PairKeys {
    /// Derives the keys; `None` where the peer's key is of low order.
    #[must_use]
    pub fn derive(own: &PrivateKey, peer: &PublicKey) -> Option<Self> {
        let own_public = own.public_key();
        let secret = SharedSecret::new(own, peer)?;
        let cipher = |from: &PublicKey, to: &PublicKey| {
            XChaCha20Poly1305::new_from_slice(secret.key(LABEL, from, to).as_slice()).ok()
        };
        let tag = |from: &PublicKey, to: &PublicKey| {
            let key = secret.key("warren probe tag", from, to);
            let mut tag = [0; TAG_LEN];
            tag.copy_from_slice(&key[..TAG_LEN]);
            tag
        };
        Some(Self {
            seal: cipher(&own_public, peer)?,
            open: cipher(peer, &own_public)?,
            tag_out: tag(&own_public, peer),
            tag_in: tag(peer, &own_public),
        })
    }

    /// The tag of the peer's probes to us, for a table from tag to peer.
    #[must_use]
    pub const fn incoming_tag(&self) -> [u8; TAG_LEN] {
        self.tag_in
    }

    /// Seals a probe under a random `nonce`. A reply is never longer than its request, so nobody gains from asking
    /// with a forged source.
    #[must_use]
    pub fn seal(&self, probe: &Probe, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let mut datagram = Vec::with_capacity(CLEAR_LEN + 64 + MAC_LEN);
        datagram.extend_from_slice(&header(KIND));
        datagram.extend_from_slice(&self.tag_out);
        let payload = encode(probe);
        let sealed = self.seal.encrypt(&XNonce::from(nonce), Payload { msg: &payload, aad: &datagram });
        #[expect(clippy::expect_used, reason = "fails only for messages over 256 GiB")]
        let sealed = sealed.expect("a probe fits");
        datagram.extend_from_slice(&nonce);
        datagram.extend_from_slice(&sealed);
        datagram
    }

    /// Opens a probe of the peer; `None` where it was not sealed by the peer for us, or says nothing we know.
    #[must_use]
    pub fn open(&self, datagram: &[u8]) -> Option<Probe> {
        let (associated, rest) = datagram.split_at_checked(HEADER_LEN + TAG_LEN)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let payload = Payload { msg: sealed, aad: associated };
        decode(&self.open.decrypt(&XNonce::from(*nonce), payload).ok()?)
    }
}

/// The pair tag of a probe datagram, to find the peer whose key opens it.
#[must_use]
pub fn tag_of(datagram: &[u8]) -> Option<[u8; TAG_LEN]> {
    datagram.get(HEADER_LEN..HEADER_LEN + TAG_LEN)?.try_into().ok()
}

fn encode(probe: &Probe) -> Vec<u8> {
    let kind = match probe.message {
        Message::Request { .. } => 1,
        Message::Reply { .. } => 2,
        Message::Call { .. } => 3,
        Message::Punch(_) => 4,
    };
    let mut bytes = Vec::with_capacity(FIXED_LEN + ANSWER_LEN);
    bytes.push(kind);
    bytes.extend_from_slice(&probe.sender_epoch.to_be_bytes());
    bytes.extend_from_slice(&probe.receiver_epoch.to_be_bytes());
    bytes.extend_from_slice(&probe.counter.to_be_bytes());
    match &probe.message {
        Message::Request { transaction, padding } => {
            bytes.extend_from_slice(&transaction.to_be_bytes());
            bytes.resize(FIXED_LEN + ANSWER_LEN + usize::from((*padding).min(PADDING_MAX)), 0);
        }
        Message::Reply { transaction, observed, heard_bytes } => {
            bytes.extend_from_slice(&transaction.to_be_bytes());
            bytes.extend_from_slice(&observed.map_or([0; ADDRESS_LEN], encode_address));
            bytes.extend_from_slice(&heard_bytes.to_be_bytes());
        }
        Message::Call { direct, candidates } => {
            bytes.push(match direct {
                DirectPath::None => 0,
                DirectPath::InUse => 1,
                DirectPath::LosesData => 2,
            });
            for candidate in candidates.iter().take(CALL_CANDIDATES_MAX) {
                bytes.extend_from_slice(&encode_address(*candidate));
            }
        }
        Message::Punch(punch) => bytes.extend_from_slice(&encode_punch(punch)),
    }
    bytes
}

/// Address, kind, and three numbers of two bytes; what a kind has no use for is zero.
fn encode_punch(punch: &Punch) -> [u8; PUNCH_LEN] {
    let (kind, numbers) = match punch.kind {
        PunchKind::Prediction { step, window } => (1, [step.cast_unsigned(), window, 0]),
        PunchKind::MutualPrediction { step, window } => (2, [step.cast_unsigned(), window, 0]),
        PunchKind::Range { first, last, probes } => (3, [first, last, probes]),
    };
    let mut bytes = [0; PUNCH_LEN];
    bytes[..ADDRESS_LEN].copy_from_slice(&encode_address(punch.outside));
    bytes[ADDRESS_LEN] = kind;
    for (place, number) in bytes[ADDRESS_LEN + 1..].chunks_exact_mut(2).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    bytes
}

fn decode_punch(body: &[u8]) -> Option<Punch> {
    let body: &[u8; PUNCH_LEN] = body.try_into().ok()?;
    let (address, rest) = body.split_first_chunk::<ADDRESS_LEN>()?;
    let (kind, numbers) = rest.split_first()?;
    let number = |index: usize| Some(u16::from_be_bytes(*numbers.as_chunks::<2>().0.get(index)?));
    let kind = match kind {
        1 => PunchKind::Prediction { step: number(0)?.cast_signed(), window: number(1)? },
        2 => PunchKind::MutualPrediction { step: number(0)?.cast_signed(), window: number(1)? },
        3 => PunchKind::Range { first: number(0)?, last: number(1)?, probes: number(2)? },
        _ => return None,
    };
    Some(Punch { outside: decode_address(address), kind })
}

fn decode(bytes: &[u8]) -> Option<Probe> {
    let (fixed, body) = bytes.split_first_chunk::<FIXED_LEN>()?;
    let number = |at: usize| Some(u64::from_be_bytes(fixed.get(at..at + 8)?.try_into().ok()?));
    let message = match fixed[0] {
        1 | 2 => {
            let (transaction, rest) = body.split_first_chunk()?;
            let (address, rest) = rest.split_first_chunk::<ADDRESS_LEN>()?;
            let (heard, rest) = rest.split_first_chunk()?;
            let padding = u16::try_from(rest.len()).ok().filter(|padding| *padding <= PADDING_MAX)?;
            let transaction = u64::from_be_bytes(*transaction);
            if fixed[0] == 1 {
                Message::Request { transaction, padding }
            } else {
                let observed = (address != &[0; ADDRESS_LEN]).then(|| decode_address(address));
                Message::Reply { transaction, observed, heard_bytes: u64::from_be_bytes(*heard) }
            }
        }
        3 => {
            let (direct, addresses) = body.split_first()?;
            let (addresses, rest) = addresses.as_chunks::<ADDRESS_LEN>();
            if !rest.is_empty() || addresses.len() > CALL_CANDIDATES_MAX {
                return None;
            }
            let direct = match direct {
                0 => DirectPath::None,
                1 => DirectPath::InUse,
                2 => DirectPath::LosesData,
                _ => return None,
            };
            Message::Call { direct, candidates: addresses.iter().map(decode_address).collect() }
        }
        4 => Message::Punch(decode_punch(body)?),
        _ => return None,
    };
    Some(Probe { sender_epoch: number(1)?, receiver_epoch: number(9)?, counter: number(17)?, message })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pair() -> (PairKeys, PairKeys) {
        let (a, b) = (PrivateKey::from_random([1; 32]), PrivateKey::from_random([2; 32]));
        let ab = PairKeys::derive(&a, &b.public_key()).unwrap();
        let ba = PairKeys::derive(&b, &a.public_key()).unwrap();
        (ab, ba)
    }

    fn probe(message: Message) -> Probe {
        Probe { sender_epoch: 11, receiver_epoch: 22, counter: 33, message }
    }

    #[test]
    fn the_peer_opens_every_kind_of_message() {
        let (a, b) = pair();
        let address: SocketAddr = "203.0.113.5:1234".parse().unwrap();
        for message in [
            Message::Request { transaction: 7, padding: 0 },
            Message::Request { transaction: 7, padding: PADDING_MAX },
            Message::Reply { transaction: 7, observed: Some(address), heard_bytes: u64::MAX },
            Message::Reply { transaction: 7, observed: None, heard_bytes: 0 },
            Message::Punch(Punch { outside: address, kind: PunchKind::Prediction { step: -2, window: 16 } }),
            Message::Punch(Punch {
                outside: address,
                kind: PunchKind::MutualPrediction { step: i16::MIN, window: u16::MAX },
            }),
            Message::Punch(Punch {
                outside: address,
                kind: PunchKind::Range { first: 1_024, last: 65_535, probes: 2_048 },
            }),
            Message::Call {
                direct: DirectPath::InUse,
                candidates: vec![address, "[fd00::1]:5".parse().unwrap()],
            },
            Message::Call { direct: DirectPath::None, candidates: Vec::new() },
            Message::Call { direct: DirectPath::LosesData, candidates: Vec::new() },
        ] {
            let datagram = a.seal(&probe(message.clone()), [9; 24]);
            assert_eq!(tag_of(&datagram), Some(b.incoming_tag()));
            assert_eq!(b.open(&datagram), Some(probe(message)));
        }
    }

    #[test]
    fn a_probe_reflected_to_its_sender_is_not_opened() {
        let (a, _) = pair();
        let datagram = a.seal(&probe(Message::Request { transaction: 7, padding: 0 }), [9; 24]);
        assert_eq!(a.open(&datagram), None);
    }

    #[test]
    fn a_stranger_opens_and_forges_nothing() {
        let (a, b) = pair();
        let stranger = PrivateKey::from_random([3; 32]);
        let victim = PrivateKey::from_random([2; 32]).public_key();
        let forged = PairKeys::derive(&stranger, &victim).unwrap();
        assert_eq!(
            b.open(&forged.seal(&probe(Message::Request { transaction: 7, padding: 0 }), [9; 24])),
            None
        );
        let datagram = a.seal(&probe(Message::Request { transaction: 7, padding: 0 }), [9; 24]);
        assert_eq!(forged.open(&datagram), None);
    }

    #[test]
    fn a_probe_with_any_byte_changed_is_not_opened() {
        let (a, b) = pair();
        let datagram = a.seal(&probe(Message::Request { transaction: 7, padding: 0 }), [9; 24]);
        for index in 0..datagram.len() {
            let mut changed = datagram.clone();
            changed[index] ^= 1;
            assert_eq!(b.open(&changed), None, "byte {index}");
        }
    }

    #[test]
    fn a_request_is_never_shorter_than_its_reply() {
        let (a, _) = pair();
        let observed = Some("[2001:db8::1]:9".parse().unwrap());
        for padding in [0, 1, PADDING_MAX, u16::MAX] {
            let request = a.seal(&probe(Message::Request { transaction: 7, padding }), [9; 24]);
            let reply = Message::Reply { transaction: 7, observed, heard_bytes: 5 };
            assert_eq!(a.seal(&probe(reply), [9; 24]).len(), usize::from(REQUEST_LEN));
            assert_eq!(request.len(), usize::from(REQUEST_LEN + padding.min(PADDING_MAX)));
        }
    }

    proptest! {
        #[test]
        fn any_plaintext_is_decoded_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn any_datagram_is_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (a, _) = pair();
            prop_assert_eq!(a.open(&bytes), None);
        }
    }
}
