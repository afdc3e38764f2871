//! Who becomes a node, and what a repeated or stolen request is worth.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::sync::Arc;

use coordinator::service::resources::networks::NewNetwork;
use coordinator::service::{AuthError, EnrollError};
use fixture::{Fixture, HOUR, START, request};
use protocol::key::{PrivateKey, PublicKey};

#[test]
fn a_machine_with_a_key_becomes_a_node_with_addresses_of_its_network() {
    let fixture = Fixture::new(1);
    let node = fixture.node("web");
    assert_eq!(node.response.name.as_str(), "web");
    assert_eq!(node.response.network, "default");
    let ranges = [fixture.network.ipv4.into(), fixture.network.ipv6.into()];
    for (address, range) in node.response.addresses.iter().zip::<[ipnet::IpNet; 2]>(ranges) {
        assert!(range.contains(&address.addr()) && address.prefix_len() == range.prefix_len(), "{address}");
    }
    assert_eq!(fixture.coordinator.authenticate(&node.token).unwrap(), node.identity);
}

#[test]
fn a_name_that_is_taken_gets_a_number() {
    let fixture = Fixture::new(1);
    let names: Vec<_> = (0..3).map(|_| fixture.node("web").response.name.to_string()).collect();
    assert_eq!(names, ["web", "web-2", "web-3"]);
    let long = "x".repeat(63);
    fixture.node(&long);
    assert_eq!(fixture.node(&long).response.name.as_str(), format!("{}-2", "x".repeat(61)));
}

#[test]
fn keys_that_are_unknown_expired_or_revoked_are_refused() {
    let fixture = Fixture::new(1);
    let enroll = |now, key| fixture.enroll(now, key, PrivateKey::from_random([7; 32]), "a").map(|_| ());
    let unknown = protocol::api::EnrollmentKey::from_random([9; 32]);
    assert!(matches!(enroll(START, &unknown), Err(EnrollError::KeyUnknown)));

    let key = fixture.new_key(true);
    assert!(matches!(enroll(START + HOUR, &key.key), Err(EnrollError::KeyExpired)));
    fixture.command(START, |call| call.revoke_enrollment_key(key.id)).unwrap();
    assert!(matches!(enroll(START, &key.key), Err(EnrollError::KeyRevoked)));
}

#[test]
fn a_single_use_key_serves_one_machine_and_a_reusable_one_many() {
    let fixture = Fixture::new(1);
    let (single, reusable) = (fixture.new_key(true), fixture.new_key(false));
    let enroll = |key, byte| fixture.enroll(START, key, PrivateKey::from_random([byte; 32]), "a").map(|_| ());
    enroll(&single.key, 1).unwrap();
    assert!(matches!(enroll(&single.key, 2), Err(EnrollError::KeyUsed)));
    enroll(&reusable.key, 3).unwrap();
    enroll(&reusable.key, 4).unwrap();
}

#[test]
fn of_many_machines_with_one_single_use_key_exactly_one_wins() {
    let fixture = Arc::new(Fixture::new(1));
    let key = Arc::new(fixture.new_key(true).key);
    let machines: Vec<_> = (1..=24)
        .map(|byte| {
            let (fixture, key) = (Arc::clone(&fixture), Arc::clone(&key));
            std::thread::spawn(move || {
                match fixture.enroll(START, &key, PrivateKey::from_random([byte; 32]), "a") {
                    Ok(_) => 1,
                    Err(EnrollError::KeyUsed) => 0,
                    Err(other) => panic!("{other}"),
                }
            })
        })
        .collect();
    assert_eq!(machines.into_iter().map(|machine| machine.join().unwrap()).sum::<i32>(), 1);
}

#[test]
fn a_lost_answer_loses_nothing_even_with_a_used_key() {
    let fixture = Fixture::new(1);
    let (key, private_key) = (fixture.new_key(true).key, PrivateKey::from_random([5; 32]));
    let first = fixture.enroll(START, &key, private_key.clone(), "web").unwrap();
    let again = fixture.enroll(START + 2 * HOUR, &key, private_key, "web").unwrap();
    assert_eq!(again.response.node_id, first.response.node_id);
    assert_eq!(again.response.addresses, first.response.addresses);
    assert_eq!(fixture.coordinator.authenticate(&again.token).unwrap(), first.identity);
}

