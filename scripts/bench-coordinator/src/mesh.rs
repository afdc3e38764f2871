//! Many networks: ten, a hundred, a thousand, ten thousand agents, to see that a change costs the same in all of them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use protocol::key::PublicKey;
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use crate::agent::{Agent, Fleet, now_ns};
use crate::connection::Connection;
use crate::enrollment::Enrollment;
use crate::process::Coordinator;
use crate::row::{Rows, Target, Times, ms, number};
use crate::{Scale, change, report, rest};

/// Every agent reports once in so many seconds.
const HEARTBEAT_S: u64 = 30;

/// The port of every agent.
const PORT: u16 = 41_641;

/// Connections that reports come over.
const LANES: usize = 64;

/// Lanes come from addresses that no agent has.
const LANE_ADDRESSES: usize = 30_000;

/// A mesh that grows.
struct Mesh {
    coordinator: Coordinator,
    keys: Vec<String>,
    fleet: Fleet,
    enrollment: Enrollment,
    scale: Scale,
}

pub(crate) async fn measure(program: &Path, scale: Scale, rows: &mut Rows) -> Result<()> {
    let mut coordinator = Coordinator::new(program).await?;
    let all = scale.steps.last().copied().context("a step")?;
    let mut keys = Vec::new();
    for index in 0..all.div_ceil(scale.network) {
        keys.push(coordinator.network(&format!("network-{index}")).await?);
    }
    coordinator.start().await?;
    let (fleet, enrollment) = (Fleet::new(coordinator.site), Enrollment::new(coordinator.site));
    let mut mesh = Mesh { coordinator, keys, fleet, enrollment, scale };
    for step in scale.steps {
        mesh.grow(*step, rows).await.with_context(|| format!("{step} agents"))?;
    }
    let peers = scale.network - 1;
    mesh.report_once(peers, rows).await?;
    mesh.heartbeats(|_| report::body(PORT), "no path is another one", Target::AtMost(5.0), rows).await?;
    let whole = |agent: &Agent| report::whole(PORT, &mesh.others(agent, peers));
    mesh.heartbeats(whole, &format!("{peers} paths"), Target::None, rows).await?;
    mesh.restart(rows).await?;
    mesh.start_alone(rows).await
}

impl Mesh {
    /// Adds agents up to so many, and tells what that costs.
    async fn grow(&mut self, nodes: usize, rows: &mut Rows) -> Result<()> {
        let first = self.fleet.agents.len();
        let key = |number: usize| self.keys.get(number / self.scale.network).map_or("", String::as_str);
        let wanted: Vec<_> = (first..nodes).map(|number| (number + 1, key(number))).collect();
        let agents = self.enrollment.enroll(&wanted).await?;
        let of = format!("{nodes} agents");
        let rate = self.enrollment.take_rate();
        rows.add(format!("enrollments, durable, up to {nodes}"), "1/s", rate, Target::AtLeast(500.0));
        if let Some(witness) = agents.get(1).filter(|_| first == 0) {
            witness.keep();
        }
        let (begun, cpu) = (Instant::now(), self.coordinator.cpu()?);
        self.fleet.open(&agents, 0).await?;
        let (took, spent) = (begun.elapsed(), self.coordinator.cpu()?.saturating_sub(cpu));
        rows.add(format!("{of}: the last {} connect", agents.len()), "s", took.as_secs_f64(), Target::None);
        rows.add(format!("{of}: CPU for that"), "s", spent.as_secs_f64(), Target::None);
        self.fleet.settle().await?;
        // What was freed is given back within seconds.
        sleep(Duration::from_secs(self.scale.seconds.min(3))).await;
        let limit = if nodes == 10_000 { Target::AtMost(512.0) } else { Target::None };
        rows.add(format!("{of} on SSE: memory (RSS)"), "MiB", self.coordinator.memory_mib("VmRSS")?, limit);
        rows.add(
            format!("{of} on SSE: most memory so far"),
            "MiB",
            self.coordinator.memory_mib("VmHWM")?,
            limit,
        );
        let rest = rest::cpu_percent(&self.coordinator, self.scale.seconds).await?;
        rows.add(format!("{of} and no change: CPU"), "% of a core", rest, Target::None);
        let network = self.fleet.agents.get(..self.scale.network.min(nodes)).unwrap_or_default();
        change::measure(&self.coordinator, network, self.scale.changes, (&of, rest), rows).await?;
        self.administrate(&of, rest, rows).await
    }

