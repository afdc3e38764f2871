//! What an idle client costs a relay.

use std::net::UdpSocket;

use anyhow::Result;

use crate::process::Process;

/// Clients of which the mean is told.
pub(crate) const CLIENTS: u32 = 2_000;

/// Bytes of the process per client, after so many have come; `come` gives the socket that a client keeps open.
pub(crate) fn per_client(process: &Process, mut come: impl FnMut(u32) -> Result<UdpSocket>) -> Result<f64> {
    // The first ones fill tables that are there for any number.
    let mut sockets = (0..100).map(&mut come).collect::<Result<Vec<UdpSocket>>>()?;
    let before = process.resident()?;
    for number in 0..CLIENTS {
        sockets.push(come(100 + number)?);
    }
    let grown = process.resident()?.saturating_sub(before);
    drop(sockets);
    #[expect(clippy::cast_precision_loss, reason = "bytes of one process")]
    Ok(grown as f64 / f64::from(CLIENTS))
}
