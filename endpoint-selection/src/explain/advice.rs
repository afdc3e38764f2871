//! What a user can do about a pair: only what would really help, the simplest first.

use serde::{Deserialize, Serialize};

use super::{Carrier, Findings, NodeView, Progress};
use crate::address::{Realm, check_address};
use crate::candidate::CandidateKind;
use crate::nat::{Mapping, UdpReach};
use crate::policy::Policy;
use crate::reason::Reason;
use crate::traversal::Obstacle;

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
    /// Let longer packets through.
    RaiseMtu,
    /// Start the agents, or look why they cannot reach the relay.
    CheckAgents,
}

fn advice(code: AdviceCode, sentence: impl Into<String>) -> Advice {
    Advice { code, sentence: sentence.into() }
}

pub(super) fn of(findings: &Findings<'_>) -> Vec<Advice> {
    let (own, peer) = (findings.pair.own.name.as_str(), findings.pair.peer.name.as_str());
    match (findings.carrier, findings.plan.obstacle) {
        (Carrier::Direct, _) => Vec::new(),
        _ if findings.pair.own.paths.is_none() => {
            vec![advice(AdviceCode::CheckAgents, format!("See on {own} whether its agent runs."))]
        }
        _ if is_served_worse(findings) => worse(findings),
        (Carrier::Relay, _) if findings.opening == Progress::Pending => Vec::new(),
        (_, Some(Obstacle::UdpBlocked { .. })) => [&findings.pair.own, &findings.pair.peer]
            .into_iter()
            .filter(|view| view.nat.udp == Some(UdpReach::Blocked))
            .map(|view| advice(AdviceCode::AllowUdp, format!("Let UDP out of {}'s network.", view.name)))
            .collect(),
        (Carrier::Nothing, _) => vec![advice(
            AdviceCode::CheckAgents,
            format!(
                "See on {own} and {peer} whether the agent runs, and what `warren netcheck` says of the relays."
            ),
        )],
        (Carrier::Relay, Some(Obstacle::NoHairpinning)) => hairpinning(findings),
        (Carrier::Relay, Some(Obstacle::PortsOnBothSides { .. })) => {
            let mut all: Vec<Advice> = port_mapping(findings, "Turn").into_iter().collect();
            all.extend(ipv6(findings, all.is_empty()));
            all
        }
        // What is attempted will most likely succeed: there is nothing to do but wait.
        (Carrier::Relay, None) if !findings.plan.techniques.is_empty() => Vec::new(),
        (Carrier::Relay, None) if findings.opening == Progress::Refuted => unexplained(findings),
        (Carrier::Relay, None) => Vec::new(),
    }
}

fn is_served_worse(findings: &Findings<'_>) -> bool {
    findings.ours.verdicts.iter().any(|verdict| verdict.reason == Reason::DirectPathsServeWorse)
}

/// A firewall, or a NAT that shows STUN servers another port than peers: against that one helps what needs no STUN.
fn unexplained(findings: &Findings<'_>) -> Vec<Advice> {
    let (own, peer) = (&findings.pair.own.name, &findings.pair.peer.name);
    let sentence = format!(
        "Let UDP between {own} and {peer} through the firewalls on the way; `warren status` on each names its port."
    );
    let mut all = vec![advice(AdviceCode::OpenFirewall, sentence)];
    all.extend(port_mapping(findings, "If there are none, turn"));
    all.extend(ipv6(findings, false));
    all
}

/// Loss has many causes, and most of them pass.
fn worse(findings: &Findings<'_>) -> Vec<Advice> {
    let (own, peer) = (&findings.pair.own.name, &findings.pair.peer.name);
    let has = |wanted: fn(&Reason) -> bool| findings.ours.verdicts.iter().any(|v| wanted(&v.reason));
    let mut all = Vec::new();
    if has(|reason| matches!(reason, Reason::LosesData)) {
        let sentence =
            format!("Find the firewall between {own} and {peer} that drops WireGuard, and let it through.");
        all.push(advice(AdviceCode::OpenFirewall, sentence));
    }
    if has(|reason| matches!(reason, Reason::TooNarrow { .. })) {
        let bytes = Policy::default().payload_min;
        let sentence = format!(
            "Raise the MTU on the way between {own} and {peer}: the tunnel needs {bytes} bytes of UDP payload."
        );
        all.push(advice(AdviceCode::RaiseMtu, sentence));
    }
    all
}

