//! The one sentence that a person wants first.

use protocol::api::{PathKind, Standing};

use crate::control::answer::{ExitNodeAnswer, PeerAnswer};

use super::node::Connection;

/// How the node as a whole is doing.
pub(crate) fn of_node(
    peers: &[PeerAnswer],
    connection: &Connection,
    standing: Standing,
    trouble: Option<&str>,
    exit_node: Option<&ExitNodeAnswer>,
) -> String {
    if let Some(trouble) = trouble {
        let mut verdict = format!("failing: {trouble}");
        add_exit_node(&mut verdict, exit_node);
        return verdict;
    }
    let mut verdict = if let Some(why) = of_standing(standing) {
        why.to_owned()
    } else if peers.is_empty() {
        if connection.is_open {
            "connected: no peers yet".to_owned()
        } else {
            "starting: no network map yet".to_owned()
        }
    } else {
        of_peers(peers)
    };
    if !connection.is_open {
        let why = connection.error.as_deref().unwrap_or("connecting");
        verdict.push_str(&format!("; without the coordinator ({why})"));
    }
    if let Some(why) = &connection.refusal {
        verdict.push_str(&format!("; the coordinator's map is refused ({why})"));
    }
    if connection.is_open
        && let Some(why) = &connection.error
    {
        verdict.push_str(&format!("; the coordinator takes no reports ({why})"));
    }
    add_exit_node(&mut verdict, exit_node);
    verdict
}

/// What is wrong with the exit node that is used, where something is.
pub(crate) fn add_exit_node(verdict: &mut String, exit_node: Option<&ExitNodeAnswer>) {
    let told = exit_node.into_iter().flat_map(|exit_node| exit_node.leaking.iter().chain(&exit_node.blocked));
    told.for_each(|why| verdict.push_str(&format!("; {why}")));
}

/// Why a node sees no peers whatever their paths.
const fn of_standing(standing: Standing) -> Option<&'static str> {
    match standing {
        Standing::Admitted => None,
        Standing::Waiting => Some("waiting: an administrator of the network has to admit this node"),
        Standing::Disabled => Some("disabled: an administrator of the network switched this node off"),
        Standing::Expired => {
            Some("expired: this node's time in the network is over; ask an administrator to prolong it")
        }
    }
}

fn of_peers(peers: &[PeerAnswer]) -> String {
    let count = |kind: PathKind| peers.iter().filter(|peer| peer.path.kind == kind).count();
    let (direct, relayed, idle) = (count(PathKind::Direct), count(PathKind::Relay), count(PathKind::Idle));
    let reachable = direct + relayed + idle;
    let missing_online = peers.iter().filter(|peer| peer.path.kind == PathKind::None && peer.online).count();
    let missing_offline = peers.len() - reachable - missing_online;
    let word = match (reachable, missing_online) {
        (_, 0) => "connected",
        (0, _) => "not connected",
        _ => "partly connected",
    };
    let mut parts = vec![format!("{reachable} of {} peers reachable", peers.len())];
    if direct > 0 {
        parts.push(format!("{direct} direct"));
    }
    if relayed > 0 {
        parts.push(format!("{relayed} through {}", relay_names(peers)));
    }
    if idle > 0 {
        parts.push(format!("{idle} idle"));
    }
    if missing_offline > 0 {
        parts.push(format!("{missing_offline} offline"));
    }
    format!("{word}: {}", parts.join(", "))
}

