//! The same pair in the simulator, with many seeds.

use std::num::NonZeroU16;

use anyhow::Context;
use endpoint_selection::nat::NatProfile;
use endpoint_selection::simulation::{
    Dependence, Hairpinning, NatBehaviour, PortAllocation, RunEventKind, Scenario, SimulatedNode, simulate,
};

use crate::measured::{Allocation, Behaviour, Case, Filtering, Hairpin, Mapping};

/// Ports that the lab's recipe with blocks gives each host.
const BLOCK: NonZeroU16 = NonZeroU16::new(512).unwrap();

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Played {
    /// When the pair met directly, for each seed with which it did, in order.
    pub(crate) direct_ms: Vec<u32>,
    /// With how many seeds it did not.
    pub(crate) relayed: usize,
    /// What each node knew of its NAT at the end, with the first seed.
    pub(crate) nats: [NatProfile; 2],
}

/// Plays a pair with the seeds from 0.
///
/// # Errors
/// A description that is beyond the simulator's bounds.
pub(crate) fn play(case: &Case, seeds: u64) -> anyhow::Result<Played> {
    let mut played = Played::default();
    let mut scenario = scenario(case);
    for seed in 0..seeds {
        scenario.seed = seed;
        let run = simulate(&scenario).with_context(|| format!("{} cannot be played", case.name))?;
        if seed == 0 {
            for event in &run.events {
                if let RunEventKind::Learnt { nat } = event.what {
                    played.nats[usize::from(event.node == 1)] = nat;
                }
            }
        }
        match run.direct_after_ms {
            Some(ms) => played.direct_ms.push(ms),
            None => played.relayed += 1,
        }
    }
    played.direct_ms.sort_unstable();
    Ok(played)
}

fn scenario(case: &Case) -> Scenario {
    let description = &case.description;
    let [one, other] = &description.nodes;
    let node = |name: &str, boxes: &[Behaviour]| SimulatedNode {
        name: name.to_owned(),
        boxes: boxes.iter().map(behaviour).collect(),
        delay_ms: description.delay_ms,
        ..SimulatedNode::default()
    };
    Scenario {
        seed: 0,
        nodes: [node("one", one), node("other", other)],
        shared: description.shared.iter().map(behaviour).collect(),
        carrier_server: false,
        same_network: description.same_network,
        loss_ppm: 0,
        duration_ms: description.window_ms,
        changes: Vec::new(),
    }
}

fn behaviour(claim: &Behaviour) -> NatBehaviour {
    let filtering = match claim.filtering {
        Filtering::EndpointIndependent => Dependence::EndpointIndependent,
        Filtering::AddressDependent => Dependence::AddressDependent,
        Filtering::AddressAndPortDependent => Dependence::AddressAndPortDependent,
    };
    let mapping = match claim.mapping {
        Mapping::None => None,
        Mapping::EndpointIndependent => Some(Dependence::EndpointIndependent),
        Mapping::AddressDependent => Some(Dependence::AddressDependent),
        Mapping::AddressAndPortDependent => Some(Dependence::AddressAndPortDependent),
    };
    let allocation = match claim.allocation {
        Allocation::Preserved => PortAllocation::Preserving,
        Allocation::Sequential => PortAllocation::NEXT,
        Allocation::PortBlock => PortAllocation::PortBlock { size: BLOCK },
        Allocation::Random => PortAllocation::Random,
    };
    let hairpinning = match claim.hairpin {
        Hairpin::NotApplicable | Hairpin::No => Hairpinning::None,
        Hairpin::Simultaneous => Hairpinning::Filtered,
        Hairpin::Open => Hairpinning::Open,
    };
    NatBehaviour {
        mapping,
        allocation,
        hairpinning,
        ..NatBehaviour::new(mapping.unwrap_or(Dependence::EndpointIndependent), filtering)
    }
}
