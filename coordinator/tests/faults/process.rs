//! The program itself, as a process that may be killed, and a plain HTTP/1.1 client with a source address of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

/// The coordinator's program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_warren-coordinator");

/// A command whose only settings are those given here.
pub(crate) fn clean(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WARREN_")) {
        command.env_remove(name);
    }
    command.env("WARREN_DATA_DIR", directory);
    command
}

/// Runs a subcommand to its end.
pub(crate) fn run(directory: &Path, words: &[&str]) -> Output {
    clean(PROGRAM, directory).args(words).output().unwrap()
}

/// Runs an administrator's command, which must succeed.
pub(crate) fn admin(directory: &Path, words: &[&str]) -> Value {
    let output = run(directory, &[&["admin", "--json"], words].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A new data directory's enrollment key.
pub(crate) fn set_up(directory: &Path) -> String {
    admin(directory, &["init"]);
    let words = ["enrollment-key", "create", "--network", "default", "--reusable"];
    admin(directory, &words)["key"].as_str().unwrap().to_owned()
}

/// A running coordinator; killed when dropped.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Served {
    pub(crate) fn start(directory: &Path) -> Self {
        Self::start_as(clean(PROGRAM, directory))
    }

    /// Starts `serve` by a command that ends with the program.
    pub(crate) fn start_as(mut command: Command) -> Self {
        command.args(["serve", "--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0", "--log-format", "json"]);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap());
        let log = Arc::new(Mutex::new(String::new()));
        // Owned from here on, so that a failed assertion still ends the process.
        let mut served =
            Self { child, address: SocketAddr::from(([0; 4], 0)), log: Arc::clone(&log), reader: None };
        loop {
            let mut line = String::new();
            let read = lines.read_line(&mut line).unwrap();
            assert_ne!(read, 0, "the coordinator ended before it answered: {}", served.log());
            log.lock().unwrap().push_str(&line);
            let event: Value = serde_json::from_str(&line).unwrap_or_default();
            if event["message"] == "the coordinator answers" {
                let listen = event["listen"].as_str().unwrap();
                served.address = listen.trim_matches(['[', ']']).parse().unwrap();
                break;
            }
        }
        // Read to the end: a full pipe would stop the coordinator.
        served.reader = Some(std::thread::spawn(move || {
            let mut line = String::new();
            while lines.read_line(&mut line).is_ok_and(|read| read > 0) {
                log.lock().unwrap().push_str(&line);
                line.clear();
            }
        }));
        served
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Whether it runs.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ends it without a warning; gives its log.
    pub(crate) fn kill(mut self) -> String {
        self.end();
        self.log()
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.end();
    }
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

/// A connection from an address of 127.0.0.0/8 with this number: limits count addresses.
pub(crate) fn connect(to: SocketAddr, number: u32) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let source = Ipv4Addr::from_bits(0x7f01_0001 + number);
    socket.bind(&SocketAddr::from((source, 0)).into())?;
    socket.connect(&to.into())?;
    let stream = TcpStream::from(socket);
    // A bound for a hanging test, never a wait.
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    Ok(stream)
}

/// Sends a request on a connection of its own and reads the whole answer.
pub(crate) fn send(
    (to, number): (SocketAddr, u32),
    method: &str,
    path: &str,
    token: &str,
    body: &str,
) -> std::io::Result<Answer> {
    let mut stream = connect(to, number)?;
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: warren\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let cut = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(cut)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    // An answer that was cut is none.
    if length.is_some_and(|length: usize| body.len() < length) {
        return Err(cut());
    }
    Ok(Answer { status, head, body: body.to_owned() })
}
