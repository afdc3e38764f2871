//! The sandbox as its user meets it: the `lab` program, started and ended from outside.
//!
//! Needs what the lab needs: `ip`, `nft`, `conntrack`, `ping`, /dev/net/tun, and root or user namespaces.

#![expect(clippy::unwrap_used, reason = "a test whose machine fails it should stop at once")]

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn lab(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn until<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(Instant::now() < deadline, "{what} did not happen within 20 s");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Pid, parent and start time of every process.
fn processes() -> Vec<(u32, u32, u64)> {
    let read = |entry: fs::DirEntry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        // A zombie holds nothing but its number.
        (fields[0] != "Z").then_some(())?;
        Some((pid, fields[1].parse().ok()?, fields[19].parse().ok()?))
    };
    fs::read_dir("/proc").unwrap().filter_map(|entry| read(entry.ok()?)).collect()
}

fn descendants(of: u32) -> BTreeSet<(u32, u64)> {
    let all = processes();
    let mut family = BTreeSet::from([of]);
    loop {
        let grown: BTreeSet<u32> =
            all.iter().filter(|one| family.contains(&one.1)).map(|one| one.0).collect();
        let before = family.len();
        family.extend(grown);
        if family.len() == before {
            break;
        }
    }
    all.iter().filter(|one| one.0 != of && family.contains(&one.0)).map(|one| (one.0, one.2)).collect()
}

fn network_namespaces(of: impl IntoIterator<Item = u32>) -> BTreeSet<String> {
    let link = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/net")).ok()?.to_str().map(str::to_owned);
    of.into_iter().filter_map(link).collect()
}

fn named_namespaces() -> Vec<String> {
    let entries = fs::read_dir("/run/netns").into_iter().flatten();
    entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name == "nl-inet")
        .collect()
}

/// Starts a scenario that takes seconds and waits until its internet stands and something runs in it.
fn busy_lab() -> (Child, BTreeSet<(u32, u64)>, BTreeSet<String>) {
    let own = network_namespaces([std::process::id()]);
    let child = lab(&["run", "lab/loss"]).spawn().unwrap();
    let made = until("a lab with a process in a namespace of its internet", || {
        let inside = network_namespaces(descendants(child.id()).into_iter().map(|one| one.0));
        let made: BTreeSet<String> = inside.difference(&own).cloned().collect();
        // One of the sandbox, one of the host that pings.
        (made.len() >= 2).then_some(made)
    });
    let family = descendants(child.id());
    (child, family, made)
}

fn assert_gone(family: &BTreeSet<(u32, u64)>, made: &BTreeSet<String>) {
    until("the end of every process of the lab", || {
        let left: BTreeSet<(u32, u64)> = processes().into_iter().map(|one| (one.0, one.2)).collect();
        left.is_disjoint(family).then_some(())
    });
    until("the end of every namespace of the lab", || {
        network_namespaces(processes().into_iter().map(|one| one.0)).is_disjoint(made).then_some(())
    });
    assert_eq!(named_namespaces(), Vec::<String>::new());
}

#[test]
fn nothing_remains_of_a_lab_that_was_killed() {
    let (mut child, family, made) = busy_lab();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_gone(&family, &made);
}

#[test]
fn nothing_remains_of_a_lab_that_was_asked_to_end() {
    let (mut child, family, made) = busy_lab();
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(128 + 15));
    assert_gone(&family, &made);
}

#[test]
fn an_interrupt_reaches_the_inside_and_ends_it() {
    let (mut child, family, made) = busy_lab();
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_gone(&family, &made);
}

#[test]
fn the_lab_proves_its_recipes_wires_and_rebinding() {
    let file = std::env::temp_dir().join(format!("lab-results-{}.json", std::process::id()));
    let output = lab(&["run", "lab", "--json", file.to_str().unwrap()]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.lines().last(), Some("4 passed, 0 failed"));
    let results: serde_json::Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    fs::remove_file(&file).unwrap();
    for scenario in results["scenarios"].as_array().unwrap() {
        assert_eq!(scenario["passed"], true, "{scenario}");
    }
}

#[test]
fn a_machine_without_the_programs_is_told_which_one_is_missing() {
    let empty = std::env::temp_dir();
    let output = lab(&["classify"]).env("PATH", &empty).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(complaint.contains("is missing: install it with"), "{complaint}");
}

#[test]
fn unknown_names_are_refused_before_anything_starts() {
    for arguments in [["run", "no/such"], ["classify", "no-such"]] {
        let mut child = lab(&arguments).spawn().unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(2));
        let mut complaint = String::new();
        child.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
        assert!(complaint.contains("`no/such`") || complaint.contains("`no-such`"), "{complaint}");
    }
}
