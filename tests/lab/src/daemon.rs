//! A long-running process under test: its log, its life and its end.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::deadline::wait_for;
use crate::error::{LabError, Trying};

/// How long a process may take to end after it was asked to.
const FAREWELL: Duration = Duration::from_secs(5);
/// Lines of a log that are shown when a scenario fails.
const TAIL_LINES: usize = 15;

/// A process that writes to a log of its own; dropping it kills it.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts the command with both outputs appended to the log.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self, LabError> {
        let open = || File::options().create(true).append(true).open(log);
        let output = open().map_err(|error| LabError::at_path("write", log, error))?;
        let errors = output.try_clone().trying("share a log")?;
        let shown = format!("start {command:?}");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn().trying(shown)?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>, LabError> {
        self.child.try_wait().trying("look after a process")
    }

    /// Fails with the last words of a process that should still be running.
    pub(crate) fn must_run(&mut self) -> Result<(), LabError> {
        match self.ended()? {
            None => Ok(()),
            Some(status) => Err(LabError::Command {
                command: self.log.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
                output: format!("ended with {status}\n{}", tail(&self.log)),
            }),
        }
    }

    /// Sends it a signal, such as one that stops it for a while.
    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) -> Result<(), LabError> {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, signal).trying(format!("send {signal} to a process"))
    }

    /// How long processors have worked for it so far, in `/proc/…/stat`'s ticks of 10 ms.
    pub(crate) fn processor_time(&self) -> Result<Duration, LabError> {
        let path = std::path::PathBuf::from(format!("/proc/{}/stat", self.child.id()));
        let text = std::fs::read_to_string(&path).map_err(|error| LabError::at_path("read", &path, error))?;
        ticks(&text)
            .map(|ticks| Duration::from_millis(ticks * 10))
            .ok_or_else(|| LabError::Unmet(format!("{} cannot be read: {text}", path.display())))
    }

    /// The memory that it holds, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<f64, LabError> {
        let path = std::path::PathBuf::from(format!("/proc/{}/status", self.child.id()));
        let text = std::fs::read_to_string(&path).map_err(|error| LabError::at_path("read", &path, error))?;
        resident(&text).ok_or_else(|| LabError::Unmet(format!("{} cannot be read: {text}", path.display())))
    }

    /// Asks it to end (SIGTERM) and waits; gives how it ended.
    pub(crate) fn stop(mut self) -> Result<ExitStatus, LabError> {
        self.signal(nix::sys::signal::Signal::SIGTERM)?;
        let what = format!("the end of {}", self.log.display());
        wait_for(&what, FAREWELL, || self.ended()).map(|(status, _)| status)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The ticks in user and in system mode, out of proc_pid_stat(5).
fn ticks(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(") ")?.1.split(' ').skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

/// The resident memory in KiB, out of proc_pid_status(5).
fn resident(status: &str) -> Option<f64> {
    let rest = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The last lines of a log.
pub(crate) fn tail(log: &Path) -> String {
    let bytes = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// What a finished command left: its exit code and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs a command to its end and appends what it said to a log.
pub(crate) fn run_logged(command: &mut Command, log: &Path) -> Result<Ran, LabError> {
    let output = command.stdin(Stdio::null()).output().trying(format!("run {command:?}"))?;
    let ran = Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    };
    let file = File::options().create(true).append(true).open(log);
    let mut file = file.map_err(|error| LabError::at_path("write", log, error))?;
    use std::io::Write;
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    let entry = format!("$ {}\n{}{}[exit {}]\n", arguments.join(" "), ran.stdout, ran.stderr, ran.code);
    file.write_all(entry.as_bytes()).map_err(|error| LabError::at_path("write", log, error))?;
    Ok(ran)
}

/// A command of the product: nothing of the caller's own settings reaches it.
pub(crate) fn product_command(namespace: &crate::namespace::Namespace, program: &Path) -> Command {
    let mut command = namespace.command(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WARREN_")) {
        command.env_remove(name);
    }
    command.env("RUST_BACKTRACE", "1");
    command
}

#[cfg(test)]
mod tests {
    use super::{resident, ticks};

    #[test]
    fn processor_time_is_read_whatever_the_name_of_the_program() {
        let stat = "9 (a) b) S 1 9 9 0 -1 4194560 2700 0 0 0 17 5 0 0 20 0 4 0 4551 230 1300";
        assert_eq!(ticks(stat), Some(22));
        assert_eq!(ticks("9 (a"), None);
    }

    #[test]
    fn resident_memory_is_read_out_of_the_kernels_words() {
        assert_eq!(resident("Name:\tx\nVmRSS:\t   14032 kB\n"), Some(14_032.0));
        assert_eq!(resident("Name:\tx\n"), None);
    }
}
