//! Where random bytes come from: the system, or a seed for simulations that must repeat.

use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A source of random bytes.
#[derive(Debug)]
pub struct Entropy(Source);

#[derive(Debug)]
enum Source {
    System,
    /// SHA-256 over the seed and a counter.
    Seeded {
        seed: u64,
        counter: Mutex<u64>,
    },
}

impl Entropy {
    /// The operating system's generator.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// Bytes that follow from a seed: for simulations only, anybody can guess them.
    #[must_use]
    pub const fn seeded(seed: u64) -> Self {
        Self(Source::Seeded { seed, counter: Mutex::new(0) })
    }

    /// 32 random bytes.
    #[must_use]
    pub fn secret(&self) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        match &self.0 {
            #[expect(clippy::expect_used, reason = "a system without randomness cannot make keys at all")]
            Source::System => getrandom::fill(bytes.as_mut_slice()).expect("the system gives random bytes"),
            Source::Seeded { seed, counter } => {
                let mut counter = counter.lock().unwrap_or_else(PoisonError::into_inner);
                *counter += 1;
                let digest =
                    Sha256::new().chain_update(seed.to_be_bytes()).chain_update(counter.to_be_bytes());
                bytes.copy_from_slice(&digest.finalize());
            }
        }
        bytes
    }

    /// A new id that sorts by time (UUID version 7, RFC 9562 §5.7).
    #[must_use]
    pub fn id(&self, now_ms: i64) -> Uuid {
        let random = self.secret();
        let mut tail = [0; 10];
        tail.copy_from_slice(&random[..10]);
        uuid::Builder::from_unix_timestamp_millis(u64::try_from(now_ms).unwrap_or(0), &tail).into_uuid()
    }
}
