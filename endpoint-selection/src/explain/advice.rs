//! What a user can do about a pair: only what would really help, the simplest first.

use serde::{Deserialize, Serialize};

use super::{Carrier, Pair};
use crate::traversal::{Obstacle, Party, Plan};

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct Advice {
    /// What, for machines.
    pub code: AdviceCode,
    /// What, in words.
    pub sentence: String,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum AdviceCode {
    /// Let UDP out of a network.
    AllowUdp,
    /// Turn on PCP, NAT-PMP or UPnP-IGD on a router, or forward a port by hand.
    EnablePortMapping,
    /// Give both nodes IPv6.
    EnableIpv6,
    /// Let the shared router turn packets round.
    EnableHairpinning,
    /// Route between the networks behind one NAT.
    RouteBetweenNetworks,
    /// Let the nodes' UDP port through the firewalls.
    OpenFirewall,
    /// Start the agents, or look why they cannot reach the relay.
    CheckAgents,
}

pub(super) fn of(pair: &Pair, carrier: Carrier, plan: &Plan) -> Vec<Advice> {
    let (own, peer) = (pair.own.name.as_str(), pair.peer.name.as_str());
    let advice = |code, sentence: String| Advice { code, sentence };
    match (carrier, plan.obstacle) {
        (Carrier::Direct, _) => Vec::new(),
        (_, Some(Obstacle::UdpBlocked { party })) => {
            let name = if party == Party::Own { own } else { peer };
            vec![advice(AdviceCode::AllowUdp, format!("Allow outgoing UDP in {name}'s network."))]
        }
        (_, Some(Obstacle::NoHairpinning)) => vec![
            advice(
                AdviceCode::RouteBetweenNetworks,
                "Let the two networks behind the router reach each other.".into(),
            ),
            advice(
                AdviceCode::EnableHairpinning,
                "Or turn on hairpinning (\"NAT loopback\") on the router that both share.".into(),
            ),
        ],
        (_, Some(Obstacle::PortsOnBothSides { .. })) => {
            let mut all = vec![advice(
                AdviceCode::EnablePortMapping,
                "Turn on port mapping (PCP, NAT-PMP or UPnP) on either router, or forward a UDP port there and give it \
                 to the agent with --static-candidate."
                    .into(),
            )];
            all.extend(ipv6(pair));
            all
        }
        (Carrier::Nothing, None) => vec![advice(
            AdviceCode::CheckAgents,
            format!(
                "See on both nodes whether the agent runs and what `warren netcheck` says of the relays; begin with {peer}."
            ),
        )],
        (Carrier::Relay, None) if plan.techniques.is_empty() => vec![advice(
            AdviceCode::OpenFirewall,
            format!(
                "Let UDP between {own} and {peer} through the firewalls on the way; `warren status` names the ports."
            ),
        )],
        // An attempt is under way or will be: there is nothing to do but wait.
        (Carrier::Relay, None) => Vec::new(),
    }
}

/// Only where it is missing: two nodes with IPv6 have tried it already.
fn ipv6(pair: &Pair) -> Option<Advice> {
    let has = |view: &super::NodeView| view.candidates.iter().any(|candidate| candidate.address.is_ipv6());
    let sentence = match (has(&pair.own), has(&pair.peer)) {
        (true, true) => return None,
        (true, false) => format!("Or give {} IPv6.", pair.peer.name),
        (false, true) => format!("Or give {} IPv6.", pair.own.name),
        (false, false) => "Or give both nodes IPv6.".into(),
    };
    Some(Advice { code: AdviceCode::EnableIpv6, sentence })
}
