//! Stories that the simulator can play.

use std::num::{NonZeroI16, NonZeroU16};

use endpoint_selection::simulation::{
    Change, Dependence, Hairpinning, NatBehaviour, PortAllocation, Run, RunEventKind, Scenario,
    SimulatedNode, simulate,
};

use super::{OWN, PEER, Story};

const EI: Dependence = Dependence::EndpointIndependent;
const AD: Dependence = Dependence::AddressDependent;
const APD: Dependence = Dependence::AddressAndPortDependent;

/// What most home routers do: one port for all destinations, and only who was sent to may answer.
pub(super) const HOME: NatBehaviour = NatBehaviour::new(EI, APD);
pub(super) const RANDOM: NatBehaviour = NatBehaviour::new(APD, APD);

pub(super) fn sequential(step: i16) -> NatBehaviour {
    NatBehaviour { allocation: PortAllocation::Sequential { step: NonZeroI16::new(step).unwrap() }, ..RANDOM }
}

pub(super) fn port_block(size: u16) -> NatBehaviour {
    NatBehaviour { allocation: PortAllocation::PortBlock { size: NonZeroU16::new(size).unwrap() }, ..RANDOM }
}

pub(super) fn carrier(hairpinning: Hairpinning) -> NatBehaviour {
    NatBehaviour { hairpinning, allocation: PortAllocation::Random, ..NatBehaviour::new(EI, EI) }
}

fn node(name: &str, boxes: &[NatBehaviour]) -> SimulatedNode {
    SimulatedNode {
        name: name.into(),
        boxes: boxes.to_vec(),
        delay_ms: 10,
        foreign_flows_per_s: 20,
        ..SimulatedNode::default()
    }
}

pub(super) fn scenario(own: &[NatBehaviour], peer: &[NatBehaviour]) -> Scenario {
    Scenario {
        seed: 1,
        nodes: [node(OWN, own), node(PEER, peer)],
        shared: Vec::new(),
        carrier_server: false,
        same_network: false,
        loss_ppm: 0,
        duration_ms: 30_000,
        changes: Vec::new(),
    }
}

fn play(title: &'static str, situation: &'static str, scenario: Scenario) -> Story {
    let run = simulate(&scenario).unwrap();
    let course = if scenario.changes.is_empty() { Vec::new() } else { course(&scenario, &run) };
    Story { title, situation, course, explanation: run.explanation }
}

/// When what carried the traffic, as the first node sees it.
fn course(scenario: &Scenario, run: &Run) -> Vec<String> {
    let changes = scenario.changes.iter().map(|change| {
        let name = &scenario.nodes[usize::from(change.node)].name;
        (change.at_ms, format!("{name}'s router changes its behaviour"))
    });
    let paths = run.events.iter().filter(|event| event.node == 0).filter_map(|event| match &event.what {
        RunEventKind::PathChanged { is_relay: true, .. } => Some((event.at_ms, "over the relay".to_owned())),
        RunEventKind::PathChanged { remote: Some(remote), .. } => {
            Some((event.at_ms, format!("directly to {remote}")))
        }
        RunEventKind::PathChanged { remote: None, .. } => Some((event.at_ms, "nowhere".to_owned())),
        RunEventKind::Learnt { .. }
        | RunEventKind::RoundBegan
        | RunEventKind::AttemptBegan { .. }
        | RunEventKind::AttemptEnded { .. } => None,
    });
    let mut all: Vec<(u32, String)> = changes.chain(paths).collect();
    all.sort_by_key(|(at_ms, _)| *at_ms);
    all.into_iter()
        .map(|(at_ms, what)| format!("{}.{} s: {what}", at_ms / 1_000, at_ms % 1_000 / 100))
        .collect()
}

pub(super) fn stories() -> Vec<Story> {
    let mut all = vec![
        play("Public addresses", "Both have an address of the internet.", scenario(&[], &[])),
        play(
            "One network",
            "Both are in one home network.",
            Scenario { same_network: true, ..scenario(&[HOME], &[]) },
        ),
        play("Two homes", "Each is behind a home router.", scenario(&[HOME], &[HOME])),
    ];
    all.extend(ports());
    all.extend(carriers());
    all.extend(others());
    all
}

