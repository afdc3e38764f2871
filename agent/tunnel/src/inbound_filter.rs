//! What a node takes from one peer: what access rules permit, and answers to what the node sent itself.
//!
//! TCP is judged by the segment that begins a connection: any other segment without a connection is answered by the kernel
//! with a reset and does nothing. UDP and what has no connections are remembered as flows for a while, in bounded memory.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use protocol::access::TrafficFilter;

use crate::transport_header::TransportHeader;

/// How long an answer may take: what NATs grant a UDP flow at least (RFC 4787 REQ-5), and the half of it for one that is
/// forgotten early.
const FLOW_LIFE: Duration = Duration::from_secs(120);

/// Flows of one peer in one generation: some 200 KiB where both are full.
const FLOWS_MAX: usize = 1024;

/// What a node takes from one peer.
#[derive(Debug, Default)]
pub(crate) struct InboundFilter {
    filter: TrafficFilter,
    is_open: bool,
    /// Flows that were used since the last change of generations, and in the one before.
    young: HashSet<Flow>,
    old: HashSet<Flow>,
    changed_at: Option<Instant>,
}

/// Both ends of a flow, as seen from this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Flow {
    protocol: u8,
    own: (IpAddr, u16),
    peer: (IpAddr, u16),
}

impl InboundFilter {
    /// Takes over what access rules permit; another filter ends the flows that were begun under the one before.
    pub(crate) fn set(&mut self, filter: &TrafficFilter) {
        if self.filter != *filter {
            self.young.clear();
            self.old.clear();
        }
        self.is_open = filter.is_open();
        self.filter = filter.clone();
    }

    /// Remembers a packet that goes to the peer, whose answer is to be let in.
    pub(crate) fn note_sent(&mut self, packet: &[u8], now: Instant) {
        if self.is_open {
            return;
        }
        let Some(header) = TransportHeader::parse(packet) else { return };
        // A later fragment has no ports to remember a flow by.
        if header.is_tcp() || header.is_icmp() || (header.has_ports() && header.ports.is_none()) {
            return;
        }
        let (own, peer) = header.ports.unwrap_or_default();
        let flow =
            Flow { protocol: header.protocol, own: (header.source, own), peer: (header.destination, peer) };
        self.remember(flow, now);
    }

    /// Whether a packet from the peer may come in.
    pub(crate) fn permits(&mut self, packet: &[u8], now: Instant) -> bool {
        if self.is_open {
            return true;
        }
        let Some(header) = TransportHeader::parse(packet) else { return false };
        if header.is_later_fragment || header.is_answer() {
            return true;
        }
        let port = header.ports.map(|(_, destination)| destination);
        // A first fragment too short for its ports is nobody's usual packet, and one of nothing known.
        let is_whole = port.is_some() || !header.has_ports();
        is_whole && (self.filter.permits(header.protocol, port) || self.is_answer(&header, now))
    }

    fn is_answer(&mut self, header: &TransportHeader, now: Instant) -> bool {
        let (peer, own) = header.ports.unwrap_or_default();
        let flow =
            Flow { protocol: header.protocol, own: (header.destination, own), peer: (header.source, peer) };
        self.turn(now);
        // Only what is sent keeps a flow alive: else the peer could, after a rule that allowed it is gone.
        self.young.contains(&flow) || self.old.contains(&flow)
    }

    fn remember(&mut self, flow: Flow, now: Instant) {
        self.turn(now);
        if self.young.len() >= FLOWS_MAX && !self.young.contains(&flow) {
            self.change_generations(now);
        }
        self.young.insert(flow);
    }

    /// Lets a generation pass where its time is over; both, where that is long ago.
    fn turn(&mut self, now: Instant) {
        let age = self.changed_at.map(|at| now.saturating_duration_since(at));
        if age.is_none_or(|age| age >= FLOW_LIFE) {
            self.change_generations(now);
            if age.is_some_and(|age| age >= 2 * FLOW_LIFE) {
                self.old.clear();
            }
        }
    }

