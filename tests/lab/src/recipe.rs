//! NAT and firewall recipes: small nft files that say in their head what they claim to be.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::de::DeserializeOwned;

use crate::behaviour::{Behaviour, Claim, Mapping, Udp};
use crate::error::LabError;

/// What every router does, loaded before the recipe itself.
const BASE: &str = include_str!("../recipes/base.nft");

/// All recipes, in the order in which they are listed.
const FILES: [(&str, &str); 20] = [
    ("public", include_str!("../recipes/public.nft")),
    ("firewall", include_str!("../recipes/firewall.nft")),
    ("full-cone", include_str!("../recipes/full-cone.nft")),
    ("full-cone-hairpin", include_str!("../recipes/full-cone-hairpin.nft")),
    ("address-restricted", include_str!("../recipes/address-restricted.nft")),
    ("port-restricted", include_str!("../recipes/port-restricted.nft")),
    ("port-restricted-hairpin", include_str!("../recipes/port-restricted-hairpin.nft")),
    ("port-restricted-random", include_str!("../recipes/port-restricted-random.nft")),
    ("address-dependent", include_str!("../recipes/address-dependent.nft")),
    ("symmetric", include_str!("../recipes/symmetric.nft")),
    ("symmetric-seq", include_str!("../recipes/symmetric-seq.nft")),
    ("symmetric-port-block", include_str!("../recipes/symmetric-port-block.nft")),
    ("cgnat", include_str!("../recipes/cgnat.nft")),
    ("cgnat-port-restricted", include_str!("../recipes/cgnat-port-restricted.nft")),
    ("double-nat", include_str!("../recipes/double-nat.nft")),
    ("double-nat-no-hairpin", include_str!("../recipes/double-nat-no-hairpin.nft")),
    ("udp-blocked", include_str!("../recipes/udp-blocked.nft")),
    ("udp-53-443", include_str!("../recipes/udp-53-443.nft")),
    ("ipv6-firewall", include_str!("../recipes/ipv6-firewall.nft")),
    ("nat64", include_str!("../recipes/nat64.nft")),
];

/// One recipe: its claim and its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    /// The file's name without its ending.
    pub name: &'static str,
    /// One line for people.
    pub about: String,
    /// What the classifier must find.
    pub claim: Claim,
    /// The recipe of a carrier's router in front of this one.
    pub behind: Option<String>,
    /// Is the inside network the carrier's shared address space of RFC 6598?
    pub carrier: bool,
    /// First port and number of ports that are given out in order, for `$ports` in the rules.
    ports: Option<(u16, u16)>,
    rules: &'static str,
}

/// The names of all recipes.
pub fn recipe_names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// Finds a recipe by name.
///
/// # Errors
/// [`LabError::Description`] with the known names, or with what is wrong in the file.
pub fn recipe(name: &str) -> Result<Recipe, LabError> {
    let Some((name, text)) = FILES.iter().find(|(known, _)| *known == name) else {
        let known: Vec<_> = recipe_names().collect();
        return Err(LabError::Description(format!(
            "there is no recipe `{name}`: choose one of {}",
            known.join(", ")
        )));
    };
    parse(name, text)
}

fn parse(name: &'static str, text: &'static str) -> Result<Recipe, LabError> {
    let head: BTreeMap<&str, &str> = text
        .lines()
        .map_while(|line| line.strip_prefix("# "))
        .filter_map(|line| line.split_once(": "))
        .collect();
    let ports = match head.get("ports").map(|value| value.split_once(' ')) {
        None => None,
        Some(Some((first, count))) => match (first.parse::<u16>(), count.parse::<u16>()) {
            (Ok(first), Ok(count)) if count > 0 && first.checked_add(count).is_some() => Some((first, count)),
            _ => return Err(wrong(name, "ports", "two numbers, the first port and how many")),
        },
        Some(None) => return Err(wrong(name, "ports", "two numbers, the first port and how many")),
    };
    Ok(Recipe {
        name,
        about: (*head.get("about").ok_or_else(|| wrong(name, "about", "one line of text"))?).to_owned(),
        claim: whole_claim(name, &head)?,
        behind: head.get("behind").map(|outer| (*outer).to_owned()),
        carrier: head.get("lan") == Some(&"carrier"),
        ports,
        rules: text,
    })
}

