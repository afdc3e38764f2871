//! What people administer: rules of the resources, without HTTP.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::sync::Arc;

use coordinator::service::resources::invitations::{self, Acceptance, NewInvitation};
use coordinator::service::resources::members::{MemberRole, Removal};
use coordinator::service::resources::organizations::{self, OrganizationName};
use coordinator::service::resources::{Membership, ResourceError};
use coordinator::service::{Caller, Credential, MapPoll, sign_in};
use coordinator::store::{PersonRow, Role};
use fixture::{Fixture, HOUR, START};
use protocol::api::MapEvent;
use serde_json::json;

const PASSWORD: &str = "correct horse battery";

/// Lets a guest in by an invitation.
fn join(fixture: &Fixture, role: Role, name: &str) -> PersonRow {
    let token = invite(fixture, role);
    accept(fixture, &token, name).unwrap()
}

fn invite(fixture: &Fixture, role: Role) -> String {
    let owner = fixture.member(Role::Owner);
    let wanted = NewInvitation { role, lifetime_s: 60, mail_address: None };
    fixture.coordinator.call(START, &owner).create_invitation(wanted).unwrap().token
}

fn accept(fixture: &Fixture, token: &str, name: &str) -> Result<PersonRow, ResourceError> {
    let acceptance = Acceptance { token: token.into(), name: name.into(), password: PASSWORD.into() };
    let coordinator = &fixture.coordinator;
    invitations::accept(coordinator.store(), coordinator.entropy(), START, &acceptance)
}

fn as_member(fixture: &Fixture, person: &PersonRow, role: Role) -> Membership {
    let mut caller = fixture.caller(Some(role));
    caller.person = person.clone();
    caller.credential = Credential::Session(person.id);
    fixture::open_session(fixture.coordinator.store(), person.clone(), person.id);
    Membership { caller: Arc::new(caller), ..fixture.member(role) }
}

#[test]
fn a_guest_comes_in_by_a_link_once_and_signs_in_by_name_and_password() {
    let fixture = Fixture::new(1);
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    let token = invite(&fixture, Role::Viewer);
    let person = accept(&fixture, &token, "ada").unwrap();
    assert!(matches!(accept(&fixture, &token, "eve"), Err(ResourceError::InvitationUnusable)));
    let session =
        sign_in::with_password(store, entropy, START, ("ada", PASSWORD, "a browser")).unwrap().unwrap();
    let caller = Caller::of_session(store, START, &session).unwrap();
    assert_eq!(caller.person, person);
    assert_eq!(caller.role_in(fixture.network.organization_id), Some(Role::Viewer));
    for (name, password) in [("ada", "correct horse batterz"), ("eve", PASSWORD), ("owner", ""), ("", "")] {
        assert!(
            sign_in::with_password(store, entropy, START, (name, password, "")).unwrap().is_none(),
            "{name}"
        );
    }
}

#[test]
fn an_invitation_that_expired_or_was_taken_back_lets_nobody_in() {
    let fixture = Fixture::new(1);
    let owner = fixture.member(Role::Owner);
    let call = fixture.coordinator.call(START, &owner);
    let token = invite(&fixture, Role::Member);
    let acceptance = Acceptance { token, name: "ada".into(), password: PASSWORD.into() };
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    let late = invitations::accept(store, entropy, START + HOUR, &acceptance);
    assert!(matches!(late, Err(ResourceError::InvitationUnusable)));
    let invitation = call.invitations().unwrap()[0].id;
    call.delete_invitation(invitation).unwrap();
    assert!(matches!(
        invitations::accept(store, entropy, START, &acceptance),
        Err(ResourceError::InvitationUnusable)
    ));
    assert!(matches!(call.delete_invitation(invitation), Err(ResourceError::NotFound(_))));
}

