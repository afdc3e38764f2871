//! The number by which a router knows in PCP that a mapping is ours (RFC 6887 §11.1).

use std::net::Ipv4Addr;

use crab_nat::pcp::Nonce;
use hkdf::Hkdf;
use protocol::key::PrivateKey;
use sha2::Sha256;

/// Makes nonces that no one else can guess and that are the same in each life of the node: a router holds a mapping for hours after
/// an agent that was killed, and gives it to nobody with another nonce meanwhile.
pub(super) struct NonceKey(Hkdf<Sha256>);

impl NonceKey {
    /// A key that tells nothing of the node's own.
    pub(super) fn new(private_key: &PrivateKey) -> Self {
        Self(Hkdf::new(Some(b"warren pcp nonce"), private_key.as_bytes()))
    }

    /// The nonce for one router.
    pub(super) fn nonce(&self, router: Ipv4Addr) -> Nonce {
        let mut bytes = [[0; 4]; 3];
        // Twelve bytes are far less than the most that can be expanded, which is the only error.
        let _ = self.0.expand(&router.octets(), bytes.as_flattened_mut());
        bytes.map(u32::from_be_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_one_nodes_at_one_router_and_lasts() {
        let key = |byte| NonceKey::new(&PrivateKey::from_random([byte; 32]));
        let (home, cafe) = (Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(10, 0, 0, 1));
        assert_eq!(key(1).nonce(home), key(1).nonce(home));
        assert_ne!(key(1).nonce(home), key(1).nonce(cafe));
        assert_ne!(key(1).nonce(home), key(2).nonce(home));
        assert_ne!(key(1).nonce(home), [0; 3]);
    }
}
