//! `warren leave`, with and without a daemon.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use protocol::api::{EnrollResponse, ProblemCode};
use uuid::Uuid;

use super::coordinator::{Answer, Coordinator, TOKEN, enroll, enroll_response, json, problem};
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

#[test]
fn an_agent_with_another_socket_keeps_its_node() {
    let (machine, coordinator) = (Machine::new(), answering_to_delete(gone()));
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    std::fs::write(machine.file("down"), b"").unwrap();
    let daemon = machine.start(machine.command(&["agent"]));
    let ran = machine.run(&["leave", "--force", "--socket", machine.elsewhere("other").to_str().unwrap()]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("give its socket with --socket, or stop it first"), "{ran:?}");
    assert!(machine.file("identity.json").exists());
    assert!(coordinator.requests().iter().all(|request| !request.line.starts_with("DELETE")));
    assert!(daemon.stop().0.success());
    assert_eq!(machine.run(&["leave"]).code, 0, "without the agent nobody is in the way");
}

#[test]
fn a_leave_that_a_new_join_overtook_spares_the_new_node() {
    let machine = Arc::new(Machine::new());
    let url = Arc::new(OnceLock::<String>::new());
    let coordinator = {
        let (machine, url, enrolled) = (Arc::clone(&machine), Arc::clone(&url), AtomicU32::new(6));
        Coordinator::start(move |request| match request.line.as_str() {
            "DELETE /api/v1/node" => {
                std::fs::remove_file(machine.file("identity.json")).unwrap();
                let ran = machine.join(url.get().unwrap(), &key());
                assert_eq!(ran.code, 0, "{ran:?}");
                gone()
            }
            "POST /api/v1/enroll" => {
                let node_id = Uuid::from_u128(enrolled.fetch_add(1, Ordering::SeqCst).into());
                json(&EnrollResponse { node_id, ..enroll_response(request) })
            }
            _ => problem(ProblemCode::Unavailable, 503),
        })
    };
    url.set(coordinator.url.clone()).unwrap();
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    std::fs::write(machine.file("down"), b"").unwrap();
    let _daemon = machine.start(machine.command(&["agent"]));
    assert_eq!(machine.status()["self"]["id"], Uuid::from_u128(6).to_string());
    let ran = machine.run(&["leave"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("has become another node meanwhile"), "{ran:?}");
    assert!(machine.file("identity.json").exists());
    assert_eq!(machine.status()["self"]["id"], Uuid::from_u128(7).to_string());
}

#[test]
fn a_node_that_cannot_be_forgotten_stays_what_it_is() {
    let (machine, coordinator) = (Machine::new(), answering_to_delete(gone()));
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    std::fs::write(machine.file("down"), b"").unwrap();
    // A folder where a file should be cannot be removed as a file, not even by root.
    std::fs::create_dir(machine.file("network-map.json")).unwrap();
    let _daemon = machine.start(machine.command(&["agent"]));
    let ran = machine.run(&["leave"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("cannot remove") && ran.stderr.contains("network-map.json"), "{ran:?}");
    assert_eq!(machine.status()["state"], "down", "the identity is there, so the machine is a node");
    std::fs::remove_dir(machine.file("network-map.json")).unwrap();
    assert_eq!(machine.run(&["leave"]).code, 0);
    assert_eq!(machine.run(&["status"]).code, 4);
}
