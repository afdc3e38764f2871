//! A cable in user space: two TAP devices and a thread that adds delay, jitter and loss.
//!
//! The kernels this lab must run on often lack `netem`. Packets keep their order, as on a real line.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags};
use nix::sys::time::TimeSpec;

use crate::error::{LabError, Trying};
use crate::namespace::run;
use crate::topology::WireSettings;

/// Largest Ethernet frame with an MTU of 1500, and some room for a VLAN tag.
const FRAME_MAX: usize = 1522;
/// Frames under way in one direction; a longer queue drops what arrives, as a router would.
const UNDER_WAY_MAX: usize = 20_000;
/// How long the thread waits at most before it looks whether it should end.
const LOOK_AROUND: Duration = Duration::from_millis(100);
/// Numbers for the names of TAP devices, which are unique until they move to their namespaces.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A running cable; dropping it unplugs both ends.
#[derive(Debug)]
pub struct Wire {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Wire {
    /// Makes an interface in each of two namespaces and connects them. Ends are namespace and interface name.
    ///
    /// # Errors
    /// When a device cannot be made or moved.
    pub fn between(ends: &[(String, String); 2], settings: WireSettings) -> Result<Self, LabError> {
        if !(0.0..=100.0).contains(&settings.loss_percent) {
            return Err(LabError::Description("the loss of a wire is a percentage from 0 to 100".to_owned()));
        }
        let taps = [plug(&ends[0])?, plug(&ends[1])?];
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || carry(&taps, settings, &seen));
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One direction: what is under way and when each frame is due.
struct Direction {
    under_way: VecDeque<(Instant, Vec<u8>)>,
    last_due: Instant,
    random: Random,
}

impl Direction {
    fn new(seed: u64, now: Instant) -> Self {
        Self { under_way: VecDeque::new(), last_due: now, random: Random(seed) }
    }

    fn accept(&mut self, now: Instant, frame: &[u8], settings: WireSettings) {
        let lost = self.random.fraction() * 100.0 < settings.loss_percent;
        let jitter = Duration::from_millis(settings.jitter_ms.into()).mul_f64(self.random.fraction());
        if lost || self.under_way.len() >= UNDER_WAY_MAX {
            return;
        }
        let due = (now + Duration::from_millis(settings.delay_ms.into()) + jitter).max(self.last_due);
        self.last_due = due;
        self.under_way.push_back((due, frame.to_vec()));
    }

    fn next_due(&mut self, now: Instant) -> Option<Vec<u8>> {
        match self.under_way.front() {
            Some((due, _)) if *due <= now => self.under_way.pop_front().map(|(_, frame)| frame),
            _ => None,
        }
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014): small, seeded, and good enough for dice.
struct Random(u64);

impl Random {
    /// A number from 0 (included) to 1 (excluded).
    fn fraction(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        f64::from(u32::try_from(mixed >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
    }
}

fn carry(taps: &[File; 2], settings: WireSettings, stop: &AtomicBool) {
    hurry();
    let now = Instant::now();
    let mut directions = [Direction::new(settings.seed, now), Direction::new(!settings.seed, now)];
    let mut frame = [0_u8; FRAME_MAX];
    while !stop.load(Ordering::SeqCst) {
        let now = Instant::now();
        for (index, direction) in directions.iter_mut().enumerate() {
            while let Some(frame) = direction.next_due(now) {
                // A full or absent far end loses the frame, as a cable would.
                let _ = (&taps[1 - index]).write(&frame);
            }
        }
        let wait = directions
            .iter()
            .filter_map(|direction| direction.under_way.front())
            .map(|(due, _)| due.saturating_duration_since(now))
            .fold(LOOK_AROUND, Duration::min);
        let mut polled = taps.each_ref().map(|tap| PollFd::new(tap.as_fd(), PollFlags::POLLIN));
        if nix::poll::ppoll(&mut polled, Some(TimeSpec::from_duration(wait)), None).is_err() {
            continue;
        }
        let now = Instant::now();
        for (index, direction) in directions.iter_mut().enumerate() {
            loop {
                match (&taps[index]).read(&mut frame) {
                    Ok(length) => direction.accept(now, &frame[..length], settings),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
        }
    }
}

/// Asks for real-time scheduling, so that a busy machine does not add delay of its own. Without the right to it the
/// wire works all the same, only less evenly.
fn hurry() {
    let parameter = libc::sched_param { sched_priority: 20 };
    // SAFETY: the pointer is to a live value of the right type; 0 means the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameter) };
}

/// Makes a TAP device and moves it to its namespace under its final name.
fn plug((namespace, interface): &(String, String)) -> Result<File, LabError> {
    let name = format!("wire{}", NEXT.fetch_add(1, Ordering::SeqCst));
    let tap = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")
        .trying("open /dev/net/tun")?;
    // SAFETY: all-zero bytes are a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *slot = byte.cast_signed();
    }
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_TAP | libc::IFF_NO_PI).unwrap_or(0);
    // SAFETY: the descriptor is open and the pointer is to a live `ifreq`, which is what TUNSETIFF takes.
    if unsafe { libc::ioctl(tap.as_raw_fd(), libc::TUNSETIFF, &raw const request) } != 0 {
        return Err(LabError::System {
            action: format!("make {name}"),
            source: std::io::Error::last_os_error(),
        });
    }
    run(Command::new("ip").args(["link", "set", &name, "netns", namespace, "name", interface]))?;
    Ok(tap)
}

#[cfg(test)]
mod tests {
    use super::{Direction, Random};
    use crate::topology::WireSettings;
    use std::time::{Duration, Instant};

    #[test]
    fn frames_keep_their_order_whatever_the_jitter() {
        let start = Instant::now();
        let mut direction = Direction::new(7, start);
        let settings = WireSettings { delay_ms: 10, jitter_ms: 50, ..WireSettings::default() };
        for index in 0..100_u8 {
            direction.accept(start + Duration::from_millis(index.into()), &[index], settings);
        }
        let late = start + Duration::from_secs(1);
        let order: Vec<u8> = std::iter::from_fn(|| direction.next_due(late)).map(|frame| frame[0]).collect();
        assert_eq!(order, (0..100).collect::<Vec<u8>>());
    }

    #[test]
    fn nothing_arrives_before_its_delay() {
        let start = Instant::now();
        let mut direction = Direction::new(7, start);
        direction.accept(start, &[1], WireSettings { delay_ms: 20, ..WireSettings::default() });
        assert_eq!(direction.next_due(start + Duration::from_millis(19)), None);
        assert_eq!(direction.next_due(start + Duration::from_millis(20)), Some(vec![1]));
    }

    #[test]
    fn a_seed_gives_the_same_losses_every_time_and_about_the_share_asked_for() {
        let losses = |seed| {
            let mut random = Random(seed);
            (0..10_000).map(|_| random.fraction() < 0.1).collect::<Vec<_>>()
        };
        assert_eq!(losses(3), losses(3));
        let share = losses(3).iter().filter(|lost| **lost).count();
        assert!((900..1100).contains(&share), "{share} of 10000");
    }
}
