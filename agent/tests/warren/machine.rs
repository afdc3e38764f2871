//! A machine with its own state folder and socket, and the `warren` binary on it.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use protocol::api::EnrollmentKey;

/// How long anything may take that takes milliseconds on an idle machine.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Machine {
    folder: tempfile::TempDir,
}

/// What a command left.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Another user must be able to pass through, for the tests that become one.
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Self { folder }
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.state().join(name)
    }

    /// A place outside of the state folder.
    pub(crate) fn elsewhere(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Names of the files in the state folder, without locks.
    pub(crate) fn files(&self) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.state()) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !name.ends_with(".lock"));
        names.sort();
        names
    }

    /// `warren` with this machine's folders, run by `wrapper` where that is not empty.
    pub(crate) fn wrapped(&self, wrapper: &[&str], arguments: &[&str]) -> Command {
        let mut words =
            wrapper.iter().map(ToString::to_string).chain([env!("CARGO_BIN_EXE_warren").to_owned()]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg("--state-dir").arg(self.state()).arg("--socket").arg(self.socket());
        for name in [
            "WARREN_ENROLLMENT_KEY",
            "WARREN_STATE_DIR",
            "RUST_LOG",
            "HTTP_PROXY",
            "http_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(name);
        }
        // The router of the machine that runs the tests is none of their business.
        command.env("WARREN_NO_PORT_MAPPING", "true");
        command.args(arguments).stdin(Stdio::null());
        command
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.wrapped(&[], arguments)
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        ran(self.command(arguments).output().unwrap())
    }

    /// `warren join` with a key in the environment.
    pub(crate) fn join(&self, url: &str, key: &EnrollmentKey) -> Ran {
        let mut command = self.command(&["join", url, "--name", "web-1"]);
        ran(command.env("WARREN_ENROLLMENT_KEY", key.to_text().as_str()).output().unwrap())
    }

    /// Starts a daemon and waits until it answers.
    pub(crate) fn start(&self, mut command: Command) -> Daemon {
        let log = self.elsewhere("agent.log");
        let file = std::fs::File::create(&log).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file);
        let mut daemon = Daemon { child: command.spawn().unwrap(), log };
        daemon.wait_until("the socket is there", || self.socket().exists());
        daemon
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        let ran = self.run(&["status", "--json"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap()
    }
}

pub(crate) fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs a command with `input` on its standard input.
pub(crate) fn run_with_input(mut command: Command, input: &str) -> Ran {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    ran(child.wait_with_output().unwrap())
}

/// A running daemon; killed when dropped.
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until `is_so`; fails where the daemon ends before.
    pub(crate) fn wait_until(&mut self, what: &str, mut is_so: impl FnMut() -> bool) {
        let start = Instant::now();
        while !is_so() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended with {ended:?} before: {what}\n{}", self.log());
            assert!(start.elapsed() < PATIENCE, "not in time: {what}\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) -> (ExitStatus, String) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        (self.wait(), self.log())
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "the daemon does not end\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
