//! The daemon's life: one per machine, quiet without an identity, gone without a trace.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use protocol::api::ProblemCode;

use super::coordinator::{Coordinator, enroll, problem};
use super::join::key;
use super::machine::Machine;

#[test]
fn without_a_daemon_every_question_ends_with_not_running() {
    let machine = Machine::new();
    for arguments in
        [&["status"][..], &["peers"], &["up"], &["down"], &["ping", "b"], &["why", "b"], &["netcheck"]]
    {
        let ran = machine.run(arguments);
        assert_eq!(ran.code, 3, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("start it with `warren agent`"), "{ran:?}");
        assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    }
    assert!(!machine.state().exists());
}

#[test]
fn an_agent_without_identity_serves_its_socket_and_leaves_nothing_behind() {
    let machine = Machine::new();
    let daemon = machine.start(machine.command(&["agent"]));
    for arguments in
        [&["status"][..], &["up"], &["down"], &["ping", "b"], &["why", "b"], &["netcheck"], &["leave"]]
    {
        let ran = machine.run(arguments);
        assert_eq!(ran.code, 4, "{arguments:?}: {ran:?}");
        assert!(ran.stderr.contains("warren join URL"), "{ran:?}");
    }
    let (status, log) = daemon.stop();
    assert!(status.success(), "{status}: {log}");
    assert!(!machine.socket().exists());
}

#[test]
fn a_second_agent_is_told_which_thing_is_taken() {
    let (machine, other) = (Machine::new(), Machine::new());
    let _daemon = machine.start(machine.command(&["agent"]));
    let same_state = machine.run(&["agent", "--socket", other.socket().to_str().unwrap()]);
    assert_eq!(same_state.code, 1, "{same_state:?}");
    assert!(same_state.stderr.contains("another agent works on"), "{same_state:?}");
    let same_socket = other.run(&["agent", "--socket", machine.socket().to_str().unwrap()]);
    assert_eq!(same_socket.code, 1, "{same_socket:?}");
    assert!(same_socket.stderr.contains("another agent listens at"), "{same_socket:?}");
    assert_eq!(machine.run(&["status"]).code, 4, "the first one still answers");
}

#[test]
fn an_agent_that_was_killed_can_be_started_again() {
    let machine = Machine::new();
    drop(machine.start(machine.command(&["agent"])));
    assert!(machine.socket().exists(), "a killed agent leaves its socket");
    let mut daemon = machine.start(machine.command(&["agent"]));
    daemon.wait_until("the second one answers", || machine.run(&["status"]).code == 4);
}

#[test]
fn impossible_names_and_paths_are_wrong_usage() {
    let machine = Machine::new();
    let long = format!("/tmp/{}", "x".repeat(120));
    for arguments in
        [&["agent", "--interface", "a/b"][..], &["agent", "--socket", &long], &["status", "--socket", &long]]
    {
        let ran = machine.run(arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {ran:?}");
    }
}

#[test]
fn garbage_at_the_socket_is_answered_and_harms_nobody() {
    let machine = Machine::new();
    let _daemon = machine.start(machine.command(&["agent"]));
    for garbage in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x00\xff\n", &[b'{'; 70_000], b"{\"request\":\"ping\"}\n"]
    {
        let mut stream = UnixStream::connect(machine.socket()).unwrap();
        // The daemon may close before it has read everything.
        let _ = stream.write_all(garbage);
        let _ = stream.shutdown(Shutdown::Write);
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut answer = [0; 4096];
        let count = stream.read(&mut answer).unwrap();
        assert!(String::from_utf8_lossy(&answer[..count]).contains(r#""code":"usage""#));
    }
    assert_eq!(machine.run(&["status"]).code, 4);
}

#[test]
fn a_node_that_the_coordinator_deleted_goes_down_says_so_and_asks_no_more() {
    let coordinator = Coordinator::start(|request| match request.line.as_str() {
        "POST /api/v1/enroll" => enroll(request),
        _ => problem(ProblemCode::NodeDeleted, 410),
    });
    let machine = Machine::new();
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    let mut daemon = machine.start(machine.command(&["agent"]));
    daemon.wait_until("the node knows that it is deleted", || machine.status()["state"] == "deleted");
    let status = machine.status();
    assert!(status["verdict"].as_str().unwrap().contains("warren leave --force"), "{status}");
    let asked = coordinator.requests().len();
    // Longer than the first pauses of every retry.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(coordinator.requests().len(), asked);
    assert_eq!(machine.run(&["up"]).code, 8);
    assert_eq!(machine.run(&["leave"]).code, 0);
    assert_eq!(machine.run(&["status"]).code, 4);
}

#[test]
fn a_static_candidate_that_no_peer_can_reach_is_a_usage_error_that_says_so() {
    let machine = Machine::new();
    for (address, what) in [("127.0.0.1:5", "no peer can reach"), ("203.0.113.1:0", "no peer can reach")] {
        let ran = machine.run(&["agent", "--static-candidate", address]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains(what), "{ran:?}");
    }
    let many = ["203.0.113.1:5"; 9].join(",");
    assert_eq!(machine.run(&["agent", "--static-candidate", &many]).code, 2);
    assert!(!machine.state().exists());
}

#[test]
fn a_relay_address_that_not_everybody_can_reach_is_a_usage_error_that_says_so() {
    let machine = Machine::new();
    for address in ["127.0.0.1:5", "192.168.1.1:5", "100.64.0.1:5", "[fd00::1]:5", "203.0.113.1:0"] {
        let ran = machine.run(&["agent", "--relay-address", address]);
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("not every node can reach"), "{ran:?}");
    }
    let many = ["203.0.113.1:5"; 5].join(",");
    assert_eq!(machine.run(&["agent", "--relay-address", &many]).code, 2);
    assert_eq!(machine.run(&["agent", "--relay-port", "0"]).code, 2);
    assert!(!machine.state().exists());
}
