//! The open database: one writer, a few readers, the same settings on each.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::writer::Writer;
use super::{DataDir, DiskTrouble, StoreError, WriteMetrics, data_dir, migrate, start_check};

/// Readers at once. Two cores feed two; two more wait on the disk.
const READERS_MAX: u32 = 4;

/// How long a caller waits for a free reader before it is told that the machine is overloaded.
const READER_WAIT: Duration = Duration::from_secs(5);

/// How long to wait for a lock of another process (an admin command, a backup).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long the start may look for damage: 10,000 nodes take some hundredths of it.
const CHECK_TIME_MAX: Duration = Duration::from_secs(5);

/// The open database.
pub struct Store {
    path: PathBuf,
    // Dropped before the writer: the last connection that closes folds the log into the file, and a reader may not.
    readers: r2d2::Pool<Readers>,
    writer: Writer,
}

/// A write transaction: reads see the writes before it.
#[derive(Debug, Clone, Copy)]
pub struct WriteTx<'c>(&'c Connection);

/// A read transaction: one consistent state.
#[derive(Debug, Clone, Copy)]
pub struct ReadTx<'c>(&'c Connection);

impl<'c> WriteTx<'c> {
    pub(super) const fn new(connection: &'c Connection) -> Self {
        Self(connection)
    }

    /// The connection, for the SQL of this folder.
    pub(super) const fn sql(&self) -> &'c Connection {
        self.0
    }

    /// The same state, to read.
    #[must_use]
    pub const fn reading(&self) -> ReadTx<'c> {
        ReadTx(self.0)
    }
}

impl<'c> ReadTx<'c> {
    /// The connection, for the SQL of this folder.
    pub(super) const fn sql(&self) -> &'c Connection {
        self.0
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database of a data directory, and creates both where they are missing.
    ///
    /// # Errors
    /// A file that is damaged, foreign or newer than we know; a directory that cannot be written.
    pub fn open_or_create(dir: &DataDir) -> Result<Self, StoreError> {
        dir.create()?;
        let path = dir.database();
        if !path.exists() {
            if let Some(left) = dir.leftover()? {
                return Err(StoreError::Lost { path, left });
            }
            match data_dir::create_private_file(&path) {
                Ok(created) => dir.give_to_owner(&created)?,
                Err(StoreError::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Self::open_file(dir)
    }

    /// The same for a process that serves: looks for damage first, for five seconds at most.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], and all of [`Store::open_or_create`].
    pub fn open_to_serve(dir: &DataDir) -> Result<Self, StoreError> {
        if dir.database().exists() {
            start_check::start_check(&dir.database(), CHECK_TIME_MAX)?;
        }
        Self::open_or_create(dir)
    }

    /// Opens the database of a data directory.
    ///
    /// # Errors
    /// [`StoreError::Missing`], and all of [`Store::open_or_create`].
    pub fn open(dir: &DataDir) -> Result<Self, StoreError> {
        let path = dir.database();
        match path.try_exists() {
            Ok(true) => Self::open_file(dir),
            Ok(false) => Err(StoreError::Missing(path)),
            Err(error) => Err(StoreError::Io { path, error }),
        }
    }

    fn open_file(dir: &DataDir) -> Result<Self, StoreError> {
        let path = dir.database();
        let mut connection = open_writer(&path)?;
        migrate::migrate(&mut connection, dir)?;
        let writer = Writer::start(connection).map_err(StoreError::io(&path))?;
        let readers = r2d2::Pool::builder()
            .max_size(READERS_MAX)
            .min_idle(Some(1))
            .test_on_check_out(false)
            .connection_timeout(READER_WAIT)
            .build(Readers { path: path.clone() })
            .map_err(|_| StoreError::Busy)?;
        Ok(Self { path, writer, readers })
    }

    /// The database file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` in a transaction and returns after its commit. An error from `work` undoes what it wrote.
    /// Blocks: call it off the HTTP workers.
    ///
    /// # Errors
    /// What `work` returns, or why it was not committed.
    pub fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&WriteTx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + std::error::Error + Send + 'static,
    {
        self.writer.write(work)
    }

    /// Runs `work` on one consistent state. Blocks: call it off the HTTP workers.
    ///
    /// # Errors
    /// What `work` returns, or why it could not run.
    pub fn read<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&ReadTx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let connection = self.readers.get().map_err(|_| StoreError::Busy)?;
        let tx = connection.unchecked_transaction().map_err(StoreError::from)?;
        work(&ReadTx(&tx))
    }

    /// Why nothing can be written now; `None` where writes work. Reading goes on either way, and so it ends by itself
    /// within two seconds after the disk takes writes again.
    #[must_use]
    pub fn disk_trouble(&self) -> Option<DiskTrouble> {
        self.writer.trouble()
    }

    /// What the writer does, in numbers.
    #[must_use]
    pub fn write_metrics(&self) -> &WriteMetrics {
        self.writer.metrics()
    }

    /// Runs what only reads on the writer's own connection.
    pub(super) fn look<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WriteTx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.look(work)
    }
}

/// Opens connections for r2d2.
#[derive(Debug)]
struct Readers {
    path: PathBuf,
}

impl r2d2::ManageConnection for Readers {
    type Connection = Connection;
    type Error = rusqlite::Error;

    fn connect(&self) -> Result<Connection, rusqlite::Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        set_up(&connection)?;
        connection.pragma_update(None, "query_only", true)?;
        Ok(connection)
    }

    fn is_valid(&self, connection: &mut Connection) -> Result<(), rusqlite::Error> {
        connection.query_row("SELECT 1", (), |_| Ok(()))
    }

    fn has_broken(&self, connection: &mut Connection) -> bool {
        // A transaction that is still open would pin an old state.
        !connection.is_autocommit()
    }
}

fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| StoreError::opening(error, path))?;
    let prepare = || -> rusqlite::Result<()> {
        set_up(&connection)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)
    };
    // Identity first: a foreign file must not be switched to WAL.
    migrate::check_identity(&connection, path)?;
    prepare().map_err(|error| migrate::damage(error, path))?;
    Ok(connection)
}

/// Settings of every connection (measured in a spike on 10,000 nodes).
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update(None, "mmap_size", 256 * 1024 * 1024)?;
    connection.pragma_update(None, "trusted_schema", false)
}
