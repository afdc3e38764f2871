//! What nodes see of one another: snapshots, deltas, resumption, and what must never make a peer disappear.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::collections::BTreeMap;

use coordinator::service::resources::networks::NewNetwork;
use coordinator::service::resources::nodes::NewPlainNode;
use coordinator::service::{MapPoll, MapSubscription, StreamEnd};
use fixture::{Fixture, Machine, START, report};
use futures_util::FutureExt as _;
use protocol::api::{MapDelta, MapEvent, NetworkMap, Zone};
use protocol::key::PrivateKey;

fn open(fixture: &Fixture, node: &Machine, revision: Option<u64>) -> MapSubscription {
    fixture.coordinator.open_map(&node.identity, revision).unwrap()
}

fn snapshot(stream: &mut MapSubscription) -> NetworkMap {
    match stream.poll_event() {
        MapPoll::Event(event) => match *event {
            MapEvent::Snapshot(map) => map,
            delta @ MapEvent::Delta(_) => panic!("a snapshot, not {delta:?}"),
        },
        other @ (MapPoll::Request(_) | MapPoll::Idle | MapPoll::Ended(_)) => {
            panic!("a snapshot, not {other:?}")
        }
    }
}

fn delta(stream: &mut MapSubscription) -> MapDelta {
    match stream.poll_event() {
        MapPoll::Event(event) => match *event {
            MapEvent::Delta(delta) => delta,
            snapshot @ MapEvent::Snapshot(_) => panic!("a delta, not {snapshot:?}"),
        },
        other @ (MapPoll::Request(_) | MapPoll::Idle | MapPoll::Ended(_)) => panic!("a delta, not {other:?}"),
    }
}

fn names(map: &NetworkMap) -> Vec<String> {
    let mut names: Vec<_> = map.peers.iter().map(|peer| peer.name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn a_node_sees_the_others_of_its_network_and_itself_apart() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    fixture.command(START, |call| call.create_network(NewNetwork::named("second"))).unwrap();
    let key = fixture.new_key_of("second", true).key;
    fixture.enroll(START, &key, PrivateKey::from_random([9; 32]), "stranger").unwrap();

    let map = snapshot(&mut open(&fixture, &a, None));
    assert_eq!(names(&map), ["b"]);
    assert_eq!(map.own.name.as_str(), "a");
    assert_eq!(map.own.addresses, a.response.addresses);
    assert_eq!(map.stun_servers, fixture.coordinator.servers().stun_servers);
    let hosts: Vec<_> = b.response.addresses.iter().map(|net| ipnet::IpNet::from(net.addr())).collect();
    assert_eq!(map.peers[0].allowed_ips, hosts);
}

#[test]
fn changes_arrive_as_one_delta_that_applies() {
    let fixture = Fixture::new(1);
    let a = fixture.node("a");
    let mut stream = open(&fixture, &a, None);
    let mut map = snapshot(&mut stream);
    assert_eq!(stream.poll_event(), MapPoll::Idle);

    let (b, c) = (fixture.node("b"), fixture.node("c"));
    fixture.coordinator.report(START, &b.identity, report(&["10.0.0.2:1"])).unwrap();
    fixture.coordinator.delete_node(START, c.response.node_id).unwrap();
    let change = delta(&mut stream);
    assert_eq!(change.upserts.len(), 1);
    map.apply(change).unwrap();
    assert_eq!(names(&map), ["b"]);
    assert_eq!(map.peers[0].candidates, report(&["10.0.0.2:1"]).candidates);
    assert_eq!(stream.poll_event(), MapPoll::Idle);
}

#[test]
fn a_report_that_changes_nothing_costs_no_delta() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    fixture.coordinator.report(START, &b.identity, report(&["10.0.0.2:1", "10.0.0.3:1"])).unwrap();
    let mut stream = open(&fixture, &a, None);
    snapshot(&mut stream);
    fixture.coordinator.report(START, &b.identity, report(&["10.0.0.3:1", "10.0.0.2:1"])).unwrap();
    assert_eq!(stream.poll_event(), MapPoll::Idle);
}

