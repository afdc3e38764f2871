//! The program itself: started, administered from a second process, stopped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::api::{EnrollResponse, MapEvent};
use protocol::key::PrivateKey;
use serde_json::Value;

fn command(directory: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_warren-coordinator"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WARREN_")) {
        command.env_remove(name);
    }
    command.args(words).env("WARREN_DATA_DIR", directory);
    command
}

fn run(directory: &Path, words: &[&str]) -> Output {
    command(directory, words).output().unwrap()
}

fn admin(directory: &Path, words: &[&str]) -> Value {
    let output = run(directory, &[&["admin", "--json"], words].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A running coordinator; killed when a test fails before it stops it.
struct Served {
    child: Child,
    address: String,
    log: BufReader<std::process::ChildStderr>,
}

impl Served {
    fn start(directory: &Path) -> Self {
        let words = ["serve", "--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0", "--log-format", "json"];
        let mut child = command(directory, &words).stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        // Owned from here on, so that a failed assertion still ends the process.
        let mut served = Self { child, address: String::new(), log };
        loop {
            let mut line = String::new();
            assert_ne!(
                served.log.read_line(&mut line).unwrap(),
                0,
                "the coordinator ended before it answered"
            );
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            if event["message"] == "the coordinator answers" {
                let listen = event["listen"].as_str().unwrap();
                listen.trim_matches(['[', ']']).clone_into(&mut served.address);
                return served;
            }
        }
    }

    fn connect(&self, head: &str, body: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let length = body.len();
        write!(stream, "{head} HTTP/1.1\r\nHost: warren\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
        stream
    }

    fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn data_line(lines: &mut impl BufRead) -> Option<String> {
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

#[test]
fn a_node_enrolls_sees_what_admin_does_and_the_coordinator_stops_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let network = admin(&state, &["init"]);
    assert_eq!(network["network"]["name"], "default");
    let served = Served::start(&state);
    let key = admin(&state, &["enrollment-key", "create", "--network", "default"]);
    let private_key = PrivateKey::from_random([3; 32]);
    let body = serde_json::json!({
        "enrollment_key": key["key"], "public_key": private_key.public_key(), "name": "web",
    });

    let mut answer = BufReader::new(served.connect("POST /api/v1/enroll", &body.to_string()));
    let mut line = String::new();
    while !line.starts_with('{') {
        line.clear();
        assert_ne!(answer.read_line(&mut line).unwrap(), 0);
        // The body has a length and no line end of its own.
        if line == "\r\n" {
            let mut first = [0];
            answer.read_exact(&mut first).unwrap();
            let mut body = answer.buffer().to_vec();
            body.insert(0, first[0]);
            line = String::from_utf8(body).unwrap();
        }
    }
    let response: EnrollResponse = serde_json::from_str(&line).unwrap();
    let sealed = STANDARD.decode(&response.sealed_token).unwrap();
    let token = protocol::sealed::open(&sealed, &private_key).unwrap();
    let token = std::str::from_utf8(&token).unwrap();

    let head = format!("GET /api/v1/map HTTP/1.1\r\nAuthorization: Bearer {token}\r\nX-Rest:");
    let mut map = BufReader::new(served.connect(&head, ""));
    let Some(MapEvent::Snapshot(mut known)) =
        MapEvent::parse("snapshot", &data_line(&mut map).unwrap()).unwrap()
    else {
        panic!("a snapshot")
    };
    assert_eq!(known.relays.len(), 1);
    assert_eq!(known.stun_servers, [known.relays[0].address]);

    let public_key = PrivateKey::from_random([4; 32]).public_key().to_string();
    let plain = ["--name", "printer", "--public-key", &public_key, "--endpoint", "198.51.100.4:51820"];
    admin(&state, &[&["node", "add", "--network", "default"], &plain[..]].concat());
    let delta = serde_json::from_str(&data_line(&mut map).unwrap()).unwrap();
    known.apply(delta).unwrap();
    assert_eq!(known.peers[0].name.as_str(), "printer");

    let backup = directory.path().join("backup.db");
    assert!(run(&state, &["backup", backup.to_str().unwrap()]).status.success());
    let refused = run(&state, &["restore", backup.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "a running coordinator keeps its database");
    assert_eq!(served.stop(), Some(0));
    assert_eq!(data_line(&mut map), None, "the stream ended");
    assert!(run(&state, &["check"]).status.success());
    assert!(run(&state, &["restore", backup.to_str().unwrap()]).status.success());
}

#[test]
fn the_first_set_up_may_be_repeated_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let first = admin(directory.path(), &["init", "--owner", "ada@example.org"]);
    let again = admin(directory.path(), &["init", "--owner", "somebody else"]);
    assert_eq!(again["owner"], "ada@example.org");
    assert_eq!(again["network"], first["network"]);
    assert_eq!((&first["created"], &again["created"]), (&Value::Bool(true), &Value::Bool(false)));
}

#[test]
fn keys_are_listed_without_their_secret() {
    let directory = tempfile::tempdir().unwrap();
    admin(directory.path(), &["init"]);
    let made = admin(directory.path(), &["enrollment-key", "create", "--network", "default", "--reusable"]);
    let listed = admin(directory.path(), &["enrollment-key", "list"]);
    let key = &listed["enrollment_keys"][0];
    assert_eq!((&key["id"], &key["state"]), (&made["id"], &Value::from("usable")));
    let secret = made["key"].as_str().unwrap();
    assert!(!listed.to_string().contains(&secret[4..]), "{listed}");
    let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the secret is in {}", file.display());
    }
}

#[test]
fn exit_codes_tell_usage_from_failure_and_errors_are_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("c.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:1\"\nlisten_on = 5\n").unwrap();
    let config = config.to_str().unwrap();
    let missing = directory.path().join("nothing.toml");
    for (words, code, why) in [
        (vec!["admin", "network", "list"], 1, "admin init"),
        (vec!["serve", "--config", config], 2, "line 2"),
        (vec!["serve", "--config", missing.to_str().unwrap()], 1, "nothing.toml"),
        (vec!["serve", "--public-url", "mesh.example"], 2, "http:// or https://"),
        (vec!["restore", "/nonexistent.db"], 1, "/nonexistent.db"),
    ] {
        let output = run(directory.path(), &words);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {error}");
        assert!(error.contains(why) && error.trim_end().lines().count() == 1, "{words:?}: {error}");
    }
    assert_eq!(run(directory.path(), &["serve", "--listen", "nowhere"]).status.code(), Some(2));
}
