//! Brings a database file to the schema of this version, or says why it cannot.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use super::{DataDir, DiskTrouble, StoreError, backup};

/// "WrnC" in ASCII; in `schema.sql` too.
const APPLICATION_ID: i32 = 0x5772_6E43;

/// The readable truth.
const SCHEMA: &str = include_str!("../../../schema.sql");

/// Step `n` (counted from 1) leads to `user_version` n. Steps are never changed once released.
const STEPS: &[&str] = &[
    include_str!("migrations/0001_initial.sql"),
    include_str!("migrations/0002_relays.sql"),
    include_str!("migrations/0003_may_relay.sql"),
    include_str!("migrations/0004_organizations.sql"),
    include_str!("migrations/0005_people.sql"),
    include_str!("migrations/0006_routes.sql"),
    include_str!("migrations/0007_copies.sql"),
    include_str!("migrations/0008_changes.sql"),
    include_str!("migrations/0009_relays_as_resources.sql"),
    include_str!("migrations/0010_ways_in.sql"),
];

/// The newest schema that this version knows.
pub(super) fn known_version() -> u32 {
    u32::try_from(STEPS.len()).unwrap_or(u32::MAX)
}

/// Checks the file's identity, keeps a copy of a database with an older schema, and runs the missing steps in one
/// transaction.
pub(super) fn migrate(connection: &mut Connection, dir: &DataDir) -> Result<(), StoreError> {
    let path = &dir.database();
    let version = check_identity(connection, path)?;
    if version == known_version() {
        return Ok(());
    }
    // A step may replace a table that others refer to; what they refer to is checked at the end instead.
    connection.pragma_update(None, "foreign_keys", false)?;
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have migrated while we waited for the lock.
    let version: u32 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if (1..known_version()).contains(&version) {
        // Under the lock: nobody writes between the copy and the first step.
        let copy = backup::copy_before_migration(dir, known_version())?;
        tracing::info!(from = version, to = known_version(), copy = %copy.display(), "the database gets a new schema");
    }
    for step in STEPS.iter().skip(version as usize) {
        tx.execute_batch(step)?;
    }
    check_references(&tx, path)?;
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", known_version())?;
    tx.commit()?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(())
}

/// Refuses a file in which a row refers to one that is not there.
pub(super) fn check_references(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let dangling: Option<(String, String)> =
        statement.query_map((), |row| Ok((row.get("table")?, row.get("parent")?)))?.next().transpose()?;
    dangling.map_or(Ok(()), |(table, parent)| {
        let reason = format!("a row of {table} refers to one of {parent} that does not exist");
        Err(StoreError::Corrupt { path: path.to_owned(), reason })
    })
}

/// Refuses files that are not ours, newer than we know, or unreadable; gives the schema version.
pub(super) fn check_identity(connection: &Connection, path: &Path) -> Result<u32, StoreError> {
    let damaged = |error| damage(error, path);
    let application: i32 =
        connection.pragma_query_value(None, "application_id", |row| row.get(0)).map_err(damaged)?;
    let version: u32 =
        connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(damaged)?;
    let objects: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", (), |row| row.get(0)).map_err(damaged)?;
    let empty = objects == 0 && version == 0 && application == 0;
    if !empty && application != APPLICATION_ID {
        return Err(StoreError::Foreign { path: path.to_owned(), found: application });
    }
    if version > known_version() {
        return Err(StoreError::Newer { path: path.to_owned(), found: version, known: known_version() });
    }
    Ok(version)
}

/// Tells damage of the file from other errors.
pub(super) fn damage(error: rusqlite::Error, path: &Path) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            StoreError::Corrupt { path: path.to_owned(), reason: error.to_string() }
        }
        _ => match DiskTrouble::at(path, &error) {
            Some(trouble) => StoreError::Disk(trouble),
            None => StoreError::Sqlite(error),
        },
    }
}

/// An object of the schema that is not as `schema.sql` has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct SchemaDifference {
    /// Its name.
    pub(super) object: String,
    /// Whether it is only there besides all that should be, or nothing is there at all yet.
    pub(super) is_harmless: bool,
}

/// Compares the file's tables, indexes and triggers with `schema.sql`; gives the first that differs.
pub(super) fn schema_difference(connection: &Connection) -> Result<Option<SchemaDifference>, StoreError> {
    let wanted = Connection::open_in_memory()?;
    wanted.execute_batch(SCHEMA)?;
    let (wanted, found) = (objects(&wanted)?, objects(connection)?);
    let differing = wanted.iter().find(|object| !found.contains(object));
    let surplus = found.iter().find(|object| !wanted.contains(object));
    let is_harmless = differing.is_none() || found.is_empty();
    Ok(differing.or(surplus).map(|(name, _)| SchemaDifference { object: name.clone(), is_harmless }))
}