#[test]
fn candidates_inside_the_mesh_are_not_passed_on() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let inside = format!("{}:1", b.response.addresses[0].addr());
    fixture.coordinator.report(START, &b.identity, report(&["10.0.0.2:1", &inside])).unwrap();
    let map = snapshot(&mut open(&fixture, &a, None));
    assert_eq!(map.peers[0].candidates, report(&["10.0.0.2:1"]).candidates);
}

#[test]
fn online_is_an_open_stream() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let mut stream = open(&fixture, &a, None);
    assert!(!snapshot(&mut stream).peers[0].online);
    let other = open(&fixture, &b, None);
    assert!(delta(&mut stream).upserts[0].online);
    drop(other);
    assert!(!delta(&mut stream).upserts[0].online);
}

#[test]
fn a_second_stream_of_a_node_ends_the_first_and_the_node_stays_online() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let mut watcher = open(&fixture, &a, None);
    let mut first = open(&fixture, &b, None);
    let mut second = open(&fixture, &b, None);
    assert_eq!(first.poll_event(), MapPoll::Ended(StreamEnd::Replaced));
    drop(first);
    snapshot(&mut second);
    assert!(snapshot(&mut watcher).peers[0].online);
}

#[test]
fn a_node_that_reopens_its_stream_wakes_its_old_one_and_no_other() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let mut watcher = open(&fixture, &a, None);
    let mut first = open(&fixture, &b, None);
    snapshot(&mut watcher);
    snapshot(&mut first);
    let _second = open(&fixture, &b, None);
    assert_eq!(watcher.changed().now_or_never(), None);
    assert_eq!(first.changed().now_or_never(), Some(()));
    assert_eq!(first.poll_event(), MapPoll::Ended(StreamEnd::Replaced));
}

#[test]
fn a_node_that_was_away_gets_only_what_it_missed() {
    let fixture = Fixture::new(1);
    let a = fixture.node("a");
    let mut stream = open(&fixture, &a, None);
    let mut map = snapshot(&mut stream);
    drop(stream);
    fixture.node("b");
    let mut stream = open(&fixture, &a, Some(map.revision));
    map.apply(delta(&mut stream)).unwrap();
    assert_eq!(names(&map), ["b"]);
    drop(stream);
    let mut stream = open(&fixture, &a, Some(map.revision));
    assert_eq!(stream.poll_event(), MapPoll::Idle, "nothing was missed");
}

#[test]
fn a_revision_that_is_too_old_or_never_was_gets_a_snapshot() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let mut stream = open(&fixture, &a, None);
    let old = snapshot(&mut stream).revision;
    for port in 1..=1100 {
        let report = report(&[&format!("10.0.0.2:{port}")]);
        fixture.coordinator.report(START, &b.identity, report).unwrap();
        // Else it would be told of once a second.
        fixture.coordinator.tick(START + i64::from(port) * 1_000).unwrap();
    }
    // Also for a stream that stayed open but did not read.
    assert_eq!(names(&snapshot(&mut stream)), ["b"]);
    for revision in [0, old, u64::MAX] {
        assert_eq!(names(&snapshot(&mut open(&fixture, &a, Some(revision)))), ["b"], "revision {revision}");
    }
}

#[test]
fn after_a_restart_revisions_go_on_growing_and_old_ones_get_a_snapshot() {
    let fixture = Fixture::new(1);
    let (a, _b) = (fixture.node("a"), fixture.node("b"));
    let before = snapshot(&mut open(&fixture, &a, None)).revision;
    let fixture = fixture.restart();
    let after = snapshot(&mut open(&fixture, &a, Some(before)));
    assert!(after.revision > before);
    assert_eq!(names(&after), ["b"]);
}

#[test]
fn a_restart_takes_no_candidates_out_of_the_maps() {
    let fixture = Fixture::new(1);
    let (a, b, c) = (fixture.node("a"), fixture.node("b"), fixture.node("c"));
    for (node, address) in [(&b, "10.0.0.2:1"), (&c, "10.0.0.3:1"), (&b, "10.0.0.4:1")] {
        fixture.coordinator.report(START, &node.identity, report(&[address])).unwrap();
    }
    let before = snapshot(&mut open(&fixture, &a, None));
    let fixture = fixture.restart();
    assert_eq!(snapshot(&mut open(&fixture, &a, None)).peers, before.peers);

    let break_row = "UPDATE node_candidates SET candidates = '[{' WHERE candidates LIKE '%10.0.0.4%'";
    assert_eq!(fixture.raw().execute(break_row, ()).unwrap(), 1);
    let fixture = fixture.restart();
    let map = snapshot(&mut open(&fixture, &a, None));
    let with_candidates =
        |name: &str| map.peers.iter().any(|peer| peer.name.as_str() == name && !peer.candidates.is_empty());
    assert_eq!((names(&map).len(), with_candidates("b"), with_candidates("c")), (2, false, true));
}

