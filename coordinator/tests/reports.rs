//! What a report is answered with, and which are refused.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use coordinator::service::{MapPoll, RELAY_TOKEN_LIFETIME_S, ReportRefused};
use endpoint_selection::CandidateSource;
use fixture::{Fixture, START, report};
use protocol::api::{MapEvent, PathKind, PathReport, Report, ReportRequest};
use protocol::key::PublicKey;
use protocol::relay_token::{RelayToken, TokenError};

#[test]
fn a_report_is_answered_with_a_token_that_relays_believe_for_an_hour() {
    let directory = tempfile::tempdir().unwrap();
    let dir = coordinator::store::DataDir::new(directory.path());
    let store = coordinator::store::Store::open_or_create(&dir).unwrap();
    let entropy = coordinator::Entropy::seeded(4);
    let network = coordinator::service::administration::init(&store, &entropy, START, ("o", "o", "default"));
    let mut verifying_key = None;
    let coordinator = coordinator::Coordinator::open(store, entropy, START, |_, key| {
        verifying_key = Some(key);
        Ok::<_, coordinator::store::StoreError>(protocol::api::Servers::default())
    })
    .unwrap();
    let fixture = Fixture { directory, coordinator, network: network.unwrap().network };
    let node = fixture.node("a");

    let answer = fixture.coordinator.report(START, &node.identity, report(&["10.0.0.1:1"])).unwrap();
    let start_s = u64::try_from(START / 1000).unwrap();
    let end_s = start_s + u64::from(RELAY_TOKEN_LIFETIME_S);
    let verify = |now_s| RelayToken::verify(&answer.relay_token.0, &verifying_key.unwrap(), now_s);
    let token = verify(end_s - 1).unwrap();
    assert_eq!((token.node, token.network), (node.private_key.public_key(), fixture.network.id));
    assert_eq!(verify(end_s), Err(TokenError::Expired));
}

#[test]
fn a_report_with_a_wrong_field_is_refused_and_the_last_good_one_stays() {
    let fixture = Fixture::new(1);
    let node = fixture.node("a");
    fixture.coordinator.report(START, &node.identity, report(&["10.0.0.1:1"])).unwrap();
    let loopback = fixture.coordinator.report(START, &node.identity, report(&["127.0.0.1:1"])).unwrap_err();
    assert!(matches!(loopback, ReportRefused::Invalid(_)), "{loopback}");
    let mut long = report(&["10.0.0.1:1"]);
    long.candidates[0].source = CandidateSource::Interface("e".repeat(65));
    let long = fixture.coordinator.report(START, &node.identity, long).unwrap_err();
    assert_eq!(long.to_string(), "candidates[0].source: an interface name has at most 64 bytes");
    assert_eq!(candidates(&fixture), ["10.0.0.1:1"]);
}

#[test]
fn paths_to_strangers_are_not_kept() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let path =
        |peer| PathReport { peer, kind: PathKind::Direct, remote: None, rtt_us: Some(900), evidence: None };
    let mut sent = report(&[]);
    sent.paths = vec![path(b.private_key.public_key()), path(PublicKey::from_bytes([1; 32]))];
    fixture.coordinator.report(START, &a.identity, sent).unwrap();
    let overview = overview(&fixture);
    let paths = &overview.networks[0].nodes[0].paths;
    assert_eq!(paths.iter().map(|path| path.peer.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_person_sees_only_the_networks_of_her_organizations() {
    let fixture = Fixture::new(1);
    fixture.node("a");
    assert_eq!(overview(&fixture).networks.len(), 1);
    assert!(fixture.coordinator.overview(START, &fixture.caller(None)).networks.is_empty());
}

fn overview(fixture: &Fixture) -> coordinator::service::Overview {
    fixture.coordinator.overview(START, &fixture.caller(Some(coordinator::store::Role::Viewer)))
}

fn candidates(fixture: &Fixture) -> Vec<String> {
    let overview = overview(fixture);
    overview.networks[0].nodes[0].candidates.iter().map(|candidate| candidate.address.to_string()).collect()
}

#[test]
fn a_coordinator_that_does_not_know_the_other_paths_asks_for_all() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let path = |rtt_us| PathReport {
        peer: b.private_key.public_key(),
        kind: PathKind::Direct,
        remote: None,
        rtt_us: Some(rtt_us),
        evidence: None,
    };
    let send = |fixture: &Fixture, paths, changed_paths_only| {
        let sent = Report { paths, changed_paths_only, ..report(&["10.0.0.1:1"]) };
        fixture.coordinator.report(START, &a.identity, sent).unwrap().wants_all_paths
    };
    let rtt =
        |fixture: &Fixture| overview(fixture).networks[0].nodes[0].paths.first().and_then(|path| path.rtt_us);

    assert!(!send(&fixture, vec![path(900)], false));
    assert!(!send(&fixture, vec![], true));
    assert_eq!(rtt(&fixture), Some(900));
    let fixture = fixture.restart();
    assert!(send(&fixture, vec![], true));
    assert!(!send(&fixture, vec![path(800)], false));
    assert_eq!(rtt(&fixture), Some(800));
}

#[test]
fn who_looks_at_a_pair_makes_both_nodes_tell_what_they_know() {
    let fixture = Fixture::new(1);
    let (a, b) = (fixture.node("a"), fixture.node("b"));
    let caller = fixture.caller(Some(coordinator::store::Role::Viewer));
    let look = |now_ms| fixture.coordinator.pair(now_ms, &caller, a.identity.node, b.identity.node).unwrap();
    assert!(!look(START).1, "nobody is there to answer");

    let mut stream = fixture.coordinator.open_map(&a.identity, None).unwrap();
    while matches!(stream.poll_event(), MapPoll::Event(_)) {}
    let (pair, may_come) = look(START + 10_000);
    assert!(may_come && pair.pair.own.paths.is_none());
    let key = b.private_key.public_key();
    assert_eq!(stream.poll_event(), MapPoll::Request(ReportRequest { evidence_on: vec![key] }));
    assert_eq!(stream.poll_event(), MapPoll::Idle);

    let evidence = Some(endpoint_selection::Snapshot::default());
    let path = PathReport { peer: key, kind: PathKind::Relay, remote: None, rtt_us: None, evidence };
    let sent = Report { paths: vec![path], ..report(&[]) };
    fixture.coordinator.report(START + 10_050, &a.identity, sent).unwrap();
    let (pair, may_come) = look(START + 10_060);
    assert!(!may_come && pair.pair.own.paths.is_some());
}

#[test]
fn a_node_that_changes_without_pause_is_told_of_once_a_second_and_at_last_as_it_is() {
    let fixture = Fixture::new(1);
    let [watcher, restless] = ["watcher", "restless"].map(|name| fixture.node(name));
    let mut stream = fixture.coordinator.open_map(&watcher.identity, None).unwrap();
    stream.poll_event();
    let mut told = 0;
    for port in 1..=200 {
        let address = format!("10.0.0.9:{port}");
        fixture.coordinator.report(START, &restless.identity, report(&[&address])).unwrap();
        told += u32::from(matches!(stream.poll_event(), MapPoll::Event(_)));
    }
    assert!((20..=40).contains(&told), "{told}");
    fixture.coordinator.tick(START + 2_000).unwrap();
    let map = fixture.coordinator.open_map(&watcher.identity, None).unwrap().poll_event();
    let MapPoll::Event(event) = map else { panic!("no map") };
    let MapEvent::Snapshot(map) = *event else { panic!("no snapshot") };
    assert_eq!(map.peers[0].candidates[0].address, "10.0.0.9:200".parse().unwrap());
}
