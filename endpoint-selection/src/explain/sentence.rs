//! The story in one or two sentences that a user understands who knows no NAT theory.

use super::words::{milliseconds, percent, rounded, thousands};
use super::{Carrier, Findings, Progress};
use crate::address::Realm;
use crate::candidate::{Candidate, CandidateKind};
use crate::policy::Policy;
use crate::quality::Health;
use crate::reason::Reason;
use crate::score::Tier;
use crate::selection::Verdict;
use crate::traversal::{Obstacle, Party, PlannedTechnique, Technique};

pub(super) fn of(findings: &Findings<'_>) -> String {
    let (own, peer) = (&findings.pair.own.name, &findings.pair.peer.name);
    let chosen = findings.ours.verdicts.iter().find(|verdict| verdict.reason.is_chosen());
    match (chosen, findings.carrier) {
        (Some(chosen), Carrier::Direct) => {
            let rtt =
                chosen.quality.rtt_us().map_or_else(String::new, |us| format!(", {}", milliseconds(us)));
            let but = fault(findings, chosen).map_or_else(String::new, |fault| format!(", but {fault}"));
            let road = findings.road(&chosen.candidate);
            format!("{own} and {peer} are connected directly {road}{rtt}{but}.")
        }
        (Some(chosen), Carrier::Relay | Carrier::Nothing) => {
            let relay = findings.relay_name(chosen.candidate.address);
            if chosen.reason == Reason::DirectPathsServeWorse {
                let worse = findings.worse();
                format!("A direct path answers, but {worse}, so traffic goes over {relay}.")
            } else {
                relayed(findings, &relay)
            }
        }
        (None, _) if findings.pair.own.paths.is_none() => {
            format!("{own} has not reported yet which paths to {peer} it knows.")
        }
        (None, _) => {
            let why = findings.obstacle().map_or_else(String::new, |why| format!(" {why}."));
            format!("Nothing reaches {peer} from {own}: no relay and no direct path answers.{why}")
        }
    }
}

fn relayed(findings: &Findings<'_>, relay: &str) -> String {
    let Findings { pair, .. } = findings;
    if pair.own.paths.as_ref().is_some_and(|paths| paths.idle) {
        let (own, peer) = (&pair.own.name, &pair.peer.name);
        return format!(
            "{own} and {peer} have not talked for a while, so no direct path is kept open: their next packets go over {relay} \
             until one is."
        );
    }
    if findings.opening == Progress::Pending {
        return format!("A direct path is being opened; until one answers, traffic goes over {relay}.");
    }
    if let Some(why) = findings.obstacle() {
        return format!("{why}, so traffic stays on {relay}.");
    }
    if let Some(planned) = findings.plan.techniques.first() {
        return attempted(findings, planned, relay);
    }
    let is_probed =
        findings.ours.verdicts.iter().any(|verdict| matches!(verdict.reason, Reason::NoAnswer { .. }));
    let why = match (findings.opening, findings.plan.chance_ppm) {
        (Progress::Refuted, _) => {
            "Nothing known stands in the way of a direct path, but no probe is answered; perhaps a firewall drops UDP"
        }
        (Progress::Hopeless | Progress::Pending, Some(_)) => {
            "Neither side has an address that the other can reach"
        }
        (Progress::Hopeless | Progress::Pending, None) if is_probed => {
            "No direct path answers, and too little is known about the NATs to say why"
        }
        (Progress::Hopeless | Progress::Pending, None) => "No direct path was probed yet",
    };
    format!("{why}. Traffic goes over {relay}.")
}

