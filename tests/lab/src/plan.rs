//! From a description to addresses and commands, without touching the machine.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::LabError;
use crate::ipv6;
use crate::recipe::{Recipe, recipe};
use crate::topology::{Site, Topology, WireSettings};

/// The namespace of the internet's one router.
pub(crate) const CORE: &str = "nl-inet";
/// The address of the core router, next hop of everybody on the internet.
const GATEWAY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
/// Longest name of a host or a site.
const NAME_MAX: usize = 40;

/// One cable between two namespaces.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    pub(crate) ends: [(String, String); 2],
    pub(crate) wire: Option<WireSettings>,
}

/// What is to be set up in one namespace, once its cables are there.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Setup {
    pub(crate) forwards: bool,
    pub(crate) lines: Vec<String>,
    pub(crate) rules: Option<String>,
    /// Whether a translator between IPv6 and IPv4 runs there.
    pub(crate) translates_ipv6: bool,
    /// Names of its own, in the form of `/etc/hosts`.
    pub(crate) names: Option<String>,
}

/// A host of the plan.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlannedHost {
    pub(crate) namespace: String,
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) ipv6: Vec<Ipv6Addr>,
    pub(crate) site: Option<String>,
}

/// A site's router.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PlannedRouter {
    pub(crate) namespace: String,
    pub(crate) recipe: Recipe,
    pub(crate) wan: Ipv4Addr,
    pub(crate) lan: String,
    /// Its cable's name at the core; absent behind another router.
    pub(crate) uplink: Option<String>,
}

/// What the hosts of one site share.
struct Place<'a> {
    router: &'a str,
    recipe: &'a Recipe,
    wan: Ipv4Addr,
    uplink: Option<&'a str>,
    bits: u8,
    gateway: Ipv4Addr,
    /// The number of its IPv6 network, where it has one.
    ipv6: Option<u8>,
}

/// Everything the lab is going to build.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    pub(crate) links: Vec<Link>,
    pub(crate) setups: BTreeMap<String, Setup>,
    pub(crate) hosts: BTreeMap<String, PlannedHost>,
    pub(crate) routers: BTreeMap<String, PlannedRouter>,
    spares: Vec<Ipv4Addr>,
    /// Hosts, routers, firewalled hosts: the number of addresses taken from the range of each.
    taken: [u8; 3],
    lans: u8,
}

/// Ranges of the internet, one /24 each: public hosts, routers, hosts behind firewalls, new addresses of routers.
/// All look public to the software under test; nothing leaves the sandbox, which has no way out.
const RANGES: [[u8; 3]; 4] = [[198, 51, 100], [203, 0, 113], [192, 0, 2], [198, 51, 101]];

impl Plan {
    /// Gives everything its address and its commands.
    ///
    /// # Errors
    /// [`LabError::Description`] for bad or double names, unknown recipes and too many of anything.
    pub(crate) fn of(topology: &Topology) -> Result<Self, LabError> {
        let mut plan = Self::default();
        let core = plan.setup(CORE)?;
        core.forwards = true;
        core.lines.extend([
            "link set lo up".into(),
            format!("addr add {GATEWAY}/32 dev lo"),
            "route add blackhole default".into(),
        ]);
        for host in &topology.hosts {
            let namespace = namespace_name("h", &host.name)?;
            let addresses =
                (0..host.addresses.max(1)).map(|_| plan.take(0)).collect::<Result<Vec<_>, _>>()?;
            plan.setup(&namespace)?;
            let at_core = plan.uplink(&namespace, "eth0", &addresses, host.wire);
            let mut ipv6 = Vec::new();
            if host.ipv6 {
                ipv6.extend(addresses.iter().map(|address| ipv6::address(0, address.octets()[3])));
                plan.lines(CORE, [ipv6::gateway_line(&at_core)]);
            }
            for address in &ipv6 {
                plan.lines(&namespace, ipv6::host_lines("eth0", *address, 128));
                plan.lines(CORE, [format!("route add {address}/128 dev {at_core}")]);
            }
            plan.hosts.insert(host.name.clone(), PlannedHost { namespace, addresses, ipv6, site: None });
        }
        for site in &topology.sites {
            match recipe(&site.recipe)?.behind {
                Some(outer) => {
                    let name = format!("{}-isp", site.name);
                    let carrier = Site { name, recipe: outer, sites: vec![site.clone()], ..Site::default() };
                    plan.site(&carrier, None)?;
                }
                None => plan.site(site, None)?,
            }
        }
        Ok(plan)
    }

