//! Who sees whom: standing, tags and access rules, as the maps show it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::sync::Arc;

use coordinator::Coordinator;
use coordinator::service::MapPoll;
use coordinator::service::resources::access_rules::AccessRuleText;
use coordinator::service::resources::networks::NetworkChange;
use coordinator::service::resources::nodes::NodeChange;
use coordinator::store::{Admission, Role};
use fixture::{Fixture, HOUR, Machine, START, report};
use futures_util::FutureExt;
use protocol::access::Verdict;
use protocol::api::{MapEvent, NetworkMap, NodeName, Standing, Zone};
use serde_json::json;

/// A node with its open map stream, and the map that it has made of it.
struct Viewer {
    machine: Machine,
    stream: coordinator::service::MapSubscription,
    map: Option<NetworkMap>,
}

impl Viewer {
    fn new(fixture: &Fixture, name: &str) -> Self {
        let machine = fixture.node(name);
        let stream = fixture.coordinator.open_map(&machine.identity, None).unwrap();
        Self { machine, stream, map: None }
    }

    /// The map after everything that is to be had; and how many events it took.
    fn map(&mut self) -> (&NetworkMap, usize) {
        let mut events = 0;
        loop {
            match self.stream.poll_event() {
                MapPoll::Event(event) => match *event {
                    MapEvent::Snapshot(map) => self.map = Some(map),
                    MapEvent::Delta(delta) => {
                        self.map.as_mut().expect("a snapshot first").apply(delta).unwrap();
                    }
                },
                MapPoll::Request(_) | MapPoll::Idle => break,
                MapPoll::Ended(why) => panic!("{why:?}"),
            }
            events += 1;
        }
        (self.map.as_ref().expect("a map"), events)
    }

    fn sees(&mut self) -> Vec<String> {
        let mut names: Vec<_> = self.map().0.peers.iter().map(|peer| peer.name.to_string()).collect();
        names.sort();
        names
    }

    fn standing(&mut self) -> Standing {
        self.map().0.own.standing
    }
}

fn change(fixture: &Fixture, viewer: &Viewer, change: serde_json::Value) {
    let member = fixture.member(Role::Admin);
    let change: NodeChange = serde_json::from_value(change).unwrap();
    fixture.coordinator.call(START, &member).update_node(viewer.machine.identity.node, change).unwrap();
    fixture.coordinator.tick(START).unwrap();
}

fn deny_by_default(fixture: &Fixture) {
    let member = fixture.member(Role::Admin);
    let change = NetworkChange { name: None, default_access: Some(Verdict::Deny), admission: None };
    fixture.coordinator.call(START, &member).update_network(fixture.network.id, change).unwrap();
}

fn allow(fixture: &Fixture, rule: serde_json::Value) {
    let member = fixture.member(Role::Admin);
    let rule: AccessRuleText = serde_json::from_value(rule).unwrap();
    fixture.coordinator.call(START, &member).create_access_rule(fixture.network.id, rule).unwrap();
}

/// What another process changed shows at the next look, which the service's own calls do not wait for.
fn look(coordinator: &Arc<Coordinator>) {
    coordinator.reload().unwrap();
}

#[test]
fn where_the_default_is_deny_nobody_sees_anybody_until_a_rule_says_so() {
    let fixture = Fixture::new(1);
    let [mut web, mut db, mut laptop] = ["web", "db", "laptop"].map(|name| Viewer::new(&fixture, name));
    assert_eq!(web.sees(), ["db", "laptop"]);
    deny_by_default(&fixture);
    look(&fixture.coordinator);
    assert!(web.sees().is_empty() && db.sees().is_empty() && laptop.sees().is_empty());

    allow(
        &fixture,
        json!({"verdict": "allow", "sources": ["frontend"], "destinations": ["database"], "protocol": "tcp", "ports": ["5432"]}),
    );
    look(&fixture.coordinator);
    assert!(web.sees().is_empty(), "nobody has the tags yet");
    change(&fixture, &web, json!({"tags": ["frontend"]}));
    change(&fixture, &db, json!({"tags": ["database"]}));
    look(&fixture.coordinator);
    assert_eq!((web.sees(), db.sees()), (vec!["db".into()], vec!["web".into()]));
    assert!(laptop.sees().is_empty());

    let access = db.map().0.own.access.clone().unwrap();
    let tags = db.map().0.peers[0].tags.clone();
    let filter = access.filter_for(&tags);
    assert!(filter.permits(6, Some(5432)) && !filter.permits(6, Some(22)) && !filter.permits(17, Some(5432)));
    let access = web.map().0.own.access.clone().unwrap();
    assert!(access.filter_for(&web.map().0.peers[0].tags.clone()).is_closed(), "answers only");
}

