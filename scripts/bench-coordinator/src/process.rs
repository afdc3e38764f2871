//! The coordinator under test: its life, its CPU time and its memory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::connection::Connection;

/// How long a coordinator may take before it counts as failed.
const START_MAX: Duration = Duration::from_secs(60);

/// A data directory, and the coordinator on it while it runs.
pub(crate) struct Coordinator {
    program: PathBuf,
    directory: tempfile::TempDir,
    pub(crate) site: SocketAddr,
    child: Option<Child>,
}

impl Coordinator {
    /// A coordinator that is set up and not running. Its directory is on the disk that the build is on: a file system
    /// in memory would make every flush free.
    pub(crate) async fn new(program: &Path) -> Result<Self> {
        let place = program.parent().context("the coordinator's folder")?;
        let directory = tempfile::Builder::new().prefix("bench-coordinator-").tempdir_in(place)?;
        let free = std::net::TcpListener::bind("127.0.0.1:0")?;
        let site = free.local_addr()?;
        drop(free);
        let coordinator = Self { program: program.to_owned(), directory, site, child: None };
        coordinator.admin(&["init"]).await?;
        Ok(coordinator)
    }

    /// Runs an administrator's command.
    pub(crate) async fn admin(&self, words: &[&str]) -> Result<Value> {
        let mut command = self.command();
        let output = command.args(["admin", "--json"]).args(words).output().await?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "admin {words:?}: {error}");
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// A network of its own, and a key that any number of nodes may use.
    pub(crate) async fn network(&self, name: &str) -> Result<String> {
        self.admin(&["network", "create", name]).await?;
        let made = self.admin(&["enrollment-key", "create", "--network", name, "--reusable"]).await?;
        made["key"].as_str().map(str::to_owned).context("an enrollment key")
    }

    /// Starts it; gives how long it takes until it answers that it is well.
    pub(crate) async fn start(&mut self) -> Result<Duration> {
        let begun = Instant::now();
        let mut command = self.command();
        command.args(["serve", "--listen", &self.site.to_string(), "--stun", "127.0.0.1:0"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        self.child = Some(child.context("cannot start the coordinator")?);
        while begun.elapsed() < START_MAX {
            if let Ok(mut connection) = Connection::open(self.site, 0).await
                && connection.send("GET", "/healthz", "", b"").await.is_ok_and(|answer| answer.status == 200)
            {
                return Ok(begun.elapsed());
            }
            sleep(Duration::from_millis(1)).await;
        }
        anyhow::bail!("the coordinator did not answer within {} s", START_MAX.as_secs())
    }

    /// Ends it as a power cut would.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("WARREN_")) {
            command.env_remove(name);
        }
        command.env("WARREN_DATA_DIR", self.directory.path()).kill_on_drop(true);
        command
    }

    /// CPU time so far, in user and kernel mode, in steps of 10 ms.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = self.proc("stat")?;
        // The name in brackets may hold anything, spaces too.
        let fields = stat.rsplit_once(')').context("a line of /proc/…/stat")?.1;
        let mut fields = fields.split_whitespace().skip(11);
        let mut ticks = || fields.next().and_then(|field| field.parse::<u64>().ok());
        let both = ticks().zip(ticks()).context("CPU times in /proc/…/stat")?;
        Ok(Duration::from_millis((both.0 + both.1) * 10))
    }

    /// Memory that is really there, in MiB; `VmRSS` is now, `VmHWM` the most so far.
    pub(crate) fn memory_mib(&self, field: &str) -> Result<f64> {
        let status = self.proc("status")?;
        let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let kib: f64 = value.context("a field of /proc/…/status")?.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }

    fn proc(&self, file: &str) -> Result<String> {
        let id = self.child.as_ref().and_then(Child::id).context("the coordinator has ended")?;
        Ok(std::fs::read_to_string(format!("/proc/{id}/{file}"))?)
    }
}
