//! The description of an internet: public hosts, and sites with a recipe and hosts behind it.

use serde::{Deserialize, Serialize};

/// A whole internet. Names must be unique and short, as they name namespaces.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topology {
    /// Hosts with public addresses and no router of their own.
    #[serde(default)]
    pub hosts: Vec<PublicHost>,
    /// Homes, offices and carriers.
    #[serde(default)]
    pub sites: Vec<Site>,
}

/// A host on the internet itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicHost {
    /// Unique among hosts.
    pub name: String,
    /// How many public addresses it has.
    #[serde(default = "one")]
    pub addresses: usize,
    /// Whether it also has as many addresses of IPv6.
    #[serde(default)]
    pub ipv6: bool,
    /// What its uplink does to packets; nothing if absent.
    #[serde(default)]
    pub wire: Option<WireSettings>,
}

/// A router with its recipe and what is behind it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// Unique among sites.
    pub name: String,
    /// The name of a recipe.
    pub recipe: String,
    /// The third number of its inside network, 192.168.N.0/24; one of its own if absent. Sites may share one.
    #[serde(default)]
    pub lan: Option<u8>,
    /// Hosts on its LAN.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Sites whose routers are on its LAN (a carrier's customers).
    #[serde(default)]
    pub sites: Vec<Site>,
    /// What its uplink does to packets; nothing if absent.
    #[serde(default)]
    pub wire: Option<WireSettings>,
}

/// What an uplink does to packets, in each direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WireSettings {
    /// Time every packet takes.
    #[serde(default)]
    pub delay_ms: u32,
    /// Up to this much more, evenly spread; packets keep their order.
    #[serde(default)]
    pub jitter_ms: u32,
    /// Share of packets lost, 0 to 100.
    #[serde(default)]
    pub loss_percent: f64,
    /// Where the random numbers start.
    #[serde(default)]
    pub seed: u64,
}

fn one() -> usize {
    1
}

impl Topology {
    /// Adds a public host.
    #[must_use]
    pub fn host(mut self, name: &str, addresses: usize) -> Self {
        self.hosts.push(PublicHost { name: name.to_owned(), addresses, ipv6: false, wire: None });
        self
    }

    /// Adds a public host that also has IPv6.
    #[must_use]
    pub fn dual_host(mut self, name: &str, addresses: usize) -> Self {
        self.hosts.push(PublicHost { name: name.to_owned(), addresses, ipv6: true, wire: None });
        self
    }

    /// Adds a site; a recipe `public` becomes public hosts.
    #[must_use]
    pub fn site(mut self, name: &str, recipe: &str, hosts: &[&str]) -> Self {
        if recipe == "public" {
            return hosts.iter().fold(self, |topology, host| topology.host(host, 1));
        }
        let hosts = hosts.iter().map(|&host| host.to_owned()).collect();
        self.sites.push(Site { name: name.to_owned(), recipe: recipe.to_owned(), hosts, ..Site::default() });
        self
    }
}
