//! Mistakes that others published: one test per advisory that no other test of ours repeats. docs/explanation/advisories.md lists all.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::sync::Arc;

use coordinator::http::{Policy, ROUTES, openapi_json};
use coordinator::service::resources::members::MemberRole;
use coordinator::service::{NodeToken, sign_in};
use coordinator::store::{PersonRow, Role};
use fixture::client::Server;
use fixture::{Fixture, START, report};
use protocol::api::MapEvent;
use protocol::key::PrivateKey;
use serde_json::{Value, json};

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// An owner's cookie.
fn session(server: &Server) -> String {
    let coordinator = &server.fixture.coordinator;
    let owner = coordinator.store().read(|tx| tx.first_owner()).unwrap().unwrap();
    let (store, entropy) = (coordinator.store(), coordinator.entropy());
    let token = sign_in::open_session(store, entropy, now_ms(), (owner.id, "a browser")).unwrap();
    format!("warren_session={}", *token.to_text())
}

#[test]
fn netmaker_cve_2022_0664_two_installations_share_no_secret() {
    let secrets = || {
        let directory = tempfile::tempdir().unwrap();
        let dir = coordinator::store::DataDir::new(directory.path());
        let store = coordinator::store::Store::open_or_create(&dir).unwrap();
        let entropy = coordinator::Entropy::system();
        let opened = coordinator::Coordinator::open(store, entropy, START, |_, _| {
            Ok::<_, coordinator::store::StoreError>(protocol::api::Servers::default())
        });
        let row = opened.unwrap().store().read(|tx| tx.coordinator()).unwrap().unwrap();
        [*row.relay_private_key, *row.token_signing_key]
    };
    let all = [secrets(), secrets()].concat();
    let distinct: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(distinct.len(), 4);
}

#[test]
fn netmaker_cve_2023_32077_no_word_of_ours_is_a_master_key() {
    let server = Server::start(Fixture::new(1));
    for word in [
        "x secretkey",
        "Bearer secretkey",
        "Bearer wat_",
        "Bearer wnt_",
        "Basic YWRtaW46YWRtaW4=",
        "Bearer null",
    ] {
        for route in ROUTES.iter().filter(|route| !matches!(route.policy, Policy::Public)) {
            let path = route.path.replace(['{', '}'], "");
            let answer = server.send(route.method, &path, &[("Authorization", word)], b"{}");
            assert_eq!(answer.status, 401, "{route:?} with `{word}`: {}", answer.body);
        }
    }
}

#[test]
fn netbird_cve_2025_10678_a_new_installation_has_no_password() {
    let server = Server::start(Fixture::new(1));
    for (index, password) in
        ["", "admin", "password", "owner", "warren", "changeme", "12345678"].iter().enumerate()
    {
        let body = json!({"name": "owner", "password": password}).to_string();
        let answer = server.send("POST", "/api/v1/sign-in", &[], body.as_bytes());
        let is_limited = index >= 3 && answer.status == 429;
        assert!(answer.status == 403 || is_limited, "{}", answer.body);
    }
}

#[test]
fn netmaker_cve_2023_32079_no_call_takes_a_field_that_it_does_not_name() {
    let description: Value = serde_json::from_str(&openapi_json()).unwrap();
    let mut bodies = 0;
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(body) =
                operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
            else {
                continue;
            };
            let schema = &description["components"]["schemas"][body.rsplit('/').next().unwrap()];
            assert_eq!(schema["additionalProperties"], json!(false), "{method} {path}");
            bodies += 1;
        }
    }
    assert!(bodies > 10, "{bodies}");
}

#[test]
fn netmaker_cve_2026_29196_no_private_key_of_a_node_is_at_the_coordinator() {
    let fixture = Fixture::new(1);
    let machine = fixture.node("a");
    fixture.coordinator.report(START, &machine.identity, report(&["10.0.0.1:1"])).unwrap();
    let key = *machine.private_key.as_bytes();
    for file in std::fs::read_dir(fixture.directory.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(32).any(|window| window == key));
    }
}

#[test]
fn netmaker_cve_2026_29194_a_node_names_no_other_node() {
    let names = |route: &&coordinator::http::RouteSpec| route.path.contains('{');
    assert_eq!(
        ROUTES
            .iter()
            .filter(|route| matches!(route.policy, Policy::Node))
            .find(names)
            .map(|route| route.path),
        None
    );
}

#[test]
fn netmaker_cve_2026_38651_a_token_with_another_character_is_no_token() {
    let server = Server::start(Fixture::new(1));
    let node = server.fixture.node("a");
    let token = node.token.to_text().to_string();
    let asks = |token: &str| {
        let body = serde_json::to_vec(&report(&[])).unwrap();
        server.send("POST", "/api/v1/report", &[("Authorization", &format!("Bearer {token}"))], &body).status
    };
    assert_eq!(asks(&token), 200);
    for index in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[index] = if bytes[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        // The last character of base64 has bits of no meaning: what reads as the same token is the same token.
        let is_same = changed.parse::<NodeToken>().is_ok_and(|token| token.hash() == node.token.hash());
        assert_eq!(asks(&changed), if is_same { 200 } else { 401 }, "character {index}");
    }
}

