//! Keeps packets that only say that they come from the mesh out: the kernel takes one from any interface, and a program that trusts the
//! mesh's addresses would believe whoever is on the same link (compare CVE-2019-14899). In a table of nft rules of its own.

use ipnet::IpNet;

use super::table::{Table, removal};
use crate::state::StateFolder;

/// The file that names the table.
const MARK: &str = "address-guard";

/// What keeps them out.
#[derive(Debug)]
pub(crate) struct AddressGuard {
    table: Table,
    interface: String,
    mesh: Vec<IpNet>,
    /// Networks of the machine's own inside those ranges, which come first as they do in the kernel's routes.
    attached: Vec<IpNet>,
    trouble: Option<String>,
}

impl AddressGuard {
    /// Nothing; what a killed agent left is taken away.
    pub(crate) fn new(state: &StateFolder, interface: &str) -> Self {
        let table = Table::new(state, MARK, "warren_guard_", interface);
        let interface = interface.to_owned();
        let mut guard = Self { table, interface, mesh: Vec::new(), attached: Vec::new(), trouble: None };
        guard.stop();
        guard
    }

    /// Lets what comes from these ranges in through the tunnel only, but for what the machine is attached to.
    pub(crate) fn set(&mut self, mesh: &[IpNet], attached: &[IpNet]) {
        let is_inside = |net: &&IpNet| mesh.iter().any(|range| range.contains(*net));
        let attached: Vec<IpNet> = attached.iter().filter(is_inside).copied().collect();
        if self.mesh != mesh || self.attached != attached {
            (self.mesh, self.attached) = (mesh.to_vec(), attached);
            self.apply();
        }
    }

    /// Sets the rules again where somebody took them away, or where that failed.
    pub(crate) fn look(&mut self) {
        let is_there = self.trouble.is_none() && self.table.is_there();
        if !self.mesh.is_empty() && !is_there {
            self.apply();
        }
    }

    fn apply(&mut self) {
        let rules = rules(self.table.name(), &self.interface, (&self.mesh, &self.attached));
        let applied = self.table.load(&rules);
        if let Err(why) = &applied
            && self.trouble.as_ref() != Some(why)
        {
            tracing::warn!(
                why,
                "packets that pretend to come from the mesh are not kept out of other interfaces"
            );
        }
        self.trouble = applied.err();
        if self.trouble.is_some() {
            // Nothing was set that would have to be taken away.
            self.table.forget();
        }
    }

    /// Takes the rules away.
    pub(crate) fn stop(&mut self) {
        (self.mesh, self.attached) = (Vec::new(), Vec::new());
        self.trouble = None;
        self.table.remove();
    }
}

/// What this machine sends to its own addresses comes from the mesh's range too, over the loopback interface.
fn rules(table: &str, interface: &str, (mesh, attached): (&[IpNet], &[IpNet])) -> String {
    let ranges = mesh.iter().map(|net| {
        let word = if net.addr().is_ipv6() { "ip6" } else { "ip" };
        let own = attached.iter().filter(|own| net.contains(*own));
        let own = own.map(|own| own.trunc().to_string()).collect::<Vec<_>>().join(", ");
        let but = if own.is_empty() { own } else { format!(" {word} saddr != {{ {own} }}") };
        // A quote, which an interface's name may have, would end the word.
        let interface = interface.replace(['"', '\\'], "?");
        format!(
            "\t\tiifname != {{ \"{interface}\", \"lo\" }} {word} saddr {}{but} counter drop\n",
            net.trunc()
        )
    });
    let ranges: String = ranges.collect();
    format!(
        "{}table inet {table} {{\n\tchain from_elsewhere {{\n\
         \t\ttype filter hook prerouting priority raw; policy accept;\n{ranges}\t}}\n}}\n",
        removal(table)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_range_of_the_mesh_is_taken_from_the_tunnel_and_from_this_machine_only() {
        let mesh: Vec<IpNet> = ["100.92.0.7/16", "fd00:1::7/48"].map(|text| text.parse().unwrap()).to_vec();
        let text = rules("warren_guard_warren0", "warren0", (&mesh, &[]));
        let expected = "iifname != { \"warren0\", \"lo\" } ip saddr 100.92.0.0/16 counter drop";
        assert!(text.contains(expected) && text.contains("ip6 saddr fd00:1::/48 counter"), "{text}");
    }

    #[test]
    fn a_network_that_the_machine_is_attached_to_goes_on_inside_of_the_meshs_range() {
        let [mesh, link, other] =
            ["10.20.0.7/16", "10.20.5.0/24", "192.168.5.0/24"].map(|text| text.parse::<IpNet>().unwrap());
        let outer = tempfile::tempdir().unwrap();
        let mut guard = AddressGuard::new(&StateFolder::new(outer.path()), "warren-guard-test");
        (guard.mesh, guard.attached) = (vec![mesh], vec![link]);
        guard.set(&[mesh], &[link, other]);
        assert_eq!(
            (&guard.attached, guard.trouble.as_ref()),
            (&vec![link], None),
            "nothing is other than it was"
        );
        let text = rules("t", "warren0", (&[mesh], &[link]));
        assert!(text.contains("ip saddr 10.20.0.0/16 ip saddr != { 10.20.5.0/24 } counter drop"), "{text}");
    }

    #[test]
    fn a_mark_that_somebody_else_wrote_removes_no_table() {
        let outer = tempfile::tempdir().unwrap();
        let state = StateFolder::new(outer.path());
        state.write(MARK, b"filter\ndelete table inet filter").unwrap();
        let guard = AddressGuard::new(&state, "wg-0.x");
        assert_eq!((guard.table.name(), guard.trouble), ("warren_guard_wg_0_x", None));
        assert_eq!(state.read(MARK, 64).unwrap(), None);
    }
}
