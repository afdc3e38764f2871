//! The answer to a packet that is too long for its peer's path: ICMP "fragmentation needed", or ICMPv6 Packet Too Big.

use std::net::{IpAddr, Ipv4Addr};

use crate::checksum;
use crate::inner_packet::InnerPacket;

const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;

/// Type, code, checksum, and a word of which both kinds use the end for the MTU.
const ICMP_HEADER_LEN: usize = 8;

/// The longest answers, so that they pass wherever they go (RFC 1812 §4.3.2.3; RFC 4443 §2.4 c).
const IPV4_ANSWER_MAX: usize = 576;
const IPV6_ANSWER_MAX: usize = 1_280;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// The longest answer of all, bytes.
pub(crate) const ANSWER_MAX: usize = IPV6_ANSWER_MAX;

/// Whether an answer to the packet may be made at all: never to a group, to an ICMP error, or to a later fragment (RFC 1122
/// §3.2.2, RFC 4443 §2.4 e).
pub(crate) fn may_answer(packet: &[u8]) -> bool {
    let Some(InnerPacket { source, destination, .. }) = InnerPacket::parse(packet) else { return false };
    let is_one = |address: IpAddr| match address {
        IpAddr::V4(address) => {
            !(address.is_multicast() || address.is_broadcast() || address.is_unspecified())
        }
        IpAddr::V6(address) => !(address.is_multicast() || address.is_unspecified()),
    };
    let is_error = if source.is_ipv4() {
        let header_len = usize::from(packet[0] & 0xf) * 4;
        let is_later_fragment = packet[6] & 0x1f != 0 || packet[7] != 0;
        is_later_fragment || (packet[9] == ICMP && !matches!(packet.get(header_len), Some(0 | 8 | 13 | 14)))
    } else {
        packet[6] == ICMPV6 && packet.get(IPV6_HEADER_LEN).is_none_or(|kind| *kind < 128)
    };
    is_one(source) && is_one(destination) && !is_error
}

/// The answer that tells the packet's sender the longest length that passes, in bytes. It comes from where the packet went: the
/// kernel takes nothing from its own address, and has a route to that one. `None` for what is no IP packet.
pub(crate) fn answer(packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let inner = InnerPacket::parse(packet)?;
    match (inner.source, inner.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => answer_v4(packet, (destination, source), mtu),
        (IpAddr::V6(_), IpAddr::V6(_)) => answer_v6(packet, mtu),
        _ => None,
    }
}

/// RFC 792, RFC 1191 §4: type 3, code 4.
fn answer_v4(packet: &[u8], (from, to): (Ipv4Addr, Ipv4Addr), mtu: u16) -> Option<Vec<u8>> {
    let quoted = &packet[..packet.len().min(IPV4_ANSWER_MAX - IPV4_HEADER_LEN - ICMP_HEADER_LEN)];
    let [high, low] = mtu.to_be_bytes();
    let mut icmp = vec![3, 4, 0, 0, 0, 0, high, low];
    icmp.extend_from_slice(quoted);
    let sum = checksum::finished(checksum::added(0, &icmp));
    set_word(&mut icmp, 2, sum);
    // Internetwork control (RFC 1812 §4.3.2.5), no fragment, TTL 64.
    let mut header = vec![0x45, 0xc0, 0, 0, 0, 0, 0, 0, 64, ICMP, 0, 0];
    header.extend_from_slice(&from.octets());
    header.extend_from_slice(&to.octets());
    set_word(&mut header, 2, u16::try_from(IPV4_HEADER_LEN + icmp.len()).ok()?);
    let sum = checksum::finished(checksum::added(0, &header));
    set_word(&mut header, 10, sum);
    Some([header, icmp].concat())
}

/// RFC 4443 §3.2: type 2.
fn answer_v6(packet: &[u8], mtu: u16) -> Option<Vec<u8>> {
    let quoted = &packet[..packet.len().min(IPV6_ANSWER_MAX - IPV6_HEADER_LEN - ICMP_HEADER_LEN)];
    let [high, low] = mtu.to_be_bytes();
    let mut icmp = vec![2, 0, 0, 0, 0, 0, high, low];
    icmp.extend_from_slice(quoted);
    let len = u16::try_from(icmp.len()).ok()?;
    let mut header = vec![0x60, 0, 0, 0, 0, 0, ICMPV6, 64];
    set_word(&mut header, 4, len);
    header.extend_from_slice(packet.get(24..40)?);
    header.extend_from_slice(packet.get(8..24)?);
    // The pseudo header (RFC 8200 §8.1): addresses, length, next header.
    let sum = checksum::added(u32::from(len) + u32::from(ICMPV6), header.get(8..)?);
    let sum = checksum::finished(checksum::added(sum, &icmp));
    set_word(&mut icmp, 2, sum);
    Some([header, icmp].concat())
}

