//! The four bytes that begin every datagram of ours, and how they are told apart from WireGuard and STUN.
//!
//! ```text
//!  0        1          2       3
//! +--------+----------+-------+----------+
//! | 0x57 W | version  | kind  | 0        |
//! +--------+----------+-------+----------+
//! ```
//!
//! WireGuard messages begin with 1..=4 and three zero bytes, STUN messages with two zero bits (RFC 8489 §5),
//! so `0x57` (binary 01…) can be neither. A datagram of a version we do not speak is dropped and counted;
//! only a relay answers it (see [`crate::relay`]).

/// First byte of every datagram of ours: `W`.
pub const MAGIC: u8 = 0x57;

/// The version of the datagram layouts in this crate.
pub const VERSION: u8 = 1;

/// Bytes in the header that every datagram of ours begins with.
pub const HEADER_LEN: usize = 4;

/// What a datagram on the node's one UDP port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatagramClass {
    /// A WireGuard message (type 1 to 4).
    WireGuard,
    /// A STUN message: magic cookie and length fit (RFC 8489 §5).
    Stun,
    /// A probe between two nodes, sealed end to end ([`crate::probe`]).
    Probe,
    /// A relay frame ([`crate::relay`]).
    Relay,
    /// Ours by its first byte, but of another version; holds that version.
    OtherVersion(u8),
    /// Nothing that we know: dropped and counted.
    Unknown,
}

/// Tells what `datagram` is from its first bytes alone; it says nothing about whether the rest is sound.
#[must_use]
pub fn classify(datagram: &[u8]) -> DatagramClass {
    match datagram {
        [1..=4, 0, 0, 0, ..] if datagram.len() >= WIREGUARD_LEN_MIN => DatagramClass::WireGuard,
        [MAGIC, VERSION, crate::probe::KIND, 0, ..] => DatagramClass::Probe,
        [MAGIC, VERSION, kind, 0, ..] if crate::relay::Kind::from_byte(*kind).is_some() => {
            DatagramClass::Relay
        }
        [MAGIC, version, ..] if *version != VERSION && datagram.len() >= HEADER_LEN => {
            DatagramClass::OtherVersion(*version)
        }
        _ if crate::stun::is_stun(datagram) => DatagramClass::Stun,
        _ => DatagramClass::Unknown,
    }
}

/// The shortest WireGuard message: an empty transport data message (type 4) of 16 + 16 bytes.
const WIREGUARD_LEN_MIN: usize = 32;

/// The header of one of our datagrams.
pub(crate) const fn header(kind: u8) -> [u8; HEADER_LEN] {
    [MAGIC, VERSION, kind, 0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wireguard_handshake_is_told_from_a_stun_success_response() {
        let mut initiation = [0_u8; 148];
        initiation[0] = 1;
        assert_eq!(classify(&initiation), DatagramClass::WireGuard);
        let mut success = [0_u8; 20];
        success[..8].copy_from_slice(&[1, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42]);
        assert_eq!(classify(&success), DatagramClass::Stun);
    }

    #[test]
    fn a_newer_version_is_named_and_not_parsed() {
        assert_eq!(classify(&[MAGIC, VERSION + 1, 1, 0, 9, 9]), DatagramClass::OtherVersion(VERSION + 1));
    }

    #[test]
    fn short_and_foreign_datagrams_are_unknown() {
        for bytes in [&b""[..], b"W", b"GET / HTTP/1.1", &[4, 0, 0, 0], &[MAGIC, VERSION, 0xff, 0]] {
            assert_eq!(classify(bytes), DatagramClass::Unknown, "{bytes:?}");
        }
    }
}
