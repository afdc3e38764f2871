//! Random bytes of the operating system.

use zeroize::Zeroizing;

/// `N` random bytes, wiped when dropped.
#[expect(
    clippy::expect_used,
    reason = "without randomness no key is safe; Linux gives it since 3.17, and from then on always"
)]
pub(crate) fn bytes<const N: usize>() -> Zeroizing<[u8; N]> {
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).expect("the operating system gives random bytes");
    bytes
}

/// A number from 0 to 1, for jitter.
pub(crate) fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(*bytes::<4>())) / f64::from(u32::MAX)
}
