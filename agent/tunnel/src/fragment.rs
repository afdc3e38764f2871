//! An IPv4 packet in pieces, as any router makes them (RFC 791 §3.2).

const HEADER_LEN: usize = 20;

/// The bit that forbids fragments, the one that says that more follow, and the place of a fragment, in units of eight bytes.
const DONT_FRAGMENT: u16 = 0x4000;
const MORE_FRAGMENTS: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;

use crate::checksum;

/// Whether the sender of an IPv4 packet forbids fragments.
pub(crate) fn is_forbidden(packet: &[u8]) -> bool {
    packet.get(6).is_some_and(|flags| u16::from(*flags) << 8 & DONT_FRAGMENT != 0)
}

/// The packet in pieces of up to `mtu` bytes; `None` where it has options, of which some may not be copied, or `mtu` is absurd.
pub(crate) fn split(packet: &[u8], mtu: u16) -> Option<Vec<Vec<u8>>> {
    let (header, data) = packet.split_first_chunk::<HEADER_LEN>()?;
    let room = usize::from(mtu).checked_sub(HEADER_LEN)? & !7;
    if header[0] != 0x45 || room == 0 {
        return None;
    }
    let field = u16::from_be_bytes([header[6], header[7]]);
    let count = data.len().div_ceil(room);
    let piece = |(index, data): (usize, &[u8])| {
        let offset = (field & OFFSET).checked_add(u16::try_from(index * room / 8).ok()?)?;
        let more = if index + 1 < count { MORE_FRAGMENTS } else { field & MORE_FRAGMENTS };
        let mut header = *header;
        header[2..4].copy_from_slice(&u16::try_from(HEADER_LEN + data.len()).ok()?.to_be_bytes());
        header[6..8].copy_from_slice(&(offset.min(OFFSET) | more).to_be_bytes());
        header[10..12].copy_from_slice(&[0, 0]);
        let sum = checksum::finished(checksum::added(0, &header));
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        Some([&header[..], data].concat())
    };
    data.chunks(room).enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(len: usize, field: u16) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 7, 7, 0, 0, 64, 17, 0, 0, 10, 92, 0, 1, 10, 92, 0, 2];
        packet[2..4].copy_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
        packet[6..8].copy_from_slice(&field.to_be_bytes());
        packet.extend((20..len).map(|at| u8::try_from(at % 251).unwrap()));
        packet
    }

    /// Puts pieces together again by their places, as RFC 791 §3.2 has it.
    fn together(pieces: &[Vec<u8>]) -> Vec<u8> {
        let mut data = Vec::new();
        for piece in pieces {
            let at = usize::from(u16::from_be_bytes([piece[6], piece[7]]) & OFFSET) * 8;
            assert_eq!(at, data.len());
            assert_eq!(usize::from(u16::from_be_bytes([piece[2], piece[3]])), piece.len());
            assert_eq!(checksum::finished(checksum::added(0, &piece[..20])), 0);
            data.extend_from_slice(&piece[20..]);
        }
        data
    }

    #[test]
    fn a_fragment_in_pieces_keeps_its_place_and_says_that_more_follow() {
        let pieces = split(&packet(1_420, MORE_FRAGMENTS | 100), 1_280).unwrap();
        let fields: Vec<u16> = pieces.iter().map(|piece| u16::from_be_bytes([piece[6], piece[7]])).collect();
        assert_eq!(fields, [MORE_FRAGMENTS | 100, MORE_FRAGMENTS | (100 + 157)]);
    }

    #[test]
    fn what_has_options_is_left_whole() {
        let mut packet = packet(1_420, 0);
        packet[0] = 0x46;
        assert_eq!(split(&packet, 1_280), None);
    }

    proptest! {
        #[test]
        fn pieces_fit_and_make_the_packet_again(len in 21_usize..1_500, mtu in 28_u16..1_500) {
            let packet = packet(len, 0);
            let pieces = split(&packet, mtu).unwrap();
            prop_assert!(pieces.iter().all(|piece| piece.len() <= usize::from(mtu)));
            prop_assert_eq!(together(&pieces), &packet[20..]);
            let is_last = |piece: &Vec<u8>| piece[6] & 0x20 == 0;
            prop_assert_eq!(pieces.iter().filter(|piece| is_last(piece)).count(), 1);
        }

        #[test]
        fn any_bytes_are_split_or_left_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), mtu: u16) {
            let _ = (split(&bytes, mtu), is_forbidden(&bytes));
        }
    }
}
