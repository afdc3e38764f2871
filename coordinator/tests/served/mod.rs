//! The program itself as a process, and the admin commands beside it.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::api::EnrollResponse;
use protocol::key::PrivateKey;
use serde_json::Value;

/// How long a test waits for a log line: the slowest, a certificate by ACME, takes seconds on a busy machine.
const LOG_LINE_MAX: Duration = Duration::from_secs(90);

pub(crate) fn command(directory: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warren-coordinator"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WARREN_")) {
        command.env_remove(name);
    }
    command.args(words).env("WARREN_DATA_DIR", directory);
    command
}

pub(crate) fn run(directory: &Path, words: &[&str]) -> Output {
    command(directory, words).output().unwrap()
}

pub(crate) fn admin(directory: &Path, words: &[&str]) -> Value {
    let output = run(directory, &[&["admin", "--json"], words].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A running coordinator; killed when a test fails before it stops it.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// Where metrics are, if anywhere.
    pub(crate) metrics: Option<String>,
    log: Receiver<String>,
    /// What it logged while a test waited for something else.
    said: Vec<Value>,
}

impl Served {
    pub(crate) fn start(directory: &Path) -> Self {
        Self::start_with(directory, &[])
    }

    /// Starts it with more flags.
    pub(crate) fn start_with(directory: &Path, more: &[&str]) -> Self {
        let words = ["serve", "--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0", "--log-format", "json"];
        Self::spawn(command(directory, &[&words, more].concat()))
    }

    /// Runs a command that serves, and waits until it answers.
    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = lines(child.stderr.take().unwrap());
        // Owned from here on, so that a failed assertion still ends the process.
        let mut served = Self { child, address: String::new(), metrics: None, log, said: Vec::new() };
        let event = served.logged("the coordinator answers");
        let listen = event["listen"].as_str().unwrap();
        listen.trim_matches(['[', ']']).clone_into(&mut served.address);
        served
    }

    /// Waits for a log line that starts so. One that came while the test waited for another one counts, and each counts once.
    pub(crate) fn logged(&mut self, message: &str) -> Value {
        let is_it = |event: &Value| event["message"].as_str().is_some_and(|text| text.starts_with(message));
        if let Some(index) = self.said.iter().position(is_it) {
            return self.said.remove(index);
        }
        let give_up = Instant::now() + LOG_LINE_MAX;
        loop {
            let line = self.log.recv_timeout(give_up.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|end| panic!("no `{message}` ({end}), but {:#?}", self.said));
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            if event["message"] == "metrics answer" {
                self.metrics = event["address"].as_str().map(str::to_owned);
            }
            if is_it(&event) {
                return event;
            }
            self.said.push(event);
        }
    }

    pub(crate) fn connect(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let (length, kind) =
            (body.len(), if body.is_empty() { "" } else { "Content-Type: application/json\r\n" });
        write!(stream, "{head} HTTP/1.1\r\nHost: warren\r\n{kind}Content-Length: {length}\r\n\r\n{body}")
            .unwrap();
        stream
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().unwrap().success());
    }

    /// Stops it; gives its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.signal("TERM");
        while self.log.recv().is_ok() {}
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Its log by line, read as it comes so that a full pipe never stops it.
fn lines(log: ChildStderr) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    std::thread::spawn(move || {
        BufReader::new(log).lines().map_while(Result::ok).try_for_each(|line| send.send(line))
    });
    receive
}

pub(crate) fn data_line(lines: &mut impl BufRead) -> Option<String> {
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).unwrap() == 0 {
            return None;
        }
        assert!(!line.starts_with(": keep-alive"), "the event that the test waits for never came");
        if let Some(data) = line.strip_prefix("data: ") {
            return Some(data.trim_end().to_owned());
        }
    }
}

/// What to send to `/api/v1/enroll` with a new enrollment key.
pub(crate) fn enroll_body(directory: &Path, private_key: &PrivateKey, name: &str) -> String {
    let key = admin(directory, &["enrollment-key", "create", "--network", "default"]);
    let public_key = private_key.public_key();
    serde_json::json!({ "enrollment_key": key["key"], "public_key": public_key, "name": name }).to_string()
}

/// Reads the answer to an enrollment; gives the node's token.
pub(crate) fn enrolled(answer: &mut impl BufRead, private_key: &PrivateKey) -> String {
    let mut length = 0;
    loop {
        let mut line = String::new();
        assert_ne!(answer.read_line(&mut line).unwrap(), 0);
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    answer.read_exact(&mut body).unwrap();
    let response: EnrollResponse = serde_json::from_slice(&body).unwrap();
    let sealed = STANDARD.decode(&response.sealed_token).unwrap();
    let token = protocol::sealed::open(&sealed, private_key).unwrap();
    std::str::from_utf8(&token).unwrap().to_owned()
}
