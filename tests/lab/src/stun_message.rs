//! The few bytes of STUN (RFC 5389, RFC 5780) that the lab's own classifier needs, written apart from the product's
//! code so that one cannot hide a mistake of the other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const MAGIC: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const BINDING_REQUEST: [u8; 2] = [0x00, 0x01];
const BINDING_RESPONSE: [u8; 2] = [0x01, 0x01];
const CHANGE_REQUEST: u16 = 0x0003;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const RESPONSE_ORIGIN: u16 = 0x802b;
const OTHER_ADDRESS: u16 = 0x802c;
const HEADER: usize = 20;

/// Names one transaction.
pub(crate) type TransactionId = [u8; 12];

/// Where an answer shall come from, relative to where the request went (RFC 5780 section 7.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) address: bool,
    pub(crate) port: bool,
}

/// A binding request.
pub(crate) fn request(id: TransactionId, change: Change) -> Vec<u8> {
    let flags = u8::from(change.address) * 4 + u8::from(change.port) * 2;
    assemble(BINDING_REQUEST, id, &[(CHANGE_REQUEST, vec![0, 0, 0, flags])])
}

/// Reads a binding request.
pub(crate) fn read_request(bytes: &[u8]) -> Option<(TransactionId, Change)> {
    let (id, attributes) = dissect(BINDING_REQUEST, bytes)?;
    let flags = attributes
        .iter()
        .find(|(kind, _)| *kind == CHANGE_REQUEST)
        .and_then(|(_, value)| value.last().copied());
    let flags = flags.unwrap_or(0);
    Some((id, Change { address: flags & 4 != 0, port: flags & 2 != 0 }))
}

/// An answer: whom the server saw, from where it answers, and its other endpoint.
pub(crate) fn response(
    id: TransactionId,
    seen: SocketAddr,
    origin: SocketAddr,
    other: SocketAddr,
) -> Vec<u8> {
    let mut mapped = endpoint(seen);
    for (byte, mask) in mapped[2..4].iter_mut().zip(MAGIC) {
        *byte ^= mask;
    }
    for (byte, mask) in mapped[4..].iter_mut().zip(address_mask(id)) {
        *byte ^= mask;
    }
    let attributes =
        [(XOR_MAPPED_ADDRESS, mapped), (RESPONSE_ORIGIN, endpoint(origin)), (OTHER_ADDRESS, endpoint(other))];
    assemble(BINDING_RESPONSE, id, &attributes)
}

/// Reads whom the server saw out of an answer to this transaction.
pub(crate) fn read_response(bytes: &[u8], id: TransactionId) -> Option<SocketAddr> {
    let (found, attributes) = dissect(BINDING_RESPONSE, bytes)?;
    let (_, value) =
        attributes.iter().find(|(kind, _)| *kind == XOR_MAPPED_ADDRESS).filter(|_| found == id)?;
    let ([_, family, p0, p1], address) = value.split_first_chunk::<4>()?;
    let port = u16::from_be_bytes([p0 ^ MAGIC[0], p1 ^ MAGIC[1]]);
    let address: Vec<u8> = address.iter().zip(address_mask(id)).map(|(byte, mask)| byte ^ mask).collect();
    let ip = match (family, address.len()) {
        (1, 4) => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        (2, 16) => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// What addresses are hidden with: the magic cookie, and for IPv6 the transaction id behind it.
fn address_mask(id: TransactionId) -> impl Iterator<Item = u8> {
    MAGIC.into_iter().chain(id)
}

fn endpoint(address: SocketAddr) -> Vec<u8> {
    let mut value = vec![0, if address.is_ipv4() { 1 } else { 2 }];
    value.extend(address.port().to_be_bytes());
    match address.ip() {
        IpAddr::V4(ip) => value.extend(ip.octets()),
        IpAddr::V6(ip) => value.extend(ip.octets()),
    }
    value
}

/// All values used here are multiples of four bytes long, so no padding is needed.
fn assemble(kind: [u8; 2], id: TransactionId, attributes: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in attributes {
        body.extend(name.to_be_bytes());
        body.extend(u16::try_from(value.len()).unwrap_or(0).to_be_bytes());
        body.extend(value);
    }
    let mut message = kind.to_vec();
    message.extend(u16::try_from(body.len()).unwrap_or(0).to_be_bytes());
    message.extend(MAGIC);
    message.extend(id);
    message.extend(body);
    message
}

type Attributes<'a> = Vec<(u16, &'a [u8])>;

fn dissect(kind: [u8; 2], bytes: &[u8]) -> Option<(TransactionId, Attributes<'_>)> {
    let (header, mut rest) = bytes.split_at_checked(HEADER)?;
    if header[0..2] != kind
        || header[4..8] != MAGIC
        || usize::from(u16::from_be_bytes([header[2], header[3]])) != rest.len()
    {
        return None;
    }
    let mut attributes = Vec::new();
    while let Some(([n0, n1, l0, l1], after)) = rest.split_first_chunk::<4>() {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let (value, _) = after.split_at_checked(length)?;
        attributes.push((u16::from_be_bytes([*n0, *n1]), value));
        rest = after.get(length.next_multiple_of(4)..)?;
    }
    Some((header[8..20].try_into().ok()?, attributes))
}

#[cfg(test)]
mod tests {
    use super::{Change, read_request, read_response, request, response};

    #[test]
    fn a_request_says_where_the_answer_shall_come_from() {
        let change = Change { address: true, port: false };
        assert_eq!(read_request(&request([9; 12], change)), Some(([9; 12], change)));
    }

    #[test]
    fn the_sample_response_of_rfc_5769_section_2_2_is_read() {
        // Only the header with its length adapted, SOFTWARE and XOR-MAPPED-ADDRESS of the sample.
        let mut bytes = vec![0x01, 0x01, 0x00, 0x1c, 0x21, 0x12, 0xa4, 0x42];
        let id = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];
        bytes.extend(id);
        bytes.extend([0x80, 0x22, 0x00, 0x0b]);
        bytes.extend(b"test vector ");
        bytes.extend([0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        assert_eq!(read_response(&bytes, id), Some("192.0.2.1:32853".parse().unwrap()));
    }

    #[test]
    fn what_the_server_writes_is_read_only_for_its_own_transaction() {
        let seen = "203.0.113.9:4242".parse().unwrap();
        let bytes = response(
            [1; 12],
            seen,
            "198.51.100.10:3478".parse().unwrap(),
            "198.51.100.11:3479".parse().unwrap(),
        );
        assert_eq!(read_response(&bytes, [1; 12]), Some(seen));
        assert_eq!(read_response(&bytes, [2; 12]), None);
    }

    #[test]
    fn an_address_of_ipv6_is_hidden_with_the_transaction_id_as_well() {
        let seen = "[2001:db8::9]:4242".parse().unwrap();
        let bytes = response([7; 12], seen, seen, seen);
        assert_eq!(read_response(&bytes, [7; 12]), Some(seen));
    }

    #[test]
    fn cut_and_garbled_messages_are_nothing() {
        let bytes = response(
            [1; 12],
            "1.2.3.4:5".parse().unwrap(),
            "1.2.3.4:5".parse().unwrap(),
            "1.2.3.4:5".parse().unwrap(),
        );
        for end in 0..bytes.len() {
            assert_eq!(read_response(&bytes[..end], [1; 12]), None);
        }
        let mut long = bytes.clone();
        long[23] = 0xff;
        assert_eq!(read_response(&long, [1; 12]), None);
    }
}
