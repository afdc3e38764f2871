//! The figures, each beside the peer's.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use lab::error::Trying as _;
use lab::internet::Internet;
use lab::topology::Topology;
use protocol::relay::send_prefix;
use serde_json::{Value, json};

use crate::lane::{End, Head, Lane};
use crate::memory::per_client;
use crate::process::Process;
use crate::{turn, warren};

/// Rounds in which the roads take turns; the median counts.
const ROUNDS: usize = 5;
/// How long one flood lasts.
const FLOOD: Duration = Duration::from_secs(1);
/// The UDP payload of the tunnel's full packet at an MTU of 1,280: WireGuard adds 32 bytes.
const FULL: usize = 1_312;
/// A small packet: a WireGuard keepalive.
const SMALL: usize = 32;
/// Round trips of which the median counts.
const TRIPS: usize = 1_000;
/// Addresses that idle clients come from: a relay bounds registrations per address.
const ADDRESSES: usize = 32;
/// The port of a relay.
const PORT: u16 = 3478;

/// One figure.
pub(crate) struct Row {
    name: &'static str,
    unit: &'static str,
    ours: f64,
    peer: Option<(&'static str, f64)>,
    limit: Option<f64>,
}

impl Row {
    pub(crate) fn to_json(&self) -> Value {
        let (peer, value) = self.peer.unzip();
        json!({
            "name": self.name, "unit": self.unit, "ours": self.ours, "peer": value, "peer_name": peer,
            "ratio": value.map(|value| self.ours / value), "limit": self.limit,
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, unit, ours, peer, limit } = self;
        let digits = if *ours < 10.0 { 2 } else { 0 };
        write!(f, "{name:<46} {ours:>9.digits$} {unit}")?;
        if let Some((peer, value)) = peer {
            let digits = if *value < 10.0 { 2 } else { 0 };
            write!(f, "   {peer} {value:.digits$}, ratio {:.2}", ours / value)?;
        }
        match limit {
            Some(limit) if ours > limit => write!(f, "   ABOVE its limit of {limit}"),
            Some(limit) => write!(f, "   (at most {limit})"),
            None => Ok(()),
        }
    }
}

/// Three hosts on a small internet, and both relays on the middle one, one at a time.
struct Stage {
    internet: Internet,
    keys: warren::Keys,
}

impl Stage {
    fn address(&self, host: &str, index: usize) -> Result<Ipv4Addr> {
        self.internet.addresses(host)?.get(index).copied().with_context(|| format!("an address of {host}"))
    }

    fn relay_address(&self) -> Result<SocketAddr> {
        Ok((self.address("relay", 0)?, PORT).into())
    }

    fn socket(&self, host: &str, index: usize) -> Result<UdpSocket> {
        let address = (self.address(host, index)?, 0);
        let open = || UdpSocket::bind(address).trying("open a UDP socket");
        Ok(self.internet.host(host)?.within(open)?)
    }

    fn warren(&self, program: &Path) -> Result<Process> {
        let key_file = std::env::temp_dir().join(format!("bench-relay-{}.key", std::process::id()));
        std::fs::write(&key_file, self.keys.relay.to_base64().as_bytes())?;
        let mut command = self.internet.host("relay")?.command(program);
        command.args(["relay", "--listen", &self.relay_address()?.to_string()]);
        command.args(["--verify-key", &self.keys.signing.verifying_key().to_string()]);
        let process = Process::start(command.arg("--private-key-file").arg(&key_file))?;
        warren::register(&self.socket("one", 0)?, self.relay_address()?, &self.keys, 0)?;
        std::fs::remove_file(&key_file)?;
        Ok(process)
    }

    fn coturn(&self) -> Result<Process> {
        let address = self.address("relay", 0)?.to_string();
        let mut command = self.internet.host("relay")?.command("turnserver");
        command.args(["-n", "--no-auth", "--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay", "--no-cli"]);
        command.args(["--no-stdout-log", "--log-file", "/dev/null", "--pidfile", "/dev/null"]);
        command.args(["-L", &address, "-E", &address, "-p", &PORT.to_string()]);
        let process = Process::start(&mut command)?;
        turn::allocate(&self.socket("one", 0)?, self.relay_address()?).context("coturn")?;
        Ok(process)
    }

    /// Through Warren's relay.
    fn warren_lane(&self) -> Result<Lane> {
        let (near, far) = (self.socket("one", 1)?, self.socket("two", 0)?);
        let to = self.relay_address()?;
        let (near_key, near_session) = warren::register(&near, to, &self.keys, 1)?;
        let (far_key, far_session) = warren::register(&far, to, &self.keys, 2)?;
        let near_head = Head::Fixed(send_prefix(near_session, &far_key).to_vec());
        let far_head = Head::Fixed(send_prefix(far_session, &near_key).to_vec());
        Ok(Lane {
            near: End { socket: near, to, head: near_head },
            far: End { socket: far, to, head: far_head },
        })
    }

