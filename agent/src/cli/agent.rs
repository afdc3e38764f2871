//! `warren agent`: the daemon, in the foreground.

use std::time::Duration;

use super::Context;
use crate::daemon::{self, Options};
use crate::exit::{Code, Failure};

/// How long tasks that still answer someone may take at the end.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    // Two workers: one event loop, and HTTP beside it; packets have threads of their own.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(
            |error| Failure::new(Code::Failed, format!("cannot start: {error}; check the limit on threads")),
        )?;
    let global = &context.global;
    let options = Options {
        state_dir: global.state_dir.clone(),
        socket: global.socket.clone(),
        interface: global.interface.clone(),
    };
    let outcome = runtime.block_on(daemon::run(options));
    runtime.shutdown_timeout(FAREWELL);
    outcome
}
