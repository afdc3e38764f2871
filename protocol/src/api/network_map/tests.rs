//! Maps, changes and their text forms.

use zeroize::Zeroizing;

use super::*;
use crate::relay_token::TokenSigningKey;

fn peer(byte: u8) -> Peer {
    Peer {
        id: Uuid::from_bytes([byte; 16]),
        name: "n".parse().unwrap(),
        public_key: PublicKey::from_bytes([byte; 32]),
        allowed_ips: Vec::new(),
        online: true,
        candidates: Vec::new(),
        nat: NatProfile::default(),
        plain_endpoint: None,
        tags: Vec::new(),
        routes: Vec::new(),
    }
}

fn map() -> NetworkMap {
    NetworkMap {
        revision: 5,
        own: OwnNode {
            id: Uuid::nil(),
            name: "own".parse().unwrap(),
            network: "default".into(),
            zone: None,
            addresses: vec!["100.92.0.1/16".parse().unwrap()],
            relay: None,
            standing: Standing::Admitted,
            access: None,
            routes: Vec::new(),
        },
        peers: vec![peer(1), peer(2)],
        relays: Vec::new(),
        stun_servers: Vec::new(),
    }
}

#[test]
fn a_delta_changes_adds_and_removes_peers() {
    let mut map = map();
    let changed = Peer { online: false, ..peer(2) };
    let delta = MapDelta {
        from_revision: 5,
        revision: 7,
        upserts: vec![peer(3), changed.clone()],
        removals: vec![peer(1).public_key],
        servers: None,
        own: None,
    };
    assert_eq!(map.apply(delta), Ok(()));
    assert_eq!((map.revision, map.peers), (7, vec![changed, peer(3)]));
}

#[test]
fn a_delta_that_skips_a_revision_leaves_the_map_as_it_was() {
    let mut map = map();
    let before = map.clone();
    let delta = MapDelta {
        from_revision: 6,
        revision: 7,
        upserts: vec![peer(3)],
        removals: Vec::new(),
        servers: None,
        own: None,
    };
    assert_eq!(map.apply(delta), Err(StaleDelta { have: 5, from: 6 }));
    assert_eq!(map, before);
}

#[test]
fn a_delta_that_names_servers_replaces_all_of_them_and_another_one_none() {
    let (mut map, stun) = (map(), vec!["192.0.2.1:3478".parse().unwrap()]);
    let delta = |from_revision: u64, servers| MapDelta {
        from_revision,
        revision: from_revision + 1,
        upserts: Vec::new(),
        removals: Vec::new(),
        servers,
        own: None,
    };
    let servers = Servers { relays: Vec::new(), stun_servers: stun.clone() };
    assert_eq!(map.apply(delta(5, Some(servers))), Ok(()));
    assert_eq!(map.apply(delta(6, None)), Ok(()));
    assert_eq!(map.stun_servers, stun);
}

#[test]
fn a_delta_that_names_the_node_itself_replaces_what_was_known_of_it() {
    let mut map = map();
    let verify_key = TokenSigningKey::from_random(&Zeroizing::new([5; 32])).verifying_key();
    let relay = Some(RelayPermission { network: Uuid::nil(), verify_keys: vec![verify_key] });
    let own = OwnNode { relay, ..map.own.clone() };
    let delta = MapDelta {
        from_revision: 5,
        revision: 6,
        upserts: Vec::new(),
        removals: Vec::new(),
        servers: None,
        own: Some(Box::new(own.clone())),
    };
    let event = MapEvent::Delta(delta);
    let Ok(Some(MapEvent::Delta(delta))) = MapEvent::parse(event.name(), &event.data()) else {
        panic!("a delta survives the stream");
    };
    assert_eq!(map.apply(delta), Ok(()));
    assert_eq!(map.own, own);
}

#[test]
fn a_relay_of_a_coordinator_that_knows_no_url_is_read_and_one_without_is_written_as_ever() {
    let key = PublicKey::from_bytes([7; 32]);
    let text = format!(r#"{{"name":"main","address":"192.0.2.1:3478","public_key":"{key}"}}"#);
    let relay: RelayInfo = serde_json::from_str(&text).unwrap();
    assert_eq!((relay.url.as_deref(), serde_json::to_string(&relay).unwrap()), (None, text));
}

#[test]
fn a_coordinator_that_gives_no_zone_is_understood_and_one_of_the_public_dns_is_refused_by_name() {
    let own = map().own;
    let text = serde_json::to_string(&own).unwrap();
    assert!(!text.contains("zone"), "{text}");
    assert_eq!(serde_json::from_str::<OwnNode>(&text).unwrap(), own);
    let public = text.replacen('{', r#"{"zone":"example.org","#, 1);
    let told = serde_json::from_str::<OwnNode>(&public).unwrap_err().to_string();
    assert!(told.starts_with("zone: "), "{told}");
}

#[test]
fn an_event_survives_the_stream_and_an_unknown_one_is_skipped() {
    let event = MapEvent::Snapshot(map());
    assert_eq!(MapEvent::parse(event.name(), &event.data()).unwrap(), Some(event));
    assert_eq!(MapEvent::parse("confetti", "x").unwrap(), None);
    assert!(MapEvent::parse("snapshot", "{").is_err());
}
