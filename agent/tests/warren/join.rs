//! `warren join`: what it writes, and how each way of going wrong ends.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};

use protocol::api::{EnrollRequest, EnrollmentKey, ProblemCode};

use super::coordinator::{Answer, Coordinator, Request, TOKEN, enroll, enroll_response, json, problem};
use super::machine::{Machine, run_with_input};

pub(crate) fn key() -> EnrollmentKey {
    EnrollmentKey::from_random([5; 32])
}

fn public_key(request: &Request) -> protocol::key::PublicKey {
    serde_json::from_slice::<EnrollRequest>(&request.body).unwrap().public_key
}

#[test]
fn a_machine_joins_and_only_its_owner_can_read_the_identity() {
    let (machine, coordinator) = (Machine::new(), Coordinator::start(enroll));
    let ran = machine.join(&coordinator.url, &key());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("joined the network default as web-1"), "{ran:?}");
    assert!(ran.stdout.contains("start the agent with `warren agent`"), "{ran:?}");
    assert_eq!(machine.files(), ["identity.json"]);
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(machine.file("identity.json")), 0o600);
    assert_eq!(mode(machine.state()), 0o700);
    let identity = std::fs::read_to_string(machine.file("identity.json")).unwrap();
    assert!(identity.contains(TOKEN) && !identity.contains(key().to_text().as_str()));
}

#[test]
fn the_key_may_come_from_a_file_or_from_standard_input() {
    for source in ["file", "-"] {
        let (machine, coordinator) = (Machine::new(), Coordinator::start(enroll));
        let file = machine.elsewhere("key");
        std::fs::write(&file, format!("{}\n", *key().to_text())).unwrap();
        let source = if source == "-" { "-" } else { file.to_str().unwrap() };
        let command = machine.command(&["join", &coordinator.url, "--enrollment-key-file", source, "--json"]);
        let ran = run_with_input(command, &format!("{}\n", *key().to_text()));
        assert_eq!(ran.code, 0, "{ran:?}");
        let told: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(told["addresses"][0], "100.92.0.7");
        assert_eq!(told["agent_running"], false);
    }
}

