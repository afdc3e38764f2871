//! A home router that reconnects at night: new outside address, all connections forgotten.

use std::time::{Duration, Instant};

use crate::deadline::wait_for;
use crate::error::LabError;
use crate::mesh::{Mesh, folder, one_by_one};
use crate::opening::{Expected, PATIENCE, ms, ping_all_ways, watch};
use crate::ping::first_reply;
use crate::scenario::{Context, Group, Outcome};
use crate::topology::Topology;

/// The longest silence for somebody who uses the mesh, from the router's change to the next answered ping.
const SILENCE_MAX_MS: f64 = 4_000.0;
/// From the router's change until both ends show a direct path again.
const DIRECT_AGAIN_MAX_MS: f64 = 10_000.0;

/// The group `rebinding`.
pub(crate) fn group() -> Group {
    let about =
        "a router forgets its connections and gets a new address: ping recovers, the path is direct again";
    Group {
        members: vec![("rebinding".to_owned(), about.to_owned())],
        run: |context, wanted| {
            Ok(one_by_one(context, wanted, |name, outcome| scenario(context, name, outcome)))
        },
    }
}

fn scenario(context: &Context, name: &str, outcome: Outcome) -> Result<Outcome, LabError> {
    let topology =
        Topology::default().site("one", "port-restricted", &["ada"]).site("two", "port-restricted", &["ben"]);
    let mut mesh = Mesh::start(context, &folder(name), topology, &["ada", "ben"])?;
    let (ada, ben) = (mesh.node("ada")?, mesh.node("ben")?);
    watch(ada, ben, Instant::now(), Expected::Direct)?;
    let far = ben.mesh_address(false)?;
    let (_, old) = mesh.internet.router("one")?;
    let start = Instant::now();
    let new = mesh.internet.rebind("one")?;
    let silence = first_reply(&ada.namespace, far, start, PATIENCE)?;
    let limit = Duration::from_secs(40);
    let (remote, _) = wait_for("the direct path after the rebinding", limit, || {
        let (here, there) = (ada.status()?.path_to("ben"), ben.status()?.path_to("ada"));
        let complaint = Expected::Direct.complaint(&here).or_else(|| Expected::Direct.complaint(&there));
        let remote = there.remote.unwrap_or_default();
        match complaint {
            Some(complaint) => Err(LabError::Unmet(complaint)),
            None if remote.starts_with(&format!("{new}:")) => Ok(Some(remote)),
            None => {
                Err(LabError::Unmet(format!("ben still sends to {remote}, the router left {old} for {new}")))
            }
        }
    })?;
    let direct_again = start.elapsed();
    ping_all_ways(ada, ben, PATIENCE)?;
    mesh.must_run()?;
    let outcome = outcome.limited("silence_ms", ms(silence), SILENCE_MAX_MS);
    let outcome = outcome.limited("direct_again_ms", ms(direct_again), DIRECT_AGAIN_MAX_MS);
    Ok(outcome.judged(Ok(format!("direct to {remote}"))))
}
