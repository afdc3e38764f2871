//! Nodes whose wall clocks are a day off: joining, reporting and the relay must not depend on them.

use std::time::Instant;

use super::{Case, Stage, part};
use crate::error::{LabError, Trying};
use crate::opening::{Expected, PATIENCE, ms, ping_all_ways, watch};
use crate::scenario::Outcome;

/// Debian's libfaketime, for programs with threads.
const LIBRARIES: [&str; 2] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];
/// From both agents up to the first answered ping, as for any pair.
const FIRST_PING_MAX_MS: f64 = 1_000.0;

pub(super) fn cases() -> Vec<Case> {
    vec![Case {
        name: "clock/24h-off",
        about: "one node's wall clock is a day ahead, the other's a day behind: both join and meet directly",
        places: |topology| {
            topology.site("ahead", "port-restricted", &["ahead"]).site(
                "behind",
                "port-restricted",
                &["behind"],
            )
        },
        play,
    }]
}

fn play(stage: &Stage<'_>, outcome: Outcome) -> Result<Outcome, LabError> {
    let library =
        LIBRARIES.into_iter().find(|path| std::path::Path::new(path).is_file()).ok_or_else(|| {
            LabError::Unusable(
            "libfaketime is missing: install it with `apt-get install --no-install-recommends libfaketime`"
                .to_owned(),
        )
        })?;
    let key = stage.coordinator.new_network("clock")?;
    let mut nodes = [stage.node("ahead")?, stage.node("behind")?];
    let mut off = Vec::new();
    for (node, shift) in nodes.iter_mut().zip(["+24h", "-24h"]) {
        let settings = [("LD_PRELOAD", library), ("FAKETIME", shift), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        settings.iter().for_each(|(name, value)| node.set(name, value));
        node.join(&stage.coordinator.url(), &key)?;
        node.start()?;
    }
    for node in &mut nodes {
        node.wait_until_up(PATIENCE)?;
        off.push(hours_off(&std::fs::read_to_string(&node.log).trying("read an agent's log")?));
    }
    // A library that changed nothing would let everything pass.
    if off != [Some(24), Some(-24)] {
        return Err(LabError::Unmet(format!(
            "the agents' clocks are off by {off:?} hours, not by 24 and -24"
        )));
    }
    let opened = watch(&nodes[0], &nodes[1], Instant::now(), Expected::Direct)?;
    ping_all_ways(&nodes[0], &nodes[1], PATIENCE)?;
    part(nodes)?;
    Ok(outcome
        .limited("first_ping_ms", ms(opened.first_ping), FIRST_PING_MAX_MS)
        .figure("direct_ms", ms(opened.settled))
        .judged(Ok("direct".to_owned())))
}

/// How many hours the first line of an agent's log is off the lab's own clock, such as
/// `2026-11-26T19:04:35.423657Z  INFO warren::daemon: agent started`.
fn hours_off(log: &str) -> Option<i64> {
    let line = log.lines().find(|line| line.contains("agent started"))?;
    let shown = unix_seconds(line.split_whitespace().next()?)?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    // To the nearest hour: the agent started a moment ago.
    Some((shown - i64::try_from(now).ok()? + 1_800).div_euclid(3_600))
}

/// Seconds since 1970 of a time of RFC 3339 in UTC.
fn unix_seconds(text: &str) -> Option<i64> {
    let mut parts = text.split(['-', 'T', ':', '.', 'Z']).map(str::parse::<i64>);
    let mut next = || parts.next()?.ok();
    let (year, month, day) = (next()?, next()?, next()?);
    let (hour, minute, second) = (next()?, next()?, next()?);
    // Days since 1 March of the year 0, so that a leap day is the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    Some(((days - 719_468) * 24 + hour) * 3_600 + minute * 60 + second)
}

#[cfg(test)]
mod tests {
    use super::{hours_off, unix_seconds};

    #[test]
    fn a_time_of_rfc_3339_is_read_in_seconds() {
        assert_eq!(unix_seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix_seconds("2024-02-29T12:00:01.423657Z"), Some(1_709_208_001));
        assert_eq!(unix_seconds("yesterday"), None);
    }

    #[test]
    fn a_log_without_the_line_is_no_proof_of_a_shifted_clock() {
        assert_eq!(hours_off("2026-11-26T19:04:35Z INFO something else"), None);
    }
}
