//! A node as a router to networks behind it: the kernel forwards, and gives what comes from the mesh an address of this machine, so
//! that hosts there need no route back. In a table of nft rules of its own.

use ipnet::IpNet;
use nix::errno::Errno;

use super::table::{Table, removal};
use crate::state::StateFolder;

/// The file that names the table.
const MARK: &str = "forwarding";

/// The kernel's switches. What they are set to stays on: others may rely on it by then.
const SWITCHES: [(bool, &str); 2] =
    [(false, "/proc/sys/net/ipv4/ip_forward"), (true, "/proc/sys/net/ipv6/conf/all/forwarding")];

/// What this machine passes on.
#[derive(Debug)]
pub(crate) struct Forwarding {
    table: Table,
    interface: String,
    /// The addresses that packets come from.
    mesh: Vec<IpNet>,
    prefixes: Vec<IpNet>,
    trouble: Option<String>,
}

impl Forwarding {
    /// Nothing; what a killed agent left is taken away.
    pub(crate) fn new(state: &StateFolder, interface: &str) -> Self {
        let table = Table::new(state, MARK, "warren_", interface);
        let interface = interface.to_owned();
        let mut forwarding = Self { table, interface, mesh: Vec::new(), prefixes: Vec::new(), trouble: None };
        forwarding.stop();
        forwarding
    }

    /// Passes packets on from these addresses of the mesh to these networks, and to no others.
    pub(crate) fn set(&mut self, mesh: &[IpNet], prefixes: Vec<IpNet>) {
        if prefixes.is_empty() {
            self.prefixes.clear();
            return self.stop();
        }
        (self.mesh, self.prefixes) = (mesh.to_vec(), prefixes);
        self.apply();
    }

    /// Sets the rules again where somebody took them away (a firewall that was loaded anew flushes all tables), or where that failed;
    /// says whether it had to.
    pub(crate) fn look(&mut self) -> bool {
        if self.prefixes.is_empty() {
            return false;
        }
        let is_there = self.trouble.is_none()
            && self.table.is_there()
            && SWITCHES.iter().all(|(is_ipv6, path)| is_on(*is_ipv6, path, &self.prefixes));
        if !is_there {
            self.apply();
        }
        !is_there
    }

    fn apply(&mut self) {
        let prefixes = &self.prefixes;
        let switched = SWITCHES.iter().try_for_each(|(is_ipv6, path)| switch_on(*is_ipv6, path, prefixes));
        let applied = switched
            .and_then(|()| self.table.load(&rules(self.table.name(), &self.interface, &self.mesh, prefixes)));
        match &applied {
            Ok(()) => tracing::info!(?prefixes, "routing to networks behind this node"),
            // Again and again: said once.
            Err(why) if self.trouble.as_ref() == Some(why) => {}
            Err(why) => tracing::error!(why, ?prefixes, "cannot route to networks behind this node"),
        }
        self.trouble = applied.err();
    }

    /// Why the networks are not reached through this node; `None` where they are.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// Takes the rules away.
    pub(crate) fn stop(&mut self) {
        self.trouble = None;
        self.table.remove();
    }
}

/// Whether the kernel's switch is on, or not needed.
fn is_on(is_ipv6: bool, path: &str, prefixes: &[IpNet]) -> bool {
    prefixes.iter().all(|prefix| prefix.addr().is_ipv6() != is_ipv6)
        || std::fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
}

fn switch_on(is_ipv6: bool, path: &str, prefixes: &[IpNet]) -> Result<(), String> {
    if is_on(is_ipv6, path, prefixes) {
        return Ok(());
    }
    if is_ipv6 {
        keep_router_advertisements();
    }
    std::fs::write(path, "1").map_err(|error| {
        let advice = if error.raw_os_error() == Some(Errno::EROFS as i32) {
            "; set it where this container is started"
        } else {
            ""
        };
        format!("cannot set {path} to 1: {error}{advice}")
    })
}

/// A machine that forwards IPv6 heeds router advertisements no more, and loses its own default route, unless they are asked for in
/// particular (2 in place of 1; Documentation/networking/ip-sysctl of the kernel, `accept_ra`).
fn keep_router_advertisements() {
    for interface in std::fs::read_dir("/proc/sys/net/ipv6/conf").into_iter().flatten().flatten() {
        let path = interface.path().join("accept_ra");
        let is_usual = std::fs::read_to_string(&path).is_ok_and(|text| text.trim() == "1");
        if is_usual && let Err(error) = std::fs::write(&path, "2") {
            tracing::warn!(path = %path.display(), %error, "IPv6 routes may be lost: cannot set it to 2");
        }
    }
}

/// Masquerades what comes from the mesh, and lets nobody else use this node as a way in: a host behind it, or another node that is after a
/// network behind a third one, opens no connection into the tunnel. What answers passes.
fn rules(table: &str, interface: &str, mesh: &[IpNet], prefixes: &[IpNet]) -> String {
    let family = |is_ipv6: bool| {
        let of = |nets: &[IpNet]| {
            let nets = nets.iter().filter(|net| net.addr().is_ipv6() == is_ipv6);
            nets.map(|net| net.trunc().to_string()).collect::<Vec<_>>().join(", ")
        };
        let (word, from, to) = (if is_ipv6 { "ip6" } else { "ip" }, of(mesh), of(prefixes));
        if from.is_empty() || to.is_empty() {
            return String::new();
        }
        format!("\t\t{word} saddr {{ {from} }} {word} daddr {{ {to} }} masquerade\n")
    };
    format!(
        "{}table inet {table} {{\n\tchain after_routing {{\n\t\ttype nat hook postrouting priority srcnat; policy accept;\n{}{}\t}}\n\
         \tchain into_tunnel {{\n\t\ttype filter hook forward priority filter; policy accept;\n\
         \t\toifname \"{}\" ct state new drop\n\t}}\n}}\n",
        removal(table),
        family(false),
        family(true),
        // A quote, which an interface's name may have, would end the word.
        interface.replace(['"', '\\'], "?")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn the_rules_name_the_mesh_and_the_networks_of_each_family() {
        let mesh = nets(&["100.92.0.7/16", "fd00:1::7/48"]);
        let text =
            rules("warren_warren0", "warren0", &mesh, &nets(&["192.168.5.0/24", "10.9.0.0/16", "fd12::/64"]));
        assert!(text.starts_with("table inet warren_warren0\ndelete table inet warren_warren0\ntable inet"));
        assert!(
            text.contains("ip saddr { 100.92.0.0/16 } ip daddr { 192.168.5.0/24, 10.9.0.0/16 } masquerade"),
            "{text}"
        );
        assert!(text.contains("ip6 saddr { fd00:1::/48 } ip6 daddr { fd12::/64 } masquerade"), "{text}");
        assert!(
            text.contains("hook forward") && text.contains("oifname \"warren0\" ct state new drop"),
            "{text}"
        );
        let only_ipv4 = rules("t", "warren0", &mesh, &nets(&["192.168.5.0/24"]));
        assert!(!only_ipv4.contains("ip6"), "{only_ipv4}");
    }

    #[test]
    fn a_table_is_named_after_the_interface_in_letters_that_nft_takes() {
        let outer = tempfile::tempdir().unwrap();
        let forwarding = Forwarding::new(&StateFolder::new(outer.path()), "wg-0.x");
        assert_eq!((forwarding.table.name(), forwarding.trouble()), ("warren_wg_0_x", None));
        let table = &forwarding.table;
        assert!(table.is_ours(table.name()) && !table.is_ours("filter"));
        assert!(!table.is_ours("warren_x\ndelete table inet filter"));
    }
}
