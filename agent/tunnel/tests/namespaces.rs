//! Real TUN interfaces in network namespaces: ping, TCP through the offloads, life and death of the interface.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::process::{Child, Command};

use engine::tunnel_config::Change;
use support::direct;
use support::hosts::{Host, MTU, hosts, interface, key, peer, ping, transfer};
use support::namespaces::{Namespace, cabled_pair, isolated, run};
use tunnel::TunnelError;

#[test]
fn ping_passes_between_two_hosts_over_ipv4_and_ipv6() {
    isolated("ping_passes_between_two_hosts_over_ipv4_and_ipv6", || {
        for outer_v6 in [false, true] {
            let mut hosts = hosts(outer_v6);
            ping(&hosts[0].namespace, "10.92.0.2");
            ping(&hosts[1].namespace, "10.92.0.1");
            ping(&hosts[0].namespace, "fd92::2");
            let peer = key(2).public_key();
            assert!(hosts[0].observe().peers[&peer].handshake_age.is_some());
        }
    });
}

#[test]
fn tcp_arrives_whole_both_ways_with_every_offload() {
    isolated("tcp_arrives_whole_both_ways_with_every_offload", || {
        let hosts = hosts(false);
        let (a, b) = (&hosts[0].namespace, &hosts[1].namespace);
        for (from, to, address) in
            [(a, b, "10.92.0.2"), (b, a, "10.92.0.1"), (a, b, "fd92::2"), (b, a, "fd92::1")]
        {
            let took = transfer(from, to, address.parse().unwrap(), 16 << 20);
            println!("16 MiB to {address} in {took:?}");
        }
        for host in &hosts {
            println!("{:?}", host.paths.counts());
        }
    });
}

#[test]
fn tcp_arrives_whole_where_a_tunnel_packet_is_longer_than_the_link_takes() {
    isolated("tcp_arrives_whole_where_a_tunnel_packet_is_longer_than_the_link_takes", || {
        let hosts = hosts(false);
        for host in &hosts {
            // The kernel refuses to cut a batch into such segments; single packets it fragments.
            host.namespace.command("ip", "link set cable mtu 1300");
        }
        let (a, b) = (&hosts[0].namespace, &hosts[1].namespace);
        transfer(a, b, "10.92.0.2".parse().unwrap(), 4 << 20);
        transfer(b, a, "fd92::1".parse().unwrap(), 4 << 20);
        for host in &hosts {
            assert_eq!(host.paths.counts().send_failed, 0);
        }
    });
}

#[test]
fn the_interface_comes_and_goes_while_the_port_stays() {
    isolated("the_interface_comes_and_goes_while_the_port_stays", || {
        let [mut host, _other] = hosts(false);
        ping(&host.namespace, "10.92.0.2");
        let port = host.paths.local_port();
        // Twice the same, then another MTU: the session lives on.
        host.apply([interface(1, MTU), interface(1, 1300)]).unwrap();
        assert!(host.namespace.command("ip", "link show mesh0").contains("mtu 1300"));
        assert!(host.observe().peers[&key(2).public_key()].handshake_age.is_some());
        ping(&host.namespace, "10.92.0.2");
        let threads_up = threads();
        host.apply([Change::RemoveInterface]).unwrap();
        assert!(!host.exists(), "the interface is gone when apply returns");
        support::eventually("the transmit thread has ended", || threads() == threads_up - 1);
        assert_eq!(host.observe().config, None);
        host.apply([interface(1, MTU), peer(2)]).unwrap();
        assert!(host.exists());
        assert_eq!(host.paths.local_port(), port);
        ping(&host.namespace, "10.92.0.2");
    });
}

#[test]
fn every_file_and_thread_is_given_back() {
    isolated("every_file_and_thread_is_given_back", || {
        let count = || (std::fs::read_dir("/proc/self/fd").unwrap().count(), threads());
        let before = count();
        for _ in 0..5 {
            let mut host = Host::new(Namespace::new(), 1);
            host.apply([peer(2)]).unwrap();
            drop(host);
        }
        // The kernel lists a joined thread for a moment longer.
        support::eventually("all is given back", || count() == before);
    });
}