    /// What it costs to notice the write of another process.
    async fn administrate(&self, of: &str, rest_percent: f64, rows: &mut Rows) -> Result<()> {
        let (begun, cpu) = (Instant::now(), self.coordinator.cpu()?);
        for _ in 0..3 {
            self.coordinator.admin(&["enrollment-key", "create", "--network", "network-0"]).await?;
            sleep(Duration::from_millis(1_500)).await;
        }
        let spent = self.coordinator.cpu()?.saturating_sub(cpu).as_secs_f64();
        let rest = begun.elapsed().as_secs_f64() * rest_percent / 100.0;
        let each = (spent - rest).max(0.0) * 1000.0 / 3.0;
        rows.add(format!("{of}: CPU to notice an admin command"), "ms", each, Target::None);
        Ok(())
    }

    /// Reports at the pace of all agents.
    async fn heartbeats(
        &self,
        body: impl Fn(&Agent) -> Result<Vec<u8>>,
        what: &str,
        target: Target,
        rows: &mut Rows,
    ) -> Result<()> {
        let agents = &self.fleet.agents;
        let count = agents.len() * usize::try_from(self.scale.seconds)? / usize::try_from(HEARTBEAT_S)?;
        let turns: Vec<(Arc<Agent>, Vec<u8>)> = agents
            .iter()
            .take(count.max(1))
            .map(|agent| Ok((Arc::clone(agent), body(agent)?)))
            .collect::<Result<_>>()?;
        let size = turns.first().map_or(0, |(_, body)| body.len());
        let pace = Duration::from_secs(self.scale.seconds).div_f64(number(turns.len()));
        let rest = rest::cpu_percent(&self.coordinator, self.scale.seconds.min(5)).await?;
        // Each has reported before: what follows is no news.
        self.send(turns.clone(), Duration::ZERO).await?;
        sleep(Duration::from_secs(2)).await;
        let (begun, cpu) = (Instant::now(), self.coordinator.cpu()?);
        let mut times = self.send(turns, pace).await?;
        let spent = self.coordinator.cpu()?.saturating_sub(cpu).as_secs_f64();
        let percent = spent * 100.0 / begun.elapsed().as_secs_f64() - rest;
        let of = format!("reports of {} agents each {HEARTBEAT_S} s, {size} bytes ({what})", agents.len());
        rows.add(format!("{of}: CPU"), "% of a core", percent.max(0.0), target);
        rows.add(format!("{of}: answered p99"), "ms", times.percentile_ms(99), Target::None);
        Ok(())
    }

    /// Lets every agent report once, with paths to all its peers: the coordinator keeps the last report of each.
    async fn report_once(&self, peers: usize, rows: &mut Rows) -> Result<()> {
        for some in self.fleet.agents.chunks(500) {
            let turns = some.iter().map(|agent| {
                let body = report::whole(PORT, &self.others(agent, peers))?;
                Ok((Arc::clone(agent), body))
            });
            self.send(turns.collect::<Result<_>>()?, Duration::ZERO).await?;
        }
        self.fleet.settle().await?;
        sleep(Duration::from_secs(2)).await;
        let of = format!("{} agents, each reported on {peers} peers", self.fleet.agents.len());
        let limit = if self.fleet.agents.len() == 10_000 { Target::AtMost(512.0) } else { Target::None };
        rows.add(format!("{of}: memory (RSS)"), "MiB", self.coordinator.memory_mib("VmRSS")?, limit);
        Ok(())
    }

    /// So many of the agent's peers.
    fn others(&self, agent: &Agent, peers: usize) -> Vec<PublicKey> {
        let network = (agent.number - 1) / self.scale.network;
        let nodes = self.fleet.agents.iter().skip(network * self.scale.network).take(self.scale.network);
        let others = nodes.map(|node| node.public_key).filter(|key| *key != agent.public_key);
        others.take(peers).collect()
    }

