//! The daemon's side of the control socket: checks who asks, and bounds how much, how long and how many.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::stat::{Mode, umask};
use nix::unistd::Uid;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::protocol::{Answer, LINE_BYTES_MAX, Request, check_path};
use crate::failure::{Code, Failure};

/// Connections served at once; others wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 32;

/// How long a caller may take to send its line, and to take its answer.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the daemon may think: above the longest call to the coordinator.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// A request on its way to the daemon's loop.
#[derive(Debug)]
pub(crate) struct Call {
    /// What is asked.
    pub(crate) request: Request,
    /// Where the answer goes.
    pub(crate) reply: oneshot::Sender<Result<Value, Failure>>,
}

/// The listening socket; its file vanishes when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    path: PathBuf,
    accepting: AbortHandle,
}

impl Server {
    /// Listens at `path`, which only root and the daemon's own user may use, and hands what is asked to `calls`.
    ///
    /// # Errors
    /// Where another daemon listens there, or the system refuses.
    pub(crate) fn start(path: &Path, calls: mpsc::Sender<Call>) -> Result<Self, Failure> {
        check_path(path)?;
        let failed = |error: &io::Error| {
            let message =
                format!("cannot listen at {}: {error}; choose another path with --socket", path.display());
            Failure::from_io(error, message)
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            let made = fs::DirBuilder::new().recursive(true).mode(0o755).create(folder);
            made.map_err(|error| failed(&error))?;
        }
        remove_stale(path)?;
        // The mode must be right from the first moment, so it is the mask that sets it, not a later chmod.
        let before = umask(Mode::from_bits_truncate(0o177));
        let bound = UnixListener::bind(path);
        umask(before);
        let listener = bound.map_err(|error| failed(&error))?;
        let accepting = tokio::spawn(accept(listener, calls)).abort_handle();
        Ok(Self { path: path.to_owned(), accepting })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the control socket");
        }
    }
}

/// Removes what a daemon that was killed left behind; never a living daemon's socket, never another file.
fn remove_stale(path: &Path) -> Result<(), Failure> {
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    let shown = path.display();
    if !found.file_type().is_socket() {
        let message =
            format!("{shown} exists and is no socket: remove it, or choose another path with --socket");
        return Err(Failure::new(Code::Failed, message));
    }
    match BlockingStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|error| {
                Failure::from_io(&error, format!("cannot remove the old socket {shown}: {error}"))
            })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Ok(_) | Err(_) => {
            let message =
                format!("another agent listens at {shown}: stop it, or choose another path with --socket");
            Err(Failure::new(Code::Failed, message))
        }
    }
}

async fn accept(listener: UnixListener, calls: mpsc::Sender<Call>) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let calls = calls.clone();
                tokio::spawn(async move {
                    serve(stream, &calls).await;
                    drop(slot);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection at the control socket");
                // Out of file descriptors, most likely: give others the time to close theirs.
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(mut stream: UnixStream, calls: &mpsc::Sender<Call>) {
    let answer = match answer(&mut stream, calls).await {
        Ok(value) => Answer::Ok(value),
        Err(failure) => Answer::Error(failure),
    };
    let Ok(mut line) = serde_json::to_vec(&answer) else { return };
    line.push(b'\n');
    match timeout(TRANSFER_TIMEOUT, stream.write_all(&line)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a caller did not take its answer"),
        Err(_) => tracing::debug!("a caller was too slow to take its answer"),
    }
}

async fn answer(stream: &mut UnixStream, calls: &mpsc::Sender<Call>) -> Result<Value, Failure> {
    check_caller(stream)?;
    let line = match timeout(TRANSFER_TIMEOUT, read_line(stream)).await {
        Ok(line) => line?,
        Err(_) => return Err(Failure::new(Code::TimedOut, "no request came in time: send one line of JSON")),
    };
    let request = serde_json::from_slice(&line).map_err(|error| {
        Failure::new(Code::Usage, format!("the request is not understood: {error}; use the warren command"))
    })?;
    let (reply, answer) = oneshot::channel();
    let stopping =
        || Failure::new(Code::NotRunning, "the agent is stopping: start it again with `warren agent`");
    calls.send(Call { request, reply }).await.map_err(|_| stopping())?;
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|_| stopping())?,
        Err(_) => Err(Failure::new(Code::TimedOut, "the agent found no answer in time: look at its log")),
    }
}

