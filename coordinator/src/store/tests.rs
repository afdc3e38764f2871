//! The store on real files.

use std::sync::Arc;

use super::*;

fn open(directory: &tempfile::TempDir) -> Store {
    Store::open_or_create(&DataDir::new(directory.path())).unwrap()
}

fn add_organization(store: &Store, name: &str) -> Result<(), StoreError> {
    let (id, name) = (uuid::Uuid::from_u128(name.bytes().map(u128::from).sum()), name.to_owned());
    store.write(move |tx| tx.insert_organization(id, &name, 1))
}

fn organization(store: &Store) -> Option<String> {
    store.read(|tx| tx.first_organization()).unwrap().map(|(_, name)| name)
}

#[test]
fn an_acknowledged_write_is_there_after_the_file_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    add_organization(&store, "a").unwrap();
    // Opened while the first handle still is: nothing of what follows can come from a clean close.
    assert_eq!(organization(&open(&directory)).as_deref(), Some("a"));
    drop(store);
    assert_eq!(organization(&open(&directory)).as_deref(), Some("a"));
}

#[test]
fn a_failing_write_takes_nothing_with_it_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(open(&directory));
    let writers: Vec<_> = (0..32)
        .map(|number| {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                store.write(move |tx| {
                    let id = uuid::Uuid::from_u128(number);
                    tx.insert_organization(id, &format!("organization-{number}"), 1)?;
                    if number % 2 == 0 { Ok(()) } else { Err(StoreError::Busy) }
                })
            })
        })
        .collect();
    let kept = writers.into_iter().filter_map(|writer| writer.join().unwrap().ok()).count();
    assert_eq!(kept, 16);
    let stored: i64 = store
        .read(|tx| {
            Ok::<_, StoreError>(
                tx.sql().query_row("SELECT count(*) FROM organizations", (), |row| row.get(0))?,
            )
        })
        .unwrap();
    assert_eq!(stored, 16);
}

#[test]
fn a_write_that_panics_is_rolled_back_and_the_next_one_works() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(&directory);
    let panicked: Result<(), StoreError> = store.write(|tx| {
        tx.insert_organization(uuid::Uuid::from_u128(1), "half", 1)?;
        panic!("a bug, on purpose");
    });
    assert!(matches!(panicked, Err(StoreError::Panicked)));
    assert_eq!(organization(&store), None);
    add_organization(&store, "b").unwrap();
    assert_eq!(organization(&store).as_deref(), Some("b"));
}

#[test]
fn only_writes_of_other_processes_count_as_foreign_changes() {
    let directory = tempfile::tempdir().unwrap();
    let (ours, theirs) = (open(&directory), open(&directory));
    let before = ours.seen_now().unwrap().foreign;
    add_organization(&ours, "ours").unwrap();
    assert_eq!(ours.seen_now().unwrap().foreign, before);
    add_organization(&theirs, "theirs").unwrap();
    assert_ne!(ours.seen_now().unwrap().foreign, before);
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path());
    let lock = dir.lock().unwrap();
    assert!(matches!(dir.lock(), Err(StoreError::Locked(_))));
    drop(lock);
    assert!(dir.lock().is_ok());
}

#[test]
fn a_damaged_file_and_one_of_another_program_are_refused_and_not_changed() {
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path());
    std::fs::write(dir.database(), "this is no database, it is a text of some length. ".repeat(40)).unwrap();
    let error = Store::open(&dir).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");

    std::fs::remove_file(dir.database()).unwrap();
    let foreign = rusqlite::Connection::open(dir.database()).unwrap();
    foreign.execute_batch("PRAGMA application_id = 7; CREATE TABLE cookies (id INTEGER)").unwrap();
    drop(foreign);
    let before = std::fs::read(dir.database()).unwrap();
    let error = Store::open(&dir).unwrap_err();
    assert!(matches!(error, StoreError::Foreign { found: 7, .. }), "{error}");
    assert_eq!(std::fs::read(dir.database()).unwrap(), before);
}

