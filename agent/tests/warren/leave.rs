//! `warren leave`, with and without a daemon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::api::ProblemCode;

use super::coordinator::{Answer, Coordinator, TOKEN, enroll, problem};
use super::join::key;
use super::machine::Machine;

fn answering_to_delete(answer: Answer) -> Coordinator {
    Coordinator::start(move |request| match request.line.as_str() {
        "DELETE /api/v1/node" => answer.clone(),
        "POST /api/v1/enroll" => enroll(request),
        _ => problem(ProblemCode::Unavailable, 503),
    })
}

fn gone() -> Answer {
    Answer::Whole(204, Vec::new(), String::new())
}

#[test]
fn without_a_daemon_the_coordinator_is_told_and_the_identity_removed() {
    let (machine, coordinator) = (Machine::new(), answering_to_delete(gone()));
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    let ran = machine.run(&["leave"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(machine.files().is_empty(), "{:?}", machine.files());
    let last = coordinator.requests().pop().unwrap();
    assert_eq!(last.headers.get("authorization"), Some(&format!("Bearer {TOKEN}")));
    assert_eq!(machine.run(&["leave"]).code, 4);
}

#[test]
fn a_coordinator_that_cannot_answer_keeps_the_node_until_forced() {
    let down = Arc::new(AtomicBool::new(false));
    let (machine, coordinator) = (Machine::new(), {
        let down = Arc::clone(&down);
        Coordinator::start(
            move |request| if down.load(Ordering::SeqCst) { Answer::Nothing } else { enroll(request) },
        )
    });
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    down.store(true, Ordering::SeqCst);
    let ran = machine.run(&["leave"]);
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.stderr.contains("warren leave --force"), "{ran:?}");
    assert_eq!(machine.files(), ["identity.json"]);
    assert_eq!(machine.run(&["leave", "--force"]).code, 0);
    assert!(machine.files().is_empty());
}

#[test]
fn with_a_daemon_the_daemon_leaves_and_waits_for_the_next_join() {
    let (machine, coordinator) = (Machine::new(), answering_to_delete(gone()));
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    // Down, so that the test needs no network interface.
    std::fs::write(machine.file("down"), b"").unwrap();
    let _daemon = machine.start(machine.command(&["agent"]));
    assert_eq!(machine.status()["state"], "down");
    let ran = machine.run(&["leave", "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!machine.file("identity.json").exists());
    assert_eq!(machine.run(&["status"]).code, 4);
}