    /// An address that no router has used yet, for one that gets a new address.
    pub(crate) fn spare(&mut self) -> Result<Ipv4Addr, LabError> {
        let used = u8::try_from(self.spares.len()).ok().filter(|used| *used < 240).ok_or_else(full)?;
        let address = address_in(3, used);
        self.spares.push(address);
        Ok(address)
    }

    /// Plans a site. `outer` is the namespace of the router it is behind and its own address there.
    fn site(&mut self, site: &Site, outer: Option<(&str, Ipv4Addr, Ipv4Addr)>) -> Result<(), LabError> {
        let recipe = recipe(&site.recipe)?;
        let router = namespace_name("r", &site.name)?;
        self.setup(&router)?.forwards = true;
        let (wan, uplink) = match outer {
            None => {
                let wan = self.take(1)?;
                (wan, Some(self.uplink(&router, "wan", &[wan], site.wire)))
            }
            Some((carrier, wan, gateway)) => {
                self.on_lan(carrier, &router, "wan", site.wire);
                self.lines(&router, inside_lines("wan", wan, 16, gateway));
                (wan, None)
            }
        };
        self.lans = self.lans.checked_add(1).filter(|lans| *lans < 250).ok_or_else(full)?;
        let number = site.lan.unwrap_or(self.lans);
        let (lan, bits, gateway) = match recipe.carrier {
            true => ("100.64.0.0/16".to_owned(), 16, Ipv4Addr::new(100, 64, 0, 1)),
            false => (format!("192.168.{number}.0/24"), 24, Ipv4Addr::new(192, 168, number, 1)),
        };
        let setup = self.setups.entry(router.clone()).or_default();
        setup.lines.extend([
            "link add lan type bridge".into(),
            format!("addr add {gateway}/{bits} dev lan"),
            "link set lan up".into(),
        ]);
        setup.rules = Some(recipe.script(wan, &lan));
        setup.translates_ipv6 = recipe.claim.nat64;
        if (!recipe.translates() || recipe.claim.ipv6.is_some()) && outer.is_some() {
            return Err(LabError::Description(format!(
                "site `{}` is behind another one and must translate: choose another recipe than `{}`",
                site.name, site.recipe
            )));
        }
        let ipv6 = recipe.claim.ipv6.map(|_| self.lans);
        if let Some(network) = ipv6 {
            setup.lines.extend(ipv6::router_lines(network));
            setup.lines.extend(ipv6::translator_lines().into_iter().filter(|_| recipe.claim.nat64));
            self.lines(CORE, ipv6::core_lines(network, uplink.as_deref().unwrap_or_default()));
        }
        let place =
            Place { router: &router, recipe: &recipe, wan, uplink: uplink.as_deref(), bits, gateway, ipv6 };
        for (index, name) in site.hosts.iter().enumerate() {
            self.inside_host(&site.name, name, index, &place)?;
        }
        for (index, inner) in site.sites.iter().enumerate() {
            let address = inside_address(gateway, site.hosts.len() + index)?;
            self.site(inner, Some((&router, address, gateway)))?;
        }
        let planned = PlannedRouter { namespace: router, recipe, wan, lan, uplink };
        self.routers.insert(site.name.clone(), planned);
        Ok(())
    }

