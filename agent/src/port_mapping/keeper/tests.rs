//! The schedule in simulated time, against routers that grant, refuse, restart, lie and fall silent.

use std::net::{Ipv4Addr, SocketAddr};

use endpoint_selection::PortMappingProtocol;
use proptest::prelude::*;

use super::*;

const HOME: Place = Place { router: Ipv4Addr::new(192, 168, 1, 1), local: Ipv4Addr::new(192, 168, 1, 5) };
const CAFE: Place = Place { router: Ipv4Addr::new(10, 0, 0, 1), local: Ipv4Addr::new(10, 0, 0, 9) };

fn second(s: u64) -> Timestamp {
    Timestamp::from_micros(s * 1_000_000)
}

fn grant(port: u16, lifetime_s: u64, epoch: Option<u32>) -> Grant<u8> {
    Grant {
        external: SocketAddr::from(([203, 0, 113, 7], port)),
        lifetime: Duration::from_secs(lifetime_s),
        protocol: PortMappingProtocol::Pcp,
        epoch,
        ticket: 1,
    }
}

/// A keeper at home that was granted a mapping at second 0.
fn holding(lifetime_s: u64, epoch: Option<u32>) -> Keeper<u8> {
    let mut keeper = Keeper::new();
    keeper.set_place(second(0), Ok(HOME));
    assert_eq!(keeper.handle_timeout(second(0)), Some(Wish { place: HOME, renew: None }));
    keeper.on_answer(second(0), Ok(grant(5, lifetime_s, epoch)), 0.0);
    keeper
}

/// Seconds from `from` until the keeper wants to ask.
fn until_asked(keeper: &mut Keeper<u8>, from: u64) -> u64 {
    (from..from + 100_000).find(|s| keeper.handle_timeout(second(*s)).is_some()).unwrap() - from
}

#[test]
fn a_router_is_asked_as_soon_as_there_is_one() {
    let mut keeper = Keeper::<u8>::new();
    assert_eq!(keeper.next_at(), None);
    keeper.set_place(second(3), Err("there is no IPv4 router".into()));
    assert_eq!((keeper.next_at(), keeper.why()), (None, Some("there is no IPv4 router")));
    keeper.set_place(second(5), Ok(HOME));
    assert_eq!(keeper.next_at(), Some(second(5)));
    assert_eq!(keeper.handle_timeout(second(5)), Some(Wish { place: HOME, renew: None }));
    assert_eq!(keeper.handle_timeout(second(9)), None, "one question at a time");
    assert_eq!(keeper.why(), None, "the answer is awaited");
}

#[test]
fn a_mapping_is_renewed_at_half_of_its_life_with_what_it_takes() {
    let mut keeper = holding(600, None);
    assert_eq!(keeper.next_at(), Some(second(300)));
    let wish = keeper.handle_timeout(second(300)).unwrap();
    assert_eq!(wish.renew, Some(grant(5, 600, None)));
    keeper.on_answer(second(301), Ok(grant(5, 600, None)), 1.0);
    assert_eq!(keeper.next_at(), Some(second(301 + 270)), "jitter makes it sooner, never later");
}

#[test]
fn a_long_life_is_checked_every_quarter_of_an_hour() {
    assert_eq!(holding(7_200, None).next_at(), Some(second(900)));
}

#[test]
fn renewals_that_fail_come_closer_to_the_end_and_never_closer_than_four_seconds() {
    let mut keeper = holding(60, None);
    let (mut now, mut pauses, mut renewed) = (0, Vec::new(), Vec::new());
    while keeper.held().is_some() {
        now += 1;
        if let Some(wish) = keeper.handle_timeout(second(now)) {
            renewed.push(wish.renew.is_some());
            keeper.on_answer(second(now), Err("silence".into()), 0.5);
            pauses.push(now);
        }
    }
    assert_eq!(now, 60, "offered until its time is over");
    assert_eq!(pauses, [30, 40, 50, 55, 59, 60]);
    assert_eq!(renewed, [true, true, false, false, false, false], "and any protocol is tried");
    assert_eq!(keeper.why(), Some("silence"));
}

#[test]
fn a_router_that_grants_nothing_is_asked_again_after_10_seconds_and_at_last_each_hour() {
    for (fraction, expected) in [(0.0, [10, 40, 160, 640, 2400, 2400]), (1.0, [15, 60, 240, 960, 3600, 3600])]
    {
        let mut keeper = Keeper::<u8>::new();
        keeper.set_place(second(0), Ok(HOME));
        keeper.handle_timeout(second(0));
        let mut now = 0;
        let pauses = [(); 6].map(|()| {
            keeper.on_answer(second(now), Err("no answer".into()), fraction);
            let pause = until_asked(&mut keeper, now);
            now += pause;
            pause
        });
        assert_eq!(pauses, expected);
    }
}

#[test]
fn another_network_means_another_router_at_once_and_the_old_mapping_is_given_back() {
    let mut keeper = holding(7_200, Some(9));
    assert_eq!(keeper.set_place(second(10), Ok(HOME)), None);
    let old = keeper.set_place(second(11), Ok(CAFE)).unwrap();
    assert_eq!((old.place, old.grant.ticket), (HOME, 1));
    assert_eq!(keeper.held(), None);
    assert_eq!(keeper.handle_timeout(second(11)), Some(Wish { place: CAFE, renew: None }));
    keeper.on_answer(second(12), Ok(grant(6, 7_200, Some(1))), 0.0);
    assert_eq!(keeper.held().map(|held| held.place), Some(CAFE));
}