#[test]
fn opening_what_does_not_exist_says_how_to_begin_and_creates_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let error = Store::open(&DataDir::new(directory.path())).unwrap_err();
    assert!(error.to_string().contains("admin init"), "{error}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn database_and_backup_are_readable_by_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path().join("state"));
    let store = Store::open_or_create(&dir).unwrap();
    add_organization(&store, "a").unwrap();
    let copy = directory.path().join("copy.db");
    backup(&dir, &copy).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(dir.path()), 0o700);
    for path in [dir.database(), dir.path().join("warren.db-wal"), copy] {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
}

#[test]
fn a_backup_made_in_use_comes_back_and_never_overwrites() {
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path().join("state"));
    let copy = directory.path().join("copy.db");
    let store = Store::open_or_create(&dir).unwrap();
    store.write(|tx| tx.count_boot(&[1; 32], &[2; 32])).map(|_| ()).unwrap();
    add_organization(&store, "before").unwrap();
    backup(&dir, &copy).unwrap();
    assert!(matches!(backup(&dir, &copy), Err(StoreError::Exists(_))));
    store
        .write(|tx| Ok::<_, StoreError>(tx.sql().execute("UPDATE organizations SET name = 'after'", ())?))
        .unwrap();
    drop(store);

    let kept = restore(&dir, &copy, 5).unwrap().unwrap();
    check(&dir).unwrap();
    let store = Store::open(&dir).unwrap();
    assert_eq!(organization(&store).as_deref(), Some("before"));
    let boots = store.read(|tx| tx.coordinator()).unwrap().unwrap().boot_count;
    assert!(boots > 1000, "revisions of the lost time must not come again, but the boot count is {boots}");
    let old = rusqlite::Connection::open(kept).unwrap();
    let name: String = old.query_row("SELECT name FROM organizations", (), |row| row.get(0)).unwrap();
    assert_eq!(name, "after");
}

#[test]
fn a_restore_refuses_a_running_server_and_a_damaged_backup() {
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path().join("state"));
    let store = Store::open_or_create(&dir).unwrap();
    add_organization(&store, "kept").unwrap();
    let copy = directory.path().join("copy.db");
    backup(&dir, &copy).unwrap();
    let lock = dir.lock().unwrap();
    assert!(matches!(restore(&dir, &copy, 5), Err(StoreError::Locked(_))));
    drop(lock);

    let mut bytes = std::fs::read(&copy).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xA5);
    std::fs::write(&copy, bytes).unwrap();
    let error = restore(&dir, &copy, 5).unwrap_err();
    assert!(!matches!(error, StoreError::Locked(_)), "{error}");
    assert_eq!(organization(&store).as_deref(), Some("kept"));
}

#[test]
fn a_database_that_a_restore_lost_is_not_replaced_by_an_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path().join("state"));
    let store = Store::open_or_create(&dir).unwrap();
    store.write(|tx| tx.count_boot(&[1; 32], &[2; 32])).map(|_| ()).unwrap();
    add_organization(&store, "kept").unwrap();
    drop(store);
    let aside = dir.path().join("warren.db.before-restore-1800000000000");
    std::fs::rename(dir.database(), &aside).unwrap();

    let error = Store::open_to_serve(&dir).unwrap_err();
    let told = error.to_string();
    assert!(matches!(error, StoreError::Lost { .. }) && told.contains(aside.to_str().unwrap()), "{told}");
    assert!(!dir.database().exists());
    restore(&dir, &aside, 5).unwrap();
    assert_eq!(organization(&Store::open_to_serve(&dir).unwrap()).as_deref(), Some("kept"));
}

#[test]
fn what_a_killed_process_left_half_done_is_undone_before_a_look() {
    let directory = tempfile::tempdir().unwrap();
    let (dir, other) = (DataDir::new(directory.path().join("a")), DataDir::new(directory.path().join("b")));
    // A copy, which nobody else has open: a store that is dropped closes its readers a little later.
    let source = DataDir::new(directory.path().join("source"));
    drop(Store::open_or_create(&source).unwrap());
    dir.create().unwrap();
    other.create().unwrap();
    backup(&source, &dir.database()).unwrap();
    let killed = rusqlite::Connection::open(dir.database()).unwrap();
    killed.execute_batch("PRAGMA cache_size = 2; BEGIN IMMEDIATE").unwrap();
    for number in 0..2000_u32 {
        let name = format!("half-{number}");
        let values = (uuid::Uuid::from_u128(number.into()).to_string(), name);
        killed.execute("INSERT INTO organizations VALUES (?1, ?2, 1)", values).unwrap();
    }
    // The files as they are now, in the middle of a transaction that was too large for memory.
    for suffix in ["", "-journal"] {
        let name = format!("warren.db{suffix}");
        std::fs::copy(dir.path().join(&name), other.path().join(&name)).unwrap();
    }
    check(&other).unwrap();
    assert_eq!(organization(&Store::open(&other).unwrap()), None);
}

