//! Machines without an enrollment key that wait for a person (RFC 8628).
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::net::IpAddr;
use std::sync::Arc;

use coordinator::service::device_authorization::{DeviceError, KEY_LIFETIME_MS, LIFETIME_MS, UserCode};
use coordinator::service::resources::ResourceError;
use coordinator::service::resources::device_authorizations::{Approval, MachineDecision};
use coordinator::service::{Credential, DeviceCode, EnrollError, sign_in};
use coordinator::store::{Admission, Role};
use fixture::client::Server;
use fixture::{Fixture, START, request};
use protocol::api::{
    DeviceAuthorizationRequest, DeviceAuthorizationResponse, DeviceKeyResponse, EnrollmentKey, ProblemCode,
};
use protocol::key::PrivateKey;
use serde_json::json;

fn machine(byte: u8) -> PrivateKey {
    PrivateKey::from_random([byte; 32])
}

fn wish(key: &PrivateKey) -> DeviceAuthorizationRequest {
    DeviceAuthorizationRequest {
        name: "web".parse().unwrap(),
        public_key: key.public_key(),
        os: Some("Debian GNU/Linux 12".into()),
    }
}

fn begin(fixture: &Fixture, key: &PrivateKey) -> (DeviceCode, UserCode) {
    let address = Some("192.0.2.7".parse().unwrap());
    fixture.coordinator.begin_device_authorization(START, wish(key), address).unwrap()
}

fn approve(fixture: &Fixture, now_ms: i64, code: UserCode) -> Result<(), ResourceError> {
    let member = fixture.member(Role::Member);
    let call = fixture.coordinator.call(now_ms, &member);
    fixture.coordinator.approve_device(&call, code, Approval { network: fixture.network.id })
}

fn ask(fixture: &Fixture, now_ms: i64, device: &DeviceCode) -> Result<EnrollmentKey, DeviceError> {
    fixture.coordinator.ask_device_authorization(now_ms, device)
}

#[test]
fn a_machine_that_a_member_lets_in_becomes_a_node_and_the_log_says_who_did_it() {
    let fixture = Fixture::new(1);
    let key = machine(1);
    let (device, code) = begin(&fixture, &key);
    assert_eq!(ask(&fixture, START, &device), Err(DeviceError::Pending));
    let shown =
        fixture.coordinator.waiting_machine(START, &fixture.caller(Some(Role::Member)), code).unwrap();
    assert_eq!((shown.name.as_str(), shown.public_key), ("web", key.public_key()));
    assert_eq!(shown.address.as_deref(), Some("192.0.2.7"), "a person can recognise a stranger's request");
    assert_eq!(shown.networks[0].network_name, "default");

    approve(&fixture, START, code).unwrap();
    let enrollment_key = ask(&fixture, START + 5000, &device).unwrap();
    assert_eq!(ask(&fixture, START + 5001, &device).unwrap(), enrollment_key, "the first answer may be lost");
    let node = fixture.enroll(START + 5000, &enrollment_key, key.clone(), "web").unwrap();
    assert_eq!(node.response.name.as_str(), "web");

    let owner = fixture.member(Role::Owner);
    let log = fixture.coordinator.call(START, &owner).audit_log(None).unwrap();
    let entry = (log[0].actor.as_str(), log[0].action.as_str(), log[0].subject.as_str());
    assert_eq!(entry, ("owner", "device-authorization.approve", "web"));
    assert_eq!(log[0].details["address"], "192.0.2.7");
    assert_eq!(log[0].details["public_key"], key.public_key().to_string());
}

#[test]
fn an_approval_makes_one_node_of_that_machine_and_of_no_other() {
    let fixture = Fixture::new(1);
    let key = machine(1);
    let (device, code) = begin(&fixture, &key);
    approve(&fixture, START, code).unwrap();
    assert!(matches!(approve(&fixture, START, code), Err(ResourceError::Conflict(_))));
    let enrollment_key = ask(&fixture, START, &device).unwrap();
    let stolen = fixture.enroll(START, &enrollment_key, machine(2), "thief").map(|_| ());
    assert!(matches!(stolen, Err(EnrollError::KeyOfAnother)), "{stolen:?}");
    let first = fixture.enroll(START, &enrollment_key, key.clone(), "web").unwrap();
    let again = fixture.enroll(START, &enrollment_key, key, "web").unwrap();
    assert_eq!(first.response.node_id, again.response.node_id);
    assert_eq!(fixture.coordinator.nodes(fixture.network.organization_id).len(), 1);
}

