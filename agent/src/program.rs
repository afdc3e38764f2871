//! Programs of the system that the agent runs: to their end, with what they say.

use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

/// Runs a program, `call` being its name and what belongs to it in messages, on a script; gives what it tells.
///
/// # Errors
/// A sentence: that it is missing, and which package has it, or the first line of its complaint.
pub(crate) fn run(call: &[&str], package: &str, arguments: &[&str], script: &str) -> Result<String, String> {
    let (name, shown) = (call.first().copied().unwrap_or_default(), call.join(" "));
    let mut command = Command::new(name);
    command.args(call.iter().skip(1)).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| {
        if error.kind() == ErrorKind::NotFound {
            format!("the program `{name}` is missing: install {package}")
        } else {
            format!("cannot run `{name}`: {error}")
        }
    })?;
    if let Some(mut input) = child.stdin.take() {
        // One that ends without reading says why below.
        let _ = input.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("cannot wait for `{name}`: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{shown}` refuses: {}", said.lines().next().unwrap_or_default().trim()))
}
