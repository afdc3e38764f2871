//! What access rules ask of an inner packet: protocol, ports, and whether it begins something or answers.

use std::net::IpAddr;

use crate::inner_packet::InnerPacket;

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const IPV6_HEADER_LEN: usize = 40;

/// IPv6 extension headers that stand before the transport header (RFC 8200 §4.1), but for the fragment's.
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION_OPTIONS: u8 = 60;

/// Extension headers that are looked through: no usual packet has more than two.
const EXTENSIONS_MAX: usize = 8;

/// SYN and ACK of a TCP segment (RFC 9293 §3.1).
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// The header above IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TransportHeader {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// The protocol's number; behind IPv6 extension headers where there are some.
    pub(crate) protocol: u8,
    /// Source and destination port of TCP and UDP, where the packet is long enough.
    pub(crate) ports: Option<(u16, u16)>,
    /// A fragment that does not begin its packet: it has no header, and is of no use without the first one.
    pub(crate) is_later_fragment: bool,
    /// The flags of TCP, or the type of ICMP.
    kind: Option<u8>,
}

impl TransportHeader {
    /// Reads it; `None` where the bytes are no whole IP packet.
    pub(crate) fn parse(packet: &[u8]) -> Option<Self> {
        let inner = InnerPacket::parse(packet)?;
        let packet = packet.get(..inner.len)?;
        let (protocol, at, is_later_fragment) =
            if packet.first()? >> 4 == 4 { behind_ipv4(packet)? } else { behind_ipv6(packet)? };
        let body = if is_later_fragment { &[] } else { packet.get(at..).unwrap_or_default() };
        let has_ports = matches!(protocol, TCP | UDP);
        let ports = body.first_chunk::<4>().filter(|_| has_ports).map(|bytes| {
            (u16::from_be_bytes([bytes[0], bytes[1]]), u16::from_be_bytes([bytes[2], bytes[3]]))
        });
        let kind = match protocol {
            TCP => body.get(13),
            ICMP | ICMPV6 => body.first(),
            _ => None,
        };
        Some(Self {
            source: inner.source,
            destination: inner.destination,
            protocol,
            ports,
            is_later_fragment,
            kind: kind.copied(),
        })
    }

    pub(crate) const fn is_tcp(&self) -> bool {
        self.protocol == TCP
    }

    pub(crate) const fn is_icmp(&self) -> bool {
        matches!(self.protocol, ICMP | ICMPV6)
    }

    pub(crate) const fn has_ports(&self) -> bool {
        matches!(self.protocol, TCP | UDP)
    }

    /// Whether it can only answer something: a TCP segment that begins no connection, an ICMP error or reply (RFC 792, RFC
    /// 4443 §2.1).
    pub(crate) fn is_answer(&self) -> bool {
        match (self.protocol, self.kind) {
            (TCP, Some(flags)) => flags & (SYN | ACK) != SYN,
            (ICMP, Some(kind)) => matches!(kind, 0 | 3 | 4 | 11 | 12),
            (ICMPV6, Some(kind)) => matches!(kind, 1..=4 | 129),
            _ => false,
        }
    }
}

/// Protocol, where its header begins, and whether this is a later fragment.
fn behind_ipv4(packet: &[u8]) -> Option<(u8, usize, bool)> {
    let offset = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) & 0x1fff;
    Some((*packet.get(9)?, usize::from(packet.first()? & 0xf) * 4, offset != 0))
}

fn behind_ipv6(packet: &[u8]) -> Option<(u8, usize, bool)> {
    let (mut next, mut at) = (*packet.get(6)?, IPV6_HEADER_LEN);
    for _ in 0..EXTENSIONS_MAX {
        match next {
            HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS => {
                next = *packet.get(at)?;
                at += (usize::from(*packet.get(at + 1)?) + 1) * 8;
            }
            FRAGMENT => {
                next = *packet.get(at)?;
                let offset = u16::from_be_bytes([*packet.get(at + 2)?, *packet.get(at + 3)?]) & 0xfff8;
                at += 8;
                if offset != 0 {
                    return Some((next, at, true));
                }
            }
            protocol => return Some((protocol, at, false)),
        }
    }
    None
}

