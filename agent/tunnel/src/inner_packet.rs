//! The few facts about an inner IP packet that a tunnel needs: where from, where to, and how long it really is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Addresses and length of an IP packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InnerPacket {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// Bytes that the packet's own header claims; padding of WireGuard may follow them.
    pub(crate) len: usize,
}

const IPV4_HEADER_LEN: usize = 20;
const IPV6_HEADER_LEN: usize = 40;

impl InnerPacket {
    /// Reads the fixed header (RFC 791 §3.1, RFC 8200 §3); `None` where the bytes are no whole IP packet.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (source, destination, len, header_len) = match bytes.first()? >> 4 {
            4 => {
                let header: &[u8; IPV4_HEADER_LEN] = bytes.first_chunk()?;
                let header_len = usize::from(header[0] & 0xf) * 4;
                (v4(header, 12)?, v4(header, 16)?, word(header, 2)?, header_len.max(IPV4_HEADER_LEN))
            }
            6 => {
                let header: &[u8; IPV6_HEADER_LEN] = bytes.first_chunk()?;
                (v6(header, 8)?, v6(header, 24)?, IPV6_HEADER_LEN + word(header, 4)?, IPV6_HEADER_LEN)
            }
            _ => return None,
        };
        (header_len..=bytes.len()).contains(&len).then_some(Self { source, destination, len })
    }
}

fn word(header: &[u8], at: usize) -> Option<usize> {
    header.get(at..)?.first_chunk().map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
}

fn v4(header: &[u8], at: usize) -> Option<IpAddr> {
    header.get(at..)?.first_chunk::<4>().map(|octets| Ipv4Addr::from(*octets).into())
}

fn v6(header: &[u8], at: usize) -> Option<IpAddr> {
    header.get(at..)?.first_chunk::<16>().map(|octets| Ipv6Addr::from(*octets).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(total_len: u16) -> Vec<u8> {
        let mut packet = vec![0_u8; 20];
        packet[0] = 0x45;
        packet[2..4].copy_from_slice(&total_len.to_be_bytes());
        packet[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        packet
    }

    #[test]
    fn padding_after_an_ipv4_packet_is_not_part_of_it() {
        let mut packet = ipv4(24);
        packet.extend([0; 12]);
        let parsed = InnerPacket::parse(&packet).unwrap();
        assert_eq!((parsed.len, parsed.source), (24, "10.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_packet_shorter_than_it_claims_is_refused() {
        assert_eq!(InnerPacket::parse(&ipv4(21)), None);
        assert_eq!(InnerPacket::parse(&ipv4(19)), None);
        let mut ipv6 = vec![0_u8; 40];
        ipv6[0] = 0x60;
        ipv6[5] = 1;
        assert_eq!(InnerPacket::parse(&ipv6), None);
    }

    #[test]
    fn an_ipv4_header_longer_than_the_packet_is_refused() {
        let mut packet = ipv4(20);
        packet[0] = 0x4f;
        assert_eq!(InnerPacket::parse(&packet), None);
    }

    #[test]
    fn nothing_and_other_versions_are_refused() {
        for bytes in [&b""[..], &[0x45], &[0x60; 39], &[0x75; 60], &[0; 60]] {
            assert_eq!(InnerPacket::parse(bytes), None, "{bytes:?}");
        }
    }
}