#[test]
fn an_address_that_leaves_the_configuration_leaves_the_interface() {
    isolated("an_address_that_leaves_the_configuration_leaves_the_interface", || {
        let mut host = Host::new(Namespace::new(), 1);
        let shown = host.namespace.command("ip", "addr show mesh0");
        assert!(shown.contains("10.92.0.1/16") && shown.contains("fd92::1/64"), "{shown}");
        assert!(!shown.contains("tentative"), "no address waits for duplicate detection: {shown}");
        host.apply([interface(7, MTU)]).unwrap();
        let shown = host.namespace.command("ip", "addr show mesh0");
        assert!(shown.contains("10.92.0.7/16") && shown.contains("fd92::7/64"), "{shown}");
        assert!(!shown.contains("10.92.0.1/") && !shown.contains("fd92::1/"), "{shown}");
        let route = host.namespace.command("ip", "route get 10.92.77.77");
        assert!(route.contains("dev mesh0"), "{route}");
    });
}

#[test]
fn routes_come_stay_with_other_addresses_and_go() {
    isolated("routes_come_stay_with_other_addresses_and_go", || {
        let mut host = Host::new(Namespace::new(), 1);
        let set = |host: &mut Host, routes: &[&str]| {
            let routes = routes.iter().map(|route| route.parse().unwrap()).collect();
            host.apply([Change::SetRoutes { routes, forwarded: Vec::new() }]).unwrap();
        };
        let shown = |host: &Host| {
            host.namespace.command("ip", "route show dev mesh0")
                + &host.namespace.command("ip", "-6 route show dev mesh0")
        };
        set(&mut host, &["192.168.5.0/24", "10.7.0.0/16", "fd12::/64"]);
        let all = ["192.168.5.0/24", "10.7.0.0/16", "fd12::/64"];
        assert!(all.iter().all(|route| shown(&host).contains(route)), "{}", shown(&host));
        host.apply([interface(7, MTU)]).unwrap();
        assert!(all.iter().all(|route| shown(&host).contains(route)), "{}", shown(&host));
        set(&mut host, &["10.7.0.0/16"]);
        let left = shown(&host);
        assert!(
            left.contains("10.7.0.0/16") && !left.contains("192.168.5") && !left.contains("fd12"),
            "{left}"
        );
        host.namespace.command("ip", "route del 10.7.0.0/16 dev mesh0");
        set(&mut host, &[]);
    });
}