#[test]
fn a_restore_waits_for_nobody_who_still_uses_the_database() {
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path().join("state"));
    let store = Store::open_or_create(&dir).unwrap();
    store.write(|tx| tx.count_boot(&[1; 32], &[2; 32])).map(|_| ()).unwrap();
    let copy = directory.path().join("copy.db");
    backup(&dir, &copy).unwrap();
    let error = restore(&dir, &copy, 5).unwrap_err();
    assert!(matches!(error, StoreError::InUse(_)), "{error}");
    add_organization(&store, "still").unwrap();
    assert_eq!(organization(&store).as_deref(), Some("still"));
}

#[test]
fn what_root_restores_belongs_to_the_owner_of_the_data_directory() {
    use std::os::unix::fs::{MetadataExt, chown};
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path().join("state"));
    drop(Store::open_or_create(&dir).unwrap());
    let copy = directory.path().join("copy.db");
    backup(&dir, &copy).unwrap();
    chown(dir.path(), Some(65534), Some(65534)).unwrap();
    restore(&dir, &copy, 5).unwrap();
    for file in [dir.database(), dir.path().join("serve.lock")] {
        assert_eq!(std::fs::metadata(&file).unwrap().uid(), 65534, "{}", file.display());
    }
}

#[test]
fn a_lock_file_that_is_a_link_makes_root_give_nothing_away() {
    use std::os::unix::fs::{MetadataExt, chown, symlink};
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path().join("state"));
    dir.create().unwrap();
    chown(dir.path(), Some(65534), Some(65534)).unwrap();
    let secret = directory.path().join("of-root");
    std::fs::write(&secret, "").unwrap();
    symlink(&secret, dir.path().join("serve.lock")).unwrap();
    let _ = dir.lock();
    assert_eq!(std::fs::metadata(&secret).unwrap().uid(), 0);
}

#[test]
fn every_value_that_decides_something_is_kept_twice() {
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path());
    drop(Store::open_or_create(&dir).unwrap());
    let connection = rusqlite::Connection::open(dir.database()).unwrap();
    let missing = "SELECT tables.name || '.' || columns.name
        FROM sqlite_schema AS tables, pragma_table_xinfo(tables.name) AS columns
        WHERE tables.type = 'table' AND tables.name NOT IN ('node_candidates', 'audit_log', 'changes', 'sqlite_sequence')
        AND NOT (columns.pk AND columns.type = 'INTEGER')
        AND columns.name NOT IN (
            SELECT kept.name FROM pragma_index_list(tables.name) AS indexes, pragma_index_xinfo(indexes.name) AS kept
            WHERE NOT indexes.partial AND indexes.origin != 'pk' AND kept.name IS NOT NULL
            UNION ALL
            SELECT kept.name FROM pragma_index_list(tables.name) AS indexes, pragma_index_xinfo(indexes.name) AS kept
            WHERE indexes.origin = 'pk' AND kept.key AND tables.sql NOT LIKE '%WITHOUT ROWID%'
        )";
    let mut statement = connection.prepare(missing).unwrap();
    let missing: Vec<String> =
        statement.query_map((), |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(missing, Vec::<String>::new(), "give them an index `TABLE_copy`, as schema.sql says");
}

#[test]
fn a_first_start_that_was_cut_off_is_finished_by_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let dir = DataDir::new(directory.path());
    std::fs::write(dir.database(), b"").unwrap();
    let store = Store::open_to_serve(&dir).unwrap();
    add_organization(&store, "kept").unwrap();
    drop(store);
    let connection = rusqlite::Connection::open(dir.database()).unwrap();
    connection.execute_batch("ANALYZE; CREATE INDEX of_somebody ON people (name, id)").unwrap();
    assert_eq!(organization(&Store::open_to_serve(&dir).unwrap()).as_deref(), Some("kept"));
}
