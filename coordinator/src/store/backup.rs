//! Copies of the database: made while it is in use, verified, readable by the owner only, never over another file.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::data_dir::create_private_file;
use super::migrate::SchemaDifference;
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
    // The one step that counts: before it the old database is in its place, after it the new one.
    std::fs::rename(&fresh, &database).map_err(StoreError::io(&database))?;
    dir.sync()?;
    Ok(kept)
}

/// Copies of databases with older schemas that are kept.
const MIGRATION_COPIES_MAX: usize = 3;

/// What the name of a database that was replaced begins with.
pub(super) const BEFORE_RESTORE: &str = "warren.db.before-restore-";

/// What the names of those copies begin with.
pub(super) const BEFORE_SCHEMA: &str = "warren.db.before-schema-";

/// Copies the database before it gets the schema `to`. The caller holds the write lock.
pub(super) fn copy_before_migration(dir: &DataDir, to: u32) -> Result<PathBuf, StoreError> {
    let source = open_read_only(&dir.database())?;
    let copy = dir.path().join(format!("{BEFORE_SCHEMA}{to}"));
    let fresh = dir.path().join(format!("{BEFORE_SCHEMA}{to}.new"));
    remove_if_present(&fresh)?;
    copy_to_new_file(&source, &fresh, Some(dir))?;
    std::fs::rename(&fresh, &copy).map_err(StoreError::io(&copy))?;
    dir.sync()?;
    drop_old_copies(dir)?;
    Ok(copy)
}

fn drop_old_copies(dir: &DataDir) -> Result<(), StoreError> {
    let mut copies: Vec<u32> =
        dir.file_names()?.iter().filter_map(|name| name.strip_prefix(BEFORE_SCHEMA)?.parse().ok()).collect();
    copies.sort_unstable();
    for schema in copies.iter().rev().skip(MIGRATION_COPIES_MAX) {
        remove_if_present(&dir.path().join(format!("{BEFORE_SCHEMA}{schema}")))?;
    }
    Ok(())
}

/// Checks identity, integrity and schema.
///
/// # Errors
/// The first thing that is wrong.
pub fn check(dir: &DataDir) -> Result<(), StoreError> {
    let path = dir.database();
    verify(&open_read_only(&path)?, &path)
}

/// Whether every page, row, index and reference is sound, and the schema the one that this version knows.
pub(super) fn verify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let version = migrate::check_identity(connection, path)?;
    let verdict: String = connection
        .query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))
        .map_err(|error| migrate::damage(error, path))?;
    if verdict != "ok" {
        return Err(StoreError::Corrupt { path: path.to_owned(), reason: verdict });
    }
    // The integrity check leaves references out.
    migrate::check_references(connection, path)?;
    // What an older version left is sound too; it gets the new schema when it is opened.
    if (1..migrate::known_version()).contains(&version) {
        return Ok(());
    }
    match migrate::schema_difference(connection)? {
        None => Ok(()),
        Some(SchemaDifference { object, is_harmless }) => {
            Err(StoreError::Schema { path: path.to_owned(), object, is_harmless })
        }
    }
}

/// Copies into a new file; in a data directory, it belongs to the directory's owner.
fn copy_to_new_file(source: &Connection, file: &Path, dir: Option<&DataDir>) -> Result<(), StoreError> {
    let created = create_private_file(file)?;
    let given = dir.map_or(Ok(()), |dir| dir.give_to_owner(&created));
    drop(created);
    let copied = given.and_then(|()| copy_and_verify(source, file)).map_err(|error| {
        // The copy's disk may be another one.
        if let StoreError::Sqlite(error) = error { migrate::damage(error, file) } else { error }
    });
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

/// Gives the old database a second name, with its log folded in. It stays in its place meanwhile.
fn keep_old(dir: &DataDir, now_ms: i64) -> Result<Option<PathBuf>, StoreError> {
    let database = dir.database();
    if !database.exists() {
        return Ok(None);
    }
    fold_log(&database)?;
    let kept = dir.path().join(format!("{BEFORE_RESTORE}{now_ms}"));
    let linked = std::fs::hard_link(&database, &kept);
    // Some file systems have no links.
    linked.or_else(|_| copy_file(&database, &kept)).map_err(StoreError::io(&kept))?;
    // Left only where the database is damaged. They must go before the new one comes: SQLite would apply the log of
    // the one to the other.
    for suffix in ["-wal", "-shm"] {
        let side = dir.path().join(format!("warren.db{suffix}"));
        if side.exists() {
            let moved = dir.path().join(format!("{BEFORE_RESTORE}{now_ms}{suffix}"));
            std::fs::rename(&side, &moved).map_err(StoreError::io(&side))?;
        }
    }
    dir.sync()?;
    Ok(Some(kept))
}

/// Makes the old database one file. A damaged one is left as it is.
fn fold_log(database: &Path) -> Result<(), StoreError> {
    let folded = Connection::open(database).and_then(|old| {
        old.busy_timeout(Duration::from_secs(1))?;
        old.pragma_update(None, "journal_mode", "DELETE")
    });
    match folded {
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => {
            Err(StoreError::InUse(database.to_owned()))
        }
        _ => Ok(()),
    }
}

fn copy_file(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::copy(from, to)?;
    std::fs::File::open(to)?.sync_all()
}

fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    if !path.try_exists().map_err(StoreError::io(path))? {
        return Err(StoreError::Missing(path.to_owned()));
    }
    undo_unfinished(path)?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
        .map_err(|error| StoreError::opening(error, path))?;
    connection.busy_timeout(Duration::from_secs(5))?;
    Ok(connection)
}

/// Lets SQLite undo what a killed process left half done in the file itself: outside of its log that happens only when
/// [`fold_log`] is cut off. A connection that only reads may not.
fn undo_unfinished(path: &Path) -> Result<(), StoreError> {
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    if !Path::new(&journal).exists() {
        return Ok(());
    }
    let undone = Connection::open(path).and_then(|connection| {
        connection.busy_timeout(Duration::from_secs(1))?;
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |_| Ok(()))
    });
    undone.map_err(|error| StoreError::opening(error, path))
}

fn remove_if_present(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Io { path: path.to_owned(), error })
        }
        _ => Ok(()),
    }
}
