//! What a mesh must do, told as scenarios under virtual time.

mod attempts;
mod boxes;
mod clocks;
mod draw;
mod faults;
mod idle;
mod links;
mod mtu;
mod opening;
mod random;
mod relays;
mod rhythm;
mod stranger;

use std::time::Duration;

use sim::{
    Addresses, Dependence, Hairpinning, Haste, INTERNET, Impairments, NatBehaviour, NodeId, PortAllocation,
    Segment, World,
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Boxes as people call them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Recipe {
    Public,
    Firewall,
    FullCone,
    AddressRestricted,
    PortRestricted,
    /// Maps and filters by address.
    AddressDependent,
    Symmetric,
}

impl Recipe {
    const ALL: [Self; 7] = [
        Self::Public,
        Self::Firewall,
        Self::FullCone,
        Self::AddressRestricted,
        Self::PortRestricted,
        Self::AddressDependent,
        Self::Symmetric,
    ];

    const fn behaviour(self) -> Option<NatBehaviour> {
        use Dependence::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
        Some(match self {
            Self::Public => return None,
            Self::Firewall => NatBehaviour::firewall(),
            Self::FullCone => NatBehaviour::new(EndpointIndependent, EndpointIndependent),
            Self::AddressRestricted => NatBehaviour::new(EndpointIndependent, AddressDependent),
            Self::PortRestricted => NatBehaviour::new(EndpointIndependent, AddressAndPortDependent),
            Self::AddressDependent => NatBehaviour::new(AddressDependent, AddressDependent),
            Self::Symmetric => NatBehaviour::new(AddressAndPortDependent, AddressAndPortDependent),
        })
    }

    /// A segment behind such a box.
    fn place(self, world: &mut World) -> Segment {
        self.behaviour().map_or(INTERNET, |behaviour| world.network_behind(INTERNET, behaviour))
    }
}

/// A world with two nodes behind such boxes, which talk to each other.
fn two_nodes(seed: u64, a: Recipe, b: Recipe) -> (World, NodeId, NodeId) {
    let mut world = World::new(seed).with_transcript();
    let (a, b) = (a.place(&mut world), b.place(&mut world));
    let (a, b) = (world.node(a), world.node(b));
    world.connect(a, b);
    (world, a, b)
}

/// Of the packets since the last mark, all but those still on their way arrived, both ways.
fn assert_traffic_flows(world: &World, a: NodeId, b: NodeId) {
    for (from, to) in [(a, b), (b, a)] {
        let flow = world.flow(from, to);
        assert!(
            flow.sent > 0 && flow.received + 2 >= flow.sent,
            "{from:?} to {to:?}: {flow:?}\n{}",
            world.transcript()
        );
    }
}
