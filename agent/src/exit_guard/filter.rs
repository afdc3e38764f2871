//! The guard's rules of nft, as scripts.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use protocol::api::local_ranges;
use tunnel::{MARK_MASK, TUNNEL_MARK};

use crate::firewall::removal;

/// The mark of packets that were sent to another interface than their program asked for.
const REROUTED_MARK: u32 = 0x5800_0000;

/// What the rules speak of.
#[derive(Debug)]
pub(super) struct Filter<'a> {
    /// The table's name.
    pub(super) table: &'a str,
    /// The tunnel's interface.
    pub(super) interface: &'a str,
    /// The node's mesh addresses, each with the range of its network.
    pub(super) mesh: &'a [IpNet],
    /// The hosts that the agent calls over TCP.
    pub(super) called: &'a [IpAddr],
    /// The user that the agent runs as.
    pub(super) uid: u32,
    /// TCP connections from outside that are older than the guard: this machine's end, and the other.
    pub(super) earlier: &'a [(SocketAddr, SocketAddr)],
}

impl Filter<'_> {
    /// The table for IP, chain by chain:
    ///
    /// - `from_elsewhere`: a packet from the internet to a mesh address came through the tunnel, or it only pretends to belong to what
    ///   goes through it (compare CVE-2019-14899). What comes for this machine by another interface gets the tunnel's mark, so that a
    ///   strict `rp_filter` looks for the way back past the exit node; a TCP connection from outside keeps it for its answers.
    /// - `answers`: those go back the way that the questions came. What else a program sends by the interface that it named (as resolvers
    ///   do with each link's servers) is routed once more, without its wish.
    /// - `into_tunnel`: what another address of this machine or a machine behind it sends to the internet gets the mesh address, as the
    ///   exit node takes no other.
    /// - `leaving`, `passing`: what would leave by another interface is refused, at once and in so many words. Of what only passes
    ///   nothing may but answers: it may have come with the mark, and be sent elsewhere by a rule for its destination (DNAT).
    /// - `at_last`: what was routed once more and did not come to the tunnel by that.
    pub(super) fn rules(&self) -> String {
        // A quote, which an interface's name may have, would end the word.
        let interface = self.interface.replace(['"', '\\'], "?");
        let lists = [false, true].map(|is_ipv6| Lists::new(is_ipv6, self));
        let each = |rule: &dyn Fn(&Lists) -> String| lists.iter().map(rule).collect::<String>();
        let pretended = each(&|list| list.pretended());
        let earlier = each(&|list| list.earlier_set());
        let is_earlier = each(&|list| list.is_earlier());
        let masqueraded = each(&|list| list.masqueraded(&interface));
        let local = each(&|list| list.local());
        let called = each(&|list| list.called(self.uid));
        let [tunnel, rerouted] = [TUNNEL_MARK, REROUTED_MARK].map(Mark);
        format!(
            "{removal}table inet {table} {{
{earlier}\tchain from_elsewhere {{
\t\ttype filter hook prerouting priority mangle; policy accept;
\t\tiifname {{ \"{interface}\", \"lo\" }} return
{pretended}\t\tfib daddr type local meta mark set {set_mark}
\t\tfib daddr type local tcp flags & (fin | syn | rst | ack) == syn ct mark set {set_ct_mark}
\t\tct direction reply ct {is_tunnel} meta mark set {set_mark}
\t}}
\tchain answers {{
\t\ttype route hook output priority mangle; policy accept;
{is_earlier}\t\tct direction reply ct {is_tunnel} meta mark set {set_mark}
\t\toifname {{ \"{interface}\", \"lo\" }} return
\t\tmeta {is_tunnel} return
{NEIGHBOURS}{local}{called}\t\tmeta mark set {set_rerouted}
\t}}
\tchain into_tunnel {{
\t\ttype nat hook postrouting priority srcnat; policy accept;
{masqueraded}\t}}
\tchain refused {{
\t\toifname {{ \"{interface}\", \"lo\" }} return
{NEIGHBOURS}{local}\t\tcounter reject with icmpx type admin-prohibited
\t}}
\tchain leaving {{
\t\ttype filter hook output priority filter; policy accept;
\t\tmeta {is_tunnel} return
\t\tmeta {is_rerouted} return
{called}\t\tjump refused
\t}}
\tchain passing {{
\t\ttype filter hook forward priority filter; policy accept;
\t\tmeta {is_tunnel} ct direction reply return
\t\tjump refused
\t}}
\tchain at_last {{
\t\ttype filter hook postrouting priority filter; policy accept;
\t\tmeta {is_rerouted} oifname != {{ \"{interface}\", \"lo\" }} counter drop
\t}}
}}
",
            removal = removal(self.table),
            table = self.table,
            set_mark = tunnel.set("meta"),
            set_ct_mark = tunnel.set("ct"),
            is_tunnel = tunnel.is(),
            set_rerouted = rerouted.set("meta"),
            is_rerouted = rerouted.is(),
        )
    }

    /// The table for ARP: a request gets the mark, as the kernel answers it only where it finds a way back to who asks, and a gateway
    /// with a public address may ask from any of several.
    pub(super) fn arp_rules(&self) -> String {
        let (table, mark) = (self.table, Mark(TUNNEL_MARK).set("meta"));
        format!(
            "{}table arp {table} {{\n\tchain requests {{\n\t\ttype filter hook input priority 0; policy accept;\n\
             \t\tmeta mark set {mark}\n\t}}\n}}\n",
            arp_removal(table)
        )
    }
}

/// Neighbours with global addresses are asked for and answered on the link (RFC 4861).
const NEIGHBOURS: &str = "\t\ticmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } return\n";

/// What takes the table for ARP away.
pub(super) fn arp_removal(table: &str) -> String {
    format!("table arp {table}\ndelete table arp {table}\n")
}

/// Whether this listing of the table for IP has the rules that refuse.
pub(super) fn is_whole(listing: &str) -> bool {
    listing.matches("jump refused").count() == 2
        && listing.contains("reject with")
        && listing.contains("type route hook output")
}

/// A mark, in the bits that are ours.
#[derive(Clone, Copy)]
struct Mark(u32);

impl Mark {
    fn is(self) -> String {
        format!("mark & {MARK_MASK:#010x} == {:#010x}", self.0)
    }

    /// The bits of others stay.
    fn set(self, whose: &str) -> String {
        format!("{whose} mark & {:#010x} | {:#010x}", !MARK_MASK, self.0)
    }
}

/// The addresses of one family that rules speak of, as sets of nft; empty texts where there are none.
struct Lists {
    word: &'static str,
    own: String,
    local: String,
    /// The local ranges and those of the mesh.
    inside: String,
    called: String,
    earlier: String,
}

impl Lists {
    fn new(is_ipv6: bool, filter: &Filter<'_>) -> Self {
        let mesh = filter.mesh.iter().filter(|net| net.addr().is_ipv6() == is_ipv6);
        let local: Vec<IpNet> = local_ranges(is_ipv6).collect();
        // A set with ranges that overlap is refused by older versions of nft.
        let is_outside = |net: &IpNet| !local.iter().any(|range| range.contains(net));
        let ranges = mesh.clone().map(IpNet::trunc).filter(is_outside);
        let earlier = filter.earlier.iter().filter(|(own, _)| own.is_ipv6() == is_ipv6);
        let earlier = earlier
            .map(|(own, other)| format!("{} . {} . {} . {}", own.ip(), own.port(), other.ip(), other.port()));
        Self {
            word: if is_ipv6 { "ip6" } else { "ip" },
            own: set(mesh.map(IpNet::addr)),
            local: set(local.iter().copied()),
            inside: set(local.iter().copied().chain(ranges)),
            called: set(filter.called.iter().filter(|address| address.is_ipv6() == is_ipv6)),
            earlier: set(earlier),
        }
    }

    fn pretended(&self) -> String {
        let Self { word, own, local, .. } = self;
        line(own, format!("{word} daddr {own} {word} saddr != {local} counter drop"))
    }

    fn masqueraded(&self, interface: &str) -> String {
        let Self { word, own, inside, .. } = self;
        line(
            own,
            format!("oifname \"{interface}\" {word} saddr != {own} {word} daddr != {inside} masquerade"),
        )
    }

    fn local(&self) -> String {
        line(&self.local, format!("{} daddr {} return", self.word, self.local))
    }

    /// The agent's own, as far as user and protocol tell.
    fn called(&self, uid: u32) -> String {
        let Self { word, called, .. } = self;
        line(called, format!("meta l4proto tcp meta skuid {uid} {word} daddr {called} return"))
    }

    fn earlier_set(&self) -> String {
        let Self { word, earlier, .. } = self;
        let kind = if *word == "ip6" { "ipv6_addr" } else { "ipv4_addr" };
        let elements = if earlier.is_empty() { String::new() } else { format!("\t\telements = {earlier}\n") };
        format!(
            "\tset earlier_{word} {{\n\t\ttype {kind} . inet_service . {kind} . inet_service\n{elements}\t}}\n"
        )
    }

    fn is_earlier(&self) -> String {
        let (word, mark) = (self.word, Mark(TUNNEL_MARK).set("meta"));
        format!(
            "\t\t{word} saddr . tcp sport . {word} daddr . tcp dport @earlier_{word} meta mark set {mark}\n"
        )
    }
}

/// A rule about a set; none where that is empty.
fn line(set: &str, rule: String) -> String {
    if set.is_empty() { String::new() } else { format!("\t\t{rule}\n") }
}

fn set<T: ToString>(elements: impl Iterator<Item = T>) -> String {
    let elements: Vec<String> = elements.map(|element| element.to_string()).collect();
    if elements.is_empty() { String::new() } else { format!("{{ {} }}", elements.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(mesh: &[&str], called: &[&str], earlier: &[(SocketAddr, SocketAddr)]) -> String {
        let mesh: Vec<IpNet> = mesh.iter().map(|text| text.parse().unwrap()).collect();
        let called: Vec<IpAddr> = called.iter().map(|text| text.parse().unwrap()).collect();
        let filter = Filter {
            table: "warren_exit_t",
            interface: "warren0",
            mesh: &mesh,
            called: &called,
            uid: 0,
            earlier,
        };
        filter.rules()
    }

    #[test]
    fn a_called_host_is_let_past_for_the_agents_user_and_tcp_and_for_nothing_that_only_passes() {
        let text = rules(&["100.92.0.7/16"], &["203.0.113.7", "2001:db8::7"], &[]);
        for rule in [
            "meta l4proto tcp meta skuid 0 ip daddr { 203.0.113.7 } return\n",
            "meta l4proto tcp meta skuid 0 ip6 daddr { 2001:db8::7 } return\n",
        ] {
            assert_eq!(text.matches(rule).count(), 2, "for the second routing, and for leaving: {text}");
        }
        let passing = text.split("chain passing").nth(1).unwrap().split('}').next().unwrap();
        assert!(!passing.contains("skuid") && passing.contains("ct direction reply return"), "{passing}");
    }

    #[test]
    fn without_addresses_of_a_family_no_rule_has_an_empty_set() {
        let text = rules(&[], &[], &[]);
        assert!(!text.contains("{  }") && !text.contains("skuid") && !text.contains("masquerade"), "{text}");
        assert!(is_whole(&rules(&["100.92.0.7/16"], &[], &[])));
    }

    #[test]
    fn a_range_of_the_mesh_inside_of_a_local_one_stands_in_no_set_twice() {
        let text = rules(&["10.20.0.7/16", "25.1.0.7/16"], &[], &[]);
        assert!(!text.contains("10.20.0.0/16") && text.contains("25.1.0.0/16 } masquerade"), "{text}");
    }

    #[test]
    fn connections_that_are_older_than_the_guard_are_named_by_both_ends() {
        let ends = ["203.0.113.5:22", "198.51.100.9:50000"].map(|text| text.parse().unwrap());
        let text = rules(&["100.92.0.7/16"], &[], &[(ends[0], ends[1])]);
        assert!(text.contains("elements = { 203.0.113.5 . 22 . 198.51.100.9 . 50000 }"), "{text}");
    }
}
