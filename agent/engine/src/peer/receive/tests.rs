//! What answers say about the ways to a peer, told by two peers that hear each other.

use std::collections::{BTreeMap, VecDeque};

use endpoint_selection::nat::{Allocation, Filtering, Mapping, NatProfile};
use endpoint_selection::traversal::Side;
use protocol::api;
use protocol::key::PrivateKey;
use protocol::relay::SessionId;

use super::*;
use crate::context::RelaySession;
use crate::entropy::Entropy;
use crate::output::{Output, TunnelPath};

const NOW: Timestamp = Timestamp::from_micros(1_000_000);

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn relay() -> SocketAddr {
    address("203.0.113.100:3478")
}

/// One node, and the other as it sees it.
struct End {
    peer: Peer,
    entropy: Entropy,
    outputs: VecDeque<Output>,
    sessions: BTreeMap<SocketAddr, RelaySession>,
    notices: Vec<Notice>,
    /// Its present life.
    epoch: u64,
}

impl End {
    fn new(own: u8, other: u8, candidates: Vec<Candidate>, nat: NatProfile) -> Self {
        let [own_key, other_key] = [own, other].map(|number| PrivateKey::from_random([number; 32]));
        let info = api::Peer {
            id: uuid::Uuid::nil(),
            name: "other".parse().unwrap(),
            public_key: other_key.public_key(),
            allowed_ips: Vec::new(),
            online: true,
            candidates,
            nat,
            plain_endpoint: None,
            tags: Vec::new(),
            routes: Vec::new(),
        };
        let session = RelaySession { id: SessionId([own; 8]), server: relay(), node: None };
        Self {
            peer: Peer::new(info, &own_key, Vec::new(), NOW),
            entropy: Entropy::new(&[own; 32]),
            outputs: VecDeque::new(),
            sessions: BTreeMap::from([(relay(), session)]),
            notices: Vec::new(),
            epoch: 1,
        }
    }

    fn with<T>(&mut self, event: impl FnOnce(&mut Peer, &mut Context<'_>) -> T) -> T {
        let mut context = Context {
            now: NOW,
            entropy: &mut self.entropy,
            outputs: &mut self.outputs,
            epoch: self.epoch,
            is_path_changed: &mut false,
            sessions: &self.sessions,
            own_addresses: &[],
            notices: &mut self.notices,
            scrutinized_at: &mut None,
        };
        event(&mut self.peer, &mut context)
    }

    /// The first datagram that it sent since it was last asked.
    fn sent(&mut self) -> Vec<u8> {
        let datagram =
            |output| if let Output::Transmit { datagram, .. } = output { Some(datagram) } else { None };
        std::mem::take(&mut self.outputs).into_iter().find_map(datagram).unwrap()
    }

    /// The other answers a request from this socket to this address of it.
    fn reach(&mut self, other: &mut Self, socket: SocketId, remote: SocketAddr) {
        self.outputs.clear();
        self.with(|peer, context| peer.probe_from(context, socket, remote));
        let request = self.sent();
        other.outputs.clear();
        let seen = Route::Direct(SocketId::MAIN, address("198.51.100.1:4000"));
        assert!(other.with(|peer, context| peer.handle_probe(context, seen, &request)));
        let reply = other.sent();
        let route = Route::Direct(socket, remote);
        assert!(self.with(|peer, context| peer.handle_probe(context, route, &reply)));
    }

    /// Data was seen to be lost at this address, so that a relay takes over.
    fn lose_data(&mut self, remote: SocketAddr) {
        self.with(|peer, context| peer.observe(context, remote, ObservationKind::DataLost));
        assert_eq!(self.peer.route(), Some(Route::Relay(relay())));
    }
}

/// Two nodes with a relay: the first behind a NAT with random ports, the second behind one that filters.
fn pair() -> [End; 2] {
    let reflexive = |address| Candidate {
        kind: CandidateKind::ServerReflexive,
        address,
        base: None,
        source: CandidateSource::Peer,
    };
    let filtering = NatProfile {
        mapping: Some(Mapping::EndpointIndependent),
        filtering: Some(Filtering::AddressAndPortDependent),
        ..NatProfile::default()
    };
    let candidates = vec![reflexive(address("198.51.100.2:5000"))];
    let mut ends = [End::new(1, 2, candidates, filtering), End::new(2, 1, Vec::new(), NatProfile::default())];
    for end in &mut ends {
        end.with(|peer, context| peer.on_relay(context, relay(), true));
    }
    ends
}

#[test]
fn what_was_seen_through_a_side_socket_says_nothing_of_the_main_one_once_another_takes_its_place() {
    let [mut own, mut other] = pair();
    let (first, second) = (address("198.51.100.2:5001"), address("198.51.100.2:5002"));
    own.reach(&mut other, SocketId(1), first);
    assert_eq!(own.peer.path, Some(TunnelPath::Direct { socket: SocketId(1), remote: first }));
    own.lose_data(first);
    own.reach(&mut other, SocketId(2), second);
    assert_eq!(own.peer.path, Some(TunnelPath::Direct { socket: SocketId(2), remote: second }));
    assert!(!own.peer.selector.may_carry(first, NOW), "nothing was heard there on the main socket");
}

#[test]
fn where_an_address_answers_though_badly_no_attempt_is_made() {
    let [mut own, mut other] = pair();
    let random = NatProfile {
        mapping: Some(Mapping::AddressAndPortDependent),
        filtering: Some(Filtering::AddressAndPortDependent),
        allocation: Some(Allocation::Random),
        ..NatProfile::default()
    };
    let side = Side { candidates: other.peer.info.candidates.clone(), nat: random };
    let later = NOW + Duration::from_secs(5);
    let attempt = |own: &mut End| {
        own.peer.note_use(NOW);
        own.peer.punching.on_round_over(NOW);
        own.peer.take_attempt(later, &side).is_some()
    };
    assert!(attempt(&mut own), "nothing answers");
    own.reach(&mut other, SocketId::MAIN, address("198.51.100.2:5000"));
    own.lose_data(address("198.51.100.2:5000"));
    assert!(!attempt(&mut own));
}

#[test]
fn a_peer_that_was_restarted_gets_a_new_session_and_its_path_another_chance() {
    let [mut own, mut other] = pair();
    let remote = address("198.51.100.2:5000");
    own.reach(&mut other, SocketId::MAIN, remote);
    own.lose_data(remote);
    let asks_for_session =
        |end: &End| end.outputs.iter().any(|output| matches!(output, Output::RenewSession { .. }));
    assert!(!asks_for_session(&own));
    let [_, mut restarted] = pair();
    restarted.epoch = 2;
    own.reach(&mut restarted, SocketId::MAIN, remote);
    assert!(asks_for_session(&own));
    assert_eq!(own.peer.route(), Some(Route::Direct(SocketId::MAIN, remote)));
}