#[test]
fn a_deleted_nodes_stream_ends_and_the_others_are_told() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let (mut of_a, mut of_b) = (open(&fixture, &a, None), open(&fixture, &b, None));
    snapshot(&mut of_a);
    fixture.coordinator.delete_node(START, b.response.node_id).unwrap();
    assert_eq!(of_b.poll_event(), MapPoll::Ended(StreamEnd::NodeDeleted));
    assert_eq!(delta(&mut of_a).removals, [b.private_key.public_key()]);
    assert!(fixture.coordinator.open_map(&b.identity, None).is_err());
}

#[test]
fn all_streams_end_when_the_coordinator_stops() {
    let fixture = Fixture::new(1);
    let a = fixture.node("a");
    let mut stream = open(&fixture, &a, None);
    fixture.coordinator.close_streams();
    assert_eq!(stream.poll_event(), MapPoll::Ended(StreamEnd::ShuttingDown));
}

#[test]
fn what_another_process_wrote_shows_after_a_sync() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let mut stream = open(&fixture, &a, None);
    let mut map = snapshot(&mut stream);
    let endpoint = "198.51.100.4:51820".parse().unwrap();
    let printer = NewPlainNode {
        network: fixture.network.id,
        name: "printer".parse().unwrap(),
        public_key: PrivateKey::from_random([9; 32]).public_key(),
        endpoint,
    };
    fixture.command(START, |call| call.create_plain_node(printer)).unwrap();
    fixture.command(START, |call| call.delete_node(b.identity.node)).unwrap();
    assert_eq!(stream.poll_event(), MapPoll::Idle);
    fixture.coordinator.sync().unwrap();
    map.apply(delta(&mut stream)).unwrap();
    assert_eq!(names(&map), ["printer"]);
    assert_eq!(map.peers[0].plain_endpoint, Some(endpoint));
    assert!(fixture.coordinator.authenticate(&b.token).is_err());
}

#[test]
fn a_row_that_cannot_be_read_harms_no_other_node_and_removes_nothing() {
    let fixture = Fixture::new(1);
    let (a, _b, c) = (fixture.node("a"), fixture.node("b"), fixture.node("c"));
    let mut stream = open(&fixture, &a, None);
    snapshot(&mut stream);
    let break_rows =
        "PRAGMA ignore_check_constraints = ON; UPDATE nodes SET name = 'B R O K E N' WHERE name = 'b'";
    fixture.raw().execute_batch(break_rows).unwrap();
    fixture.coordinator.sync().unwrap();
    assert_eq!(stream.poll_event(), MapPoll::Idle, "what was known of the node stays");

    let fixture = {
        drop(stream);
        fixture.restart()
    };
    let map = snapshot(&mut open(&fixture, &a, None));
    assert_eq!(names(&map), ["c"], "the broken one is left out, the others are there");
    fixture.coordinator.authenticate(&c.token).unwrap();
}

#[test]
fn a_database_that_does_not_answer_removes_nobody_and_refuses_nobody_as_unknown() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let mut stream = open(&fixture, &a, None);
    snapshot(&mut stream);
    fixture.raw().execute_batch("ALTER TABLE nodes RENAME TO nodes_gone").unwrap();
    fixture.coordinator.sync().unwrap_err();
    assert_eq!(stream.poll_event(), MapPoll::Idle);
    fixture.coordinator.authenticate(&b.token).unwrap();
    let unknown = coordinator::service::NodeToken::from_random(fixture.coordinator.entropy().secret());
    let error = fixture.coordinator.authenticate(&unknown).unwrap_err();
    assert!(matches!(error, coordinator::service::AuthError::Store(_)), "{error}");

    fixture.raw().execute_batch("ALTER TABLE nodes_gone RENAME TO nodes").unwrap();
    fixture.coordinator.sync().unwrap();
    assert_eq!(stream.poll_event(), MapPoll::Idle);
}

