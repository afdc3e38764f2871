//! Packets that are too long for a peer's path, with the kernel's own TCP and its own counters of fragments.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use endpoint_selection::SocketId;
use support::hosts::{Host, hosts, interface, key, transfer};
use support::namespaces::{Namespace, isolated};

/// The MTU of the tunnels' interfaces, as agents have it.
const INTERFACE_MTU: u16 = 1_420;

/// Two hosts over a cable that carries so much, whose paths carry `tunnel_mtu` in one piece.
fn narrow_hosts(cable: u16, tunnel_mtu: u16) -> [Host; 2] {
    let mut hosts = hosts(false);
    for (index, host) in hosts.iter_mut().enumerate() {
        let own = u8::try_from(index + 1).unwrap();
        host.apply([interface(own, INTERFACE_MTU)]).unwrap();
        host.namespace.command("ip", &format!("link set cable mtu {cable}"));
        host.paths.set_tunnel_mtu(&key(3 - own).public_key(), tunnel_mtu);
    }
    hosts
}

/// IPv4 fragments that a host made so far: of the tunnel's datagrams, or of packets inside.
fn fragments(namespace: &Namespace) -> u64 {
    namespace.run(|| {
        let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
        let mut rows = text.lines().filter(|line| line.starts_with("Ip:")).map(str::split_whitespace);
        let at = rows.next().unwrap().position(|name| name == "FragCreates").unwrap();
        rows.next().unwrap().nth(at).unwrap().parse().unwrap()
    })
}

#[test]
fn tcp_makes_no_fragments_on_links_of_any_usual_mtu() {
    isolated("tcp_makes_no_fragments_on_links_of_any_usual_mtu", || {
        for (cable, tunnel_mtu) in [(1_280, 1_220), (1_400, 1_340), (1_500, 1_420)] {
            let hosts = narrow_hosts(cable, tunnel_mtu);
            let (a, b) = (&hosts[0].namespace, &hosts[1].namespace);
            for (from, to, address) in [(a, b, "10.92.0.2"), (b, a, "10.92.0.1"), (a, b, "fd92::2")] {
                transfer(from, to, address.parse().unwrap(), 1 << 20);
            }
            assert_eq!((fragments(a), fragments(b)), (0, 0), "{cable}");
        }
    });
}

#[test]
fn a_connection_that_began_on_a_wide_path_goes_on_without_fragments_when_it_narrows() {
    isolated("a_connection_that_began_on_a_wide_path_goes_on_without_fragments_when_it_narrows", || {
        for address in ["10.92.0.2", "fd92::2"] {
            let hosts = narrow_hosts(1_500, 1_420);
            let listener = {
                let address: std::net::IpAddr = address.parse().unwrap();
                hosts[1].namespace.run(move || TcpListener::bind((address, 0)).unwrap())
            };
            let target = listener.local_addr().unwrap();
            let receiver = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
                let mut all = Vec::new();
                stream.read_to_end(&mut all).unwrap();
                all.len()
            });
            let mut stream = hosts[0].namespace.run(move || TcpStream::connect(target).unwrap());
            stream.write_all(&[7; 1 << 20]).unwrap();
            for (host, other) in hosts.iter().zip([2, 1]) {
                host.namespace.command("ip", "link set cable mtu 1360");
                host.paths.set_tunnel_mtu(&key(other).public_key(), 1_300);
            }
            let before = fragments(&hosts[0].namespace);
            stream.write_all(&[7; 4 << 20]).unwrap();
            drop(stream);
            assert_eq!(receiver.join().unwrap(), 5 << 20);
            let told = hosts[0].paths.counts().too_big;
            assert!((1..500).contains(&told), "{told}");
            // The packets that were under way when it narrowed.
            let made = fragments(&hosts[0].namespace) - before;
            assert!(made < 200, "{made} fragments to {address}");
        }
    });
}

#[test]
fn udp_packets_that_are_too_long_arrive_whole() {
    isolated("udp_packets_that_are_too_long_arrive_whole", || {
        let hosts = narrow_hosts(1_400, 1_340);
        for address in ["10.92.0.2", "fd92::2"] {
            let socket = {
                let address: std::net::IpAddr = address.parse().unwrap();
                hosts[1].namespace.run(move || UdpSocket::bind((address, 0)).unwrap())
            };
            socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let target = socket.local_addr().unwrap();
            let any: SocketAddr = if target.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" }.parse().unwrap();
            let sender = hosts[0].namespace.run(move || UdpSocket::bind(any).unwrap());
            let sent: Vec<u8> = (0..1_372).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let mut buffer = [0; 2_000];
            // The first may be what the kernel learns the length from.
            let arrived = (0..5).find_map(|_| {
                // The kernel reports an ICMP answer with the next call.
                let _ = sender.send_to(&sent, target);
                socket.recv(&mut buffer).ok()
            });
            assert_eq!(arrived.map(|len| &buffer[..len]), Some(&sent[..]), "to {address}");
        }
    });
}

#[test]
fn a_whole_datagram_is_refused_where_the_link_is_too_narrow_and_others_are_still_fragmented() {
    isolated(
        "a_whole_datagram_is_refused_where_the_link_is_too_narrow_and_others_are_still_fragmented",
        || {
            let hosts = narrow_hosts(1_300, 1_240);
            for address in ["10.99.0.2", "fd99::2"] {
                let to = SocketAddr::new(address.parse().unwrap(), 9);
                let send = |len: usize| hosts[0].paths.send_whole(SocketId::MAIN, &vec![0xee; len], to);
                assert_eq!(send(1_273).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE), "to {address}");
                send(1_240).unwrap();
                hosts[0].paths.send_to(SocketId::MAIN, &[0xee; 1_400], to).unwrap();
            }
            assert!(fragments(&hosts[0].namespace) >= 2);
        },
    );
}