#[test]
fn whoever_repeats_an_enrollment_without_the_private_key_gets_nothing_and_harms_nobody() {
    let fixture = Fixture::new(1);
    let key = fixture.new_key(true).key;
    let node = fixture.enroll(START, &key, PrivateKey::from_random([5; 32]), "web").unwrap();
    let request = request(&key, node.private_key.public_key(), "web");
    for _ in 0..3 {
        fixture.coordinator.enroll(START, &request).unwrap();
    }
    assert_eq!(fixture.coordinator.authenticate(&node.token).unwrap(), node.identity);
}

#[test]
fn a_new_token_makes_the_old_one_void_once_it_is_used() {
    let fixture = Fixture::new(1);
    let (key, private_key) = (fixture.new_key(true).key, PrivateKey::from_random([5; 32]));
    let first = fixture.enroll(START, &key, private_key.clone(), "web").unwrap();
    let again = fixture.enroll(START, &key, private_key, "web").unwrap();
    fixture.coordinator.authenticate(&first.token).unwrap();
    fixture.coordinator.authenticate(&again.token).unwrap();
    let old = fixture.coordinator.authenticate(&first.token);
    assert!(matches!(old, Err(AuthError::Unauthenticated)), "{old:?}");
    let restarted = fixture.restart();
    restarted.coordinator.authenticate(&again.token).unwrap();
}

#[test]
fn a_machine_that_enrolls_anew_with_another_key_stays_the_same_node() {
    let fixture = Fixture::new(1);
    let node = fixture.node("web");
    let other_key = fixture.new_key(true).key;
    let again = fixture.enroll(START, &other_key, node.private_key.clone(), "web").unwrap();
    assert_eq!(again.response.node_id, node.response.node_id);
    let third = fixture.enroll(START, &other_key, PrivateKey::from_random([6; 32]), "web").map(|_| ());
    assert!(matches!(third, Err(EnrollError::KeyUsed)), "the second key was used too");
}

#[test]
fn a_public_key_of_another_network_is_refused() {
    let fixture = Fixture::new(1);
    let node = fixture.node("web");
    fixture.command(START, |call| call.create_network(NewNetwork::named("second"))).unwrap();
    let key = fixture.new_key_of("second", true).key;
    let taken = fixture.enroll(START, &key, node.private_key.clone(), "web").map(|_| ());
    assert!(matches!(taken, Err(EnrollError::PublicKeyTaken)));
    // And the key was not used up by it.
    fixture.enroll(START, &key, PrivateKey::from_random([8; 32]), "web").unwrap();
}

#[test]
fn a_public_key_of_low_order_is_refused() {
    let fixture = Fixture::new(1);
    let request = request(&fixture.new_key(true).key, PublicKey::from_bytes([0; 32]), "web");
    let refused = fixture.coordinator.enroll(START, &request);
    assert!(matches!(refused, Err(EnrollError::UnusablePublicKey)));
}

#[test]
fn a_deleted_node_is_told_so_and_may_come_back_with_a_new_key() {
    let fixture = Fixture::new(1);
    let node = fixture.node("web");
    assert!(fixture.coordinator.delete_node(START, node.response.node_id).unwrap());
    let refused = fixture.coordinator.authenticate(&node.token);
    assert!(matches!(refused, Err(AuthError::NodeDeleted(Some(_)))), "{refused:?}");
    let key = fixture.new_key(true).key;
    let back = fixture.enroll(START, &key, node.private_key.clone(), "web").unwrap();
    assert_ne!(back.response.node_id, node.response.node_id);
    assert_ne!(back.response.addresses, node.response.addresses, "a freed address rests");
    fixture.coordinator.authenticate(&back.token).unwrap();
}

#[test]
fn a_token_survives_a_restart() {
    let fixture = Fixture::new(1);
    let node = fixture.node("web");
    let fixture = fixture.restart();
    assert_eq!(fixture.coordinator.authenticate(&node.token).unwrap(), node.identity);
}
