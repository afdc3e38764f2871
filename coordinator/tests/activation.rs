//! Started by a connection on a socket that somebody else holds, and ended when nobody is there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "no node is served here")]
mod served;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use served::{Served, command, run};

/// `serve` as systemd starts it: the socket is file 3, and the process knows that it is meant.
fn activated(directory: &Path, socket: &TcpListener, notify: &Path, words: &[&str]) -> Command {
    let fd = socket.as_raw_fd();
    let program = command(directory, &[]);
    let script = format!("exec 3<&{fd}; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$@\"");
    let mut shell = Command::new("sh");
    shell.args(["-c", &script]).arg(program.get_program());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell
        .args(["serve", "--stun", "127.0.0.1:0", "--log-format", "json"])
        .args(words)
        .env("NOTIFY_SOCKET", notify);
    shell
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: warren\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn told(notify: &UnixDatagram) -> String {
    let mut bytes = [0; 256];
    let read = notify.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..read]).trim().to_owned()
}

#[test]
fn it_answers_on_the_socket_it_was_given_ends_when_idle_and_loses_no_connection_between() {
    let directory = tempfile::tempdir().unwrap();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    // The standard library closes it on exec; a service manager does not.
    nix::fcntl::fcntl(&socket, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let path = directory.path().join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    notify.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let state = directory.path().join("state");

    for _ in 0..2 {
        // Comes before anybody answers, as a connection that activates does.
        let early = std::thread::spawn({
            let address = address.clone();
            move || get(&address, "/healthz")
        });
        let mut served = Served::spawn(activated(&state, &socket, &path, &["--exit-when-idle", "1s"]));
        assert_eq!(served.address, address);
        assert_eq!(told(&notify), "READY=1");
        assert!(early.join().unwrap().starts_with("HTTP/1.1 200"));
        let answered = Instant::now();
        assert!(served.child.wait().unwrap().success());
        assert!(answered.elapsed() > Duration::from_millis(900), "it ended while it was used");
        assert_eq!(told(&notify), "STOPPING=1");
    }
}

#[test]
fn an_idle_exit_without_a_socket_to_come_back_by_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let words = ["serve", "--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0", "--exit-when-idle", "10m"];
    let output = run(directory.path(), &words);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains(".socket unit"));
}