#[test]
fn a_tag_that_is_taken_away_takes_the_peer_out_of_both_maps() {
    let fixture = Fixture::new(1);
    let [mut a, mut b] = ["a", "b"].map(|name| Viewer::new(&fixture, name));
    deny_by_default(&fixture);
    allow(&fixture, json!({"verdict": "allow", "sources": ["ops"], "protocol": "any"}));
    change(&fixture, &a, json!({"tags": ["ops"]}));
    look(&fixture.coordinator);
    assert_eq!((a.sees(), b.sees()), (vec!["b".into()], vec!["a".into()]));
    change(&fixture, &a, json!({"tags": []}));
    look(&fixture.coordinator);
    assert!(a.sees().is_empty() && b.sees().is_empty());
}

#[test]
fn what_happens_to_a_node_that_one_may_not_see_sends_nothing() {
    let fixture = Fixture::new(1);
    let [mut a, b] = ["a", "b"].map(|name| Viewer::new(&fixture, name));
    deny_by_default(&fixture);
    look(&fixture.coordinator);
    a.map();
    fixture.coordinator.report(START, &b.machine.identity, report(&["192.0.2.7:1"])).unwrap();
    assert_eq!(a.map().1, 0);
}

#[test]
fn a_node_that_waits_sees_nobody_until_an_administrator_admits_it() {
    let fixture = Fixture::new(1);
    let mut old = Viewer::new(&fixture, "old");
    let member = fixture.member(Role::Admin);
    let manual = NetworkChange { name: None, default_access: None, admission: Some(Admission::Manual) };
    fixture.coordinator.call(START, &member).update_network(fixture.network.id, manual).unwrap();
    let mut new = Viewer::new(&fixture, "new");
    assert!(new.sees().is_empty() && old.sees().is_empty());
    assert_eq!(new.standing(), Standing::Waiting);
    change(&fixture, &new, json!({"admitted": true}));
    look(&fixture.coordinator);
    assert_eq!((new.sees(), old.sees()), (vec!["old".into()], vec!["new".into()]));
    assert_eq!(new.standing(), Standing::Admitted);
}

#[test]
fn a_node_that_is_switched_off_is_out_of_all_maps_and_comes_back_when_it_is_switched_on() {
    let fixture = Fixture::new(1);
    let [mut a, mut b] = ["a", "b"].map(|name| Viewer::new(&fixture, name));
    change(&fixture, &a, json!({"disabled": true}));
    look(&fixture.coordinator);
    assert!(a.sees().is_empty() && b.sees().is_empty());
    assert_eq!(a.standing(), Standing::Disabled);
    change(&fixture, &a, json!({"disabled": false}));
    look(&fixture.coordinator);
    assert_eq!((a.sees(), b.sees()), (vec!["b".into()], vec!["a".into()]));
}

#[test]
fn a_node_expires_at_its_time_and_a_clock_that_was_wrong_is_forgiven() {
    let fixture = Fixture::new(1);
    let [mut a, mut b] = ["a", "b"].map(|name| Viewer::new(&fixture, name));
    change(&fixture, &a, json!({"expires_at_ms": START + HOUR}));
    look(&fixture.coordinator);
    assert_eq!(b.sees(), ["a"]);
    fixture.coordinator.tick(START + HOUR - 1).unwrap();
    assert_eq!((b.sees(), a.standing()), (vec!["a".into()], Standing::Admitted));
    fixture.coordinator.tick(START + HOUR).unwrap();
    assert!(a.sees().is_empty() && b.sees().is_empty());
    assert_eq!(a.standing(), Standing::Expired);
    fixture.coordinator.tick(START).unwrap();
    assert_eq!((a.sees(), b.sees()), (vec!["b".into()], vec!["a".into()]));
}

