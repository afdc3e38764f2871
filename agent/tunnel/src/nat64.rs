//! NAT64 (RFC 6146) seen from a host that has only IPv6: IPv4 addresses inside the network's own prefix (RFC 6052).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{PoisonError, RwLock};

/// The lengths a prefix may have (RFC 6052 §2.2), the usual one first.
const LENGTHS: [u8; 6] = [96, 64, 56, 48, 40, 32];

/// The byte of an address that always is zero, whatever is around it (RFC 6052 §2.2).
const RESERVED_BYTE: usize = 8;

/// The addresses of `ipv4only.arpa`, which IPv6 has only where DNS64 makes them up (RFC 7050 §8.1).
const WELL_KNOWN: [Ipv4Addr; 2] = [Ipv4Addr::new(192, 0, 0, 170), Ipv4Addr::new(192, 0, 0, 171)];

/// The prefix below which a network's NAT64 translates to IPv4.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nat64Prefix {
    network: Ipv6Addr,
    /// One of [`LENGTHS`], in bits.
    length: u8,
}

impl Nat64Prefix {
    /// Learns the prefix from the IPv6 addresses that the name `ipv4only.arpa` has here (RFC 7050 §3); `None` where they
    /// tell none, or more than one fits them.
    pub fn of_ipv4only(answers: impl IntoIterator<Item = Ipv6Addr>) -> Option<Self> {
        let answers: Vec<Ipv6Addr> = answers.into_iter().take(64).collect();
        let mut found: Vec<Self> = Vec::new();
        for answer in &answers {
            for length in LENGTHS {
                let prefix = Self::around(*answer, length);
                let fits = prefix.extract(*answer).is_some_and(|ip| WELL_KNOWN.contains(&ip));
                if fits && !found.contains(&prefix) {
                    found.push(prefix);
                }
            }
        }
        // The bytes of one address may look like a well-known one at a second place; hardly those of both.
        let is_whole = |prefix: &&Self| WELL_KNOWN.iter().all(|ip| answers.contains(&prefix.synthesize(*ip)));
        let mut whole = found.iter().filter(is_whole);
        match (whole.next(), whole.next(), found.as_slice()) {
            (Some(prefix), None, _) | (None, None, [prefix]) => Some(*prefix),
            _ => None,
        }
    }

    /// The address by which this network reaches `ip`.
    #[must_use]
    pub fn synthesize(&self, ip: Ipv4Addr) -> Ipv6Addr {
        let mut bytes = self.network.octets();
        for (place, byte) in places(self.length).zip(ip.octets()) {
            if let Some(slot) = bytes.get_mut(place) {
                *slot = byte;
            }
        }
        bytes.into()
    }

    /// The IPv4 address that `ip` stands for; `None` where it is outside of the prefix.
    #[must_use]
    pub fn extract(&self, ip: Ipv6Addr) -> Option<Ipv4Addr> {
        if masked(ip, self.length) != self.network {
            return None;
        }
        let bytes = ip.octets();
        let mut found = [0; 4];
        for (byte, place) in found.iter_mut().zip(places(self.length)) {
            *byte = *bytes.get(place)?;
        }
        Some(found.into())
    }

    fn around(ip: Ipv6Addr, length: u8) -> Self {
        Self { network: masked(ip, length), length }
    }
}

impl fmt::Display for Nat64Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.length)
    }
}

fn masked(ip: Ipv6Addr, length: u8) -> Ipv6Addr {
    let host_bits = 128 - u32::from(length);
    Ipv6Addr::from_bits(ip.to_bits() >> host_bits << host_bits)
}

/// Where the four bytes of an IPv4 address are behind a prefix of `length` bits.
fn places(length: u8) -> impl Iterator<Item = usize> {
    (usize::from(length / 8)..16).filter(|place| *place != RESERVED_BYTE).take(4)
}

/// What a port does about NAT64: everything above it speaks of IPv4 addresses as if the host had IPv4.
#[derive(Debug, Default)]
pub(crate) struct Nat64(RwLock<Option<Nat64Prefix>>);

impl Nat64 {
    /// Sets the network's prefix; `None` where there is none, or where the host has IPv4 itself.
    pub(crate) fn set(&self, prefix: Option<Nat64Prefix>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = prefix;
    }

