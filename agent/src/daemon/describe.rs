//! From what the engine and the tunnel know to what users read.

mod names;
mod routes;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use endpoint_selection::nat::NatProfile;
use endpoint_selection::{Candidate, CandidateKind, PathStatus, Reason, Timestamp, Verdict};
use engine::{PeerStatus, RelayStatus, Status};
use protocol::api::{OwnRelay, PathKind, Zone};
use protocol::key::PublicKey;
use tunnel::{Counts, PeerStats};

use crate::control::answer::{
    CandidateAnswer, CoordinatorAnswer, ExitNodeAnswer, OwnAnswer, OwnCandidate, OwnRelayAnswer, PathAnswer,
    PeerAnswer, PortMappingAnswer, State, StatusAnswer, WhyAnswer,
};
use crate::failure::{Code, Failure};
use crate::net;
use crate::printable::printable;
use crate::state::Identity;

use super::node::Node;
use super::verdict;

pub(crate) use routes::exit_node_down;

/// The program's version, as every answer names it.
pub(crate) fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// The status of a node that works.
pub(crate) fn status(node: &Node) -> StatusAnswer {
    let (status, now) = node.status();
    let port = node.paths.local_port();
    let stats = node.tunnel.stats();
    let zone = status.own.as_ref().and_then(|own| own.zone.as_ref());
    let describe = |peer: &PeerStatus| {
        let stats = stats.get(&peer.public_key).copied().unwrap_or_default();
        let path = path_answer(peer, &status.relays, port, now);
        peer_answer(peer, zone, stats, path)
    };
    let peers: Vec<PeerAnswer> = status.peers.iter().map(describe).collect();
    let trouble = node.tunnel.trouble();
    let connection = node.connection();
    let mut own = own_answer(node.identity(), node.interface());
    own.udp_port = Some(port);
    own.nat = status.nat;
    own.port_mapping = port_mapping(node, &status.candidates, now);
    own.routes = routes::of_node(node, &status);
    own.relay = own_relay(node, status.own_relay.as_ref());
    own.names = status.own.as_ref().and_then(|own| names::of_node(own, node.names()));
    let (of_others, exit_nodes) = (routes::of_others(&status), routes::exit_nodes(&status));
    let exit_node = routes::exit_node(node, &status);
    let standing = own.standing.unwrap_or_default();
    own.candidates = status.candidates.into_iter().map(own_candidate).collect();
    if let Some(recorded) = &status.own {
        // The map is newer than the enrollment: an administrator may have renamed the node.
        own.name = recorded.name.to_string();
        own.addresses = recorded.addresses.iter().map(ipnet::IpNet::addr).collect();
        own.standing = Some(recorded.standing);
    }
    StatusAnswer {
        version: version(),
        verdict: verdict::of_node(&peers, connection, standing, trouble, exit_node.as_ref()),
        state: if trouble.is_some() { State::Failing } else { State::Up },
        own,
        coordinator: CoordinatorAnswer {
            url: node.identity().coordinator.to_string(),
            connected: connection.is_open,
            revision: status.revision,
            error: connection.refusal.clone().or_else(|| connection.error.clone()),
        },
        routes: of_others,
        exit_node,
        exit_nodes,
        relays: status.relays.into_iter().map(Into::into).collect(),
        peers,
        dropped: dropped(&node.paths.counts()),
    }
}

/// The port that the router was asked to open, and whether it is among the candidates.
pub(crate) fn port_mapping(node: &Node, candidates: &[Candidate], now: Timestamp) -> PortMappingAnswer {
    let Some(facts) = node.port_mapping() else {
        let why = Some("the agent was started with --no-port-mapping".to_owned());
        return PortMappingAnswer { why, ..PortMappingAnswer::default() };
    };
    let is_mapped = |candidate: &Candidate| candidate.kind == CandidateKind::PortMapped;
    let offered = candidates.iter().any(is_mapped);
    let doubt = facts.mapping.filter(|_| !offered).map(|mapping| {
        format!(
            "{} is not the address that the internet sees this network at, so peers are not told",
            mapping.external
        )
    });
    PortMappingAnswer {
        external: facts.mapping.map(|mapping| mapping.external),
        protocol: facts.mapping.map(|mapping| mapping.protocol),
        router: facts.place.map(|place| place.router.into()),
        expires_s: facts.expires_at.map(|at| at.since(now).as_secs()),
        offered,
        why: doubt.or(facts.why).map(|why| printable(&why)),
    }
}

