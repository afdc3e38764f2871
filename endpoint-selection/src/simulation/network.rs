//! Two hosts, the boxes in front of them, and an internet with STUN servers: where a packet goes and what becomes of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::nat::{Nat, NatBehaviour};
use super::rng::Rng;
use crate::sorted::SortedMap;
use crate::time::Timestamp;

/// Which of the two hosts; index into everything that comes in pairs.
pub(super) type Host = usize;

/// The STUN servers: two addresses with two ports each, so that mapping by address and by port can be told apart.
pub(super) const SERVERS: [SocketAddr; 4] =
    [server(1, 3478), server(1, 3479), server(2, 3478), server(2, 3479)];

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
}

impl Network {
    /// `shared` are boxes in front of both, `sites` those in front of each, all from the host outwards. With `same_network` the
    /// hosts are in one network, that of the first site.
    pub(super) fn new(shared: &[NatBehaviour], sites: [&[NatBehaviour]; 2], same_network: bool) -> Self {
        let mut network = Self {
            segments: vec![Segment { gateway: None, attached: SortedMap::new() }],
            gateways: Vec::new(),
            hosts: [(INTERNET, IpAddr::V4(Ipv4Addr::UNSPECIFIED)); 2],
        };
        for server in SERVERS {
            network.segments[INTERNET].attached.insert(server.ip(), Attached::Servers);
        }
        let meeting = network.add_boxes(INTERNET, shared, 0);
        let first = network.add_boxes(meeting, sites[0], 1);
        let second = if same_network { first } else { network.add_boxes(meeting, sites[1], 2) };
        network.hosts = [network.add_host(first, 0), network.add_host(second, 1)];
        network
    }

    /// Boxes from `outer` inwards; returns the innermost segment.
    fn add_boxes(&mut self, outer: usize, boxes: &[NatBehaviour], site: u8) -> usize {
        boxes.iter().rev().fold(outer, |outer, behaviour| {
            let index = self.gateways.len();
            let external = self.free_address(outer, site);
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
            self.free_address(outer, site)
        } else {
            self.free_address(segment, site)
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
    fn free_address(&self, segment: usize, site: u8) -> IpAddr {
        let depth = std::iter::successors(Some(segment), |at| {
            self.segments[*at].gateway.map(|index| self.gateways[index].outer)
        })
        .count();
        let taken = u8::try_from(self.segments[segment].attached.len()).unwrap_or(u8::MAX);
        let octets = match depth {
            1 => [203, 0, 113, 10 + taken],
            _ if self.segments[segment].attached.values().any(|who| matches!(who, Attached::Gateway(_))) => {
                [100, 64, 0, 10 + taken]
            }
            _ => [192, 168, 1, 10 + taken.max(site)],
        };
        IpAddr::V4(Ipv4Addr::from(octets))
    }

    /// A host's own address.
    pub(super) const fn address(&self, host: Host) -> IpAddr {
        self.hosts[host].1
    }

    /// A packet leaves a host and goes outwards until it knows its way. `None`: dropped, or to nowhere.
    pub(super) fn send(
        &mut self,
        now: Timestamp,
        host: Host,
        (mut from, to): (SocketAddr, SocketAddr),
        rng: &mut Rng,
    ) -> Option<Turned> {
        let mut segment = self.hosts[host].0;
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
    pub(super) const fn answer(from: SocketAddr, to: SocketAddr) -> Turned {
        Turned { segment: INTERNET, from, to }
    }

    /// A turned packet goes inwards to its end. `None`: dropped.
    pub(super) fn arrive(&mut self, now: Timestamp, turned: Turned) -> Option<Arrival> {
        let Turned { mut segment, from, mut to } = turned;
        loop {
            match *self.segments[segment].attached.get(&to.ip())? {
                Attached::Host(host) => return Some(Arrival::Host { host, from, to }),
                Attached::Servers => {
                    return SERVERS.contains(&to).then_some(Arrival::Server { server: to, from });
                }
                Attached::Gateway(index) => {
                    let gateway = &mut self.gateways[index];
                    to = gateway.nat.inbound(now, from, to)?;
                    segment = gateway.inner;
                }
            }
        }
    }

    /// Other hosts open flows on the boxes in front of `host`.
    pub(super) fn foreign_flows(&mut self, now: Timestamp, host: Host, flows: u32, rng: &mut Rng) {
        if let Some(index) = self.segments[self.hosts[host].0].gateway {
            self.gateways[index].nat.foreign_flows(now, flows, rng);
        }
    }

    /// The box nearest to `host` behaves otherwise from now on.
    pub(super) fn set_behaviour(&mut self, host: Host, behaviour: NatBehaviour) {
        if let Some(index) = self.segments[self.hosts[host].0].gateway {
            self.gateways[index].nat.set_behaviour(behaviour);
        }
    }

    /// Mappings on the box nearest to `host`, foreign ones included.
    pub(super) fn mappings(&self, host: Host) -> usize {
        self.segments[self.hosts[host].0].gateway.map_or(0, |index| self.gateways[index].nat.mappings())
    }
}