#[test]
fn nobody_gives_away_more_than_they_have() {
    let fixture = Fixture::new(1);
    let ada = join(&fixture, Role::Admin, "ada");
    let bob = join(&fixture, Role::Owner, "bob");
    let admin = as_member(&fixture, &ada, Role::Admin);
    let call = fixture.coordinator.call(START, &admin);
    let invitation = NewInvitation { role: Role::Owner, lifetime_s: 60, mail_address: None };
    assert!(matches!(call.create_invitation(invitation), Err(ResourceError::Forbidden(_))));
    let promote = call.set_member_role(ada.id, MemberRole { role: Role::Owner });
    assert!(matches!(promote, Err(ResourceError::Forbidden(_))));
    assert!(matches!(call.remove_member(bob.id, Removal::default()), Err(ResourceError::Forbidden(_))));
    let token = serde_json::from_value(json!({"description": "x", "role": "owner"})).unwrap();
    assert!(matches!(call.create_api_token(token), Err(ResourceError::Forbidden(_))));
}

#[test]
fn an_organization_keeps_its_last_owner() {
    let fixture = Fixture::new(1);
    let owner = fixture.member(Role::Owner);
    let call = fixture.coordinator.call(START, &owner);
    let first = call.members().unwrap()[0].id;
    assert!(matches!(call.remove_member(first, Removal::default()), Err(ResourceError::Conflict(_))));
    let demote = MemberRole { role: Role::Admin };
    assert!(matches!(call.set_member_role(first, demote), Err(ResourceError::Conflict(_))));
    join(&fixture, Role::Owner, "bob");
    call.set_member_role(first, demote).unwrap();
}

#[test]
fn a_member_makes_keys_for_one_machine_and_an_admin_any() {
    let fixture = Fixture::new(1);
    let key = |role: Role, extra: serde_json::Value| {
        let mut wanted = json!({"network": fixture.network.id});
        wanted.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let member = fixture.member(role);
        fixture
            .coordinator
            .call(START, &member)
            .create_enrollment_key(serde_json::from_value(wanted).unwrap())
    };
    assert!(key(Role::Member, json!({})).is_ok());
    for more in [json!({"reusable": true}), json!({"tags": ["db"]}), json!({"lifetime_s": 86_401})] {
        assert!(matches!(key(Role::Member, more.clone()), Err(ResourceError::Forbidden(_))), "{more}");
        assert!(key(Role::Admin, more).is_ok());
    }
}

#[test]
fn an_api_token_acts_in_its_role_and_never_above_its_person() {
    let fixture = Fixture::new(1);
    let store = fixture.coordinator.store();
    let ada = join(&fixture, Role::Admin, "ada");
    let admin = as_member(&fixture, &ada, Role::Admin);
    let wanted =
        serde_json::from_value(json!({"description": "terraform", "role": "admin", "lifetime_s": 60}))
            .unwrap();
    let made = fixture.coordinator.call(START, &admin).create_api_token(wanted).unwrap();
    let token = made.token.parse().unwrap();
    let role = |now_ms| {
        let caller = Caller::of_api_token(store, now_ms, &token).ok()?;
        caller.role_in(fixture.network.organization_id)
    };
    assert_eq!(role(START), Some(Role::Admin));
    assert_eq!(role(START + 60_000), None, "its time is over");
    let owner = fixture.member(Role::Owner);
    let call = fixture.coordinator.call(START, &owner);
    call.set_member_role(ada.id, MemberRole { role: Role::Viewer }).unwrap();
    assert_eq!(role(START), Some(Role::Viewer));
    call.remove_member(ada.id, Removal::default()).unwrap();
    assert_eq!(role(START), None);
    assert!(call.api_tokens().unwrap().is_empty());
}

#[test]
fn a_new_password_signs_the_other_browsers_out() {
    let fixture = Fixture::new(1);
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    join(&fixture, Role::Viewer, "ada");
    let open = || sign_in::with_password(store, entropy, START, ("ada", PASSWORD, "")).unwrap();
    let (here, there) = (open().unwrap(), open().unwrap());
    let caller = Caller::of_session(store, START, &here).unwrap();
    let wrong = sign_in::change_password(store, START, &caller, (Some("something else"), "another good one"));
    assert!(matches!(wrong, Err(ResourceError::Forbidden(_))));
    sign_in::change_password(store, START, &caller, (Some(PASSWORD), "another good one")).unwrap();
    assert!(Caller::of_session(store, START, &here).is_ok());
    assert!(Caller::of_session(store, START, &there).is_err());
    assert!(open().is_none());
}

