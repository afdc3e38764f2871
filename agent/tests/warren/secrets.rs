//! Canaries: no secret ever appears in what the agent prints or logs.

use protocol::api::ProblemCode;

use super::coordinator::{Answer, Coordinator, TOKEN, enroll, problem};
use super::join::key;
use super::machine::{Machine, ran};

#[test]
fn neither_key_nor_token_is_printed_or_logged_even_at_the_finest_level() {
    for format in ["human", "json"] {
        let coordinator = Coordinator::start(|request| match request.line.as_str() {
            "POST /api/v1/enroll" => enroll(request),
            "DELETE /api/v1/node" => Answer::Whole(204, Vec::new(), String::new()),
            _ => problem(ProblemCode::Unavailable, 503),
        });
        let machine = Machine::new();
        let mut words = String::new();
        let mut join = machine.command(&["join", &coordinator.url, "--log-format", format]);
        join.env("RUST_LOG", "trace,hyper=trace,reqwest=trace,hyper_util=trace");
        let joined = ran(join.env("WARREN_ENROLLMENT_KEY", &**key().to_text()).output().unwrap());
        assert_eq!(joined.code, 0, "{joined:?}");
        words += &format!("{}{}", joined.stdout, joined.stderr);
        let identity = std::fs::read(machine.file("identity.json")).unwrap();
        let identity: serde_json::Value = serde_json::from_slice(&identity).unwrap();
        let mut agent = machine.command(&["agent", "--log-format", format]);
        agent.env("RUST_LOG", "trace,hyper=trace,reqwest=trace,hyper_util=trace");
        let mut daemon = machine.start(agent);
        let asked = |line: &str| coordinator.requests().iter().any(|request| request.line == line);
        daemon.wait_until("map and report were asked for", || {
            asked("GET /api/v1/map") && asked("POST /api/v1/report")
        });
        let log = machine.elsewhere("agent.log");
        daemon
            .wait_until("the refusal is logged", || std::fs::read_to_string(&log).unwrap().contains("DEBUG"));
        for arguments in [&["status", "--json"][..], &["leave", "--json"]] {
            let answer = machine.run(arguments);
            assert_eq!(answer.code, 0, "{answer:?}");
            words += &format!("{}{}", answer.stdout, answer.stderr);
        }
        words += &daemon.stop().1;
        assert!(words.contains("DEBUG"), "the finer levels were on");
        let enrollment_key = key().to_text();
        for secret in [TOKEN, identity["private_key"].as_str().unwrap(), enrollment_key.as_str()] {
            let at = words.find(secret);
            assert!(at.is_none(), "{format}: a secret is in the output at {at:?}");
        }
    }
}

#[test]
fn the_enrollment_key_is_no_argument() {
    let help = Machine::new().run(&["join", "--help"]);
    assert_eq!(help.code, 0);
    assert!(!help.stdout.contains("--enrollment-key "), "{help:?}");
}
