//! A real agent on a host of the lab, and its command line.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::daemon::{Daemon, Ran, product_command, run_logged};
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::internet::Internet;
use crate::namespace::Namespace;
use crate::scenario::Context;
use crate::status::Status;

/// The interface of every agent: each is alone in its namespace.
pub(crate) const INTERFACE: &str = "wrn0";
/// The longest path of a Unix socket (`sun_path` of unix(7), with its final zero).
const SOCKET_PATH_MAX: usize = 107;

/// What `warren netcheck` says where no UDP gets out.
pub(crate) const UDP_BLOCKED: &str = "UDP is blocked, the relay over WebSocket works";

/// One node: its place, its folder and, once started, its daemon.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) namespace: Namespace,
    pub(crate) log: PathBuf,
    program: PathBuf,
    dir: PathBuf,
    environment: Vec<(String, String)>,
    daemon: Option<Daemon>,
}

impl Node {
    /// A node on the host of the same name, with an empty state folder.
    pub(crate) fn on(context: &Context, internet: &Internet, name: &str) -> Result<Self, LabError> {
        let dir = context.run_dir.join(name);
        if dir.join("warren.sock").as_os_str().len() > SOCKET_PATH_MAX {
            return Err(LabError::Description(format!(
                "the path {} is too long for a socket: use a shorter --run-dir",
                dir.display()
            )));
        }
        std::fs::create_dir_all(&dir).map_err(|error| LabError::at_path("create", &dir, error))?;
        let log = context.run_dir.join(format!("{name}.log"));
        let (namespace, program) = (internet.host(name)?, context.program("warren")?);
        Ok(Self {
            name: name.to_owned(),
            namespace,
            log,
            program,
            dir,
            environment: Vec::new(),
            daemon: None,
        })
    }

    /// Sets an environment variable of all of this node's commands from now on.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// `warren` with this node's folders and interface.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = product_command(&self.namespace, &self.program);
        command.arg("--state-dir").arg(&self.dir).arg("--socket").arg(self.dir.join("warren.sock"));
        command.args(["--interface", INTERFACE]).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs `warren …` to its end.
    pub(crate) fn warren(&self, arguments: &[&str]) -> Result<Ran, LabError> {
        run_logged(&mut self.command(arguments), &self.log)
    }