/// The relay that the node runs for its network, and why nobody is told of it where that is so.
fn own_relay(node: &Node, told: Option<&OwnRelay>) -> Option<OwnRelayAnswer> {
    let facts = node.own_relay();
    let (port, sessions) = (facts.server.as_ref().map(|server| server.port), facts.sessions);
    let addresses = told.map(|relay| relay.addresses.clone()).unwrap_or_default();
    let why = match (port, facts.why) {
        _ if !addresses.is_empty() => None,
        (None, why) => why,
        (Some(_), router) => {
            let router = router.map(|why| format!(" ({why})")).unwrap_or_default();
            Some(format!(
                "strangers reach no address of it: the machine has no public address, and no router opened a port{router}; \
                 where one forwards a port, name that with --relay-address"
            ))
        }
    };
    node.may_relay().then(|| OwnRelayAnswer {
        port,
        addresses,
        sessions,
        why: why.map(|why| printable(&why)),
    })
}

/// The status of a node that is down, or that the coordinator deleted for the reason given.
pub(crate) fn status_down(
    identity: &Identity,
    interface: &str,
    deleted: Option<&str>,
    exit_node: Option<ExitNodeAnswer>,
) -> StatusAnswer {
    let (state, mut verdict) = match deleted {
        None => (State::Down, "down: run `warren up` to connect".to_owned()),
        Some(why) => (State::Deleted, format!("deleted: {why}")),
    };
    verdict::add_exit_node(&mut verdict, exit_node.as_ref());
    StatusAnswer {
        version: version(),
        verdict,
        state,
        own: own_answer(identity, interface),
        coordinator: CoordinatorAnswer {
            url: identity.coordinator.to_string(),
            connected: false,
            revision: None,
            error: None,
        },
        routes: Vec::new(),
        exit_node,
        exit_nodes: Vec::new(),
        relays: Vec::new(),
        peers: Vec::new(),
        dropped: BTreeMap::new(),
    }
}

/// Why a peer is reached the way it is.
///
/// # Errors
/// Where no peer, or more than one, is meant.
pub(crate) fn why(node: &Node, wanted: &str) -> Result<WhyAnswer, Failure> {
    let (status, now) = node.status();
    let (key, name) = find_peer(&status, wanted)?;
    let Some(peer) = status.peers.iter().find(|peer| peer.public_key == key) else {
        return Err(no_such_peer(wanted));
    };
    let path = path_answer(peer, &status.relays, node.paths.local_port(), now);
    let mut verdicts: Vec<&Verdict> = peer.verdicts.iter().collect();
    verdicts.sort_by_key(|verdict| (!verdict.reason.is_chosen(), !verdict.status.is_usable()));
    let advice = peer.explanation.iter().flat_map(|story| &story.advice);
    Ok(WhyAnswer {
        version: version(),
        peer: name,
        explanation: peer.explanation.as_ref().map(|story| printable(&story.sentence)),
        advice: advice.map(|advice| printable(&advice.sentence)).collect(),
        chance_ppm: peer.explanation.as_ref().and_then(|story| story.plan.chance_ppm),
        path,
        chosen: verdicts.first().filter(|v| v.reason.is_chosen()).map(|verdict| verdict.candidate.address),
        candidates: verdicts.into_iter().map(candidate_answer).collect(),
        own_candidates: status.candidates.into_iter().map(own_candidate).collect(),
    })
}

/// The peer that a user means: by name, DNS name, mesh address, id, or the beginning of its public key.
///
/// # Errors
/// Where no peer, or more than one, is meant.
pub(crate) fn find_peer(status: &Status, wanted: &str) -> Result<(PublicKey, String), Failure> {
    let found = |peer: &PeerStatus| (peer.public_key, peer.name.to_string());
    let address = wanted.parse::<IpAddr>().ok();
    let zone = status.own.as_ref().and_then(|own| own.zone.as_ref());
    let exact = status.peers.iter().find(|peer| {
        peer.name.as_str() == wanted
            || zone.is_some_and(|zone| zone.name_of(&peer.name) == wanted.trim_end_matches('.'))
            || peer.id.to_string() == wanted
            || address.is_some_and(|address| own_addresses(peer).any(|own| own == address))
    });
    if let Some(peer) = exact {
        return Ok(found(peer));
    }
    let mut by_key = status.peers.iter().filter(|peer| peer.public_key.to_string().starts_with(wanted));
    match (by_key.next(), by_key.next()) {
        (Some(peer), None) if !wanted.is_empty() => Ok(found(peer)),
        (Some(_), Some(_)) if !wanted.is_empty() => {
            let message = format!("more than one peer's public key begins with {wanted:?}: give more of it");
            Err(Failure::new(Code::Failed, message))
        }
        _ => Err(no_such_peer(wanted)),
    }
}

fn no_such_peer(wanted: &str) -> Failure {
    let shown: String = wanted.chars().take(64).collect();
    Failure::new(
        Code::Failed,
        format!("no peer is called {shown:?}: `warren peers` lists names and addresses"),
    )
}