    fn change_generations(&mut self, now: Instant) {
        self.old = std::mem::take(&mut self.young);
        self.changed_at = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use protocol::access::{Access, InboundRule, IpProtocol, Traffic, Verdict};

    use super::*;
    use crate::transport_header::packets::{icmp, tcp, udp};

    const OWN: [u8; 4] = [10, 0, 0, 1];
    const PEER: [u8; 4] = [10, 0, 0, 2];
    const SYN: u8 = 0x02;
    const ACK: u8 = 0x10;

    fn filter(rules: Vec<(Verdict, IpProtocol, &str)>) -> InboundFilter {
        let rules = rules.into_iter().map(|(verdict, protocol, port)| InboundRule {
            verdict,
            sources: Vec::new(),
            traffic: Traffic {
                protocol,
                ports: Some(port)
                    .filter(|port| !port.is_empty())
                    .map(|port| port.parse().unwrap())
                    .into_iter()
                    .collect(),
            },
        });
        let mut filter = InboundFilter::default();
        filter.set(&Access { default: Verdict::Deny, rules: rules.collect() }.filter_for(&[]));
        filter
    }

    #[test]
    fn a_connection_begins_only_at_a_port_that_a_rule_allows() {
        let mut filter = filter(vec![(Verdict::Allow, IpProtocol::Tcp, "22")]);
        let now = Instant::now();
        assert!(filter.permits(&tcp(PEER, OWN, 40_000, 22, SYN), now));
        assert!(!filter.permits(&tcp(PEER, OWN, 40_000, 23, SYN), now));
        assert!(!filter.permits(&udp(PEER, OWN, 40_000, 22), now));
    }

    #[test]
    fn answers_come_in_where_nothing_else_may() {
        let mut filter = filter(Vec::new());
        let now = Instant::now();
        assert!(filter.permits(&tcp(PEER, OWN, 80, 40_000, SYN | ACK), now));
        assert!(filter.permits(&icmp(PEER, OWN, 0), now), "an echo reply");
        assert!(!filter.permits(&icmp(PEER, OWN, 8), now), "an echo request");
        assert!(!filter.permits(&udp(PEER, OWN, 53, 40_000), now));
        filter.note_sent(&udp(OWN, PEER, 40_000, 53), now);
        assert!(filter.permits(&udp(PEER, OWN, 53, 40_000), now));
        assert!(!filter.permits(&udp(PEER, OWN, 53, 40_001), now), "another flow");
    }

    #[test]
    fn a_flow_lives_as_long_as_it_is_used_and_two_minutes_more_at_least() {
        let mut filter = filter(Vec::new());
        let start = Instant::now();
        let (question, answer) = (udp(OWN, PEER, 40_000, 53), udp(PEER, OWN, 53, 40_000));
        let at = |seconds| start + Duration::from_secs(seconds);
        for seconds in (0..1200).step_by(60) {
            filter.note_sent(&question, at(seconds));
            assert!(filter.permits(&answer, at(seconds + 59)), "after {seconds} s");
        }
        assert!(filter.permits(&answer, at(1140 + 119)), "two minutes after the last question");
        assert!(!filter.permits(&answer, at(1140 + 241)), "four minutes after it");
    }

    #[test]
    fn another_filter_ends_the_flows_of_the_one_before() {
        let mut filter = filter(Vec::new());
        let now = Instant::now();
        filter.note_sent(&udp(OWN, PEER, 40_000, 53), now);
        filter.set(&filter.filter.clone());
        assert!(filter.permits(&udp(PEER, OWN, 53, 40_000), now), "the same again");
        let other = Traffic { protocol: IpProtocol::Tcp, ports: Vec::new() };
        let rule = InboundRule { verdict: Verdict::Allow, sources: Vec::new(), traffic: other };
        filter.set(&Access { default: Verdict::Deny, rules: vec![rule] }.filter_for(&[]));
        assert!(!filter.permits(&udp(PEER, OWN, 53, 40_000), now));
    }

    #[test]
    fn more_flows_than_are_remembered_cost_no_further_memory() {
        let mut filter = filter(Vec::new());
        let now = Instant::now();
        for port in 1..=60_000 {
            filter.note_sent(&udp(OWN, PEER, port, 53), now);
        }
        assert!(filter.young.len() + filter.old.len() <= 2 * FLOWS_MAX);
        assert!(filter.permits(&udp(PEER, OWN, 53, 60_000), now), "the newest are the ones that stay");
    }

    #[test]
    fn what_is_denied_is_denied_also_where_all_else_is_allowed() {
        let rules = vec![(Verdict::Deny, IpProtocol::Tcp, "22"), (Verdict::Allow, IpProtocol::Any, "")];
        let mut filter = filter(rules);
        let now = Instant::now();
        assert!(
            !filter.permits(&tcp(PEER, OWN, 1, 22, SYN), now) && filter.permits(&udp(PEER, OWN, 1, 9), now)
        );
    }

    #[test]
    fn an_open_filter_looks_at_nothing() {
        let mut filter = InboundFilter::default();
        filter.set(&TrafficFilter::open());
        assert!(filter.permits(&[], Instant::now()));
    }
}
