//! Database files with a byte that is another one: refused, unless the byte meant nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use coordinator::service::resources::relays::NewRelay;
use coordinator::service::sign_in;
use coordinator::store::{self, DataDir, IdentityRow, Role, Store, StoreError};
use coordinator::{Coordinator, Entropy};
use protocol::api::Servers;
use protocol::key::PrivateKey;
use serde_json::json;

use crate::fixture::{Fixture, START, report};
use crate::played::{Dice, short_or_long};

/// Nodes in the database: enough for tables and indexes of several pages.
const NODES: usize = 60;

/// The rows of every table but those that schema.sql keeps no second copy of, as SQLite prints them.
type Rows = BTreeMap<String, Vec<String>>;

/// What became of the files.
#[derive(Debug, Default)]
struct Tally {
    /// It cannot be served.
    refused: usize,
    /// Served, and all is as it was: the byte was of no use.
    unharmed: usize,
}

/// The bytes of a database in use, and its rows.
fn sound() -> (Vec<u8>, Rows) {
    let fixture = Fixture::new(3);
    for number in 0..NODES {
        let machine = fixture.node(&format!("node-{number}"));
        let told = report(&[&format!("192.168.1.{}:41641", number + 1)]);
        fixture.coordinator.report(START, &machine.identity, told).unwrap();
    }
    administer(&fixture);
    let copy = fixture.directory.path().join("copy.db");
    store::backup(&DataDir::new(fixture.directory.path()), &copy).unwrap();
    let rows = rows(&copy).unwrap();
    assert!(rows.values().all(|rows| !rows.is_empty()), "a table without rows proves nothing: {rows:?}");
    (std::fs::read(copy).unwrap(), rows)
}

/// Puts something into every table.
fn administer(fixture: &Fixture) {
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    fn wanted<T: serde::de::DeserializeOwned>(value: serde_json::Value) -> T {
        serde_json::from_value(value).unwrap()
    }
    for number in 0..10 {
        let name = format!("number {number}");
        let tags = json!(["web", "db", "office"]);
        let done = fixture.command(START, |call| {
            let rule = json!({"verdict": "allow", "protocol": "tcp", "ports": ["22", "8000-8100"], "sources": tags, "description": name});
            call.create_access_rule(fixture.network.id, wanted(rule))?;
            call.create_invitation(wanted(json!({"role": "admin"})))?;
            call.create_api_token(wanted(json!({"description": name, "role": "viewer"})))?;
            let id = fixture.id_of(&format!("node-{number}"));
            call.update_node(id, wanted(json!({"tags": tags, "expires_at_ms": START * 2})))
        });
        done.unwrap();
        let public_key = PrivateKey::from_random([number + 1; 32]).public_key();
        let addresses = vec![format!("198.51.100.{}:3478", number + 1).parse().unwrap()];
        let relay = NewRelay { name, public_key, addresses, stun_servers: Vec::new() };
        fixture.command(START, |call| call.create_relay(relay)).unwrap();
        if number < 8 {
            let stun =
                json!({"name": format!("stun {number}"), "address": format!("198.51.100.{number}:3478")});
            fixture.command(START, |call| call.create_stun_server(wanted(stun))).unwrap();
        }
        let person = fixture.member(Role::Owner).caller.person.id;
        let (issuer, subject) = ("https://id.example".to_owned(), format!("subject {number}"));
        let identity = IdentityRow { issuer, subject, created_at_ms: START };
        store.write(move |tx| tx.insert_identity(&identity, person)).unwrap();
        let link = sign_in::create_link(store, entropy, START).unwrap();
        assert!(sign_in::use_link(store, entropy, START, (&link.token, "a browser")).unwrap().is_some());
    }
}

fn rows(database: &Path) -> rusqlite::Result<Rows> {
    let connection = rusqlite::Connection::open(database)?;
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT IN ('node_candidates', 'audit_log', 'changes', 'sqlite_sequence')";
    let tables: Vec<String> =
        connection.prepare(tables)?.query_map((), |row| row.get(0))?.collect::<Result<_, _>>()?;
    let read = |table: String| {
        // NOT INDEXED: the table itself, not a copy.
        let mut statement = connection.prepare(&format!("SELECT * FROM {table} NOT INDEXED"))?;
        let columns = statement.column_count();
        let print = |row: &rusqlite::Row<'_>| {
            let values = (0..columns).map(|column| row.get_ref(column).map(|value| format!("{value:?}")));
            values.collect::<Result<Vec<_>, _>>().map(|values| values.join(" | "))
        };
        let rows: Vec<String> = statement.query_map((), print)?.collect::<Result<_, _>>()?;
        Ok((table, rows))
    };
    tables.into_iter().map(read).collect()
}