#[test]
fn a_host_with_ipv6_switched_off_has_the_ipv4_tunnel() {
    isolated("a_host_with_ipv6_switched_off_has_the_ipv4_tunnel", || {
        let namespace = Namespace::new();
        namespace.run(|| std::fs::write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1").unwrap());
        namespace.run(|| std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").unwrap());
        let host = Host::new(namespace, 1);
        let shown = host.namespace.command("ip", "addr show mesh0");
        assert!(shown.contains("10.92.0.1/16") && !shown.contains("fd92::1"), "{shown}");
    });
}

#[test]
fn an_interface_that_was_deleted_from_outside_is_noticed() {
    isolated("an_interface_that_was_deleted_from_outside_is_noticed", || {
        let mut host = Host::new(Namespace::new(), 1);
        host.namespace.command("ip", "link del mesh0");
        support::eventually("the tunnel sees it", || host.observe().config.is_none());
        host.apply([interface(1, MTU)]).unwrap();
        assert!(host.exists());
        assert!(host.observe().config.is_some());
    });
}

#[test]
fn a_name_that_is_taken_is_refused_in_words() {
    isolated("a_name_that_is_taken_is_refused_in_words", || {
        let mut host = Host::new(Namespace::new(), 1);
        host.apply([Change::RemoveInterface]).unwrap();
        host.namespace.command("ip", "link add mesh0 type veth peer name other");
        let refused = host.apply([interface(1, MTU), peer(2)]).unwrap_err();
        assert!(matches!(refused, TunnelError::NameTaken { .. }), "{refused:?}");
        assert_eq!(host.observe().config, None);
        host.namespace.command("ip", "link del mesh0");
        host.apply([interface(1, MTU)]).unwrap();
    });
}

#[test]
fn an_mtu_that_cannot_carry_the_addresses_changes_nothing() {
    isolated("an_mtu_that_cannot_carry_the_addresses_changes_nothing", || {
        let mut host = Host::new(Namespace::new(), 1);
        let before = host.observe();
        let refused = host.apply([interface(1, 1279)]).unwrap_err();
        assert!(matches!(refused, TunnelError::MtuInvalid { mtu: 1279, min: 1280 }), "{refused:?}");
        assert_eq!(host.observe(), before);
        assert!(host.exists());
    });
}

#[test]
fn a_host_without_the_tun_driver_is_told_to_load_it() {
    isolated("a_host_without_the_tun_driver_is_told_to_load_it", || {
        let mut host = Host::new(Namespace::new(), 1);
        host.apply([Change::RemoveInterface]).unwrap();
        run("mount", &["-t", "tmpfs", "none", "/dev/net"]);
        let refused = host.apply([interface(1, MTU)]).unwrap_err();
        assert!(matches!(refused, TunnelError::NoTunDevice), "{refused:?}");
        assert!(refused.to_string().contains("modprobe tun"));
    });
}

#[test]
fn a_process_without_the_right_is_told_what_it_needs() {
    isolated("a_process_without_the_right_is_told_what_it_needs", || {
        let mut host = Host::new(Namespace::new(), 1);
        host.apply([Change::RemoveInterface]).unwrap();
        // "nobody"; all threads of the process change, and with the user the capabilities go.
        if let Err(error) = nix::unistd::seteuid(65534.into()) {
            println!(
                "SKIPPED a_process_without_the_right_is_told_what_it_needs: no second user here: {error}"
            );
            return;
        }
        let refused = host.apply([interface(1, MTU)]).unwrap_err();
        assert!(matches!(refused, TunnelError::NotPermitted), "{refused:?}");
        assert_eq!(host.observe().config, None);
    });
}

/// An independent implementation: Debian's package `wireguard-go`, driven with `wg`.
#[test]
fn a_wireguard_go_host_is_reached_both_ways() {
    let installed =
        |program: &str| Command::new("which").arg(program).output().is_ok_and(|it| it.status.success());
    if !installed("wireguard-go") || !installed("wg") {
        println!("SKIPPED a_wireguard_go_host_is_reached_both_ways: wireguard-go or wg is not installed");
        return;
    }
    isolated("a_wireguard_go_host_is_reached_both_ways", || {
        // Its control socket has a fixed place, which nobody else may see.
        run("mount", &["-t", "tmpfs", "none", "/run"]);
        let [ours, theirs] = cabled_pair();
        let mut host = Host::new(ours, 1);
        host.apply([peer(2)]).unwrap();
        let _other =
            Running(theirs.run(|| Command::new("wireguard-go").args(["-f", "wg0"]).spawn().unwrap()));
        support::eventually("wireguard-go listens", || std::fs::exists("/run/wireguard/wg0.sock").unwrap());
        std::fs::write("/run/key", key(2).to_base64().as_bytes()).unwrap();
        let port = host.paths.local_port();
        theirs.command("wg", "set wg0 listen-port 51820 private-key /run/key");
        let allowed = "allowed-ips 10.92.0.1/32,fd92::1/128";
        let public = key(1).public_key();
        theirs.command("wg", &format!("set wg0 peer {public} endpoint 10.99.0.1:{port} {allowed}"));
        theirs.command("ip", "addr add 10.92.0.2/16 dev wg0");
        theirs.command("ip", "link set wg0 mtu 1380 up");
        let remote = "10.99.0.2:51820".parse().unwrap();
        host.paths.set_path(&key(2).public_key(), Some(direct(remote))).unwrap();
        ping(&host.namespace, "10.92.0.2");
        ping(&theirs, "10.92.0.1");
        transfer(&host.namespace, &theirs, "10.92.0.2".parse().unwrap(), 4 << 20);
        transfer(&theirs, &host.namespace, "10.92.0.1".parse().unwrap(), 4 << 20);
    });
}

/// A program that ends with the test, whether it passes or fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// Threads of this process.
fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}