    /// Where a datagram for `to` is really sent.
    pub(crate) fn outward(&self, to: SocketAddr) -> SocketAddr {
        match (self.prefix(), to.ip()) {
            (Some(prefix), IpAddr::V4(ip)) => SocketAddr::new(prefix.synthesize(ip).into(), to.port()),
            _ => to,
        }
    }

    /// Who a datagram from `from` is really from.
    pub(crate) fn inward(&self, from: SocketAddr) -> SocketAddr {
        match (self.prefix(), from.ip()) {
            (Some(prefix), IpAddr::V6(ip)) => {
                prefix.extract(ip).map_or(from, |ip| SocketAddr::new(ip.into(), from.port()))
            }
            _ => from,
        }
    }

    fn prefix(&self) -> Option<Nat64Prefix> {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Nat64Prefix {
        let (network, length) = text.split_once('/').unwrap();
        Nat64Prefix::around(network.parse().unwrap(), length.parse().unwrap())
    }

    /// RFC 6052 §2.4, tables 2 and 3: all of 192.0.2.33.
    const EXAMPLES: [(&str, &str); 7] = [
        ("2001:db8::/32", "2001:db8:c000:221::"),
        ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
        ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
        ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
        ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
        ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
        ("64:ff9b::/96", "64:ff9b::192.0.2.33"),
    ];

    #[test]
    fn the_examples_of_rfc_6052_hold_both_ways() {
        for (text, address) in EXAMPLES {
            let (prefix, address): (_, Ipv6Addr) = (prefix(text), address.parse().unwrap());
            assert_eq!(prefix.synthesize([192, 0, 2, 33].into()), address, "{text}");
            assert_eq!(prefix.extract(address), Some([192, 0, 2, 33].into()), "{text}");
            assert_eq!(prefix.to_string(), text);
        }
    }

    #[test]
    fn an_address_outside_of_the_prefix_stands_for_none() {
        assert_eq!(prefix("64:ff9b::/96").extract("2001:db8::c000:221".parse().unwrap()), None);
        assert_eq!(prefix("2001:db8::/32").extract("2001:db9:c000:221::".parse().unwrap()), None);
    }

    #[test]
    fn a_prefix_of_any_length_is_learnt_from_the_addresses_of_ipv4only_arpa() {
        for (text, _) in EXAMPLES {
            let prefix = prefix(text);
            assert_eq!(Nat64Prefix::of_ipv4only(WELL_KNOWN.map(|ip| prefix.synthesize(ip))), Some(prefix));
            assert_eq!(Nat64Prefix::of_ipv4only([prefix.synthesize(WELL_KNOWN[0])]), Some(prefix), "{text}");
        }
    }

    #[test]
    fn answers_that_tell_no_prefix_or_two_of_them_are_not_believed() {
        assert_eq!(Nat64Prefix::of_ipv4only([]), None);
        assert_eq!(Nat64Prefix::of_ipv4only(["2001:db8::1".parse().unwrap()]), None);
        let two = [prefix("64:ff9b::/96"), prefix("2001:db8:64::/96")];
        let of = |ip: Ipv4Addr| two.map(|prefix| prefix.synthesize(ip));
        assert_eq!(Nat64Prefix::of_ipv4only(WELL_KNOWN.map(of).concat()), None);
    }

    #[test]
    fn a_prefix_that_holds_a_well_known_address_itself_is_told_by_both_answers() {
        let prefix = prefix("2001:db8:c000:aa::/96");
        assert_eq!(Nat64Prefix::of_ipv4only(WELL_KNOWN.map(|ip| prefix.synthesize(ip))), Some(prefix));
    }

    #[test]
    fn without_a_prefix_addresses_stay_and_with_one_only_ipv4_is_turned() {
        let (nat64, v4) = (Nat64::default(), "192.0.2.33:7".parse().unwrap());
        assert_eq!((nat64.outward(v4), nat64.inward(v4)), (v4, v4));
        nat64.set(Some(prefix("64:ff9b::/96")));
        let through: SocketAddr = "[64:ff9b::c000:221]:7".parse().unwrap();
        assert_eq!((nat64.outward(v4), nat64.inward(through)), (through, v4));
        let native = "[2001:db8::9]:7".parse().unwrap();
        assert_eq!((nat64.outward(native), nat64.inward(native)), (native, native));
    }
}
