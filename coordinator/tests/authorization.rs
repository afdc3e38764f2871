//! Every route × every role × every organization × every kind of id, made from the table of routes: a route that is added is
//! tested here without anybody thinking of it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::sync::Arc;

use coordinator::http::{Policy, ROUTES, RouteSpec};
use coordinator::service::resources::Membership;
use coordinator::service::{Caller, Credential, sign_in};
use coordinator::store::{PersonRow, Role};
use fixture::client::{Answer, Server};
use fixture::{Fixture, START};
use serde_json::json;
use uuid::Uuid;

const ROLES: [Role; 4] = [Role::Viewer, Role::Member, Role::Admin, Role::Owner];

fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

/// A second organization with one of everything.
struct Foreign {
    organization: Uuid,
    ids: Vec<(&'static str, Uuid)>,
}

/// A server, a session for each role in the first organization, and a second organization that none of them belongs to.
fn stage() -> (Server, Vec<(Role, String)>, Foreign) {
    let fixture = Fixture::new(1);
    fixture.node("own");
    let sessions = ROLES.map(|role| (role, session(&fixture, role))).to_vec();
    let foreign = foreign(&fixture);
    (Server::start(fixture), sessions, foreign)
}

fn session(fixture: &Fixture, role: Role) -> String {
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    let person = PersonRow { id: entropy.id(START), name: role.as_str().to_owned() + "-person" };
    let (id, organization) = (person.id, fixture.network.organization_id);
    store
        .write(move |tx| {
            tx.insert_person(&person, None, START + 1)?;
            tx.set_membership(organization, person.id, role, START)
        })
        .unwrap();
    let token = sign_in::open_session(store, entropy, now_ms(), (id, "a browser")).unwrap();
    format!("warren_session={}", *token.to_text())
}

fn foreign(fixture: &Fixture) -> Foreign {
    let coordinator = &fixture.coordinator;
    let (organization, stranger) = (coordinator.entropy().id(START), coordinator.entropy().id(START));
    coordinator
        .store()
        .write(move |tx| {
            tx.insert_organization(organization, "foreign", START)?;
            tx.insert_person(&PersonRow { id: stranger, name: "stranger".into() }, None, START + 1)?;
            tx.set_membership(organization, stranger, Role::Owner, START)
        })
        .unwrap();
    let person = PersonRow { id: stranger, name: "stranger".into() };
    fixture::open_session(coordinator.store(), person.clone(), stranger);
    let caller = Caller {
        person,
        memberships: [(organization, Role::Owner)].into(),
        credential: Credential::Session(stranger),
    };
    let member = Membership { caller: Arc::new(caller), organization, role: Role::Owner };
    let call = coordinator.call(START, &member);
    let value = |value| serde_json::from_value(value).unwrap();
    let network = call.create_network(value(json!({"name": "theirs"}))).unwrap().id;
    let rule = json!({"verdict": "allow", "protocol": "any"});
    let rule = call.create_access_rule(network, serde_json::from_value(rule).unwrap()).unwrap().id;
    let key =
        call.create_enrollment_key(serde_json::from_value(json!({"network": network})).unwrap()).unwrap();
    coordinator.reload().unwrap();
    let private_key = protocol::key::PrivateKey::from_random([77; 32]);
    let node =
        fixture.enroll(START, &key.key.parse().unwrap(), private_key, "theirs").unwrap().response.node_id;
    let invitation =
        call.create_invitation(serde_json::from_value(json!({"role": "viewer"})).unwrap()).unwrap();
    let token = json!({"description": "x", "role": "viewer"});
    let token = call.create_api_token(serde_json::from_value(token).unwrap()).unwrap().api_token.id;
    let ids = vec![
        ("{network}", network),
        ("{rule}", rule),
        ("{key}", key.enrollment_key.id),
        ("{node}", node),
        ("{invitation}", invitation.invitation.id),
        ("{token}", token),
        ("{member}", stranger),
        // A machine that waits belongs to nobody yet: no id of one is another organization's.
        ("{user_code}", Uuid::from_u128(2)),
    ];
    Foreign { organization, ids }
}

fn organization_routes() -> impl Iterator<Item = (&'static RouteSpec, Role)> {
    ROUTES.iter().filter_map(|route| match route.policy {
        Policy::Organization(role) => Some((route, role)),
        Policy::Public | Policy::Node | Policy::Person | Policy::AnyOrganization | Policy::Operator => None,
    })
}

fn path(route: &RouteSpec, organization: Uuid, id_of: impl Fn(&str) -> String) -> String {
    let mut path = route.path.replace("{organization}", &organization.to_string());
    while let Some(start) = path.find('{') {
        let end = path[start..].find('}').unwrap() + start;
        let id = id_of(&path[start..=end]);
        path.replace_range(start..=end, &id);
    }
    path
}

fn send(server: &Server, route: &RouteSpec, path: &str, cookie: &str) -> Answer {
    server.send(route.method, path, &[("Cookie", cookie)], b"{}")
}

#[test]
fn a_role_below_a_routes_own_is_forbidden_and_one_that_suffices_is_not() {
    let (server, sessions, _) = stage();
    let organization = server.fixture.network.organization_id;
    for (route, required) in organization_routes() {
        let path = path(route, organization, |_| Uuid::from_u128(1).to_string());
        for (role, cookie) in &sessions {
            let answer = send(&server, route, &path, cookie);
            if *role < required {
                assert_eq!(answer.status, 403, "{route:?} as {role:?}: {}", answer.body);
                assert_eq!(answer.problem().code, protocol::api::ProblemCode::Forbidden);
            } else {
                assert!(![401, 403, 503].contains(&answer.status), "{route:?} as {role:?}: {}", answer.body);
            }
        }
    }
}

#[test]
fn to_an_outsider_an_organization_looks_like_one_that_does_not_exist() {
    let (server, sessions, foreign) = stage();
    for (route, _) in organization_routes() {
        for organization in [foreign.organization, Uuid::from_u128(1)] {
            let path = path(route, organization, |what| id_in(&foreign, what));
            for (role, cookie) in &sessions {
                let answer = send(&server, route, &path, cookie);
                assert_eq!(answer.status, 404, "{route:?} as {role:?}: {}", answer.body);
            }
        }
        let nonsense = route.path.replace("{organization}", "nonsense").replace(['{', '}'], "");
        assert_eq!(send(&server, route, &nonsense, &sessions[3].1).status, 404, "{route:?}");
    }
}

#[test]
fn what_belongs_to_another_organization_is_not_found_in_ones_own_whatever_the_role() {
    let (server, sessions, foreign) = stage();
    let organization = server.fixture.network.organization_id;
    let before = audit_count(&server);
    for (route, _) in organization_routes().filter(|(route, _)| route.path.matches('{').count() > 1) {
        let path = path(route, organization, |what| id_in(&foreign, what));
        let body = body_for(route);
        let cookie = [("Cookie", sessions[3].1.as_str())];
        let answer = server.send(route.method, &path, &cookie, body.to_string().as_bytes());
        assert_eq!(answer.status, 404, "{route:?} as an owner: {}", answer.body);
    }
    assert_eq!(audit_count(&server), before, "nothing was changed anywhere");
}

#[test]
fn what_is_of_the_installation_is_read_in_any_organization_and_changed_by_owners_of_the_first_only() {
    let (server, sessions, foreign) = stage();
    let outsider = |role: Option<Role>| {
        let (fixture, organization) = (&server.fixture, foreign.organization);
        let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
        let id = entropy.id(START);
        let person = PersonRow { id, name: format!("outsider {role:?}") };
        store
            .write(move |tx| {
                tx.insert_person(&person, None, START + 1)?;
                role.map_or(Ok(()), |role| tx.set_membership(organization, id, role, START))
            })
            .unwrap();
        let token = sign_in::open_session(store, entropy, now_ms(), (id, "a browser")).unwrap();
        format!("warren_session={}", *token.to_text())
    };
    let (stranger, nobody) = (outsider(Some(Role::Owner)), outsider(None));
    let before = audit_count(&server);
    let mut seen = 0;
    for route in ROUTES {
        let is_changing = match route.policy {
            Policy::AnyOrganization => false,
            Policy::Operator => true,
            Policy::Public | Policy::Node | Policy::Person | Policy::Organization(_) => continue,
        };
        seen += 1;
        let path = path(route, foreign.organization, |_| Uuid::from_u128(1).to_string());
        for (role, cookie) in &sessions {
            let answer = send(&server, route, &path, cookie);
            let is_refused = is_changing && *role < Role::Owner;
            assert_eq!(answer.status == 403, is_refused, "{route:?} as {role:?}: {}", answer.body);
            assert!(![401, 503].contains(&answer.status), "{route:?} as {role:?}: {}", answer.body);
        }
        let answer = send(&server, route, &path, &stranger);
        assert_eq!(answer.status == 403, is_changing, "{route:?} as a stranger: {}", answer.body);
        assert_eq!(send(&server, route, &path, &nobody).status, 403, "{route:?} without any role");
        assert_eq!(send(&server, route, &path, "").status, 401, "{route:?} without a session");
    }
    assert_eq!(seen, 10);
    assert_eq!(audit_count(&server), before, "nothing was changed anywhere");
}

#[test]
fn an_api_token_of_each_role_may_what_a_person_in_that_role_may() {
    let (server, _, _) = stage();
    let organization = server.fixture.network.organization_id;
    for role in ROLES {
        let member = server.fixture.member(Role::Owner);
        let wanted = serde_json::from_value(json!({"description": "x", "role": role})).unwrap();
        let made = server.fixture.coordinator.call(now_ms(), &member).create_api_token(wanted).unwrap();
        let bearer = format!("Bearer {}", made.token);
        for (route, required) in organization_routes().filter(|(route, _)| route.method == "GET") {
            let path = path(route, organization, |_| Uuid::from_u128(1).to_string());
            let answer = server.send(route.method, &path, &[("Authorization", &bearer)], b"");
            let is_allowed = ![401, 403].contains(&answer.status);
            assert_eq!(is_allowed, role >= required, "{route:?} as {role:?}: {}", answer.body);
        }
    }
}

fn id_in(foreign: &Foreign, what: &str) -> String {
    foreign.ids.iter().find(|(name, _)| *name == what).expect("an id of every kind").1.to_string()
}

/// A body that the route takes, so that the id is what decides.
fn body_for(route: &RouteSpec) -> serde_json::Value {
    match route.path.rsplit('/').next().unwrap() {
        "{user_code}" => json!({"network": Uuid::from_u128(2)}),
        "{member}" => json!({"role": "viewer"}),
        "access-rules" | "{rule}" => json!({"verdict": "allow", "protocol": "any"}),
        _ => json!({}),
    }
}

fn audit_count(server: &Server) -> i64 {
    server.fixture.raw().query_row("SELECT count(*) FROM audit_log", (), |row| row.get(0)).unwrap()
}
