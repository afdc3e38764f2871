//! Random bytes from the seed that the caller gave, so that a simulation replays exactly.

use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};

pub(crate) struct Entropy(ChaCha20Rng);

impl Entropy {
    pub(crate) fn new(seed: &[u8; 32]) -> Self {
        Self(ChaCha20Rng::from_seed(*seed))
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.0.next_u64()
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
