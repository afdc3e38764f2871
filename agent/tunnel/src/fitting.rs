//! What becomes of a packet on its way to a peer whose path carries packets of so many bytes and no longer ones.

use std::borrow::Cow;

use crate::{fragment, mss, too_big};

/// The least that IPv6 packets may count on, bytes (RFC 8200 §5): a path that carries less takes them in outer fragments.
const IPV6_MTU_MIN: u16 = 1_280;

/// A packet, made to fit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fitted<'a> {
    /// As it goes out. Where it is longer than the path carries and nobody may say so, the kernel fragments it below the tunnel.
    Packet(Cow<'a, [u8]>),
    /// In pieces, as IPv4 has it.
    Pieces(Vec<Vec<u8>>),
    /// Not at all: its sender has to be told the length that passes.
    TooBig(u16),
}

/// Fits a packet to a path.
pub(crate) fn fit(packet: &[u8], tunnel_mtu: u16) -> Fitted<'_> {
    let whole = Fitted::Packet(Cow::Borrowed(packet));
    let is_ipv6 = packet.first().is_some_and(|first| first >> 4 == 6);
    let limit = if is_ipv6 { tunnel_mtu.max(IPV6_MTU_MIN) } else { tunnel_mtu };
    if packet.len() <= limit.into() {
        if !mss::is_syn(packet) {
            return whole;
        }
        let mut syn = packet.to_vec();
        mss::clamp(&mut syn, tunnel_mtu);
        return Fitted::Packet(Cow::Owned(syn));
    }
    if !is_ipv6 && !fragment::is_forbidden(packet) {
        return fragment::split(packet, tunnel_mtu).map_or(whole, Fitted::Pieces);
    }
    if too_big::may_answer(packet) { Fitted::TooBig(limit) } else { whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(len: u16, dont_fragment: bool) -> Vec<u8> {
        let flags = if dont_fragment { 0x40 } else { 0 };
        let [high, low] = len.to_be_bytes();
        let mut packet = vec![0x45, 0, high, low, 0, 0, flags, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.resize(len.into(), 0);
        packet
    }

    fn ipv6(len: u16) -> Vec<u8> {
        let [high, low] = (len - 40).to_be_bytes();
        let mut packet = [&[0x60, 0, 0, 0, high, low, 17, 64][..], &[0xfd; 16], &[0xfc; 16]].concat();
        packet.resize(len.into(), 0);
        packet
    }

    #[test]
    fn what_fits_goes_as_it_is() {
        for packet in [ipv4(1_280, true), ipv4(1_280, false), ipv6(1_280)] {
            assert_eq!(fit(&packet, 1_280), Fitted::Packet(Cow::Borrowed(&packet)));
        }
    }

    #[test]
    fn a_longer_ipv4_packet_goes_in_pieces_unless_its_sender_forbids_them() {
        assert!(matches!(fit(&ipv4(1_281, false), 1_280), Fitted::Pieces(pieces) if pieces.len() == 2));
        assert_eq!(fit(&ipv4(1_281, true), 1_280), Fitted::TooBig(1_280));
        assert_eq!(fit(&ipv4(1_221, true), 1_220), Fitted::TooBig(1_220));
    }

    #[test]
    fn an_ipv6_sender_is_told_but_never_less_than_its_minimum() {
        assert_eq!(fit(&ipv6(1_281), 1_280), Fitted::TooBig(1_280));
        assert_eq!(fit(&ipv6(1_281), 1_200), Fitted::TooBig(1_280));
        let packet = ipv6(1_280);
        assert_eq!(fit(&packet, 1_200), Fitted::Packet(Cow::Borrowed(&packet)), "in outer fragments");
    }

    #[test]
    fn what_nobody_may_be_told_about_is_not_lost() {
        let mut group = ipv4(1_400, true);
        group[16] = 224;
        assert_eq!(fit(&group, 1_280), Fitted::Packet(Cow::Borrowed(&group)));
    }
}
