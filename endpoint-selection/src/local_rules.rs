//! Which of a machine's own addresses are offered to peers.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::address::prefix_contains;

/// Name prefixes of interfaces whose addresses no peer can reach directly: container and virtual-machine networks, and
/// overlays, through which a tunnel would run inside another one.
const VIRTUAL_PREFIXES: [&str; 17] = [
    "docker",
    "veth",
    "cni",
    "virbr",
    "podman",
    "cali",
    "flannel",
    "kube-",
    "nerdctl",
    "lxcbr",
    "lxdbr",
    "incusbr",
    "vnet",
    "wg",
    "tailscale",
    "zt",
    "warren",
];

/// A network as (address, prefix length).
pub type Prefix = (IpAddr, u8);

/// What a user allows to be offered. Empty rules offer everything that is not virtual.
///
/// A name pattern is an interface's name, or its beginning followed by `*`. What a rule excludes is out; where there are
/// include rules of a sort, only what one of them names is in, virtual interfaces as well: who names one means it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(default, deny_unknown_fields)]
pub struct LocalRules {
    /// Interfaces to offer, and no others.
    pub include_interfaces: Vec<String>,
    /// Interfaces never to offer.
    pub exclude_interfaces: Vec<String>,
    /// Networks to offer addresses of, and no others.
    pub include_prefixes: Vec<Prefix>,
    /// Networks never to offer addresses of.
    pub exclude_prefixes: Vec<Prefix>,
}

impl LocalRules {
    /// Whether the address that `interface` holds may be offered.
    #[must_use]
    pub fn offers(&self, interface: &str, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let named = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, interface));
        let inside =
            |prefixes: &[Prefix]| prefixes.iter().any(|(net, len)| prefix_contains(*net, *len, address));
        if named(&self.exclude_interfaces) || inside(&self.exclude_prefixes) {
            return false;
        }
        let is_named = named(&self.include_interfaces);
        let interface_is_in =
            if self.include_interfaces.is_empty() { !is_virtual(interface) } else { is_named };
        interface_is_in && (self.include_prefixes.is_empty() || inside(&self.include_prefixes))
    }
}

fn matches(pattern: &str, interface: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => interface.starts_with(beginning),
        None => pattern == interface,
    }
}

/// Whether a name is that of a container's, a virtual machine's or another overlay's interface. A bridge with a name of
/// its own (`br0`, `br-lan`) may well be a machine's only way out, so it is none; Docker names its own after an id.
fn is_virtual(name: &str) -> bool {
    let docker_network = name
        .strip_prefix("br-")
        .is_some_and(|rest| rest.len() == 12 && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    docker_network || VIRTUAL_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 5));

    #[test]
    fn container_bridges_and_overlays_are_not_offered_and_real_bridges_are() {
        let rules = LocalRules::default();
        for name in
            ["docker0", "veth12ab", "br-0123456789ab", "cni0", "virbr0", "wg0", "tailscale0", "warren1"]
        {
            assert!(!rules.offers(name, LAN), "{name}");
        }
        for name in ["eth0", "enp3s0", "wlan0", "br0", "br-lan", "br-0123456789az", "ppp0", "bond0", "wrn0"] {
            assert!(rules.offers(name, LAN), "{name}");
        }
    }

    #[test]
    fn an_excluded_interface_or_prefix_is_out_even_if_it_is_included_too() {
        let both = LocalRules {
            include_interfaces: vec!["eth*".into()],
            exclude_interfaces: vec!["eth1".into()],
            exclude_prefixes: vec![("192.168.1.0".parse().unwrap(), 24)],
            ..LocalRules::default()
        };
        assert!(!both.offers("eth1", "10.0.0.1".parse().unwrap()));
        assert!(!both.offers("eth0", LAN));
        assert!(both.offers("eth0", "10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn include_rules_leave_everything_else_out_and_may_name_a_virtual_interface() {
        let rules = LocalRules { include_interfaces: vec!["wg7".into()], ..LocalRules::default() };
        assert!(rules.offers("wg7", LAN));
        assert!(!rules.offers("eth0", LAN));
        let rules =
            LocalRules { include_prefixes: vec![("10.0.0.0".parse().unwrap(), 8)], ..LocalRules::default() };
        assert!(rules.offers("eth0", "10.2.3.4".parse().unwrap()));
        assert!(!rules.offers("eth0", LAN));
        assert!(!rules.offers("docker0", "10.2.3.4".parse().unwrap()));
    }
}
