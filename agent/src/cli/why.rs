//! `warren why`: every candidate of a peer, and why it is used or not.

use clap::Args;

use super::terminal::Colour;
use super::{Context, table, words};
use crate::control::Request;
use crate::control::answer::{CandidateAnswer, OwnCandidate, WhyAnswer};
use crate::failure::Failure;

#[derive(Debug, Args)]
pub(super) struct WhyArgs {
    /// The peer: its name, mesh address, id, or the beginning of its public key
    peer: String,
}

pub(super) fn run(context: &Context, args: &WhyArgs) -> Result<(), Failure> {
    let why: WhyAnswer = context.call(&Request::Why { peer: args.peer.clone() })?;
    let terminal = &context.terminal;
    if terminal.wants_json() {
        return terminal.json(&why);
    }
    let colour = if why.chosen.is_some() { Colour::Green } else { Colour::Red };
    let headline = match why.chosen {
        Some(_) => format!("{}: {}, {}", why.peer, words::path(&why.path), words::rtt(why.path.rtt_us)),
        None => format!("{}: nothing reaches it", why.peer),
    };
    terminal.line(&terminal.paint(colour, &headline));
    for sentence in why.explanation.iter().chain(&why.advice) {
        terminal.line(sentence);
    }
    terminal.line("");
    terminal.line(&theirs(&why.candidates));
    terminal.line("");
    terminal.line(&ours(&why.own_candidates));
    Ok(())
}

fn theirs(candidates: &[CandidateAnswer]) -> String {
    let row = |candidate: &CandidateAnswer| {
        vec![
            candidate.address.to_string(),
            candidate.kind.to_string(),
            words::rtt(candidate.rtt_us),
            candidate.reason.clone(),
            candidate.source.clone(),
        ]
    };
    table::columns(&["CANDIDATE", "KIND", "RTT", "WHY", "LEARNT FROM"], candidates.iter().map(row))
}

fn ours(candidates: &[OwnCandidate]) -> String {
    let row = |candidate: &OwnCandidate| {
        vec![candidate.address.to_string(), candidate.kind.to_string(), candidate.source.clone()]
    };
    table::columns(&["OWN CANDIDATE", "KIND", "LEARNT FROM"], candidates.iter().map(row))
}
