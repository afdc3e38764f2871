//! Killed at any moment of a storm of writes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::ledger::{self, Acknowledged, Outcome};
use crate::played::{Dice, short_or_long};
use crate::process::{Served, admin, clean, run, set_up};

/// Machines that enroll at once.
const WRITERS: usize = 16;

/// Kills after which a database is put away: each start reads all of it.
const KILLS_PER_DATABASE: usize = 20;

/// One database, and what was acknowledged of it.
struct Storm {
    directory: tempfile::TempDir,
    key: String,
    nodes: Vec<Acknowledged>,
    keys: Vec<String>,
}

impl Storm {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let key = set_up(directory.path());
        Self { directory, key, nodes: Vec::new(), keys: Vec::new() }
    }

    /// Serves, lets all write, kills after so long, and adds what was acknowledged.
    fn rage(&mut self, next: &Arc<AtomicU64>, kill_after: Duration) -> usize {
        let served = Served::start(self.directory.path());
        let address = served.address;
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let (key, next, acknowledged) =
                    (self.key.clone(), Arc::clone(next), Arc::clone(&acknowledged));
                std::thread::spawn(move || {
                    loop {
                        match ledger::enroll(address, &key, next.fetch_add(1, Ordering::Relaxed)) {
                            Outcome::Acknowledged(node) => acknowledged.lock().unwrap().push(*node),
                            Outcome::Refused(429) => std::thread::sleep(Duration::from_millis(50)),
                            Outcome::Refused(status) => panic!("an enrollment was answered {status}"),
                            Outcome::Unknown => return,
                        }
                    }
                })
            })
            .collect();
        let directory = self.directory.path().to_owned();
        // Another process writes to the same file, and is not killed.
        let administrator = std::thread::spawn(move || {
            let words = ["admin", "--json", "enrollment-key", "create", "--network", "default"];
            let output = clean(crate::process::PROGRAM, &directory).args(words).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let made: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            made["id"].as_str().unwrap().to_owned()
        });
        std::thread::sleep(kill_after);
        let log = served.kill();
        assert!(!log.contains("panicked"), "{log}");
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        self.keys.push(administrator.join().unwrap());
        let fresh = std::mem::take(&mut *acknowledged.lock().unwrap());
        let count = fresh.len();
        self.nodes.extend(fresh);
        count
    }

    fn verify(&self) {
        let directory = self.directory.path();
        let checked = run(directory, &["check"]);
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
        let lost = ledger::lost(directory, &self.nodes);
        assert!(
            lost.is_empty(),
            "{} of {} acknowledged nodes are lost: {lost:?}",
            lost.len(),
            self.nodes.len()
        );
        let listed = admin(directory, &["enrollment-key", "list"]).to_string();
        assert!(self.keys.iter().all(|key| listed.contains(key)), "an acknowledged enrollment key is lost");
    }
}

#[test]
fn a_kill_at_any_moment_of_a_storm_loses_no_acknowledged_write() {
    let kills = short_or_long(5, 200);
    let mut dice = Dice::new("kill");
    let (next, mut acknowledged) = (Arc::new(AtomicU64::new(0)), 0);
    let mut storm = Storm::new();
    for kill in 0..kills {
        if kill % KILLS_PER_DATABASE == KILLS_PER_DATABASE - 1 {
            storm = Storm::new();
        }
        acknowledged += storm.rage(&next, Duration::from_micros(dice.below(250_000)));
        storm.verify();
    }
    // The tokens, too: what the last storm acknowledged is let in by the next coordinator.
    let served = Served::start(storm.directory.path());
    assert!(storm.nodes.iter().rev().take(50).all(|node| ledger::is_known(served.address, node)));
    println!("{kills} kills, {acknowledged} acknowledged enrollments and {kills} keys, 0 lost");
    assert!(acknowledged > 0, "the storm wrote nothing");
}
