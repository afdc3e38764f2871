//! One network with many nodes: what a whole map costs, and the worst case of a change, which all nodes watch.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::time::timeout;

use crate::agent::{Agent, Fleet};
use crate::enrollment::Enrollment;
use crate::process::Coordinator;
use crate::row::{Rows, Target, Times, number};
use crate::sse::Reader;
use crate::{Scale, change, rest};

/// Whole maps of which the times are told.
const MAPS: usize = 100;

pub(crate) async fn measure(program: &Path, scale: Scale, rows: &mut Rows) -> Result<()> {
    let mut coordinator = Coordinator::new(program).await?;
    let key = coordinator.network("wide").await?;
    coordinator.start().await?;
    let mut enrollment = Enrollment::new(coordinator.site);
    let mut fleet = Fleet::new(coordinator.site);
    for (step, nodes) in scale.wide.iter().enumerate() {
        let first = fleet.agents.len() + 1;
        let wanted: Vec<_> = (first..=*nodes).map(|number| (number, key.as_str())).collect();
        let agents = enrollment.enroll(&wanted).await?;
        let resume_at = if step == 0 {
            maps(&coordinator, &agents, *nodes, rows).await?
        } else {
            fleet.agents.first().map_or(0, |agent| agent.seen.revision.load(Ordering::Relaxed))
        };
        let begun = Instant::now();
        let cpu = coordinator.cpu()?;
        if let Some(witness) = agents.get(1).filter(|_| step == 0) {
            witness.keep();
        }
        fleet.open(&agents, resume_at).await?;
        fleet.settle().await?;
        let of = format!("one network of {nodes}");
        let spent = coordinator.cpu()?.saturating_sub(cpu).as_secs_f64();
        rows.add(
            format!("{of}: the last {} come, all told of each", agents.len()),
            "s",
            begun.elapsed().as_secs_f64(),
            Target::None,
        );
        rows.add(format!("{of}: CPU for that"), "s", spent, Target::None);
        let rest_percent = rest::cpu_percent(&coordinator, scale.seconds.min(4)).await?;
        change::measure(&coordinator, &fleet.agents, scale.changes, (&of, rest_percent), rows).await?;
        rows.add(format!("{of}: memory (RSS)"), "MiB", coordinator.memory_mib("VmRSS")?, Target::None);
    }
    Ok(())
}

/// Fetches whole maps, one after the other; gives the last revision.
async fn maps(
    coordinator: &Coordinator,
    agents: &[Arc<Agent>],
    nodes: usize,
    rows: &mut Rows,
) -> Result<u64> {
    let (mut times, mut bytes, mut revision) = (Times::default(), 0, 0);
    let cpu = coordinator.cpu()?;
    for agent in agents.iter().cycle().take(MAPS) {
        let begun = Instant::now();
        let stream = agent.ask(coordinator.site).await?;
        let (mut reader, mut buffer, mut is_whole) = (Reader::default(), vec![0; 64 * 1024], false);
        while !is_whole {
            timeout(Duration::from_secs(10), stream.readable()).await??;
            let Ok(read) = stream.try_read(&mut buffer) else { continue };
            ensure!(read > 0, "a map stream ended early");
            bytes += read;
            reader.push(buffer.get(..read).unwrap_or_default(), |event| {
                (is_whole, revision) = (is_whole || event.is_snapshot, event.revision);
            });
        }
        times.push(begun.elapsed());
    }
    let spent = coordinator.cpu()?.saturating_sub(cpu).as_secs_f64();
    let of = format!("map of {nodes} nodes");
    rows.add(
        format!("{of}, whole, from connect to last byte: p50"),
        "ms",
        times.percentile_ms(50),
        Target::None,
    );
    rows.add(
        format!("{of}, whole, from connect to last byte: p95"),
        "ms",
        times.percentile_ms(95),
        Target::AtMost(50.0),
    );
    rows.add(format!("{of}: CPU"), "ms", spent * 1000.0 / number(MAPS), Target::None);
    rows.add(format!("{of}: size"), "KiB", number(bytes) / number(MAPS) / 1024.0, Target::None);
    Ok(revision)
}
