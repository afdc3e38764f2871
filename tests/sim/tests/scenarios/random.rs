//! Worlds that nobody thought of, judged by safety and oracle alone.
//!
//! `SIM_SEED=n` replays one seed with its transcript. `SIM_SEEDS=n` plays n seeds instead of the usual 2,000, half of
//! them in each of the two tests, from `SIM_FROM` on (0 unless told otherwise):
//!
//!     SIM_SEEDS=100000 cargo nextest run -E 'test(half_of_random_worlds)' --no-capture

#![expect(clippy::print_stdout, reason = "seeds and sums are for whoever runs the test")]

use std::ops::Range;

use nix::time::{ClockId, clock_gettime};
use sim::{Outlook, Peaks};

use crate::draw::Draw;
use crate::*;

/// How many worlds the two tests play together. A world costs some 50 ms on a busy machine, so each of the two tests takes
/// a minute of one core.
const WORLDS: u64 = 2_000;

/// The two sides of a pair may go different ways for so long: a path that opens is known to one of them a round trip before the
/// other, which is at most 200 ms here, and a probe on the way may be lost.
const AGREEMENT: Duration = seconds(1);

/// What a run over many worlds adds up.
#[derive(Debug, Default)]
struct Sum {
    worlds: u64,
    pair_minutes: f64,
    pairs: u64,
    /// Pairs that only a guess makes direct: those with a technique for it, and the others.
    planned: Guesses,
    unplanned: Guesses,
    peaks: Peaks,
}

/// Pairs that only a guess makes direct.
#[derive(Debug, Default)]
struct Guesses {
    pairs: u64,
    direct: u64,
    /// How many of them their plans promise to be direct, in millionths.
    promised_ppm: u64,
}

impl Guesses {
    fn add(&mut self, chance_ppm: u32, is_direct: bool) {
        self.pairs += 1;
        self.direct += u64::from(is_direct);
        self.promised_ppm += u64::from(chance_ppm);
    }
}

/// Names the seed where a test fails for whatever reason.
struct Announced(u64);

impl Drop for Announced {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("replay with SIM_SEED={}", self.0);
        }
    }
}

impl Sum {
    fn play(&mut self, seed: u64, with_text: bool) -> World {
        let _announced = Announced(seed);
        let mut draw = Draw::new(seed, with_text);
        draw.run();
        self.judge(&mut draw);
        self.worlds += 1;
        self.pair_minutes += draw.world.pair_time().as_secs_f64() / 60.0;
        self.peaks.outputs = self.peaks.outputs.max(draw.world.peaks().outputs);
        self.peaks.probes = self.peaks.probes.max(draw.world.peaks().probes);
        self.peaks.guesses = self.peaks.guesses.max(draw.world.peaks().guesses);
        draw.world
    }

    fn judge(&mut self, draw: &mut Draw) {
        let has_side_sockets = draw.has_side_sockets;
        let world = &mut draw.world;
        world.mark();
        world.run_for(seconds(10));
        for (a, b) in world.pairs() {
            // An attempt may succeed at this very moment, and the two sides learn of it one after the other.
            world.run_until_done(AGREEMENT, |world| world.is_direct(a, b) || world.is_relayed(a, b));
            let outlook = world.outlook(a, b);
            let told = || format!("{a:?} and {b:?}, by the boxes {outlook:?}\n{}", world.transcript());
            assert!(
                world.is_direct(a, b) || world.is_relayed(a, b),
                "neither direct nor relayed: {}",
                told()
            );
            assert!(world.is_alive(a, b), "silent: {}", told());
            match outlook {
                Outlook::Direct => assert!(world.is_direct(a, b), "not direct: {}", told()),
                Outlook::Relayed => assert!(world.is_relayed(a, b), "not relayed: {}", told()),
                Outlook::Guess => {
                    let plan = world.plan(a, b).filter(|_| has_side_sockets);
                    let is_fooled = world.is_lied_to(a) || world.is_lied_to(b);
                    match plan.and_then(|plan| plan.techniques.first().copied()) {
                        None => self.unplanned.add(0, world.is_direct(a, b)),
                        Some(planned) if !is_fooled => {
                            self.planned.add(planned.chance_ppm, world.is_direct(a, b))
                        }
                        // What a plan promises rests on what is known.
                        Some(_) => {}
                    }
                }
            }
            self.pairs += 1;
        }
    }

    fn play_all(seeds: Range<u64>) {
        let mut sum = Self::default();
        for seed in seeds {
            sum.play(seed, false);
        }
        let cpu = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from).unwrap_or_default();
        let (cpu, minutes) = (cpu.as_secs_f64(), sum.pair_minutes);
        println!("{minutes:.0} pair-minutes in {cpu:.1} CPU seconds, {:.0} each\n{sum:?}", minutes / cpu);
        // A counter whose step is set anew comes back to old ports, and so does a block.
        let unplanned = &sum.unplanned;
        assert!(unplanned.direct * 10 <= unplanned.pairs + 10, "guesses come true too often: {sum:?}");
        // Some still wait for their turn: a node makes one attempt at a time, and the pauses after failed ones grow.
        let kept = (sum.planned.direct + 5) * 1_000_000 + sum.planned.pairs * 30_000;
        assert!(kept >= sum.planned.promised_ppm, "the plans promise too much: {sum:?}");
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// One half of the seeds.
fn play_half(half: u64) {
    if let Some(seed) = number("SIM_SEED") {
        println!("{}", Sum::default().play(seed, true).transcript());
        return;
    }
    let (from, count) = (number("SIM_FROM").unwrap_or(0), number("SIM_SEEDS").unwrap_or(WORLDS).div_ceil(2));
    Sum::play_all(from + half * count..from + (half + 1) * count);
}

#[test]
fn in_the_first_half_of_random_worlds_nothing_unsafe_happens_and_every_pair_ends_as_the_oracle_says() {
    play_half(0);
}

#[test]
fn in_the_second_half_of_random_worlds_nothing_unsafe_happens_and_every_pair_ends_as_the_oracle_says() {
    play_half(1);
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let hash = |seed| Sum::default().play(seed, false).transcript_hash();
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}
