//! The stories as one page of Markdown.

use std::fmt::Write as _;

use endpoint_selection::explain::ExplainedCandidate;
use endpoint_selection::traversal::{Party, Plan, Technique};

use super::{OWN, PEER, Story};

const HEAD: &str = "\
# Why this path

What is said of a pair of nodes in the situations that people ask about: one sentence for the pair, what to do where
something would help, a reason for each address of either node, and what is tried to open a direct path. This page is
written by the selection itself (`endpoint-selection/tests/stories`), most of it from simulated runs, so it cannot say
anything that the selection does not.

A *new port per destination* is what RFC 4787 calls address-and-port-dependent mapping, and what many call a symmetric
NAT. The other words are in the [glossary](../glossary.md).

";

pub(super) fn page(stories: &[Story]) -> String {
    stories.iter().fold(HEAD.to_owned(), |page, story| page + &section(story))
}

fn section(story: &Story) -> String {
    let Story { title, situation, course, explanation } = story;
    let mut out = format!("## {title}\n\n{situation}\n\n> {}\n", explanation.sentence);
    for advice in &explanation.advice {
        write!(out, ">\n> {}\n", advice.sentence).unwrap();
    }
    out.push('\n');
    for line in course {
        writeln!(out, "- {line}").unwrap();
    }
    if !course.is_empty() {
        out.push('\n');
    }
    out += &table(PEER, OWN, &explanation.peer_candidates);
    out += &table(OWN, PEER, &explanation.own_candidates);
    writeln!(out, "Plan: {}\n", plan(&explanation.plan)).unwrap();
    out
}

fn table(of: &str, seen_by: &str, candidates: &[ExplainedCandidate]) -> String {
    let mut out = format!("| address of {of} | kind | learnt from | {seen_by} says |\n|---|---|---|---|\n");
    // Addresses of one kind of which the same is said share a row.
    let mut rows: Vec<(String, String, Vec<String>, Vec<String>)> = Vec::new();
    for ExplainedCandidate { candidate, sentence, .. } in candidates {
        let (kind, source) = (candidate.kind.to_string(), candidate.source.to_string());
        let (address, said) = (candidate.address.to_string(), sentence.clone());
        match rows.iter_mut().find(|(row_kind, row_said, ..)| *row_kind == kind && *row_said == said) {
            Some((_, _, addresses, sources)) => {
                addresses.push(address);
                sources.push(source);
            }
            None => rows.push((kind, said, vec![address], vec![source])),
        }
    }
    for (kind, said, addresses, sources) in rows {
        writeln!(out, "| {} | {kind} | {} | {said} |", addresses.join("<br>"), sources.join("<br>")).unwrap();
    }
    out.push('\n');
    out
}

/// Technique, chance and cost.
fn plan(plan: &Plan) -> String {
    let name = |party: Party| if party == Party::Own { OWN } else { PEER };
    let mut out = match plan.opening.chance_ppm {
        Some(0) => "probe every address (not expected to answer)".to_owned(),
        Some(ppm) => format!("probe every address ({})", percent(ppm)),
        None => "probe every address (chance not known)".to_owned(),
    };
    for planned in &plan.techniques {
        let what = match planned.technique {
            Technique::Prediction { mapper, .. } => format!("predict the port of {}'s NAT", name(mapper)),
            Technique::MutualPrediction { .. } => "predict the ports of both NATs".to_owned(),
            Technique::PortBlock { mapper, first, last, .. } => {
                format!("search ports {first} to {last} of {}'s NAT", name(mapper))
            }
            Technique::Birthday { mapper, .. } => format!("guess a port of {}'s NAT", name(mapper)),
        };
        let (chance, seconds) = (percent(planned.chance_ppm), planned.cost.duration_ms.div_ceil(1_000));
        let (probes, sockets) = (planned.cost.probes, planned.cost.sockets);
        let plural = if sockets == 1 { "" } else { "s" };
        write!(
            out,
            "; then {what} ({chance}, up to {probes} packets, {sockets} socket{plural}, {seconds} s)"
        )
        .unwrap();
    }
    out + "."
}

fn percent(ppm: u32) -> String {
    format!("{} %", ppm / 10_000)
}
