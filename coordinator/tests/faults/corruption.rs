//! Database files with a byte that is another one: refused, or served as far as they are sound.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use coordinator::store::{self, DataDir, NodeRow, Store, StoreError};
use coordinator::{Coordinator, Entropy};
use protocol::api::Servers;
use uuid::Uuid;

use crate::fixture::{Fixture, START, report};
use crate::played::{Dice, short_or_long};

/// Nodes in the database: enough for tables and indexes of several pages.
const NODES: usize = 60;

/// What became of the files.
#[derive(Debug, Default)]
struct Tally {
    /// `check` says that it is not sound.
    found_by_check: usize,
    /// It cannot be served.
    refused: usize,
    /// Served, and all nodes are as they were.
    unharmed: usize,
    /// Served without a node that cannot be read.
    remainder: usize,
    /// Served with a node that is not as it was: nothing in the file says so.
    unnoticed: usize,
    /// The same, though `check` finds the file sound.
    unnoticed_by_check: usize,
}

/// The bytes of a database in use, and its nodes.
fn sound() -> (Vec<u8>, BTreeMap<Uuid, NodeRow>) {
    let fixture = Fixture::new(3);
    for number in 0..NODES {
        let machine = fixture.node(&format!("node-{number}"));
        let told = report(&[&format!("192.168.1.{}:41641", number + 1)]);
        fixture.coordinator.report(START, &machine.identity, told).unwrap();
    }
    let copy = fixture.directory.path().join("copy.db");
    store::backup(&DataDir::new(fixture.directory.path()), &copy).unwrap();
    let (rows, bad) = fixture.coordinator.store().read(|tx| tx.nodes()).unwrap();
    assert!(bad.is_empty());
    (std::fs::read(copy).unwrap(), rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Starts a coordinator on the file as `serve` does, and gives the nodes that it would serve.
fn served(dir: &DataDir) -> Result<Vec<NodeRow>, StoreError> {
    let store = Store::open(dir)?;
    let opened: Arc<Coordinator> =
        Coordinator::open(store, Entropy::seeded(5), START, |_, _| Ok::<_, StoreError>(Servers::default()))?;
    let (rows, _) = opened.store().read(|tx| tx.nodes())?;
    Ok(rows)
}

impl Tally {
    fn note(&mut self, nodes: &BTreeMap<Uuid, NodeRow>, dir: &DataDir) {
        let is_sound = store::check(dir).is_ok();
        self.found_by_check += usize::from(!is_sound);
        let Ok(rows) = served(dir) else {
            self.refused += 1;
            return;
        };
        let strangers: Vec<&NodeRow> = rows.iter().filter(|row| nodes.get(&row.id) != Some(row)).collect();
        if !strangers.is_empty() {
            self.unnoticed += 1;
            self.unnoticed_by_check += usize::from(is_sound);
            // The one column without an index, a reference or a rule that its two values could break.
            let differs = |row: &&NodeRow| {
                nodes.get(&row.id) != Some(&NodeRow { may_relay: !row.may_relay, ..(*row).clone() })
            };
            assert!(!is_sound || !strangers.iter().any(differs), "`check` finds it sound: {strangers:?}");
        } else if rows.len() < nodes.len() {
            self.remainder += 1;
        } else {
            self.unharmed += 1;
        }
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
fn a_rotten_byte_is_refused_or_leaves_the_rest_served_and_nothing_panics() {
    let (bytes, nodes) = sound();
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
            tally.note(&nodes, &dir);
        }));
        assert!(outcome.is_ok(), "file {file}: byte {at} is {:#x}, not {:#x}", rotten[at], bytes[at]);
    }
    println!("{files} files of {} bytes with one other byte: {tally:?}", bytes.len());
    assert!(tally.unharmed > 0 && tally.refused + tally.remainder > 0, "{tally:?}");
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
fn a_rotten_page_is_found_by_check_and_never_served_as_other_nodes() {
    let (bytes, nodes) = sound();
    let mut dice = Dice::new("corruption of pages");
    let pages = bytes.len() / 4096;
    let (mut found, mut used) = (0, BTreeSet::new());
    for _ in 0..short_or_long(20, 500) {
        let page = usize::try_from(dice.below(pages as u64)).unwrap();
        let mut rotten = bytes.clone();
        rotten[page * 4096..(page + 1) * 4096].fill_with(|| dice.next().to_be_bytes()[0]);
        let place = tempfile::tempdir().unwrap();
        let dir = DataDir::new(place.path().join("data"));
        dir.create().unwrap();
        std::fs::write(dir.database(), &rotten).unwrap();
        assert!(store::check(&dir).is_err(), "page {page} is noise and `check` finds the file sound");
        (found, _) = (found + 1, used.insert(page));
        if let Ok(rows) = served(&dir) {
            assert!(
                rows.iter().all(|row| nodes.get(&row.id) == Some(row)),
                "page {page}: another node is served"
            );
        }
    }
    println!("{found} files with a page of noise ({} of {pages} pages): all found", used.len());
}