impl Tally {
    /// Starts a coordinator on the file as `serve` does.
    fn note(&mut self, sound: &Rows, dir: &DataDir) {
        let Ok(store) = Store::open_to_serve(dir) else {
            self.refused += 1;
            return;
        };
        assert_eq!(rows(&dir.database()).as_ref(), Ok(sound), "what is served is not what was written");
        assert!(store::check(dir).is_ok(), "`check` is stricter than a start");
        let opened: Result<Arc<Coordinator>, StoreError> =
            Coordinator::open(store, Entropy::seeded(5), START, |_, _| Ok(Servers::default()));
        opened.unwrap();
        self.unharmed += 1;
    }
}

/// No copy is made of a file that is not sound, and none is put in the place of a database.
fn copies_are_sound(dir: &DataDir, place: &Path, bytes: &[u8]) {
    let copy = place.join("copy.db");
    let made = store::backup(dir, &copy);
    let is_sound = store::check(dir).is_ok();
    assert_eq!(
        made.is_ok(),
        copy.exists(),
        "a backup that failed leaves a file, or one that worked leaves none"
    );
    assert!(made.is_err() || is_sound, "a backup of a file that is not sound");
    let (backup, other) = (place.join("backup.db"), DataDir::new(place.join("other")));
    std::fs::write(&backup, bytes).unwrap();
    let restored = store::restore(&other, &backup, START);
    assert!(restored.is_err() || store::check(&other).is_ok(), "a restore of a file that is not sound");
    assert!(restored.is_ok() || !other.database().exists(), "a restore that failed leaves a database");
}

#[test]
fn a_file_with_a_rotten_byte_is_refused_or_all_in_it_is_as_it_was() {
    let (bytes, rows) = sound();
    let mut dice = Dice::new("corruption");
    let mut tally = Tally::default();
    let files = short_or_long(100, 10_000);
    for file in 0..files {
        let mut rotten = bytes.clone();
        let at = usize::try_from(dice.below(bytes.len() as u64)).unwrap();
        rotten[at] ^= u8::try_from(1 + dice.below(255)).unwrap();
        let place = tempfile::tempdir().unwrap();
        let dir = DataDir::new(place.path().join("data"));
        dir.create().unwrap();
        std::fs::write(dir.database(), &rotten).unwrap();
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            if file % 10 == 0 {
                copies_are_sound(&dir, place.path(), &rotten);
            }
            tally.note(&rows, &dir);
        }));
        assert!(outcome.is_ok(), "file {file}: byte {at} is {:#x}, not {:#x}", rotten[at], bytes[at]);
    }
    println!("{files} files of {} bytes with one other byte: {tally:?}", bytes.len());
    assert!(tally.unharmed > 0 && tally.refused > 0, "{tally:?}");
}

#[test]
fn candidates_that_cannot_be_read_are_left_out_and_the_others_stay() {
    let fixture = Fixture::new(7);
    let (rotten, sound) = (fixture.node("rotten"), fixture.node("sound"));
    for machine in [&rotten, &sound] {
        fixture.coordinator.report(START, &machine.identity, report(&["192.168.1.5:9"])).unwrap();
    }
    let sql = "UPDATE node_candidates SET candidates = CAST(x'ff' AS TEXT) WHERE node_id = ?1";
    assert_eq!(fixture.raw().execute(sql, [rotten.identity.node.to_string()]).unwrap(), 1);
    let fixture = fixture.restart();
    let kept = fixture.coordinator.store().read(|tx| tx.candidates()).unwrap();
    assert_eq!(kept.iter().map(|row| row.node_id).collect::<Vec<_>>(), [sound.identity.node]);
}

#[test]
fn a_page_of_noise_is_never_served() {
    let (bytes, _) = sound();
    let mut dice = Dice::new("corruption of pages");
    let pages = bytes.len() / 4096;
    let mut used = BTreeSet::new();
    for _ in 0..short_or_long(20, 500) {
        let page = usize::try_from(dice.below(pages as u64)).unwrap();
        let mut rotten = bytes.clone();
        rotten[page * 4096..(page + 1) * 4096].fill_with(|| dice.next().to_be_bytes()[0]);
        let place = tempfile::tempdir().unwrap();
        let dir = DataDir::new(place.path().join("data"));
        dir.create().unwrap();
        std::fs::write(dir.database(), &rotten).unwrap();
        assert!(store::check(&dir).is_err(), "page {page} is noise and `check` finds the file sound");
        assert!(Store::open_to_serve(&dir).is_err(), "page {page} is noise and it is served");
        used.insert(page);
    }
    println!("noise in {} of {pages} pages: all refused", used.len());
}
