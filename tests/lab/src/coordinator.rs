//! A real coordinator on a public host of the lab.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::daemon::{Daemon, product_command, run_logged};
use crate::deadline::wait_for;
use crate::error::{LabError, Trying};
use crate::internet::Internet;
use crate::namespace::Namespace;
use crate::scenario::Context;

/// The port of its API and dashboard.
pub(crate) const HTTP_PORT: u16 = 8080;
/// A UDP port that networks let through when they let through little: that of the relay, and of STUN once more.
pub(crate) const OPEN_PORT: u16 = 443;
/// How long it may take to answer on a busy machine.
const READY: Duration = Duration::from_secs(20);

/// A running coordinator with STUN on both addresses and a relay.
#[derive(Debug)]
pub(crate) struct Coordinator {
    pub(crate) namespace: Namespace,
    pub(crate) addresses: [Ipv4Addr; 2],
    pub(crate) log: PathBuf,
    public_url: String,
    program: PathBuf,
    data_dir: PathBuf,
    /// Absent while it is down.
    daemon: Option<Daemon>,
}

impl Coordinator {
    /// Makes a new data folder with its first owner, starts the server on a host with two addresses and waits for it.
    pub(crate) fn start(context: &Context, internet: &Internet, host: &str) -> Result<Self, LabError> {
        Self::start_as(context, internet, host, None)
    }

    /// The same with another public URL than that of its own port, for one behind TLS.
    pub(crate) fn start_as(
        context: &Context,
        internet: &Internet,
        host: &str,
        public_url: Option<&str>,
    ) -> Result<Self, LabError> {
        let namespace = internet.host(host)?;
        let [one, two] = internet.addresses(host)?[..] else {
            return Err(LabError::Description(format!(
                "the coordinator's host `{host}` needs two addresses"
            )));
        };
        let program = context.program("warren-coordinator")?;
        let (data_dir, log) = (context.run_dir.join("coordinator"), context.run_dir.join("coordinator.log"));
        admin(&namespace, &program, &data_dir, &log, &["init", "--json"])?;
        let public_url = public_url.map_or_else(|| format!("http://{one}:{HTTP_PORT}"), str::to_owned);
        let mut coordinator =
            Self { namespace, addresses: [one, two], log, public_url, program, data_dir, daemon: None };
        coordinator.serve()?;
        Ok(coordinator)
    }

    /// Starts the server on the data folder, for the first time or again, and waits for it.
    pub(crate) fn serve(&mut self) -> Result<(), LabError> {
        let [one, two] = self.addresses;
        let mut command = product_command(&self.namespace, &self.program);
        command.arg("serve").arg("--data-dir").arg(&self.data_dir);
        command.args(["--listen", &format!("{one}:{HTTP_PORT}"), "--public-url", &self.public_url]);
        command.args([
            "--stun",
            &format!("{one}:3478,{one}:3479,{two}:3478,{one}:{OPEN_PORT},{two}:{OPEN_PORT}"),
            "--relay",
            &format!("{one}:{OPEN_PORT}"),
        ]);
        self.daemon = Some(Daemon::start(&mut command, &self.log)?);
        wait_for("GET /healthz with status 200", READY, || {
            self.must_run().map_err(|error| LabError::Description(error.to_string()))?;
            Ok(self.healthy().then_some(()))
        })?;
        Ok(())
    }

    /// Kills the server with its relay and its STUN server: it can say goodbye to nobody.
    pub(crate) fn kill(&mut self) {
        self.daemon = None;
    }

    /// Its address for people and agents.
    pub(crate) fn url(&self) -> String {
        self.public_url.clone()
    }

    /// Where it listens itself.
    pub(crate) fn http_address(&self) -> SocketAddr {
        SocketAddr::from((self.addresses[0], HTTP_PORT))
    }

    /// Does `GET /healthz` answer 200?
    pub(crate) fn healthy(&self) -> bool {
        let address = self.http_address();
        let status = self.namespace.within(|| {
            let mut stream =
                TcpStream::connect_timeout(&address, Duration::from_secs(1)).trying("connect")?;
            stream.set_read_timeout(Some(Duration::from_secs(2))).trying("set a time limit")?;
            let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).trying("ask for /healthz")?;
            let mut answer = [0_u8; 12];
            stream.read_exact(&mut answer).trying("read the answer")?;
            Ok(answer)
        });
        status.is_ok_and(|status| status.ends_with(b" 200"))
    }

    /// Fails if the process ended.
    pub(crate) fn must_run(&mut self) -> Result<(), LabError> {
        match &mut self.daemon {
            Some(daemon) => daemon.must_run(),
            None => Err(LabError::Unmet("the coordinator was killed".to_owned())),
        }
    }

    /// Runs `warren-coordinator admin …` on the data folder and reads its JSON.
    pub(crate) fn admin(&self, arguments: &[&str]) -> Result<Value, LabError> {
        admin(&self.namespace, &self.program, &self.data_dir, &self.log, arguments)
    }

    /// A new enrollment key of the first network; `lifetime` such as `1h`.
    pub(crate) fn enrollment_key(&self, reusable: bool, lifetime: &str) -> Result<String, LabError> {
        self.enrollment_key_of("default", reusable, lifetime)
    }

    /// A new network, and a reusable key of it that outlives any scenario.
    pub(crate) fn new_network(&self, name: &str) -> Result<String, LabError> {
        self.admin(&["network", "create", name, "--json"])?;
        self.enrollment_key_of(name, true, "1h")
    }

    /// A new enrollment key of a network.
    pub(crate) fn enrollment_key_of(
        &self,
        network: &str,
        reusable: bool,
        lifetime: &str,
    ) -> Result<String, LabError> {
        let mut arguments =
            vec!["enrollment-key", "create", "--network", network, "--expires", lifetime, "--json"];
        if reusable {
            arguments.push("--reusable");
        }
        text(&self.admin(&arguments)?, "key")
    }
}

fn admin(
    namespace: &Namespace,
    program: &Path,
    data_dir: &Path,
    log: &Path,
    arguments: &[&str],
) -> Result<Value, LabError> {
    let mut command = product_command(namespace, program);
    command.arg("admin").arg("--data-dir").arg(data_dir).args(arguments);
    let ran = run_logged(&mut command, log)?;
    let shown = format!("warren-coordinator admin {}", arguments.join(" "));
    if ran.code != 0 {
        return Err(LabError::Command {
            command: shown,
            output: format!("exit {}: {}", ran.code, ran.stderr.trim()),
        });
    }
    serde_json::from_str(&ran.stdout).map_err(|error| LabError::Command {
        command: shown,
        output: format!("its output is not JSON: {error}"),
    })
}

/// A text field of a JSON object.
pub(crate) fn text(object: &Value, field: &str) -> Result<String, LabError> {
    let value = object.get(field).and_then(Value::as_str).map(str::to_owned);
    value.ok_or_else(|| LabError::Unmet(format!("the field `{field}` is missing in {object}")))
}