fn whole_claim(name: &str, head: &BTreeMap<&str, &str>) -> Result<Claim, LabError> {
    let udp = if head.contains_key("udp") { claim(name, head, "udp")? } else { Udp::Anywhere };
    let ipv4 = match udp {
        Udp::Blocked => None,
        Udp::Anywhere | Udp::To53And443 => Some(Behaviour {
            mapping: claim(name, head, "mapping")?,
            filtering: claim(name, head, "filtering")?,
            allocation: claim(name, head, "allocation")?,
            hairpin: claim(name, head, "hairpin")?,
        }),
    };
    let ipv6 = if head.contains_key("ipv6") { Some(claim(name, head, "ipv6")?) } else { None };
    Ok(Claim { udp, ipv4, ipv6, nat64: head.get("ipv4") == Some(&"nat64") })
}

fn claim<T: DeserializeOwned>(name: &str, head: &BTreeMap<&str, &str>, key: &str) -> Result<T, LabError> {
    let value = serde_json::Value::from(*head.get(key).unwrap_or(&""));
    serde_json::from_value(value).map_err(|error| wrong(name, key, &error.to_string()))
}

fn wrong(name: &str, key: &str, wanted: &str) -> LabError {
    LabError::Description(format!("recipe `{name}` has no usable line `# {key}: …`: {wanted}"))
}

impl Recipe {
    /// Does the router translate IPv4 addresses, so that hosts have private ones?
    #[must_use]
    pub fn translates(&self) -> bool {
        self.claim.ipv4.is_none_or(|ipv4| ipv4.mapping != Mapping::None)
    }

    /// What becomes of UDP over IPv4.
    ///
    /// # Errors
    /// [`LabError::Description`] for a recipe that lets no UDP out.
    pub fn ipv4(&self) -> Result<Behaviour, LabError> {
        let none = || LabError::Description(format!("the recipe `{}` lets no UDP out", self.name));
        self.claim.ipv4.ok_or_else(none)
    }

    /// The whole nft script for a router with this outside address and inside network.
    #[must_use]
    pub fn script(&self, wan: Ipv4Addr, lan: &str) -> String {
        let head = format!("define wan = {wan}\ndefine lan = {lan}\n");
        // nft takes no variable for an anonymous map, so this one is put in as text.
        let rules = match self.ports {
            Some((first, count)) => {
                let pairs: Vec<String> =
                    (0..count).map(|index| format!("{index} : {}", first + index)).collect();
                self.rules.replace("$ports", &format!("{{ {} }}", pairs.join(", ")))
            }
            None => self.rules.to_owned(),
        };
        [&head, BASE, &rules].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::{parse, recipe, recipe_names};
    use crate::behaviour::{Filtering, Mapping, Udp};

    #[test]
    fn every_recipe_states_its_claim() {
        for name in recipe_names() {
            let recipe = recipe(name).unwrap_or_else(|error| panic!("{error}"));
            assert!(!recipe.about.is_empty());
        }
    }

    #[test]
    fn a_port_restricted_nat_claims_the_words_of_rfc_4787() {
        let claim = recipe("port-restricted").unwrap().ipv4().unwrap();
        assert_eq!(claim.mapping, Mapping::EndpointIndependent);
        assert_eq!(claim.filtering, Filtering::AddressAndPortDependent);
    }

    #[test]
    fn a_network_without_udp_claims_no_mapping_and_one_behind_nat64_has_ipv6() {
        let blocked = recipe("udp-blocked").unwrap();
        assert_eq!((blocked.claim.udp, blocked.claim.ipv4), (Udp::Blocked, None));
        assert!(blocked.translates() && blocked.ipv4().is_err());
        let nat64 = recipe("nat64").unwrap().claim;
        assert!(nat64.nat64 && nat64.ipv6 == Some(Filtering::AddressAndPortDependent));
    }

    #[test]
    fn an_unknown_recipe_is_refused_with_the_known_names() {
        let error = recipe("magic").unwrap_err();
        assert!(error.to_string().contains("no recipe `magic`"), "{error}");
        assert!(error.to_string().contains("port-restricted"), "{error}");
    }

    #[test]
    fn a_head_with_a_wrong_word_or_without_a_line_is_refused() {
        let error = parse("x", "# about: x\n# mapping: sometimes\n").unwrap_err();
        assert!(error.to_string().contains("# mapping: "), "{error}");
        let error = parse("x", "# about: x\n# ports: 65000 4000\n").unwrap_err();
        assert!(error.to_string().contains("# ports: "), "{error}");
        assert!(parse("x", "").unwrap_err().to_string().contains("# about: "));
    }

    #[test]
    fn sequential_ports_are_written_out_for_nft() {
        let script = recipe("symmetric-seq").unwrap().script([192, 0, 2, 9].into(), "192.168.1.0/24");
        assert!(script.starts_with("define wan = 192.0.2.9\n"));
        assert!(script.contains("map { 0 : 20000, 1 : 20001,"));
    }
}