/// Random joins, reports, departures, reconnections and restarts of streams; at each step every reader's map, built
/// from whatever events it got, is what a fresh snapshot says.
#[test]
fn a_map_built_from_deltas_is_always_the_map_that_a_snapshot_gives() {
    for seed in 1..=12 {
        let fixture = Fixture::new(seed);
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = move |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let mut nodes: Vec<Machine> = (0..4).map(|_| fixture.node("n")).collect();
        let mut readers: BTreeMap<usize, (MapSubscription, Option<NetworkMap>)> = BTreeMap::new();
        for step in 0..120 {
            let chosen = usize::try_from(next(nodes.len() as u64)).unwrap();
            let node = &nodes[chosen];
            match next(6) {
                0 if nodes.len() < 12 => nodes.push(fixture.node("n")),
                1 if step % 3 == 0 => {
                    fixture.coordinator.delete_node(START, node.response.node_id).unwrap();
                    readers.remove(&chosen);
                }
                2 => {
                    let kept = readers.remove(&chosen).and_then(|(_, map)| map);
                    if let Ok(stream) =
                        fixture.coordinator.open_map(&node.identity, kept.as_ref().map(|map| map.revision))
                    {
                        readers.insert(chosen, (stream, kept));
                    }
                }
                3 => drop(readers.remove(&chosen)),
                _ => {
                    let address = format!("10.0.0.{}:{}", chosen + 1, 1 + next(3));
                    let _ = fixture.coordinator.report(START, &node.identity, report(&[&address]));
                }
            }
            for (index, (stream, map)) in &mut readers {
                // Not each reader reads at each step.
                if next(3) == 0 {
                    continue;
                }
                catch_up(stream, map);
                let expected = fresh(&fixture, *index, &nodes);
                let found = map.as_ref().map(|map| (&map.own, &map.peers));
                assert_eq!(
                    found,
                    expected.as_ref().map(|(own, peers)| (own, peers)),
                    "seed {seed}, step {step}"
                );
            }
        }
    }
}

fn catch_up(stream: &mut MapSubscription, map: &mut Option<NetworkMap>) {
    match stream.poll_event() {
        MapPoll::Event(event) => match *event {
            MapEvent::Snapshot(fresh) => *map = Some(fresh),
            MapEvent::Delta(delta) => map.as_mut().unwrap().apply(delta).unwrap(),
        },
        MapPoll::Request(_) | MapPoll::Idle => {}
        MapPoll::Ended(why) => panic!("{why:?}"),
    }
}

/// What the overview says, which is built from the nodes and not from the list of changes.
fn fresh(
    fixture: &Fixture,
    viewer: usize,
    nodes: &[Machine],
) -> Option<(protocol::api::OwnNode, Vec<protocol::api::Peer>)> {
    let overview =
        fixture.coordinator.overview(START, &fixture.caller(Some(coordinator::store::Role::Viewer)));
    let own = nodes[viewer].response.clone();
    let mut peers: Vec<_> = overview.networks[0]
        .nodes
        .iter()
        .filter(|node| node.id != own.node_id)
        .map(|node| protocol::api::Peer {
            id: node.id,
            name: node.name.clone(),
            public_key: node.public_key,
            allowed_ips: node.addresses.iter().map(|net| ipnet::IpNet::from(net.addr())).collect(),
            online: node.online,
            candidates: node.candidates.clone(),
            nat: node.nat,
            plain_endpoint: node.plain_endpoint,
            tags: Vec::new(),
            routes: Vec::new(),
        })
        .collect();
    peers.sort_by_key(|peer| peer.public_key);
    let own = protocol::api::OwnNode {
        id: own.node_id,
        name: own.name,
        zone: Some(Zone::of_network(&own.network, fixture.network.id)),
        network: own.network,
        addresses: own.addresses,
        relay: None,
        standing: protocol::api::Standing::Admitted,
        access: None,
        routes: Vec::new(),
    };
    Some((own, peers))
}
