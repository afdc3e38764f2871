//! What is kept of reports.

use super::*;

fn key(byte: u8) -> PublicKey {
    PublicKey::from_bytes([byte; 32])
}

fn id(byte: u8) -> Uuid {
    Uuid::from_bytes([byte; 16])
}

/// Peers 1 to 9 are of the network.
fn id_of(key: &PublicKey) -> Option<Uuid> {
    (1..10).find(|byte| *key == self::key(*byte)).map(id)
}

fn path(byte: u8, rtt_us: u32) -> PathReport {
    let remote = Some(SocketAddr::from(([198, 51, 100, byte], 4_000)));
    PathReport { peer: key(byte), kind: PathKind::Direct, remote, rtt_us: Some(rtt_us), evidence: None }
}

fn report(changed_paths_only: bool, paths: &[PathReport]) -> Report {
    Report { paths: paths.to_vec(), changed_paths_only, ..Report::default() }
}

fn kept(reported: &Reported) -> Vec<(Uuid, Option<u32>)> {
    reported.paths().iter().map(|path| (path.peer, path.rtt_us())).collect()
}

#[test]
fn a_path_is_kept_in_forty_bytes_and_comes_back_as_it_was() {
    assert_eq!(size_of::<Path>(), 40);
    for remote in ["198.51.100.1:4000", "[2001:db8::1]:4000"] {
        let remote = Some(remote.parse().unwrap());
        let path = Path::new(id(1), &PathReport { remote, ..path(1, 900) });
        assert_eq!((path.peer, path.remote(), path.rtt_us()), (id(1), remote, Some(900)));
    }
    let none = Path::new(id(1), &PathReport { remote: None, rtt_us: None, ..path(1, 900) });
    assert_eq!((none.remote(), none.rtt_us()), (None, None));
}

#[test]
fn a_report_of_changes_leaves_the_other_paths_as_they_were() {
    let mut reported = Reported::default();
    reported.take(report(false, &[path(2, 20), path(1, 10), path(3, 30)]), 1, id_of);
    reported.take(report(true, &[path(4, 40), path(2, 25)]), 2, id_of);
    let expected = [(id(1), Some(10)), (id(2), Some(25)), (id(3), Some(30)), (id(4), Some(40))];
    assert_eq!(kept(&reported), expected);
    assert_eq!(reported.path_to(id(2)).unwrap().rtt_us(), Some(25));
    reported.take(report(false, &[path(3, 31)]), 3, id_of);
    assert_eq!(kept(&reported), [(id(3), Some(31))]);
}

#[test]
fn changes_of_what_is_not_known_are_not_taken_for_all() {
    let mut reported = Reported::old(Vec::new(), 0);
    reported.take(report(true, &[path(1, 10)]), 1, id_of);
    assert!(reported.wants_all_paths() && kept(&reported).is_empty());
    reported.take(report(false, &[]), 2, id_of);
    assert!(!reported.wants_all_paths());
}

#[test]
fn a_peer_that_is_named_twice_or_a_stranger_is_kept_at_most_once() {
    let mut reported = Reported::default();
    reported.take(report(false, &[path(1, 10), path(77, 1), path(1, 11)]), 1, id_of);
    assert_eq!(reported.paths().len(), 1);
}

#[test]
fn evidence_is_kept_only_of_what_somebody_looks_at() {
    let mut looks = Looks::default();
    let snapshot = |byte| PathReport { evidence: Some(Snapshot::default()), ..path(byte, 1) };
    assert!(looks.ask(key(1), 0));
    assert_eq!(looks.take_questions(), [key(1)]);
    assert_eq!(looks.take_questions(), []);
    looks.answer(&mut [snapshot(1), snapshot(2)], 100);
    assert!(looks.evidence_on(&key(1)).is_some() && looks.evidence_on(&key(2)).is_none());
    assert!(!looks.ask(key(1), 200), "it is fresh");
    assert!(looks.ask(key(1), 100 + FRESH_MS), "it is not, any more");
    assert_eq!(looks.take_questions(), [key(1)]);
    looks.ask(key(2), 2 * LOOKS_MS);
    assert!(looks.evidence_on(&key(1)).is_none(), "nobody looks any more");
}

#[test]
fn who_looks_at_many_pairs_makes_a_node_keep_the_last_few() {
    let mut looks = Looks::default();
    for byte in 1..=50 {
        assert!(looks.ask(key(byte), 0));
    }
    assert_eq!(looks.take_questions().len(), REPORT_EVIDENCE_MAX);
}
