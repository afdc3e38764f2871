//! `warren agent`: the daemon, in the foreground.

use std::net::SocketAddr;
use std::time::Duration;

use clap::Args;
use clap::builder::BoolishValueParser;
use endpoint_selection::{LocalRules, Prefix, check_address};
use ipnet::IpNet;
use protocol::api::{RELAY_ADDRESSES_MAX, may_be_relay_address};

use super::Context;
use crate::daemon::{self, Offer, Options};
use crate::failure::{Code, Failure};
use crate::names;
use crate::peer_relay::RelayOptions;

/// How long tasks that still answer someone may take at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Static candidates that a user may give; a report carries 32 candidates in all.
const STATIC_MAX: usize = 8;

/// Which addresses peers are told.
#[derive(Debug, Args)]
pub(super) struct AgentArgs {
    /// Offer addresses of these interfaces only; NAME, or the beginning of names and `*`. Names a container's or another
    /// overlay's interface too, which are not offered otherwise
    #[arg(long, value_name = "NAME", env = "WARREN_INCLUDE_INTERFACE", value_delimiter = ',')]
    include_interface: Vec<String>,
    /// Never offer addresses of these interfaces
    #[arg(long, value_name = "NAME", env = "WARREN_EXCLUDE_INTERFACE", value_delimiter = ',')]
    exclude_interface: Vec<String>,
    /// Offer addresses of these networks only
    #[arg(long, value_name = "PREFIX", env = "WARREN_INCLUDE_PREFIX", value_delimiter = ',')]
    include_prefix: Vec<IpNet>,
    /// Never offer addresses of these networks
    #[arg(long, value_name = "PREFIX", env = "WARREN_EXCLUDE_PREFIX", value_delimiter = ',')]
    exclude_prefix: Vec<IpNet>,
    /// An address and port where this node can be reached from outside, for instance because its router forwards the
    /// port; offered as well
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_STATIC_CANDIDATE", value_delimiter = ',')]
    static_candidate: Vec<SocketAddr>,
    /// Do not ask the router to open a port (PCP, NAT-PMP, UPnP-IGD)
    #[arg(long, env = "WARREN_NO_PORT_MAPPING", value_parser = BoolishValueParser::new())]
    no_port_mapping: bool,
    /// UDP port of the relay that this node runs for its network where an administrator allows it (`admin node allow-relay`)
    /// [default: any free one, the same after a restart]
    #[arg(long, value_name = "PORT", env = "WARREN_RELAY_PORT", value_parser = clap::value_parser!(u16).range(1..))]
    relay_port: Option<u16>,
    /// An address and port where that relay can be reached from outside, for instance because the router forwards the port
    #[arg(long, value_name = "ADDR:PORT", env = "WARREN_RELAY_ADDRESS", value_delimiter = ',')]
    relay_address: Vec<SocketAddr>,
    /// Megabits a second that each node may send through that relay
    #[arg(long, value_name = "MBIT", env = "WARREN_RELAY_MBIT", default_value_t = 100)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    relay_mbit: u32,
    /// The port of this node's mesh addresses that answers its own programs for the DNS names of nodes; 0 answers none
    #[arg(long, value_name = "PORT", env = "WARREN_NAMES_PORT", default_value_t = names::PORT)]
    names_port: u16,
}

pub(super) fn run(context: &Context, args: AgentArgs) -> Result<(), Failure> {
    // One thread for the event loop and HTTP: a node at rest would spend a third of its time on handing over between two. Packets
    // and what the disk is asked for have threads of their own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| {
        Failure::new(Code::Failed, format!("cannot start: {error}; check the limit on threads"))
    })?;
    let global = &context.global;
    let options = Options {
        state_dir: global.state_dir.clone(),
        socket: global.socket.clone(),
        interface: global.interface.clone(),
        relay: relay(&args)?,
        names_port: args.names_port,
        offer: offer(args)?,
    };
    let outcome = runtime.block_on(daemon::run(options));
    runtime.shutdown_timeout(FAREWELL);
    outcome
}

fn relay(args: &AgentArgs) -> Result<RelayOptions, Failure> {
    let usage = |what: String| Failure::new(Code::Usage, format!("--relay-address: {what}"));
    let given = &args.relay_address;
    if given.len() > RELAY_ADDRESSES_MAX {
        return Err(usage(format!("{} given, at most {RELAY_ADDRESSES_MAX} allowed", given.len())));
    }
    if let Some(address) = given.iter().find(|address| !may_be_relay_address(**address)) {
        return Err(usage(format!("not every node can reach {address}; give a public address and a port")));
    }
    Ok(RelayOptions {
        port: args.relay_port,
        static_addresses: given.clone(),
        port_mapping: !args.no_port_mapping,
        mbit_per_node: args.relay_mbit,
    })
}

fn offer(args: AgentArgs) -> Result<Offer, Failure> {
    let usage = |what: String| Failure::new(Code::Usage, format!("--static-candidate: {what}"));
    if args.static_candidate.len() > STATIC_MAX {
        return Err(usage(format!("{} given, at most {STATIC_MAX} allowed", args.static_candidate.len())));
    }
    if let Some(address) = args.static_candidate.iter().find(|address| check_address(**address, &[]).is_err())
    {
        return Err(usage(format!("no peer can reach {address}; give a unicast address and a port")));
    }
    let prefixes = |nets: Vec<IpNet>| -> Vec<Prefix> {
        nets.into_iter().map(|net| (net.network(), net.prefix_len())).collect()
    };
    let rules = LocalRules {
        include_interfaces: args.include_interface,
        exclude_interfaces: args.exclude_interface,
        include_prefixes: prefixes(args.include_prefix),
        exclude_prefixes: prefixes(args.exclude_prefix),
    };
    let port_mapping = !args.no_port_mapping;
    Ok(Offer { rules, static_candidates: args.static_candidate, port_mapping })
}
