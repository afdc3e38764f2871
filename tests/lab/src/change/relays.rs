//! A second relay: nearer ones are used, and one that dies under load is left.

use std::time::Duration;

use super::echoes::{Echoes, Row, now_s};
use super::{Case, Stage, part};
use crate::coordinator::{Coordinator, text};
use crate::daemon::{Daemon, product_command};
use crate::deadline::wait_for;
use crate::error::LabError;
use crate::node::Node;
use crate::opening::Expected;
use crate::scenario::Outcome;
use crate::topology::{PublicHost, Topology, WireSettings};

/// What the coordinator's cable takes, each way: four times in a round trip through the relay in it.
pub(super) const FAR_MS: u32 = 20;
/// The same of the other relay's.
pub(super) const NEAR_MS: u32 = 2;
/// From `admin relay add` to both sides using it: a second until the coordinator notices, a registration, and one of the rounds in
/// which relays are compared; their pauses grow while nothing changes, but a new relay begins one.
pub(super) const ADOPTED_MAX_MS: f64 = 8_000.0;
/// From `admin relay disable` to both sides using the other one: a second until the coordinator notices, and what the map takes.
pub(super) const LEFT_MAX_MS: f64 = 3_000.0;
/// The longest silence then: both stand at the other relay already, so nothing has to be found out.
pub(super) const DISABLED_GAP_MAX_MS: f64 = 300.0;
/// From its death to the coordinator's list saying that nobody reaches it: a keepalive each 10 s, five questions 250 ms apart, five seconds
/// in which it may come back, and a second until the report.
pub(super) const TOLD_MAX_MS: f64 = 20_000.0;
/// The longest silence when a relay dies: a look at the traffic each 250 ms, and five questions 250 ms apart.
pub(super) const GAP_MAX_MS: f64 = 2_000.0;
pub(super) const INTERVAL: Duration = Duration::from_millis(50);

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "relay/second",
        about: "an administrator names a nearer relay: pairs use it, leave it while it is disabled, and when it is killed under load; the list says who reaches it",
        places,
        play,
    }]
}

fn places(mut topology: Topology) -> Topology {
    for (name, addresses, delay_ms) in [("second", 2, FAR_MS), ("second-relay", 1, NEAR_MS)] {
        let wire = Some(WireSettings { delay_ms, ..WireSettings::default() });
        topology.hosts.push(PublicHost { name: name.to_owned(), addresses, wire, ipv6: false });
    }
    topology.site("second-a", "symmetric", &["second-a"]).site("second-b", "symmetric", &["second-b"])
}

/// A relay alone, and what nodes know it by.
struct Relay {
    daemon: Daemon,
    public_key: String,
    address: String,
}

impl Relay {
    fn start(stage: &Stage<'_>, coordinator: &Coordinator, host: &str) -> Result<Self, LabError> {
        let unknown = || LabError::Description(format!("`{host}` has no address"));
        let ip = *stage.internet.addresses(host)?.first().ok_or_else(unknown)?;
        let (address, log) = (format!("{ip}:3478"), stage.context.run_dir.join(format!("{host}.log")));
        let verify_key = text(&coordinator.admin(&["relay", "list", "--json"])?, "verify_key")?;
        let mut command =
            product_command(&stage.internet.host(host)?, &stage.context.program("warren-coordinator")?);
        command.args(["relay", "--listen", &address, "--log-format", "json", "--verify-key", &verify_key]);
        let daemon = Daemon::start(
            command.arg("--private-key-file").arg(stage.context.run_dir.join("relay.key")),
            &log,
        )?;
        let (public_key, _) = wait_for("the relay's public key in its log", Duration::from_secs(10), || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            let key = said.split("\"public_key\":\"").nth(1).and_then(|rest| rest.split('"').next());
            Ok(key.map(str::to_owned))
        })?;
        Ok(Self { daemon, public_key, address })
    }
}

/// Waits until the coordinator's list says of a relay that so many nodes reach it and so many do not, and what it answers the coordinator;
/// gives how long that took in milliseconds.
fn until_listed(
    coordinator: &Coordinator,
    name: &str,
    wanted: (u64, u64, &str),
    limit: Duration,
) -> Result<f64, LabError> {
    let what = format!("`{name}` listed with {wanted:?}");
    let (_, taken) = wait_for(&what, limit, || {
        std::thread::sleep(Duration::from_millis(80));
        let relay = coordinator.admin(&["relay", "show", name, "--json"])?;
        let nodes = |field: &str| relay["nodes"][field].as_u64().unwrap_or(u64::MAX);
        let answers = relay["checks"][0]["result"].as_str().unwrap_or_default();
        Ok(((nodes("reached"), nodes("unreached"), answers) == wanted).then_some(()))
    })?;
    Ok(taken.as_secs_f64() * 1000.0)
}

