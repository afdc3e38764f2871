//! What happened, as one number (so that two runs can be compared) and, on request, as text.

use std::fmt::Write as _;

use endpoint_selection::Timestamp;

/// The run so far.
pub(crate) struct Transcript {
    hash: u64,
    lines: Option<String>,
}

impl Transcript {
    pub(crate) const fn new() -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: None }
    }

    /// Keeps text from now on.
    pub(crate) fn keep_text(&mut self) {
        self.lines.get_or_insert_default();
    }

    pub(crate) fn text(&self) -> &str {
        self.lines.as_deref().unwrap_or_default()
    }

    /// The FNV-1a hash of everything noted, eight bytes at a time.
    pub(crate) const fn hash(&self) -> u64 {
        self.hash
    }

    /// Notes that `what` happened at `now`, with its bytes, and in words where text is kept.
    pub(crate) fn note(&mut self, now: Timestamp, what: u64, bytes: &[u8], words: impl FnOnce() -> String) {
        self.mix(now.as_micros());
        self.mix(what);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        if let Some(lines) = &mut self.lines {
            let seconds = now.as_micros() / 1_000_000;
            let micros = now.as_micros() % 1_000_000;
            let _ = writeln!(lines, "{seconds:>5}.{micros:06} {}", words());
        }
    }

    const fn mix(&mut self, word: u64) {
        self.hash = (self.hash ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(17);
    }
}
