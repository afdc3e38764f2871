//! `warren status`: how this node is doing, at a glance.

use super::{Context, peers, table, words};
use crate::control::Request;
use crate::control::answer::StatusAnswer;
use crate::failure::Failure;

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let status: StatusAnswer = context.call(&Request::Status)?;
    let terminal = &context.terminal;
    if terminal.wants_json() {
        return terminal.json(&status);
    }
    terminal.line(&terminal.verdict(&status.verdict));
    terminal.line("");
    terminal.line(&table::columns(&[], facts(&status)));
    if !status.peers.is_empty() {
        terminal.line("");
        terminal.line(&peers::rows(&status.peers));
    }
    Ok(())
}

fn facts(status: &StatusAnswer) -> Vec<Vec<String>> {
    let own = &status.own;
    let port = own.udp_port.map(|port| format!(", UDP port {port}")).unwrap_or_default();
    let revision =
        status.coordinator.revision.map(|number| format!(", map revision {number}")).unwrap_or_default();
    let connected = if status.coordinator.connected { "connected" } else { "not connected" };
    let mut facts = vec![
        vec!["node".to_owned(), format!("{} in {}", own.name, own.network)],
        vec!["address".to_owned(), words::list(&own.addresses)],
        vec!["interface".to_owned(), format!("{}{port}", own.interface)],
        vec!["NAT".to_owned(), words::nat(&own.nat)],
        vec!["port mapping".to_owned(), words::port_mapping(&own.port_mapping)],
        vec!["coordinator".to_owned(), format!("{}, {connected}{revision}", status.coordinator.url)],
    ];
    if let Some(names) = &own.names {
        facts.push(vec!["DNS name".to_owned(), words::names(names)]);
    }
    if let Some(relay) = &own.relay {
        facts.push(vec!["own relay".to_owned(), words::own_relay(relay)]);
    }
    facts.extend(
        own.routes.iter().map(|route| vec!["own route".to_owned(), words::own_route(route, &own.name)]),
    );
    if let Some(exit_node) = &status.exit_node {
        facts.push(vec!["exit node".to_owned(), words::exit_node(exit_node)]);
    } else if !status.exit_nodes.is_empty() {
        let names = words::list(&status.exit_nodes);
        facts
            .push(vec!["exit nodes".to_owned(), format!("{names} (`warren set --exit-node NODE` uses one)")]);
    }
    facts.extend(status.routes.iter().map(|route| vec!["route".to_owned(), words::route(route)]));
    for relay in &status.relays {
        let state = if relay.registered { "registered" } else { "not registered" };
        let over = words::transport(relay.transport);
        let text = format!("{}{over} {}, {state}, {}", relay.name, relay.address, words::rtt(relay.rtt_us));
        facts.push(vec![words::relay(relay).to_owned(), text]);
    }
    facts
}
