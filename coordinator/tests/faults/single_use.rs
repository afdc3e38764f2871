//! A thousand machines want the same single-use key at the same time.

use std::sync::{Arc, Barrier};

use crate::ledger::{self, Outcome};
use crate::played::short_or_long;
use crate::process::{Served, admin};

#[test]
fn of_many_machines_with_one_single_use_key_exactly_one_becomes_a_node() {
    let machines = short_or_long(200, 1_000);
    let directory = tempfile::tempdir().unwrap();
    admin(directory.path(), &["init"]);
    let made = admin(directory.path(), &["enrollment-key", "create", "--network", "default"]);
    let key = made["key"].as_str().unwrap().to_owned();
    let served = Served::start(directory.path());
    let address = served.address;
    let together = Arc::new(Barrier::new(machines));
    let threads: Vec<_> = (0..u64::try_from(machines).unwrap())
        .map(|number| {
            let (key, together) = (key.clone(), Arc::clone(&together));
            std::thread::spawn(move || {
                together.wait();
                ledger::enroll(address, &key, number)
            })
        })
        .collect();
    let outcomes: Vec<Outcome> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let won = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Acknowledged(_))).count();
    let refused = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Refused(403))).count();
    assert_eq!((won, refused), (1, machines - 1));
    assert_eq!(ledger::nodes(directory.path()).len(), 1);
}
