//! The internet checksum (RFC 1071), whole and updated.

/// The sum that [`finished`] turns into a checksum, over `bytes` as 16-bit words after `sum`; an odd last byte counts as the
/// high half of a word.
pub(crate) fn added(sum: u32, bytes: &[u8]) -> u32 {
    let (words, rest) = bytes.as_chunks::<2>();
    let words = words.iter().map(|word| u32::from(u16::from_be_bytes(*word)));
    let last = rest.first().map(|byte| u32::from(*byte) << 8);
    words.chain(last).fold(sum, |sum, word| folded(sum.saturating_add(word)))
}

/// The checksum of a sum.
pub(crate) fn finished(sum: u32) -> u16 {
    let folded = folded(folded(sum));
    !u16::try_from(folded).unwrap_or(u16::MAX)
}

/// A checksum after one word below it changed (RFC 1624 §3).
pub(crate) fn updated(checksum: u16, before: u16, after: u16) -> u16 {
    finished(u32::from(!checksum) + u32::from(!before) + u32::from(after))
}

const fn folded(sum: u32) -> u32 {
    (sum & 0xffff) + (sum >> 16)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The sum of a TCP segment with its pseudo header (RFC 9293 §3.1); `packet` has no IP options.
    fn tcp_sum(packet: &[u8]) -> u16 {
        let (addresses, tcp) = if packet[0] >> 4 == 4 {
            (&packet[12..20], &packet[20..])
        } else {
            (&packet[8..40], &packet[40..])
        };
        let sum = added(0, addresses) + 6 + u32::try_from(tcp.len()).unwrap();
        finished(added(sum, tcp))
    }

    pub(crate) fn is_tcp_sound(packet: &[u8]) -> bool {
        tcp_sum(packet) == 0
    }

    pub(crate) fn with_tcp_checksum(mut packet: Vec<u8>) -> Vec<u8> {
        let tcp = if packet[0] >> 4 == 4 { 20 } else { 40 };
        let sum = tcp_sum(&packet);
        packet[tcp + 16..tcp + 18].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    #[test]
    fn the_example_of_rfc_1071_comes_out_as_there() {
        // §3: the sum of these words is ddf2.
        assert_eq!(finished(added(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), !0xddf2);
    }

    #[test]
    fn a_known_ipv4_header_has_its_known_checksum() {
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0x00, 0x00, 0xc0, 0xa8, 0x00, 0x01,
            0xc0, 0xa8, 0x00, 0xc7,
        ];
        assert_eq!(finished(added(0, &header)), 0xb861);
    }

    #[test]
    fn the_example_of_rfc_1624_comes_out_as_there() {
        // §4: header checksum dd2f, a word changes from 5555 to 3285, and the new checksum is 0000.
        assert_eq!(updated(0xdd2f, 0x5555, 0x3285), 0x0000);
    }
}
