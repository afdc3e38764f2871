//! The guard's rules of nft, as a script.

use std::net::IpAddr;

use ipnet::IpNet;
use protocol::api::local_ranges;
use tunnel::TUNNEL_MARK;

use crate::firewall::removal;

/// The rules, chain by chain:
///
/// - `from_elsewhere`: a packet from the internet to a mesh address came through the tunnel, or it only pretends to belong to what
///   goes through it (compare CVE-2019-14899). What comes for this machine by another interface gets the tunnel's mark, so that a
///   strict `rp_filter` looks for the way back past the exit node; a TCP connection from outside keeps it for its answers.
/// - `answers`: those go back the way that the questions came.
/// - `into_tunnel`: what another address of this machine or a machine behind it sends to the internet gets the mesh address, as the
///   exit node takes no other.
/// - `leaving`, `passing`: what else leaves by another interface is refused, at once and in so many words.
pub(super) fn rules(table: &str, interface: &str, mesh: &[IpNet], direct: &[IpAddr]) -> String {
    // A quote, which an interface's name may have, would end the word.
    let interface = interface.replace(['"', '\\'], "?");
    let lists = [false, true].map(|is_ipv6| Lists::new(is_ipv6, mesh, direct));
    let each = |rule: &dyn Fn(&Lists) -> String| lists.iter().map(rule).collect::<String>();
    let pretended = each(&|list| {
        list.rule(&list.own, &|word, own| {
            format!("{word} daddr {own} {word} saddr != {} counter drop", list.local)
        })
    });
    let masqueraded = each(&|list| {
        list.rule(&list.own, &|word, own| {
            format!(
                "oifname \"{interface}\" {word} saddr != {own} {word} daddr != {} masquerade",
                list.inside
            )
        })
    });
    let let_out = each(&|list| {
        let local = format!("\t\t{} daddr {} return\n", list.word, list.local);
        local + &list.rule(&list.direct, &|word, direct| format!("{word} daddr {direct} return"))
    });
    let mark = format!("{TUNNEL_MARK:#x}");
    format!(
        "{}table inet {table} {{
\tchain from_elsewhere {{
\t\ttype filter hook prerouting priority mangle; policy accept;
\t\tiifname {{ \"{interface}\", \"lo\" }} return
{pretended}\t\tfib daddr type local meta mark set {mark}
\t\tfib daddr type local tcp flags & (fin | syn | rst | ack) == syn ct mark set {mark}
\t\tct direction reply ct mark {mark} meta mark set {mark}
\t}}
\tchain answers {{
\t\ttype route hook output priority mangle; policy accept;
\t\tct direction reply ct mark {mark} meta mark set {mark}
\t}}
\tchain into_tunnel {{
\t\ttype nat hook postrouting priority srcnat; policy accept;
{masqueraded}\t}}
\tchain refused {{
\t\toifname {{ \"{interface}\", \"lo\" }} return
\t\tmeta mark {mark} return
{let_out}\t\tcounter reject with icmpx type admin-prohibited
\t}}
\tchain leaving {{
\t\ttype filter hook output priority filter; policy accept;
\t\tjump refused
\t}}
\tchain passing {{
\t\ttype filter hook forward priority filter; policy accept;
\t\tjump refused
\t}}
}}
",
        removal(table),
    )
}

/// The addresses of one family that rules speak of, as sets of nft; empty texts where there are none.
struct Lists {
    word: &'static str,
    own: String,
    local: String,
    /// The local ranges and those of the mesh.
    inside: String,
    direct: String,
}

impl Lists {
    fn new(is_ipv6: bool, mesh: &[IpNet], direct: &[IpAddr]) -> Self {
        let mesh = mesh.iter().filter(|net| net.addr().is_ipv6() == is_ipv6);
        let local: Vec<IpNet> = local_ranges(is_ipv6).collect();
        // nft refuses sets whose ranges overlap.
        let is_outside = |net: &IpNet| !local.iter().any(|range| range.contains(net));
        let ranges = mesh.clone().map(IpNet::trunc).filter(is_outside);
        Self {
            word: if is_ipv6 { "ip6" } else { "ip" },
            own: set(mesh.map(IpNet::addr)),
            local: set(local.iter().copied()),
            inside: set(local.iter().copied().chain(ranges)),
            direct: set(direct.iter().filter(|address| address.is_ipv6() == is_ipv6).copied()),
        }
    }

    /// A rule about a set; none where the set is empty.
    fn rule(&self, set: &str, rule: &dyn Fn(&str, &str) -> String) -> String {
        if set.is_empty() { String::new() } else { format!("\t\t{}\n", rule(self.word, set)) }
    }
}

fn set<T: ToString>(elements: impl Iterator<Item = T>) -> String {
    let elements: Vec<String> = elements.map(|element| element.to_string()).collect();
    if elements.is_empty() { String::new() } else { format!("{{ {} }}", elements.join(", ")) }
}