#[test]
fn who_owns_nothing_makes_no_organization() {
    let fixture = Fixture::new(1);
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    let name = |name: &str| OrganizationName { name: name.into() };
    let admin = fixture.caller(Some(Role::Admin));
    let refused = organizations::create(store, entropy, START, &admin, name("second"));
    assert!(matches!(refused, Err(ResourceError::Forbidden(_))));
    let ada = join(&fixture, Role::Owner, "ada");
    let caller = (*as_member(&fixture, &ada, Role::Owner).caller).clone();
    organizations::create(store, entropy, START, &caller, name("second")).unwrap();
    let again = organizations::create(store, entropy, START, &caller, name("second"));
    assert!(matches!(again, Err(ResourceError::Conflict(_))));
    assert_eq!(store.read(|tx| tx.memberships(ada.id)).unwrap().len(), 2);
}

#[test]
fn a_network_may_overlap_where_somebody_chose_so_and_never_by_chance() {
    let fixture = Fixture::new(1);
    let admin = fixture.member(Role::Admin);
    let call = fixture.coordinator.call(START, &admin);
    let create = |wanted: serde_json::Value| call.create_network(serde_json::from_value(wanted).unwrap());
    create(json!({"name": "site-a", "ipv4": "10.20.0.0/16"})).unwrap();
    create(json!({"name": "site-b", "ipv4": "10.20.0.0/16"})).unwrap();
    assert!(matches!(create(json!({"name": "site-a"})), Err(ResourceError::Conflict(_))));
    for bad in ["8.8.0.0/16", "10.20.0.1/16", "10.0.0.0/7", "192.168.1.0/30", "0.0.0.0/0"] {
        assert!(
            matches!(create(json!({"name": "x", "ipv4": bad})), Err(ResourceError::Invalid { .. })),
            "{bad}"
        );
    }
    let wide = create(json!({"name": "wide", "ipv4": "100.64.0.0/10"})).unwrap();
    assert!(matches!(create(json!({"name": "late"})), Err(ResourceError::Conflict(_))), "no range is free");
    call.delete_network(wide.id).unwrap();
    assert!(create(json!({"name": "late"})).is_ok());
}

#[test]
fn a_node_moves_to_another_network_of_its_organization_with_its_token() {
    let fixture = Fixture::new(1);
    let admin = fixture.member(Role::Admin);
    let call = fixture.coordinator.call(START, &admin);
    let second = call.create_network(serde_json::from_value(json!({"name": "second"})).unwrap()).unwrap();
    let machine = fixture.node("a");
    assert!(matches!(call.delete_network(fixture.network.id), Err(ResourceError::Conflict(_))));
    let change = serde_json::from_value(json!({"network": second.id})).unwrap();
    call.update_node(machine.identity.node, change).unwrap();
    fixture.coordinator.reload().unwrap();
    let identity = fixture.coordinator.authenticate(&machine.token).unwrap();
    assert_eq!(identity.network, second.id);
    assert!(fixture.coordinator.open_map(&identity, None).is_ok());
    call.delete_network(fixture.network.id).unwrap();
}

#[test]
fn the_audit_log_says_who_did_what_and_keeps_no_secret() {
    let fixture = Fixture::new(1);
    let owner = fixture.member(Role::Owner);
    let call = fixture.coordinator.call(START, &owner);
    let wanted = json!({"network": fixture.network.id, "description": "for the rack"});
    let key = call.create_enrollment_key(serde_json::from_value(wanted).unwrap()).unwrap();
    let token = invite(&fixture, Role::Viewer);
    accept(&fixture, &token, "ada").unwrap();
    let log = call.audit_log(None).unwrap();
    let actions: Vec<_> = log.iter().map(|entry| (entry.actor.as_str(), entry.action.as_str())).collect();
    let expected = [
        ("ada", "invitation.accept"),
        ("owner", "invitation.create"),
        ("owner", "enrollment-key.create"),
        ("admin command", "organization.create"),
    ];
    assert_eq!(actions, expected);
    let text = serde_json::to_string(&log).unwrap();
    assert!(text.contains("for the rack"));
    for secret in [&key.key, &token, PASSWORD] {
        assert!(!text.contains(secret), "{text}");
    }
    assert_eq!(call.audit_log(Some(log[0].id)).unwrap().len(), 3, "the next page");
}

