//! A row of ICMP echoes that runs while something else happens, and what it shows afterwards.

use std::fs::File;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::error::{LabError, Trying};
use crate::namespace::Namespace;
use crate::scenario::Context;

/// A running `ping`; dropping it kills it.
#[derive(Debug)]
pub(super) struct Echoes {
    child: Child,
    output: PathBuf,
}

/// The reply to one request, in seconds of the wall clock, which nothing moves outside of a process under test.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reply {
    sequence: u32,
    arrived_s: f64,
    rtt_ms: f64,
}

/// What a finished row showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Row {
    /// Echo requests sent.
    pub(super) sent: u32,
    replies: Vec<Reply>,
}

impl Echoes {
    /// Sends a request of `size` bytes each `interval` from now on.
    pub(super) fn start(
        context: &Context,
        from: &Namespace,
        to: IpAddr,
        interval: Duration,
        size: u16,
    ) -> Result<Self, LabError> {
        let stamp = (now_s() * 1e6).round();
        let output = context.run_dir.join(format!("ping-{}-{stamp}.txt", from.name()));
        let file = File::create(&output).map_err(|error| LabError::at_path("write", &output, error))?;
        let mut command = from.command("ping");
        command.args(["-n", "-D", "-i", &format!("{:.3}", interval.as_secs_f64()), "-s", &size.to_string()]);
        command.arg(to.to_string()).stdin(Stdio::null()).stdout(file).stderr(Stdio::null());
        Ok(Self { child: command.spawn().trying("start ping")?, output })
    }

    /// Ends the row; a request that was just sent has a moment to be answered.
    pub(super) fn stop(mut self) -> Result<Row, LabError> {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).trying("end ping")?;
        self.child.wait().trying("wait for ping")?;
        let text = std::fs::read_to_string(&self.output)
            .map_err(|error| LabError::at_path("read", &self.output, error))?;
        Row::read(&text).ok_or_else(|| LabError::Unmet(format!("{} has no summary", self.output.display())))
    }
}

impl Drop for Echoes {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Row {
    fn read(text: &str) -> Option<Self> {
        let summary = text.lines().find(|line| line.contains("packets transmitted"))?;
        let sent = summary.split(' ').next()?.parse().ok()?;
        let mut replies: Vec<Reply> = text.lines().filter_map(reply).collect();
        replies.dedup_by_key(|reply| reply.sequence);
        Some(Self { sent, replies })
    }

    /// Requests without a reply. The last one is left out: it may have been on its way.
    pub(super) fn lost(&self) -> u32 {
        let last = self.sent;
        let answered = self.replies.iter().filter(|reply| reply.sequence < last).count();
        last.saturating_sub(1).saturating_sub(u32::try_from(answered).unwrap_or(u32::MAX))
    }

    /// The share of requests without a reply, in percent.
    pub(super) fn lost_percent(&self) -> f64 {
        100.0 * f64::from(self.lost()) / f64::from(self.sent.saturating_sub(1).max(1))
    }

    /// The longest time without a reply between two moments, in milliseconds: infinite if there was none at all.
    pub(super) fn gap_ms(&self, from_s: f64, to_s: f64) -> f64 {
        let inside =
            self.replies.iter().map(|reply| reply.arrived_s).filter(|at| (from_s..=to_s).contains(at));
        let times: Vec<f64> = inside.collect();
        if times.is_empty() {
            return f64::INFINITY;
        }
        times.windows(2).map(|pair| (pair[1] - pair[0]) * 1000.0).fold(0.0, f64::max)
    }

    /// From a moment until the reply to a request that was sent after it, in milliseconds; infinite without one.
    pub(super) fn first_after_ms(&self, moment_s: f64) -> f64 {
        let sent_after = |reply: &&Reply| reply.arrived_s - reply.rtt_ms / 1000.0 >= moment_s;
        self.replies
            .iter()
            .find(sent_after)
            .map_or(f64::INFINITY, |reply| (reply.arrived_s - moment_s) * 1000.0)
    }

    /// The median round trip of replies that arrived between two moments, in milliseconds.
    pub(super) fn rtt_ms(&self, from_s: f64, to_s: f64) -> f64 {
        let inside = self.replies.iter().filter(|reply| (from_s..=to_s).contains(&reply.arrived_s));
        percentile(inside.map(|reply| reply.rtt_ms).collect(), 50)
    }
}

/// The wall clock, in seconds.
pub(super) fn now_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// The smallest value that at least `percent` of all are not above; not a number without values.
pub(super) fn percentile(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() * percent).div_ceil(100).max(1);
    values.get(rank - 1).copied().unwrap_or(f64::NAN)
}

/// A line such as `[1700000000.123456] 64 bytes from 100.100.0.2: icmp_seq=7 ttl=64 time=1.23 ms`.
fn reply(line: &str) -> Option<Reply> {
    let (time, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let field = |name: &str| rest.split(' ').find_map(|word| word.strip_prefix(name));
    if !rest.contains(" bytes from ") || rest.ends_with("(DUP!)") {
        return None;
    }
    Some(Reply {
        sequence: field("icmp_seq=")?.parse().ok()?,
        arrived_s: time.parse().ok()?,
        rtt_ms: field("time=")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Row, percentile};

    const TEXT: &str = "PING 100.100.0.2 (100.100.0.2) 56(84) bytes of data.\n\
        [100.010000] 64 bytes from 100.100.0.2: icmp_seq=1 ttl=64 time=10.0 ms\n\
        [100.110000] 64 bytes from 100.100.0.2: icmp_seq=2 ttl=64 time=10.0 ms\n\
        [100.500000] From 192.168.1.1 icmp_seq=3 Destination Host Unreachable\n\
        [101.110000] 64 bytes from 100.100.0.2: icmp_seq=5 ttl=64 time=710 ms\n\
        [101.115000] 64 bytes from 100.100.0.2: icmp_seq=11 ttl=64 time=15.0 ms\n\n\
        --- 100.100.0.2 ping statistics ---\n12 packets transmitted, 4 received, 66% packet loss, time 1100ms\n";

    #[test]
    fn losses_gaps_and_first_replies_are_read_from_a_row() {
        let row = Row::read(TEXT).unwrap();
        assert_eq!((row.sent, row.lost()), (12, 7));
        assert!((row.gap_ms(100.0, 102.0) - 1000.0).abs() < 0.01);
        assert!(
            (row.first_after_ms(100.6) - 515.0).abs() < 0.01,
            "a late reply to an earlier request is none"
        );
        assert!((row.rtt_ms(100.0, 101.0) - 10.0).abs() < 0.01);
    }

    #[test]
    fn a_row_without_replies_is_silent_for_ever() {
        let row = Row::read("3 packets transmitted, 0 received, 100% packet loss, time 2ms\n").unwrap();
        assert!(row.gap_ms(0.0, 9.0).is_infinite() && row.first_after_ms(0.0).is_infinite());
        assert!(row.rtt_ms(0.0, 9.0).is_nan());
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!([50, 95, 100].map(|percent| percentile(values.clone(), percent)), [10.0, 19.0, 20.0]);
        assert!((percentile(vec![3.0, 1.0, 2.0], 95) - 3.0).abs() < f64::EPSILON);
    }
}
