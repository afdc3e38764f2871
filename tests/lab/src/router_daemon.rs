//! `miniupnpd` in the namespace of a lab router: a real daemon that opens ports for hosts behind it.
//!
//! It refuses to work at an outside address that is set aside for documentation, which most of the lab's are. A router that was
//! given a new one ([`crate::internet::Internet::rebind`]) has one that it takes for real.

use std::path::PathBuf;
use std::time::Duration;

use crate::daemon::Daemon;
use crate::deadline::wait_for;
use crate::error::{LabError, Trying};
use crate::internet::Internet;
use crate::namespace::Namespace;
use crate::preflight::require_tool;
use crate::scenario::Context;

/// The table that the daemon fills, and nobody else.
const RULES: &str = "
table inet mapping {
	chain arriving { type nat hook prerouting priority dstnat; policy accept; jump ports; }
	chain passing { type filter hook forward priority filter; policy accept; jump passing_ports; }
	chain ports { }
	chain passing_ports { }
	chain leaving_ports { }
}
insert rule inet guard arriving iifname \"lan\" accept
";

/// Where PCP and NAT-PMP are asked (RFC 6887 §7, RFC 6886 §3), and where UPnP devices are searched for.
const PCP: u16 = 5_351;
const SSDP: u16 = 1_900;

/// How long the daemon may take to listen.
const READY: Duration = Duration::from_secs(10);

/// Makes a router deaf to PCP, so that it is one of NAT-PMP only: the version is the first byte behind the header of UDP.
const WITHOUT_PCP: &str = "insert rule inet guard arriving iifname \"lan\" udp dport 5351 @th,64,8 2 drop\n";

/// What the daemon speaks, in the words of `warren status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Pcp,
    NatPmp,
    UpnpIgd,
}

impl Protocol {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pcp => "pcp",
            Self::NatPmp => "nat-pmp",
            Self::UpnpIgd => "upnp-igd",
        }
    }
}

/// A running daemon; dropping it kills it, and the ports that it opened stay open.
#[derive(Debug)]
pub(crate) struct RouterDaemon {
    namespace: Namespace,
    protocol: Protocol,
    config: PathBuf,
    log: PathBuf,
    daemon: Option<Daemon>,
}

impl RouterDaemon {
    /// Gives the router of a site an address that the daemon accepts, and starts it. `lifetime_s` is the longest life of a
    /// mapping of PCP, `None` the daemon's own.
    pub(crate) fn start(
        context: &Context,
        internet: &Internet,
        site: &str,
        protocol: Protocol,
        lifetime_s: Option<u32>,
    ) -> Result<Self, LabError> {
        require_tool("miniupnpd", "miniupnpd-nftables")?;
        internet.rebind(site)?;
        let (namespace, _) = internet.router(site)?;
        let yes = |on: bool| if on { "yes" } else { "no" };
        let mut config = format!(
            "ext_ifname=wan\nlistening_ip=lan\nhttp_port=0\nsecure_mode=yes\nsystem_uptime=no\n\
             enable_natpmp={}\nenable_upnp={}\nuuid=6d1f4a3c-8f0e-4f4b-9d55-0b6c8a2f7e11\nserial=1\n\
             upnp_table_name=mapping\nupnp_nat_table_name=mapping\nupnp_forward_chain=passing_ports\n\
             upnp_nat_chain=ports\nupnp_nat_postrouting_chain=leaving_ports\n\
             allow 1024-65535 0.0.0.0/0 1024-65535\ndeny 0-65535 0.0.0.0/0 0-65535\n",
            yes(protocol != Protocol::UpnpIgd),
            yes(protocol == Protocol::UpnpIgd),
        );
        if let Some(lifetime) = lifetime_s {
            config.push_str(&format!("min_lifetime=5\nmax_lifetime={lifetime}\n"));
        }
        let path = context.run_dir.join(format!("{site}-miniupnpd.conf"));
        std::fs::write(&path, config).map_err(|error| LabError::at_path("write", &path, error))?;
        let log = context.run_dir.join(format!("{site}-miniupnpd.log"));
        let mut router = Self { namespace, protocol, config: path, log, daemon: None };
        router.run_anew()?;
        Ok(router)
    }

    /// Pulls the plug, and starts again with nothing remembered.
    pub(crate) fn restart(&mut self) -> Result<(), LabError> {
        self.daemon = None;
        let chains = ["ports", "passing_ports", "leaving_ports"];
        let flush: String = chains.map(|chain| format!("flush chain inet mapping {chain}\n")).concat();
        self.namespace.load_rules(&flush)?;
        self.namespace.flush_connections()?;
        self.run()
    }

    /// Gives the router another address, as after a night's reconnect; the daemon starts with nothing remembered.
    pub(crate) fn move_to_another_address(
        &mut self,
        internet: &Internet,
        site: &str,
    ) -> Result<(), LabError> {
        self.daemon = None;
        internet.rebind(site)?;
        self.run_anew()
    }

    /// How many ports are open.
    pub(crate) fn open_ports(&self) -> Result<usize, LabError> {
        let mut command = self.namespace.command("nft");
        let output =
            command.args(["list", "chain", "inet", "mapping", "ports"]).output().trying("run nft")?;
        Ok(String::from_utf8_lossy(&output.stdout).matches("dnat").count())
    }

    /// Fails if the daemon ended.
    pub(crate) fn must_run(&mut self) -> Result<(), LabError> {
        self.daemon.as_mut().map_or(Ok(()), Daemon::must_run)
    }

    /// Starts the daemon on a router that has just the rules of its recipe.
    fn run_anew(&mut self) -> Result<(), LabError> {
        self.namespace.load_rules(RULES)?;
        if self.protocol == Protocol::NatPmp {
            self.namespace.load_rules(WITHOUT_PCP)?;
        }
        self.run()
    }

    fn run(&mut self) -> Result<(), LabError> {
        let mut command = self.namespace.command("miniupnpd");
        command.args(["-d", "-f"]).arg(&self.config).arg("-P").arg(self.config.with_extension("pid"));
        self.daemon = Some(Daemon::start(&mut command, &self.log)?);
        wait_for("miniupnpd listening", READY, || Ok(self.is_listening()?.then_some(()))).map(drop)
    }

    /// Whether a socket is bound to the port of its protocol: one line each in the kernel's table, the address in hexadecimal.
    fn is_listening(&self) -> Result<bool, LabError> {
        let port = if self.protocol == Protocol::UpnpIgd { SSDP } else { PCP };
        let mut command = self.namespace.command("cat");
        let output = command.args(["/proc/net/udp", "/proc/net/udp6"]).output().trying("run cat")?;
        let bound = format!(":{port:04X}");
        let table = String::from_utf8_lossy(&output.stdout);
        Ok(table
            .lines()
            .any(|line| line.split_whitespace().nth(1).is_some_and(|local| local.ends_with(&bound))))
    }
}
