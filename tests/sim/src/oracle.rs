//! Which pairs can be direct: from the properties of the boxes between them alone, never from the engine.
//!
//! Both sides tell their addresses (interfaces, and what a STUN server saw) and both send to all of the other's. Then:
//!
//! - In one segment nothing stands between them: direct.
//! - Where one side stands in the very segment in which their ways meet, the other sends to it first, its boxes
//!   expect the answer, and the first side answers to where the packet came from: direct.
//! - Else each side has boxes of its own. A side is **known** where every box of it maps endpoint-independently: what the
//!   STUN server saw is what the peer must send to. Two known sides open each other's filters by sending: direct.
//! - A side that is not known sends from an address that nobody can name beforehand. It gets in, and is answered to
//!   where it came from, if the other side is known and no filter of that looks at the port. Else not.
//! - Two sides that are not known never meet: neither has an address to send to that leads anywhere.
//! - Sides whose ways meet below the internet know nothing of that segment but what STUN says, which is the address of
//!   the outermost box; so that box must hairpin, and counts as a box of both; its filter only where hairpinning is filtered.
//!
//! The rule covers filters at least as strict as the mapping of the same box, as real ones are.

use crate::topology::{Segment, Topology};
use endpoint_selection::simulation::{Dependence, Hairpinning};

/// Whether plain opening makes a direct path between hosts in `a` and `b`.
pub(crate) fn can_be_direct(topology: &Topology, a: Segment, b: Segment) -> bool {
    let (chain_a, chain_b) = (topology.chain(a), topology.chain(b));
    let shared = chain_a.iter().rev().zip(chain_b.iter().rev()).take_while(|(a, b)| a == b).count();
    let (own_a, own_b) = (&chain_a[..chain_a.len() - shared], &chain_b[..chain_b.len() - shared]);
    if own_a.is_empty() || own_b.is_empty() {
        return true;
    }
    if let Some(outermost) = chain_a.last().filter(|_| shared > 0) {
        let hairpinning = topology.gateways[*outermost].nat.behaviour().hairpinning;
        let side = |chain: &[usize]| {
            let side = Side::of(topology, chain);
            // An open box does not look at its filter when it turns a packet round.
            let filters = if hairpinning == Hairpinning::Open { &chain[..chain.len() - 1] } else { chain };
            Side { filtering: Side::of(topology, filters).filtering, ..side }
        };
        return hairpinning != Hairpinning::None && opens(&side(&chain_a), &side(&chain_b));
    }
    opens(&Side::of(topology, own_a), &Side::of(topology, own_b))
}

fn opens(a: &Side, b: &Side) -> bool {
    let lets_unknown_in = |side: &Side| side.filtering < Dependence::AddressAndPortDependent;
    match (a.is_known, b.is_known) {
        (true, true) => true,
        (true, false) => lets_unknown_in(a),
        (false, true) => lets_unknown_in(b),
        (false, false) => false,
    }
}

/// What a row of boxes does together: as its strictest member.
struct Side {
    is_known: bool,
    filtering: Dependence,
}

impl Side {
    fn of(topology: &Topology, boxes: &[usize]) -> Self {
        let behaviours = || boxes.iter().map(|index| *topology.gateways[*index].nat.behaviour());
        let known = |mapping| matches!(mapping, None | Some(Dependence::EndpointIndependent));
        Self {
            is_known: behaviours().all(|behaviour| known(behaviour.mapping)),
            filtering: behaviours()
                .map(|behaviour| behaviour.filtering)
                .max()
                .unwrap_or(Dependence::EndpointIndependent),
        }
    }
}
