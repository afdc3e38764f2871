//! The thread that the tasks of a server share.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// Tasks, and the runtime for them, before and while they run on their thread.
pub(super) struct Thread {
    tasks: JoinSet<()>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Thread {
    pub(super) fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        Ok(Self { tasks: JoinSet::new(), runtime: Some(runtime) })
    }

    /// Makes something that belongs to the runtime, such as sockets.
    pub(super) fn within<T>(&self, make: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.as_ref().map(Runtime::enter);
        make()
    }

    pub(super) fn spawn(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(runtime) = &self.runtime {
            self.tasks.spawn_on(task, runtime.handle());
        }
    }

    /// Runs the tasks until all have ended; then the sender of what is returned goes away.
    pub(super) fn start(mut self) -> io::Result<oneshot::Receiver<()>> {
        let (ending, ended) = oneshot::channel();
        std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
            self.run();
            drop((self, ending));
        })?;
        Ok(ended)
    }

    fn run(&mut self) {
        let Some(runtime) = &self.runtime else { return };
        runtime.block_on(async {
            while let Some(result) = self.tasks.join_next().await {
                if let Err(error) = result {
                    tracing::error!(%error, "a relay socket's task did not end well; please report this");
                }
            }
        });
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // Where a server cannot be started it is dropped within the caller's runtime, in which none may end by waiting.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