#[test]
fn a_restart_is_seen_in_an_answer() {
    let mut keeper = holding(600, Some(5_000));
    keeper.handle_timeout(second(300));
    assert!(keeper.on_answer(second(300), Ok(grant(5, 600, Some(12))), 0.0));
    keeper.handle_timeout(second(600));
    assert!(!keeper.on_answer(second(600), Ok(grant(5, 600, Some(312))), 0.0));
}

#[test]
fn an_announced_restart_is_followed_by_a_question_and_an_idle_announcement_is_not() {
    let mut keeper = holding(7_200, Some(5_000));
    keeper.on_announcement(second(100), 5_100, 0.5);
    assert_eq!(keeper.next_at(), Some(second(900)));
    keeper.on_announcement(second(200), 0, 0.5);
    assert_eq!(keeper.next_at(), Some(second(201)));
}

#[test]
fn a_flood_of_announcements_makes_one_question_each_ten_seconds() {
    let mut keeper = holding(7_200, Some(5_000));
    let mut asked = 0;
    for step in 0..60_000_u32 {
        let now = Timestamp::from_micros(u64::from(step) * 1_000);
        keeper.on_announcement(now, step.wrapping_mul(0x9e37_79b9), 0.0);
        if keeper.handle_timeout(now).is_some() {
            asked += 1;
            keeper.on_answer(now, Ok(grant(5, 7_200, None)), 0.0);
        }
    }
    assert!(asked <= 6, "{asked}");
}

#[test]
fn an_announcement_ends_the_pause_of_a_router_that_granted_nothing() {
    let mut keeper = Keeper::<u8>::new();
    keeper.set_place(second(0), Ok(HOME));
    keeper.handle_timeout(second(0));
    keeper.on_answer(second(0), Err("no answer".into()), 0.0);
    keeper.handle_timeout(second(10));
    keeper.on_answer(second(10), Err("no answer".into()), 0.0);
    assert_eq!(keeper.next_at(), Some(second(50)));
    keeper.on_announcement(second(30), 3, 0.0);
    assert_eq!(keeper.next_at(), Some(second(30)));
}

#[test]
fn a_doubt_that_changes_nothing_makes_the_next_one_wait() {
    let mut keeper = holding(7_200, None);
    let mut asked = Vec::new();
    for now in 1..1_000 {
        keeper.on_doubt(second(now));
        if keeper.handle_timeout(second(now)).is_some() {
            asked.push(now);
            keeper.on_answer(second(now), Ok(grant(5, 7_200, None)), 0.0);
        }
    }
    assert_eq!(asked, [10, 30, 70, 150, 310, 630]);
    keeper.on_answer(second(1_000), Ok(grant(6, 7_200, None)), 0.0);
    keeper.on_doubt(second(1_020));
    assert_eq!(keeper.next_at(), Some(second(1_020)), "another answer is news");
}

#[derive(Debug, Clone)]
enum Event {
    Wait(u32),
    Place(u8),
    Grant(u16, u32, Option<u32>),
    Refuse,
    Announce(u32),
    Doubt,
    Refresh,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<u32>().prop_map(|ms| Event::Wait(ms % 4_000_000)),
        (0..3_u8).prop_map(Event::Place),
        (any::<u16>(), any::<u32>(), any::<Option<u32>>()).prop_map(|(p, l, e)| Event::Grant(p, l, e)),
        Just(Event::Refuse),
        any::<u32>().prop_map(Event::Announce),
        Just(Event::Doubt),
        Just(Event::Refresh),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_no_question_is_put_beside_another_nor_too_soon(
        events in prop::collection::vec((event(), 0.0..=1.0), 0..120)
    ) {
        let mut keeper = Keeper::new();
        let mut now = 0_u64;
        let mut asked_at: Option<u64> = None;
        let mut is_asking = false;
        for (event, fraction) in events {
            let at = Timestamp::from_micros(now * 1_000);
            match event {
                Event::Wait(ms) => now += u64::from(ms),
                Event::Place(which) => {
                    let place = [Ok(HOME), Ok(CAFE), Err("nowhere".to_owned())][usize::from(which)].clone();
                    if keeper.place().ok_or(()) != place.clone().map_err(|_| ()) {
                        (is_asking, asked_at) = (false, None);
                    }
                    keeper.set_place(at, place);
                }
                Event::Grant(port, lifetime, epoch) if is_asking => {
                    if let Ok(grant) = grant(port, u64::from(lifetime), epoch).checked() {
                        keeper.on_answer(at, Ok(grant), fraction);
                    } else {
                        keeper.on_answer(at, Err("lies".into()), fraction);
                    }
                    is_asking = false;
                }
                Event::Refuse if is_asking => {
                    keeper.on_answer(at, Err("no".into()), fraction);
                    is_asking = false;
                }
                Event::Grant(..) | Event::Refuse => {}
                Event::Announce(counter) => keeper.on_announcement(at, counter, fraction),
                Event::Doubt => keeper.on_doubt(at),
                Event::Refresh => keeper.refresh(at),
            }
            let at = Timestamp::from_micros(now * 1_000);
            let had = keeper.held().map(|held| held.expires_at);
            if keeper.handle_timeout(at).is_some() {
                prop_assert!(!is_asking);
                let is_lost = had.is_some_and(|expires| expires <= at);
                prop_assert!(is_lost || asked_at.is_none_or(|asked| now - asked >= 4_000), "{asked_at:?} {now}");
                (is_asking, asked_at) = (true, Some(now));
            }
            prop_assert!(keeper.held().is_none_or(|held| held.expires_at > at));
            prop_assert!(keeper.next_at().is_some() || keeper.place().is_none() || is_asking);
        }
    }
}
