//! Who made an enrollment key, and what becomes of it when that person leaves.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::collections::BTreeSet;
use std::sync::Arc;

use coordinator::service::resources::Membership;
use coordinator::service::resources::enrollment_keys::EnrollmentKey;
use coordinator::service::resources::members::Removal;
use coordinator::service::{Caller, Credential};
use coordinator::store::{PersonRow, Role};
use fixture::{Fixture, HOUR, START};
use protocol::key::PrivateKey;
use serde_json::json;

/// An admin of the first organization, in a browser.
fn admin(fixture: &Fixture, name: &str) -> Membership {
    let (store, organization) = (fixture.coordinator.store(), fixture.network.organization_id);
    let person = PersonRow { id: fixture.coordinator.entropy().id(START), name: name.to_owned() };
    let new = person.clone();
    store
        .write(move |tx| {
            tx.insert_person(&new, None, START + 1)?;
            tx.set_membership(organization, new.id, Role::Admin, START)
        })
        .unwrap();
    fixture::open_session(store, person.clone(), person.id);
    let credential = Credential::Session(person.id);
    let caller = Caller { person, credential, ..fixture.caller(Some(Role::Admin)) };
    Membership { caller: Arc::new(caller), ..fixture.member(Role::Admin) }
}

#[test]
fn keys_outlive_whom_made_them_in_sight_of_all_and_can_be_revoked_with_the_membership() {
    let fixture = Fixture::new(1);
    let owner = fixture.member(Role::Owner);
    let call = fixture.coordinator.call(START, &owner);
    let key = |member: &Membership, now_ms: i64| {
        let wanted = json!({"network": fixture.network.id, "lifetime_s": 60});
        let call = fixture.coordinator.call(now_ms, member);
        call.create_enrollment_key(serde_json::from_value(wanted).unwrap()).unwrap()
    };
    let [ada, bob] = ["ada", "bob"].map(|name| admin(&fixture, name));
    assert_eq!(key(&ada, START).enrollment_key.created_by.unwrap().name, "ada");
    key(&ada, START - HOUR);
    let revoked = key(&ada, START).enrollment_key.id;
    call.revoke_enrollment_key(revoked).unwrap();
    let used = key(&ada, START);
    let machine = PrivateKey::from_random([5; 32]);
    fixture.enroll(START, &used.key.parse().unwrap(), machine, "web").unwrap();
    key(&bob, START);
    fixture.new_key(true);

    let left = call.remove_member(ada.caller.person.id, Removal::default()).unwrap();
    assert_eq!((left.enrollment_keys, left.revoked), (1, false), "neither expired, revoked nor used ones");
    let makers = || {
        let keys = call.enrollment_keys().unwrap().into_iter();
        let maker = |key: EnrollmentKey| key.created_by.map(|maker| (maker.name, maker.is_member));
        keys.map(maker).collect::<BTreeSet<_>>()
    };
    let told = [None, Some(("ada".to_owned(), false)), Some(("bob".to_owned(), true))];
    assert_eq!(makers(), told.into());
    let left = call.remove_member(bob.caller.person.id, Removal { revoke_keys: true }).unwrap();
    assert_eq!((left.enrollment_keys, left.revoked), (1, true));
    let keys = call.enrollment_keys().unwrap();
    let of_bob = |key: &&EnrollmentKey| key.created_by.as_ref().is_some_and(|maker| maker.name == "bob");
    assert!(keys.iter().find(of_bob).unwrap().revoked_at_ms.is_some());
    let actions: Vec<_> = call.audit_log(None).unwrap().into_iter().map(|entry| entry.action).collect();
    assert_eq!(actions[..2], ["enrollment-key.revoke", "member.remove"]);
}

#[test]
fn a_database_of_an_older_version_learns_from_its_log_who_made_its_keys() {
    let fixture = Fixture::new(1);
    let ada = admin(&fixture, "ada");
    let wanted = json!({"network": fixture.network.id, "lifetime_s": 60});
    let call = fixture.coordinator.call(START, &ada);
    call.create_enrollment_key(serde_json::from_value(wanted).unwrap()).unwrap();
    fixture.new_key(true);
    let steps = "DROP INDEX enrollment_keys_copy; DROP INDEX audit_log_invitations;
                 ALTER TABLE enrollment_keys DROP COLUMN created_by;
                 CREATE INDEX enrollment_keys_copy ON enrollment_keys (single_use); PRAGMA user_version = 9;";
    fixture.raw().execute_batch(steps).unwrap();
    let fixture = fixture.restart();
    let owner = fixture.member(Role::Owner);
    let keys = fixture.coordinator.call(START, &owner).enrollment_keys().unwrap();
    let makers: Vec<_> = keys.into_iter().map(|key| key.created_by.map(|maker| maker.name)).collect();
    assert_eq!(makers.len(), 2);
    assert!(makers.contains(&Some("ada".into())) && makers.contains(&None), "{makers:?}");
}