    /// Plans the host with this number on the LAN of a site.
    fn inside_host(&mut self, site: &str, name: &str, index: usize, place: &Place) -> Result<(), LabError> {
        let host = namespace_name("h", name)?;
        self.setup(&host)?;
        self.on_lan(place.router, &host, "eth0", None);
        let (recipe, gateway) = (place.recipe, place.gateway);
        let inside = inside_address(gateway, index)?;
        let ipv6 = place.ipv6.map(|network| ipv6::address(network, inside.octets()[3]));
        if let Some(address) = ipv6 {
            self.lines(&host, ipv6::host_lines("eth0", address, 64));
        }
        let addresses = if recipe.claim.nat64 {
            self.setups.entry(host.clone()).or_default().names = Some(ipv6::names());
            Vec::new()
        } else if recipe.translates() {
            self.lines(&host, inside_lines("eth0", inside, place.bits, gateway));
            vec![inside]
        } else {
            let address = self.take(2)?;
            self.lines(&host, inside_lines("eth0", address, 32, gateway));
            self.lines(place.router, [format!("route add {address}/32 dev lan")]);
            let uplink = place.uplink.unwrap_or_default();
            self.lines(CORE, [format!("route add {address}/32 via {} dev {uplink}", place.wan)]);
            vec![address]
        };
        let planned = PlannedHost {
            namespace: host,
            addresses,
            ipv6: Vec::from_iter(ipv6),
            site: Some(site.to_owned()),
        };
        self.hosts.insert(name.to_owned(), planned);
        Ok(())
    }

    /// Connects a namespace to the core with routed addresses; gives the cable's name at the core.
    fn uplink(
        &mut self,
        namespace: &str,
        interface: &str,
        addresses: &[Ipv4Addr],
        wire: Option<WireSettings>,
    ) -> String {
        let at_core = format!("up{}", self.links.len());
        self.link((CORE, &at_core), (namespace, interface), wire);
        self.lines(
            namespace,
            addresses.iter().map(|address| format!("addr add {address}/32 dev {interface}")),
        );
        self.lines(namespace, gateway_lines(interface, GATEWAY));
        self.lines(CORE, [format!("link set {at_core} up")]);
        self.lines(CORE, addresses.iter().map(|address| format!("route add {address}/32 dev {at_core}")));
        at_core
    }

    /// Connects a namespace to the LAN bridge of a router.
    fn on_lan(&mut self, router: &str, namespace: &str, interface: &str, wire: Option<WireSettings>) {
        let port = format!("port{}", self.links.len());
        self.link((router, &port), (namespace, interface), wire);
        self.lines(router, [format!("link set {port} master lan"), format!("link set {port} up")]);
        self.lines(namespace, ["link set lo up".to_owned(), format!("link set {interface} up")]);
    }

    fn link(&mut self, one: (&str, &str), other: (&str, &str), wire: Option<WireSettings>) {
        let end = |(namespace, interface): (&str, &str)| (namespace.to_owned(), interface.to_owned());
        self.links.push(Link { ends: [end(one), end(other)], wire });
    }

    fn lines(&mut self, namespace: &str, lines: impl IntoIterator<Item = String>) {
        self.setups.entry(namespace.to_owned()).or_default().lines.extend(lines);
    }

    fn setup(&mut self, namespace: &str) -> Result<&mut Setup, LabError> {
        if self.setups.contains_key(namespace) {
            return Err(LabError::Description(format!(
                "two hosts or two sites have the same name ({namespace})"
            )));
        }
        Ok(self.setups.entry(namespace.to_owned()).or_default())
    }

    fn take(&mut self, range: usize) -> Result<Ipv4Addr, LabError> {
        let used = self.taken[range];
        self.taken[range] = Some(used + 1).filter(|used| *used < 240).ok_or_else(full)?;
        Ok(address_in(range, used))
    }
}

fn address_in(range: usize, index: u8) -> Ipv4Addr {
    let [a, b, c] = RANGES[range];
    Ipv4Addr::new(a, b, c, 10 + index)
}

fn inside_address(gateway: Ipv4Addr, index: usize) -> Result<Ipv4Addr, LabError> {
    let [a, b, c, _] = gateway.octets();
    let last = u8::try_from(index).ok().filter(|index| *index < 240).ok_or_else(full)?;
    Ok(Ipv4Addr::new(a, b, c, 10 + last))
}

/// An address on a LAN and the way out.
fn inside_lines(interface: &str, address: Ipv4Addr, bits: u8, gateway: Ipv4Addr) -> Vec<String> {
    let address = format!("addr add {address}/{bits} dev {interface}");
    std::iter::once(address).chain(gateway_lines(interface, gateway)).collect()
}

