//! What a batch sends, put in the order in which it leaves with the fewest system calls.

use std::borrow::Cow;
use std::net::SocketAddr;

/// Linux's UDP_MAX_SEGMENTS before 6.9; later ones take 128.
const SEGMENTS_MAX: usize = 64;

/// What the IP header of one packet can count, less IPv6's header without options (40 bytes) and UDP's (8 bytes).
const BYTES_MAX: usize = 65_535 - 48;

/// A datagram to send.
pub(super) struct Departure<'d> {
    /// Where to, as the socket writes it, so that one destination is one address.
    pub(super) to: SocketAddr,
    pub(super) datagram: Cow<'d, [u8]>,
}

/// Puts what goes to one destination together, in the order that it was given in, and divides it: datagrams of one run go to
/// one destination and have the length of the first, but the last of several, which may be shorter. The kernel sends such
/// a run at once.
pub(super) fn runs<'a, 'd>(departures: &'a mut [Departure<'d>]) -> impl Iterator<Item = &'a [Departure<'d>]> {
    // The sort is stable, and takes one look at each where all go to one destination.
    departures.sort_by_key(|departure| departure.to);
    let mut rest: &[Departure<'_>] = departures;
    std::iter::from_fn(move || {
        let (run, after) = rest.split_at(run_len(rest));
        rest = after;
        (!run.is_empty()).then_some(run)
    })
}

/// How many of these make the first run.
fn run_len(departures: &[Departure<'_>]) -> usize {
    let Some((first, others)) = departures.split_first() else { return 0 };
    let (mut count, mut bytes) = (1, first.datagram.len());
    for next in others {
        let len = next.datagram.len();
        let fits = count < SEGMENTS_MAX && bytes + len <= BYTES_MAX;
        // There is no segment without bytes.
        if next.to != first.to || len > first.datagram.len() || len == 0 || !fits {
            break;
        }
        count += 1;
        bytes += len;
        if len < first.datagram.len() {
            break;
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn departure(to: u16, number: usize, len: usize) -> Departure<'static> {
        let mut datagram = vec![0; len];
        if let Some(first) = datagram.first_mut() {
            *first = u8::try_from(number).unwrap_or(u8::MAX);
        }
        Departure { to: SocketAddr::from(([192, 0, 2, 1], to)), datagram: datagram.into() }
    }

    fn run_lens(departures: &[(u16, usize)]) -> Vec<Vec<usize>> {
        let mut departures: Vec<_> =
            departures.iter().enumerate().map(|(number, &(to, len))| departure(to, number, len)).collect();
        let lens = |run: &[Departure<'_>]| run.iter().map(|departure| departure.datagram.len()).collect();
        runs(&mut departures).map(lens).collect()
    }

    #[test]
    fn two_interleaved_destinations_make_two_runs() {
        let interleaved = [(1, 100), (2, 200), (1, 100), (2, 200), (1, 100)];
        assert_eq!(run_lens(&interleaved), [vec![100; 3], vec![200; 2]]);
    }

    #[test]
    fn a_shorter_datagram_ends_its_run_and_a_longer_one_begins_another() {
        assert_eq!(
            run_lens(&[(1, 100), (1, 100), (1, 60), (1, 60), (1, 61)]),
            [vec![100, 100, 60], vec![60], vec![61]]
        );
    }

    #[test]
    fn an_empty_datagram_leaves_alone() {
        assert_eq!(run_lens(&[(1, 100), (1, 0), (1, 0), (1, 100)]), [vec![100], vec![0], vec![0], vec![100]]);
    }

    #[test]
    fn a_run_is_no_longer_than_the_kernel_takes() {
        let lens = |count, len| run_lens(&vec![(1, len); count]).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lens(150, 10), [64, 64, 22]);
        assert_eq!(lens(60, 1_348), [48, 12]);
        assert_eq!(lens(2, 65_487), [1, 1]);
    }

    proptest! {
        #[test]
        fn runs_keep_every_datagram_and_the_order_of_each_destination(
            given in proptest::collection::vec((0_u16..3, 0_usize..4), 0..200),
        ) {
            let mut departures: Vec<_> =
                given.iter().enumerate().map(|(number, &(to, len))| departure(to, number, len)).collect();
            let of = |wanted: u16, departures: &[&Departure<'_>]| -> Vec<Vec<u8>> {
                let wanted = departures.iter().filter(|departure| departure.to.port() == wanted);
                wanted.map(|departure| departure.datagram.to_vec()).collect()
            };
            let before: Vec<_> = (0..3).map(|to| of(to, &departures.iter().collect::<Vec<_>>())).collect();
            let left: Vec<_> = runs(&mut departures).flatten().collect();
            let after: Vec<_> = (0..3).map(|to| of(to, &left)).collect();
            prop_assert_eq!(after, before);
        }
    }
}
