//! Copies of the database: made while it is in use, verified, readable by the owner only, never over another file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::data_dir::create_private_file;
use super::{DataDir, StoreError, migrate};

/// Map revisions that agents know may be newer than the backup; a jump of the boot counter keeps them from being
/// given out a second time. No coordinator starts a thousand times between two backups.
const RESTORE_BOOT_JUMP: u32 = 1000;

/// Copies the database into a new file and verifies the copy.
///
/// # Errors
/// [`StoreError::Exists`], or why there is no sound copy; a copy that is not sound is removed.
pub fn backup(dir: &DataDir, file: &Path) -> Result<(), StoreError> {
    let source = open_read_only(&dir.database())?;
    copy_to_new_file(&source, file, None)
}

/// Puts a backup in the place of the database. The old file is kept; its new name is returned.
///
/// # Errors
/// [`StoreError::Locked`] while `serve` runs; a backup that is damaged, foreign or newer than we know.
pub fn restore(dir: &DataDir, file: &Path, now_ms: i64) -> Result<Option<PathBuf>, StoreError> {
    std::fs::metadata(file).map_err(StoreError::io(file))?;
    dir.create()?;
    let _lock = dir.lock()?;
    let source = open_read_only(file)?;
    verify(&source, file)?;
    let database = dir.database();
    let fresh = dir.path().join("warren.db.restoring");
    remove_if_present(&fresh)?;
    copy_to_new_file(&source, &fresh, Some(dir))?;
    let copy = Connection::open(&fresh)?;
    copy.execute("UPDATE coordinator SET boot_count = boot_count + ?1", [RESTORE_BOOT_JUMP])?;
    drop(copy);
    let kept = keep_old(dir, now_ms)?;
    std::fs::rename(&fresh, &database).map_err(StoreError::io(&database))?;
    Ok(kept)
}

/// Checks identity, integrity and schema.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(dir: &DataDir) -> Result<(), StoreError> {
    let path = dir.database();
    verify(&open_read_only(&path)?, &path)
}

fn verify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    migrate::check_identity(connection, path)?;
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))
        .map_err(|error| migrate::damage(error, path))?;
    if verdict != "ok" {
        return Err(StoreError::Corrupt { path: path.to_owned(), reason: verdict });
    }
    match migrate::schema_difference(connection)? {
        None => Ok(()),
        Some(object) => Err(StoreError::Schema { path: path.to_owned(), object }),
    }
}

/// Copies into a new file; in a data directory, it belongs to the directory's owner.
fn copy_to_new_file(source: &Connection, file: &Path, dir: Option<&DataDir>) -> Result<(), StoreError> {
    let created = create_private_file(file)?;
    let given = dir.map_or(Ok(()), |dir| dir.give_to_owner(&created));
    drop(created);
    let copied = given.and_then(|()| copy_and_verify(source, file));
    if copied.is_err() {
        remove_if_present(file)?;
    }
    copied
}

fn copy_and_verify(source: &Connection, file: &Path) -> Result<(), StoreError> {
    let mut copy = Connection::open(file)?;
    // All pages in one step: the copy is of one moment, and a writer waits a few milliseconds.
    let step = Backup::new(source, &mut copy)?.step(-1)?;
    if step != StepResult::Done {
        return Err(StoreError::Busy);
    }
    // A single file, without a log beside it.
    copy.pragma_update(None, "journal_mode", "DELETE")?;
    verify(&copy, file)?;
    drop(copy);
    std::fs::File::open(file).and_then(|file| file.sync_all()).map_err(StoreError::io(file))
}

/// Moves the old database aside, with its log folded in.
fn keep_old(dir: &DataDir, now_ms: i64) -> Result<Option<PathBuf>, StoreError> {
    let database = dir.database();
    if !database.exists() {
        return Ok(None);
    }
    if let Ok(old) = Connection::open(&database) {
        // A damaged file has no log to fold in; it is kept as it is.
        let _ = old.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()));
    }
    let kept = dir.path().join(format!("warren.db.before-restore-{now_ms}"));
    std::fs::rename(&database, &kept).map_err(StoreError::io(&database))?;
    for suffix in ["-wal", "-shm"] {
        let side = dir.path().join(format!("warren.db{suffix}"));
        if side.exists() {
            let moved = dir.path().join(format!("warren.db.before-restore-{now_ms}{suffix}"));
            std::fs::rename(&side, &moved).map_err(StoreError::io(&side))?;
        }
    }
    Ok(Some(kept))
}

fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    if !path.try_exists().map_err(StoreError::io(path))? {
        return Err(StoreError::Missing(path.to_owned()));
    }
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| StoreError::opening(error, path))?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

fn remove_if_present(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io { path: path.to_owned(), error })
        }
        _ => Ok(()),
    }
}