#[test]
fn a_renamed_node_hears_its_name_and_so_do_its_peers() {
    let fixture = Fixture::new(1);
    let [mut a, mut b] = ["a", "b"].map(|name| Viewer::new(&fixture, name));
    a.map();
    change(&fixture, &a, json!({"name": "renamed"}));
    look(&fixture.coordinator);
    assert_eq!(b.sees(), ["renamed"]);
    assert_eq!(a.map().0.own.name, "renamed".parse::<NodeName>().unwrap());
}

#[test]
fn a_node_hears_the_zone_of_its_network_and_another_when_that_is_renamed() {
    let fixture = Fixture::new(1);
    let mut a = Viewer::new(&fixture, "a");
    let (node, organization) = (a.machine.identity.node, fixture.network.organization_id);
    let member = fixture.member(Role::Admin);
    for (name, zone) in [("Main Office", "main-office.warren.internal"), ("lab", "lab.warren.internal")] {
        let renamed = NetworkChange { name: Some(name.into()), default_access: None, admission: None };
        fixture.coordinator.call(START, &member).update_network(fixture.network.id, renamed).unwrap();
        look(&fixture.coordinator);
        assert_eq!(a.map().0.own.zone.as_ref().map(Zone::as_str), Some(zone));
        let told = fixture.coordinator.node(organization, node).unwrap().dns_name;
        assert_eq!(told, format!("a.{zone}"));
    }
}

#[test]
fn one_access_rule_that_cannot_be_read_leaves_the_rules_of_its_network_as_they_were() {
    let fixture = Fixture::new(1);
    let [mut a, mut b] = ["a", "b"].map(|name| Viewer::new(&fixture, name));
    deny_by_default(&fixture);
    allow(&fixture, json!({"verdict": "allow", "sources": ["ops"], "protocol": "any"}));
    change(&fixture, &a, json!({"tags": ["ops"]}));
    look(&fixture.coordinator);
    fixture.raw().execute("UPDATE access_rules SET sources = 'nonsense'", ()).unwrap();
    fixture.coordinator.sync().unwrap();
    assert_eq!((a.sees(), b.sees()), (vec!["b".into()], vec!["a".into()]));
}

#[test]
fn an_ephemeral_node_is_deleted_when_it_has_been_offline_for_ten_minutes() {
    let fixture = Fixture::new(1);
    let member = fixture.member(Role::Admin);
    let wanted = json!({"network": fixture.network.id, "ephemeral": true, "tags": ["ci"]});
    let call = fixture.coordinator.call(START, &member);
    let key = call.create_enrollment_key(serde_json::from_value(wanted).unwrap()).unwrap();
    let key = key.key.parse().unwrap();
    let machine =
        fixture.enroll(START, &key, protocol::key::PrivateKey::from_random([9; 32]), "job").unwrap();
    let nodes = || fixture.coordinator.nodes(fixture.network.organization_id);
    assert_eq!(nodes()[0].tags, ["ci".parse().unwrap()]);
    let stream = fixture.coordinator.open_map(&machine.identity, None).unwrap();
    fixture.coordinator.tick(START + HOUR).unwrap();
    assert_eq!(nodes().len(), 1, "it is online");
    drop(stream);
    let pass = |from: i64, seconds: i64| {
        (1..=seconds).for_each(|second| fixture.coordinator.tick(from + second * 1_000).unwrap());
    };
    pass(START + HOUR, 300);
    // The machine's clock is put right, by a day: nobody was away for that long.
    let later = START + 24 * HOUR;
    pass(later, 290);
    assert_eq!(nodes().len(), 1);
    pass(later + 290_000, 10);
    assert!(nodes().is_empty());
}

/// One rule of a network whose default is to deny, and where it is found.
struct Rule {
    id: uuid::Uuid,
    from: Option<usize>,
    to: Option<usize>,
}

