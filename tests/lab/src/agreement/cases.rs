//! The pairs of the comparison: where each node is, as topology for the lab and as claims for whoever simulates it.

use std::time::Duration;

use serde::Serialize;

use crate::behaviour::Behaviour;
use crate::error::LabError;
use crate::recipe::recipe;
use crate::topology::{PublicHost, Site, Topology, WireSettings};

/// One way over each node's uplink, in milliseconds.
const DELAY_MS: u32 = 10;

/// One pair: the recipes in front of each node, nearest first, and those in front of both.
#[derive(Debug, Clone, Copy)]
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    nodes: [&'static [&'static str]; 2],
    shared: &'static [&'static str],
    same_network: bool,
    /// How long the pair is watched unless it meets directly before.
    pub(super) window: Duration,
}

/// What a simulator needs to know to play the same pair. The behaviours are the claims that the classifier proves.
#[derive(Debug, Serialize)]
pub(super) struct Description {
    /// The boxes in front of each node, nearest first.
    nodes: [Vec<Behaviour>; 2],
    /// The boxes in front of both, from the nodes outwards.
    shared: Vec<Behaviour>,
    same_network: bool,
    delay_ms: u32,
    window_ms: u128,
}

const PUBLIC: &[&str] = &[];
const FIREWALL: &[&str] = &["firewall"];
const FULL_CONE: &[&str] = &["full-cone"];
const RESTRICTED: &[&str] = &["port-restricted"];
const RESTRICTED_RANDOM: &[&str] = &["port-restricted-random"];
const DOUBLE: &[&str] = &["port-restricted", "cgnat"];
const SYMMETRIC: &[&str] = &["symmetric"];
const SEQUENTIAL: &[&str] = &["symmetric-seq"];
const BLOCK: &[&str] = &["symmetric-port-block"];

/// All cases, in the order in which they are listed.
pub(super) const CASES: [Case; 16] = [
    pair("public-x-port-restricted", "plain opening", PUBLIC, RESTRICTED),
    pair("port-restricted-x-port-restricted", "plain opening", RESTRICTED, RESTRICTED),
    pair("random-ports-x-random-ports", "plain opening", RESTRICTED_RANDOM, RESTRICTED_RANDOM),
    pair("public-x-symmetric", "plain opening", PUBLIC, SYMMETRIC),
    pair("full-cone-x-symmetric", "plain opening", FULL_CONE, SYMMETRIC),
    pair("port-restricted-x-symmetric", "birthday", RESTRICTED, SYMMETRIC),
    pair("firewall-x-symmetric", "birthday", FIREWALL, SYMMETRIC),
    pair("double-nat-x-symmetric", "birthday", DOUBLE, SYMMETRIC),
    pair("port-restricted-x-sequential", "prediction", RESTRICTED, SEQUENTIAL),
    pair("sequential-x-sequential", "mutual prediction", SEQUENTIAL, SEQUENTIAL),
    pair("port-restricted-x-port-block", "search of a port block", RESTRICTED, BLOCK),
    pair("symmetric-x-symmetric", "nothing helps", SYMMETRIC, SYMMETRIC),
    pair("symmetric-x-sequential", "nothing helps", SYMMETRIC, SEQUENTIAL),
    Case { same_network: true, ..pair("same-network", "plain opening over the LAN", RESTRICTED, PUBLIC) },
    Case {
        shared: &["cgnat"],
        ..pair("carrier-with-hairpin", "plain opening by hairpinning", RESTRICTED, RESTRICTED)
    },
    Case {
        shared: &["cgnat-port-restricted"],
        ..pair("carrier-without-hairpin", "nothing helps", RESTRICTED, RESTRICTED)
    },
];

const fn pair(
    name: &'static str,
    about: &'static str,
    one: &'static [&'static str],
    other: &'static [&'static str],
) -> Case {
    // An attempt ends within twelve seconds and begins within five; the next one comes half a minute later.
    Case {
        name,
        about,
        nodes: [one, other],
        shared: &[],
        same_network: false,
        window: Duration::from_secs(20),
    }
}

impl Case {
    /// The hosts of the case with this number.
    pub(super) fn hosts(index: usize) -> [String; 2] {
        [format!("c{index}a"), format!("c{index}b")]
    }

