//! What a link to the internet does to packets beside delaying them, in the words of Linux's netem: loss, bursts of
//! loss, duplication, reordering.

use std::time::Duration;

use endpoint_selection::simulation::Rng;

/// How much longer a reordered packet takes at most: some later ones overtake it.
const REORDERING_MAX: Duration = Duration::from_millis(60);

/// How much later the copy of a packet comes at most.
const COPY_DELAY_MAX: Duration = Duration::from_millis(20);

/// What each crossing of a link to the internet suffers; all in a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Impairments {
    /// Packets that are lost, each by itself.
    pub loss_ppm: u32,
    /// Packets at which a burst begins on their link, in which everything is lost: the Gilbert-Elliott model of two
    /// states (Gilbert 1960), with no loss in the good one beside `loss_ppm` and nothing but loss in the bad one.
    pub burst_begin_ppm: u32,
    /// Packets of a burst at which it ends.
    pub burst_end_ppm: u32,
    /// Packets that arrive twice.
    pub duplicate_ppm: u32,
    /// Packets that later ones may overtake.
    pub reorder_ppm: u32,
    /// Longer IP packets, in bytes, are fragmented, or lost without a word where nobody may; `None`: all lengths pass.
    pub mtu: Option<u16>,
    /// Whether fragments are lost, too.
    pub loses_fragments: bool,
}

/// What becomes of one packet: the extra delay of each copy that arrives.
pub(crate) type Copies = [Option<Duration>; 2];

impl Impairments {
    /// Loses this many packets in a million, and nothing else.
    #[must_use]
    pub const fn loss(loss_ppm: u32) -> Self {
        Self { loss_ppm, ..Self::NONE }
    }

    /// Carries no longer IP packets than this, in bytes; shorter fragments of them it does.
    #[must_use]
    pub const fn narrow(mtu: u16) -> Self {
        Self { mtu: Some(mtu), ..Self::NONE }
    }

    const NONE: Self = Self {
        loss_ppm: 0,
        burst_begin_ppm: 0,
        burst_end_ppm: 0,
        duplicate_ppm: 0,
        reorder_ppm: 0,
        mtu: None,
        loses_fragments: false,
    };

    /// Whether an IP packet of so many bytes is short enough; `is_whole`: nobody may fragment it.
    pub(crate) fn is_short_enough(&self, len: usize, is_whole: bool) -> bool {
        self.mtu.is_none_or(|mtu| len <= usize::from(mtu)) || !(is_whole || self.loses_fragments)
    }

    /// A packet crosses a link that is `in_burst` or not.
    pub(crate) fn cross(&self, in_burst: &mut bool, rng: &mut Rng) -> Copies {
        let turns = if *in_burst { self.burst_end_ppm } else { self.burst_begin_ppm };
        *in_burst ^= rng.chance(turns);
        // A burst that began under other impairments ends with them.
        *in_burst &= self.burst_begin_ppm > 0;
        if *in_burst || rng.chance(self.loss_ppm) {
            return [None, None];
        }
        let late = rng.chance(self.reorder_ppm);
        let delay = if late { rng.duration_below(REORDERING_MAX) } else { Duration::ZERO };
        let copy = rng.chance(self.duplicate_ppm).then(|| delay + rng.duration_below(COPY_DELAY_MAX));
        [Some(delay), copy]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKETS: usize = 100_000;

    /// How many copies of each packet arrive.
    fn arrivals(impairments: Impairments) -> Vec<usize> {
        let (mut in_burst, mut rng) = (false, Rng::new(1));
        let copies = (0..PACKETS).map(|_| impairments.cross(&mut in_burst, &mut rng));
        copies.map(|copies| copies.iter().flatten().count()).collect()
    }

    #[test]
    fn a_tenth_is_lost_where_a_tenth_shall_be() {
        let lost = arrivals(Impairments::loss(100_000)).iter().filter(|copies| **copies == 0).count();
        assert!((9_500..10_500).contains(&lost), "{lost}");
    }

    /// The share of the bad state is p / (p + r), its mean length 1 / r.
    #[test]
    fn bursts_come_as_often_and_last_as_long_as_gilbert_says() {
        let arrived = arrivals(Impairments {
            burst_begin_ppm: 10_000,
            burst_end_ppm: 100_000,
            ..Impairments::default()
        });
        let lost = arrived.iter().filter(|copies| **copies == 0).count();
        let bursts = arrived.windows(2).filter(|pair| pair[0] == 1 && pair[1] == 0).count();
        assert!((8_000..10_200).contains(&lost), "{lost} of 9,091");
        assert!((8..12).contains(&(lost / bursts)), "{lost} in {bursts} bursts");
    }

    #[test]
    fn copies_arrive_as_often_as_told_and_never_before_the_original() {
        let impairments =
            Impairments { duplicate_ppm: 50_000, reorder_ppm: 300_000, ..Impairments::default() };
        let twice = arrivals(impairments).iter().filter(|copies| **copies == 2).count();
        assert!((4_700..5_300).contains(&twice), "{twice}");
        let mut rng = Rng::new(2);
        for _ in 0..PACKETS {
            let [first, copy] = impairments.cross(&mut false, &mut rng);
            assert!(copy.is_none() || copy >= first);
        }
    }

    #[test]
    fn a_link_without_impairments_delivers_each_packet_once_and_at_once() {
        let mut in_burst = true;
        let copies = Impairments::default().cross(&mut in_burst, &mut Rng::new(1));
        assert_eq!(copies, [Some(Duration::ZERO), None]);
        assert!(!in_burst);
    }
}
