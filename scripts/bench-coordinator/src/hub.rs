//! A hub that each of many nodes reaches, and they not one another: a fleet of devices, and the most that one change can
//! mean where maps are small.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use crate::agent::Fleet;
use crate::enrollment::Enrollment;
use crate::process::Coordinator;
use crate::row::{Rows, Target};
use crate::{Scale, change, rest};

/// The network.
const NAME: &str = "fleet";

pub(crate) async fn measure(program: &Path, scale: Scale, rows: &mut Rows) -> Result<()> {
    let mut coordinator = Coordinator::new(program).await?;
    let key = coordinator.network(NAME).await?;
    coordinator.admin(&["network", "set", NAME, "--default-access", "deny"]).await?;
    coordinator.admin(&["access-rule", "create", "allow", "--network", NAME, "--to", "hub"]).await?;
    let made = coordinator
        .admin(&["enrollment-key", "create", "--network", NAME, "--reusable", "--tags", "hub"])
        .await?;
    let hub_key = made["key"].as_str().unwrap_or_default().to_owned();
    coordinator.start().await?;
    let (mut enrollment, mut fleet) = (Enrollment::new(coordinator.site), Fleet::new(coordinator.site));
    for nodes in scale.hub {
        let first = fleet.agents.len() + 1;
        let key_of = |number| if number == 1 { hub_key.as_str() } else { key.as_str() };
        let wanted: Vec<_> = (first..=*nodes).map(|number| (number, key_of(number))).collect();
        let agents = enrollment.enroll(&wanted).await?;
        // The first of those that watch the hub is read whole.
        if let Some(witness) = agents.get(1).filter(|_| first == 1) {
            witness.keep();
        }
        let (begun, cpu) = (Instant::now(), coordinator.cpu()?);
        fleet.open(&agents, 0).await?;
        fleet.settle().await?;
        let of = format!("a hub of {nodes}");
        let (took, spent) = (begun.elapsed(), coordinator.cpu()?.saturating_sub(cpu));
        rows.add(format!("{of}: the last {} connect", agents.len()), "s", took.as_secs_f64(), Target::None);
        rows.add(format!("{of}: CPU for that"), "s", spent.as_secs_f64(), Target::None);
        let rest_percent = rest::cpu_percent(&coordinator, scale.seconds.min(4)).await?;
        change::measure(&coordinator, &fleet.agents, scale.changes, (&of, rest_percent), rows).await?;
        rows.add(format!("{of}: memory (RSS)"), "MiB", coordinator.memory_mib("VmRSS")?, Target::None);
    }
    Ok(())
}
