//! The addresses of the hosts that the agent calls over TCP (its coordinator, relays over WebSocket), remembered on the disk: they are
//! reached past the exit node, and without a resolver where that cannot be reached.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use protocol::api::local_ranges;
use serde::{Deserialize, Serialize};

use crate::state::StateFolder;

const FILE: &str = "called-hosts.json";

/// A coordinator and its relays; the host that was asked for longest ago is forgotten.
const HOSTS_MAX: usize = 16;

/// Of a host whose addresses take turns, those that were told last. Not more: each is a way past the exit node.
const ADDRESSES_MAX: usize = 8;

/// All of them take some 12 kB.
const BYTES_MAX: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct CalledHosts {
    state: StateFolder,
    hosts: BTreeMap<String, Host>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Host {
    /// The newest first.
    addresses: Vec<IpAddr>,
    /// Counts up with each host that tells something new.
    told: u64,
}

impl CalledHosts {
    /// Those of the last life; none where the file is damaged, as the next lookup tells them again.
    pub(super) fn load(state: &StateFolder) -> Self {
        let bytes = state.read(FILE, BYTES_MAX).ok().flatten();
        let hosts: BTreeMap<String, Host> =
            bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let mut called = Self { state: state.clone(), hosts };
        called.limit();
        called
    }

    /// Takes down the addresses that a host has now; says whether any is new.
    pub(super) fn learn(&mut self, host: &str, addresses: &[IpAddr]) -> bool {
        let known = self.of(host);
        if addresses.iter().all(|address| known.contains(address)) {
            return false;
        }
        let told = self.hosts.values().map(|host| host.told).max().unwrap_or_default().saturating_add(1);
        let others = known.iter().filter(|address| !addresses.contains(address));
        let addresses = addresses.iter().chain(others).copied().collect();
        self.hosts.insert(host.to_owned(), Host { addresses, told });
        self.limit();
        if host.parse::<IpAddr>().is_err() {
            self.write();
        }
        true
    }

    /// Remembers what names lead to; an address that stands in a URL is told again before it is called.
    fn write(&self) {
        let is_name = |(host, _): &(&String, &Host)| host.parse::<IpAddr>().is_err();
        let names: BTreeMap<&String, &Host> = self.hosts.iter().filter(is_name).collect();
        let written = serde_json::to_vec_pretty(&names).map_err(|error| error.to_string());
        let written =
            written.and_then(|json| self.state.write(FILE, &json).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::warn!(error, "the coordinator's addresses are not remembered");
        }
    }

    /// Forgets all of them.
    pub(super) fn forget(&mut self) {
        self.hosts.clear();
        if let Err(error) = self.state.remove(FILE) {
            tracing::warn!(%error, "the coordinator's addresses stay remembered");
        }
    }

    /// The addresses of a host, the newest first.
    pub(super) fn of(&self, host: &str) -> Vec<IpAddr> {
        self.hosts.get(host).map(|host| host.addresses.clone()).unwrap_or_default()
    }

    /// All that are not in local ranges, each once: those go past the exit node anyway.
    pub(super) fn public(&self) -> Vec<IpAddr> {
        let is_local =
            |address: IpAddr| local_ranges(address.is_ipv6()).any(|range: IpNet| range.contains(&address));
        let all = self.hosts.values().flat_map(|host| host.addresses.iter().copied());
        let mut public: Vec<IpAddr> = all
            .filter(|address| !is_local(*address) && !address.is_loopback() && !address.is_unspecified())
            .collect();
        public.sort_unstable();
        public.dedup();
        public
    }

    fn limit(&mut self) {
        self.hosts.values_mut().for_each(|host| host.addresses.truncate(ADDRESSES_MAX));
        while self.hosts.len() > HOSTS_MAX {
            let oldest = self.hosts.iter().min_by_key(|(_, host)| host.told).map(|(name, _)| name.clone());
            oldest.and_then(|name| self.hosts.remove(&name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_outlive_a_restart_and_the_newest_come_first() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateFolder::new(outer.path());
        let mut called = CalledHosts::load(&state);
        assert!(called.learn("c.example", &addresses(&["203.0.113.7"])));
        assert!(called.learn("c.example", &addresses(&["2001:db8::7"])));
        assert!(!called.learn("c.example", &addresses(&["203.0.113.7"])), "that is no news");
        let again = CalledHosts::load(&state);
        assert_eq!(again.of("c.example"), addresses(&["2001:db8::7", "203.0.113.7"]));
        assert!(again.of("other.example").is_empty());
    }

    #[test]
    fn names_and_addresses_without_end_take_no_memory_without_end() {
        let outer = tempfile::tempdir().unwrap();
        let mut called = CalledHosts::load(&StateFolder::new(outer.path()));
        for count in 0..40_u8 {
            let address = IpAddr::from([203, 0, 113, count]);
            called.learn("c.example", &[address]);
            called.learn(&format!("{count}.example"), &[address]);
        }
        assert_eq!(called.of("c.example").len(), ADDRESSES_MAX);
        assert_eq!(called.of("c.example").first(), Some(&IpAddr::from([203, 0, 113, 39])));
        assert!(called.hosts.len() == HOSTS_MAX && called.of("0.example").is_empty());
    }

    #[test]
    fn local_addresses_need_no_way_past_the_exit_node() {
        let outer = tempfile::tempdir().unwrap();
        let mut called = CalledHosts::load(&StateFolder::new(outer.path()));
        called.learn("a", &addresses(&["192.168.1.2", "127.0.0.1", "::1", "fe80::1", "203.0.113.7"]));
        called.learn("b", &addresses(&["203.0.113.7"]));
        assert_eq!(called.public(), addresses(&["203.0.113.7"]));
    }

    #[test]
    fn an_address_in_place_of_a_name_is_let_past_and_leaves_nothing_on_the_disk() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateFolder::new(outer.path());
        let mut called = CalledHosts::load(&state);
        assert!(called.learn("203.0.113.7", &addresses(&["203.0.113.7"])));
        assert_eq!(called.public(), addresses(&["203.0.113.7"]));
        assert!(!state.contains(FILE).unwrap());
    }

    #[test]
    fn a_damaged_file_is_begun_anew() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateFolder::new(outer.path());
        state.write(FILE, b"{").unwrap();
        assert!(CalledHosts::load(&state).hosts.is_empty());
    }
}