#[test]
fn who_is_removed_has_left_no_door_open() {
    let fixture = Fixture::new(1);
    let ada = join(&fixture, Role::Admin, "ada");
    let admin = as_member(&fixture, &ada, Role::Admin);
    let call = fixture.coordinator.call(START, &admin);
    let token = call
        .create_invitation(NewInvitation { role: Role::Admin, lifetime_s: 60, mail_address: None })
        .unwrap()
        .token;
    let owner = fixture.member(Role::Owner);
    fixture.coordinator.call(START, &owner).remove_member(ada.id, Removal::default()).unwrap();
    assert!(matches!(accept(&fixture, &token, "ada-again"), Err(ResourceError::InvitationUnusable)));
}

#[test]
fn a_token_that_only_reads_ends_nothing() {
    let fixture = Fixture::new(1);
    let ada = join(&fixture, Role::Admin, "ada");
    let mut reader = as_member(&fixture, &ada, Role::Viewer);
    let caller = Caller {
        credential: Credential::ApiToken { id: uuid::Uuid::nil(), description: "reader".into() },
        ..(*reader.caller).clone()
    };
    reader.caller = Arc::new(caller);
    let call = fixture.coordinator.call(START, &reader);
    assert!(matches!(call.remove_member(ada.id, Removal::default()), Err(ResourceError::Forbidden(_))));
    assert!(call.api_tokens().unwrap().is_empty());
}

#[test]
fn an_expiry_at_the_edge_of_time_is_refused_or_harmless() {
    let fixture = Fixture::new(1);
    let admin = fixture.member(Role::Admin);
    let node = fixture.node("a").identity.node;
    let call = fixture.coordinator.call(START, &admin);
    let set = |at: i64| call.update_node(node, serde_json::from_value(json!({"expires_at_ms": at})).unwrap());
    for at in [i64::MIN, -1, 0] {
        assert!(matches!(set(at), Err(ResourceError::Invalid { .. })), "{at}");
    }
    for at in [1, i64::MAX] {
        set(at).unwrap();
        fixture.coordinator.reload().unwrap();
        fixture.coordinator.tick(i64::MAX).unwrap();
        fixture.coordinator.tick(START).unwrap();
    }
}

#[test]
fn a_node_that_moved_begins_with_the_whole_map_whatever_revision_it_had() {
    let fixture = Fixture::new(1);
    let admin = fixture.member(Role::Admin);
    let call = fixture.coordinator.call(START, &admin);
    let second = call.create_network(serde_json::from_value(json!({"name": "second"})).unwrap()).unwrap();
    fixture.coordinator.reload().unwrap();
    let machine = fixture.node("a");
    let mut stream = fixture.coordinator.open_map(&machine.identity, None).unwrap();
    let MapPoll::Event(event) = stream.poll_event() else { panic!("a snapshot") };
    let revision = event.revision();
    call.update_node(machine.identity.node, serde_json::from_value(json!({"network": second.id})).unwrap())
        .unwrap();
    // The network that it comes into goes on past every number that it knew.
    for number in 0..50 {
        let change = json!({"default_access": if number % 2 == 0 { "deny" } else { "allow" }});
        call.update_network(second.id, serde_json::from_value(change).unwrap()).unwrap();
        fixture.coordinator.reload().unwrap();
    }
    // By the identity that it had: a request that was under way is not told that the node is gone.
    let mut stream = fixture.coordinator.open_map(&machine.identity, Some(revision)).unwrap();
    let MapPoll::Event(event) = stream.poll_event() else { panic!("news") };
    let MapEvent::Snapshot(map) = *event else { panic!("a snapshot") };
    assert_eq!(map.own.network, "second");
    fixture.coordinator.report(START, &machine.identity, fixture::report(&["192.0.2.7:1"])).unwrap();
}

