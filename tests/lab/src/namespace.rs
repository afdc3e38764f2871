//! One network namespace of the lab: commands, sockets and settings inside it.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, setns};

use crate::error::{LabError, Trying};

/// Where namespaces with names of their own keep them; `/run` is the sandbox's own.
const NAMES_DIR: &str = "/run/lab-names";
/// Puts the names into place for one program: `ip netns exec` has given it mounts of its own.
const WITH_NAMES: &str = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";

/// A named network namespace. Dropping the value does not remove it: the internet that made it does.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Refers to a namespace by its name; it need not exist yet.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// Its name under `/run/netns`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs inside the namespace, with `/sys` and the names of that namespace.
    #[must_use]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]);
        let names = self.names_file();
        if names.is_file() {
            command.args(["sh", "-c", WITH_NAMES]).arg(names);
        }
        command.arg(program);
        command
    }

    /// Gives the programs that start inside from now on an `/etc/hosts` of their own.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn set_names(&self, names: &str) -> Result<(), LabError> {
        let path = self.names_file();
        let written = std::fs::create_dir_all(NAMES_DIR).and_then(|()| std::fs::write(&path, names));
        written.map_err(|error| LabError::at_path("write", &path, error))
    }

    fn names_file(&self) -> PathBuf {
        PathBuf::from(NAMES_DIR).join(&self.name)
    }

    /// Runs a closure in a thread that lives inside the namespace. Sockets it opens stay there for good.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or what the closure itself returns.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> Result<T, LabError> + Send) -> Result<T, LabError> {
        let path = PathBuf::from("/run/netns").join(&self.name);
        std::thread::scope(|scope| {
            scope
                .spawn(move || {
                    let file = File::open(&path).map_err(|error| LabError::at_path("open", &path, error))?;
                    setns(&file, CloneFlags::CLONE_NEWNET)
                        .trying(format!("enter namespace {}", self.name))?;
                    work()
                })
                .join()
                .unwrap_or_else(|_| Err(LabError::Unmet(format!("a thread inside {} panicked", self.name))))
        })
    }

    /// Feeds lines to `ip -batch` inside the namespace.
    ///
    /// # Errors
    /// When `ip` rejects a line.
    pub fn configure(&self, lines: &[String]) -> Result<(), LabError> {
        run_with_input(Command::new("ip").args(["-n", &self.name, "-batch", "-"]), &lines.join("\n"))
    }

    /// Loads an nft script.
    ///
    /// # Errors
    /// When `nft` rejects it.
    pub fn load_rules(&self, script: &str) -> Result<(), LabError> {
        run_with_input(self.command("nft").args(["-f", "-"]), script)
    }

    /// Writes kernel settings of the namespace, such as `ipv4/ip_forward`. A setting the kernel lacks is skipped.
    ///
    /// # Errors
    /// When an existing setting cannot be written.
    pub fn set(&self, settings: &[(&str, &str)]) -> Result<(), LabError> {
        self.within(|| {
            for (name, value) in settings {
                let path = PathBuf::from("/proc/sys/net").join(name);
                if path.exists() {
                    std::fs::write(&path, value).map_err(|error| LabError::at_path("write", &path, error))?;
                }
            }
            Ok(())
        })
    }

    /// How many connections the namespace's NAT or firewall tracks right now.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn tracked_connections(&self) -> Result<u32, LabError> {
        self.within(|| {
            let path = PathBuf::from("/proc/sys/net/netfilter/nf_conntrack_count");
            let text =
                std::fs::read_to_string(&path).map_err(|error| LabError::at_path("read", &path, error))?;
            text.trim()
                .parse()
                .map_err(|_| LabError::Unmet(format!("{} is no number: {text}", path.display())))
        })
    }

    /// Forgets every connection that the namespace's NAT or firewall tracks.
    ///
    /// # Errors
    /// When `conntrack` fails.
    pub fn flush_connections(&self) -> Result<(), LabError> {
        run(self.command("conntrack").arg("-F"))
    }
}

/// Runs a command to its end.
///
/// # Errors
/// With everything it printed, when it does not end with success.
pub fn run(command: &mut Command) -> Result<(), LabError> {
    run_with_input(command, "")
}

/// Runs a command to its end with text on its standard input.
///
/// # Errors
/// With everything it printed, when it does not end with success.
pub fn run_with_input(command: &mut Command, input: &str) -> Result<(), LabError> {
    let shown = format!("{command:?}").replace('"', "");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().trying(format!("start {shown}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A child that ends without reading tells its own reason below.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().trying(format!("wait for {shown}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    Err(LabError::Command { command: shown, output: said.trim().to_owned() })
}
