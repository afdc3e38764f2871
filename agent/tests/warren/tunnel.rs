//! The agent with a real network interface, in a network namespace of its own, and without the right to one.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use endpoint_selection::nat::NatProfile;
use endpoint_selection::{Candidate, CandidateKind, CandidateSource};
use protocol::api::{NetworkMap, OwnNode, Peer};
use protocol::key::PublicKey;
use uuid::Uuid;

use super::coordinator::{Coordinator, enroll};
use super::join::key;
use super::machine::{Daemon, Machine, ran};

/// A user that owns nothing.
const NOBODY: u32 = 65_534;

/// A machine that joined, and that has a map with one peer which never answers.
fn joined_with_map() -> Machine {
    let (machine, coordinator) = (Machine::new(), Coordinator::start(enroll));
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    let silent = Candidate {
        kind: CandidateKind::Host,
        address: "192.0.2.9:9".parse().unwrap(),
        base: None,
        source: CandidateSource::Interface("eth0".into()),
    };
    let peer = Peer {
        id: Uuid::from_u128(8),
        name: "silent".parse().unwrap(),
        public_key: PublicKey::from_bytes([8; 32]),
        allowed_ips: vec!["100.92.0.8/32".parse().unwrap()],
        online: true,
        candidates: vec![silent],
        nat: NatProfile::default(),
        plain_endpoint: None,
        tags: Vec::new(),
        routes: Vec::new(),
    };
    let own = OwnNode {
        id: Uuid::from_u128(7),
        name: "web-1".parse().unwrap(),
        network: "default".into(),
        zone: None,
        addresses: vec!["100.92.0.7/16".parse().unwrap()],
        relay: None,
        standing: protocol::api::Standing::Admitted,
        access: None,
        routes: Vec::new(),
    };
    let map =
        NetworkMap { revision: 3, own, peers: vec![peer], relays: Vec::new(), stun_servers: Vec::new() };
    std::fs::write(machine.file("network-map.json"), serde_json::to_vec(&map).unwrap()).unwrap();
    machine
}

fn can_unshare() -> bool {
    let able = Command::new("unshare").args(["-rn", "true"]).status().is_ok_and(|status| status.success());
    let able = able && std::path::Path::new("/dev/net/tun").exists();
    if !able {
        eprintln!("skipped: this host gives no network namespace or no TUN device");
    }
    able
}

fn has_interface(daemon: &Daemon) -> bool {
    std::fs::read_to_string(format!("/proc/{}/net/dev", daemon.pid())).unwrap().contains("warren0:")
}

#[test]
fn a_node_with_a_saved_map_works_without_its_coordinator_and_obeys_up_and_down() {
    if !can_unshare() {
        return;
    }
    let machine = joined_with_map();
    let agent = || machine.wrapped(&["unshare", "-rn"], &["agent"]);
    let mut daemon = machine.start(agent());
    daemon.wait_until("the coordinator is missed", || !machine.status()["coordinator"]["error"].is_null());
    let status = machine.status();
    assert_eq!(status["state"], "up", "{status}");
    assert_eq!(status["coordinator"]["revision"], 3, "{status}");
    assert_eq!(status["self"]["addresses"][0], "100.92.0.7", "{status}");
    assert!(status["verdict"].as_str().unwrap().contains("without the coordinator"), "{status}");
    assert_eq!(status["peers"][0]["path"]["kind"], "none", "{status}");
    assert!(has_interface(&daemon));
    let port = status["self"]["udp_port"].clone();

    for wanted in ["silent", "100.92.0.8", "00000000-0000-0000-0000-000000000008", "CAgICAg"] {
        let why = machine.run(&["why", wanted, "--json"]);
        let why: serde_json::Value = serde_json::from_str(&why.stdout).unwrap();
        assert_eq!((&why["peer"], &why["chosen"]), (&"silent".into(), &serde_json::Value::Null), "{why}");
        assert_eq!(why["candidates"][0]["address"], "192.0.2.9:9", "{why}");
    }
    assert_eq!(machine.run(&["why", "stranger"]).code, 1);
    let ping = machine.run(&["ping", "silent", "-c", "1", "--json"]);
    assert_eq!(ping.code, 7, "{ping:?}");
    let ping: serde_json::Value = serde_json::from_str(&ping.stdout).unwrap();
    assert_eq!((&ping["sent"], &ping["received"]), (&1.into(), &0.into()), "{ping}");

    assert_eq!(machine.run(&["down"]).code, 0);
    assert!(!has_interface(&daemon));
    let (ended, log) = daemon.stop();
    assert!(ended.success(), "{log}");
    let daemon = machine.start(agent());
    assert_eq!(machine.status()["state"], "down", "the wish outlives a restart");
    assert!(!has_interface(&daemon));
    assert_eq!(machine.run(&["up"]).code, 0);
    assert!(has_interface(&daemon));
    assert_eq!(machine.status()["self"]["udp_port"], port, "the port outlives a restart");
}

#[test]
fn without_a_router_or_without_the_users_wish_nobody_is_asked_for_a_port_and_status_says_so() {
    if !can_unshare() {
        return;
    }
    for (no_port_mapping, why) in [("false", "there is no IPv4 router"), ("true", "--no-port-mapping")] {
        let machine = joined_with_map();
        let mut agent = machine.wrapped(&["unshare", "-rn"], &["agent"]);
        agent.env("WARREN_NO_PORT_MAPPING", no_port_mapping);
        let mut daemon = machine.start(agent);
        daemon.wait_until(why, || {
            let answer = machine.status()["self"]["port_mapping"].clone();
            answer["external"].is_null() && answer["why"].as_str().is_some_and(|said| said.contains(why))
        });
    }
}

#[test]
fn an_ordinary_user_gets_no_tunnel_and_no_word_with_the_daemon() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: only root can become another user");
        return;
    }
    let machine = joined_with_map();
    let program = machine.elsewhere("warren");
    std::fs::copy(env!("CARGO_BIN_EXE_warren"), &program).unwrap();
    let as_nobody = |machine: &Machine, verb: &str| {
        let mut command = Command::new(&program);
        command.arg("--state-dir").arg(machine.state()).arg("--socket").arg(machine.socket()).arg(verb);
        ran(command.uid(NOBODY).gid(NOBODY).output().unwrap())
    };
    let unreadable = as_nobody(&machine, "leave");
    assert_eq!(unreadable.code, 5, "{unreadable:?}");
    let _daemon = {
        std::fs::write(machine.file("down"), b"").unwrap();
        machine.start(machine.command(&["agent"]))
    };
    let told = as_nobody(&machine, "status");
    assert_eq!(told.code, 5, "{told:?}");
    // Even where somebody opened the socket file to everyone.
    std::fs::set_permissions(machine.socket(), PermissionsExt::from_mode(0o666)).unwrap();
    let told = as_nobody(&machine, "status");
    assert_eq!(told.code, 5, "{told:?}");
    assert!(told.stderr.contains("not permitted to command the agent"), "{told:?}");

    let theirs = joined_with_map();
    for path in [
        theirs.elsewhere(""),
        theirs.state(),
        theirs.file("identity.json"),
        theirs.file("network-map.json"),
        theirs.file("join.lock"),
    ] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let refused = as_nobody(&theirs, "agent");
    let expected = if std::path::Path::new("/dev/net/tun").exists() { 5 } else { 1 };
    assert_eq!(refused.code, expected, "{refused:?}");
    assert!(refused.stderr.lines().last().unwrap().contains("tun"), "{refused:?}");
}