#[test]
fn a_wrong_command_line_touches_nothing() {
    let machine = Machine::new();
    let with_key = |url: &str, key: &str| {
        let mut command = machine.command(&["join", url]);
        super::machine::ran(command.env("WARREN_ENROLLMENT_KEY", key).output().unwrap())
    };
    let sound = key();
    for url in ["nonsense", "ftp://c.example", "https://", "https://user:pass@c.example"] {
        let ran = with_key(url, &sound.to_text());
        assert_eq!(ran.code, 2, "{url}: {ran:?}");
        assert!(ran.stderr.contains("not a coordinator's URL"), "{ran:?}");
    }
    let ran = with_key("http://127.0.0.1:1", "wek_canary");
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("not an enrollment key") && !ran.stderr.contains("canary"), "{ran:?}");
    let ran = machine.run(&["join", "http://127.0.0.1:1", "--enrollment-key-file", "/nonexistent"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(!machine.state().exists());
}

#[test]
fn an_unreachable_coordinator_is_told_by_its_own_code() {
    let machine = Machine::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = machine.join(&format!("http://{free}"), &key());
    assert_eq!(ran.code, 6, "{ran:?}");
    assert!(ran.stderr.contains("cannot reach the coordinator") && ran.stderr.contains("refused"), "{ran:?}");
    assert_eq!(machine.files(), ["pending-private-key"]);
    let mode = std::fs::metadata(machine.file("pending-private-key")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn a_refused_key_and_an_outage_have_their_own_codes() {
    let cases = [
        (ProblemCode::EnrollmentKeyUnknown, 403, 8),
        (ProblemCode::EnrollmentKeyUsed, 403, 8),
        (ProblemCode::EnrollmentKeyExpired, 403, 8),
        (ProblemCode::NetworkFull, 409, 8),
        (ProblemCode::TooManyRequests, 429, 8),
        (ProblemCode::Unavailable, 503, 6),
    ];
    for (code, status, expected) in cases {
        let (machine, coordinator) = (Machine::new(), Coordinator::start(move |_| problem(code, status)));
        let ran = machine.join(&coordinator.url, &key());
        assert_eq!(ran.code, expected, "{code}: {ran:?}");
        assert!(ran.stderr.contains("the coordinator says no"), "{ran:?}");
        assert!(!machine.file("identity.json").exists(), "{code}");
    }
}

#[test]
fn an_answer_that_is_not_as_agreed_leaves_no_identity() {
    type Change = fn(&Request) -> Answer;
    let bad: [Change; 8] = [
        |_| Answer::Whole(200, Vec::new(), "<html>".into()),
        |_| Answer::Whole(404, Vec::new(), "<html>".into()),
        |_| Answer::Whole(200, Vec::new(), "{}".into()),
        |_| Answer::Whole(200, Vec::new(), "[".repeat(100_000)),
        |_| Answer::Whole(200, Vec::new(), " ".repeat(10_000_000)),
        |request| {
            json(&protocol::api::EnrollResponse { sealed_token: "AAAA".into(), ..enroll_response(request) })
        },
        |request| json(&protocol::api::EnrollResponse { addresses: Vec::new(), ..enroll_response(request) }),
        |request| {
            json(&protocol::api::EnrollResponse { network: "\u{1b}[2J".into(), ..enroll_response(request) })
        },
    ];
    for (index, answer) in bad.into_iter().enumerate() {
        let (machine, coordinator) = (Machine::new(), Coordinator::start(answer));
        let ran = machine.join(&coordinator.url, &key());
        assert_eq!(ran.code, 1, "answer {index}: {ran:?}");
        assert!(ran.stderr.contains("no Warren coordinator"), "{ran:?}");
        assert!(!ran.stderr.contains('\u{1b}'), "{ran:?}");
        assert!(!machine.file("identity.json").exists(), "answer {index}");
    }
}

#[test]
fn a_lost_answer_is_asked_for_again_with_the_same_key() {
    let count = AtomicU32::new(0);
    let coordinator = Coordinator::start(move |request| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Answer::Nothing,
        _ => enroll(request),
    });
    let machine = Machine::new();
    assert_eq!(machine.join(&coordinator.url, &key()).code, 6);
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    let requests = coordinator.requests();
    assert_eq!(public_key(&requests[0]), public_key(&requests[1]));
}

#[test]
fn a_public_key_that_is_taken_makes_room_for_a_new_one() {
    let coordinator = Coordinator::start(|_| problem(ProblemCode::PublicKeyTaken, 409));
    let machine = Machine::new();
    for _ in 0..2 {
        assert_eq!(machine.join(&coordinator.url, &key()).code, 8);
    }
    let requests = coordinator.requests();
    assert_ne!(public_key(&requests[0]), public_key(&requests[1]));
}

#[test]
fn a_machine_that_is_a_node_already_is_told_to_leave_first() {
    let (machine, coordinator) = (Machine::new(), Coordinator::start(enroll));
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    let before = std::fs::read(machine.file("identity.json")).unwrap();
    let ran = machine.join(&coordinator.url, &key());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("run `warren leave` first"), "{ran:?}");
    assert_eq!(std::fs::read(machine.file("identity.json")).unwrap(), before);
    assert_eq!(coordinator.requests().len(), 1);
}

#[test]
fn an_agent_that_cannot_take_the_identity_up_makes_the_join_fail_with_its_reason() {
    let (machine, coordinator) = (Machine::new(), Coordinator::start(enroll));
    std::fs::create_dir(machine.state()).unwrap();
    // A link to itself: the agent cannot find out whether the tunnel is to be down.
    std::os::unix::fs::symlink("down", machine.file("down")).unwrap();
    let _daemon = machine.start(machine.command(&["agent"]));
    let ran = machine.join(&coordinator.url, &key());
    assert_eq!(ran.code, 1, "{ran:?}");
    let start =
        "warren: joined the network default as web-1, but the agent does not take it up: cannot look for";
    assert!(ran.stderr.starts_with(start) && ran.stdout.is_empty(), "{ran:?}");
    assert!(machine.file("identity.json").exists(), "the machine is a node all the same");
}

#[test]
fn a_state_folder_that_cannot_be_is_told_before_anything_is_sent() {
    let (machine, coordinator) = (Machine::new(), Coordinator::start(enroll));
    std::fs::write(machine.state(), b"a file in the way").unwrap();
    let ran = machine.join(&coordinator.url, &key());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("cannot create the state folder"), "{ran:?}");
    assert!(coordinator.requests().is_empty());
}

#[test]
fn a_damaged_identity_is_named_and_stays() {
    let (machine, coordinator) = (Machine::new(), Coordinator::start(enroll));
    std::fs::create_dir(machine.state()).unwrap();
    std::fs::write(machine.file("identity.json"), b"{\"token\":\"canary").unwrap();
    for arguments in [&["join", &coordinator.url][..], &["agent"], &["leave"]] {
        let mut command = machine.command(arguments);
        let ran =
            super::machine::ran(command.env("WARREN_ENROLLMENT_KEY", &**key().to_text()).output().unwrap());
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.stderr.contains("identity.json is damaged") && !ran.stderr.contains("canary"), "{ran:?}");
    }
    assert!(machine.file("identity.json").exists());
}

#[test]
fn a_redirect_never_carries_the_enrollment_key_away() {
    let thief = Coordinator::start(enroll);
    let target = thief.url.clone();
    let coordinator = Coordinator::start(move |_| {
        Answer::Whole(307, vec![("Location", format!("{target}/api/v1/enroll"))], String::new())
    });
    let ran = Machine::new().join(&coordinator.url, &key());
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("redirects to"), "{ran:?}");
    assert!(thief.requests().is_empty());
}
