//! The transmit thread: interface to UDP.

use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::batch::ReadBatch;
use crate::error::TunnelError;
use crate::exchange::{Exchange, Outgoing};

/// How long to rest when the interface gives nothing but errors, so that one that stays does not spin.
const ERROR_REST: Duration = Duration::from_millis(10);

/// Errors in a row that are taken for single bad packets.
const ERRORS_MAX: u32 = 8;

/// The running thread; dropping it ends and joins the thread.
pub(crate) struct Transmit {
    stopping: Arc<AtomicBool>,
    // Closing the pipe wakes the thread where it waits.
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Transmit {
    pub(crate) fn start(exchange: Arc<Exchange>) -> Result<Self, TunnelError> {
        let failed = |source| TunnelError::Thread { name: "tunnel-transmit", source };
        let (stopped, stop) = io::pipe().map_err(failed)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stopping);
        let thread = std::thread::Builder::new()
            .name("tunnel-transmit".to_owned())
            .spawn(move || {
                let round = AssertUnwindSafe(|| run(&exchange, &stopped, &flag));
                if std::panic::catch_unwind(round).is_err() {
                    // The next look at the tunnel finds it gone and takes it down, so that it can be built anew.
                    tracing::error!("the tunnel's transmit thread ended by a fault");
                    exchange.paths.counters.faults.add(1);
                    exchange.set_gone();
                }
            })
            .map_err(failed)?;
        Ok(Self { stopping, stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Transmit {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::Relaxed);
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the tunnel's transmit thread panicked");
        }
    }
}

fn run(exchange: &Exchange, stopped: &PipeReader, stopping: &AtomicBool) {
    let mut batch = ReadBatch::new(exchange.mtu());
    let mut outgoing = Outgoing::new();
    let mut errors = 0;
    let counters = &exchange.paths.counters;
    while !stopping.load(Ordering::Relaxed) {
        if !batch.fits(exchange.mtu()) {
            batch = ReadBatch::new(exchange.mtu());
        }
        match exchange.interface.receive(&mut batch) {
            Ok(()) => {
                errors = 0;
                exchange.transmit(&batch, &mut outgoing);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                outgoing.outbound.flush(counters);
                wait(exchange, stopped);
            }
            Err(error) if exchange.interface.is_gone(&error) => {
                tracing::warn!(%error, "the tunnel interface was removed from outside");
                exchange.set_gone();
                break;
            }
            Err(error) => {
                tracing::debug!(%error, "the interface gave no packet");
                counters.interface_failed.add(1);
                errors += 1;
                if errors > ERRORS_MAX {
                    std::thread::sleep(ERROR_REST);
                }
            }
        }
    }
    outgoing.outbound.flush(counters);
}

/// Waits for a packet or the end. Errors do not matter: the caller looks at both again.
fn wait(exchange: &Exchange, stopped: &PipeReader) {
    let mut polled = [
        PollFd::new(stopped.as_fd(), PollFlags::POLLIN),
        PollFd::new(exchange.interface.readiness(), PollFlags::POLLIN),
    ];
    let _ = poll(&mut polled, PollTimeout::NONE);
}