#[test]
fn of_many_who_decide_at_once_one_does() {
    let fixture = Arc::new(Fixture::new(1));
    let (_, code) = begin(&fixture, &machine(1));
    let people: Vec<_> = (0..8)
        .map(|_| {
            let fixture = Arc::clone(&fixture);
            std::thread::spawn(move || approve(&fixture, START, code).is_ok())
        })
        .collect();
    let done = people.into_iter().map(|person| person.join().unwrap());
    assert_eq!(done.filter(|done| *done).count(), 1);
}

#[test]
fn who_asks_too_often_is_told_to_slow_down_each_time_by_five_seconds() {
    let fixture = Fixture::new(1);
    let (device, _) = begin(&fixture, &machine(1));
    assert_eq!(ask(&fixture, START, &device), Err(DeviceError::Pending));
    assert_eq!(ask(&fixture, START + 1000, &device), Err(DeviceError::SlowDown(10)));
    assert_eq!(ask(&fixture, START + 6000, &device), Err(DeviceError::SlowDown(15)));
    assert_eq!(ask(&fixture, START + 21_000, &device), Err(DeviceError::Pending));
}

#[test]
fn a_request_ends_after_ten_minutes_and_with_the_coordinator() {
    let fixture = Fixture::new(1);
    let (device, code) = begin(&fixture, &machine(1));
    assert_eq!(ask(&fixture, START + LIFETIME_MS - 1, &device), Err(DeviceError::Pending));
    assert_eq!(ask(&fixture, START + LIFETIME_MS, &device), Err(DeviceError::Expired));
    assert!(matches!(approve(&fixture, START + LIFETIME_MS, code), Err(ResourceError::NotFound(_))));
    let (device, code) = begin(&fixture, &machine(1));
    let fixture = fixture.restart();
    assert_eq!(ask(&fixture, START, &device), Err(DeviceError::Expired));
    assert!(matches!(approve(&fixture, START, code), Err(ResourceError::NotFound(_))));
}

#[test]
fn an_approval_in_the_last_moment_is_heard_and_its_key_ends_within_minutes() {
    let fixture = Fixture::new(1);
    let key = machine(1);
    let (device, code) = begin(&fixture, &key);
    let late = START + LIFETIME_MS - 1;
    approve(&fixture, late, code).unwrap();
    let enrollment_key = ask(&fixture, late + 5000, &device).unwrap();
    let too_late = fixture.enroll(late + KEY_LIFETIME_MS, &enrollment_key, key.clone(), "web").map(|_| ());
    assert!(matches!(too_late, Err(EnrollError::KeyExpired)));
    fixture.enroll(late + KEY_LIFETIME_MS - 1, &enrollment_key, key, "web").unwrap();
}

#[test]
fn a_machine_that_was_refused_hears_so() {
    let fixture = Fixture::new(1);
    let (device, code) = begin(&fixture, &machine(1));
    let member = fixture.member(Role::Member);
    let call = fixture.coordinator.call(START, &member);
    fixture.coordinator.refuse_device(&call, code).unwrap();
    assert_eq!(ask(&fixture, START, &device), Err(DeviceError::Refused));
    assert!(matches!(approve(&fixture, START, code), Err(ResourceError::Conflict(_))));
    let shown = fixture.coordinator.waiting_machine(START, &member.caller, code).unwrap();
    assert_eq!(shown.decision, MachineDecision::Refused);
    let log = call.audit_log(None).unwrap();
    assert_eq!(log[0].action, "device-authorization.refuse");
}

