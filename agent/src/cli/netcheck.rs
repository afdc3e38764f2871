//! `warren netcheck`: what the network around this node is like, measured now.

use std::time::Duration;

use engine::RelayTransport;

use super::{Context, table, words};
use crate::control::Request;
use crate::control::answer::{DoneAnswer, NetcheckAnswer, PathMtuAnswer};
use crate::failure::Failure;

/// How long STUN servers and relays get to answer: three retransmissions from half a second on (RFC 8489 §6.2.1).
const PATIENCE: Duration = Duration::from_millis(2500);

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let _: DoneAnswer = context.call(&Request::Rediscover)?;
    std::thread::sleep(PATIENCE);
    let check: NetcheckAnswer = context.call(&Request::Netcheck)?;
    let terminal = &context.terminal;
    if terminal.wants_json() {
        return terminal.json(&check);
    }
    terminal.line(&terminal.verdict(&check.verdict));
    terminal.line("");
    terminal.line(&table::columns(&[], facts(&check)));
    Ok(())
}

/// Who answers over UDP.
fn udp(check: &NetcheckAnswer) -> String {
    let relays: Vec<_> = check.relays.iter().filter(|relay| relay.transport == RelayTransport::Udp).collect();
    let stun = check.stun.iter().filter(|stun| stun.reflexive.is_some()).count();
    let registered = relays.iter().filter(|relay| relay.registered).count();
    let works = if stun + registered > 0 { "works" } else { "nobody answers" };
    let (servers, all) = (check.stun.len(), relays.len());
    format!("{works}: {stun} of {servers} STUN servers, {registered} of {all} relays")
}

/// Whether TCP reaches the coordinator, and with it a relay where UDP does not.
fn tcp(check: &NetcheckAnswer) -> String {
    match &check.coordinator.error {
        None => "works: the coordinator answers".to_owned(),
        Some(_) => "the coordinator does not answer".to_owned(),
    }
}

/// How long packets may be on the way to the internet.
fn path_mtu(answer: Option<PathMtuAnswer>) -> String {
    match answer {
        None => "not measured: no STUN server answers".to_owned(),
        Some(PathMtuAnswer { server, bytes: None }) => {
            format!("{server} answers no packets of 1280 bytes and more: they get lost, or it ignores them")
        }
        Some(PathMtuAnswer { server, bytes: Some(bytes @ 1500..) }) => format!("{bytes} bytes to {server}"),
        Some(PathMtuAnswer { server, bytes: Some(bytes) }) => {
            format!("{bytes} bytes to {server}, as behind PPPoE or a tunnel; nothing has to be set for it")
        }
    }
}

fn facts(check: &NetcheckAnswer) -> Vec<Vec<String>> {
    let mut facts = vec![
        vec!["NAT".to_owned(), words::nat(&check.nat)],
        vec!["UDP".to_owned(), udp(check)],
        vec!["TCP".to_owned(), tcp(check)],
        vec!["path MTU".to_owned(), path_mtu(check.path_mtu)],
    ];
    facts.push(vec!["port mapping".to_owned(), words::port_mapping(&check.port_mapping)]);
    for stun in &check.stun {
        let rtt = stun.rtt_us.map(|rtt_us| format!(", {}", words::rtt(Some(rtt_us)))).unwrap_or_default();
        let seen = stun.reflexive.map_or_else(|| "no answer".to_owned(), |seen| format!("saw {seen}{rtt}"));
        facts.push(vec!["STUN".to_owned(), format!("{} {seen}", stun.server)]);
    }
    for relay in &check.relays {
        let state = if relay.registered { words::rtt(relay.rtt_us) } else { "not registered".to_owned() };
        let over = words::transport(relay.transport);
        facts.push(vec![
            words::relay(relay).to_owned(),
            format!("{}{over} {} {state}", relay.name, relay.address),
        ]);
    }
    let ipv6 = match (check.ipv6.address, check.ipv6.reachable) {
        (_, true) => "works",
        (true, false) => "has an address, but no server answered over it",
        (false, false) => "no global address",
    };
    facts.push(vec!["IPv6".to_owned(), ipv6.to_owned()]);
    if let Some(prefix) = &check.nat64 {
        facts.push(vec!["NAT64".to_owned(), format!("no IPv4 here, it is reached through {prefix}")]);
    }
    let http = match &check.coordinator.error {
        Some(error) => error.clone(),
        None => format!("{} {}", check.coordinator.url, words::rtt(check.coordinator.rtt_us)),
    };
    facts.push(vec!["coordinator".to_owned(), http]);
    for candidate in &check.candidates {
        let text = format!("{} {} ({})", candidate.address, candidate.kind, candidate.source);
        facts.push(vec!["candidate".to_owned(), text]);
    }
    facts
}
