//! Longest-prefix match from an inner address to the peer that owns it (WireGuard's cryptokey routing).

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

/// Prefixes, each with its owner. A node's peers mostly have one /32 and one /128 each, so one hash table per
/// prefix length in use answers most lookups at the first try.
#[derive(Debug)]
pub(crate) struct AllowedIps<T> {
    v4: Vec<OfLength<T>>,
    v6: Vec<OfLength<T>>,
}

#[derive(Debug)]
struct OfLength<T> {
    prefix_len: u8,
    owners: HashMap<u128, T>,
}

impl<T> Default for AllowedIps<T> {
    fn default() -> Self {
        Self { v4: Vec::new(), v6: Vec::new() }
    }
}

impl<T: Clone> AllowedIps<T> {
    /// Gives `prefix` to `owner`; whoever had exactly this prefix before loses it, as in WireGuard.
    pub(crate) fn insert(&mut self, prefix: IpNet, owner: T) {
        let tables = if prefix.addr().is_ipv4() { &mut self.v4 } else { &mut self.v6 };
        let length = prefix.prefix_len();
        // Longest first; `Err` is where a table of this length belongs.
        let slot = tables.binary_search_by(|table| length.cmp(&table.prefix_len));
        let position = slot.unwrap_or_else(|position| {
            tables.insert(position, OfLength { prefix_len: length, owners: HashMap::new() });
            position
        });
        tables[position].owners.insert(bits(prefix.network()), owner);
    }

    /// Takes away every prefix whose owner `belongs`.
    pub(crate) fn remove(&mut self, belongs: impl Fn(&T) -> bool) {
        for tables in [&mut self.v4, &mut self.v6] {
            for table in tables.iter_mut() {
                table.owners.retain(|_, owner| !belongs(owner));
            }
            tables.retain(|table| !table.owners.is_empty());
        }
    }

    /// The owner of the longest prefix that covers `address`.
    pub(crate) fn find(&self, address: IpAddr) -> Option<&T> {
        let tables = if address.is_ipv4() { &self.v4 } else { &self.v6 };
        let width = if address.is_ipv4() { 32 } else { 128 };
        let key = bits(address);
        tables.iter().find_map(|table| {
            let host_bits = width - u32::from(table.prefix_len);
            table.owners.get(&(key.checked_shr(host_bits).unwrap_or(0).checked_shl(host_bits).unwrap_or(0)))
        })
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(prefixes: &[(&str, char)]) -> AllowedIps<char> {
        let mut table = AllowedIps::default();
        for (prefix, owner) in prefixes {
            table.insert(prefix.parse().unwrap(), *owner);
        }
        table
    }

    fn find(table: &AllowedIps<char>, address: &str) -> Option<char> {
        table.find(address.parse().unwrap()).copied()
    }

    #[test]
    fn the_longest_prefix_wins_whatever_the_order_of_insertion() {
        let table = table(&[("10.0.0.0/8", 'a'), ("10.1.2.3/32", 'c'), ("10.1.0.0/16", 'b')]);
        assert_eq!(find(&table, "10.1.2.3"), Some('c'));
        assert_eq!(find(&table, "10.1.9.9"), Some('b'));
        assert_eq!(find(&table, "10.9.9.9"), Some('a'));
        assert_eq!(find(&table, "11.0.0.1"), None);
    }

    #[test]
    fn a_default_route_covers_its_own_ip_version_only() {
        let table = table(&[("0.0.0.0/0", 'a'), ("::/0", 'b'), ("fd00::7/128", 'c')]);
        assert_eq!(find(&table, "255.255.255.255"), Some('a'));
        assert_eq!(find(&table, "2001:db8::1"), Some('b'));
        assert_eq!(find(&table, "fd00::7"), Some('c'));
    }

    #[test]
    fn a_prefix_given_to_another_peer_leaves_the_first() {
        let table = table(&[("10.0.0.1/32", 'a'), ("10.0.0.1/32", 'b')]);
        assert_eq!(find(&table, "10.0.0.1"), Some('b'));
    }

    #[test]
    fn removing_a_peer_uncovers_the_shorter_prefix_below() {
        let mut table = table(&[("10.0.0.0/8", 'a'), ("10.0.0.1/32", 'b')]);
        table.remove(|owner| *owner == 'b');
        assert_eq!(find(&table, "10.0.0.1"), Some('a'));
    }

    #[test]
    fn host_bits_in_a_prefix_do_not_matter() {
        let table = table(&[("10.0.0.77/24", 'a'), ("fd00::77/64", 'b')]);
        assert_eq!(find(&table, "10.0.0.1"), Some('a'));
        assert_eq!(find(&table, "fd00::1"), Some('b'));
    }
}
