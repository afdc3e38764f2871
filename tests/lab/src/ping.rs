//! Real ICMP echo by the system's `ping`, and what it measured.

use std::net::IpAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::error::{LabError, Trying};
use crate::namespace::Namespace;

/// What `ping` counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pinged {
    /// Echo requests sent.
    pub sent: u32,
    /// Echo replies received.
    pub received: u32,
    /// Mean round trip; zero without replies.
    pub rtt_ms: f64,
}

/// Sends `count` echo requests, one each `interval`, from inside a namespace.
///
/// # Errors
/// When `ping` cannot be run or says nothing that can be read.
pub fn ping(from: &Namespace, to: IpAddr, count: u32, interval: Duration) -> Result<Pinged, LabError> {
    let mut command = from.command("ping");
    command.args([
        "-n",
        "-q",
        "-W",
        "1",
        "-c",
        &count.to_string(),
        "-i",
        &format!("{:.3}", interval.as_secs_f64()),
    ]);
    let output = command.arg(to.to_string()).stdin(Stdio::null()).output().trying("run ping")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    parse(&text).ok_or_else(|| LabError::Command {
        command: format!("ping {to} in {}", from.name()),
        output: format!("{text}{}", String::from_utf8_lossy(&output.stderr)).trim().to_owned(),
    })
}

/// Pings until the first reply; gives how long that took since `start`.
///
/// # Errors
/// [`LabError::Unmet`] when nothing is answered before the deadline.
pub fn first_reply(
    from: &Namespace,
    to: IpAddr,
    start: Instant,
    deadline: Duration,
) -> Result<Duration, LabError> {
    while start.elapsed() < deadline {
        // With `-w`, `-c 1` means one reply: a request each 20 ms until the first reply, however late that is. An error
        // from the network (no route yet) may end `ping` early, so it is started again.
        let left = deadline.saturating_sub(start.elapsed()).as_secs().max(1).to_string();
        let mut command = from.command("ping");
        command.args(["-n", "-q", "-c", "1", "-i", "0.02", "-w", &left, &to.to_string()]);
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if status.trying("run ping")?.success() {
            return Ok(start.elapsed());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(LabError::Unmet(format!("{} got no reply from {to} within {} ms", from.name(), deadline.as_millis())))
}

fn parse(text: &str) -> Option<Pinged> {
    let counts = text.lines().find(|line| line.contains("packets transmitted"))?;
    let mut numbers = counts.split(", ").filter_map(|part| part.split(' ').next()?.parse::<u32>().ok());
    let (sent, received) = (numbers.next()?, numbers.next()?);
    let mean = text
        .lines()
        .find_map(|line| line.strip_prefix("rtt min/avg/max/mdev = ")?.split('/').nth(1)?.parse().ok());
    Some(Pinged { sent, received, rtt_ms: mean.unwrap_or(0.0) })
}

#[cfg(test)]
mod tests {
    use super::{Pinged, parse};

    #[test]
    fn the_summary_of_ping_is_read() {
        let text = "--- 192.0.2.9 ping statistics ---\n50 packets transmitted, 40 received, 20% packet loss, time 980ms\n\
                    rtt min/avg/max/mdev = 40.010/40.120/40.900/0.100 ms\n";
        assert_eq!(parse(text), Some(Pinged { sent: 50, received: 40, rtt_ms: 40.12 }));
    }

    #[test]
    fn silence_is_told_as_no_replies_and_errors_as_nothing() {
        let text = "3 packets transmitted, 0 received, +3 errors, 100% packet loss, time 2ms\n";
        assert_eq!(parse(text), Some(Pinged { sent: 3, received: 0, rtt_ms: 0.0 }));
        assert_eq!(parse("ping: connect: Network is unreachable\n"), None);
    }
}