fn set_word(bytes: &mut [u8], at: usize, word: u16) {
    if let Some(place) = bytes.get_mut(at..at + 2) {
        place.copy_from_slice(&word.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ipv4(len: u16) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 9, 9, 0x40, 0, 64, 6, 0, 0, 10, 92, 0, 1, 10, 92, 0, 2];
        set_word(&mut packet, 2, len);
        packet.resize(len.into(), 0xab);
        packet
    }

    fn ipv6(len: u16) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, 6, 64];
        packet.extend([0xfd; 16]);
        packet.extend([0xfc; 16]);
        set_word(&mut packet, 4, len - 40);
        packet.resize(len.into(), 0xab);
        packet
    }

    #[test]
    fn an_ipv4_sender_is_told_the_length_from_where_the_packet_went() {
        let packet = ipv4(1_420);
        let answer = answer(&packet, 1_280).unwrap();
        assert_eq!(answer.len(), 576);
        assert_eq!(answer[..12], [0x45, 0xc0, 2, 64, 0, 0, 0, 0, 64, 1, answer[10], answer[11]]);
        assert_eq!(answer[12..20], [10, 92, 0, 2, 10, 92, 0, 1]);
        assert_eq!((answer[20], answer[21], &answer[26..28]), (3, 4, &[5, 0][..]));
        assert_eq!(answer[28..], packet[..548]);
        assert_eq!(checksum::finished(checksum::added(0, &answer[..20])), 0);
        assert_eq!(checksum::finished(checksum::added(0, &answer[20..])), 0);
    }

    #[test]
    fn an_ipv6_sender_is_told_the_length_from_where_the_packet_went() {
        let packet = ipv6(1_420);
        let answer = answer(&packet, 1_280).unwrap();
        assert_eq!(answer.len(), 1_280);
        assert_eq!(
            (&answer[4..8], &answer[8..24], &answer[24..40]),
            (&[4, 216, 58, 64][..], &[0xfc; 16][..], &[0xfd; 16][..])
        );
        assert_eq!((&answer[40..42], &answer[44..48]), (&[2, 0][..], &[0, 0, 5, 0][..]));
        assert_eq!(answer[48..], packet[..1_232]);
        let pseudo = checksum::added(1_240 + 58, &answer[8..40]);
        assert_eq!(checksum::finished(checksum::added(pseudo, &answer[40..])), 0);
    }

    #[test]
    fn groups_errors_and_later_fragments_are_not_answered() {
        assert!(may_answer(&ipv4(1_420)) && may_answer(&ipv6(1_420)));
        let changed = |mut packet: Vec<u8>, at: usize, bytes: &[u8]| {
            packet[at..at + bytes.len()].copy_from_slice(bytes);
            may_answer(&packet)
        };
        assert!(!changed(ipv4(1_420), 16, &[224, 0, 0, 1]));
        assert!(!changed(ipv4(1_420), 12, &[0; 4]));
        assert!(!changed(ipv4(1_420), 7, &[9]));
        assert!(!changed(ipv6(1_420), 24, &[0xff, 2]));
        let ping = [&[1, 0, 0][..], &[10, 92, 0, 1, 10, 92, 0, 2, 8]].concat();
        assert!(changed(ipv4(1_420), 9, &ping), "a ping is no error");
        let error = [&[1, 0, 0][..], &[10, 92, 0, 1, 10, 92, 0, 2, 3]].concat();
        assert!(!changed(ipv4(1_420), 9, &error));
        let mut error = ipv6(1_420);
        (error[6], error[40]) = (58, 2);
        assert!(!may_answer(&error));
        error[40] = 128;
        assert!(may_answer(&error), "a ping is no error");
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered_or_not_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), mtu: u16) {
            let _ = may_answer(&bytes);
            prop_assert!(answer(&bytes, mtu).is_none_or(|answer| answer.len() <= ANSWER_MAX));
        }
    }
}
