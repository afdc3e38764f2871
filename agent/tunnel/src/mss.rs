//! The maximum segment size that TCP connections agree on, lowered to what a path carries (MSS clamping).

use crate::checksum;

const IPV4_HEADER_MIN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;
const TCP_HEADER_MIN: usize = 20;

/// TCP's number in an IP header.
const TCP: u8 = 6;

/// The option's kind and length (RFC 9293 §3.2).
const MSS_OPTION: [u8; 2] = [2, 4];

/// Lowers the maximum segment size of a TCP segment with SYN so that a packet of `mtu` bytes holds such a segment, and corrects
/// its checksum. Anything else stays as it is, as does a smaller value. IPv6 packets with extension headers are no usual
/// SYN, and stay too.
pub(crate) fn clamp(packet: &mut [u8], mtu: u16) {
    let Some((tcp, at, headers_len)) = mss_of_syn(packet) else { return };
    let most = mtu.saturating_sub(headers_len);
    let Some(value) = packet.get_mut(at..at + 2) else { return };
    let before = [value[0], value[1]];
    if u16::from_be_bytes(before) <= most {
        return;
    }
    let after = most.to_be_bytes();
    value.copy_from_slice(&after);
    // The checksum adds up words from the segment's start; an option may begin between two.
    let is_odd = (at - tcp) % 2 == 1;
    let word = |bytes: [u8; 2]| if is_odd { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
    if let Some(sum) = packet.get_mut(tcp + 16..tcp + 18) {
        let updated = checksum::updated(u16::from_be_bytes([sum[0], sum[1]]), word(before), word(after));
        sum.copy_from_slice(&updated.to_be_bytes());
    }
}

/// Whether [`clamp`] may have something to do.
pub(crate) fn is_syn(packet: &[u8]) -> bool {
    tcp_of(packet).is_some_and(|(tcp, _)| packet.get(tcp + 13).is_some_and(|flags| flags & 2 != 0))
}

/// Where the TCP header of a SYN begins, where the option's value is, and the length of IP and TCP headers without options.
fn mss_of_syn(packet: &[u8]) -> Option<(usize, usize, u16)> {
    if !is_syn(packet) {
        return None;
    }
    let (tcp, headers_len) = tcp_of(packet)?;
    let end = tcp + usize::from(packet.get(tcp + 12)? >> 4) * 4;
    let mut at = tcp + TCP_HEADER_MIN;
    while at < end.min(packet.len()) {
        match packet.get(at..at + 2) {
            Some([0, _]) | None => return None,
            Some([1, _]) => at += 1,
            Some(option) if option == MSS_OPTION => {
                return (at + 4 <= end).then_some((tcp, at + 2, headers_len));
            }
            Some([_, len]) if *len >= 2 => at += usize::from(*len),
            Some(_) => return None,
        }
    }
    None
}

/// Where the TCP header begins, and the length of IP and TCP headers without options.
fn tcp_of(packet: &[u8]) -> Option<(usize, u16)> {
    match packet.first()? >> 4 {
        4 => {
            let is_first = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff == 0;
            let is_tcp = *packet.get(9)? == TCP && is_first;
            let header_len = usize::from(packet.first()? & 0xf) * 4;
            is_tcp.then_some((header_len.max(IPV4_HEADER_MIN), 40))
        }
        6 => (*packet.get(6)? == TCP).then_some((IPV6_HEADER_LEN, 60)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::checksum::tests::is_tcp_sound;
    use crate::checksum::tests::with_tcp_checksum;

    /// A SYN from 10.0.0.1 or fd00::1 with these TCP options.
    fn syn(ipv6: bool, options: &[u8]) -> Vec<u8> {
        let tcp_len = 20 + options.len();
        let mut packet = if ipv6 {
            let mut header = vec![0x60, 0, 0, 0, 0, u8::try_from(tcp_len).unwrap(), TCP, 64];
            header.extend([0xfd; 16]);
            header.extend([0xfc; 16]);
            header
        } else {
            vec![
                0x45,
                0,
                0,
                u8::try_from(20 + tcp_len).unwrap(),
                1,
                2,
                0x40,
                0,
                64,
                TCP,
                0,
                0,
                10,
                0,
                0,
                1,
                10,
                0,
                0,
                2,
            ]
        };
        packet.extend([
            0x9c,
            0x40,
            0,
            80,
            1,
            2,
            3,
            4,
            0,
            0,
            0,
            0,
            u8::try_from(tcp_len / 4).unwrap() << 4,
            2,
        ]);
        packet.extend([0xfa, 0xf0, 0, 0, 0, 0]);
        packet.extend(options);
        with_tcp_checksum(packet)
    }

    const LINUX: [u8; 20] = [2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 0, 0, 0, 0, 1, 3, 3, 7];

    #[test]
    fn the_mss_of_a_syn_is_lowered_to_what_fits_and_its_checksum_stays_right() {
        for (ipv6, mtu, expected) in [(false, 1_280, 1_240_u16), (true, 1_280, 1_220), (false, 1_420, 1_380)]
        {
            let mut packet = syn(ipv6, &LINUX);
            clamp(&mut packet, mtu);
            let at = packet.len() - LINUX.len() + 2;
            assert_eq!(packet[at..at + 2], expected.to_be_bytes());
            assert!(is_tcp_sound(&packet));
        }
    }

    #[test]
    fn an_option_at_an_odd_place_keeps_the_checksum_right() {
        let mut packet = syn(false, &[1, 2, 4, 5, 0xb4, 1, 1, 1]);
        clamp(&mut packet, 1_280);
        assert_eq!(packet[43..45], 1_240_u16.to_be_bytes());
        assert!(is_tcp_sound(&packet));
    }

    #[test]
    fn a_smaller_mss_and_every_other_packet_stay_as_they_are() {
        let mut no_syn = syn(false, &LINUX);
        no_syn[33] = 0x10;
        let mut later_fragment = syn(false, &LINUX);
        later_fragment[7] = 1;
        let mut udp = syn(true, &LINUX);
        udp[6] = 17;
        let small = syn(false, &[2, 4, 2, 24]);
        for packet in [no_syn, later_fragment, udp, small, syn(false, &[]), syn(false, &[1, 1, 1, 2])] {
            let mut clamped = packet.clone();
            clamp(&mut clamped, 1_280);
            assert_eq!(clamped, packet);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_clamped_or_left_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..90), mtu: u16) {
            let len = bytes.len();
            clamp(&mut bytes, mtu);
            prop_assert_eq!(bytes.len(), len);
        }

        #[test]
        fn a_syn_cut_off_anywhere_or_with_any_options_is_no_panic(
            options in prop::collection::vec(0_u8..6, 0..10), cut in 0_usize..100, ipv6: bool, mtu: u16,
        ) {
            let options: Vec<u8> = options.iter().copied().cycle().take(options.len() / 4 * 4).collect();
            let mut packet = syn(ipv6, &options);
            packet.truncate(cut);
            clamp(&mut packet, mtu);
        }

        #[test]
        fn a_clamped_checksum_is_as_right_as_a_new_one(mss: u16, mtu in 1_100_u16..1_500, ipv6: bool, odd: bool) {
            let [high, low] = mss.to_be_bytes();
            let options: &[u8] = if odd { &[1, 2, 4, high, low, 0, 0, 0] } else { &[2, 4, high, low] };
            let mut packet = syn(ipv6, options);
            clamp(&mut packet, mtu);
            prop_assert!(is_tcp_sound(&packet));
        }
    }
}
