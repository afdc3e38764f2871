//! A world that nobody thought of: boxes, hosts and faults drawn from a seed.

use std::num::{NonZeroI16, NonZeroU16};

use sim::{RelayId, Rng, SleepClock};

use crate::*;

/// Longer than the longest pause between two rounds of probes, with its jitter.
const SETTLE: Duration = seconds(400);

/// How often each flow sends while things break, and while they settle.
const TRAFFIC: Duration = seconds(1);
const SETTLE_TRAFFIC: Duration = seconds(5);

/// In how many worlds of a million machines give side sockets. An attempt costs as much as an hour of a pair at rest.
const SIDE_SOCKETS_PPM: u32 = 250_000;

/// A day, in milliseconds.
const DAY_MS: i64 = 24 * 3600 * 1000;

/// One of these.
#[expect(clippy::unwrap_used, reason = "there is always something to choose from")]
fn one_of<T: Copy>(rng: &mut Rng, choices: &[T]) -> T {
    *rng.choose(choices).unwrap()
}

/// What may be drawn. Each box filters at least as strictly as it maps, as real ones do, and only one that maps
/// everything alike turns packets round without looking at its filter. With two boxes that do otherwise, each packet
/// makes a new mapping, whose packets make new mappings on the other side: an engine that answers everybody then
/// answers for ever.
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
    let is_known = mapping == EndpointIndependent;
    let timeout_ms = one_of(rng, &[20_000, 30_000, 60_000, 120_000, 300_000]);
    NatBehaviour {
        allocation: allocation(rng, is_known),
        filter_timeout_ms: one_of(rng, &[20_000, timeout_ms, timeout_ms]),
        inbound_refresh: rng.chance(300_000),
        hairpinning: if is_known {
            one_of(rng, &[Hairpinning::None, Hairpinning::Filtered, Hairpinning::Open])
        } else {
            one_of(rng, &[Hairpinning::None, Hairpinning::Filtered])
        },
        mappings_max: one_of(rng, &[None, None, Some(2_000)]),
        ..NatBehaviour::new(mapping, filtering).with_timeout_ms(timeout_ms)
    }
}

/// How ports are chosen: where one mapping serves all, by any rule; else only by those that hardly ever come back to
/// a port that somebody may still remember.
fn allocation(rng: &mut Rng, is_known: bool) -> PortAllocation {
    let sequential =
        NonZeroI16::new(one_of(rng, &[1, 1, 2, -1])).map(|step| PortAllocation::Sequential { step });
    let counted = sequential.unwrap_or(PortAllocation::NEXT);
    let block = NonZeroU16::new(one_of(rng, &[64, 512])).map(|size| PortAllocation::PortBlock { size });
    let blocks = block.unwrap_or(PortAllocation::Random);
    if is_known {
        one_of(
            rng,
            &[
                PortAllocation::Preserving,
                PortAllocation::Preserving,
                counted,
                blocks,
                PortAllocation::Random,
            ],
        )
    } else {
        one_of(rng, &[counted, PortAllocation::Random])
    }
}

/// What links may suffer.
fn impairments(rng: &mut Rng) -> Impairments {
    Impairments {
        loss_ppm: one_of(rng, &[0, 0, 20_000, 100_000]),
        burst_begin_ppm: one_of(rng, &[0, 0, 5_000, 20_000]),
        burst_end_ppm: one_of(rng, &[100_000, 300_000]),
        duplicate_ppm: one_of(rng, &[0, 0, 50_000]),
        reorder_ppm: one_of(rng, &[0, 0, 100_000]),
        ..Impairments::default()
    }
}

/// A world and what there is to break in it.
pub(crate) struct Draw {
    pub(crate) world: World,
    rng: Rng,
    homes: Vec<Segment>,
    boxes: Vec<Segment>,
    nodes: Vec<NodeId>,
    flooded: Vec<Segment>,
    /// Whether the machines give side sockets, without which nothing but plain opening is tried.
    pub(crate) has_side_sockets: bool,
}

