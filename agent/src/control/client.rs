//! The command line's side of the control socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::protocol::{ANSWER_BYTES_MAX, Answer, Request, check_path};
use crate::failure::{Code, Failure};

/// How long the daemon may take: longer than its own longest wait, which is a call to the coordinator.
const TIMEOUT: Duration = Duration::from_secs(40);

/// Asks the daemon at `socket` one thing.
///
/// # Errors
/// The daemon's own, or that there is none, or that we may not ask it.
pub(crate) fn call<T: DeserializeOwned>(socket: &Path, request: &Request) -> Result<T, Failure> {
    check_path(socket)?;
    let answer = exchange(socket, request).map_err(|error| explain(socket, &error))?;
    match serde_json::from_slice(&answer).map_err(|_| not_understood(socket))? {
        Answer::Ok(value) => serde_json::from_value(value).map_err(|_| not_understood(socket)),
        Answer::Error(failure) => Err(failure),
    }
}

fn exchange(socket: &Path, request: &Request) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // A daemon that refuses the caller answers before it reads; then the answer matters, not the broken pipe.
    let written = stream.write_all(&line);
    let mut answer = Vec::new();
    let limit = u64::try_from(ANSWER_BYTES_MAX).unwrap_or(u64::MAX);
    let read = stream.take(limit).read_to_end(&mut answer);
    if answer.is_empty() {
        written?;
        read?;
    }
    Ok(answer)
}

fn explain(socket: &Path, error: &io::Error) -> Failure {
    let socket = socket.display();
    let is = |kinds: &[io::ErrorKind]| kinds.contains(&error.kind());
    let (code, message) = if is(&[io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused]) {
        let message =
            format!("the agent is not running (no daemon at {socket}): start it with `warren agent`");
        (Code::NotRunning, message)
    } else if is(&[io::ErrorKind::PermissionDenied]) {
        (Code::NoPermission, format!("not permitted to use {socket}: run as root or as the agent's user"))
    } else if is(&[io::ErrorKind::WouldBlock, io::ErrorKind::TimedOut]) {
        (Code::TimedOut, format!("the agent at {socket} does not answer: look at its log, or restart it"))
    } else {
        (Code::Failed, format!("cannot talk to the agent at {socket}: {error}; restart it"))
    };
    Failure::new(code, message)
}

fn not_understood(socket: &Path) -> Failure {
    let message = format!(
        "the agent at {} answers something else than expected: restart it, so that it has this program's version",
        socket.display()
    );
    Failure::new(Code::Failed, message)
}
