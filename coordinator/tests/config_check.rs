//! `config check`: what would be used, where it came from, and whether that works.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "one test serves, the others do not")]
mod served;

use std::net::TcpListener;
use std::path::Path;

use serde_json::Value;
use served::{Served, command};

/// Runs `config check --json`; gives the exit code and the answer.
fn check(directory: &Path, words: &[&str]) -> (Option<i32>, Value) {
    let mut command = command(directory, &["config", "check", "--json", "--stun", "127.0.0.1:0"]);
    let output = command.args(words).env("WARREN_LOG_FORMAT", "json").output().unwrap();
    let answer = serde_json::from_slice(&output.stdout);
    (output.status.code(), answer.unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr))))
}

fn setting(answer: &Value, name: &str) -> (String, String) {
    let settings = answer["settings"].as_array().unwrap();
    let found = settings.iter().find(|setting| setting["name"] == name).unwrap();
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    (text("value"), text("from"))
}

#[test]
fn each_setting_tells_its_value_and_where_it_came_from() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("c.toml");
    std::fs::write(&file, "listen = \"127.0.0.1:1\"\ntrusted_proxy = [\"10.0.0.0/8\", \"::1\"]\n").unwrap();
    let state = directory.path().join("state");
    let words = ["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:0"];
    let (code, answer) = check(&state, &words);
    assert_eq!((code, &answer["problems"]), (Some(0), &Value::Array(Vec::new())));
    assert_eq!(setting(&answer, "listen"), ("127.0.0.1:0".into(), "flag".into()));
    assert_eq!(setting(&answer, "trusted_proxy"), ("10.0.0.0/8,::1/128".into(), "file".into()));
    assert_eq!(setting(&answer, "log_format"), ("json".into(), "variable WARREN_LOG_FORMAT".into()));
    assert_eq!(setting(&answer, "relay"), ("127.0.0.1:0".into(), "default".into()));
    assert!(!state.exists(), "a look changes nothing");
}

#[test]
fn every_problem_is_told_at_once_and_the_exit_code_is_that_of_a_mistake() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let file = directory.path().join("a-file");
    std::fs::write(&file, "").unwrap();
    let words = ["--listen", &address, "--tls-cert", "/nonexistent.pem", "--tls-key", "/nonexistent.pem"];
    let (code, answer) = check(&file, &words);
    assert_eq!(code, Some(2));
    let problems = answer["problems"].to_string();
    for problem in [&*address, "/nonexistent.pem", "data_dir: "] {
        assert!(problems.contains(problem), "{problem} is not in {problems}");
    }
    let (code, answer) = check(directory.path(), &["--public-url", "mesh.example"]);
    assert_eq!(code, Some(2));
    assert!(answer["problems"][0].as_str().unwrap().contains("http:// or https://"), "{answer}");
    let (code, answer) = check(directory.path(), &["--config", "/nonexistent.toml"]);
    assert_eq!(code, Some(2));
    assert!(answer["problems"][0].as_str().unwrap().contains("/nonexistent.toml"), "{answer}");
}

#[test]
fn addresses_of_the_coordinator_that_runs_already_are_no_problem() {
    let directory = tempfile::tempdir().unwrap();
    let served = Served::start(directory.path());
    let (code, answer) = check(directory.path(), &["--listen", &served.address]);
    assert_eq!(code, Some(0), "{answer}");
}
