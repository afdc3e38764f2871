//! Mesh addresses: a random range per network, one place in it per node.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Entropy;
use crate::store::NetworkRow;

/// Second octets of 100.64.0.0/10 (RFC 6598) whose /16 is never chosen: carrier NATs hand out 100.64.0.0/16 first,
/// and 100.100.0.0/16 holds the resolvers of other meshes and of a cloud provider.
const AVOIDED_OCTETS: [u8; 2] = [64, 100];

/// All /16 ranges that a network may get, in an order that only chance knows.
#[must_use]
pub fn ipv4_ranges(entropy: &Entropy) -> Vec<Ipv4Net> {
    let mut octets: Vec<u8> = (64..128).filter(|octet| !AVOIDED_OCTETS.contains(octet)).collect();
    let random = entropy.secret();
    // Fisher-Yates from 62 of 64 hash bytes' worth of chance; the small bias of the modulus does no harm here.
    let more = entropy.secret();
    let bytes: Vec<u8> = random.iter().chain(more.iter()).copied().collect();
    for (index, byte) in (1..octets.len()).rev().zip(bytes) {
        octets.swap(index, usize::from(byte) % (index + 1));
    }
    octets.into_iter().map(|octet| Ipv4Net::new_assert(Ipv4Addr::new(100, octet, 0, 0), 16)).collect()
}

/// Checks a range that somebody chose: private or shared addresses, and room for a few nodes.
///
/// # Errors
/// What it should be, as a sentence.
pub fn check_ipv4_range(range: Ipv4Net) -> Result<(), String> {
    let shared = Ipv4Net::new_assert(Ipv4Addr::new(100, 64, 0, 0), 10);
    let private = [([10, 0, 0, 0], 8), ([172, 16, 0, 0], 12), ([192, 168, 0, 0], 16)]
        .map(|(octets, len)| Ipv4Net::new_assert(octets.into(), len));
    let is_ours = private.iter().chain([&shared]).any(|known| known.contains(&range));
    if !is_ours || range.trunc() != range || !(8..=29).contains(&range.prefix_len()) {
        return Err(
            "a network address of RFC 1918 or RFC 6598 with a prefix of /8 to /29, such as 10.20.0.0/16"
                .to_owned(),
        );
    }
    Ok(())
}

/// A unique local /48: 0xfd and 40 random bits (RFC 4193 §3.1).
#[must_use]
pub fn ipv6_range(entropy: &Entropy) -> Ipv6Net {
    let random = entropy.secret();
    let mut octets = [0; 16];
    octets[0] = 0xfd;
    octets[1..6].copy_from_slice(&random[..5]);
    Ipv6Net::new_assert(Ipv6Addr::from(octets), 48)
}

/// The place for the next node: after the highest ever given out, so that a freed address rests as long as possible;
/// when the range has been walked through, the lowest that is free. `taken` is asked only then, and is in order.
pub fn next_host_index<E>(
    range: Ipv4Net,
    highest: u32,
    taken: impl FnOnce() -> Result<Vec<u32>, E>,
) -> Result<Option<u32>, E> {
    let usable = |index: &u32| ipv4_address(range, *index).is_some();
    // At most two neighbours in a row (.255 and .0) are unusable.
    if let Some(next) = (highest.saturating_add(1)..highest.saturating_add(4)).find(usable) {
        return Ok(Some(next));
    }
    let taken = taken()?;
    let end = 1_u32.checked_shl(u32::from(32 - range.prefix_len())).unwrap_or(u32::MAX);
    Ok((1..end).filter(usable).find(|index| taken.binary_search(index).is_err()))
}

/// The IPv4 address at a place; `None` outside the range and at .0 and .255, which old software takes for network
/// and broadcast addresses.
#[must_use]
pub fn ipv4_address(range: Ipv4Net, index: u32) -> Option<Ipv4Addr> {
    let address = Ipv4Addr::from_bits(range.network().to_bits().checked_add(index)?);
    let last = address.octets()[3];
    (range.contains(&address) && address != range.broadcast() && last != 0 && last != 255).then_some(address)
}

/// A node's mesh addresses with the prefix of the network; empty where the place is outside the range.
#[must_use]
pub fn addresses(network: &NetworkRow, index: u32) -> Vec<IpNet> {
    let Some(ipv4) = ipv4_address(network.ipv4, index) else { return Vec::new() };
    let ipv6 = Ipv6Addr::from_bits(network.ipv6.network().to_bits() | u128::from(index));
    vec![
        IpNet::V4(Ipv4Net::new_assert(ipv4, network.ipv4.prefix_len())),
        IpNet::V6(Ipv6Net::new_assert(ipv6, network.ipv6.prefix_len())),
    ]
}

/// The same addresses as prefixes of one address each: what is routed to the node.
#[must_use]
pub fn host_prefixes(network: &NetworkRow, index: u32) -> Vec<IpNet> {
    addresses(network, index).into_iter().map(|net| IpNet::from(net.addr())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(range: &str, highest: u32, taken: &[u32]) -> Option<u32> {
        next_host_index::<()>(range.parse().unwrap(), highest, || Ok(taken.to_vec())).unwrap()
    }

    #[test]
    fn addresses_are_given_in_order_and_skip_both_ends_of_each_256() {
        assert_eq!(next("100.92.0.0/16", 0, &[]), Some(1));
        assert_eq!(next("100.92.0.0/16", 253, &[]), Some(254));
        assert_eq!(next("100.92.0.0/16", 254, &[]), Some(257));
        assert_eq!(ipv4_address("100.92.0.0/16".parse().unwrap(), 257).unwrap().to_string(), "100.92.1.1");
    }

    #[test]
    fn a_range_that_was_walked_through_gives_its_lowest_free_place() {
        assert_eq!(next("100.92.0.0/29", 6, &[1, 2, 4, 6]), Some(3));
    }

    #[test]
    fn a_full_range_gives_none() {
        assert_eq!(next("100.92.0.0/29", 6, &[1, 2, 3, 4, 5, 6]), None);
    }

    #[test]
    fn ranges_are_carrier_grade_ones_without_the_two_that_clash() {
        for seed in 0..50 {
            let ranges = ipv4_ranges(&Entropy::seeded(seed));
            assert_eq!(ranges.len(), 62, "seed {seed}");
            let carrier: Ipv4Net = "100.64.0.0/10".parse().unwrap();
            assert!(ranges.iter().all(|range| carrier.contains(range)), "seed {seed}");
            for avoided in ["100.64.0.0/16", "100.100.0.0/16"] {
                assert!(!ranges.contains(&avoided.parse().unwrap()), "seed {seed}");
            }
        }
        assert_ne!(ipv4_ranges(&Entropy::seeded(1))[0], ipv4_ranges(&Entropy::seeded(2))[0]);
    }

    #[test]
    fn ipv6_ranges_are_unique_local() {
        let range = ipv6_range(&Entropy::seeded(3));
        assert_eq!(range.prefix_len(), 48);
        assert_eq!(range.addr().octets()[0], 0xfd);
    }
}
