//! Two hosts, the boxes in front of them, and an internet with STUN servers: where a packet goes and what becomes of it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::nat::{Nat, NatBehaviour};
use super::rng::Rng;
use super::scenario::Scenario;
use crate::sorted::SortedMap;
use crate::time::Timestamp;

/// Which of the two hosts; index into everything that comes in pairs.
pub(super) type Host = usize;

/// The STUN servers: two addresses with two ports each, so that mapping by address and by port can be told apart.
pub(super) const SERVERS: [SocketAddr; 4] =
    [server(1, 3478), server(1, 3479), server(2, 3478), server(2, 3479)];

/// The one inside a carrier's network, where there is one (RFC 6598).
pub(super) const CARRIER_SERVER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(100, 64, 0, 2)), 3478);

const fn server(last: u8, port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::new(198, 51, 100, last)), port)
}

const INTERNET: usize = 0;

#[derive(Debug, Clone, Copy)]
enum Attached {
    Host(Host),
    Gateway(usize),
    Servers,
}

#[derive(Debug)]
struct Segment {
    /// The box that leads outwards.
    gateway: Option<usize>,
    attached: SortedMap<IpAddr, Attached>,
}

#[derive(Debug)]
struct Gateway {
    nat: Nat,
    inner: usize,
    outer: usize,
}

/// A packet that turned towards its destination, in the segment where it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turned {
    segment: usize,
    from: SocketAddr,
    to: SocketAddr,
}

/// Where a packet ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    /// At a host: who it seems to come from, and which of the host's addresses it came to.
    Host { host: Host, from: SocketAddr, to: SocketAddr },
    /// At a STUN server.
    Server { server: SocketAddr, from: SocketAddr },
}

/// The world of one pair.
#[derive(Debug)]
pub(super) struct Network {
    segments: Vec<Segment>,
    gateways: Vec<Gateway>,
    hosts: [(usize, IpAddr); 2],
    hosts_ipv6: [Option<(usize, IpAddr)>; 2],
    /// Where the carrier's server is.
    carrier: usize,
}

impl Network {
    /// Boxes in front of both, then those in front of each; in one network both hosts are behind those of the first.
    pub(super) fn new(scenario: &Scenario) -> Self {
        let [one, other] = &scenario.nodes;
        let mut network = Self {
            segments: vec![Segment { gateway: None, attached: SortedMap::new() }],
            gateways: Vec::new(),
            hosts: [(INTERNET, IpAddr::V4(Ipv4Addr::UNSPECIFIED)); 2],
            hosts_ipv6: [None; 2],
            carrier: INTERNET,
        };
        for server in SERVERS {
            network.segments[INTERNET].attached.insert(server.ip(), Attached::Servers);
        }
        let meeting = network.add_boxes(INTERNET, &scenario.shared, 0);
        let first = network.add_boxes(meeting, &one.boxes, 1);
        let second = if scenario.same_network { first } else { network.add_boxes(meeting, &other.boxes, 2) };
        network.hosts = [network.add_host(first, 0), network.add_host(second, 1)];
        for (host, node) in scenario.nodes.iter().enumerate() {
            if node.has_ipv6 {
                network.hosts_ipv6[host] = Some(network.add_ipv6_host(host));
            }
            if node.are_servers_exempt
                && let Some(nearest) = network.nearest(host)
            {
                SERVERS.into_iter().for_each(|server| nearest.exempt(server));
            }
        }
        if scenario.carrier_server {
            network.add_carrier_server(first);
        }
        network
    }