#[test]
fn a_wrong_network_leaves_the_machine_waiting_and_a_program_decides_nothing() {
    let fixture = Fixture::new(1);
    let (device, code) = begin(&fixture, &machine(1));
    let mut member = fixture.member(Role::Member);
    let elsewhere = Approval { network: uuid::Uuid::from_u128(1) };
    let refused =
        fixture.coordinator.approve_device(&fixture.coordinator.call(START, &member), code, elsewhere);
    assert!(matches!(refused, Err(ResourceError::NotFound("network"))), "{refused:?}");
    let mut caller = (*member.caller).clone();
    caller.credential = Credential::ApiToken { id: uuid::Uuid::nil(), description: "x".into() };
    member.caller = Arc::new(caller);
    let call = fixture.coordinator.call(START, &member);
    let approval = Approval { network: fixture.network.id };
    for refused in [
        fixture.coordinator.approve_device(&call, code, approval),
        fixture.coordinator.refuse_device(&call, code),
    ] {
        assert!(matches!(refused, Err(ResourceError::Forbidden(_))), "{refused:?}");
    }
    approve(&fixture, START, code).unwrap();
    ask(&fixture, START, &device).unwrap();
}

#[test]
fn a_viewer_is_offered_no_network_and_a_member_without_one_is_told_so() {
    let fixture = Fixture::new(1);
    let (_, code) = begin(&fixture, &machine(1));
    let shown =
        fixture.coordinator.waiting_machine(START, &fixture.caller(Some(Role::Viewer)), code).unwrap();
    assert!(shown.networks.is_empty() && !shown.may_let_in);
    let admin = fixture.member(Role::Admin);
    fixture.coordinator.call(START, &admin).delete_network(fixture.network.id).unwrap();
    let shown =
        fixture.coordinator.waiting_machine(START, &fixture.caller(Some(Role::Member)), code).unwrap();
    assert!(
        shown.networks.is_empty() && shown.may_let_in,
        "there is no network, which is no matter of roles"
    );
}

#[test]
fn where_new_nodes_wait_for_an_administrator_one_that_a_member_let_in_waits_too() {
    let fixture = Fixture::new(1);
    let admin = fixture.member(Role::Admin);
    let manual = serde_json::from_value(json!({"admission": Admission::Manual})).unwrap();
    fixture.coordinator.call(START, &admin).update_network(fixture.network.id, manual).unwrap();
    let key = machine(1);
    let (device, code) = begin(&fixture, &key);
    approve(&fixture, START, code).unwrap();
    fixture.enroll(START, &ask(&fixture, START, &device).unwrap(), key, "web").unwrap();
    let node = &fixture.coordinator.nodes(fixture.network.organization_id)[0];
    assert_eq!(node.standing, protocol::api::Standing::Waiting);
}

#[test]
fn one_address_and_all_together_have_so_many_that_wait() {
    let fixture = Fixture::new(1);
    let begin = |host: u32, key: &PrivateKey| {
        let address = IpAddr::V4((0xC633_6400 + host).into());
        fixture.coordinator.begin_device_authorization(START, wish(key), Some(address)).map(|_| ())
    };
    let key = machine(1);
    for _ in 0..20 {
        begin(0, &key).unwrap();
    }
    assert_eq!(begin(0, &key), Err(DeviceError::TooMany(60)));
    for host in 1..=49 {
        (0..20).for_each(|_| begin(host, &key).unwrap());
    }
    assert_eq!(begin(50, &key), Err(DeviceError::TooMany(60)));
    let later = fixture.coordinator.begin_device_authorization(START + LIFETIME_MS, wish(&key), None);
    assert!(later.is_ok(), "the old ones make room");
}

#[test]
fn one_ipv6_site_keeps_nobody_else_out() {
    let fixture = Fixture::new(1);
    let key = machine(1);
    let begin = |address: String| {
        let address = address.parse().unwrap();
        fixture.coordinator.begin_device_authorization(START, wish(&key), Some(address)).map(|_| ())
    };
    for subnet in 0..2000 {
        let _ = begin(format!("2001:db8:1:{subnet:x}::1"));
    }
    assert_eq!(begin("2001:db8:1:ffff::1".into()), Err(DeviceError::TooMany(60)), "its /48 has its share");
    begin("2001:db8:2::1".into()).unwrap();
    begin("192.0.2.9".into()).unwrap();
    for _ in 0..20 {
        begin("2001:db8:3::1".into()).unwrap();
    }
    assert_eq!(begin("2001:db8:3::ffff".into()), Err(DeviceError::TooMany(60)), "its /64 has its share");
    begin("2001:db8:3:1::1".into()).unwrap();
}

