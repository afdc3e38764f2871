//! One attempt, run in simulated time: what each party does, in which order, how fast, and how it ends.

use proptest::prelude::*;

use super::*;
use crate::traversal::examples::any_side;
use crate::traversal::{Party, plan};

const STEP: i16 = 2;
const PREDICTION: Technique = Technique::Prediction { mapper: Party::Own, step: STEP, window: 3 };
const MUTUAL: Technique = Technique::MutualPrediction { window: 16 };
const BLOCK: Technique = Technique::PortBlock { mapper: Party::Own, first: 2_048, last: 2_559, sockets: 8 };
const BIRTHDAY: Technique = Technique::Birthday { mapper: Party::Own, sockets: 256, probes: 2_048 };
const ALL: [Technique; 4] = [PREDICTION, MUTUAL, BLOCK, BIRTHDAY];

fn at_ms(ms: u64) -> Timestamp {
    Timestamp::from_micros(ms * 1_000)
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn own() -> SocketAddr {
    address("203.0.113.1:20000")
}

fn peer() -> SocketAddr {
    address("203.0.113.2:41641")
}

fn names(count: u16) -> Vec<SocketId> {
    (1..=count).map(SocketId).collect()
}

fn mapper(technique: Technique) -> Attempt {
    Attempt::mapper(at_ms(0), technique, own(), &[peer()], &names(256), true).unwrap()
}

fn punch(kind: PunchKind) -> Punch {
    Punch { outside: own(), kind }
}

fn outputs(attempt: &mut Attempt) -> Vec<AttemptOutput> {
    std::iter::from_fn(|| attempt.poll_output()).collect()
}

/// Lets it run without any news until it is over: what it asks for, each with its time.
fn run(attempt: &mut Attempt) -> Vec<(Timestamp, AttemptOutput)> {
    let mut now = at_ms(0);
    let mut all = Vec::new();
    loop {
        all.extend(outputs(attempt).into_iter().map(|output| (now, output)));
        let Some(next) = attempt.poll_timeout() else { return all };
        assert!(next >= now, "time does not go back");
        now = next;
        attempt.handle_timeout(now);
    }
}

fn probes(outputs: &[(Timestamp, AttemptOutput)]) -> Vec<(Timestamp, SocketId, SocketAddr)> {
    let probe = |(at, output): &(Timestamp, AttemptOutput)| match output {
        AttemptOutput::Probe { socket, remote } => Some((*at, *socket, *remote)),
        AttemptOutput::Open { .. }
        | AttemptOutput::Close { .. }
        | AttemptOutput::Stun { .. }
        | AttemptOutput::Signal { .. } => None,
    };
    outputs.iter().filter_map(probe).collect()
}

fn open(socket: u16) -> AttemptOutput {
    AttemptOutput::Open { socket: SocketId(socket) }
}

fn close(socket: u16) -> AttemptOutput {
    AttemptOutput::Close { socket: SocketId(socket) }
}

fn stun(socket: u16) -> AttemptOutput {
    AttemptOutput::Stun { socket: SocketId(socket) }
}

#[test]
fn a_mapper_opens_asks_tells_and_then_sends() {
    let mut attempt = mapper(PREDICTION);
    assert_eq!(outputs(&mut attempt), [open(1), stun(1)]);
    let newest = address("203.0.113.1:20004");
    attempt.on_reflexive(at_ms(30), SocketId(1), newest);
    let kind = PunchKind::Prediction { step: STEP, window: 3 };
    assert_eq!(
        outputs(&mut attempt),
        [
            AttemptOutput::Signal { punch: Punch { outside: newest, kind } },
            AttemptOutput::Probe { socket: SocketId(1), remote: peer() },
        ]
    );
}

#[test]
fn a_mapper_of_many_ports_tells_the_range_at_once_and_opens_each_socket_when_it_sends_from_it() {
    let mut attempt = mapper(BLOCK);
    let all = run(&mut attempt);
    let kind = PunchKind::Range { first: 2_048, last: 2_559, probes: 512 };
    assert_eq!(all[0].1, open(1));
    assert_eq!(all[2].1, AttemptOutput::Signal { punch: punch(kind) });
    let opened = all.iter().filter(|(_, output)| matches!(output, AttemptOutput::Open { .. }));
    assert_eq!(opened.map(|(_, output)| *output).collect::<Vec<_>>(), (1..=8).map(open).collect::<Vec<_>>());
    let sockets: Vec<SocketId> = probes(&all)[..8].iter().map(|(_, socket, _)| *socket).collect();
    assert_eq!(sockets, names(8));
    assert!(probes(&all).iter().all(|(_, _, remote)| *remote == peer()));
}

#[test]
fn a_prober_follows_the_prediction_from_its_main_socket() {
    let mut attempt = Attempt::prober(at_ms(0), &punch(PunchKind::Prediction { step: STEP, window: 3 }), 7);
    let all = probes(&run(&mut attempt));
    let ports: Vec<u16> = all.iter().map(|(_, _, remote)| remote.port()).collect();
    assert_eq!(ports, [20_002, 20_004, 20_006].repeat(4));
    assert!(all.iter().all(|(_, socket, remote)| *socket == SocketId::MAIN && remote.ip() == own().ip()));
}

#[test]
fn in_mutual_prediction_each_sends_once_it_knows_both_newest_ports_in_either_order() {
    let theirs = Punch { outside: peer(), kind: PunchKind::MutualPrediction { step: 1, window: 16 } };
    let first_probe = |outputs: &[AttemptOutput]| {
        outputs.iter().find_map(|output| match output {
            AttemptOutput::Probe { remote, .. } => Some(*remote),
            AttemptOutput::Open { .. }
            | AttemptOutput::Close { .. }
            | AttemptOutput::Stun { .. }
            | AttemptOutput::Signal { .. } => None,
        })
    };
    for asks_first in [true, false] {
        let mut attempt = mapper(MUTUAL).with_step(3);
        outputs(&mut attempt);
        let news: [&dyn Fn(&mut Attempt); 2] =
            [&|attempt| attempt.on_reflexive(at_ms(30), SocketId(1), own()), &|attempt| {
                attempt.on_punch(at_ms(30), &theirs)
            }];
        let (one, other) = if asks_first { (0, 1) } else { (1, 0) };
        news[one](&mut attempt);
        let before = outputs(&mut attempt);
        assert_eq!(first_probe(&before), None, "it knows only one of the two");
        news[other](&mut attempt);
        let after = outputs(&mut attempt);
        assert_eq!(first_probe(&after), Some(address("203.0.113.2:41642")));
        let told =
            AttemptOutput::Signal { punch: punch(PunchKind::MutualPrediction { step: 3, window: 16 }) };
        assert!(before.contains(&told) || after.contains(&told), "{before:?} {after:?}");
    }
}

#[test]
fn a_lost_stun_answer_is_asked_for_again_and_three_lost_ones_are_the_end() {
    let mut attempt = mapper(PREDICTION);
    let all = run(&mut attempt);
    assert_eq!(
        all,
        [
            (at_ms(0), open(1)),
            (at_ms(0), stun(1)),
            (at_ms(500), stun(1)),
            (at_ms(1_000), stun(1)),
            (at_ms(1_500), close(1)),
        ]
    );
    assert_eq!(attempt.outcome(), Some(Outcome::Failed));
}

#[test]
fn the_second_stun_answer_is_as_good_as_the_first() {
    let mut attempt = mapper(PREDICTION);
    attempt.handle_timeout(at_ms(500));
    attempt.on_reflexive(at_ms(540), SocketId(1), own());
    let mut told = outputs(&mut attempt);
    told.retain(|output| matches!(output, AttemptOutput::Signal { .. }));
    assert_eq!(told.len(), 1);
    attempt.on_reflexive(at_ms(550), SocketId(1), own());
    assert_eq!(outputs(&mut attempt), [], "one that comes late changes nothing");
}

#[test]
fn stun_answers_that_name_no_address_or_another_socket_are_ignored() {
    for (socket, outside) in
        [(SocketId(1), "0.0.0.0:9"), (SocketId(1), "203.0.113.1:0"), (SocketId(2), "203.0.113.1:9")]
    {
        let mut attempt = mapper(PREDICTION);
        outputs(&mut attempt);
        attempt.on_reflexive(at_ms(1), socket, address(outside));
        assert_eq!(outputs(&mut attempt), [], "{socket} {outside}");
    }
}

#[test]
fn a_party_that_hears_nothing_of_the_other_gives_up() {
    let mut attempt = mapper(MUTUAL);
    attempt.on_reflexive(at_ms(20), SocketId(1), own());
    let all = run(&mut attempt);
    assert_eq!((all.last(), attempt.outcome()), (Some(&(at_ms(3_000), close(1))), Some(Outcome::Failed)));
}

#[test]
fn success_closes_every_socket_but_the_one_that_won() {
    let mut attempt = mapper(BLOCK);
    attempt.handle_timeout(at_ms(100));
    outputs(&mut attempt);
    attempt.on_opened(SocketId(3));
    assert_eq!(outputs(&mut attempt), [1, 2, 4, 5, 6, 7, 8].map(close));
    assert_eq!(attempt.outcome(), Some(Outcome::Opened { socket: SocketId(3) }));
    attempt.handle_timeout(at_ms(1_000));
    attempt.on_opened(SocketId(4));
    assert_eq!((outputs(&mut attempt).len(), attempt.poll_timeout()), (0, None), "it is over");
    assert_eq!(attempt.outcome(), Some(Outcome::Opened { socket: SocketId(3) }));
}

#[test]
fn a_path_through_the_main_socket_ends_the_attempt_and_all_its_sockets() {
    let mut attempt = mapper(BLOCK);
    attempt.handle_timeout(at_ms(12));
    outputs(&mut attempt);
    attempt.on_opened(SocketId::MAIN);
    assert_eq!(outputs(&mut attempt), [1, 2, 3].map(close), "those that were opened so far");
}

#[test]
fn without_sockets_or_addresses_there_is_no_attempt() {
    for technique in ALL {
        let attempt = |remotes: &[SocketAddr], free: &[SocketId]| {
            Attempt::mapper(at_ms(0), technique, own(), remotes, free, true)
        };
        assert!(attempt(&[peer()], &[]).is_none());
        assert!(attempt(&[], &names(1)).is_none());
        assert!(attempt(&[address("127.0.0.1:80"), address("224.0.0.1:80")], &names(1)).is_none());
    }
}

#[test]
fn nothing_is_sent_from_a_socket_that_the_host_did_not_give() {
    let mut attempt = mapper(BLOCK);
    for socket in [2, 3, 4] {
        attempt.on_no_socket(SocketId(socket));
    }
    let all = run(&mut attempt);
    let sockets: Vec<u16> = probes(&all).iter().skip(1).take(4).map(|(_, socket, _)| socket.0).collect();
    assert_eq!(sockets, [5, 6, 7, 8]);
    assert!(!all.iter().any(|(_, output)| *output == close(3)), "it was never open");
}

#[test]
fn an_attempt_fails_when_the_host_gives_no_socket_at_all() {
    let mut attempt = mapper(PREDICTION);
    attempt.on_no_socket(SocketId(1));
    assert_eq!(attempt.outcome(), Some(Outcome::Failed));
    let mut prober = Attempt::prober(at_ms(0), &punch(PunchKind::Prediction { step: 1, window: 1 }), 0);
    prober.on_no_socket(SocketId(1));
    assert_eq!(prober.outcome(), None, "a prober needs none");
}

#[test]
fn a_loop_that_comes_late_sends_the_rest_later_and_not_faster() {
    let kind = PunchKind::Range { first: 1_024, last: u16::MAX, probes: 2_048 };
    let mut attempt = Attempt::prober(at_ms(0), &punch(kind), 1);
    outputs(&mut attempt);
    attempt.handle_timeout(at_ms(5_000));
    assert_eq!(outputs(&mut attempt).len(), BURST_MAX);
    assert_eq!(attempt.poll_timeout(), Some(at_ms(5_005)));
}

#[test]
fn a_punch_to_where_no_peer_is_sends_nothing() {
    let kinds = [
        PunchKind::Prediction { step: 1, window: 16 },
        PunchKind::MutualPrediction { step: 1, window: 16 },
        PunchKind::Range { first: 1, last: 65_535, probes: 9 },
    ];
    for outside in [
        "203.0.113.1:0",
        "0.0.0.0:9",
        "127.0.0.1:9",
        "[::1]:9",
        "[::ffff:127.0.0.1]:9",
        "224.0.0.251:5353",
        "[ff02::fb]:5353",
        "240.0.0.1:9",
        "255.255.255.255:9",
        "169.254.169.254:80",
        "[fe80::1]:9",
    ] {
        for kind in kinds {
            let hostile = Punch { outside: address(outside), kind };
            let mut prober = Attempt::prober(at_ms(0), &hostile, 3);
            assert_eq!((run(&mut prober).len(), prober.outcome()), (0, Some(Outcome::Failed)), "{hostile:?}");
            let mut mutual = mapper(MUTUAL);
            mutual.on_punch(at_ms(1), &hostile);
            mutual.on_reflexive(at_ms(2), SocketId(1), own());
            assert_eq!(probes(&run(&mut mutual)), [], "{hostile:?}");
        }
    }
}

#[test]
fn a_punch_that_asks_for_no_port_has_failed_at_once() {
    for kind in [
        PunchKind::Prediction { step: 1, window: 0 },
        PunchKind::Range { first: 9, last: 3, probes: 9 },
        PunchKind::Range { first: 0, last: 0, probes: 9 },
        PunchKind::Range { first: 1, last: 9, probes: 0 },
    ] {
        assert_eq!(Attempt::prober(at_ms(0), &punch(kind), 3).outcome(), Some(Outcome::Failed), "{kind:?}");
    }
}

#[test]
fn a_step_of_nothing_is_one_port_however_wide_the_window() {
    let kind = PunchKind::Prediction { step: 0, window: u16::MAX };
    let all = probes(&run(&mut Attempt::prober(at_ms(0), &punch(kind), 0)));
    assert_eq!(all.len(), 4);
    assert!(all.iter().all(|(_, _, remote)| *remote == own()));
}

#[test]
fn predictions_that_leave_the_ports_end_there() {
    for step in [i16::MIN, i16::MAX] {
        let kind = PunchKind::Prediction { step, window: u16::MAX };
        let all = probes(&run(&mut Attempt::prober(at_ms(0), &punch(kind), 0)));
        assert!(all.len() <= 4 && all.iter().all(|(_, _, remote)| remote.port() > 0), "{step} {all:?}");
    }
}

fn any_punch() -> impl Strategy<Value = Punch> {
    let kind = prop_oneof![
        any::<(i16, u16)>().prop_map(|(step, window)| PunchKind::Prediction { step, window }),
        any::<(i16, u16)>().prop_map(|(step, window)| PunchKind::MutualPrediction { step, window }),
        any::<(u16, u16, u16)>().prop_map(|(first, last, probes)| PunchKind::Range { first, last, probes }),
    ];
    (any::<SocketAddr>(), kind).prop_map(|(outside, kind)| Punch { outside, kind })
}

/// Whatever it was told, it kept to the budget, to addresses that peers have, and came to an end.
fn check_limits(all: &[(Timestamp, AttemptOutput)], attempt: &Attempt) -> Result<(), TestCaseError> {
    let budget = Budget::default();
    let probes = probes(all);
    prop_assert!(probes.len() <= usize::from(budget.probes_max), "{} probes", probes.len());
    prop_assert!(probes.iter().all(|(_, _, remote)| check_address(*remote, &[]).is_ok()));
    let interval = Duration::from_micros(budget.interval_us());
    prop_assert!(probes.windows(2).all(|pair| pair[0].0 + interval <= pair[1].0), "faster than the budget");
    prop_assert!(attempt.outcome().is_some());
    prop_assert!(all.last().is_none_or(|(at, _)| *at <= at_ms(16_000)));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_hostile_punch_gets_no_more_than_the_budget(punch in any_punch(), seed in any::<u64>()) {
        let mut prober = Attempt::prober(at_ms(0), &punch, seed);
        check_limits(&run(&mut prober), &prober)?;
        let mut mutual = mapper(MUTUAL);
        mutual.on_punch(at_ms(0), &punch);
        mutual.on_reflexive(at_ms(0), SocketId(1), own());
        check_limits(&run(&mut mutual), &mutual)?;
    }

    #[test]
    fn an_attempt_costs_no_more_than_its_plan_says(
        own_side in any_side(),
        peer_side in any_side(),
        failures in 0_u32..5,
    ) {
        for planned in plan(&own_side, &peer_side, failures).techniques {
            let (technique, cost) = (planned.technique, planned.cost);
            let mut mapper = Attempt::mapper(at_ms(0), technique, own(), &[peer(), own()], &names(256), true).unwrap();
            mapper.on_reflexive(at_ms(0), SocketId(1), own());
            mapper.on_punch(at_ms(0), &punch(PunchKind::MutualPrediction { step: 1, window: u16::MAX }));
            let of_mapper = run(&mut mapper);
            let told = of_mapper.iter().find_map(|(_, output)| match output {
                AttemptOutput::Signal { punch } => Some(*punch),
                AttemptOutput::Open { .. }
                | AttemptOutput::Close { .. }
                | AttemptOutput::Stun { .. }
                | AttemptOutput::Probe { .. } => None,
            });
            let mut prober = Attempt::prober(at_ms(0), &told.unwrap(), 5);
            let of_prober = run(&mut prober);
            let opened = of_mapper.iter().filter(|(_, output)| matches!(output, AttemptOutput::Open { .. })).count();
            prop_assert!(opened <= usize::from(cost.sockets));
            for (attempt, all) in [(&mapper, &of_mapper), (&prober, &of_prober)] {
                check_limits(all, attempt)?;
                let is_cut = matches!(technique, Technique::MutualPrediction { .. });
                prop_assert!(is_cut || probes(all).len() <= usize::from(cost.probes), "{planned:?}");
                let end = all.last().map_or(at_ms(0), |(at, _)| *at);
                prop_assert!(is_cut || end <= at_ms(u64::from(cost.duration_ms)), "{planned:?} {end:?}");
            }
        }
    }
}
