//! The program itself: started, administered from a second process, stopped.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod served;

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use protocol::api::MapEvent;
use protocol::key::PrivateKey;
use serde_json::Value;
use served::{Served, admin, command, data_line, enroll_body, enrolled, run};

#[test]
fn a_node_enrolls_sees_what_admin_does_and_the_coordinator_stops_cleanly() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let network = admin(&state, &["init"]);
    assert_eq!(network["network"]["name"], "default");
    let served = Served::start(&state);
    let private_key = PrivateKey::from_random([3; 32]);
    let body = enroll_body(&state, &private_key, "web");
    let mut answer = BufReader::new(served.connect("POST /api/v1/enroll", &body));
    let token = enrolled(&mut answer, &private_key);

    let head = format!("GET /api/v1/map HTTP/1.1\r\nAuthorization: Bearer {token}\r\nX-Rest:");
    let mut map = BufReader::new(served.connect(&head, ""));
    let Some(MapEvent::Snapshot(mut known)) =
        MapEvent::parse("snapshot", &data_line(&mut map).unwrap()).unwrap()
    else {
        panic!("a snapshot")
    };
    assert_eq!(known.relays.len(), 1);
    assert_eq!(known.stun_servers, [known.relays[0].address]);

    let public_key = PrivateKey::from_random([4; 32]).public_key().to_string();
    let plain = ["--name", "printer", "--public-key", &public_key, "--endpoint", "198.51.100.4:51820"];
    admin(&state, &[&["node", "add", "--network", "default"], &plain[..]].concat());
    let delta = serde_json::from_str(&data_line(&mut map).unwrap()).unwrap();
    known.apply(delta).unwrap();
    assert_eq!(known.peers[0].name.as_str(), "printer");

    let backup = directory.path().join("backup.db");
    assert!(run(&state, &["backup", backup.to_str().unwrap()]).status.success());
    let refused = run(&state, &["restore", backup.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "a running coordinator keeps its database");
    assert_eq!(served.stop(), Some(0));
    assert_eq!(data_line(&mut map), None, "the stream ended");
    assert!(run(&state, &["check"]).status.success());
    assert!(run(&state, &["restore", backup.to_str().unwrap()]).status.success());
}

#[test]
fn a_reload_without_certificate_files_ends_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = Served::start(directory.path());
    served.signal("HUP");
    served.logged("there are no certificate files to read again");
    assert_eq!(served.stop(), Some(0));
}

/// The file with the first owner's link.
fn link_file(directory: &Path) -> PathBuf {
    directory.join("first-sign-in-link")
}

/// The status of a POST to the address in it.
fn open_link(served: &Served, file: &Path) -> String {
    let link = std::fs::read_to_string(file).unwrap();
    let path = link.trim().strip_prefix(&format!("http://{}", served.address)).unwrap();
    let mut answer = BufReader::new(served.connect(&format!("POST {path}"), ""));
    let mut line = String::new();
    answer.read_line(&mut line).unwrap();
    line.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn the_first_start_makes_an_owner_and_a_link_in_a_file_that_only_its_user_reads() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = Served::start(directory.path());
    let event = served.logged("open the link in this file");
    let file = link_file(directory.path());
    assert_eq!(event["file"], file.to_str().unwrap());
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let link = std::fs::read_to_string(&file).unwrap();
    let secret = link.trim().rsplit('/').next().unwrap();
    assert!(secret.starts_with("wsl_") && !event.to_string().contains(secret), "the log keeps no secret");
    assert_eq!(admin(directory.path(), &["init"])["created"], false);
    assert_eq!(open_link(&served, &file), "303");
    assert_eq!(open_link(&served, &file), "403", "it works once");
    assert_eq!(served.stop(), Some(0));
    let served = Served::start(directory.path());
    assert_eq!(served.stop(), Some(0));
    assert!(!file.exists(), "somebody has signed in");
}

#[test]
fn another_start_makes_another_link_only_when_the_first_is_over_and_nobody_came() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = Served::start(directory.path());
    served.logged("open the link in this file");
    let file = link_file(directory.path());
    let first = std::fs::read_to_string(&file).unwrap();
    assert_eq!(served.stop(), Some(0));
    let mut served = Served::start(directory.path());
    served.logged("open the link in this file");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), first);
    assert_eq!(served.stop(), Some(0));
    let database = rusqlite::Connection::open(directory.path().join("warren.db")).unwrap();
    assert_eq!(database.execute("UPDATE sign_in_links SET expires_at = 1", ()).unwrap(), 1);
    drop(database);
    let mut served = Served::start(directory.path());
    served.logged("open the link in this file");
    assert_ne!(std::fs::read_to_string(&file).unwrap(), first);
    assert_eq!(open_link(&served, &file), "303");
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn a_first_start_that_was_killed_before_it_showed_the_link_shows_another_at_the_next() {
    let file_left = [None, Some(""), Some("http://127.0.0.1/sign-in/wsl_half")];
    for left in file_left {
        let directory = tempfile::tempdir().unwrap();
        let mut served = Served::start(directory.path());
        served.logged("open the link in this file");
        let file = link_file(directory.path());
        let lost = std::fs::read_to_string(&file).unwrap();
        assert_eq!(served.stop(), Some(0));
        match left {
            None => std::fs::remove_file(&file).unwrap(),
            Some(text) => std::fs::write(&file, text).unwrap(),
        }
        let mut served = Served::start(directory.path());
        served.logged("open the link in this file");
        assert_eq!(open_link(&served, &file), "303", "{left:?}");
        let lost_path = lost.trim().rsplit('/').next().unwrap();
        std::fs::write(&file, format!("http://{}/sign-in/{lost_path}", served.address)).unwrap();
        assert_eq!(open_link(&served, &file), "403", "nobody knows the lost one, and it works no more");
        assert_eq!(served.stop(), Some(0));
    }
}