fn attempted(findings: &Findings<'_>, planned: &PlannedTechnique, relay: &str) -> String {
    let (subject, how) = match planned.technique {
        Technique::Prediction { mapper, .. } => {
            (format!("{}'s NAT uses", findings.name(mapper)), "which can be predicted")
        }
        Technique::MutualPrediction { .. } => ("Both NATs use".to_owned(), "which can be predicted"),
        Technique::PortBlock { mapper, .. } => {
            (format!("{}'s NAT uses", findings.name(mapper)), "out of a block that can be searched")
        }
        Technique::Birthday { mapper, .. } => {
            (format!("{}'s NAT uses", findings.name(mapper)), "which has to be guessed")
        }
    };
    let cost = planned.cost;
    format!(
        "{subject} a new port per destination, {how}: one attempt sends up to {} packets in {} s and should open a direct \
         path in {} % of cases. Until then traffic goes over {relay}.",
        thousands(u32::from(cost.probes)),
        cost.duration_ms.div_ceil(1_000),
        percent(planned.chance_ppm),
    )
}

/// What is wrong with a path that carries the traffic all the same, because nothing better is known.
fn fault(findings: &Findings<'_>, chosen: &Verdict) -> Option<String> {
    let now = findings.pair.own.paths.as_ref()?.now;
    match chosen.quality.health(now, &Policy::default()) {
        Health::Sound => None,
        Health::Lossy => Some(format!("it loses {} % of the probes", chosen.quality.loss.percent())),
        Health::Narrow => {
            let payload_max = chosen.quality.payload_max.unwrap_or_default();
            Some(format!("packets over {payload_max} bytes do not get through"))
        }
        Health::DataLost => Some("something on the way drops WireGuard's packets".to_owned()),
    }
}

impl Findings<'_> {
    pub(super) fn name(&self, party: Party) -> &str {
        match party {
            Party::Own => &self.pair.own.name,
            Party::Peer => &self.pair.peer.name,
        }
    }

    fn obstacle(&self) -> Option<String> {
        Some(match self.plan.obstacle? {
            Obstacle::UdpBlocked { party } => format!("UDP does not leave {}'s network", self.name(party)),
            Obstacle::NoHairpinning => {
                "Both sides are behind the same NAT, but in different networks, and the NAT does \
                                        not send packets back inside (no hairpinning)"
                    .to_owned()
            }
            Obstacle::PortsOnBothSides { packets } => format!(
                "Both sides are behind NATs that use a new port per destination; a direct path would need about {} packets \
                 each",
                thousands(rounded(packets))
            ),
        })
    }

    /// Why the direct paths that answer are not used.
    fn worse(&self) -> String {
        let worse = self.ours.verdicts.iter().find_map(|verdict| {
            if let Reason::LosesData = verdict.reason {
                Some("something on the way drops WireGuard's packets".to_owned())
            } else if let Reason::TooNarrow { payload_max } = verdict.reason {
                Some(format!("packets over {payload_max} bytes do not get through"))
            } else if let Reason::LosesProbes { percent } = verdict.reason {
                Some(format!("it loses {percent} % of the probes"))
            } else {
                None
            }
        });
        worse.unwrap_or_else(|| "it serves worse".to_owned())
    }

    fn road(&self, candidate: &Candidate) -> String {
        let ip = candidate.address.ip().to_canonical();
        let is_own = |own: &&Candidate| {
            own.kind == CandidateKind::ServerReflexive && own.address.ip().to_canonical() == ip
        };
        match (Tier::of(candidate), candidate.kind) {
            (Tier::SameNetwork, _) => "inside one network".into(),
            (Tier::SameCarrier, _) if Realm::of(ip) == Realm::Carrier => {
                "inside their carrier's network".into()
            }
            (Tier::SameCarrier, _) => "behind one outer router".into(),
            _ if self.pair.own.candidates.iter().any(|own| is_own(&own)) => {
                "through the NAT that both are behind".into()
            }
            (_, CandidateKind::PortMapped) => {
                format!("through a port that {}'s router opened", self.pair.peer.name)
            }
            _ if ip.is_ipv6() => "over IPv6".into(),
            _ => "over the internet".into(),
        }
    }

    fn relay_name(&self, address: std::net::SocketAddr) -> String {
        let named = self.pair.relays.iter().find(|relay| relay.address == address);
        named.map_or_else(|| format!("relay {address}"), |relay| format!("relay {}", relay.name))
    }
}