    /// A network of its own behind a firewall, next to whatever it has for IPv4.
    fn add_ipv6_host(&mut self, host: Host) -> (usize, IpAddr) {
        let number = u16::try_from(host).unwrap_or(0) + 1;
        let address = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0x10));
        let (index, segment) = (self.gateways.len(), self.segments.len());
        let mut attached = SortedMap::new();
        attached.insert(address, Attached::Host(host));
        self.segments.push(Segment { gateway: Some(index), attached });
        let nat = Nat::new(NatBehaviour::firewall(), address);
        self.gateways.push(Gateway { nat, inner: segment, outer: INTERNET });
        self.segments[INTERNET].attached.insert(address, Attached::Gateway(index));
        (segment, address)
    }

    fn add_carrier_server(&mut self, innermost: usize) {
        let outer = |at: &usize| self.segments[*at].gateway.map(|index| self.gateways[index].outer);
        let ways = std::iter::successors(Some(innermost), outer);
        self.carrier = ways.filter(|segment| *segment != INTERNET).last().unwrap_or(INTERNET);
        self.segments[self.carrier].attached.insert(CARRIER_SERVER.ip(), Attached::Servers);
    }

    /// Boxes from `outer` inwards; returns the innermost segment.
    fn add_boxes(&mut self, outer: usize, boxes: &[NatBehaviour], site: u8) -> usize {
        boxes.iter().rev().fold(outer, |outer, behaviour| {
            let index = self.gateways.len();
            let external = self.free_address(outer, site, true);
            self.segments[outer].attached.insert(external, Attached::Gateway(index));
            let inner = self.segments.len();
            self.segments.push(Segment { gateway: Some(index), attached: SortedMap::new() });
            self.gateways.push(Gateway { nat: Nat::new(*behaviour, external), inner, outer });
            inner
        })
    }

    /// Behind a firewall addresses are public, and known outside.
    fn add_host(&mut self, segment: usize, host: Host) -> (usize, IpAddr) {
        let (mut outer, site) = (segment, u8::try_from(host).unwrap_or(0) + 1);
        while let Some(index) =
            self.segments[outer].gateway.filter(|index| !self.gateways[*index].nat.translates())
        {
            outer = self.gateways[index].outer;
        }
        let address = if outer == segment || self.segments[outer].gateway.is_none() {
            self.free_address(outer, site, false)
        } else {
            self.free_address(segment, site, false)
        };
        let mut at = segment;
        self.segments[at].attached.insert(address, Attached::Host(host));
        while at != outer
            && let Some(index) = self.segments[at].gateway
        {
            at = self.gateways[index].outer;
            self.segments[at].attached.insert(address, Attached::Gateway(index));
        }
        (segment, address)
    }

    /// Homes all use one range; what lies between two boxes is a carrier's.
    fn free_address(&self, segment: usize, site: u8, is_box: bool) -> IpAddr {
        let taken = u8::try_from(self.segments[segment].attached.len()).unwrap_or(u8::MAX);
        let octets = match self.segments[segment].gateway {
            None => [203, 0, 113, 10 + taken],
            Some(_) if is_box => [100, 64, 0, 10 + taken],
            Some(_) => [192, 168, 1, 10 + taken.max(site)],
        };
        IpAddr::V4(Ipv4Addr::from(octets))
    }

    /// A host's own addresses: the IPv4 one, and then the other, where it has one.
    pub(super) fn addresses(&self, host: Host) -> impl Iterator<Item = IpAddr> {
        [Some(self.hosts[host]), self.hosts_ipv6[host]].into_iter().flatten().map(|(_, address)| address)
    }

    /// Where a host is in the family of `to`, and its address there.
    fn place(&self, host: Host, to: IpAddr) -> Option<(usize, IpAddr)> {
        if to.is_ipv6() { self.hosts_ipv6[host] } else { Some(self.hosts[host]) }
    }

    /// The IPv4 box nearest to a host.
    fn nearest(&mut self, host: Host) -> Option<&mut Nat> {
        let index = self.segments[self.hosts[host].0].gateway?;
        Some(&mut self.gateways[index].nat)
    }

    /// The box nearest to `host` opens a port for it.
    pub(super) fn open_port(&mut self, host: Host, port: u16, rng: &mut Rng) -> Option<SocketAddr> {
        let inside = SocketAddr::new(self.hosts[host].1, port);
        self.nearest(host)?.open_port(inside, rng)
    }

    /// A packet leaves a port of a host and goes outwards until it knows its way. `None`: dropped, or to nowhere.
    pub(super) fn send(
        &mut self,
        now: Timestamp,
        (host, port): (Host, u16),
        to: SocketAddr,
        rng: &mut Rng,
    ) -> Option<Turned> {
        let (mut segment, ip) = self.place(host, to.ip())?;
        let mut from = SocketAddr::new(ip, port);
        loop {
            if self.segments[segment].attached.contains_key(&to.ip()) {
                return Some(Turned { segment, from, to });
            }
            let gateway = &mut self.gateways[self.segments[segment].gateway?];
            if gateway.nat.translates() && to.ip() == gateway.nat.external() {
                let (from, to) = gateway.nat.hairpin(now, from, to, rng)?;
                return Some(Turned { segment, from, to });
            }
            from = gateway.nat.outbound(now, from, to, rng)?;
            segment = gateway.outer;
        }
    }

    /// A server answers where the question came from.
    pub(super) fn answer(&self, from: SocketAddr, to: SocketAddr) -> Turned {
        Turned { segment: if from == CARRIER_SERVER { self.carrier } else { INTERNET }, from, to }
    }

    /// A turned packet goes inwards to its end. `None`: dropped.
    pub(super) fn arrive(&mut self, now: Timestamp, turned: Turned) -> Option<Arrival> {
        let Turned { mut segment, from, mut to } = turned;
        loop {
            match *self.segments[segment].attached.get(&to.ip())? {
                Attached::Host(host) => return Some(Arrival::Host { host, from, to }),
                Attached::Servers => {
                    let is_asked = SERVERS.contains(&to) || to == CARRIER_SERVER;
                    return is_asked.then_some(Arrival::Server { server: to, from });
                }
                Attached::Gateway(index) => {
                    let gateway = &mut self.gateways[index];
                    to = gateway.nat.inbound(now, from, to)?;
                    segment = gateway.inner;
                }
            }
        }
    }

    /// Other hosts open flows on the box nearest to `host`.
    pub(super) fn foreign_flows(&mut self, now: Timestamp, host: Host, flows: u32, rng: &mut Rng) {
        if let Some(nearest) = self.nearest(host) {
            nearest.foreign_flows(now, flows, rng);
        }
    }

    /// The box nearest to `host` behaves otherwise from now on.
    pub(super) fn set_behaviour(&mut self, host: Host, behaviour: NatBehaviour) {
        if let Some(nearest) = self.nearest(host) {
            nearest.set_behaviour(behaviour);
        }
    }

    /// Mappings on the box nearest to `host`, foreign ones included.
    pub(super) fn mappings(&mut self, host: Host) -> usize {
        self.nearest(host).map_or(0, |nearest| nearest.mappings())
    }
}
