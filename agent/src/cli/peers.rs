//! `warren peers`: the peers and the path to each.

use serde::Serialize;

use super::{Context, table, words};
use crate::control::Request;
use crate::control::answer::{PeerAnswer, StatusAnswer};
use crate::failure::Failure;

/// `warren peers --json`.
#[derive(Debug, Serialize)]
struct Peers {
    version: String,
    verdict: String,
    peers: Vec<PeerAnswer>,
}

pub(super) fn run(context: &Context) -> Result<(), Failure> {
    let StatusAnswer { version, verdict, own, peers, .. } = context.call(&Request::Status)?;
    let terminal = &context.terminal;
    if terminal.wants_json() {
        return terminal.json(&Peers { version, verdict, peers });
    }
    if peers.is_empty() {
        terminal.line(&terminal.verdict(&verdict));
        return Ok(());
    }
    terminal.line(&rows(&peers));
    if let Some(names) = &own.names {
        terminal.line(&format!("\nin the DNS: PEER.{}", names.zone));
    }
    Ok(())
}

/// The peers as aligned rows.
pub(super) fn rows(peers: &[PeerAnswer]) -> String {
    let heading = ["PEER", "ADDRESS", "PATH", "RTT", "SINCE", "RECEIVED", "SENT", "ONLINE"];
    let row = |peer: &PeerAnswer| {
        vec![
            peer.name.clone(),
            words::list(&peer.addresses),
            words::path(&peer.path),
            words::rtt(peer.path.rtt_us),
            words::age(peer.path.since_ms),
            words::bytes(peer.rx_bytes),
            words::bytes(peer.tx_bytes),
            if peer.online { "yes" } else { "no" }.to_owned(),
        ]
    };
    table::columns(&heading, peers.iter().map(row))
}
