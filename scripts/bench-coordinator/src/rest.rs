//! The coordinator that nobody talks to.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use tokio::time::sleep;

use crate::Scale;
use crate::process::Coordinator;
use crate::row::{Rows, Target, ms};

pub(crate) async fn measure(program: &Path, scale: Scale, rows: &mut Rows) -> Result<()> {
    let mut coordinator = Coordinator::new(program).await?;
    let mut starts = Vec::new();
    for _ in 0..5 {
        coordinator.kill().await?;
        starts.push(coordinator.start().await?);
    }
    starts.sort_unstable();
    // The serverless shape: whoever woke it waits for this.
    rows.add("start to first answer, empty database", "ms", ms(starts[2]), Target::AtMost(100.0));
    sleep(Duration::from_secs(2)).await;
    let memory = coordinator.memory_mib("VmRSS")?;
    rows.add("memory (RSS) of a coordinator that nobody talks to", "MiB", memory, Target::AtMost(25.0));
    let percent = cpu_percent(&coordinator, scale.seconds).await?;
    rows.add("CPU of a coordinator that nobody talks to", "% of a core", percent, Target::AtMost(0.2));
    Ok(())
}

/// CPU time over so many seconds in which nobody asks anything.
pub(crate) async fn cpu_percent(coordinator: &Coordinator, seconds: u64) -> Result<f64> {
    let before = coordinator.cpu()?;
    sleep(Duration::from_secs(seconds)).await;
    let spent = coordinator.cpu()?.saturating_sub(before);
    Ok(spent.as_secs_f64() * 100.0 / Duration::from_secs(seconds).as_secs_f64())
}
