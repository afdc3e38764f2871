//! A relay that UDP does not reach is reached over WebSocket, and over UDP again when that works, in simulated time.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod world;

use std::time::Duration;

use engine::{Input, RelayTransport};
use world::{START, World, address, stand_in, udp, udp6};

const URL: Option<&str> = Some("https://c.example/api/v1/relay");

#[test]
fn where_udp_is_silent_the_relay_is_reached_over_web_socket_within_half_a_second() {
    let mut world = World::new(URL);
    world.open();
    assert!(world.now.since(START) <= Duration::from_millis(500));
    assert_eq!(world.transport(), (RelayTransport::WebSocket, true));
    assert_eq!(world.server(), Some(stand_in()));
    assert_eq!(world.believed, [udp(), stand_in()]);
    world.run(Duration::from_secs(120));
    assert_eq!((world.server(), world.opened.len()), (Some(stand_in()), 1), "and stays");
}

#[test]
fn what_a_relay_sees_over_web_socket_is_no_candidate() {
    let mut world = World::new(URL);
    world.open();
    world.run(Duration::from_secs(10));
    assert_eq!(world.reported, [address("192.168.1.2:4000")]);
}

#[test]
fn where_udp_works_no_connection_is_opened_and_a_slow_answer_ends_the_attempt() {
    let mut world = World::new(URL);
    world.is_udp_open = true;
    world.run(Duration::from_secs(120));
    assert_eq!(world.transport(), (RelayTransport::Udp, true));
    assert!(world.opened.is_empty());
    let mut slow = World::new(URL);
    slow.run(Duration::from_millis(350));
    assert!(slow.is_open);
    slow.is_udp_open = true;
    slow.run(Duration::from_secs(2));
    assert!(!slow.is_open);
    assert_eq!((slow.server(), slow.opened.len()), (Some(udp()), 1));
}

#[test]
fn a_relay_without_a_url_is_asked_over_udp_alone() {
    let mut world = World::new(None);
    world.run(Duration::from_secs(60));
    assert!(world.opened.is_empty());
}

#[test]
fn a_session_that_udp_loses_moves_to_web_socket_and_back_when_udp_answers_for_a_while() {
    let mut world = World::new(URL);
    world.is_udp_open = true;
    world.run(Duration::from_secs(5));
    world.is_udp_open = false;
    // A keepalive each 10 s, five of 250 ms unanswered, and the patience with the next registration.
    world.run(Duration::from_secs(13));
    assert!(world.is_open);
    world.give(Input::WebSocketOpened { relay: udp(), address: stand_in() });
    world.run(Duration::from_secs(30));
    assert_eq!((world.transport(), world.server()), ((RelayTransport::WebSocket, true), Some(stand_in())));
    world.is_udp_open = true;
    let (mut without_path, mut waited) = (0, 0);
    while world.server() != Some(udp()) && waited < 60_000 {
        world.run(Duration::from_millis(1));
        without_path += u32::from(world.path.is_none());
        waited += 1;
    }
    assert!((10_000..20_000).contains(&waited), "{waited} ms");
    assert_eq!(without_path, 0, "traffic has a path all the time");
    assert!(!world.is_open);
    assert_eq!((world.transport(), world.believed.clone()), ((RelayTransport::Udp, true), vec![udp()]));
}

#[test]
fn one_lucky_answer_over_udp_does_not_end_the_web_socket() {
    let mut world = World::new(URL);
    world.open();
    for _ in 0..10 {
        world.is_udp_open = true;
        world.run(Duration::from_secs(5));
        world.is_udp_open = false;
        world.run(Duration::from_secs(10));
    }
    assert_eq!(world.transport(), (RelayTransport::WebSocket, true));
    assert_eq!(world.opened.len(), 1);
}

