//! What a node reports of its paths: all of them at first, then what changed, and evidence where somebody looks.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use endpoint_selection::Timestamp;
use endpoint_selection::nat::NatProfile;
use engine::{Engine, EngineConfig, Input, Output};
use protocol::api::{MapDelta, MapEvent, NetworkMap, OwnNode, Peer, Report, ReportResponse, Standing};
use protocol::key::PrivateKey;
use protocol::relay_token::{SignedToken, TOKEN_LEN};
use uuid::Uuid;
use zeroize::Zeroizing;

const START: Timestamp = Timestamp::from_micros(1_000_000);

fn key(byte: u8) -> PrivateKey {
    PrivateKey::from_random([byte; 32])
}

/// A plain WireGuard peer: its path is direct at once.
fn peer(byte: u8, id: u8, port: u16) -> Peer {
    Peer {
        id: Uuid::from_bytes([id; 16]),
        name: format!("peer-{byte}").parse().unwrap(),
        public_key: key(byte).public_key(),
        allowed_ips: vec![format!("100.92.0.{byte}/32").parse().unwrap()],
        online: true,
        candidates: Vec::new(),
        nat: NatProfile::default(),
        plain_endpoint: Some(format!("198.51.100.{byte}:{port}").parse().unwrap()),
        tags: Vec::new(),
        routes: Vec::new(),
    }
}

struct Node {
    engine: Engine,
    now: Timestamp,
    revision: u64,
}

impl Node {
    /// Node 1 with peers 2 and 3.
    fn new() -> Self {
        let config = EngineConfig {
            private_key: key(1),
            local_port: 4000,
            seed: Zeroizing::new([7; 32]),
            static_candidates: Vec::new(),
            agent_version: "test".into(),
        };
        let map = NetworkMap {
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
            peers: vec![peer(2, 2, 1), peer(3, 3, 1)],
            relays: Vec::new(),
            stun_servers: Vec::new(),
        };
        let mut node = Self { engine: Engine::new(config, START), now: START, revision: 5 };
        node.hear(Input::Map(MapEvent::Snapshot(map)));
        node
    }

    fn hear(&mut self, input: Input<'_>) {
        self.engine.handle_input(self.now, input);
    }

    fn change(&mut self, peer: Peer) {
        let (from_revision, revision) = (self.revision, self.revision + 1);
        self.revision = revision;
        self.hear(Input::Map(MapEvent::Delta(MapDelta {
            from_revision,
            revision,
            upserts: vec![peer],
            removals: Vec::new(),
            servers: None,
            own: None,
        })));
    }

    /// The next report within this time.
    fn report_within(&mut self, time: Duration) -> Option<Report> {
        let end = self.now + time;
        loop {
            while let Some(output) = self.engine.poll_output() {
                if let Output::Report(report) = output {
                    return Some(report);
                }
            }
            let (at, _) = self.engine.poll_timeout().filter(|(at, _)| *at <= end)?;
            self.now = self.now.max(at);
            self.engine.handle_timeout(self.now);
        }
    }

    fn report(&mut self) -> Report {
        self.report_within(Duration::from_secs(61)).unwrap()
    }

    fn accept(&mut self, wants_all_paths: bool) {
        self.hear(Input::ReportAccepted(ReportResponse {
            relay_token: SignedToken([0; TOKEN_LEN]),
            relay_token_lifetime_s: 3_600,
            report_interval_s: 60,
            wants_all_paths,
        }));
    }

    fn accepted_report(&mut self) -> Report {
        let report = self.report();
        self.accept(false);
        report
    }
}

fn peers(report: &Report) -> Vec<u8> {
    let number = |public_key| (1..10).find(|byte| key(*byte).public_key() == public_key).unwrap();
    let mut peers: Vec<u8> = report.paths.iter().map(|path| number(path.peer)).collect();
    peers.sort_unstable();
    peers
}

#[test]
fn the_first_report_names_all_paths_and_the_next_only_what_changed() {
    let mut node = Node::new();
    let first = node.accepted_report();
    assert_eq!((peers(&first), first.changed_paths_only), (vec![2, 3], false));
    let second = node.accepted_report();
    assert_eq!((peers(&second), second.changed_paths_only), (vec![], true));
    node.change(peer(3, 3, 2));
    let third = node.accepted_report();
    assert_eq!((peers(&third), third.changed_paths_only), (vec![3], true));
}

#[test]
fn what_a_lost_report_said_is_said_again() {
    let mut node = Node::new();
    node.report();
    node.hear(Input::ReportFailed);
    let again = node.accepted_report();
    assert_eq!((peers(&again), again.changed_paths_only), (vec![2, 3], false));
    node.change(peer(3, 3, 2));
    assert_eq!(peers(&node.report()), [3]);
    // It may have come in or not; meanwhile the path is as it was before.
    node.change(peer(3, 3, 1));
    node.hear(Input::ReportFailed);
    assert_eq!(peers(&node.accepted_report()), [3]);
}

#[test]
fn a_coordinator_that_starts_anew_is_told_all_paths_at_once() {
    let mut node = Node::new();
    node.accepted_report();
    node.report();
    node.accept(true);
    let all = node.report_within(Duration::from_secs(1)).unwrap();
    assert_eq!((peers(&all), all.changed_paths_only), (vec![2, 3], false));
}

#[test]
fn a_peer_that_enrolled_anew_is_another_one_to_the_coordinator() {
    let mut node = Node::new();
    node.accepted_report();
    node.change(peer(2, 9, 1));
    assert_eq!(peers(&node.accepted_report()), [2]);
}

#[test]
fn all_paths_are_told_again_within_a_quarter_of_an_hour() {
    let mut node = Node::new();
    node.accepted_report();
    let mut quiet = 0;
    while node.accepted_report().changed_paths_only {
        quiet += 1;
    }
    assert_eq!(quiet, 14);
}

#[test]
fn evidence_is_reported_at_once_where_somebody_asks_and_only_then() {
    let mut node = Node::new();
    assert!(node.accepted_report().paths.iter().all(|path| path.evidence.is_none()));
    node.hear(Input::ReportRequested(vec![key(3).public_key(), key(8).public_key()]));
    let asked = node.report_within(Duration::from_secs(1)).unwrap();
    node.accept(false);
    assert_eq!(peers(&asked), [3]);
    assert!(asked.paths[0].evidence.is_some() && asked.changed_paths_only);
    assert_eq!(node.accepted_report().paths, []);
}