/// Waits until both send through this relay; gives how long that took in milliseconds.
pub(super) fn until_relay(nodes: &[Node; 2], relay: &str, limit: Duration) -> Result<f64, LabError> {
    let what = format!("both at the relay `{relay}`");
    let (_, taken) = wait_for(&what, limit, || {
        std::thread::sleep(Duration::from_millis(80));
        let used = |node: &Node, peer: &Node| Ok(node.status()?.path_to(&peer.name).relay);
        let used: [Option<String>; 2] = [used(&nodes[0], &nodes[1])?, used(&nodes[1], &nodes[0])?];
        Ok(used.iter().all(|name| name.as_deref() == Some(relay)).then_some(()))
    })?;
    Ok(taken.as_secs_f64() * 1000.0)
}

fn play(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    let mut coordinator = Coordinator::start(&stage.context.within("own")?, stage.internet, "second")?;
    let nodes = stage.pair_at(&coordinator, ["second-a", "second-b"], Expected::Relay)?;
    let row = |from: usize, to: usize| {
        let (from, to) = (&nodes[from].namespace, nodes[to].mesh_address(false)?);
        Echoes::start(&stage.context, from, to, INTERVAL, 56)
    };
    // Who only answers notices later that nobody hears it: both ask.
    let rows = [row(0, 1)?, row(1, 0)?];
    std::thread::sleep(Duration::from_secs(2));
    let mut relay = Relay::start(stage, &coordinator, "second-relay")?;
    let add = ["relay", "add", "--name", "near", "--public-key", &relay.public_key, "--address"];
    coordinator.admin(&[&add[..], &[&relay.address, "--json"]].concat())?;
    let named = now_s();
    let adopted_ms = until_relay(&nodes, "near", Duration::from_secs(30))?;
    until_listed(&coordinator, "near", (2, 0, "serves"), Duration::from_secs(10))?;
    std::thread::sleep(Duration::from_secs(2));
    let disabled = now_s();
    coordinator.admin(&["relay", "disable", "near", "--json"])?;
    let left_ms = until_relay(&nodes, "coordinator", Duration::from_secs(10))?;
    std::thread::sleep(Duration::from_secs(2));
    let enabled = now_s();
    coordinator.admin(&["relay", "enable", "near", "--json"])?;
    until_relay(&nodes, "near", Duration::from_secs(30))?;
    std::thread::sleep(Duration::from_secs(2));
    relay.daemon.must_run()?;
    let killed = now_s();
    drop(relay);
    std::thread::sleep(Duration::from_secs(5));
    until_relay(&nodes, "coordinator", Duration::from_secs(5))?;
    until_listed(&coordinator, "near", (0, 2, "silent"), Duration::from_secs(40))?;
    let told_ms = (now_s() - killed) * 1000.0;
    until_listed(&coordinator, "coordinator", (2, 0, "serves"), Duration::from_secs(10))?;
    let [row, back] = rows;
    let (row, back) = (row.stop()?, back.stop()?);
    coordinator.must_run()?;
    part(nodes)?;
    let gap = |row: &Row| row.gap_ms(killed - 0.5, killed + 5.0);
    let disabled_gap = |row: &Row| row.gap_ms(disabled - 0.5, enabled);
    let (before, after) = (row.rtt_ms(named - 1.5, named), row.rtt_ms(killed - 1.5, killed));
    Ok(outcome
        .limited("adopted_ms", adopted_ms, ADOPTED_MAX_MS)
        .figure("rtt_before_ms", before)
        .limited("rtt_near_ms", after, before / 2.0)
        .limited("left_ms", left_ms, LEFT_MAX_MS)
        .limited("disabled_gap_ms", disabled_gap(&row).max(disabled_gap(&back)), DISABLED_GAP_MAX_MS)
        .limited("told_ms", told_ms, TOLD_MAX_MS)
        .limited("gap_ms", gap(&row).max(gap(&back)), GAP_MAX_MS)
        .judged(Ok("near, then the coordinator's again".to_owned())))
}