#[test]
fn a_web_socket_that_cannot_be_opened_is_tried_again_ever_less_often() {
    let mut world = World::new(URL);
    let mut tried = 0;
    for _ in 0..6_000 {
        world.run(Duration::from_millis(100));
        if world.opened.len() > tried {
            tried = world.opened.len();
            world.is_open = false;
            world.give(Input::WebSocketClosed { relay: udp() });
        }
    }
    // Ten minutes: pauses of 0.5 to 1 s that double up to 30 to 60 s.
    assert!((12..30).contains(&tried), "{tried}");
    let pauses: Vec<_> = world.opened.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert!(pauses.iter().all(|pause| *pause <= Duration::from_secs(75)), "{pauses:?}");
    assert!(pauses.last().unwrap() >= &Duration::from_secs(30), "{pauses:?}");
    world.give(Input::Rediscover);
    world.run(Duration::from_secs(1));
    assert_eq!(world.opened.len(), tried + 1, "another network is tried at once");
}

#[test]
fn a_web_socket_that_dies_or_falls_silent_is_replaced() {
    let mut world = World::new(URL);
    world.open();
    world.is_open = false;
    world.give(Input::WebSocketClosed { relay: udp() });
    assert_eq!(world.path, None);
    world.run(Duration::from_secs(3));
    assert!(world.is_open, "a new one is asked for");
    world.give(Input::WebSocketOpened { relay: udp(), address: stand_in() });
    world.run(Duration::from_secs(1));
    assert_eq!(world.server(), Some(stand_in()));
    world.is_web_socket_answered = false;
    world.run(Duration::from_secs(20));
    assert_eq!(world.opened.len(), 3, "a dead one is given up and another one asked for");
}

#[test]
fn an_answer_to_a_wish_that_nobody_has_any_more_closes_what_was_opened() {
    let mut world = World::new(URL);
    world.is_udp_open = true;
    world.run(Duration::from_secs(1));
    world.is_open = true;
    world.give(Input::WebSocketOpened { relay: udp(), address: stand_in() });
    assert!(!world.is_open);
    assert_eq!(world.server(), Some(udp()));
    world.give(Input::WebSocketClosed { relay: udp() });
    world.give(Input::WebSocketOpened { relay: address("192.0.2.99:1"), address: stand_in() });
    world.run(Duration::from_secs(60));
    assert_eq!(world.server(), Some(udp()));
}

#[test]
fn a_relay_with_two_addresses_gets_one_connection_and_none_where_one_of_them_answers() {
    let mut world = World::with_two_addresses(URL);
    world.open();
    world.run(Duration::from_secs(30));
    assert_eq!((world.transport(), world.opened.len()), ((RelayTransport::WebSocket, true), 1));
    world.is_udp6_open = true;
    world.run(Duration::from_secs(60));
    assert!(!world.is_open);
    assert_eq!((world.server(), world.opened.len()), (Some(udp6()), 1));
    let mut other = World::with_two_addresses(URL);
    other.is_udp6_open = true;
    other.run(Duration::from_secs(120));
    assert_eq!((other.server(), other.opened.len()), (Some(udp6()), 0));
}

#[test]
fn a_relay_with_two_addresses_holds_one_session_at_the_first_that_answers_and_nothing_takes_it_away() {
    let mut world = World::with_two_addresses(None);
    (world.is_udp_open, world.is_udp6_open) = (true, true);
    world.run(Duration::from_secs(600));
    assert_eq!((world.server(), world.made), (Some(udp()), 1));
}

#[test]
fn a_relay_that_is_lost_at_one_address_is_reached_at_the_other() {
    let mut world = World::with_two_addresses(None);
    (world.is_udp_open, world.is_udp6_open) = (true, true);
    world.run(Duration::from_secs(5));
    for (is_udp_open, server) in [(false, udp6()), (true, udp()), (false, udp6())] {
        (world.is_udp_open, world.is_udp6_open) = (is_udp_open, !is_udp_open);
        // A keepalive each 10 s, and five of 250 ms unanswered.
        world.run(Duration::from_secs(12));
        assert_eq!(world.server(), Some(server));
    }
}