/// The nodes, rules and tags of a network at random, and who must see whom by them.
struct World {
    fixture: Fixture,
    viewers: Vec<Viewer>,
    tags: Vec<Option<usize>>,
    disabled: Vec<bool>,
    rules: Vec<Rule>,
}

const TAGS: [&str; 3] = ["red", "green", "blue"];

impl World {
    fn new(seed: u64) -> Self {
        let fixture = Fixture::new(seed);
        deny_by_default(&fixture);
        let viewers: Vec<_> = (0..6).map(|number| Viewer::new(&fixture, &format!("n{number}"))).collect();
        let count = viewers.len();
        look(&fixture.coordinator);
        Self { fixture, viewers, tags: vec![None; count], disabled: vec![false; count], rules: Vec::new() }
    }

    fn step(&mut self, mut next: impl FnMut(usize) -> usize) {
        let chosen = next(self.viewers.len());
        let member = self.fixture.member(Role::Admin);
        let call = self.fixture.coordinator.call(START, &member);
        let tag = |number: usize| number.checked_sub(1);
        let name = |tag: Option<usize>| tag.map(|tag| TAGS[tag]).into_iter().collect::<Vec<_>>();
        match next(6) {
            0 => {
                let (from, to) = (tag(next(4)), tag(next(4)));
                let rule = json!({"verdict": "allow", "protocol": "any", "sources": name(from), "destinations": name(to)});
                let rule = serde_json::from_value(rule).unwrap();
                let id = call.create_access_rule(self.fixture.network.id, rule).unwrap().id;
                self.rules.push(Rule { id, from, to });
            }
            1 if !self.rules.is_empty() => {
                let gone = self.rules.swap_remove(next(self.rules.len()));
                call.delete_access_rule(self.fixture.network.id, gone.id).unwrap();
            }
            2 => {
                self.disabled[chosen] = !self.disabled[chosen];
                change(&self.fixture, &self.viewers[chosen], json!({"disabled": self.disabled[chosen]}));
            }
            3 => {
                self.tags[chosen] = tag(next(4));
                change(&self.fixture, &self.viewers[chosen], json!({"tags": name(self.tags[chosen])}));
            }
            _ => {
                let told = report(&[&format!("10.0.0.{}:{}", chosen + 1, 1 + next(3))]);
                self.fixture.coordinator.report(START, &self.viewers[chosen].machine.identity, told).unwrap();
            }
        }
        look(&self.fixture.coordinator);
    }

    /// By the rules alone.
    fn must_see(&self, viewer: usize) -> Vec<String> {
        let has = |wanted: Option<usize>, node: usize| wanted.is_none_or(|tag| self.tags[node] == Some(tag));
        let reaches = |from, to| self.rules.iter().any(|rule| has(rule.from, from) && has(rule.to, to));
        let seen = (0..self.viewers.len()).filter(|other| {
            *other != viewer
                && !self.disabled[viewer]
                && !self.disabled[*other]
                && (reaches(viewer, *other) || reaches(*other, viewer))
        });
        seen.map(|other| format!("n{other}")).collect()
    }
}

/// Streams are read only when they are woken, as a connection does: a change that wakes too few shows here.
#[test]
fn however_tags_rules_and_standing_change_each_map_shows_whom_the_rules_let_it_see() {
    for seed in 1..=10 {
        let mut world = World::new(seed);
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut next = move |below: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            usize::try_from(random % below as u64).unwrap()
        };
        for viewer in &mut world.viewers {
            viewer.map();
        }
        for step in 0..80 {
            world.step(&mut next);
            for number in 0..world.viewers.len() {
                let expected = world.must_see(number);
                let viewer = &mut world.viewers[number];
                if viewer.stream.changed().now_or_never().is_some() {
                    viewer.map();
                }
                let map = viewer.map.as_ref().unwrap();
                let mut seen: Vec<_> = map.peers.iter().map(|peer| peer.name.to_string()).collect();
                seen.sort();
                assert_eq!(seen, expected, "seed {seed}, step {step}, n{number}");
            }
        }
    }
}