/// The addresses of the peer itself, without the networks behind it.
fn own_addresses(peer: &PeerStatus) -> impl Iterator<Item = IpAddr> {
    peer.allowed_ips.iter().filter(|net| net.prefix_len() == net.max_prefix_len()).map(ipnet::IpNet::addr)
}

fn own_answer(identity: &Identity, interface: &str) -> OwnAnswer {
    OwnAnswer {
        name: identity.name.to_string(),
        id: identity.node_id,
        network: identity.network.clone(),
        standing: None,
        addresses: identity.addresses.iter().map(ipnet::IpNet::addr).collect(),
        public_key: identity.private_key.public_key(),
        interface: interface.to_owned(),
        udp_port: None,
        nat: NatProfile::default(),
        port_mapping: PortMappingAnswer::default(),
        relay: None,
        routes: Vec::new(),
        names: None,
        candidates: Vec::new(),
    }
}

/// One of this node's candidates.
pub(crate) fn own_candidate(candidate: Candidate) -> OwnCandidate {
    let Candidate { kind, address, base, source } = candidate;
    OwnCandidate { kind, address, base, source: printable(&source.to_string()) }
}

fn peer_answer(peer: &PeerStatus, zone: Option<&Zone>, stats: PeerStats, path: PathAnswer) -> PeerAnswer {
    PeerAnswer {
        name: peer.name.to_string(),
        dns_name: zone.map(|zone| zone.name_of(&peer.name)),
        id: peer.id,
        addresses: own_addresses(peer).collect(),
        public_key: peer.public_key,
        online: peer.online,
        path,
        switches: peer.switches,
        rx_bytes: stats.rx_bytes,
        tx_bytes: stats.tx_bytes,
        latest_handshake_ms: stats
            .handshake_age
            .map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
    }
}

fn path_answer(peer: &PeerStatus, relays: &[RelayStatus], port: u16, now: Timestamp) -> PathAnswer {
    let path = peer.path;
    let is_relayed = matches!(path.kind, PathKind::Relay | PathKind::Idle);
    let relay = relays.iter().find(|relay| is_relayed && Some(relay.address) == path.remote);
    let local = path.remote.and_then(net::local_address_towards);
    PathAnswer {
        kind: path.kind,
        local: local.map(|ip| SocketAddr::new(ip, port)),
        remote: path.remote,
        candidate_kind: path.candidate_kind,
        relay: relay.map(|relay| printable(&relay.name)),
        relay_transport: relay.map(|relay| relay.transport),
        rtt_us: path.rtt_us,
        tunnel_mtu: path.tunnel_mtu,
        since_ms: u64::try_from(now.since(path.since).as_millis()).unwrap_or(u64::MAX),
    }
}

fn candidate_answer(verdict: &Verdict) -> CandidateAnswer {
    let status = match verdict.status {
        PathStatus::Untried => "untried",
        PathStatus::Probing { .. } => "probing",
        PathStatus::Answered { .. } => "answered",
        PathStatus::Silent { .. } => "silent",
    };
    CandidateAnswer {
        kind: verdict.candidate.kind,
        address: verdict.candidate.address,
        source: printable(&verdict.candidate.source.to_string()),
        status: status.to_owned(),
        rtt_us: verdict.quality.rtt_us(),
        reason: verdict.reason.sentence(),
        reason_code: reason_code(verdict.reason),
        tried: !matches!(verdict.status, PathStatus::Untried),
    }
}

/// The reason's name as `endpoint-selection` writes it, so that there is one list of names.
fn reason_code(reason: Reason) -> String {
    let json = serde_json::to_value(reason).unwrap_or_default();
    json.get("code").and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
}

fn dropped(counts: &Counts) -> BTreeMap<String, u64> {
    let rows = [
        ("unknown", counts.unknown),
        ("oversized", counts.oversized),
        ("overflow", counts.overflow),
        ("relay_not_believed", counts.relay_not_believed),
        ("no_tunnel", counts.no_tunnel),
        ("no_peer", counts.no_peer),
        ("wrong_peer", counts.wrong_peer),
        ("rejected", counts.rejected),
        ("handshakes_limited", counts.handshakes_limited),
        ("source_not_allowed", counts.source_not_allowed),
        ("destination_not_ours", counts.destination_not_ours),
        ("not_permitted", counts.not_permitted),
        ("no_route", counts.no_route),
        ("no_path", counts.no_path),
        ("too_big", counts.too_big),
        ("send_failed", counts.send_failed),
        ("interface_failed", counts.interface_failed),
    ];
    rows.into_iter().filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count)).collect()
}