#[test]
fn a_role_that_was_taken_away_after_the_request_was_let_in_changes_nothing_more() {
    let fixture = Fixture::new(1);
    let store = fixture.coordinator.store();
    let ada = join(&fixture, Role::Admin, "ada");
    let proof = ("ada", PASSWORD, "a browser");
    let session =
        sign_in::with_password(store, fixture.coordinator.entropy(), START, proof).unwrap().unwrap();
    let caller = Arc::new(Caller::of_session(store, START, &session).unwrap());
    let organization = fixture.network.organization_id;
    let held = Membership { caller, organization, role: Role::Admin };
    let writes = || {
        let wanted = serde_json::from_value(json!({"network": fixture.network.id})).unwrap();
        let made = fixture.coordinator.call(START, &held).create_enrollment_key(wanted).map(drop);
        let name = OrganizationName { name: "another".into() };
        let entropy = fixture.coordinator.entropy();
        (made, organizations::create(store, entropy, START, &held.caller, name).map(drop))
    };
    writes().0.unwrap();
    let owner = fixture.member(Role::Owner);
    let call = fixture.coordinator.call(START, &owner);
    call.set_member_role(ada.id, MemberRole { role: Role::Viewer }).unwrap();
    assert!(matches!(writes().0, Err(ResourceError::Forbidden(_))));
    let keys = || fixture.coordinator.call(START, &owner).enrollment_keys().unwrap().len();
    assert_eq!(keys(), 1, "the first one");
    call.set_member_role(ada.id, MemberRole { role: Role::Owner }).unwrap();
    writes().0.unwrap();
    let id = held.caller.session().unwrap();
    sign_in::end_session(store, ada.id, id).unwrap();
    assert!(matches!(writes().0, Err(ResourceError::Forbidden(_))));
    assert_eq!(keys(), 2);
}

#[test]
fn a_session_that_ended_meanwhile_makes_no_organization_joins_none_and_sets_no_password() {
    let fixture = Fixture::new(1);
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    let caller = fixture.caller(Some(Role::Owner));
    let token = invite(&fixture, Role::Owner);
    sign_in::end_session(store, caller.person.id, caller.session().unwrap()).unwrap();
    let name = OrganizationName { name: "another".into() };
    let made = organizations::create(store, entropy, START, &caller, name).map(drop);
    let joined = invitations::accept_as(store, START, &caller, &token);
    let set = sign_in::change_password(store, START, &caller, (None, "another good one"));
    for refused in [made, joined, set] {
        assert!(matches!(refused, Err(ResourceError::SignedOut)), "{refused:?}");
    }
}

#[test]
fn a_token_that_was_revoked_after_the_request_was_let_in_changes_nothing() {
    let fixture = Fixture::new(1);
    let store = fixture.coordinator.store();
    let owner = fixture.member(Role::Owner);
    let wanted = json!({"description": "x", "role": "admin"});
    let call = fixture.coordinator.call(START, &owner);
    let made = call.create_api_token(serde_json::from_value(wanted).unwrap()).unwrap();
    let caller = Caller::of_api_token(store, START, &made.token.parse().unwrap()).unwrap();
    let held = Membership { caller: Arc::new(caller), role: Role::Admin, ..owner.clone() };
    let name = |name: &str| serde_json::from_value(json!({"name": name})).unwrap();
    fixture.coordinator.call(START, &held).create_network(name("one")).unwrap();
    call.delete_api_token(made.api_token.id).unwrap();
    let refused = fixture.coordinator.call(START, &held).create_network(name("two"));
    assert!(matches!(refused, Err(ResourceError::Forbidden(_))), "{refused:?}");
}