/// "relay main", or "2 relays" where there are several.
fn relay_names(peers: &[PeerAnswer]) -> String {
    let relayed = peers.iter().filter(|peer| peer.path.kind == PathKind::Relay);
    let mut names: Vec<&str> = relayed.filter_map(|peer| peer.path.relay.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    match names.as_slice() {
        [name] => format!("relay {name}"),
        [] => "a relay".to_owned(),
        names => format!("{} relays", names.len()),
    }
}

#[cfg(test)]
mod tests {
    use protocol::key::PublicKey;
    use uuid::Uuid;

    use super::*;
    use crate::control::answer::PathAnswer;

    fn peer(kind: PathKind, online: bool) -> PeerAnswer {
        let relay = (kind == PathKind::Relay).then(|| "main".to_owned());
        let path = PathAnswer {
            kind,
            local: None,
            remote: None,
            candidate_kind: None,
            relay,
            relay_transport: None,
            rtt_us: None,
            tunnel_mtu: None,
            since_ms: 0,
        };
        PeerAnswer {
            name: "p".into(),
            dns_name: None,
            id: Uuid::nil(),
            addresses: Vec::new(),
            public_key: PublicKey::from_bytes([0; 32]),
            online,
            path,
            switches: 0,
            rx_bytes: 0,
            tx_bytes: 0,
            latest_handshake_ms: None,
        }
    }

    fn open() -> Connection {
        Connection { is_open: true, ..Connection::default() }
    }

    #[test]
    fn the_verdict_counts_peers_by_how_they_are_reached() {
        let (direct, relay) = (peer(PathKind::Direct, true), peer(PathKind::Relay, true));
        let peers = [direct.clone(), direct.clone(), direct, relay];
        let expected = "connected: 4 of 4 peers reachable, 3 direct, 1 through relay main";
        assert_eq!(of_node(&peers, &open(), Standing::Admitted, None, None), expected);
    }

    #[test]
    fn an_offline_peer_is_no_trouble_and_an_unreached_online_one_is() {
        let direct = peer(PathKind::Direct, true);
        let offline = [direct.clone(), peer(PathKind::None, false)];
        assert_eq!(
            of_node(&offline, &open(), Standing::Admitted, None, None),
            "connected: 1 of 2 peers reachable, 1 direct, 1 offline"
        );
        let unreached = [direct, peer(PathKind::None, true)];
        assert!(
            of_node(&unreached, &open(), Standing::Admitted, None, None)
                .starts_with("partly connected: 1 of 2 peers")
        );
        assert!(
            of_node(&unreached[1..], &open(), Standing::Admitted, None, None)
                .starts_with("not connected: 0 of 1 peers")
        );
    }

    #[test]
    fn trouble_and_a_missing_coordinator_are_told() {
        assert_eq!(of_node(&[], &open(), Standing::Admitted, Some("no TUN"), None), "failing: no TUN");
        let lost = Connection { error: Some("closed".into()), ..Connection::default() };
        let verdict = of_node(&[peer(PathKind::Direct, true)], &lost, Standing::Admitted, None, None);
        assert_eq!(verdict, "connected: 1 of 1 peers reachable, 1 direct; without the coordinator (closed)");
        let refused = Connection { refusal: Some("signed by another key".into()), ..open() };
        let verdict = of_node(&[peer(PathKind::Direct, true)], &refused, Standing::Admitted, None, None);
        assert!(
            verdict.ends_with("1 direct; the coordinator's map is refused (signed by another key)"),
            "{verdict}"
        );
    }

    #[test]
    fn reports_that_the_coordinator_does_not_take_are_told() {
        let refused = Connection { error: Some("routes: 40 given".into()), ..open() };
        let verdict = of_node(&[peer(PathKind::Direct, true)], &refused, Standing::Admitted, None, None);
        assert!(verdict.ends_with("; the coordinator takes no reports (routes: 40 given)"), "{verdict}");
    }

    #[test]
    fn an_exit_node_that_lets_nothing_through_or_something_past_it_is_told_whatever_else_is() {
        let exit_node = ExitNodeAnswer {
            blocked: Some("vps is not reached".into()),
            leaking: Some("no nft".into()),
            ..ExitNodeAnswer::default()
        };
        for trouble in [None, Some("no TUN")] {
            let verdict = of_node(&[], &open(), Standing::Admitted, trouble, Some(&exit_node));
            assert!(verdict.ends_with("; no nft; vps is not reached"), "{verdict}");
        }
        let fine = ExitNodeAnswer::default();
        let verdict = of_node(&[], &open(), Standing::Admitted, None, Some(&fine));
        assert_eq!(verdict, "connected: no peers yet");
    }

    #[test]
    fn a_node_that_is_not_part_of_its_network_hears_why() {
        let verdict = |standing| of_node(&[], &open(), standing, None, None);
        assert!(verdict(Standing::Waiting).starts_with("waiting: "));
        assert!(verdict(Standing::Disabled).starts_with("disabled: "));
        assert!(verdict(Standing::Expired).starts_with("expired: "));
    }
}
