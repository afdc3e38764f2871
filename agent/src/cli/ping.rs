//! `warren ping`: round trips to a peer over the path in use, below the tunnel.

use std::time::{Duration, Instant};

use clap::Args;
use protocol::api::PathKind;
use serde::Serialize;

use super::{Context, words};
use crate::control::Request;
use crate::control::answer::PingReply;
use crate::failure::{Code, Failure};

/// From one ping to the next.
const INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct PingArgs {
    /// The peer: its name, mesh address, id, or the beginning of its public key
    peer: String,
    /// How many pings to send
    #[arg(short, long, value_name = "N", default_value_t = 4)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=100_000))]
    count: u32,
}

/// `warren ping --json`.
#[derive(Debug, Serialize)]
struct Pings {
    version: &'static str,
    peer: String,
    replies: Vec<Reply>,
    sent: u32,
    received: u32,
}

/// One answered ping.
#[derive(Debug, Serialize)]
struct Reply {
    seq: u32,
    rtt_us: u32,
    path_kind: PathKind,
}

pub(super) fn run(context: &Context, args: &PingArgs) -> Result<(), Failure> {
    let mut pings = Pings {
        version: env!("CARGO_PKG_VERSION"),
        peer: args.peer.clone(),
        replies: Vec::new(),
        sent: 0,
        received: 0,
    };
    for seq in 1..=args.count {
        let started = Instant::now();
        let answer: PingReply = context.call(&Request::Ping { peer: args.peer.clone() })?;
        pings.sent += 1;
        pings.peer.clone_from(&answer.peer);
        tell(context, seq, &answer, &pings);
        if let (Some(rtt_us), Some(path_kind)) = (answer.rtt_us, answer.path_kind) {
            pings.received += 1;
            pings.replies.push(Reply { seq, rtt_us, path_kind });
        }
        if seq < args.count {
            std::thread::sleep(INTERVAL.saturating_sub(started.elapsed()));
        }
    }
    if context.terminal.wants_json() {
        context.terminal.json(&pings)?;
    } else {
        context.terminal.line(&format!("{} sent, {} received", pings.sent, pings.received));
    }
    if pings.received == 0 {
        let message = format!("{0} does not answer: see `warren why {0}`", pings.peer);
        return Err(Failure::new(Code::TimedOut, message));
    }
    Ok(())
}

fn tell(context: &Context, seq: u32, answer: &PingReply, before: &Pings) {
    if context.terminal.wants_json() {
        return;
    }
    let (Some(rtt_us), Some(kind)) = (answer.rtt_us, answer.path_kind) else {
        context.terminal.line(&format!("{}: seq {seq}, no answer", answer.peer));
        return;
    };
    let turned = before.replies.last().filter(|last| last.path_kind != kind);
    let note = turned.map_or_else(String::new, |last| {
        format!("  (the path turned from {} to {})", words::path_kind(last.path_kind), words::path_kind(kind))
    });
    let line =
        format!("{}: seq {seq}, {}, {}{note}", answer.peer, words::rtt(Some(rtt_us)), words::path_kind(kind));
    context.terminal.line(&line);
}
