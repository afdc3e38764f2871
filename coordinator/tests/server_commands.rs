//! `admin relay` and `admin stun` beside a coordinator that serves, and without one.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod served;

use std::io::{BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use protocol::key::PrivateKey;
use serde_json::{Value, json};
use served::{Served, admin, enroll_body, enrolled, run};

fn text(directory: &Path, words: &[&str]) -> String {
    let output = run(directory, &[&["admin"], words].concat());
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A node that reports this of the coordinator's relay; its map stream is open as long as what is returned lives.
fn node(directory: &Path, served: &Served, name: &str, reached: bool) -> impl Sized {
    let private_key = PrivateKey::from_random([name.len().try_into().unwrap(); 32]);
    let body = enroll_body(directory, &private_key, name);
    let token = enrolled(&mut BufReader::new(served.connect("POST /api/v1/enroll", &body)), &private_key);
    let head = |request: &str| format!("{request} HTTP/1.1\r\nAuthorization: Bearer {token}\r\nX-Rest:");
    let map = served.connect(&head("GET /api/v1/map"), "");
    let mut map = BufReader::new(map);
    served::data_line(&mut map).unwrap();
    let key = admin(directory, &["relay", "list"])["relays"][0]["public_key"].clone();
    let seen = json!({"relays": [{"public_key": key, "reached": reached, "rtt_us": 12_300}]});
    let report = json!({"candidates": [], "servers": seen}).to_string();
    let mut answer = [0; 12];
    served.connect(&head("POST /api/v1/report"), &report).read_exact(&mut answer).unwrap();
    assert!(answer.ends_with(b" 200"));
    map
}

#[test]
fn the_list_says_what_nodes_and_this_machine_see_of_a_coordinator_that_serves() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    admin(directory, &["init"]);
    let served = Served::start(directory);
    let nodes = [node(directory, &served, "a", true), node(directory, &served, "bb", false)];
    let list = admin(directory, &["relay", "list"]);
    let relay = &list["relays"][0];
    assert_eq!(
        (&relay["name"], &relay["origin"], &relay["id"]),
        (&json!("coordinator"), &json!("settings"), &Value::Null)
    );
    assert_eq!(relay["checks"][0]["result"], "serves", "the real relay was asked: {relay}");
    assert_eq!((&relay["nodes"]["reached"], &relay["nodes"]["unreached"]), (&json!(1), &json!(1)));
    let shown = text(directory, &["relay", "show", "coordinator"]);
    assert!(shown.contains("1 reach it, 1 do not") && shown.contains("no way from bb ("), "{shown}");
    let table = text(directory, &["relay", "list"]);
    assert!(table.starts_with("NAME         STATE   ADDRESS"), "{table}");
    assert!(table.contains("serves") && table.contains("12.3 ms") && table.contains(" s ago"), "{table}");
    assert!(table.contains("--verify-key"), "{table}");
    let stun = text(directory, &["stun", "list"]);
    assert!(stun.contains("coordinator  in use  settings") && stun.contains("serves"), "{stun}");
    let socket = directory.join("servers.sock");
    assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
    drop(nodes);
    assert_eq!(served.stop(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn without_a_coordinator_the_list_says_what_is_registered_and_that_the_rest_is_not_known() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    admin(directory, &["init"]);
    let served = Served::start(directory);
    assert_eq!(served.stop(), Some(0));
    let key = PrivateKey::from_random([8; 32]).public_key().to_string();
    let add = ["relay", "add", "--name", "par1", "--public-key", &key, "--address", "198.51.100.7:3478"];
    admin(directory, &add);
    admin(directory, &["stun", "add", "--name", "ams", "--address", "198.51.100.8:3478"]);
    // What is in no map is not asked, so nothing is sent anywhere here.
    admin(directory, &["relay", "disable", "par1"]);
    admin(directory, &["stun", "disable", "ams"]);
    let table = text(directory, &["relay", "list"]);
    assert!(table.contains("par1  disabled  198.51.100.7:3478  not asked"), "{table}");
    assert!(table.contains("No coordinator serves from this data directory"), "{table}");
    let list = admin(directory, &["stun", "list"]);
    assert_eq!(list["stun_servers"][0]["name"], "ams");
    assert_eq!(list["stun_servers"][0]["nodes"], Value::Null);
    let missing = run(directory, &["admin", "relay", "show", "none"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("relay `none` does not exist"));
}

#[test]
fn a_socket_that_a_killed_coordinator_left_is_nobody_and_the_next_one_takes_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    admin(directory, &["init"]);
    drop(Served::start(directory));
    assert!(directory.join("servers.sock").exists(), "killed");
    assert!(text(directory, &["relay", "list"]).contains("No coordinator serves"));
    let served = Served::start(directory);
    assert!(text(directory, &["relay", "list"]).contains("serves"));
    assert_eq!(served.stop(), Some(0));
}