    /// Adds the case's hosts and sites; gives the names of the sites.
    pub(super) fn add_to(&self, topology: &mut Topology, index: usize) -> Vec<String> {
        let [one, other] = Self::hosts(index);
        let mut names = Vec::new();
        let mut parts = Vec::new();
        let groups = match self.same_network {
            true => vec![(self.nodes[0], vec![one, other])],
            false => vec![(self.nodes[0], vec![one]), (self.nodes[1], vec![other])],
        };
        for (recipes, hosts) in groups {
            let Some(site) = nested(recipes, &hosts) else {
                topology.hosts.extend(hosts.into_iter().map(|name| PublicHost {
                    name,
                    addresses: 1,
                    ipv6: false,
                    wire: Some(wire()),
                }));
                continue;
            };
            parts.push(Site { wire: Some(wire()), ..site });
        }
        if self.shared.is_empty() {
            topology.sites.extend(parts);
        } else {
            let around = self.shared.iter().enumerate().fold(parts, |inner, (level, recipe)| {
                let (name, recipe) = (format!("c{index}-shared{level}"), (*recipe).to_owned());
                vec![Site { name, recipe, sites: inner, ..Site::default() }]
            });
            topology.sites.extend(around);
        }
        topology.sites.iter().filter(|site| belongs(site, index)).for_each(|site| name_all(site, &mut names));
        names
    }

    /// The same for a simulator.
    pub(super) fn description(&self) -> Result<Description, LabError> {
        let claims = |names: &[&str]| -> Result<Vec<Behaviour>, LabError> {
            names.iter().map(|name| recipe(name)?.ipv4()).collect()
        };
        Ok(Description {
            nodes: [claims(self.nodes[0])?, claims(self.nodes[1])?],
            shared: claims(self.shared)?,
            same_network: self.same_network,
            delay_ms: DELAY_MS,
            window_ms: self.window.as_millis(),
        })
    }

    /// The claim of the only box in front of a node; `None` where there are more.
    pub(super) fn only_box(&self, node: usize) -> Result<Option<Behaviour>, LabError> {
        let own = if self.same_network { self.nodes[0] } else { self.nodes[node] };
        match (own, self.shared) {
            ([], []) => recipe("public")?.ipv4().map(Some),
            ([name], []) => recipe(name)?.ipv4().map(Some),
            _ => Ok(None),
        }
    }
}

/// Sites within each other, nearest recipe innermost; `None` without any.
fn nested(recipes: &[&str], hosts: &[String]) -> Option<Site> {
    recipes.iter().enumerate().fold(None, |inner: Option<Site>, (level, recipe)| {
        let site =
            Site { name: format!("{}-r{level}", hosts[0]), recipe: (*recipe).to_owned(), ..Site::default() };
        Some(match inner {
            None => Site { hosts: hosts.to_vec(), ..site },
            Some(inner) => Site { sites: vec![inner], ..site },
        })
    })
}

fn belongs(site: &Site, index: usize) -> bool {
    [format!("c{index}a-"), format!("c{index}b-"), format!("c{index}-")]
        .iter()
        .any(|prefix| site.name.starts_with(prefix.as_str()))
}

fn name_all(site: &Site, names: &mut Vec<String>) {
    names.push(site.name.clone());
    site.sites.iter().for_each(|inner| name_all(inner, names));
}

fn wire() -> WireSettings {
    WireSettings { delay_ms: DELAY_MS, ..WireSettings::default() }
}

#[cfg(test)]
mod tests {
    use super::{CASES, Case};
    use crate::topology::Topology;

    fn case(name: &str) -> Case {
        CASES.into_iter().find(|case| case.name == name).unwrap()
    }

    #[test]
    fn two_homes_behind_one_carrier_are_sites_within_its_site() {
        let mut topology = Topology::default();
        let names = case("carrier-with-hairpin").add_to(&mut topology, 7);
        assert_eq!(names, ["c7-shared0", "c7a-r0", "c7b-r0"]);
        assert_eq!(topology.sites.len(), 1);
        assert_eq!(topology.sites[0].sites.len(), 2);
    }

    #[test]
    fn layers_of_one_node_are_nested_with_the_nearest_innermost() {
        let mut topology = Topology::default();
        assert_eq!(case("double-nat-x-symmetric").add_to(&mut topology, 0), ["c0a-r1", "c0a-r0", "c0b-r0"]);
        assert_eq!(topology.sites[0].recipe, "cgnat");
        assert_eq!(topology.sites[0].sites[0].hosts, ["c0a"]);
    }

    #[test]
    fn nodes_of_one_network_share_its_router() {
        let mut topology = Topology::default();
        assert_eq!(case("same-network").add_to(&mut topology, 1), ["c1a-r0"]);
        assert_eq!(topology.sites[0].hosts, ["c1a", "c1b"]);
    }

    #[test]
    fn every_case_can_be_described_by_proven_claims() {
        for case in CASES {
            assert_eq!(case.description().unwrap().delay_ms, 10, "{}", case.name);
        }
    }
}
