//! What becomes of answers, silence and requests that come back.

use std::collections::VecDeque;

use endpoint_selection::nat::{Allocation, Mapping};
use protocol::stun;

use super::*;
use crate::entropy::Entropy;
use crate::output::Output;

const SERVERS: [&str; 4] =
    ["198.51.100.1:3478", "198.51.100.1:3479", "198.51.100.2:3478", "198.51.100.2:3479"];

struct World {
    discovery: Discovery,
    entropy: Entropy,
    outputs: VecDeque<Output>,
    now: Timestamp,
    notices: Vec<Notice>,
}

macro_rules! context {
    ($world:ident) => {
        Context {
            now: $world.now,
            entropy: &mut $world.entropy,
            outputs: &mut $world.outputs,
            epoch: 1,
            is_path_changed: &mut false,
            sessions: &BTreeMap::new(),
            own_addresses: &[],
            notices: &mut $world.notices,
            scrutinized_at: &mut None,
        }
    };
}

mod port_mapping;

impl World {
    fn new() -> Self {
        let mut world = Self {
            discovery: Discovery::new(40_000, Vec::new()),
            entropy: Entropy::new(&[7; 32]),
            outputs: VecDeque::new(),
            now: Timestamp::from_micros(1),
            notices: Vec::new(),
        };
        let address = "192.168.1.5".parse().unwrap();
        world.discovery.set_local(vec![LocalAddress { interface: "eth0".into(), address }]);
        let servers: Vec<SocketAddr> = SERVERS.iter().map(|server| server.parse().unwrap()).collect();
        world.discovery.set_servers(&mut context!(world), &servers);
        world
    }

    /// Answers every request that is out as a NAT would let it be seen: `port` gives the outside port for a socket, and for
    /// how many requests were answered before.
    fn answer(&mut self, port: impl Fn(SocketId, u16) -> u16) {
        let mut answered = 0;
        while let Some(output) = self.outputs.pop_front() {
            if let Output::OpenSocket(socket) = output {
                self.discovery.on_socket_opened(&mut context!(self), socket, Some(50_000 + socket.0));
            } else if let Output::Transmit { socket, to, datagram } = output
                && SERVERS.contains(&&*to.to_string())
            {
                let seen = SocketAddr::new("203.0.113.9".parse().unwrap(), port(socket, answered));
                let response = stun::respond(&datagram, seen).unwrap();
                answered += 1;
                self.discovery.handle_response(self.now, socket, to, &response);
            }
        }
    }

    fn measure(&mut self) -> usize {
        let wanted = self.discovery.wanted_sockets(self.now);
        let sockets = (1..=u16::try_from(wanted).unwrap()).map(SocketId).collect();
        if wanted > 0 {
            self.discovery.begin_measuring(&mut context!(self), sockets);
        }
        wanted
    }

    fn pass(&mut self, ms: u64) {
        self.now = self.now + Duration::from_millis(ms);
        while self.discovery.next_at().is_some_and(|at| at <= self.now) {
            self.discovery.handle_timeout(&mut context!(self));
        }
    }
}

#[test]
fn one_side_socket_is_enough_where_all_destinations_see_one_port() {
    let mut world = World::new();
    world.answer(|_, _| 40_000);
    assert_eq!(world.discovery.nat().mapping, Some(Mapping::EndpointIndependent));
    assert_eq!(world.measure(), 1);
    world.answer(|socket, _| if socket == SocketId::MAIN { 40_000 } else { 50_000 + socket.0 });
    world.pass(2_000);
    assert_eq!(world.discovery.nat().allocation, Some(Allocation::Preserving));
    assert!(world.notices.contains(&Notice::Idle(SocketId(1))), "the socket is given back");
    assert_eq!(world.measure(), 0, "not again before its time");
}

#[test]
fn several_side_sockets_show_how_ports_follow_each_other() {
    let mut world = World::new();
    world.answer(|_, answered| 7_000 + answered);
    assert_eq!(world.discovery.nat().mapping, Some(Mapping::AddressAndPortDependent));
    assert_eq!(world.measure(), 4);
    world.answer(|_, answered| 7_010 + answered);
    world.pass(2_000);
    assert_eq!(world.discovery.nat().allocation, Some(Allocation::Sequential { step: 1 }));
}

