//! The story in one or two sentences that a user understands who knows no NAT theory.

use super::Pair;
use crate::candidate::{Candidate, CandidateKind};
use crate::reason::Reason;
use crate::score::Tier;
use crate::selection::{Selection, Verdict};
use crate::traversal::{Obstacle, Party, Plan, Technique};

pub(super) fn of(pair: &Pair, selection: &Selection, plan: &Plan) -> String {
    let (own, peer) = (&pair.own.name, &pair.peer.name);
    let chosen = selection.verdicts.iter().find(|verdict| verdict.reason.is_chosen());
    match chosen {
        None => {
            let why = obstacle(pair, plan).map_or_else(String::new, |why| format!(" {why}."));
            format!("Nothing reaches {peer} from {own}: no relay and no direct path answers.{why}")
        }
        Some(chosen) if chosen.candidate.kind != CandidateKind::Relayed => {
            let rtt =
                chosen.quality.rtt_us().map_or_else(String::new, |us| format!(", {}", milliseconds(us)));
            format!("{own} and {peer} are connected directly {}{rtt}.", road(&chosen.candidate))
        }
        Some(chosen) => {
            let relay = relay_name(pair, chosen);
            if chosen.reason == Reason::DirectPathsServeWorse {
                return format!(
                    "A direct path answers, but {}, so traffic goes over {relay}.",
                    worse(selection)
                );
            }
            relayed(pair, selection, plan, &relay)
        }
    }
}

fn relayed(pair: &Pair, selection: &Selection, plan: &Plan, relay: &str) -> String {
    if let Some(why) = obstacle(pair, plan) {
        return format!("{why}, so traffic stays on {relay}.");
    }
    if let Some(planned) = plan.techniques.first() {
        let (what, who) = match planned.technique {
            Technique::Prediction { mapper, .. } => ("predicted from its last one", Some(mapper)),
            Technique::MutualPrediction { .. } => ("predicted from their last ones", None),
            Technique::PortBlock { mapper, .. } => ("searched in its block", Some(mapper)),
            Technique::Birthday { mapper, .. } => ("guessed", Some(mapper)),
        };
        let subject = match who {
            Some(party) => format!("{} is behind a NAT that uses", name(pair, party)),
            None => "Both sides are behind NATs that use".to_owned(),
        };
        let cost = planned.cost;
        return format!(
            "{subject} a new port per destination. The port is {what}: an attempt takes up to {} packets and {} s and \
             opens a direct path in {} % of the cases; until then traffic goes over {relay}.",
            thousands(u32::from(cost.probes)),
            cost.duration_ms.div_ceil(1_000),
            percent(planned.chance_ppm),
        );
    }
    let is_probed =
        selection.verdicts.iter().any(|verdict| matches!(verdict.reason, Reason::NoAnswer { .. }));
    let why = match (plan.chance_ppm, is_probed) {
        (_, false) => "No direct path was probed yet",
        (Some(0), true) => "No address of either side can answer the other",
        (None, true) => "No direct path has answered, and too little is known about the NATs to say why",
        (Some(_), true) => {
            "Nothing known stands in the way, but no probe is answered: a firewall between the two drops UDP"
        }
    };
    format!("{why}, so traffic goes over {relay}.")
}

fn obstacle(pair: &Pair, plan: &Plan) -> Option<String> {
    Some(match plan.obstacle? {
        Obstacle::UdpBlocked { party } => format!("UDP does not leave {}'s network", name(pair, party)),
        Obstacle::NoHairpinning => {
            "Both sides are in different networks behind one NAT, which does not hairpin".to_owned()
        }
        Obstacle::PortsOnBothSides { packets } => format!(
            "Both sides are behind NATs that use a new port per destination; a direct path would need about {} packets \
             each",
            thousands(rounded(packets))
        ),
    })
}

fn worse(selection: &Selection) -> String {
    let reasons = || selection.verdicts.iter().map(|verdict| verdict.reason);
    let lossy = reasons().find_map(|reason| {
        if let Reason::LosesData = reason {
            Some("something on the way drops WireGuard's packets".to_owned())
        } else if let Reason::TooNarrow { payload_max } = reason {
            Some(format!("packets over {payload_max} bytes do not come through"))
        } else if let Reason::LosesProbes { percent } = reason {
            Some(format!("it loses {percent} % of the probes"))
        } else {
            None
        }
    });
    lossy.unwrap_or_else(|| "it serves worse".to_owned())
}

fn road(candidate: &Candidate) -> &'static str {
    match (Tier::of(candidate), candidate.kind, candidate.address.is_ipv6()) {
        (Tier::SameNetwork, _, _) => "in one network",
        (Tier::SameCarrier, _, _) => "inside their carrier's network",
        (_, CandidateKind::PortMapped, _) => "through a port that the peer's router opened",
        (_, _, true) => "over IPv6",
        (_, _, false) => "over the internet",
    }
}

fn name(pair: &Pair, party: Party) -> &str {
    match party {
        Party::Own => &pair.own.name,
        Party::Peer => &pair.peer.name,
    }
}

fn relay_name(pair: &Pair, chosen: &Verdict) -> String {
    let named = pair.relays.iter().find(|relay| relay.address == chosen.candidate.address);
    named.map_or_else(
        || format!("relay {}", chosen.candidate.address),
        |relay| format!("relay {}", relay.name),
    )
}

fn milliseconds(us: u32) -> String {
    if us < 10_000 { format!("{}.{} ms", us / 1_000, us % 1_000 / 100) } else { format!("{} ms", us / 1_000) }
}

/// A chance for people: never 100 unless it is certain, and 99.9 where 99 would hide the difference.
fn percent(ppm: u32) -> String {
    if ppm > 990_000 && ppm < 1_000_000 {
        format!("{}.{}", ppm / 10_000, ppm % 10_000 / 1_000)
    } else {
        (ppm / 10_000).to_string()
    }
}

/// To two digits.
fn rounded(number: u32) -> u32 {
    let unit = 10_u32.pow(number.checked_ilog10().unwrap_or(0).saturating_sub(1));
    number.saturating_add(unit / 2) / unit * unit
}

/// With commas.
fn thousands(number: u32) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(rounded(53_710)), "54,000");
        assert_eq!(thousands(rounded(426)), "430");
        assert_eq!((rounded(0), rounded(7), rounded(u32::MAX)), (0, 7, 4_200_000_000));
        assert_eq!((thousands(999), thousands(1_234_567)), ("999".into(), "1,234,567".into()));
        assert_eq!((milliseconds(2_440), milliseconds(54_600)), ("2.4 ms".into(), "54 ms".into()));
        assert_eq!(
            (percent(999_712), percent(980_000), percent(1_000_000)),
            ("99.9".into(), "98".into(), "100".into())
        );
    }
}
