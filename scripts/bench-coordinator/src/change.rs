//! How long it takes until a change of one node has reached all that watch its network.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use protocol::api::MapEvent;
use tokio::time::sleep;

use crate::agent::{Agent, now_ns};
use crate::connection::Connection;
use crate::process::Coordinator;
use crate::report;
use crate::row::{Rows, Target, Times, number};

/// A change that has not arrived by then counts as lost.
const LOST_AFTER: Duration = Duration::from_secs(30);

/// Pause between two changes.
const PAUSE: Duration = Duration::from_millis(100);

/// Lets the first node of a network report a new address again and again; the others watch. `of` names the stage in
/// rows, `rest_percent` is what the coordinator spends without changes.
pub(crate) async fn measure(
    coordinator: &Coordinator,
    network: &[Arc<Agent>],
    count: usize,
    (of, rest_percent): (&str, f64),
    rows: &mut Rows,
) -> Result<()> {
    let (changing, watchers) = network.split_first().context("a network without nodes")?;
    let mut connection = Connection::open(coordinator.site, changing.number).await?;
    let (mut delays, begun, cpu) = (Times::default(), Instant::now(), coordinator.cpu()?);
    // The first ones warm up what is there for any number.
    for (turn, port) in (20_000..).take(count).enumerate() {
        let body = report::body(port)?;
        let before: Vec<u64> =
            watchers.iter().map(|agent| agent.seen.events.load(Ordering::Relaxed)).collect();
        let sent = now_ns();
        let answer = connection.call("POST", "/report", &changing.token, &body).await?;
        ensure!(answer.status == 200, "report {turn} was answered {}", answer.status);
        wait(watchers, &before).await.with_context(|| format!("change {turn}"))?;
        check(watchers, port)?;
        for agent in watchers {
            let arrived = agent.seen.event_at.load(Ordering::Relaxed);
            delays.push(Duration::from_nanos(arrived.saturating_sub(sent)));
        }
        sleep(PAUSE).await;
    }
    let spent = coordinator.cpu()?.saturating_sub(cpu).as_secs_f64();
    let rest = begun.elapsed().as_secs_f64() * rest_percent / 100.0;
    let per_change_us = (spent - rest).max(0.0) * 1e6 / number(count);
    let seen_by = watchers.len();
    rows.add(
        format!("a node's change seen by {seen_by}, {of}: p50"),
        "ms",
        delays.percentile_ms(50),
        Target::None,
    );
    let p99 = delays.percentile_ms(99);
    rows.add(format!("a node's change seen by {seen_by}, {of}: p99"), "ms", p99, Target::AtMost(1_000.0));
    rows.add(format!("CPU per change seen by {seen_by}, {of}"), "us", per_change_us, Target::None);
    let per_watcher = per_change_us / number(seen_by.max(1));
    rows.add(format!("CPU per change and watcher, {of}"), "us", per_watcher, Target::None);
    Ok(())
}

async fn wait(watchers: &[Arc<Agent>], before: &[u64]) -> Result<()> {
    let begun = Instant::now();
    loop {
        let mut pairs = watchers.iter().zip(before);
        let missing =
            pairs.by_ref().filter(|(agent, events)| agent.seen.events.load(Ordering::Relaxed) <= **events);
        let missing = missing.count();
        if missing == 0 {
            return Ok(());
        }
        ensure!(begun.elapsed() < LOST_AFTER, "{missing} watchers have not seen it after {LOST_AFTER:?}");
        sleep(Duration::from_millis(1)).await;
    }
}

/// All have the same revision, and the first one, which is read whole, the very address.
fn check(watchers: &[Arc<Agent>], port: u16) -> Result<()> {
    let revision = |agent: &Arc<Agent>| agent.seen.revision.load(Ordering::Relaxed);
    let Some(witness) = watchers.first() else { return Ok(()) };
    ensure!(
        watchers.iter().all(|agent| revision(agent) == revision(witness)),
        "watchers at different revisions"
    );
    let kept = witness.kept();
    let data = std::str::from_utf8(&kept)?.trim_start_matches("data: ");
    let Some(MapEvent::Delta(delta)) = MapEvent::parse("delta", data)? else { anyhow::bail!("no delta") };
    let address = report::address(port);
    let told = delta.upserts.iter().flat_map(|peer| &peer.candidates);
    ensure!(told.into_iter().any(|told| told.address.to_string() == address), "the change is another one");
    Ok(())
}
