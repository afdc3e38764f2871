//! The one thread that writes. It takes what is waiting, runs each job in a savepoint of its own inside one
//! transaction, commits, and only then answers: one disk flush serves many callers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::thread::JoinHandle;

use rusqlite::Connection;

use super::{StoreError, WriteTx};

/// The most jobs in one transaction: enough that the flush is no longer what limits the rate (measured: 512 callers
/// get 1.4 times the rate of 64), few enough that the first of them waits a few milliseconds at most.
const BATCH_JOBS_MAX: usize = 512;

/// The writer thread's handle. Dropping it lets the thread finish what is queued.
pub(super) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

/// A queued write.
trait Job: Send {
    /// Runs inside the savepoint; `false` rolls it back.
    fn run(&mut self, tx: &WriteTx<'_>) -> bool;
    /// Answers the caller, after the commit or its failure.
    fn finish(self: Box<Self>, committed: Result<(), StoreError>);
}

struct TypedJob<F, T, E> {
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: std::sync::mpsc::SyncSender<Result<T, E>>,
}

impl<F, T, E> Job for TypedJob<F, T, E>
where
    F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &WriteTx<'_>) -> bool {
        let Some(work) = self.work.take() else { return false };
        let outcome =
            catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|_| Err(StoreError::Panicked.into()));
        let keep = outcome.is_ok();
        self.outcome = Some(outcome);
        keep
    }

    fn finish(self: Box<Self>, committed: Result<(), StoreError>) {
        let answer = match (self.outcome, committed) {
            (Some(Err(own_error)), _) => Err(own_error),
            (_, Err(error)) => Err(error.into()),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(StoreError::WriterGone.into()),
        };
        // The caller may have gone away; the write stands.
        let _ = self.reply.send(answer);
    }
}

impl Writer {
    /// Starts the thread on its connection.
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (sender, receiver) = channel();
        let thread = std::thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || write_loop(&connection, &receiver))?;
        Ok(Self { jobs: Some(sender), thread: Some(thread) })
    }

    /// Queues a job and waits for its commit.
    pub(super) fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (reply, answer) = sync_channel(1);
        let job = Box::new(TypedJob { work: Some(work), outcome: None, reply });
        let jobs = self.jobs.as_ref().ok_or(StoreError::WriterGone)?;
        jobs.send(job).map_err(|_| StoreError::WriterGone)?;
        answer.recv().map_err(|_| StoreError::WriterGone)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write_loop(connection: &Connection, jobs: &Receiver<Box<dyn Job>>) {
    while let Ok(first) = jobs.recv() {
        let mut batch = vec![first];
        while batch.len() < BATCH_JOBS_MAX {
            let Ok(next) = jobs.try_recv() else { break };
            batch.push(next);
        }
        let committed = run_batch(connection, &mut batch);
        if let Err(error) = &committed {
            tracing::error!(%error, jobs = batch.len(), "writes were not committed");
        }
        for job in batch {
            job.finish(match &committed {
                Ok(()) => Ok(()),
                Err(error) => Err(StoreError::NotCommitted(error.to_string())),
            });
        }
    }
}

fn run_batch(connection: &Connection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let result = run_jobs(connection, batch).and_then(|()| connection.execute_batch("COMMIT"));
    if result.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    result
}

fn run_jobs(connection: &Connection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    for job in batch {
        connection.execute_batch("SAVEPOINT job")?;
        if !job.run(&WriteTx::new(connection)) {
            connection.execute_batch("ROLLBACK TO job")?;
        }
        connection.execute_batch("RELEASE job")?;
    }
    Ok(())
}
