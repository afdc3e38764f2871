//! The lab's words to its caller.

use std::io::Write;

/// Prints one line; a reader that went away does not matter.
pub fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}

/// Prints one line of complaint on standard error.
pub fn complain(line: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr().lock(), "lab: {line}");
}
