//! What the world does with side sockets, where an engine asks for some. The engine's part is played by the tests.

use std::time::Duration;

use engine::Output;
use protocol::key::PublicKey;
use protocol::probe::{Message, PairKeys, Probe};

use super::*;
use crate::topology::INTERNET;
use crate::world::NodeId;
use endpoint_selection::simulation::{Dependence, NatBehaviour};

const SIDE: SocketId = SocketId(1);

/// A node behind a NAT whose mapping and filtering depend on address and port, and a public one; direct to each other
/// and at rest.
fn world() -> World {
    let mut world = World::new(1).with_transcript();
    let dependence = Dependence::AddressAndPortDependent;
    let home = world.network_behind(INTERNET, NatBehaviour::new(dependence, dependence));
    let (a, b) = (world.node(home), world.node(INTERNET));
    world.connect(a, b);
    world.run_for(Duration::from_secs(20));
    assert!(world.is_alive_directly(a, b));
    // From now on, so that the engine does not use any of them itself.
    world.set_side_sockets_max(a, engine::SIDE_SOCKETS_MAX);
    world.set_side_sockets_max(b, engine::SIDE_SOCKETS_MAX);
    world
}

/// A probe from one node to another that nobody answers: the reply to a question that was never asked, broken.
fn probe(world: &World, from: usize, to: usize) -> Vec<u8> {
    let keys = PairKeys::derive(&world.nodes[from].private_key, &world.nodes[to].public_key).unwrap();
    let message = Message::Reply { transaction: 1, observed: None, heard_bytes: 0 };
    let mut sealed = keys.seal(&Probe { sender_epoch: 1, receiver_epoch: 1, counter: 1, message }, [0; 24]);
    sealed.pop();
    sealed
}

fn send_probe(world: &mut World, from: (usize, SocketId), to: (usize, SocketAddr)) {
    let datagram = probe(world, from.0, to.0);
    world.carry_out(from.0, Output::Transmit { socket: from.1, to: to.1, datagram });
    world.run_for(Duration::from_millis(200));
}

fn set_direct(world: &mut World, from: usize, to: usize, socket: SocketId, remote: SocketAddr) {
    let peer: PublicKey = world.nodes[to].public_key;
    world.carry_out(from, Output::SetPath { peer, path: Some(TunnelPath::Direct { socket, remote }) });
}

/// The source address of the last probe that a node got.
fn last_source(world: &World, node: usize) -> SocketAddr {
    let is_it = |line: &&str| line.contains(&format!("n{node} got ")) && line.contains("Probe");
    let line = world.transcript().lines().rfind(is_it).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_side_socket_is_a_mapping_of_its_own_and_carries_tunnel_packets_both_ways() {
    let mut world = world();
    let main = world.direct_remote(NodeId(1), NodeId(0)).unwrap();
    let home = world.host_address(NodeId(1));
    world.carry_out(0, Output::OpenSocket(SIDE));
    send_probe(&mut world, (0, SIDE), (1, home));
    let side = last_source(&world, 1);
    assert_ne!(side, main);
    send_probe(&mut world, (1, SocketId::MAIN), (0, side));
    set_direct(&mut world, 0, 1, SIDE, home);
    set_direct(&mut world, 1, 0, SocketId::MAIN, side);
    world.mark();
    world.run_for(Duration::from_secs(4));
    for (from, to) in [(0, 1), (1, 0)] {
        let flow = world.flow(NodeId(from), NodeId(to));
        assert!(flow.sent > 30 && flow.received + 2 >= flow.sent, "{flow:?}\n{}", world.transcript());
    }
    assert!(world.transcript().contains("n0 got 96 bytes of WireGuard on socket 1 from"));
}

#[test]
fn a_side_socket_ends_with_the_life_of_its_node() {
    let mut world = world();
    world.carry_out(0, Output::OpenSocket(SIDE));
    let port = world.nodes[0].port_of(SIDE).unwrap();
    assert_eq!(world.nodes[0].socket_at(port), Some(SIDE));
    world.restart(NodeId(0));
    assert_eq!(world.nodes[0].port_of(SIDE), None);
    assert_eq!(world.nodes[0].socket_at(port), None);
}

#[test]
fn a_node_has_as_many_side_sockets_as_its_machine_gives_and_no_two_at_one_port() {
    let mut world = world();
    world.set_side_sockets_max(NodeId(0), 200);
    for id in 1..=201 {
        world.carry_out(0, Output::OpenSocket(SocketId(id)));
    }
    let node = &world.nodes[0];
    assert_eq!(node.port_of(SocketId(201)), None);
    for id in 0..=200 {
        assert_eq!(node.port_of(SocketId(id)).and_then(|port| node.socket_at(port)), Some(SocketId(id)));
    }
}

/// Runs what an engine must not do and tells what the world says of it.
fn verdict(deed: impl FnOnce(&mut World)) -> String {
    let deed = std::panic::AssertUnwindSafe(|| deed(&mut world()));
    let verdict = std::panic::catch_unwind(deed).unwrap_err();
    verdict.downcast_ref::<String>().unwrap().lines().next().unwrap().to_owned()
}

#[test]
fn an_engine_that_misuses_a_socket_is_found_out() {
    let to: SocketAddr = "203.0.113.1:3478".parse().unwrap();
    let ipv6: SocketAddr = "[2001:db8::1]:3478".parse().unwrap();
    let request = protocol::stun::encode_request([1; 12]);
    let transmit = |socket, to| Output::Transmit { socket, to, datagram: request.clone() };
    let open = |world: &mut World| world.carry_out(0, Output::OpenSocket(SIDE));

    let unopened = verdict(|world| world.carry_out(0, transmit(SIDE, to)));
    assert!(unopened.contains("socket 1, which is not open"), "{unopened}");
    let twice = verdict(|world| (0..2).for_each(|_| open(world)));
    assert!(twice.contains("opens socket 1, which is open"), "{twice}");
    let main = verdict(|world| world.carry_out(0, Output::CloseSocket(SocketId::MAIN)));
    assert!(main.contains("closes socket 0, which"), "{main}");
    let too_many =
        verdict(|world| (1..=257).for_each(|id| world.carry_out(0, Output::OpenSocket(SocketId(id)))));
    assert!(too_many.contains("more than 256 side sockets"), "{too_many}");
    let other_family = verdict(|world| {
        open(world);
        world.plug_in(NodeId(0), INTERNET, ipv6.ip());
        world.safety.add_infrastructure(ipv6);
        world.carry_out(0, transmit(SIDE, ipv6));
    });
    assert!(other_family.contains("IPv4 only"), "{other_family}");
    let used = verdict(|world| {
        open(world);
        let path = TunnelPath::Direct { socket: SIDE, remote: to };
        let peer = world.nodes[1].public_key;
        world.nodes[0].paths.insert(peer, path);
        world.carry_out(0, Output::CloseSocket(SIDE));
    });
    assert!(used.contains("closes socket 1, which a path uses"), "{used}");
}

/// What was heard on one socket says nothing of another, though both belong to one node.
#[test]
fn a_path_from_a_socket_that_never_reached_the_peer_is_unsafe() {
    let said = verdict(|world| {
        let remote = world.direct_remote(NodeId(0), NodeId(1)).unwrap();
        world.carry_out(0, Output::OpenSocket(SIDE));
        set_direct(world, 0, 1, SIDE, remote);
    });
    assert!(said.contains("last heard there at None"), "{said}");
}