#[test]
fn an_owner_whom_an_administrator_made_gets_no_link_unasked() {
    let directory = tempfile::tempdir().unwrap();
    admin(directory.path(), &["init"]);
    let served = Served::start(directory.path());
    assert_eq!(served.stop(), Some(0));
    assert!(!link_file(directory.path()).exists());
}

#[test]
fn at_a_terminal_the_link_is_shown_there_and_in_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let terminal = nix::pty::openpty(None, None).unwrap();
    let words = ["serve", "--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0"];
    let mut child = command(directory.path(), &words).stderr(terminal.slave).spawn().unwrap();
    let shown = BufReader::new(std::fs::File::from(terminal.master));
    let line = shown.lines().map_while(Result::ok).find(|line| line.contains("to become the owner: "));
    let stopped = child.kill();
    child.wait().unwrap();
    stopped.unwrap();
    assert!(line.unwrap().contains("/sign-in/wsl_"));
    assert!(!link_file(directory.path()).exists());
}

#[test]
fn the_first_set_up_may_be_repeated_and_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let first = admin(directory.path(), &["init", "--owner", "ada@example.org"]);
    let again = admin(directory.path(), &["init", "--owner", "somebody else"]);
    assert_eq!(again["owner"], "ada@example.org");
    assert_eq!(again["network"], first["network"]);
    assert_eq!((&first["created"], &again["created"]), (&Value::Bool(true), &Value::Bool(false)));
}

#[test]
fn keys_are_listed_without_their_secret() {
    let directory = tempfile::tempdir().unwrap();
    admin(directory.path(), &["init"]);
    let made = admin(directory.path(), &["enrollment-key", "create", "--network", "default", "--reusable"]);
    let listed = admin(directory.path(), &["enrollment-key", "list"]);
    let key = &listed["enrollment_keys"][0];
    assert_eq!((&key["id"], &key["state"]), (&made["id"], &Value::from("usable")));
    let secret = made["key"].as_str().unwrap();
    assert!(!listed.to_string().contains(&secret[4..]), "{listed}");
    let files = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path());
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the secret is in {}", file.display());
    }
}

#[test]
fn exit_codes_tell_usage_from_failure_and_errors_are_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("c.toml");
    std::fs::write(&config, "listen = \"127.0.0.1:1\"\nlisten_on = 5\n").unwrap();
    let config = config.to_str().unwrap();
    let missing = directory.path().join("nothing.toml");
    for (words, code, why) in [
        (vec!["admin", "network", "list"], 1, "admin init"),
        (vec!["serve", "--config", config], 2, "line 2"),
        (vec!["serve", "--config", missing.to_str().unwrap()], 1, "nothing.toml"),
        (vec!["serve", "--public-url", "mesh.example"], 2, "http:// or https://"),
        (vec!["restore", "/nonexistent.db"], 1, "/nonexistent.db"),
    ] {
        let output = run(directory.path(), &words);
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{words:?}: {error}");
        assert!(error.contains(why) && error.trim_end().lines().count() == 1, "{words:?}: {error}");
    }
    assert_eq!(run(directory.path(), &["serve", "--listen", "nowhere"]).status.code(), Some(2));
}

#[cfg(feature = "oidc")]
#[test]
fn a_group_that_leads_into_no_organization_is_told_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    admin(directory.path(), &["init"]);
    let flags = [
        "--public-url",
        "http://127.0.0.1:1",
        "--oidc-issuer",
        "http://127.0.0.1:9",
        "--oidc-client-id",
        "warren",
        "--oidc-group",
        "staff=default:member",
        "--oidc-group",
        "ops=renamed:admin",
    ];
    let mut served = Served::start_with(directory.path(), &flags);
    let event = served.logged("a group leads into an organization that does not exist");
    assert_eq!((&event["group"], &event["organization"]), (&"ops".into(), &"renamed".into()));
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn an_organization_has_no_name_that_could_be_an_id() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["67e55044-10b1-426f-9247-bb680e5fe0c8", "67E5504410B1426F9247BB680E5FE0C8"] {
        let output = run(directory.path(), &["admin", "init", "--organization", name]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("has the form of an id"), "{output:?}");
    }
    let output = run(directory.path(), &["admin", "init", "--organization", "67e55044"]);
    assert!(output.status.success(), "{output:?}");
}