/// Only root and the daemon's own user may ask, whatever became of the socket file's mode.
fn check_caller(stream: &UnixStream) -> Result<(), Failure> {
    let caller = stream.peer_cred().map(|credentials| Uid::from_raw(credentials.uid()));
    match caller {
        Ok(uid) if may_call(uid, Uid::effective()) => Ok(()),
        _ => {
            let message = "not permitted to command the agent: run as root or as the agent's user";
            Err(Failure::new(Code::NoPermission, message))
        }
    }
}

fn may_call(caller: Uid, own: Uid) -> bool {
    caller.is_root() || caller == own
}

/// Reads to the first line feed or the end of the stream.
async fn read_line(stream: &mut UnixStream) -> Result<Vec<u8>, Failure> {
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let count = stream
            .read(&mut chunk)
            .await
            .map_err(|error| Failure::new(Code::Failed, format!("the request broke off: {error}")))?;
        let read = chunk.get(..count).unwrap_or_default();
        let end = read.iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(read.get(..end.unwrap_or(count)).unwrap_or_default());
        if line.len() > LINE_BYTES_MAX {
            return Err(Failure::new(
                Code::Usage,
                format!("the request is longer than {LINE_BYTES_MAX} bytes"),
            ));
        }
        if end.is_some() || count == 0 {
            return Ok(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// A server whose daemon answers each request with its name.
    fn echo(path: &Path) -> Server {
        let (calls, mut received) = mpsc::channel::<Call>(8);
        tokio::spawn(async move {
            while let Some(call) = received.recv().await {
                let _ = call.reply.send(Ok(serde_json::to_value(&call.request).unwrap()));
            }
        });
        Server::start(path, calls).unwrap()
    }

    async fn say(path: &Path, bytes: Vec<u8>) -> String {
        let path = path.to_owned();
        let talk = move || {
            let mut stream = BlockingStream::connect(path).unwrap();
            // The server may close before it has read all of an endless line.
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        };
        tokio::task::spawn_blocking(talk).await.unwrap()
    }

    #[tokio::test]
    async fn a_request_is_answered_and_garbage_is_told_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sock");
        let _server = echo(&path);
        let sound = say(&path, b"{\"request\":\"status\"}\nmore".to_vec()).await;
        assert_eq!(sound.trim(), r#"{"ok":{"request":"status"}}"#);
        for garbage in
            [&b""[..], b"\n", b"{}\n", b"{\"request\":\"explode\"}\n", b"\xff\x00\n", b"[[[[[[[[[["]
        {
            let answer = say(&path, garbage.to_vec()).await;
            assert!(answer.contains(r#""code":"usage""#), "{garbage:?}: {answer}");
        }
        let deep = say(&path, vec![b'['; LINE_BYTES_MAX]).await;
        assert!(deep.contains(r#""code":"usage""#), "{deep}");
        assert!(say(&path, sound.into_bytes()).await.contains("usage"), "the server still lives");
    }

    #[tokio::test]
    async fn an_endless_line_is_cut_off() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sock");
        let _server = echo(&path);
        let exact = LINE_BYTES_MAX + 1;
        let answer = say(&path, vec![b'x'; exact]).await;
        assert!(answer.contains("longer than"), "{answer}");
    }

    #[tokio::test]
    async fn the_socket_belongs_to_its_owner_and_vanishes_with_the_server() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/er/sock");
        let server = echo(&path);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(server);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_living_one_or_a_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        let _server = echo(&path);
        let (calls, _received) = mpsc::channel(1);
        let error = Server::start(&path, calls.clone()).unwrap_err();
        assert!(error.message.contains("another agent listens"), "{error}");
        let file = folder.path().join("file");
        fs::write(&file, b"precious").unwrap();
        Server::start(&file, calls).unwrap_err();
        assert_eq!(fs::read(&file).unwrap(), b"precious");
    }

    #[test]
    fn only_root_and_the_daemons_user_may_call() {
        let (root, daemon, other) = (Uid::from_raw(0), Uid::from_raw(7), Uid::from_raw(8));
        assert!(may_call(root, daemon) && may_call(daemon, daemon));
        assert!(!may_call(other, daemon) && !may_call(daemon, root));
    }
}
