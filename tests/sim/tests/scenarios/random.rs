//! Worlds that nobody thought of: boxes, hosts and faults drawn from a seed, judged by safety and oracle alone.
//!
//! `SIM_SEED=n` replays one seed with its transcript; `SIM_SECONDS=n` searches longer than the usual 20 s, from a seed
//! that the clock gives.

use std::time::Instant;

use sim::Rng;

use crate::*;

/// Longer than the longest pause between two rounds of probes, with its jitter.
const SETTLE: Duration = seconds(400);

/// How often each flow sends while things break, and while they settle.
const TRAFFIC: Duration = millis(500);
const SETTLE_TRAFFIC: Duration = seconds(5);

/// The worlds that are played however slow the machine is.
const WORLDS_MIN: u64 = 10;

/// One of these.
#[expect(clippy::unwrap_used, reason = "there is always something to choose from")]
fn one_of<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    *rng.choose(choices).unwrap()
}

/// What may be drawn: each box filters at least as strictly as it maps.
fn behaviour(rng: &mut Rng) -> NatBehaviour {
    use Dependence::{AddressAndPortDependent, AddressDependent, EndpointIndependent};
    let (mapping, filtering) = one_of(
        rng,
        &[
            (EndpointIndependent, EndpointIndependent),
            (EndpointIndependent, AddressDependent),
            (EndpointIndependent, AddressAndPortDependent),
            (EndpointIndependent, AddressAndPortDependent),
            (AddressDependent, AddressDependent),
            (AddressDependent, AddressAndPortDependent),
            (AddressAndPortDependent, AddressAndPortDependent),
            (AddressAndPortDependent, AddressAndPortDependent),
        ],
    );
    let allocation = if mapping == EndpointIndependent {
        one_of(rng, &[PortAllocation::Preserving, PortAllocation::NEXT, PortAllocation::Random])
    } else {
        // A preserved port would be a guess that sometimes comes true.
        one_of(rng, &[PortAllocation::NEXT, PortAllocation::Random])
    };
    NatBehaviour {
        allocation,
        hairpinning: one_of(rng, &[Hairpinning::None, Hairpinning::Filtered]),
        ..NatBehaviour::new(mapping, filtering)
            .with_timeout_ms(one_of(rng, &[20_000, 30_000, 60_000, 120_000, 300_000]))
    }
}

struct Draw {
    world: World,
    rng: Rng,
    homes: Vec<Segment>,
}