fn gateway_lines(interface: &str, gateway: Ipv4Addr) -> [String; 4] {
    [
        "link set lo up".to_owned(),
        format!("link set {interface} up"),
        format!("route replace {gateway} dev {interface}"),
        format!("route replace default via {gateway} dev {interface}"),
    ]
}

fn full() -> LabError {
    LabError::Description(
        "the lab's address ranges hold at most 230 hosts, 230 sites and 250 networks".to_owned(),
    )
}

fn namespace_name(kind: &str, name: &str) -> Result<String, LabError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(plain) {
        return Err(LabError::Description(format!(
            "`{name}` cannot be the name of a host or a site: use 1 to {NAME_MAX} of a-z, 0-9 and -"
        )));
    }
    Ok(format!("{kind}-{name}"))
}

#[cfg(test)]
mod tests {
    use super::{CORE, Plan};
    use crate::topology::Topology;

    #[test]
    fn two_sites_get_different_outside_addresses_and_lans() {
        let topology = Topology::default().site("home", "port-restricted", &["a", "b"]).site(
            "cafe",
            "symmetric",
            &["c"],
        );
        let plan = Plan::of(&topology).unwrap();
        assert_eq!(plan.routers["home"].wan.to_string(), "203.0.113.10");
        assert_eq!(plan.routers["cafe"].wan.to_string(), "203.0.113.11");
        assert_eq!(plan.hosts["b"].addresses[0].to_string(), "192.168.1.11");
        assert_eq!(plan.hosts["c"].addresses[0].to_string(), "192.168.2.10");
    }

    #[test]
    fn a_double_nat_brings_its_carrier_with_it() {
        let plan = Plan::of(&Topology::default().site("home", "double-nat", &["a"])).unwrap();
        assert_eq!(plan.routers["home"].wan.to_string(), "100.64.0.10");
        assert_eq!(plan.routers["home-isp"].wan.to_string(), "203.0.113.10");
    }

    #[test]
    fn hosts_behind_a_plain_firewall_keep_public_addresses_routed_through_it() {
        let plan = Plan::of(&Topology::default().site("office", "firewall", &["a"])).unwrap();
        assert_eq!(plan.hosts["a"].addresses[0].to_string(), "192.0.2.10");
        assert!(
            plan.setups[CORE]
                .lines
                .iter()
                .any(|line| line == "route add 192.0.2.10/32 via 203.0.113.10 dev up0")
        );
    }

    #[test]
    fn hosts_behind_nat64_have_ipv6_alone_and_names_of_their_own() {
        let plan = Plan::of(&Topology::default().site("mobile", "nat64", &["a"]).dual_host("b", 1)).unwrap();
        let host = &plan.hosts["a"];
        assert!(host.addresses.is_empty());
        assert_eq!(host.ipv6[0].to_string(), "2001:db8:1:1::a");
        assert!(plan.setups["h-a"].names.as_ref().unwrap().contains("ipv4only.arpa"));
        assert!(plan.setups["h-a"].lines.iter().all(|line| !line.contains("192.168")));
        assert!(plan.setups["r-mobile"].translates_ipv6);
        assert_eq!(plan.hosts["b"].ipv6[0].to_string(), "2001:db8:1::a");
    }

    #[test]
    fn bad_and_double_names_are_refused() {
        let bad = Plan::of(&Topology::default().host("../etc", 1)).unwrap_err();
        assert!(bad.to_string().contains("`../etc` cannot be the name"), "{bad}");
        let double = Plan::of(&Topology::default().host("a", 1).host("a", 1)).unwrap_err();
        assert!(double.to_string().contains("same name"), "{double}");
    }

    #[test]
    fn a_description_that_outgrows_the_address_ranges_is_refused() {
        assert!(Plan::of(&Topology::default().host("a", 4000)).unwrap_err().to_string().contains("at most"));
    }

    #[test]
    fn a_description_can_be_written_as_json() {
        let text = r#"{"hosts":[{"name":"c","addresses":2}],"sites":[{"name":"s","recipe":"symmetric","hosts":["d"]}]}"#;
        let topology: Topology = serde_json::from_str(text).unwrap();
        assert_eq!(Plan::of(&topology).unwrap().hosts["c"].addresses.len(), 2);
        assert!(serde_json::from_str::<Topology>(r#"{"hots":[]}"#).is_err());
    }
}