/// Packets for tests.
#[cfg(test)]
pub(crate) mod packets {
    fn ipv4(protocol: u8, source: [u8; 4], destination: [u8; 4], body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0];
        packet.extend(u16::try_from(20 + body.len()).unwrap().to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, protocol, 0, 0]);
        packet.extend(source.iter().chain(&destination).chain(body));
        packet
    }

    pub(crate) fn tcp(source: [u8; 4], destination: [u8; 4], from: u16, to: u16, flags: u8) -> Vec<u8> {
        let mut body = [0; 20];
        body[..2].copy_from_slice(&from.to_be_bytes());
        body[2..4].copy_from_slice(&to.to_be_bytes());
        (body[12], body[13]) = (0x50, flags);
        ipv4(6, source, destination, &body)
    }

    pub(crate) fn udp(source: [u8; 4], destination: [u8; 4], from: u16, to: u16) -> Vec<u8> {
        let mut body = [0; 8];
        body[..2].copy_from_slice(&from.to_be_bytes());
        body[2..4].copy_from_slice(&to.to_be_bytes());
        ipv4(17, source, destination, &body)
    }

    pub(crate) fn icmp(source: [u8; 4], destination: [u8; 4], kind: u8) -> Vec<u8> {
        ipv4(1, source, destination, &[kind, 0, 0, 0, 0, 0, 0, 0])
    }

    /// An IPv6 packet whose body begins with `next`'s header.
    pub(crate) fn ipv6(next: u8, body: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        packet.extend([next, 64]);
        packet.extend([0xfd; 32]);
        packet.extend(body);
        packet
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::packets::{icmp, ipv6, tcp, udp};
    use super::*;

    #[test]
    fn ports_are_found_behind_options_of_ipv4_and_extension_headers_of_ipv6() {
        let mut packet = udp([10, 0, 0, 1], [10, 0, 0, 2], 7, 53);
        packet[0] = 0x46;
        packet.splice(20..20, [1, 1, 1, 0]);
        packet[3] += 4;
        assert_eq!(TransportHeader::parse(&packet).unwrap().ports, Some((7, 53)));
        let mut body = vec![60, 0, 0, 0, 0, 0, 0, 0, 17, 1];
        body.extend([0; 14]);
        body.extend([0, 7, 0, 53, 0, 8, 0, 0]);
        let header = TransportHeader::parse(&ipv6(0, &body)).unwrap();
        assert_eq!((header.protocol, header.ports), (UDP, Some((7, 53))));
    }

    #[test]
    fn only_the_first_fragment_has_ports() {
        let mut packet = udp([10, 0, 0, 1], [10, 0, 0, 2], 7, 53);
        packet[7] = 1;
        let header = TransportHeader::parse(&packet).unwrap();
        assert!(header.is_later_fragment && header.ports.is_none());
        let mut body = vec![17, 0, 0, 8, 0, 0, 0, 1];
        body.extend([0, 7, 0, 53, 0, 8, 0, 0]);
        let header = TransportHeader::parse(&ipv6(44, &body)).unwrap();
        assert!(header.is_later_fragment && header.ports.is_none());
    }

    #[test]
    fn what_begins_something_is_told_from_what_answers() {
        let (a, b) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let is_answer = |packet: &[u8]| TransportHeader::parse(packet).unwrap().is_answer();
        assert!(!is_answer(&tcp(a, b, 1, 2, SYN)) && is_answer(&tcp(a, b, 1, 2, SYN | ACK)));
        assert!(is_answer(&tcp(a, b, 1, 2, 0)) && !is_answer(&udp(a, b, 1, 2)));
        assert!(!is_answer(&icmp(a, b, 8)) && is_answer(&icmp(a, b, 0)) && is_answer(&icmp(a, b, 3)));
        assert!(!is_answer(&ipv6(58, &[128, 0, 0, 0])) && is_answer(&ipv6(58, &[2, 0, 0, 0])));
        assert!(!is_answer(&ipv6(6, &[0; 4])), "a segment too short for its flags");
    }

    #[test]
    fn endless_extension_headers_are_no_packet() {
        let body = [60, 0, 0, 0, 0, 0, 0, 0].repeat(20);
        assert_eq!(TransportHeader::parse(&ipv6(60, &body)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_packet_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..120), version in 0_u8..2) {
            let mut bytes = bytes;
            if let Some(first) = bytes.first_mut() {
                *first = (*first & 0xf) | if version == 0 { 0x40 } else { 0x60 };
            }
            let _ = TransportHeader::parse(&bytes);
        }
    }
}
