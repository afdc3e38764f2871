//! Every command that changes something is in the audit log, as what it did and to what.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "no coordinator serves here")]
mod served;

use std::path::Path;

use protocol::key::PrivateKey;
use served::{admin, run};

/// The action and subject of the newest entry, and the number of all.
fn newest(directory: &Path) -> (String, String, usize) {
    let log = admin(directory, &["audit-log"]);
    let entries = log["audit_log"].as_array().unwrap();
    let newest = &entries[0];
    assert_eq!(newest["actor"], "admin command");
    let text = |name: &str| newest[name].as_str().unwrap().to_owned();
    (text("action"), text("subject"), entries.len())
}

#[test]
fn what_a_command_changes_is_in_the_audit_log() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    admin(directory, &["init"]);
    assert_eq!(newest(directory), ("organization.create".into(), "default".into(), 1));
    let key = PrivateKey::from_random([9; 32]).public_key().to_string();
    let made = admin(directory, &["enrollment-key", "create", "--network", "default", "--tags", "db"]);
    let key_id = made["id"].as_str().unwrap().to_owned();
    let relay_key = PrivateKey::from_random([8; 32]).public_key().to_string();
    let plain = ["node", "add", "--network", "default", "--name", "printer", "--public-key", &key];
    let plain = [&plain[..], &["--endpoint", "198.51.100.4:51820"]].concat();
    let relay =
        ["relay", "add", "--name", "par1", "--public-key", &relay_key, "--address", "198.51.100.9:3478"];
    let stun = ["stun", "add", "--name", "ams", "--address", "198.51.100.8:3478"];
    let rule = ["access-rule", "create", "--network", "default", "allow", "--from", "web", "--to", "db"];
    let cases: &[(&[&str], &str, &str)] = &[
        (&["enrollment-key", "revoke", &key_id], "enrollment-key.revoke", &key_id),
        (&["network", "create", "lab"], "network.create", "lab"),
        (&["network", "set", "lab", "--name", "test"], "network.change", "lab"),
        (&["network", "delete", "test"], "network.delete", "test"),
        (&plain, "node.create", "printer"),
        (&["node", "set", "printer", "--tags", "office"], "node.change", "printer"),
        (&["node", "disable", "printer"], "node.change", "printer"),
        (&["node", "delete", "printer"], "node.delete", "printer"),
        (&relay, "relay.create", "par1"),
        (&["relay", "set", "par1", "--name", "par2"], "relay.change", "par1"),
        (&["relay", "disable", "par2"], "relay.change", "par2"),
        (&["relay", "remove", "par2"], "relay.delete", "par2"),
        (&stun, "stun-server.create", "ams"),
        (&["stun", "enable", "ams"], "stun-server.change", "ams"),
        (&["stun", "remove", "ams"], "stun-server.delete", "ams"),
        (&rule, "access-rule.create", ""),
        (&["api-token", "create", "--description", "backup", "--role", "viewer"], "api-token.create", ""),
        (&["invitation", "create", "--public-url", "https://mesh.example"], "invitation.create", ""),
    ];
    for (index, (words, action, subject)) in cases.iter().enumerate() {
        let output = run(directory, &[&["admin"], *words].concat());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        let (did, to, count) = newest(directory);
        assert_eq!((did.as_str(), count), (*action, index + 3), "{words:?}");
        assert!(subject.is_empty() || to == *subject, "{words:?}: {to}");
    }
}

#[test]
fn a_command_that_fails_leaves_no_entry() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    admin(directory, &["init"]);
    for words in [
        &["node", "delete", "nobody"][..],
        &["network", "delete", "nothing"],
        &["relay", "remove", "none"],
        &["relay", "disable", "coordinator"],
        &["stun", "remove", "none"],
        &["stun", "add", "--name", "here", "--address", "127.0.0.1:3478"],
    ] {
        assert_eq!(run(directory, &[&["admin"], words].concat()).status.code(), Some(1), "{words:?}");
    }
    assert_eq!(newest(directory).2, 1);
}