impl Draw {
    /// The world of `seed` before anything starts.
    pub(crate) fn new(seed: u64, with_text: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed);
        let relays = 1 + u8::from(rng.chance(300_000));
        let mut world = World::with_relays(seed, relays);
        if with_text {
            world = world.with_transcript();
        }
        world.set_traffic_interval(TRAFFIC);
        world.set_ports(one_of(&mut rng, &[2, 20_000]));
        let carrier = world.network_with(INTERNET, behaviour(&mut rng), Addresses::Carrier(1));
        if rng.chance(200_000) {
            world.add_stun_server(carrier);
        }
        let mut homes = Vec::new();
        for _ in 0..1 + rng.below(4) {
            let outer = if rng.chance(300_000) { carrier } else { INTERNET };
            let home = if outer == INTERNET && rng.chance(200_000) {
                world.network_behind(outer, NatBehaviour::firewall())
            } else {
                let range = Addresses::Home(u8::from(rng.chance(500_000)));
                world.network_with(outer, behaviour(&mut rng), range)
            };
            if rng.chance(150_000) {
                world.exempt_stun(home);
            }
            homes.push(home);
        }
        let mut places = homes.clone();
        places.extend([INTERNET, carrier]);
        for _ in 0..2 + rng.below(4) {
            let node = world.node_stopped(one_of(&mut rng, &places));
            if rng.chance(200_000) {
                world.add_ipv6(node, rng.chance(700_000));
            }
        }
        let has_side_sockets = rng.chance(SIDE_SOCKETS_PPM);
        if has_side_sockets {
            world.nodes().for_each(|node| world.set_side_sockets_max(node, engine::SIDE_SOCKETS_MAX));
        }
        let (boxes, nodes) = ([&homes[..], &[carrier]].concat(), world.nodes().collect());
        Self { world, rng, homes, boxes, nodes, flooded: Vec::new(), has_side_sockets }
    }

    /// Starts the nodes, breaks things, mends them and waits.
    pub(crate) fn run(&mut self) {
        self.world.set_impairments(impairments(&mut self.rng));
        for node in self.nodes.clone() {
            self.world.start(node);
            let pause = millis(self.rng.below(3_000));
            self.world.run_for(pause);
        }
        self.world.connect_all();
        self.world.run_for(seconds(20));
        for _ in 0..self.rng.below(6) {
            self.fault();
            let pause = millis(self.rng.below(60_000));
            self.world.run_for(pause);
        }
        self.mend();
        self.world.set_traffic_interval(SETTLE_TRAFFIC);
        self.world.run_for(SETTLE);
        self.world.set_traffic_interval(TRAFFIC);
        self.world.run_for(SETTLE_TRAFFIC);
    }

    fn fault(&mut self) {
        let (rng, world) = (&mut self.rng, &mut self.world);
        let (node, relays) = (one_of(rng, &self.nodes), world.relays());
        let relay: RelayId = one_of(rng, &relays);
        let (home, any_box) = (one_of(rng, &self.homes), one_of(rng, &self.boxes));
        match rng.below(18) {
            0 => world.restart(node),
            1 => world.reboot_nat(any_box),
            2 => world.flush_nat(any_box),
            3 | 4 => {
                let translates = world.nat_behaviour(any_box).is_some_and(|of_box| of_box.mapping.is_some());
                if translates {
                    world.change_nat(any_box, behaviour(rng));
                }
            }
            5 => {
                world.foreign_flows(any_box, 3_000);
                self.flooded.push(any_box);
            }
            6 => world.restart_relay(relay),
            7 => world.set_relay_up(relay, false),
            8 => world.stop_coordinator(),
            9 => world.start_coordinator(),
            10 => world.move_to(node, home),
            11 => world.partition(node, one_of(rng, &self.nodes)),
            12 => world.set_impairments(impairments(rng)),
            13 | 14 => world.suspend(node, one_of(rng, &[SleepClock::StandsStill, SleepClock::Jumps])),
            15 => world.resume(node),
            16 => world.set_coordinator_clock(one_of(rng, &[-DAY_MS, 0, DAY_MS])),
            _ => world.set_relay_clock(relay, one_of(rng, &[-DAY_MS, 0, DAY_MS])),
        }
    }

    /// Ends what must not last: what is broken for ever says nothing about whether a pair finds its way back.
    fn mend(&mut self) {
        for node in &self.nodes {
            self.world.resume(*node);
        }
        self.world.heal();
        self.world.set_coordinator_clock(0);
        self.world.start_coordinator();
        for relay in self.world.relays() {
            self.world.set_relay_up(relay, true);
            self.world.set_relay_clock(relay, 0);
        }
        for flooded in &self.flooded {
            self.world.flush_nat(*flooded);
        }
        self.world.set_impairments(Impairments::default());
    }
}