    /// Runs `warren …`, which must succeed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> Result<(), LabError> {
        let ran = self.warren(arguments)?;
        match ran.code {
            0 => Ok(()),
            code => Err(LabError::Command {
                command: format!("{}: warren {}", self.name, arguments.join(" ")),
                output: format!("exit {code}: {}", ran.stderr.trim()),
            }),
        }
    }

    /// Runs `warren join` with a key; gives how it ended.
    pub(crate) fn try_join(&self, url: &str, key: &str) -> Result<Ran, LabError> {
        let mut command = self.command(&["join", url, "--name", &self.name]);
        run_logged(command.env("WARREN_ENROLLMENT_KEY", key), &self.log)
    }

    /// Whether `warren netcheck --json` holds these words.
    pub(crate) fn netcheck_says(&self, words: &str) -> Result<bool, LabError> {
        Ok(self.warren(&["netcheck", "--json"])?.stdout.contains(words))
    }

    /// Joins, or fails.
    pub(crate) fn join(&self, url: &str, key: &str) -> Result<(), LabError> {
        let ran = self.try_join(url, key)?;
        match ran.code {
            0 => Ok(()),
            code => Err(LabError::Command {
                command: format!("{}: warren join {url}", self.name),
                output: format!("exit {code}: {}", ran.stderr.trim()),
            }),
        }
    }

    /// Joins under another name with another state folder, from the same host: a node that is known and never runs.
    pub(crate) fn register_another(&self, name: &str, url: &str, key: &str) -> Result<(), LabError> {
        let mut command = product_command(&self.namespace, &self.program);
        let dir = self.dir.join(name);
        command.arg("--state-dir").arg(&dir).arg("--socket").arg(dir.join("warren.sock"));
        command.args(["join", url, "--name", name]).env("WARREN_ENROLLMENT_KEY", key);
        let ran = run_logged(&mut command, &self.log)?;
        match ran.code {
            0 => Ok(()),
            code => Err(LabError::Command {
                command: format!("warren join {url} --name {name}"),
                output: format!("exit {code}: {}", ran.stderr.trim()),
            }),
        }
    }

    /// Starts the agent.
    pub(crate) fn start(&mut self) -> Result<(), LabError> {
        self.daemon = Some(Daemon::start(&mut self.command(&["agent"]), &self.log)?);
        Ok(())
    }

    /// Stops the agent, if it runs.
    pub(crate) fn stop(&mut self) -> Result<(), LabError> {
        self.daemon.take().map_or(Ok(()), |daemon| daemon.stop().map(|_| ()))
    }

    /// Kills the agent, if it runs: it can say goodbye to nobody.
    pub(crate) fn kill(&mut self) {
        self.daemon = None;
    }

    /// The running agent.
    pub(crate) fn agent(&self) -> Result<&Daemon, LabError> {
        let missing = || LabError::Unmet(format!("the agent of {} was not started", self.name));
        self.daemon.as_ref().ok_or_else(missing)
    }

    /// Fails unless the agent runs.
    pub(crate) fn must_run(&mut self) -> Result<(), LabError> {
        match &mut self.daemon {
            Some(daemon) => daemon.must_run(),
            None => Err(LabError::Unmet(format!("the agent of {} was not started", self.name))),
        }
    }

    /// Reads `warren status --json`. Not logged: it is asked all the time.
    pub(crate) fn status(&self) -> Result<Status, LabError> {
        let failed =
            |output: String| LabError::Command { command: format!("{}: warren status", self.name), output };
        let output =
            self.command(&["status", "--json"]).output().map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| failed(format!("its JSON is not as agreed: {error}")))
    }

    /// Waits until the agent answers and is connected to its coordinator.
    pub(crate) fn wait_until_up(&mut self, limit: Duration) -> Result<Status, LabError> {
        let what = format!("{} connected to its coordinator", self.name);
        let look = || match self.status() {
            Ok(status) => Ok(Some(status).filter(|status| status.coordinator.connected)),
            // An agent that ended will not come up any more.
            Err(error) => match self.must_run() {
                Ok(()) => Err(error),
                Err(ended) => Err(LabError::Description(ended.to_string())),
            },
        };
        wait_for(&what, limit, look).map(|(status, _)| status)
    }

    /// Its mesh address.
    pub(crate) fn mesh_address(&self, ipv6: bool) -> Result<IpAddr, LabError> {
        let family = if ipv6 { "IPv6" } else { "IPv4" };
        let missing = || LabError::Unmet(format!("{} has no mesh address of {family}", self.name));
        self.status()?.mesh_address(ipv6).ok_or_else(missing)
    }

    /// UDP ports that are open in its namespace (all of them belong to the agent).
    pub(crate) fn udp_ports(&self) -> Result<Vec<u16>, LabError> {
        self.namespace.within(|| {
            // Of this thread, as the process as a whole lives in another namespace.
            let text = ["udp", "udp6"]
                .map(|table| std::fs::read_to_string(format!("/proc/thread-self/net/{table}")));
            let mut ports: Vec<u16> =
                text.iter().flatten().flat_map(|text| text.lines().skip(1)).filter_map(port_of).collect();
            ports.sort_unstable();
            ports.dedup();
            Ok(ports)
        })
    }
}

/// The local port of a line of `/proc/net/udp`.
fn port_of(line: &str) -> Option<u16> {
    u16::from_str_radix(line.split_whitespace().nth(1)?.rsplit(':').next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::port_of;

    #[test]
    fn the_local_port_is_read_out_of_the_kernels_table() {
        let line = "  423: 00000000:C9E2 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 11 2 0 0";
        assert_eq!(port_of(line), Some(51682));
        assert_eq!(port_of("  sl  local"), None);
    }
}
