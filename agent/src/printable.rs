//! Texts of other machines, made fit for a terminal and a log.

/// The longest text that is shown, in characters.
const CHARACTERS_MAX: usize = 300;

/// `text` without control characters, which could rewrite what a terminal shows, and not longer than a few lines.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_endless_texts_are_cut() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{9b}"), "a[2Jbc");
        assert_eq!(printable(&"x".repeat(1000)).len(), CHARACTERS_MAX);
    }
}