#[test]
fn netmaker_cve_2026_29771_no_call_controls_the_process() {
    let words = ["shutdown", "restart", "reload", "stop", "debug", "pprof", "exec", "config"];
    let found = ROUTES.iter().find(|route| words.iter().any(|word| route.path.contains(word)));
    assert_eq!(found.map(|route| route.path), None);
}

#[test]
fn headscale_pr_2642_a_map_is_of_the_node_whose_token_asks_whatever_else_is_said() {
    let server = Server::start(Fixture::new(1));
    let (own, other) = (server.fixture.node("own"), server.fixture.node("other"));
    let key = other.private_key.public_key().to_string();
    let mut map = server.map_at(
        &format!("/api/v1/map?public_key={key}&node={}", other.identity.node),
        &own.token.to_text(),
        None,
    );
    let Some(MapEvent::Snapshot(map)) = map.next() else { panic!("a snapshot") };
    assert_eq!(map.own.id, own.identity.node);
}

#[test]
fn headplane_ghsa_vgj6_a_name_is_a_name_in_every_field() {
    let server = Server::start(Fixture::new(1));
    server.fixture.node("web");
    let (cookie, organization) = (session(&server), server.fixture.network.organization_id);
    let node = server.fixture.id_of("web");
    let base = format!("/api/v1/organizations/{organization}");
    for name in ["../admin", "a%2fb", "a/b", "a\0b", "a\u{202e}b", "a\nb", &"x".repeat(4096)] {
        let rename = json!({"name": name}).to_string();
        for (method, path) in [
            ("PATCH", format!("{base}/nodes/{node}")),
            ("PATCH", format!("{base}/networks/{}", server.fixture.network.id)),
            ("POST", format!("{base}/networks")),
        ] {
            let answer = server.send(method, &path, &[("Cookie", &cookie)], rename.as_bytes());
            // What is neither a path nor unseen may be in the name of a network, which is a text and no path anywhere.
            let is_text =
                !path.contains("/nodes/") && !name.chars().any(|c| c.is_control() || c == '\u{202e}');
            assert!(
                answer.status == 400 || (is_text && name.len() < 64),
                "{method} {path} {name:?}: {}",
                answer.body
            );
        }
    }
}

#[test]
fn headplane_ghsa_wrqq_a_cookie_is_a_random_number_and_nothing_else() {
    let server = Server::start(Fixture::new(1));
    let (one, two) = (session(&server), session(&server));
    let secret = |cookie: &str| cookie.rsplit_once('_').unwrap().1.to_owned();
    assert!(secret(&one).len() == secret(&two).len() && secret(&one).len() >= 43, "{one}");
    let same = secret(&one).bytes().zip(secret(&two).bytes()).filter(|(a, b)| a == b).count();
    assert!(same < 12, "{same} characters of two cookies are the same");
}

#[test]
fn netbird_ghsa_rxmp_of_owners_who_demote_each_other_at_once_one_stays() {
    for round in 0..20 {
        let fixture = Arc::new(Fixture::new(round));
        let (organization, second) =
            (fixture.network.organization_id, fixture.coordinator.entropy().id(START));
        let insert = move |tx: &coordinator::store::WriteTx<'_>| {
            tx.insert_person(&PersonRow { id: second, name: "second".into() }, None, START)?;
            tx.set_membership(organization, second, Role::Owner, START)
        };
        fixture.coordinator.store().write(insert).unwrap();
        let first = fixture.member(Role::Owner).caller.person.id;
        std::thread::scope(|scope| {
            for number in 0..16 {
                let (fixture, person) = (&fixture, if number % 2 == 0 { first } else { second });
                scope.spawn(move || {
                    let member = fixture.member(Role::Owner);
                    let call = fixture.coordinator.call(START, &member);
                    let _ = call.set_member_role(person, MemberRole { role: Role::Viewer });
                });
            }
        });
        let owners = fixture.coordinator.call(START, &fixture.member(Role::Owner)).members().unwrap();
        let owners = owners.iter().filter(|member| member.role == Role::Owner).count();
        assert!(owners >= 1, "round {round}");
    }
}

#[test]
fn netbird_cve_2024_41260_the_same_text_is_sealed_differently_each_time() {
    let key = PrivateKey::from_random([7; 32]);
    let entropy = coordinator::Entropy::system();
    let seal = || protocol::sealed::seal(b"text", &key.public_key(), *entropy.secret()).unwrap();
    assert_ne!(seal(), seal());
}
