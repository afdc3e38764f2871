//! Where a verb's words go: results to stdout, complaints to stderr, colours only where a person sees them.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use crate::control::answer::DoneAnswer;
use crate::failure::{Code, Failure};

/// The user's terminal, or what stands in for it.
pub(super) struct Terminal {
    json: bool,
    is_colourful: bool,
}

/// Colours with a meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colour {
    /// As it should be.
    Green,
    /// Works, but could be better.
    Yellow,
    /// Does not work.
    Red,
}

impl Terminal {
    /// A terminal that gets JSON or text.
    pub(super) fn new(json: bool) -> Self {
        Self { json, is_colourful: !json && io::stdout().is_terminal() && wants_colour() }
    }

    /// Whether JSON is wanted.
    pub(super) const fn wants_json(&self) -> bool {
        self.json
    }

    /// Writes a line to stdout.
    pub(super) fn line(&self, text: &str) {
        // The reader may have closed the pipe (`warren peers | head`): then nobody misses the rest.
        let _ = writeln!(io::stdout(), "{}", text.trim_end());
    }

    /// Writes a value as JSON to stdout.
    ///
    /// # Errors
    /// Where the value has no JSON form.
    pub(super) fn json<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new(Code::Failed, format!("the result has no JSON form: {error}")))?;
        self.line(&text);
        Ok(())
    }

    /// Writes a value as JSON in one line to stdout, before the command is over.
    ///
    /// # Errors
    /// Where the value has no JSON form.
    pub(super) fn json_line<T: Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new(Code::Failed, format!("the result has no JSON form: {error}")))?;
        self.line(&text);
        Ok(())
    }

    /// Writes what the daemon did.
    ///
    /// # Errors
    /// Where the answer has no JSON form.
    pub(super) fn done(&self, done: &DoneAnswer) -> Result<(), Failure> {
        if self.json {
            return self.json(done);
        }
        self.line(&done.verdict);
        Ok(())
    }

    /// Writes a complaint to stderr.
    pub(super) fn error(&self, message: &str) {
        let _ = writeln!(io::stderr(), "warren: {message}");
    }

    /// `text` in a colour, where colours are wanted.
    pub(super) fn paint(&self, colour: Colour, text: &str) -> String {
        let number = match colour {
            Colour::Green => 32,
            Colour::Yellow => 33,
            Colour::Red => 31,
        };
        if self.is_colourful { format!("\u{1b}[{number}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A verdict: its first word says how good it is.
    pub(super) fn verdict(&self, verdict: &str) -> String {
        let first = verdict.split([':', ' ']).next().unwrap_or_default();
        let colour = match first {
            "connected" | "good" | "usable" => Colour::Green,
            "partly" | "limited" | "starting" | "down" => Colour::Yellow,
            _ => Colour::Red,
        };
        self.paint(colour, verdict)
    }
}

/// Whether logs on stderr may be coloured.
pub(crate) fn is_colourful_stderr() -> bool {
    io::stderr().is_terminal() && wants_colour()
}

/// NO_COLOR, as <https://no-color.org> has it: set and not empty means none.
fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_appear_only_where_wanted() {
        let plain = Terminal { json: false, is_colourful: false };
        assert_eq!(plain.verdict("good: x"), "good: x");
        let colourful = Terminal { json: false, is_colourful: true };
        assert_eq!(colourful.verdict("good: x"), "\u{1b}[32mgood: x\u{1b}[0m");
        assert_eq!(colourful.verdict("blocked: x"), "\u{1b}[31mblocked: x\u{1b}[0m");
    }
}
