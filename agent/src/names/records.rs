//! The names that the network map shows: the node's own and its peers', with their mesh addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use protocol::api::{NetworkMap, NodeName, Zone};

/// The most addresses of one node that are told; a node has two. More than four would not fit a datagram of 512 bytes.
const ADDRESSES_MAX: usize = 4;

/// The most zones of reverse names that systemd-resolved is told of; a range whose length is no whole number of labels has many.
const REVERSE_DOMAINS_MAX: usize = 16;

/// All names of a network, as one node may see them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Records {
    zone: Zone,
    own: NodeName,
    /// The node's own mesh addresses.
    addresses: Vec<IpAddr>,
    /// The network's ranges.
    ranges: Vec<IpNet>,
    nodes: BTreeMap<NodeName, Vec<IpAddr>>,
    names: BTreeMap<IpAddr, NodeName>,
}

/// What there is at a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// A node with these addresses.
    Node(&'a [IpAddr]),
    /// An address of this node.
    Address(&'a NodeName),
    /// A name with nothing of its own, such as the zone itself.
    Empty,
    /// No such name.
    Missing,
}

impl Records {
    /// The names in a map; `None` where the coordinator gives the network no zone.
    pub(crate) fn of(map: &NetworkMap) -> Option<Self> {
        let zone = map.own.zone.clone()?;
        let ranges: Vec<IpNet> = map.own.addresses.iter().map(IpNet::trunc).collect();
        let addresses: Vec<IpAddr> = map.own.addresses.iter().map(IpNet::addr).collect();
        let mut records = Self {
            zone,
            own: map.own.name.clone(),
            addresses: addresses.clone(),
            ranges,
            nodes: BTreeMap::new(),
            names: BTreeMap::new(),
        };
        // First come, first served: no peer takes this node's name, nor any address that another has.
        records.add(&map.own.name, addresses);
        for peer in &map.peers {
            let hosts = peer.allowed_ips.iter().filter(|net| net.prefix_len() == net.max_prefix_len());
            records.add(&peer.name, hosts.map(IpNet::addr).collect());
        }
        Some(records)
    }

    fn add(&mut self, name: &NodeName, addresses: Vec<IpAddr>) {
        if self.nodes.contains_key(name) {
            return;
        }
        let is_mesh = |address: &IpAddr| self.ranges.iter().any(|range| range.contains(address));
        let addresses: Vec<IpAddr> = addresses.into_iter().filter(is_mesh).take(ADDRESSES_MAX).collect();
        for address in &addresses {
            self.names.entry(*address).or_insert_with(|| name.clone());
        }
        self.nodes.insert(name.clone(), addresses);
    }

    /// The node's own mesh addresses.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    pub(super) const fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(super) const fn own(&self) -> &NodeName {
        &self.own
    }

    /// The zones that are answered for, without a dot at the end: the network's, and those of its addresses where they are few.
    pub(super) fn domains(&self) -> Vec<String> {
        let reverse = self.ranges.iter().flat_map(|range| {
            let zones = range.subnets(reverse_len(range)).into_iter().flatten().take(REVERSE_DOMAINS_MAX + 1);
            let zones: Vec<String> = zones.map(|zone| reverse_name(&zone)).collect();
            if zones.len() > REVERSE_DOMAINS_MAX { Vec::new() } else { zones }
        });
        std::iter::once(self.zone.to_string()).chain(reverse).collect()
    }

    /// What there is at a name, given by its labels in lower case, the leftmost first, and how many of its last labels are the zone that
    /// answers; `None` where the name is in no zone of this network.
    pub(super) fn find(&self, labels: &[&[u8]]) -> Option<(Found<'_>, usize)> {
        self.find_node(labels).or_else(|| self.find_address(labels))
    }

    fn find_node(&self, labels: &[&[u8]]) -> Option<(Found<'_>, usize)> {
        let zone: Vec<&[u8]> = self.zone.labels().map(str::as_bytes).collect();
        let below = labels.strip_suffix(zone.as_slice())?;
        let found = match below {
            [] => Found::Empty,
            [label] => {
                let name = std::str::from_utf8(label).ok().and_then(|label| label.parse::<NodeName>().ok());
                let addresses = name.and_then(|name| self.nodes.get(&name));
                addresses.map_or(Found::Missing, |addresses| Found::Node(addresses))
            }
            _ => Found::Missing,
        };
        Some((found, zone.len()))
    }

    fn find_address(&self, labels: &[&[u8]]) -> Option<(Found<'_>, usize)> {
        let (net, unread) = parse_reverse(labels)?;
        let is_ours = |range: &&IpNet| net.prefix_len() >= reverse_len(range) && range.contains(&net);
        let range = self.ranges.iter().find(is_ours)?;
        let found = if unread > 0 {
            Found::Missing
        } else if net.prefix_len() == net.max_prefix_len() {
            self.names.get(&net.addr()).map_or(Found::Missing, Found::Address)
        } else if self.names.range(net.network()..=last_of(&net)).next().is_some() {
            Found::Empty
        } else {
            Found::Missing
        };
        Some((found, 2 + usize::from(reverse_len(range) / label_bits(range))))
    }
}

