//! What admin commands write beside a coordinator that serves: taken over by what changed, and the same as if all were read anew.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use coordinator::service::resources::networks::{NetworkChange, NewNetwork};
use coordinator::service::resources::nodes::NodeChange;
use coordinator::service::{MapPoll, MapSubscription};
use fixture::{Fixture, Machine, START};
use proptest::prelude::*;
use protocol::access::Verdict;
use protocol::api::{MapEvent, NetworkMap};

/// A command, on the node or network with this number of those that there are.
#[derive(Debug, Clone)]
enum Command {
    Rename(usize, u8),
    Tag(usize, bool),
    Disable(usize, bool),
    Delete(usize),
    Move(usize, usize),
    Default(usize, bool),
    Rule(usize),
    Enroll,
}

fn commands() -> impl Strategy<Value = Vec<Command>> {
    let index = || 0..4_usize;
    prop::collection::vec(
        prop_oneof![
            (index(), any::<u8>()).prop_map(|(node, name)| Command::Rename(node, name)),
            (index(), any::<bool>()).prop_map(|(node, is)| Command::Tag(node, is)),
            (index(), any::<bool>()).prop_map(|(node, is)| Command::Disable(node, is)),
            index().prop_map(Command::Delete),
            (index(), index()).prop_map(|(node, network)| Command::Move(node, network)),
            (index(), any::<bool>()).prop_map(|(network, is)| Command::Default(network, is)),
            index().prop_map(Command::Rule),
            Just(Command::Enroll),
        ],
        1..12,
    )
}

fn play(fixture: &Fixture, nodes: &[Machine], command: &Command) {
    let node = |index: &usize| nodes[index % nodes.len()].identity.node;
    // What does not fit (a name that is taken, a node that is gone) is refused, which changes nothing.
    let _ = fixture.command(START, |call| {
        let networks = call.networks()?;
        let network = |index: &usize| networks[index % networks.len()].id;
        let change = |index, change| call.update_node(node(index), change);
        match command {
            Command::Rename(index, name) => {
                let name = Some(format!("n{name}").parse().unwrap());
                change(index, NodeChange { name, ..NodeChange::default() })
            }
            Command::Tag(index, is) => {
                let tags = Some(is.then(|| "db".parse().unwrap()).into_iter().collect());
                change(index, NodeChange { tags, ..NodeChange::default() })
            }
            Command::Disable(index, is) => {
                change(index, NodeChange { disabled: Some(*is), ..NodeChange::default() })
            }
            Command::Delete(index) => call.delete_node(node(index)),
            Command::Move(index, to) => {
                change(index, NodeChange { network: Some(network(to)), ..NodeChange::default() })
            }
            Command::Default(index, is) => {
                let default_access = Some(if *is { Verdict::Allow } else { Verdict::Deny });
                let change = NetworkChange { name: None, default_access, admission: None };
                call.update_network(network(index), change).map(drop)
            }
            Command::Rule(index) => {
                let rule = serde_json::json!({"verdict": "allow", "protocol": "any", "sources": ["db"]});
                call.create_access_rule(network(index), serde_json::from_value(rule).unwrap()).map(drop)
            }
            Command::Enroll => Ok(()),
        }
    });
    if matches!(command, Command::Enroll) {
        // Its own write between those of others.
        fixture.node("late");
    }
}

/// The map that a node has after everything that came over its stream; `None` where it is gone.
fn follow(stream: &mut MapSubscription, map: &mut Option<NetworkMap>) {
    loop {
        match stream.poll_event() {
            MapPoll::Event(event) => match *event {
                MapEvent::Snapshot(fresh) => *map = Some(fresh),
                MapEvent::Delta(delta) => map.as_mut().unwrap().apply(delta).unwrap(),
            },
            MapPoll::Request(_) | MapPoll::Idle => return,
            MapPoll::Ended(_) => {
                *map = None;
                return;
            }
        }
    }
}

fn without_revision(map: Option<NetworkMap>) -> Option<NetworkMap> {
    map.map(|map| NetworkMap { revision: 0, ..map })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_others_wrote_is_taken_over_as_if_all_were_read_anew(rounds in prop::collection::vec(commands(), 1..4)) {
        let fixture = Fixture::new(5);
        fixture.command(START, |call| call.create_network(NewNetwork::named("second"))).unwrap();
        let nodes: Vec<Machine> = (0..4).map(|number| fixture.node(&format!("node{number}"))).collect();
        fixture.coordinator.sync().unwrap();
        for round in rounds {
            round.iter().for_each(|command| play(&fixture, &nodes, command));
            fixture.coordinator.sync().unwrap();
            let maps = |fixture: &Fixture| {
                let open = |node: &Machine| fixture.coordinator.open_map(&node.identity, None).ok();
                let streams: Vec<_> = nodes.iter().map(open).collect();
                let map = |stream: Option<MapSubscription>| {
                    let (mut stream, mut map) = (stream?, None);
                    follow(&mut stream, &mut map);
                    without_revision(map)
                };
                streams.into_iter().map(map).collect::<Vec<_>>()
            };
            let taken_over = maps(&fixture);
            fixture.coordinator.reload().unwrap();
            prop_assert_eq!(taken_over, maps(&fixture));
        }
    }
}

#[test]
fn a_coordinator_that_missed_what_was_purged_reads_everything() {
    let fixture = Fixture::new(6);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let (mut stream, mut map) = (fixture.coordinator.open_map(&a.identity, None).unwrap(), None);
    follow(&mut stream, &mut map);
    fixture.command(START, |call| call.delete_node(b.identity.node)).unwrap();
    fixture.raw().execute("DELETE FROM changes", ()).unwrap();
    fixture
        .command(START, |call| {
            let name = Some("c".parse().unwrap());
            call.update_node(a.identity.node, NodeChange { name, ..NodeChange::default() })
        })
        .unwrap();
    fixture.coordinator.sync().unwrap();
    follow(&mut stream, &mut map);
    assert!(map.unwrap().peers.is_empty());
}
