//! The relay's own secret: cookies that prove a source address, and session ids that nobody can guess.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use endpoint_selection::Timestamp;
use hkdf::hmac::{Hmac, KeyInit, Mac};
use protocol::relay::{COOKIE_LEN, SessionId};
use sha2::Sha256;
use zeroize::Zeroizing;

/// How long one cookie is handed out. The current and the previous slot's are accepted, so a cookie lives one to two
/// of these: long enough for any round trip, short enough that an address given to somebody else loses it.
pub const COOKIE_SLOT: Duration = Duration::from_secs(60);

/// A secret of one process; each use has its own label, so that no output of one use serves as another's.
pub(super) struct RelaySecret(Zeroizing<[u8; 32]>);

impl RelaySecret {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The cookie for `from` at `now`. Needs no memory: whoever sends it back received it.
    pub(super) fn cookie(&self, from: SocketAddr, now: Timestamp) -> [u8; COOKIE_LEN] {
        first_bytes(self.cookie_mac(from, slot(now)))
    }

    /// Whether `cookie` was handed to `from` within the last two slots. Constant time in the cookie's bytes.
    pub(super) fn accepts(&self, cookie: &[u8; COOKIE_LEN], from: SocketAddr, now: Timestamp) -> bool {
        let current = slot(now);
        [Some(current), current.checked_sub(1)]
            .into_iter()
            .flatten()
            .any(|slot| self.cookie_mac(from, slot).verify_truncated_left(cookie).is_ok())
    }

    /// The id of the `number`th session.
    pub(super) fn session_id(&self, number: u64) -> SessionId {
        let mut mac = self.keyed(b"session");
        mac.update(&number.to_be_bytes());
        SessionId(first_bytes(mac))
    }

    /// The secret for a table of source limits.
    pub(super) fn source_limits(&self) -> [u8; 16] {
        first_bytes(self.keyed(b"sources"))
    }

    fn cookie_mac(&self, from: SocketAddr, slot: u64) -> Hmac<Sha256> {
        let ip = match from.ip() {
            IpAddr::V4(ip) => ip.to_ipv6_mapped(),
            IpAddr::V6(ip) => ip,
        };
        let mut mac = self.keyed(b"cookie");
        mac.update(&ip.octets());
        mac.update(&from.port().to_be_bytes());
        mac.update(&slot.to_be_bytes());
        mac
    }

    fn keyed(&self, label: &[u8]) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes a key of any length")]
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(self.0.as_slice()).expect("any length");
        mac.update(label);
        mac
    }
}

fn slot(now: Timestamp) -> u64 {
    now.as_micros() / 1_000_000 / COOKIE_SLOT.as_secs()
}

fn first_bytes<const N: usize>(mac: Hmac<Sha256>) -> [u8; N] {
    let full = mac.finalize().into_bytes();
    std::array::from_fn(|index| full[index])
}