/// Bits that one label of a reverse name stands for (RFC 1035 §3.5, RFC 3596 §2.5).
const fn label_bits(net: &IpNet) -> u8 {
    match net {
        IpNet::V4(_) => 8,
        IpNet::V6(_) => 4,
    }
}

/// The length of the largest zones of reverse names that lie whole within a range.
fn reverse_len(range: &IpNet) -> u8 {
    range.prefix_len().next_multiple_of(label_bits(range))
}

fn last_of(net: &IpNet) -> IpAddr {
    match net {
        IpNet::V4(net) => net.broadcast().into(),
        IpNet::V6(net) => net.broadcast().into(),
    }
}

/// The reverse name of a network of whole labels.
fn reverse_name(net: &IpNet) -> String {
    let count = usize::from(net.prefix_len() / label_bits(net));
    let (labels, end): (Vec<String>, &str) = match net {
        IpNet::V4(net) => (net.addr().octets().iter().map(u8::to_string).collect(), "in-addr.arpa"),
        IpNet::V6(net) => {
            let nibbles = net.addr().octets().into_iter().flat_map(|octet| [octet >> 4, octet & 15]);
            (nibbles.map(|nibble| format!("{nibble:x}")).collect(), "ip6.arpa")
        }
    };
    let labels: Vec<String> = labels.into_iter().take(count).rev().collect();
    [labels.as_slice(), &[end.to_owned()]].concat().join(".")
}

/// The network of a reverse name, and how many labels at its left are none of an address.
fn parse_reverse(labels: &[&[u8]]) -> Option<(IpNet, usize)> {
    let (rest, is_ipv4) = match labels {
        [rest @ .., b"in-addr", b"arpa"] => (rest, true),
        [rest @ .., b"ip6", b"arpa"] => (rest, false),
        _ => return None,
    };
    let read = |label: &&[u8]| if is_ipv4 { octet(label) } else { nibble(label) };
    let most = if is_ipv4 { 4 } else { 32 };
    let parts: Vec<u8> = rest.iter().rev().take(most).map_while(read).collect();
    let unread = rest.len() - parts.len();
    let (mut octets, mut len) = ([0_u8; 16], 0_u8);
    for (index, part) in parts.iter().enumerate() {
        if is_ipv4 {
            *octets.get_mut(index)? = *part;
            len += 8;
        } else {
            let octet = octets.get_mut(index / 2)?;
            *octet |= if index % 2 == 0 { part << 4 } else { *part };
            len += 4;
        }
    }
    let address: IpAddr = if is_ipv4 {
        Ipv4Addr::new(octets[0], octets[1], octets[2], octets[3]).into()
    } else {
        Ipv6Addr::from(octets).into()
    };
    Some((IpNet::new(address, len).ok()?, unread))
}

/// A number of 0 to 255 as it is usually written.
fn octet(label: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(label).ok()?;
    text.parse::<u8>().ok().filter(|number| number.to_string() == text)
}

/// One hexadecimal digit in lower case.
fn nibble(label: &[u8]) -> Option<u8> {
    match label {
        [digit @ b'0'..=b'9'] => Some(digit - b'0'),
        [letter @ b'a'..=b'f'] => Some(letter - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
pub(super) mod tests;
