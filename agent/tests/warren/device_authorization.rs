//! `warren join` without an enrollment key: what it shows, and how each end of the wait is told.

use std::sync::atomic::{AtomicU32, Ordering};

use protocol::api::{
    DeviceAuthorizationRequest, DeviceAuthorizationResponse, DeviceKeyResponse, EnrollRequest, ProblemCode,
};

use super::coordinator::{Answer, Coordinator, Request, enroll, json, problem};
use super::join::key;
use super::machine::Machine;

fn begun(uri: Option<&str>) -> Answer {
    json(&DeviceAuthorizationResponse {
        device_code: "wdc_canary-of-the-device-code".into(),
        user_code: "WDJB-MJHT".into(),
        verification_uri: uri.map(str::to_owned),
        verification_uri_complete: uri.map(|uri| format!("{uri}/WDJB-MJHT")),
        expires_in: 600,
        interval: 1,
    })
}

/// A coordinator whose person decides as `decide` says, each time that the machine asks.
fn coordinator(decide: impl Fn(u32) -> Answer + Send + Sync + 'static) -> Coordinator {
    let asked = AtomicU32::new(0);
    Coordinator::start(move |request: &Request| match request.line.as_str() {
        "POST /api/v1/device-authorization" => begun(Some("https://mesh.example/join")),
        "POST /api/v1/device-authorization/enrollment-key" => decide(asked.fetch_add(1, Ordering::SeqCst)),
        "POST /api/v1/enroll" => enroll(request),
        other => panic!("{other}"),
    })
}

#[test]
fn a_machine_without_a_key_shows_link_and_code_and_joins_when_a_person_let_it_in() {
    let coordinator = coordinator(|asked| match asked {
        0 => problem(ProblemCode::AuthorizationPending, 400),
        _ => json(&DeviceKeyResponse { enrollment_key: key() }),
    });
    let machine = Machine::new();
    let ran = machine.run(&["join", &coordinator.url, "--name", "web-1"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("    https://mesh.example/join/WDJB-MJHT\n"), "{ran:?}");
    assert!(
        ran.stdout.contains("the code WDJB-MJHT") && ran.stdout.contains("joined the network"),
        "{ran:?}"
    );
    assert!(!format!("{ran:?}").contains("canary"), "{ran:?}");
    let requests = coordinator.requests();
    let wish: DeviceAuthorizationRequest = serde_json::from_slice(&requests[0].body).unwrap();
    let enrolled: EnrollRequest = serde_json::from_slice(&requests.last().unwrap().body).unwrap();
    assert_eq!((wish.name.as_str(), wish.public_key), ("web-1", enrolled.public_key));
    assert!(wish.os.is_some());
    assert_eq!(machine.files(), ["identity.json"]);
}

#[test]
fn a_script_reads_the_link_from_the_first_line_and_the_end_from_the_rest() {
    let coordinator = coordinator(|_| json(&DeviceKeyResponse { enrollment_key: key() }));
    let ran = Machine::new().run(&["join", &coordinator.url, "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let (first, rest) = ran.stdout.split_once('\n').unwrap();
    let first: serde_json::Value = serde_json::from_str(first).unwrap();
    assert_eq!(first["verification_uri_complete"], "https://mesh.example/join/WDJB-MJHT");
    assert_eq!((&first["user_code"], &first["state"]), (&"WDJB-MJHT".into(), &"waiting".into()));
    let rest: serde_json::Value = serde_json::from_str(rest).unwrap();
    assert_eq!(rest["addresses"][0], "100.92.0.7");
}

#[test]
fn a_refusal_and_the_end_of_the_time_have_their_own_codes() {
    for (code, expected) in [(ProblemCode::AccessDenied, 8), (ProblemCode::ExpiredToken, 7)] {
        let coordinator = coordinator(move |_| problem(code, 400));
        let machine = Machine::new();
        let ran = machine.run(&["join", &coordinator.url]);
        assert_eq!(ran.code, expected, "{code}: {ran:?}");
        assert!(!machine.file("identity.json").exists());
    }
}

#[test]
fn an_outage_meanwhile_ends_nothing() {
    let coordinator = coordinator(|asked| match asked {
        0 => Answer::Nothing,
        _ => json(&DeviceKeyResponse { enrollment_key: key() }),
    });
    let ran = Machine::new().run(&["join", &coordinator.url]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn a_coordinator_that_does_not_know_its_url_is_shown_by_the_one_that_the_machine_uses() {
    for uri in [None, Some("javascript:alert(1)")] {
        let coordinator = Coordinator::start(move |request| match request.line.as_str() {
            "POST /api/v1/device-authorization" => begun(uri),
            _ => problem(ProblemCode::AccessDenied, 400),
        });
        let ran = Machine::new().run(&["join", &coordinator.url]);
        assert!(ran.stdout.contains(&format!("{}/join/WDJB-MJHT", coordinator.url)), "{ran:?}");
    }
}

#[test]
fn where_too_many_wait_a_machine_says_so_and_asks_again_when_it_was_told_to() {
    let asked = AtomicU32::new(0);
    let coordinator = Coordinator::start(move |request: &Request| match request.line.as_str() {
        "POST /api/v1/device-authorization" if asked.fetch_add(1, Ordering::SeqCst) == 0 => {
            let Answer::Whole(status, mut headers, body) = problem(ProblemCode::TooManyRequests, 429) else {
                panic!("a problem")
            };
            headers.push(("Retry-After", "1".into()));
            Answer::Whole(status, headers, body)
        }
        "POST /api/v1/device-authorization" => begun(None),
        "POST /api/v1/device-authorization/enrollment-key" => {
            json(&DeviceKeyResponse { enrollment_key: key() })
        }
        _ => enroll(request),
    });
    let ran = Machine::new().run(&["join", &coordinator.url, "--json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stderr.contains("trying again in 1 s"), "{ran:?}");
    let first: serde_json::Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert_eq!(first["user_code"], "WDJB-MJHT", "the link is the first line all the same");
}

#[test]
fn an_older_coordinator_leads_to_the_ways_to_give_a_key() {
    let coordinator = Coordinator::start(|_| problem(ProblemCode::NotFound, 404));
    let ran = Machine::new().run(&["join", &coordinator.url]);
    assert_eq!(ran.code, 8, "{ran:?}");
    assert!(ran.stderr.contains("WARREN_ENROLLMENT_KEY"), "{ran:?}");
}
