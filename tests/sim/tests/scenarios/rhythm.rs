//! How much is sent where nothing opens: rounds at growing pauses, for ever, and never more than that.

use crate::*;

/// Two nodes, each behind such a box of its own, which talk to each other.
fn talking_pair(seed: u64, behaviour: NatBehaviour) -> (World, NodeId, NodeId) {
    let mut world = World::new(seed).with_transcript();
    let [a, b] = [0, 1].map(|_| {
        let home = world.network_behind(INTERNET, behaviour);
        world.node(home)
    });
    world.connect(a, b);
    (world, a, b)
}

/// Probes that the first node sends to the second in each of so many minutes, while the pair stays relayed.
fn probes_per_minute(world: &mut World, a: NodeId, b: NodeId, minutes: usize) -> Vec<u64> {
    let mut counts = Vec::new();
    for _ in 0..minutes {
        let before = world.probes_sent(a, b);
        world.run_for(seconds(60));
        assert!(world.is_relayed(a, b), "{}", world.transcript());
        counts.push(world.probes_sent(a, b) - before);
    }
    counts
}

/// A NAT forgets its mapping to a STUN server between two questions where its timeout is short, and then shows the node at a
/// new port each time.
#[test]
fn two_symmetric_nats_stay_on_the_relay_and_are_tried_again_after_growing_pauses() {
    for timeout_ms in [20_000, 120_000] {
        let behaviour = Recipe::Symmetric.behaviour().unwrap().with_timeout_ms(timeout_ms);
        let (mut world, a, b) = talking_pair(5, behaviour);
        let counts = probes_per_minute(&mut world, a, b, 30);
        let last: u64 = counts[20..].iter().sum();
        // The path in use is asked each five seconds, its tunnel MTU each fifteen, and the peer's questions are answered: 32 a
        // minute.
        assert!(last > 10 * 32 + 2 * 9, "it stopped trying: {counts:?}");
        assert!(last / 10 < counts[0] / 3, "the pauses do not grow: {counts:?}");
        // Beside that, nine steps to four candidates; a round of ours and one of the peer's each five minutes.
        assert!(last < 10 * 32 + 3 * 2 * 9 * 4, "too many: {counts:?}");
        assert_traffic_flows(&world, a, b);
    }
}

/// Each check makes a new mapping, which the other side's filter lets in and takes for a new address of its peer.
#[test]
fn two_nats_that_map_more_strictly_than_they_filter_do_not_keep_their_nodes_probing() {
    let behaviour = NatBehaviour::new(Dependence::AddressAndPortDependent, Dependence::EndpointIndependent);
    let (mut world, a, b) = talking_pair(11, behaviour);
    let counts = probes_per_minute(&mut world, a, b, 30);
    let last: u64 = counts[20..].iter().sum();
    // As above, but a round asks sixteen learnt addresses as well and triggers 64 checks, all of which are answered.
    assert!(last < 10 * 32 + 3 * 2 * 2 * (9 * (4 + 16) + 64), "too many: {counts:?}");
    assert_traffic_flows(&world, a, b);
}
