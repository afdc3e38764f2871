//! A look for damage before the database is served, within a bound of time.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{StoreError, backup};

/// Steps of SQLite's virtual machine between two looks at the clock.
const STEPS: i32 = 10_000;

/// Does what `warren-coordinator check` does. What is not seen in time is taken for sound: a start must not wait for ever for a
/// database that is larger than any that is known.
pub(super) fn start_check(path: &Path, time_max: Duration) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| StoreError::opening(error, path))?;
    let started = Instant::now();
    connection.progress_handler(STEPS, Some(move || started.elapsed() > time_max))?;
    match backup::verify(&connection, path) {
        Ok(()) => {
            tracing::debug!(took_ms = started.elapsed().as_millis(), "the database shows no damage");
            Ok(())
        }
        Err(StoreError::Sqlite(error))
            if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
        {
            tracing::warn!(
                "the database is too large for a full look at the start; `warren-coordinator check` does it"
            );
            Ok(())
        }
        // Rows and indexes are sound. A first start that was cut off left it empty, or somebody added something to it: the former is
        // finished now, the latter harms nothing. What is other than it should be may be a disk's doing, and mean anything.
        Err(StoreError::Schema { object, is_harmless: true, .. }) => {
            tracing::warn!(
                object,
                "the schema is not the one of this version; `warren-coordinator check` says more"
            );
            Ok(())
        }
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DataDir, Store};
    use super::*;

    fn database(directory: &tempfile::TempDir, rows: u32) -> std::path::PathBuf {
        let dir = DataDir::new(directory.path());
        drop(Store::open_or_create(&dir).unwrap());
        let path = dir.database();
        let connection = Connection::open(&path).unwrap();
        let fill = "INSERT INTO audit_log (at, actor, action, subject, details) SELECT i, 'a', 'b', 'c', hex(randomblob(200))
            FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) SELECT i FROM n)";
        connection.execute(fill, [rows]).unwrap();
        path
    }

    #[test]
    fn a_page_that_was_overwritten_is_found() {
        let directory = tempfile::tempdir().unwrap();
        let path = database(&directory, 1000);
        start_check(&path, Duration::from_secs(60)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 4096].fill(0xA5);
        std::fs::write(&path, bytes).unwrap();
        let error = start_check(&path, Duration::from_secs(60)).unwrap_err();
        assert!(error.to_string().contains("restore a backup"), "{error}");
    }

    #[test]
    fn a_schema_with_an_addition_is_served_and_one_with_an_alteration_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = database(&directory, 1);
        let alter = |sql| Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        alter("CREATE INDEX by_somebody ON audit_log (actor)");
        start_check(&path, Duration::from_secs(60)).unwrap();
        alter("DROP INDEX nodes_copy; CREATE INDEX nodes_copy ON nodes (name)");
        let error = start_check(&path, Duration::from_secs(60)).unwrap_err();
        assert!(
            error.to_string().contains("differs from what this version expects at nodes_copy"),
            "{error}"
        );
    }

    #[test]
    fn a_large_database_is_not_looked_at_for_longer_than_allowed() {
        let directory = tempfile::tempdir().unwrap();
        let path = database(&directory, 20_000);
        let started = Instant::now();
        start_check(&path, Duration::ZERO).unwrap();
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}
