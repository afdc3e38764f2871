//! What nodes hold a coordinator to outlives restarts and restores.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use coordinator::service::MapPoll;
use coordinator::store::{self, DataDir, Store, StoreError};
use coordinator::{Coordinator, Entropy};
use fixture::{Fixture, Machine, START};
use protocol::api::{MapEvent, Servers};
use protocol::map_signature::MapVerifyingKey;

/// The revision of a node's map, and the key that signs it.
fn map(coordinator: &std::sync::Arc<Coordinator>, node: &Machine) -> (u64, MapVerifyingKey) {
    let mut stream = coordinator.open_map(&node.identity, None).unwrap();
    let MapPoll::Event(event) = stream.poll_event() else { panic!("a map") };
    let MapEvent::Snapshot(map) = &*event else { panic!("a whole map") };
    let signature = stream.sign(&event, &event.data());
    assert!(signature.is_of(&event.place(node.identity.node), &event.data()));
    (map.revision, signature.key())
}

#[test]
fn a_restored_coordinator_signs_with_the_same_key_and_is_newer_than_it_ever_was() {
    let fixture = Fixture::new(1);
    let node = fixture.node("a");
    let (dir, backup) = (DataDir::new(fixture.directory.path()), fixture.directory.path().join("backup"));
    store::backup(&dir, &backup).unwrap();
    let (first, key) = map(&fixture.coordinator, &node);
    let fixture = fixture.restart().restart();
    let (newest, again) = map(&fixture.coordinator, &node);
    assert!(newest > first && again == key);
    let Fixture { directory: _directory, coordinator, .. } = fixture;
    drop(coordinator);
    store::restore(&dir, &backup, START).unwrap();
    let store = Store::open(&dir).unwrap();
    let announce = |_: &_, _| Ok::<_, StoreError>(Servers::default());
    let restored = Coordinator::open(store, Entropy::seeded(7), START, announce).unwrap();
    let (revision, again) = map(&restored, &node);
    assert!(revision > newest && again == key, "{revision:x} after {newest:x}");
}
