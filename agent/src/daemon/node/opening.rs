//! What a node opens on the machine when it starts.

use tokio::sync::mpsc;
use tunnel::{PathLayer, Received};

use super::{DATAGRAMS_MAX, failure};
use crate::failure::Failure;
use crate::net::KernelWatch;
use crate::state::StateFolder;

/// Opens the UDP port of the last life, or another one, which is remembered; and where datagrams for the engine come out.
pub(super) fn open_paths(state: &StateFolder) -> Result<(PathLayer, mpsc::Receiver<Received>), Failure> {
    let (sender, datagrams) = mpsc::channel(DATAGRAMS_MAX);
    let accept = move |received| sender.try_send(received).is_ok();
    let paths = PathLayer::bind(state.udp_port().unwrap_or(0), accept).map_err(|error| failure(&error))?;
    let port = paths.local_port();
    if paths.port_was_taken() {
        tracing::warn!(port, "the UDP port of the last life is taken: using another one");
    }
    if let Err(error) = state.set_udp_port(port) {
        tracing::warn!(%error, "the UDP port is not remembered");
    }
    Ok((paths, datagrams))
}

/// Lets the kernel tell of interfaces; `None` where it does not.
pub(super) fn watch_interfaces() -> Option<KernelWatch> {
    let watch = KernelWatch::of_interfaces();
    watch
        .inspect_err(
            |error| tracing::info!(%error, "the kernel tells nothing of interfaces: looking each second"),
        )
        .ok()
}