    /// Sends reports over a few connections, one in each `pace`.
    async fn send(&self, turns: Vec<(Arc<Agent>, Vec<u8>)>, pace: Duration) -> Result<Times> {
        let (sender, receiver) = tokio::sync::mpsc::channel::<(Arc<Agent>, Vec<u8>)>(LANES);
        let receiver = Arc::new(tokio::sync::Mutex::new(receiver));
        let mut lanes = JoinSet::new();
        for lane in 0..LANES {
            let (site, receiver) = (self.coordinator.site, Arc::clone(&receiver));
            lanes.spawn(async move {
                let (mut connection, mut times) =
                    (Connection::open(site, LANE_ADDRESSES + lane).await?, Vec::new());
                loop {
                    let turn = receiver.lock().await.recv().await;
                    let Some((agent, body)) = turn else { return Ok::<_, anyhow::Error>(times) };
                    let begun = Instant::now();
                    let answer = connection.call("POST", "/report", &agent.token, &body).await?;
                    ensure!(answer.status == 200, "a report was answered {}", answer.status);
                    times.push(begun.elapsed());
                }
            });
        }
        let mut ticks = interval(pace.max(Duration::from_micros(1)));
        for turn in turns {
            if !pace.is_zero() {
                ticks.tick().await;
            }
            sender.send(turn).await.map_err(|_| anyhow::anyhow!("all connections failed"))?;
        }
        drop(sender);
        let mut all = Times::default();
        while let Some(times) = lanes.join_next().await {
            times??.into_iter().for_each(|time| all.push(time));
        }
        Ok(all)
    }

    /// Kills the coordinator, starts it again, and waits for all agents.
    async fn restart(&mut self, rows: &mut Rows) -> Result<()> {
        let killed = now_ns();
        self.coordinator.kill().await?;
        let start = self.coordinator.start().await?;
        // Every stream has ended by now, or ends as soon as its task runs.
        sleep(Duration::from_millis(50)).await;
        self.fleet.wait_whole(Duration::from_secs(180)).await?;
        let mut times = Times::default();
        for agent in &self.fleet.agents {
            let back = agent.seen.whole_at.load(Ordering::Relaxed);
            ensure!(back > killed, "an agent has not noticed the restart");
            times.push(Duration::from_nanos(back - killed));
        }
        let of = format!("{} agents after kill -9 and start", self.fleet.agents.len());
        rows.add(format!("{of}: start to first answer"), "ms", ms(start), Target::None);
        for (percent, target) in [(50, Target::None), (99, Target::AtMost(60_000.0)), (100, Target::None)] {
            rows.add(
                format!("{of}: back with the map, p{percent}"),
                "ms",
                times.percentile_ms(percent),
                target,
            );
        }
        self.fleet.settle().await?;
        rows.add(
            format!("{of}: CPU until all rests"),
            "s",
            self.coordinator.cpu()?.as_secs_f64(),
            Target::None,
        );
        let most = self.coordinator.memory_mib("VmHWM")?;
        rows.add(format!("{of}: most memory"), "MiB", most, Target::None);
        Ok(())
    }

    /// Starts on the whole database, while no agent asks.
    async fn start_alone(&mut self, rows: &mut Rows) -> Result<()> {
        let nodes = self.fleet.agents.len();
        self.fleet = Fleet::new(self.coordinator.site);
        let mut starts = Vec::new();
        for _ in 0..5 {
            self.coordinator.kill().await?;
            starts.push(self.coordinator.start().await?);
        }
        starts.sort_unstable();
        rows.add(
            format!("start to first answer, database of {nodes} nodes"),
            "ms",
            ms(starts[2]),
            Target::AtMost(1_000.0),
        );
        let memory = self.coordinator.memory_mib("VmRSS")?;
        rows.add(format!("memory (RSS) after it, database of {nodes} nodes"), "MiB", memory, Target::None);
        Ok(())
    }
}
