//! Maps that somebody else signed.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nix::sched::{CloneFlags, unshare};
use protocol::api::{EnrollRequest, EnrollResponse, MapEvent, NetworkMap, OwnNode, Standing};
use protocol::map_signature::MapSigningKey;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::coordinator::{Answer, Coordinator, Request, TOKEN, enroll_response, json};
use super::join::key;
use super::machine::Machine;

const NODE: Uuid = Uuid::from_u128(7);

fn map_key(byte: u8) -> MapSigningKey {
    MapSigningKey::derive(&Zeroizing::new([byte; 32]))
}

/// The answer to an enrollment, with the key of byte 1.
fn enroll(request: &Request) -> Answer {
    let asked: EnrollRequest = serde_json::from_slice(&request.body).unwrap();
    let credentials = format!("{TOKEN} {}", map_key(1).verifying_key());
    let sealed = protocol::sealed::seal(credentials.as_bytes(), &asked.public_key, [5; 32]).unwrap();
    let sealed_credentials = Some(STANDARD.encode(sealed));
    json(&EnrollResponse { sealed_credentials, ..enroll_response(request) })
}

/// An empty network at a revision, signed by the key of a byte.
fn map(signer: u8, revision: u64) -> Answer {
    let own = OwnNode {
        id: NODE,
        name: "web-1".parse().unwrap(),
        network: "default".into(),
        zone: None,
        addresses: vec!["100.92.0.7/16".parse().unwrap()],
        relay: None,
        standing: Standing::Admitted,
        access: None,
        routes: Vec::new(),
    };
    let (peers, relays, stun_servers) = (Vec::new(), Vec::new(), Vec::new());
    let event = MapEvent::Snapshot(NetworkMap { revision, own, peers, relays, stun_servers });
    let (name, data) = (event.name(), event.data());
    let signature = map_key(signer).sign(&event.place(NODE), &data);
    let body = format!("event: {name}\nid: {revision}\nsignature: {signature}\ndata: {data}\n\n");
    Answer::Whole(200, vec![("Content-Type", "text/event-stream".into())], body)
}

/// Puts this thread, and what it starts from now on, into a network of its own with loopback: the coordinator here and the agent
/// meet there, and the agent's interface disturbs nobody.
fn has_own_network() -> bool {
    let loopback = || Command::new("ip").args(["link", "set", "lo", "up"]).status();
    std::path::Path::new("/dev/net/tun").exists()
        && unshare(CloneFlags::CLONE_NEWNET).is_ok()
        && loopback().is_ok_and(|status| status.success())
}

#[test]
fn a_map_that_somebody_else_signed_is_refused_and_the_last_good_one_stays() {
    if !has_own_network() {
        eprintln!("skipped: this host gives no network namespace or no TUN device");
        return;
    }
    let (signer, revision) = (Arc::new(AtomicU8::new(1)), Arc::new(AtomicU64::new(3)));
    let (told_signer, told_revision) = (Arc::clone(&signer), Arc::clone(&revision));
    let coordinator = Coordinator::start(move |request| match request.line.as_str() {
        "POST /api/v1/enroll" => enroll(request),
        "GET /api/v1/map" => map(told_signer.load(Ordering::Relaxed), told_revision.load(Ordering::Relaxed)),
        _ => Answer::Nothing,
    });
    let machine = Machine::new();
    assert_eq!(machine.join(&coordinator.url, &key()).code, 0);
    let mut daemon = machine.start(machine.command(&["agent"]));
    let status = || machine.status();
    daemon.wait_until("the map is used", || status()["coordinator"]["revision"] == 3);
    for (other_signer, other_revision, why) in [(2, 4, "signed by the key"), (1, 2, "is older than 3")] {
        signer.store(other_signer, Ordering::Relaxed);
        revision.store(other_revision, Ordering::Relaxed);
        daemon.wait_until(why, || status()["verdict"].as_str().is_some_and(|verdict| verdict.contains(why)));
        let status = status();
        assert_eq!(
            (&status["coordinator"]["revision"], &status["state"]),
            (&3.into(), &"up".into()),
            "{status}"
        );
    }
    signer.store(1, Ordering::Relaxed);
    revision.store(5, Ordering::Relaxed);
    daemon.wait_until("the next good map is used", || status()["coordinator"]["revision"] == 5);
    let verdict = status()["verdict"].to_string();
    assert!(!verdict.contains("refused"), "{verdict}");
}
