//! The disk is full: what is known is still served, nothing that was acknowledged is lost, and it ends by itself.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use coordinator::store::{DataDir, Store, backup};
use fixture::client::{Answer, Server};
use fixture::{Fixture, report, request, unseal};
use protocol::api::{EnrollResponse, MapEvent, ProblemCode};
use protocol::key::PrivateKey;

/// Tells the test that it runs in a mount namespace of its own, where `TMPDIR` may be covered by a small disk.
const INSIDE: &str = "WARREN_TEST_INSIDE";

const DISK: &str = "size=4m";

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// Runs this test once more, in a mount namespace with a disk of 4 MiB as its folder for temporary files; true there.
fn on_a_small_disk(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        let (disk, flags) = (std::env::temp_dir(), nix::mount::MsFlags::empty());
        nix::mount::mount(Some("tmpfs"), &disk, Some("tmpfs"), flags, Some(DISK)).unwrap();
        return true;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut unshare = Command::new("unshare");
    if !nix::unistd::geteuid().is_root() {
        unshare.args(["--user", "--map-root-user"]);
    }
    unshare.arg("--mount").arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
    let output = unshare.env("TMPDIR", directory.path()).env(INSIDE, "1").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && out.contains("1 passed"), "{out}{err}");
    false
}

/// Takes all room that is left; gives what takes it.
fn fill(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("filler");
    let mut filler = std::fs::File::create(&path).unwrap();
    let full = std::iter::repeat_with(|| filler.write_all(&[0; 512])).find_map(Result::err).unwrap();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    path
}

fn new_key(server: &Server) -> fixture::NewKey {
    server.fixture.new_key_at(now_ms(), "default", false)
}

fn enroll(server: &Server, key: &fixture::NewKey, number: u16) -> Answer {
    let body = serde_json::to_vec(&request(&key.key, private_key(number).public_key(), "web")).unwrap();
    server.send("POST", "/api/v1/enroll", &[], &body)
}

fn private_key(number: u16) -> PrivateKey {
    let mut bytes = [7; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    PrivateKey::from_random(bytes)
}

/// Enrolls until the disk is so full that a write fails; gives the numbers of those that were acknowledged.
fn enroll_until_full(server: &Server, key: &fixture::NewKey) -> Vec<u16> {
    let mut acknowledged = Vec::new();
    for number in 1000..4000 {
        let answer = enroll(server, key, number);
        if answer.status == 200 {
            acknowledged.push(number);
            continue;
        }
        let problem = answer.problem();
        assert_eq!((problem.status, problem.code), (503, ProblemCode::Unavailable));
        assert!(problem.title.contains("the disk is full"), "{}", problem.title);
        return acknowledged;
    }
    panic!("the disk never became full");
}

#[test]
fn a_start_on_a_full_disk_says_so() {
    if !on_a_small_disk("a_start_on_a_full_disk_says_so") {
        return;
    }
    let (other, dir) = (std::env::temp_dir().join("other"), std::env::temp_dir().join("state"));
    let (other, dir) = (DataDir::new(other), DataDir::new(dir));
    let _store = Store::open_or_create(&other).unwrap();
    dir.create().unwrap();
    // One file, as after a clean end: what a connection that closes a little later left would be room enough.
    backup(&other, &dir.database()).unwrap();
    let filler = fill(&std::env::temp_dir());
    let error = Store::open_to_serve(&dir).unwrap_err();
    assert!(error.to_string().contains("the disk is full; make room"), "{error}");
    std::fs::remove_file(filler).unwrap();
    Store::open_to_serve(&dir).unwrap();
}

fn wait_for_health(server: &Server) {
    let give_up = Instant::now() + Duration::from_secs(10);
    while server.send("GET", "/healthz", &[], b"").status != 200 {
        assert!(Instant::now() < give_up, "it does not recover");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_full_disk_stops_changes_only_and_ends_without_a_restart() {
    if !on_a_small_disk("a_full_disk_stops_changes_only_and_ends_without_a_restart") {
        return;
    }
    let server = Server::start(Fixture::new(1));
    let key = new_key(&server);
    let known: EnrollResponse = serde_json::from_str(&enroll(&server, &key, 1).body).unwrap();
    let token = unseal(&known, &private_key(1)).to_text().to_string();
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str())];
    let unused: EnrollResponse = serde_json::from_str(&enroll(&server, &key, 2).body).unwrap();
    let unused = format!("Bearer {}", *unseal(&unused, &private_key(2)).to_text());
    let mut map = server.map(&token, None);
    assert!(matches!(map.next(), Some(MapEvent::Snapshot(_))));
    assert_eq!(server.send("GET", "/healthz", &[], b"").body, r#"{"status":"ok"}"#);

    let filler = fill(&std::env::temp_dir());
    let acknowledged = enroll_until_full(&server, &key);
    let health = server.send("GET", "/healthz", &[], b"");
    assert_eq!(health.status, 503);
    assert!(
        health.body.contains(r#""status":"degraded""#) && health.body.contains("the disk is full"),
        "{}",
        health.body
    );
    let reported = serde_json::to_vec(&report(&["10.0.0.1:1"])).unwrap();
    assert_eq!(server.send("POST", "/api/v1/report", &headers, &reported).status, 200);
    // The first use of a token writes, too; it is good all the same.
    let first_use = [("Authorization", unused.as_str())];
    assert_eq!(server.send("POST", "/api/v1/report", &first_use, &reported).status, 200);
    assert!(matches!(server.map(&token, None).next(), Some(MapEvent::Snapshot(_))));
    // Refused at once while nothing is tried, and never taken for done.
    assert!((0..20).all(|number| enroll(&server, &key, 9000 + number).status == 503));

    std::fs::remove_file(filler).unwrap();
    wait_for_health(&server);
    assert_eq!(enroll(&server, &key, 5000).status, 200);
    server.fixture.coordinator.sync().unwrap();
    let candidates = server.fixture.coordinator.store().read(|tx| tx.candidates()).unwrap();
    assert_eq!(candidates.len(), 2, "what was reported meanwhile is stored: {candidates:?}");
    let fixture = server.fixture.coordinator.store();
    let verdict: String = rusqlite::Connection::open(fixture.path())
        .unwrap()
        .query_row("PRAGMA integrity_check", (), |row| row.get(0))
        .unwrap();
    assert_eq!(verdict, "ok");
    let stored = fixture.read(|tx| tx.nodes()).unwrap().0;
    let is_stored =
        |number: u16| stored.iter().any(|node| node.public_key == private_key(number).public_key());
    assert!(acknowledged.into_iter().chain([1, 5000]).all(is_stored), "an acknowledged write is lost");
    assert!(!(9000..9020).any(is_stored), "what was refused is there");
}
