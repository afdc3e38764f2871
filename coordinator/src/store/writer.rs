//! The one thread that writes. It takes what is waiting, runs each job in a savepoint of its own inside one
//! transaction, commits, and only then answers: one disk flush serves many callers.

use std::error::Error;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::disk_trouble::{DiskHealth, DiskTrouble};
use super::{StoreError, WriteMetrics, WriteTx};

/// The most jobs in one transaction: enough that the flush is no longer what limits the rate (measured: 512 callers
/// get 1.4 times the rate of 64), few enough that the first of them waits a few milliseconds at most.
const BATCH_JOBS_MAX: usize = 512;

/// The writer thread's handle. Dropping it lets the thread finish what is queued.
pub(super) struct Writer {
    jobs: Option<Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
    health: Arc<DiskHealth>,
    metrics: Arc<WriteMetrics>,
}

/// A queued write.
trait Job: Send {
    /// Whether it may run while the disk takes no writes.
    fn only_reads(&self) -> bool;
    /// Runs inside the savepoint.
    fn run(&mut self, tx: &WriteTx<'_>) -> Ran;
    /// Answers the caller, after the commit or its failure.
    fn finish(self: Box<Self>, committed: Result<(), NotCommitted>);
}

/// What came of a job in its savepoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ran {
    /// It is kept.
    Kept,
    /// It refused, and is rolled back alone.
    Refused,
    /// The disk failed under it; nobody's write can be trusted to get there.
    Failed(DiskTrouble),
}

/// Why a transaction was not committed.
#[derive(Debug, Clone)]
enum NotCommitted {
    Disk(DiskTrouble),
    Sqlite(String),
}

impl From<rusqlite::Error> for NotCommitted {
    fn from(error: rusqlite::Error) -> Self {
        DiskTrouble::of(&error).map_or_else(|| Self::Sqlite(error.to_string()), Self::Disk)
    }
}

impl From<NotCommitted> for StoreError {
    fn from(error: NotCommitted) -> Self {
        match error {
            NotCommitted::Disk(trouble) => Self::Disk(trouble),
            NotCommitted::Sqlite(error) => Self::NotCommitted(error),
        }
    }
}

struct TypedJob<F, T, E> {
    only_reads: bool,
    work: Option<F>,
    outcome: Option<Result<T, E>>,
    reply: std::sync::mpsc::SyncSender<Result<T, E>>,
}

