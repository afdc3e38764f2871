//! `restore` may be killed at any moment: the database is the old one or the new one, never neither.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "nothing is served here")]
mod served;

use std::path::Path;
use std::time::Duration;

use served::{admin, command, run};

/// The networks of a database, which tell whose it is.
fn networks(directory: &Path) -> usize {
    admin(directory, &["network", "list"])["networks"].as_array().unwrap().len()
}

#[test]
fn a_restore_that_is_killed_leaves_the_old_database_or_the_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let (state, backup) = (directory.path().join("state"), directory.path().join("backup.db"));
    admin(&state, &["init"]);
    assert!(run(&state, &["backup", backup.to_str().unwrap()]).status.success());
    admin(&state, &["network", "create", "second"]);
    let mut seen = [0, 0];
    for delay_us in (0..60).map(|step| step * 500) {
        let mut restore = command(&state, &["restore", backup.to_str().unwrap()]).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(delay_us));
        restore.kill().unwrap();
        restore.wait().unwrap();
        let checked = run(&state, &["check"]);
        let why = String::from_utf8_lossy(&checked.stderr).into_owned();
        let files =
            std::fs::read_dir(&state).unwrap().map(|file| file.unwrap().file_name()).collect::<Vec<_>>();
        assert!(checked.status.success(), "after {delay_us} us: {why}{files:?}");
        let networks = networks(&state);
        assert!((1..=2).contains(&networks), "after {delay_us} us");
        seen[networks - 1] += 1;
        if networks == 1 {
            admin(&state, &["network", "create", "second"]);
        }
    }
    assert!(seen[1] > 0, "{seen:?}");
    assert!(run(&state, &["restore", backup.to_str().unwrap()]).status.success());
    assert_eq!(networks(&state), 1);
}