/// Names and statements of all objects, each with its kind and table, without comments and layout, and without the two tables
/// that Litestream adds to whatever it replicates.
fn objects(connection: &Connection) -> Result<Vec<(String, String)>, StoreError> {
    let mut statement = connection.prepare(
        "SELECT name, type || ' of ' || tbl_name || ': ' || coalesce(sql, '') FROM sqlite_schema
            WHERE tbl_name NOT GLOB '_litestream_*' ORDER BY name",
    )?;
    let rows = statement.query_map((), |row| {
        let sql: String = row.get(1)?;
        Ok((row.get(0)?, normalized(&sql)))
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

fn normalized(sql: &str) -> String {
    let code = sql.lines().map(|line| line.split("--").next().unwrap_or_default());
    // SQLite quotes the name of a table that was renamed, and sets a new column in its own way.
    code.flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
        .replace('"', "")
        .replace(" ,", ",")
        .replace(" )", ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn migrated() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &DataDir::new("nowhere")).unwrap();
        connection
    }

    fn difference(connection: &Connection) -> Option<(String, bool)> {
        schema_difference(connection).unwrap().map(|found| (found.object, found.is_harmless))
    }

    #[test]
    fn the_migrated_database_is_the_one_that_schema_sql_describes() {
        assert_eq!(schema_difference(&migrated()).unwrap(), None);
    }

    #[test]
    fn the_identity_in_schema_sql_is_the_one_that_the_program_checks() {
        let described = Connection::open_in_memory().unwrap();
        described.execute_batch(SCHEMA).unwrap();
        assert_eq!(check_identity(&described, Path::new("test.db")).unwrap(), known_version());
    }

    #[test]
    fn a_table_that_differs_is_named() {
        let connection = migrated();
        connection.execute_batch("ALTER TABLE people ADD COLUMN extra TEXT").unwrap();
        assert_eq!(difference(&connection), Some(("people".to_owned(), false)));
        let connection = migrated();
        connection.execute_batch("CREATE TABLE stranger (id INTEGER)").unwrap();
        assert_eq!(difference(&connection), Some(("stranger".to_owned(), true)));
    }

    #[test]
    fn what_litestream_adds_is_no_difference() {
        let connection = migrated();
        let added = "CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
                     CREATE TABLE _litestream_lock (id TEXT PRIMARY KEY)";
        connection.execute_batch(added).unwrap();
        assert_eq!(schema_difference(&connection).unwrap(), None);
    }

    #[test]
    fn an_older_database_is_copied_before_it_gets_the_new_schema_and_the_newest_three_copies_stay() {
        let directory = tempfile::tempdir().unwrap();
        let dir = DataDir::new(directory.path());
        let old = Connection::open(dir.database()).unwrap();
        old.pragma_update(None, "journal_mode", "WAL").unwrap();
        old.execute_batch(STEPS[0]).unwrap();
        old.pragma_update(None, "application_id", APPLICATION_ID).unwrap();
        old.pragma_update(None, "user_version", 1).unwrap();
        old.execute_batch("INSERT INTO organizations VALUES (hex(zeroblob(18)), 'kept', 1)").unwrap();
        for earlier in 0..4 {
            std::fs::write(directory.path().join(format!("warren.db.before-schema-{earlier}")), "").unwrap();
        }
        let mut connection = Connection::open(dir.database()).unwrap();
        migrate(&mut connection, &dir).unwrap();
        assert_eq!(schema_difference(&connection).unwrap(), None);

        let newest = known_version();
        let copy = directory.path().join(format!("warren.db.before-schema-{newest}"));
        let copy = Connection::open(copy).unwrap();
        assert_eq!(check_identity(&copy, Path::new("copy")).unwrap(), 1);
        let name: String = copy.query_row("SELECT name FROM organizations", (), |row| row.get(0)).unwrap();
        assert_eq!(name, "kept");
        let exists =
            |schema: u32| directory.path().join(format!("warren.db.before-schema-{schema}")).exists();
        let left: Vec<u32> = (0..=newest + 4).filter(|schema| exists(*schema)).collect();
        assert!(left.len() == 3 && left.contains(&newest), "{left:?}");
        // Nothing to do, nothing to copy.
        migrate(&mut connection, &dir).unwrap();
    }

    #[test]
    fn a_foreign_file_and_a_newer_one_are_refused() {
        let mut foreign = Connection::open_in_memory().unwrap();
        foreign.execute_batch("CREATE TABLE cookies (id INTEGER)").unwrap();
        let error = migrate(&mut foreign, &DataDir::new("nowhere")).unwrap_err();
        assert!(matches!(error, StoreError::Foreign { found: 0, .. }), "{error}");

        let mut newer = migrated();
        newer.pragma_update(None, "user_version", known_version() + 1).unwrap();
        let error = migrate(&mut newer, &DataDir::new("nowhere")).unwrap_err();
        assert!(error.to_string().contains("newer coordinator"), "{error}");
    }
}