#[test]
fn a_machine_that_somebody_decided_about_takes_no_place_of_those_that_wait() {
    let fixture = Fixture::new(1);
    let codes: Vec<_> = (0..20).map(|_| begin(&fixture, &machine(1)).1).collect();
    let address = Some("192.0.2.7".parse().unwrap());
    let again = |now_ms| {
        fixture.coordinator.begin_device_authorization(now_ms, wish(&machine(2)), address).map(|_| ())
    };
    assert_eq!(again(START), Err(DeviceError::TooMany(60)));
    assert_eq!(again(START + LIFETIME_MS - 1500), Err(DeviceError::TooMany(2)), "when the first one ends");
    approve(&fixture, START, codes[0]).unwrap();
    again(START).unwrap();
    assert_eq!(again(START), Err(DeviceError::TooMany(60)));
}

#[test]
fn over_http_a_machine_waits_with_the_codes_of_the_rfc_and_joins_once_a_person_let_it_in() {
    let fixture = Fixture::new(1);
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    let owner = store.read(|tx| tx.first_owner()).unwrap().unwrap().id;
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now_ms = i64::try_from(now_ms).unwrap();
    let session = sign_in::open_session(store, entropy, now_ms, (owner, "a browser")).unwrap().to_text();
    let server = Server::start_with_url(fixture, Some("http://mesh.example"));
    let key = machine(1);
    let body = serde_json::to_vec(&wish(&key)).unwrap();
    let begun = server.send("POST", "/api/v1/device-authorization", &[], &body);
    assert_eq!(begun.status, 200, "{}", begun.body);
    let begun: DeviceAuthorizationResponse = serde_json::from_str(&begun.body).unwrap();
    let link = format!("http://mesh.example/join/{}", begun.user_code);
    assert_eq!(begun.verification_uri_complete.as_deref(), Some(link.as_str()));
    assert_eq!((begun.expires_in, begun.interval), (600, 5));

    let asked = json!({"device_code": begun.device_code}).to_string();
    let ask = || server.send("POST", "/api/v1/device-authorization/enrollment-key", &[], asked.as_bytes());
    for code in [ProblemCode::AuthorizationPending, ProblemCode::SlowDown] {
        let problem = ask().problem();
        assert_eq!((problem.status, problem.code), (400, code));
    }
    let cookie = [("Cookie", format!("warren_session={}", *session))];
    let cookie = [("Cookie", cookie[0].1.as_str())];
    let page = format!("/api/v1/device-authorization/{}", begun.user_code.to_lowercase());
    assert_eq!(server.send("GET", &page, &[], b"").status, 401);
    let shown: serde_json::Value =
        serde_json::from_str(&server.send("GET", &page, &cookie, b"").body).unwrap();
    assert_eq!((&shown["os"], &shown["address"]), (&json!("Debian GNU/Linux 12"), &json!("127.0.0.1")));
    let (organization, network) = (&shown["networks"][0]["organization"], &shown["networks"][0]["network"]);
    let path = format!(
        "/api/v1/organizations/{}/device-authorization/{}",
        organization.as_str().unwrap(),
        begun.user_code
    );
    let chosen = json!({"network": network}).to_string();
    assert_eq!(server.send("POST", &path, &cookie, chosen.as_bytes()).status, 204);
    assert_eq!(server.send("DELETE", &path, &cookie, b"").status, 409, "it is decided");
    let answer: DeviceKeyResponse = serde_json::from_str(&ask().body).unwrap();
    let body = serde_json::to_vec(&request(&answer.enrollment_key, key.public_key(), "web")).unwrap();
    assert_eq!(server.send("POST", "/api/v1/enroll", &[], &body).status, 200);

    for _ in 0..20 {
        assert_eq!(server.send("POST", "/api/v1/device-authorization", &[], &body).status, 200);
    }
    let full = server.send("POST", "/api/v1/device-authorization", &[], &body);
    assert_eq!((full.status, full.problem().code), (429, ProblemCode::TooManyRequests));
    assert!(full.head.contains("retry-after: 60"), "{}", full.head);
    let problem = server
        .send("POST", "/api/v1/device-authorization/enrollment-key", &[], br#"{"device_code":"wdc_x"}"#)
        .problem();
    assert_eq!(problem.code, ProblemCode::ExpiredToken);
    let long = json!({"name": "web", "public_key": key.public_key(), "os": "x".repeat(65)}).to_string();
    assert!(server.send("POST", "/api/v1/device-authorization", &[], long.as_bytes()).body.contains("os:"));
}