/// The shared NAT may be the user's router, or the carrier's, which nobody else can change.
fn hairpinning(findings: &Findings<'_>) -> Vec<Advice> {
    let views = [&findings.pair.own, &findings.pair.peer];
    let is_carriers = views.iter().any(|view| {
        let ips =
            view.candidates.iter().map(|candidate| candidate.address.ip()).chain(view.nat.inner_address);
        ips.into_iter().any(|ip| Realm::of(ip) == Realm::Carrier)
    });
    let mut all = Vec::new();
    if !is_carriers {
        all.push(advice(
            AdviceCode::RouteBetweenNetworks,
            "If that NAT is your router, let the two networks behind it reach each other.",
        ));
        all.push(advice(AdviceCode::EnableHairpinning, "Or turn on hairpinning (NAT loopback) on it."));
    }
    if !views.iter().all(|view| view.has(CandidateKind::PortMapped)) {
        let start = if is_carriers { "Turn" } else { "If it is your provider's, turn" };
        let sentence = format!(
            "{start} on port mapping (UPnP, NAT-PMP or PCP) on both home routers; that works if the provider lets customers \
             reach each other."
        );
        all.push(advice(AdviceCode::EnablePortMapping, sentence));
    }
    all.extend(ipv6(findings, all.is_empty()));
    all
}

/// On the routers that are not themselves behind a NAT, as far as is known; behind a carrier's, a port that the home router
/// opens is not open to the internet.
fn port_mapping(findings: &Findings<'_>, start: &str) -> Option<Advice> {
    let helps = |view: &NodeView| {
        let is_carriers =
            view.candidates.iter().any(|candidate| Realm::of(candidate.address.ip()) == Realm::Carrier);
        let is_translated = view.nat.mapping.is_some_and(|mapping| mapping != Mapping::None);
        is_translated
            && view.nat.inner_address.is_none()
            && !is_carriers
            && !view.has(CandidateKind::PortMapped)
    };
    let whose = match (helps(&findings.pair.own), helps(&findings.pair.peer)) {
        (true, true) => "either router".to_owned(),
        (true, false) => format!("{}'s router", findings.pair.own.name),
        (false, true) => format!("{}'s router", findings.pair.peer.name),
        (false, false) => return None,
    };
    Some(advice(
        AdviceCode::EnablePortMapping,
        format!(
            "{start} on port mapping (UPnP, NAT-PMP or PCP) on {whose}, or forward a UDP port there to the node and name it \
             with `--static-candidate`."
        ),
    ))
}

/// Only where it is missing: two nodes with IPv6 have tried it already.
fn ipv6(findings: &Findings<'_>, is_only: bool) -> Option<Advice> {
    let (own, peer) = (&findings.pair.own, &findings.pair.peer);
    let who = match (own.has_ipv6(), peer.has_ipv6()) {
        (true, true) => return None,
        (true, false) => peer.name.as_str(),
        (false, true) => own.name.as_str(),
        (false, false) => "both nodes",
    };
    let start = if is_only { "Give" } else { "Or give" };
    Some(advice(AdviceCode::EnableIpv6, format!("{start} {who} IPv6.")))
}

impl NodeView {
    fn has(&self, kind: CandidateKind) -> bool {
        self.candidates.iter().any(|candidate| candidate.kind == kind)
    }

    /// An IPv6 address of the internet.
    fn has_ipv6(&self) -> bool {
        self.candidates.iter().map(|candidate| candidate.address).any(|address| {
            let ip = address.ip().to_canonical();
            ip.is_ipv6() && Realm::of(ip) == Realm::Global && check_address(address, &[]).is_ok()
        })
    }
}