impl<F, T, E> Job for TypedJob<F, T, E>
where
    F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Error + Send + 'static,
{
    fn only_reads(&self) -> bool {
        self.only_reads
    }

    fn run(&mut self, tx: &WriteTx<'_>) -> Ran {
        let Some(work) = self.work.take() else { return Ran::Refused };
        let outcome =
            catch_unwind(AssertUnwindSafe(|| work(tx))).unwrap_or_else(|_| Err(StoreError::Panicked.into()));
        let ran = match &outcome {
            Ok(_) => Ran::Kept,
            Err(error) => DiskTrouble::of(error).map_or(Ran::Refused, Ran::Failed),
        };
        self.outcome = Some(outcome);
        ran
    }

    fn finish(self: Box<Self>, committed: Result<(), NotCommitted>) {
        let answer = match (self.outcome, committed) {
            (_, Err(NotCommitted::Disk(trouble))) => Err(StoreError::Disk(trouble).into()),
            (Some(Err(own_error)), _) => Err(own_error),
            (_, Err(error)) => Err(StoreError::from(error).into()),
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
        let (health, metrics) = (Arc::<DiskHealth>::default(), WriteMetrics::new());
        let of_loop = WriteLoop { connection, health: Arc::clone(&health), metrics: Arc::clone(&metrics) };
        let thread =
            std::thread::Builder::new().name("store-writer".into()).spawn(move || of_loop.run(&receiver))?;
        Ok(Self { jobs: Some(sender), thread: Some(thread), health, metrics })
    }

    /// Why writes do not work; `None` where they do.
    pub(super) fn trouble(&self) -> Option<DiskTrouble> {
        self.health.trouble()
    }

    /// What it does.
    pub(super) fn metrics(&self) -> &WriteMetrics {
        &self.metrics
    }

    /// Queues a job and waits for its commit.
    pub(super) fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Error + Send + 'static,
    {
        self.queue(false, work)
    }

    /// Queues a job that only reads, but on the writer's own connection.
    pub(super) fn look<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, StoreError> + Send + 'static,
        T: Send + 'static,
    {
        self.queue(true, work)
    }

    fn queue<T, E, F>(&self, only_reads: bool, work: F) -> Result<T, E>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Error + Send + 'static,
    {
        let (reply, answer) = sync_channel(1);
        let job = Box::new(TypedJob { only_reads, work: Some(work), outcome: None, reply });
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

/// What the thread has.
struct WriteLoop {
    connection: Connection,
    health: Arc<DiskHealth>,
    metrics: Arc<WriteMetrics>,
}

impl WriteLoop {
    fn run(&self, jobs: &Receiver<Box<dyn Job>>) {
        loop {
            let first = match self.health.pause(Instant::now()) {
                None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
                // Nobody may ask for a long time; health shows again all the same.
                Some((_, wait)) => jobs.recv_timeout(wait),
            };
            match first {
                Ok(first) => self.serve(first, jobs),
                Err(RecvTimeoutError::Timeout) => self.probe(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Takes what is waiting, commits it, answers.
    fn serve(&self, first: Box<dyn Job>, jobs: &Receiver<Box<dyn Job>>) {
        let mut batch = vec![first];
        while batch.len() < BATCH_JOBS_MAX {
            let Ok(next) = jobs.try_recv() else { break };
            batch.push(next);
        }
        if let Some((trouble, wait)) = self.health.pause(Instant::now())
            && wait > Duration::ZERO
        {
            let (reads, writes) = batch.into_iter().partition(|job| job.only_reads());
            batch = reads;
            writes.into_iter().for_each(|job: Box<dyn Job>| job.finish(Err(NotCommitted::Disk(trouble))));
            if batch.is_empty() {
                return;
            }
        }
        let (started, writes) = (Instant::now(), batch.iter().filter(|job| !job.only_reads()).count());
        let committed = self.commit(|connection| run_jobs(connection, &mut batch));
        if writes > 0 {
            self.metrics.note(writes, started.elapsed(), committed.is_ok());
        }
        if let Err(NotCommitted::Sqlite(error)) = &committed {
            tracing::error!(error, jobs = batch.len(), "writes were not committed");
        }
        for job in batch {
            job.finish(committed.clone());
        }
    }

    /// Writes nothing new, but to the disk: the same page with the same content.
    fn probe(&self) {
        let probed = self.commit(|connection| {
            let version: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
            connection.pragma_update(None, "user_version", version)?;
            Ok(true)
        });
        if let Err(NotCommitted::Sqlite(error)) = probed {
            tracing::warn!(error, "whether the disk takes writes again could not be tried");
        }
    }

    /// Runs `work` in a transaction, and learns from it whether the disk takes writes. `work` says whether it wrote.
    fn commit(
        &self,
        work: impl FnOnce(&Connection) -> Result<bool, NotCommitted>,
    ) -> Result<(), NotCommitted> {
        let committed = self.in_transaction(work);
        match &committed {
            Ok(true) => self.health.note_written(),
            Err(NotCommitted::Disk(trouble)) => self.health.note_trouble(*trouble, Instant::now()),
            Ok(false) | Err(NotCommitted::Sqlite(_)) => {}
        }
        committed.map(|_| ())
    }

    fn in_transaction(
        &self,
        work: impl FnOnce(&Connection) -> Result<bool, NotCommitted>,
    ) -> Result<bool, NotCommitted> {
        self.connection.execute_batch("BEGIN IMMEDIATE")?;
        let result = work(&self.connection).and_then(|wrote| {
            self.connection.execute_batch("COMMIT")?;
            Ok(wrote)
        });
        // A full disk makes SQLite roll back by itself in some cases.
        if result.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        result
    }
}

/// Runs each job in a savepoint of its own; gives whether any of them changed something.
fn run_jobs(connection: &Connection, batch: &mut [Box<dyn Job>]) -> Result<bool, NotCommitted> {
    let mut wrote = false;
    for job in batch {
        let before = connection.total_changes();
        connection.execute_batch("SAVEPOINT job")?;
        match job.run(&WriteTx::new(connection)) {
            Ran::Kept => wrote |= connection.total_changes() != before,
            Ran::Refused => connection.execute_batch("ROLLBACK TO job")?,
            Ran::Failed(trouble) => return Err(NotCommitted::Disk(trouble)),
        }
        connection.execute_batch("RELEASE job")?;
    }
    Ok(wrote)
}