#[test]
fn a_nat_that_keeps_one_port_from_now_on_is_measured_anew_at_once() {
    let mut world = World::new();
    world.answer(|_, answered| 7_000 + answered);
    world.measure();
    world.answer(|_, answered| 7_010 + answered);
    world.pass(2_000);
    assert_eq!(world.measure(), 0, "not again before its time");
    world.discovery.ask_all(&mut context!(world));
    world.answer(|_, _| 40_000);
    assert!(world.measure() > 0, "what the side sockets saw is of the NAT as it was");
    world.answer(|socket, _| if socket == SocketId::MAIN { 40_000 } else { 50_000 + socket.0 });
    world.pass(2_000);
    world.discovery.ask_all(&mut context!(world));
    world.answer(|_, _| 40_000);
    assert_eq!(world.discovery.nat().mapping, Some(Mapping::EndpointIndependent));
}

/// A NAT that forgets what was idle for 100 s, whose router starts anew once while a shorter pause is tried.
#[test]
fn a_silent_socket_shows_between_which_pauses_the_nat_forgets_a_mapping() {
    let mut world = World::new();
    world.answer(|_, _| 45_000);
    assert!(world.discovery.wants_watch(world.now));
    assert!(world.discovery.begin_watching(&mut context!(world), SocketId(9)));
    let (mut asked_at, mut generation) = (world.now, 0);
    for second in 0..1_000 {
        world.pass(1_000);
        let is_asked = world
            .outputs
            .iter()
            .any(|output| matches!(output, Output::Transmit { socket, .. } if *socket == SocketId(9)));
        if is_asked || second == 0 {
            let is_gone = world.now.since(asked_at) > Duration::from_secs(100) || (25..60).contains(&second);
            generation += u16::from(is_gone && generation < 40);
            asked_at = world.now;
        }
        world.answer(|socket, _| if socket == SocketId(9) { 41_000 + generation } else { 45_000 });
    }
    let lifetime = world.discovery.nat().lifetime.unwrap();
    assert!((60_000..61_100).contains(&lifetime.longer_than_ms.unwrap()), "{lifetime:?}");
    assert!((120_000..121_100).contains(&lifetime.shorter_than_ms.unwrap()), "{lifetime:?}");
    assert!(world.notices.contains(&Notice::Idle(SocketId(9))), "the socket is given back");
    assert!(!world.discovery.wants_watch(world.now), "there is nothing left to learn");
}

#[test]
fn a_request_of_ours_that_comes_back_shows_hairpinning_and_anybody_else_does_not() {
    for comes_back in [true, false] {
        let mut world = World::new();
        world.answer(|_, _| 40_000);
        world.measure();
        world.answer(|_, _| 41_000);
        let reflexive = "203.0.113.9:41000".parse().unwrap();
        world.discovery.test_hairpinning(&mut context!(world), SocketId(1), reflexive);
        let sent = world.outputs.iter().find_map(|output| {
            let Output::Transmit { to, datagram, .. } = output else { return None };
            (*to == reflexive).then(|| datagram.clone())
        });
        world.discovery.handle_request(&stun::encode_request([9; 12]));
        if comes_back {
            world.discovery.handle_request(&sent.unwrap());
        }
        world.outputs.clear();
        world.pass(2_000);
        assert_eq!(world.discovery.nat().hairpin, Some(comes_back));
    }
}

#[test]
fn silence_of_all_servers_is_no_candidate_and_soon_known_as_blocked() {
    let mut world = World::new();
    world.pass(4_500);
    assert_eq!(world.discovery.nat().udp, Some(endpoint_selection::nat::UdpReach::Blocked));
    assert_eq!(world.discovery.candidates().len(), 1, "the host address alone");
}

#[test]
fn a_response_to_another_socket_or_with_a_strange_transaction_is_ignored() {
    let mut world = World::new();
    let Some(Output::Transmit { to, datagram, .. }) = world.outputs.pop_front() else { panic!("no request") };
    let response = stun::respond(&datagram, "203.0.113.9:5".parse().unwrap()).unwrap();
    assert_eq!(world.discovery.handle_response(world.now, SocketId(3), to, &response), None);
    let strange = stun::respond(&stun::encode_request([1; 12]), "203.0.113.9:5".parse().unwrap()).unwrap();
    assert_eq!(world.discovery.handle_response(world.now, SocketId::MAIN, to, &strange), None);
    assert!(world.discovery.handle_response(world.now, SocketId::MAIN, to, &response).is_some());
}
