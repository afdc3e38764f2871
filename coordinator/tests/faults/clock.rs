//! Clocks that jump: a machine without a battery starts in 1970, a mistake sets the year 9999.

use coordinator::service::{AuthError, Caller, EnrollError, MapPoll, sign_in};
use coordinator::store::{DataDir, Store, StoreError};
use coordinator::{Coordinator, Entropy};
use protocol::api::{MapEvent, Servers};
use protocol::key::PrivateKey;

use crate::fixture::{Fixture, HOUR, START, report};

const DAY: i64 = 24 * HOUR;

/// The last millisecond of the year 9999.
const FAR: i64 = 253_402_300_799_999;

/// The clocks that a coordinator may find itself on.
const CLOCKS: [i64; 5] = [0, START - 10 * 365 * DAY, START, START + 100 * 365 * DAY, FAR];

#[test]
fn on_any_clock_nodes_report_and_machines_with_a_fresh_key_enroll() {
    let fixture = Fixture::new(1);
    let machine = fixture.node("a");
    for (number, now) in (0..).zip(CLOCKS.into_iter().chain(CLOCKS)) {
        let told = report(&[&format!("192.168.1.9:{}", 1_000 + number)]);
        let answer = fixture.coordinator.report(now, &machine.identity, told).unwrap();
        assert!(answer.relay_token_lifetime_s > 0, "at {now}");
        fixture.coordinator.sync().unwrap();
        let key = fixture.new_key_at(now, "default", true);
        let private_key = PrivateKey::from_random([u8::try_from(number + 1).unwrap(); 32]);
        fixture.enroll(now, &key.key, private_key, &format!("at-{number}")).unwrap();
        assert_eq!(fixture.coordinator.authenticate(&machine.token).unwrap(), machine.identity, "at {now}");
    }
}

#[test]
fn an_expired_key_works_again_only_while_the_clock_is_wrong_and_a_used_one_never() {
    let fixture = Fixture::new(2);
    let (used, unused) = (fixture.new_key(true), fixture.new_key(true));
    let key = |number: u8| PrivateKey::from_random([number; 32]);
    fixture.enroll(START, &used.key, key(1), "first").unwrap();
    for now in CLOCKS {
        let second = fixture.enroll(now, &used.key, key(2), "second");
        assert!(matches!(second, Err(EnrollError::KeyUsed)), "at {now}");
    }
    let late = |now| fixture.enroll(now, &unused.key, key(3), "late");
    for now in [START + HOUR, FAR] {
        assert!(matches!(late(now), Err(EnrollError::KeyExpired)), "at {now}");
    }
    // Nothing was spent by the refusals.
    assert!(late(START + HOUR - 1).is_ok());
}

#[test]
fn a_jump_of_a_century_and_back_purges_no_node_that_is_there() {
    let mut fixture = Fixture::new(3);
    let (there, gone) = (fixture.node("there"), fixture.node("gone"));
    fixture.coordinator.delete_node(START, gone.identity.node).unwrap();
    for now in [START, FAR, 0, START] {
        fixture = restart_at(fixture, now);
        assert_eq!(fixture.coordinator.authenticate(&there.token).unwrap(), there.identity, "at {now}");
        // Purged or not, a deleted node is not let in.
        let refused = fixture.coordinator.authenticate(&gone.token).unwrap_err();
        assert!(
            matches!(refused, AuthError::NodeDeleted(_) | AuthError::Unauthenticated),
            "at {now}: {refused}"
        );
    }
    let (rows, bad) = fixture.coordinator.store().read::<_, StoreError>(|tx| tx.nodes()).unwrap();
    assert_eq!((rows.len(), bad.len()), (1, 0));
}

#[test]
fn presence_follows_the_stream_whatever_the_clock_says() {
    let fixture = Fixture::new(4);
    let (watching, watched) = (fixture.node("watching"), fixture.node("watched"));
    let mut watch = fixture.coordinator.open_map(&watching.identity, None).unwrap();
    assert!(matches!(watch.poll_event(), MapPoll::Event(_)));
    let mut seen = || match watch.poll_event() {
        MapPoll::Event(event) => match *event {
            MapEvent::Delta(delta) => delta.upserts[0].online,
            MapEvent::Snapshot(_) => panic!("a snapshot where a delta does"),
        },
        other @ (MapPoll::Request(_) | MapPoll::Idle | MapPoll::Ended(_)) => panic!("{other:?}"),
    };
    for (port, now) in (1_000..).zip(CLOCKS.into_iter().rev()) {
        let stream = fixture.coordinator.open_map(&watched.identity, None).unwrap();
        let told = report(&[&format!("192.168.1.7:{port}")]);
        fixture.coordinator.report(now, &watched.identity, told).unwrap();
        assert!(seen(), "at {now}");
        drop(stream);
        assert!(!seen(), "at {now}");
    }
}

#[test]
fn a_session_lasts_by_the_clock_and_a_used_link_signs_nobody_in_on_any() {
    let fixture = Fixture::new(5);
    let (store, entropy) = (fixture.coordinator.store(), fixture.coordinator.entropy());
    let link = sign_in::create_link(store, entropy, START).unwrap();
    for now in [START + HOUR, FAR] {
        assert!(
            sign_in::use_link(store, entropy, now, (&link.token, "a browser")).unwrap().is_none(),
            "expired at {now}"
        );
    }
    let session = sign_in::use_link(store, entropy, START, (&link.token, "a browser")).unwrap().unwrap();
    for now in CLOCKS {
        assert!(
            sign_in::use_link(store, entropy, now, (&link.token, "a browser")).unwrap().is_none(),
            "used, at {now}"
        );
        let is_valid = now < START + sign_in::SESSION_LIFETIME_MS;
        assert_eq!(Caller::of_session(store, now, &session).is_ok(), is_valid, "at {now}");
    }
    // A jump costs the sign-in at worst, where a link is made meanwhile; never more.
    sign_in::create_link(store, entropy, FAR).unwrap();
    assert!(Caller::of_session(store, START, &session).is_err());
    let fresh = sign_in::create_link(store, entropy, START).unwrap();
    assert!(sign_in::use_link(store, entropy, START, (&fresh.token, "a browser")).unwrap().is_some());
}

/// The same database under a coordinator that starts at another time.
fn restart_at(fixture: Fixture, now_ms: i64) -> Fixture {
    let Fixture { directory, coordinator, network } = fixture;
    drop(coordinator);
    let store = Store::open(&DataDir::new(directory.path())).unwrap();
    let none = |_: &PrivateKey, _| Ok::<_, StoreError>(Servers::default());
    let coordinator = Coordinator::open(store, Entropy::seeded(6), now_ms, none).unwrap();
    Fixture { directory, coordinator, network }
}