impl Draw {
    fn new(seed: u64, with_text: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed);
        let relays = 1 + u8::from(rng.chance(300_000));
        let mut world = World::with_relays(seed, relays);
        if with_text {
            world = world.with_transcript();
        }
        world.set_traffic_interval(TRAFFIC);
        world.set_ports(one_of(&mut rng, &[2, 20_000]));
        let carrier = world.network_with(INTERNET, behaviour(&mut rng), Addresses::Carrier(1));
        let mut homes = Vec::new();
        for _ in 0..1 + rng.below(4) {
            let outer = if rng.chance(300_000) { carrier } else { INTERNET };
            let home = if outer == INTERNET && rng.chance(200_000) {
                world.network_behind(outer, NatBehaviour::firewall())
            } else {
                let range = Addresses::Home(u8::from(rng.chance(500_000)));
                world.network_with(outer, behaviour(&mut rng), range)
            };
            homes.push(home);
        }
        let mut places = homes.clone();
        places.extend([INTERNET, carrier]);
        for _ in 0..2 + rng.below(3) {
            let node = world.node_stopped(one_of(&mut rng, &places));
            if rng.chance(200_000) {
                world.add_ipv6(node, rng.chance(700_000));
            }
        }
        Self { world, rng, homes }
    }

    fn run(&mut self) {
        self.world.set_loss(one_of(&mut self.rng, &[0, 0, 20_000, 100_000]));
        let nodes: Vec<NodeId> = self.world.nodes().collect();
        for node in &nodes {
            self.world.start(*node);
            let pause = millis(self.rng.below(3_000));
            self.world.run_for(pause);
        }
        self.world.connect_all();
        self.world.run_for(seconds(20));
        for _ in 0..self.rng.below(5) {
            self.fault(&nodes);
            let pause = millis(self.rng.below(60_000));
            self.world.run_for(pause);
        }
        self.world.heal();
        self.world.start_coordinator();
        for relay in self.world.relays() {
            self.world.set_relay_up(relay, true);
        }
        self.world.set_loss(0);
        self.world.set_traffic_interval(SETTLE_TRAFFIC);
        self.world.run_for(SETTLE);
        self.world.set_traffic_interval(TRAFFIC);
        self.world.run_for(SETTLE_TRAFFIC);
    }

    fn fault(&mut self, nodes: &[NodeId]) {
        let (rng, world) = (&mut self.rng, &mut self.world);
        let node = one_of(rng, nodes);
        match rng.below(8) {
            0 => world.restart(node),
            1 => world.reboot_nat(one_of(rng, &self.homes)),
            2 => world.restart_relay(one_of(rng, &world.relays())),
            3 => world.stop_coordinator(),
            4 => world.start_coordinator(),
            5 => world.move_to(node, one_of(rng, &self.homes)),
            6 => world.partition(node, one_of(rng, nodes)),
            _ => world.set_relay_up(one_of(rng, &world.relays()), false),
        }
    }

    fn judge(&mut self, seed: u64) {
        self.world.mark();
        self.world.run_for(seconds(10));
        for (a, b) in self.world.pairs() {
            let world = &self.world;
            let told = || format!("{a:?} and {b:?}; replay with SIM_SEED={seed}\n{}", world.transcript());
            assert_eq!(world.is_direct(a, b), world.can_be_direct(a, b), "{}", told());
            assert!(world.is_direct(a, b) || world.is_relayed(a, b), "{}", told());
            assert!(world.is_alive(a, b), "silent: {}", told());
        }
    }
}

fn play(seed: u64, with_text: bool) -> Draw {
    let mut draw = Draw::new(seed, with_text);
    draw.run();
    draw.judge(seed);
    draw
}

#[test]
fn in_random_worlds_nothing_unsafe_happens_and_every_pair_ends_as_the_oracle_says() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("SIM_SEED") {
        println!("{}", play(seed, true).world.transcript());
        return;
    }
    let (first, limit) = match number("SIM_SECONDS") {
        Some(limit) => (std::time::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs() << 16, limit),
        None => (0, 20),
    };
    let start = Instant::now();
    let (mut seed, mut simulated, mut peaks) = (first, Duration::ZERO, sim::Peaks::default());
    while seed - first < WORLDS_MIN || start.elapsed() < seconds(limit) {
        println!("SIM_SEED={seed}");
        let draw = play(seed, false);
        simulated += draw.world.pair_time();
        peaks.outputs = peaks.outputs.max(draw.world.peaks().outputs);
        peaks.probes = peaks.probes.max(draw.world.peaks().probes);
        seed += 1;
    }
    let (worlds, took) = (seed - first, start.elapsed().as_secs_f64());
    let rate = simulated.as_secs_f64() / 60.0 / took;
    println!("{worlds} worlds in {took:.1} s, {rate:.0} pair-minutes a second, {peaks:?}");
}

/// Seeds that found a fault: an old answer believed when the path in use fell silent; the same after a move that took
/// IPv6 away.
const ONCE_BROKEN: [u64; 2] = [117_665_052_753_925, 117_665_053_016_196];

#[test]
fn worlds_that_once_broke_the_engine_are_sound() {
    for seed in ONCE_BROKEN {
        play(seed, false);
    }
}

#[test]
fn the_same_seed_gives_the_same_run_and_another_seed_another() {
    let hash = |seed| play(seed, false).world.transcript_hash();
    assert_eq!(hash(1), hash(1));
    assert_ne!(hash(1), hash(2));
}
