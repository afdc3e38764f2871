//! The shape of the world: segments, the boxes between them, links with delay, jitter and loss.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use endpoint_selection::simulation::Rng;
use endpoint_selection::simulation::{Nat, NatBehaviour};

/// A network in which everyone reaches everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Segment(pub(crate) usize);

/// Where all public addresses live.
pub const INTERNET: Segment = Segment(0);

/// One hop, the same in both directions. Packets overtake one another where jitter is larger than their distance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The least time that a packet takes.
    pub delay: Duration,
    /// The most that comes on top, evenly spread.
    pub jitter: Duration,
    /// Lost packets in a million.
    pub loss_ppm: u32,
}

impl Link {
    /// A link of `delay_us` microseconds, an eighth of that as jitter, without loss.
    #[must_use]
    pub const fn new(delay_us: u64) -> Self {
        Self {
            delay: Duration::from_micros(delay_us),
            jitter: Duration::from_micros(delay_us / 8),
            loss_ppm: 0,
        }
    }

    /// The time that one packet takes; `None` where it is lost.
    pub(crate) fn pass(&self, rng: &mut Rng) -> Option<Duration> {
        if rng.chance(self.loss_ppm) {
            return None;
        }
        Some(self.delay + rng.duration_below(self.jitter))
    }
}

/// From which range a segment's hosts get their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// 192.168.n.0/24 (RFC 1918); many homes share one n.
    Home(u8),
    /// 100.64.n.0/24 (RFC 6598): behind a provider's NAT.
    Carrier(u8),
    /// Public ones.
    Public,
}

/// Who holds an address in a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attached {
    Node(usize),
    Gateway(usize),
    Server(usize),
    Stranger,
}

pub(crate) struct SegmentState {
    /// The box that leads towards the internet.
    pub(crate) gateway: Option<usize>,
    pub(crate) attached: BTreeMap<IpAddr, Attached>,
    addresses: Addresses,
    given: u8,
}

/// A NAT or firewall between two segments.
pub(crate) struct Gateway {
    pub(crate) nat: Nat,
    pub(crate) inner: Segment,
    pub(crate) outer: Segment,
    pub(crate) link: Link,
    /// Whether the link loses everything just now.
    pub(crate) in_burst: bool,
    /// Whether STUN servers see another mapping than peers do.
    pub(crate) exempts_stun: bool,
}

/// All segments and gateways.
pub(crate) struct Topology {
    pub(crate) segments: Vec<SegmentState>,
    pub(crate) gateways: Vec<Gateway>,
    public_given: u16,
}

impl Topology {
    pub(crate) fn new() -> Self {
        let internet =
            SegmentState { gateway: None, attached: BTreeMap::new(), addresses: Addresses::Public, given: 0 };
        Self { segments: vec![internet], gateways: Vec::new(), public_given: 0 }
    }

    /// A segment behind a new box in `outer`.
    pub(crate) fn add_gateway(
        &mut self,
        outer: Segment,
        behaviour: NatBehaviour,
        addresses: Addresses,
        link: Link,
    ) -> Segment {
        let index = self.gateways.len();
        let inner = Segment(self.segments.len());
        let addresses = if behaviour.mapping.is_some() { addresses } else { Addresses::Public };
        let gateway = Some(index);
        self.segments.push(SegmentState { gateway, attached: BTreeMap::new(), addresses, given: 0 });
        let external = self.give_address(outer);
        self.gateways.push(Gateway {
            nat: Nat::new(behaviour, external),
            inner,
            outer,
            link,
            in_burst: false,
            exempts_stun: false,
        });
        self.attach(outer, external, Attached::Gateway(index));
        inner
    }

    /// An unused IPv4 address of a segment.
    pub(crate) fn give_address(&mut self, segment: Segment) -> IpAddr {
        let state = &mut self.segments[segment.0];
        let address = match state.addresses {
            Addresses::Home(n) => [192, 168, n, 10 + state.given],
            Addresses::Carrier(n) => [100, 64, n, 10 + state.given],
            Addresses::Public => {
                self.public_given += 1;
                let [high, low] = self.public_given.to_be_bytes();
                [198, 18, high, low]
            }
        };
        if state.addresses != Addresses::Public {
            state.given += 1;
        }
        Ipv4Addr::from(address).into()
    }

    /// An unused IPv6 address, public as they all are.
    pub(crate) fn give_ipv6(&mut self) -> IpAddr {
        self.public_given += 1;
        Ipv6Addr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, self.public_given]).into()
    }

    /// Puts an address into a segment; through firewalls it is seen outside too.
    pub(crate) fn attach(&mut self, segment: Segment, address: IpAddr, who: Attached) {
        self.segments[segment.0].attached.insert(address, who);
        if let Some(index) = self.segments[segment.0].gateway
            && !self.gateways[index].nat.translates()
        {
            self.attach(self.gateways[index].outer, address, Attached::Gateway(index));
        }
    }

    /// Takes an address away again.
    pub(crate) fn detach(&mut self, segment: Segment, address: IpAddr) {
        self.segments[segment.0].attached.remove(&address);
        if let Some(index) = self.segments[segment.0].gateway
            && !self.gateways[index].nat.translates()
        {
            self.detach(self.gateways[index].outer, address);
        }
    }
}
