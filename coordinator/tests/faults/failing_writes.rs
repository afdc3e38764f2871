//! Disks of which every n-th write or flush fails: `strace` lets the kernel say so to the real program.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::ledger::{self, Acknowledged, Outcome};
use crate::played::is_long;
use crate::process::{PROGRAM, Served, clean, run, set_up};

/// Machines that enroll in one run at least, one after the other: each is a transaction of its own.
const MACHINES: u64 = 60;

/// Successes after the first failure that are waited for, and how long at most: the coordinator may leave a disk that failed alone
/// for some seconds.
const RECOVERIES: usize = 3;
const RECOVERS_WITHIN: Duration = Duration::from_secs(20);

/// Calls of each thread that succeed, so that the program starts.
const AFTER_START: u64 = 30;

/// What one run came to.
#[derive(Debug, Default)]
struct Tally {
    acknowledged: Vec<Acknowledged>,
    refused: usize,
    /// Answered with success after the first refusal.
    after_refusal: usize,
}

/// The program on a disk that fails: from the call with number `first` on each `step`-th one.
fn serve_on_failing_disk(directory: &Path, call: &str, error: &str, (first, step): (u64, u64)) -> Served {
    let mut command = clean("strace", directory);
    // With -D the process that was started is the coordinator itself, and may be killed as such.
    command.args(["-D", "-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:error={error}:when={first}+{step}")]);
    command.arg(PROGRAM);
    Served::start_as(command)
}

fn play(call: &str, error: &str, step: u64) {
    let what = format!("every {step}th {call} fails with {error}");
    let directory = tempfile::tempdir().unwrap();
    let key = set_up(directory.path());
    let mut served = serve_on_failing_disk(directory.path(), call, error, (AFTER_START, step));
    let mut tally = Tally::default();
    let begun = Instant::now();
    for machine in 1.. {
        let may_recover = step > 1 && tally.after_refusal < RECOVERIES && begun.elapsed() < RECOVERS_WITHIN;
        if machine > MACHINES && !may_recover {
            break;
        }
        match ledger::enroll(served.address, &key, machine) {
            Outcome::Acknowledged(node) => {
                tally.acknowledged.push(*node);
                tally.after_refusal += usize::from(tally.refused > 0);
            }
            Outcome::Refused(503) => {
                tally.refused += 1;
                if machine > MACHINES {
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
            Outcome::Refused(status) => panic!("{what}: answered {status}\n{}", served.log()),
            Outcome::Unknown => panic!("{what}: not answered\n{}", served.log()),
        }
    }
    assert!(served.is_alive(), "{what}: the coordinator ended\n{}", served.log());
    // What was acknowledged is let in at once, and by the next coordinator.
    assert!(tally.acknowledged.iter().all(|node| ledger::is_known(served.address, node)), "{what}");
    let log = served.kill();
    assert!(!log.contains("panicked"), "{what}: {log}");
    let checked = run(directory.path(), &["check"]);
    assert!(checked.status.success(), "{what}: {}", String::from_utf8_lossy(&checked.stderr));
    let lost = ledger::lost(directory.path(), &tally.acknowledged);
    assert!(lost.is_empty(), "{what}: {} acknowledged nodes are lost: {lost:?}", lost.len());
    let sound = Served::start(directory.path());
    assert!(tally.acknowledged.iter().all(|node| ledger::is_known(sound.address, node)), "{what}");
    assert!(matches!(ledger::enroll(sound.address, &key, 0), Outcome::Acknowledged(_)), "{what}");
    println!("{what}: {} acknowledged, {} refused, 0 lost", tally.acknowledged.len(), tally.refused);
    assert!(tally.refused > 0, "{what}: the disk never failed\n{log}");
    if step > 1 {
        assert!(tally.after_refusal > 0, "{what}: no write worked after the first failure\n{log}");
    }
}

/// How often calls fail: always, and so that some transactions meet none that does. One flushes once and writes some twenty times.
const FLUSHES: (&[u64], &[u64]) = (&[1, 3], &[1, 2, 3, 5, 7, 11]);
const WRITES: (&[u64], &[u64]) = (&[1, 97], &[1, 61, 83, 97, 127, 151]);

#[test]
fn a_disk_that_fails_now_and_then_is_never_lied_about() {
    let errors: &[&str] = if is_long() { &["EIO", "ENOSPC"] } else { &["EIO"] };
    for (call, (short, long)) in [("fsync,fdatasync", FLUSHES), ("pwrite64", WRITES)] {
        for error in errors {
            (if is_long() { long } else { short }).iter().for_each(|step| play(call, error, *step));
        }
    }
}