fn ports() -> Vec<Story> {
    vec![
        play(
            "A new port per destination, and a public address",
            "laptop's NAT uses a new random port per destination; server is on the internet.",
            scenario(&[RANDOM], &[]),
        ),
        play(
            "A new port per destination, and a firewall",
            "laptop's NAT uses a new random port per destination; server has a public address behind a stateful firewall.",
            scenario(&[RANDOM], &[NatBehaviour::firewall()]),
        ),
        play(
            "A new port per destination, and a NAT that lets anyone in",
            "laptop's NAT uses a new random port per destination; server's NAT has endpoint-independent filtering.",
            scenario(&[RANDOM], &[NatBehaviour::new(EI, EI)]),
        ),
        play(
            "A new port per destination, and a NAT that lets known addresses in",
            "laptop's NAT uses a new random port per destination; server's NAT has address-dependent filtering.",
            scenario(&[RANDOM], &[NatBehaviour::new(EI, AD)]),
        ),
        play(
            "A new port per destination, and a home router",
            "laptop's NAT uses a new random port per destination; server's lets in only whom it sent to.",
            scenario(&[RANDOM], &[HOME]),
        ),
        play(
            "The same in its first seconds",
            "Plain opening has not worked, and the port was not guessed yet.",
            Scenario { duration_ms: 2_000, ..scenario(&[RANDOM], &[HOME]) },
        ),
        play(
            "A new port per destination on both sides",
            "Both NATs use a new random port per destination.",
            scenario(&[RANDOM], &[RANDOM]),
        ),
        play(
            "Ports in sequence, and a home router",
            "laptop's NAT uses the next port for each destination; server's lets in only whom it sent to.",
            scenario(&[sequential(1)], &[HOME]),
        ),
        play(
            "The same in its first seconds, with ports in sequence",
            "Plain opening has not worked, and the port was not predicted yet.",
            Scenario { duration_ms: 2_000, ..scenario(&[sequential(1)], &[HOME]) },
        ),
        play(
            "Ports in sequence on both sides",
            "Both NATs use the next port for each destination.",
            scenario(&[sequential(1)], &[sequential(1)]),
        ),
        play(
            "A block of ports",
            "laptop's carrier gives each subscriber a block of 512 ports and uses any of them per destination.",
            scenario(&[port_block(512)], &[HOME]),
        ),
    ]
}

fn carriers() -> Vec<Story> {
    let homes = |shared| Scenario { shared: vec![shared], ..scenario(&[HOME], &[HOME]) };
    let mapped = |mut scenario: Scenario| {
        scenario.nodes.iter_mut().for_each(|node| node.has_port_mapping = true);
        scenario
    };
    vec![
        play(
            "Two homes behind one carrier's NAT that hairpins",
            "Each is behind a home router, and both routers are behind the NAT of one carrier.",
            homes(carrier(Hairpinning::Open)),
        ),
        play(
            "Two homes behind one carrier's NAT that does not hairpin",
            "The same, but the carrier's NAT does not send packets back inside.",
            homes(carrier(Hairpinning::None)),
        ),
        play(
            "The same with port mapping on both home routers",
            "The home routers open ports on request, and the carrier lets its subscribers reach each other.",
            mapped(homes(carrier(Hairpinning::None))),
        ),
        play(
            "A carrier's NAT behind a home router",
            "laptop is behind a home router and a carrier's NAT, server behind a home router alone.",
            scenario(&[HOME, carrier(Hairpinning::None)], &[HOME]),
        ),
        play(
            "A STUN server inside the carrier's network",
            "The same, and one STUN server stands between laptop's two NATs.",
            Scenario { carrier_server: true, ..scenario(&[HOME, carrier(Hairpinning::None)], &[HOME]) },
        ),
    ]
}

fn others() -> Vec<Story> {
    let mut mapped = scenario(&[RANDOM], &[RANDOM]);
    mapped.nodes[1].has_port_mapping = true;
    let mut ipv6 = scenario(&[RANDOM], &[RANDOM]);
    ipv6.nodes.iter_mut().for_each(|node| node.has_ipv6 = true);
    let mut blocked = scenario(&[HOME], &[HOME]);
    blocked.nodes[0].is_udp_blocked = true;
    let mut lying = scenario(&[RANDOM], &[NatBehaviour::new(EI, EI)]);
    lying.nodes[0].are_servers_exempt = true;
    let mut unfound = scenario(&[RANDOM], &[HOME]);
    unfound.nodes[0].are_servers_exempt = true;
    let change = |at_ms, behaviour| Change { at_ms, node: 1, behaviour };
    vec![
        play(
            "Port mapping",
            "Both NATs use a new random port per destination, and server's opens a port on request.",
            mapped,
        ),
        play("IPv6", "Both NATs use a new random port per destination, and both nodes have IPv6.", ipv6),
        play("UDP is blocked", "laptop's network lets no UDP out.", blocked),
        play(
            "STUN that misleads, found out",
            "laptop's NAT shows STUN servers one port and uses random ones towards peers; server's NAT lets anyone in.",
            lying,
        ),
        play(
            "STUN that misleads, not found out",
            "The same, but no peer's NAT lets laptop in, so that nothing tells the port that peers see.",
            unfound,
        ),
        play(
            "A NAT that changes its behaviour, and back",
            "After 30 s server's router begins to use random ports per destination, and after 120 s it ends that.",
            Scenario {
                duration_ms: 180_000,
                changes: vec![change(30_000, RANDOM), change(120_000, HOME)],
                ..scenario(&[HOME], &[HOME])
            },
        ),
    ]
}