    /// Through an allocation of the TURN server.
    fn turn_lane(&self) -> Result<Lane> {
        let (near, far) = (self.socket("one", 1)?, self.socket("two", 0)?);
        let to = self.relay_address()?;
        let relayed = turn::allocate(&near, to)?;
        turn::bind_channel(&near, to, far.local_addr()?)?;
        Ok(Lane {
            near: End { socket: near, to, head: Head::Channel(turn::CHANNEL) },
            far: End { socket: far, to: relayed, head: Head::Fixed(Vec::new()) },
        })
    }

    /// Straight, by way of the internet's core: the kernel forwards.
    fn kernel_lane(&self) -> Result<Lane> {
        let (near, far) = (self.socket("one", 1)?, self.socket("two", 0)?);
        let (near_to, far_to) = (far.local_addr()?, near.local_addr()?);
        let head = || Head::Fixed(Vec::new());
        Ok(Lane {
            near: End { socket: near, to: near_to, head: head() },
            far: End { socket: far, to: far_to, head: head() },
        })
    }
}

/// What one road did in all rounds.
#[derive(Default)]
struct Measured {
    full_per_cpu_s: Vec<f64>,
    small_per_cpu_s: Vec<f64>,
    full_per_s: Vec<f64>,
    trip_us: Vec<f64>,
}

#[expect(clippy::cast_precision_loss, reason = "packets of some seconds")]
fn measure(lane: &Lane, process: Option<&Process>, measured: &mut Measured) -> Result<()> {
    measured.trip_us.push(lane.round_trip(SMALL, TRIPS)?.as_secs_f64() * 1e6);
    for payload in [FULL, SMALL] {
        let before = process.map(Process::cpu).transpose()?;
        let arrived = lane.flood(payload, FLOOD)? as f64;
        if payload == FULL {
            measured.full_per_s.push(arrived / FLOOD.as_secs_f64());
        }
        if let (Some(process), Some(before)) = (process, before) {
            let spent = (process.cpu()? - before).as_secs_f64();
            let per_cpu_s =
                if payload == FULL { &mut measured.full_per_cpu_s } else { &mut measured.small_per_cpu_s };
            per_cpu_s.push(arrived / spent);
        }
    }
    Ok(())
}

/// The middle one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Measures everything with this coordinator program.
pub(crate) fn all(program: &Path) -> Result<Vec<Row>> {
    let topology = Topology::default().host("one", ADDRESSES).host("relay", 1).host("two", 1);
    let stage = Stage { internet: Internet::build(&topology)?, keys: warren::Keys::new() };
    let (mut ours, mut theirs, mut kernel) = (Measured::default(), Measured::default(), Measured::default());
    let (mut our_bytes, mut their_bytes) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let process = stage.warren(program)?;
        measure(&stage.warren_lane()?, Some(&process), &mut ours)?;
        if round < 3 {
            our_bytes.push(per_client(&process, |number| {
                let socket = stage.socket("one", spread(number))?;
                warren::register(&socket, stage.relay_address()?, &stage.keys, 10 + number)?;
                Ok(socket)
            })?);
        }
        drop(process);
        let process = stage.coturn()?;
        measure(&stage.turn_lane()?, Some(&process), &mut theirs)?;
        if round < 3 {
            their_bytes.push(per_client(&process, |number| {
                let socket = stage.socket("one", spread(number))?;
                turn::allocate(&socket, stage.relay_address()?)?;
                Ok(socket)
            })?);
        }
        drop(process);
        measure(&stage.kernel_lane()?, None, &mut kernel)?;
    }
    let direct_us = median(&mut kernel.trip_us);
    let row = |name, unit, ours: f64, peer: f64| Row {
        name,
        unit,
        ours,
        peer: Some(("coturn", peer)),
        limit: None,
    };
    let (our_full, their_full) = (median(&mut ours.full_per_cpu_s), median(&mut theirs.full_per_cpu_s));
    #[expect(clippy::cast_precision_loss, reason = "a packet's size")]
    let gbit = |per_s: f64| per_s * (FULL * 8) as f64 / 1e9;
    let memory = row("memory per idle client", "bytes", median(&mut our_bytes), median(&mut their_bytes));
    Ok(vec![
        row("packets of 1,312 bytes per core", "1/s", our_full, their_full),
        row("the same as throughput", "Gbit/s", gbit(our_full), gbit(their_full)),
        row(
            "packets of 32 bytes per core",
            "1/s",
            median(&mut ours.small_per_cpu_s),
            median(&mut theirs.small_per_cpu_s),
        ),
        row(
            "added to a round trip, unloaded",
            "us",
            median(&mut ours.trip_us) - direct_us,
            median(&mut theirs.trip_us) - direct_us,
        ),
        // A session and its entries in three indexes; sockets there are none.
        Row { limit: Some(2_048.0), ..memory },
        Row {
            name: "arrived of a flood of 1,312 bytes, all on this machine",
            unit: "1/s",
            ours: median(&mut ours.full_per_s),
            peer: Some(("kernel", median(&mut kernel.full_per_s))),
            limit: None,
        },
    ])
}

/// The address that the client with this number comes from.
const fn spread(number: u32) -> usize {
    number as usize % ADDRESSES
}
