//! STUN binding (RFC 8489) over `stun-rs`: the one exchange that tells a node its server-reflexive address.

use std::net::SocketAddr;

use stun_rs::attributes::stun::XorMappedAddress;
use stun_rs::methods::BINDING;
use stun_rs::{
    MessageClass, MessageDecoderBuilder, MessageEncoderBuilder, StunMessage, StunMessageBuilder,
    TransactionId,
};

/// Bytes in a transaction id (RFC 8489 §5).
pub const TRANSACTION_LEN: usize = 12;

/// The largest STUN message that we read: what a packet of 1500 bytes carries over IPv4. A binding exchange needs less than 100
/// bytes, but [`encode_long_request`] finds out what a path carries.
pub const MESSAGE_LEN_MAX: usize = 1_472;

const HEADER_LEN: usize = 20;
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];

/// A STUN message that is not the one expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StunError {
    /// Not a STUN message, or bytes follow it.
    #[error("not a STUN message")]
    Foreign,
    /// A STUN message of another method or class, or without the attribute that matters.
    #[error("a STUN message of another kind")]
    Unexpected,
}

/// Whether `datagram` may be STUN: two zero bits, the magic cookie, and a length that ends where the datagram ends
/// (RFC 8489 §5). Cheap, and in front of every decode.
#[must_use]
pub fn is_stun(datagram: &[u8]) -> bool {
    let [first, _, high, low, cookie @ ..] = datagram else { return false };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    first & 0xc0 == 0
        && cookie.starts_with(&MAGIC_COOKIE)
        && datagram.len() >= HEADER_LEN
        && datagram.len() == HEADER_LEN + length
        && length.is_multiple_of(4)
        && datagram.len() <= MESSAGE_LEN_MAX
}

/// A binding request. `transaction` is random; it is all that ties an answer to it.
#[must_use]
pub fn encode_request(transaction: [u8; TRANSACTION_LEN]) -> Vec<u8> {
    let message = StunMessageBuilder::new(BINDING, MessageClass::Request)
        .with_transaction_id(TransactionId::from(transaction))
        .build();
    encode(&message)
}

/// A binding request of `len` bytes, a multiple of 4 from 24 to [`MESSAGE_LEN_MAX`]; other lengths are made so. What fills it is one
/// attribute that a server may ignore (RFC 8489 §14: types from 0x8000 on) and that nobody has defined.
#[must_use]
pub fn encode_long_request(transaction: [u8; TRANSACTION_LEN], len: usize) -> Vec<u8> {
    const ATTRIBUTE_HEADER_LEN: usize = 4;
    const UNASSIGNED: [u8; 2] = [0xff, 0xfe];
    let len = len.clamp(HEADER_LEN + ATTRIBUTE_HEADER_LEN, MESSAGE_LEN_MAX) / 4 * 4;
    let attributes_len = len - HEADER_LEN;
    let bytes_of = |len: usize| u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes();
    let mut bytes = encode_request(transaction);
    bytes.truncate(HEADER_LEN);
    bytes[2..4].copy_from_slice(&bytes_of(attributes_len));
    bytes.extend_from_slice(&UNASSIGNED);
    bytes.extend_from_slice(&bytes_of(attributes_len - ATTRIBUTE_HEADER_LEN));
    bytes.resize(len, 0);
    bytes
}

/// The server's side: the success response to a binding request that came from `source`.
///
/// # Errors
/// Where `datagram` is not a sound binding request. Nothing is answered then: an error response would make a
/// reflector of us.
pub fn respond(datagram: &[u8], source: SocketAddr) -> Result<Vec<u8>, StunError> {
    let request = decode(datagram)?;
    if request.method() != BINDING || request.class() != MessageClass::Request {
        return Err(StunError::Unexpected);
    }
    let source = SocketAddr::new(source.ip().to_canonical(), source.port());
    let response = StunMessageBuilder::new(BINDING, MessageClass::SuccessResponse)
        .with_transaction_id(*request.transaction_id())
        .with_attribute(XorMappedAddress::from(source))
        .build();
    Ok(encode(&response))
}

/// The client's side: transaction and reflexive address of a success response.
///
/// # Errors
/// Where `datagram` is not a sound binding success response with a XOR-MAPPED-ADDRESS.
pub fn decode_response(datagram: &[u8]) -> Result<([u8; TRANSACTION_LEN], SocketAddr), StunError> {
    let response = decode(datagram)?;
    if response.method() != BINDING || response.class() != MessageClass::SuccessResponse {
        return Err(StunError::Unexpected);
    }
    let mapped = response
        .attributes()
        .iter()
        .find_map(|attribute| attribute.as_xor_mapped_address().ok())
        .ok_or(StunError::Unexpected)?;
    let address = *mapped.socket_address();
    let address = SocketAddr::new(address.ip().to_canonical(), address.port());
    Ok((*response.transaction_id().as_bytes(), address))
}

fn decode(datagram: &[u8]) -> Result<StunMessage, StunError> {
    if !is_stun(datagram) {
        return Err(StunError::Foreign);
    }
    let decoder = MessageDecoderBuilder::default().build();
    let (message, read) = decoder.decode(datagram).map_err(|_| StunError::Foreign)?;
    (read == datagram.len()).then_some(message).ok_or(StunError::Foreign)
}

fn encode(message: &StunMessage) -> Vec<u8> {
    let mut bytes = vec![0; 128];
    let written = MessageEncoderBuilder::default().build().encode(&mut bytes, message);
    #[expect(clippy::expect_used, reason = "a header and one 20-byte attribute fit 128 bytes")]
    bytes.truncate(written.expect("a binding message fits"));
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_node_learns_the_address_that_its_request_came_from() {
        for source in ["203.0.113.77:41641", "[2001:db8::7]:9"] {
            let source: SocketAddr = source.parse().unwrap();
            let response = respond(&encode_request([7; 12]), source).unwrap();
            assert_eq!(decode_response(&response), Ok(([7; 12], source)));
        }
    }

    #[test]
    fn a_long_request_has_its_length_and_gets_the_usual_answer() {
        for (wanted, len) in [(0, 24), (1_000, 1_000), (1_003, 1_000), (9_999, MESSAGE_LEN_MAX)] {
            let request = encode_long_request([4; TRANSACTION_LEN], wanted);
            assert_eq!(request.len(), len);
            let source = "203.0.113.9:4".parse().unwrap();
            let answer = respond(&request, source).unwrap();
            assert_eq!(decode_response(&answer), Ok(([4; TRANSACTION_LEN], source)));
            assert!(answer.len() <= 44);
        }
    }

    #[test]
    fn an_ipv4_mapped_source_is_answered_as_ipv4() {
        let response = respond(&encode_request([7; 12]), "[::ffff:203.0.113.7]:9".parse().unwrap()).unwrap();
        assert_eq!(decode_response(&response).unwrap().1, "203.0.113.7:9".parse().unwrap());
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut request = encode_request([7; 12]);
        request.extend_from_slice(&[0; 4]);
        assert_eq!(respond(&request, "203.0.113.7:9".parse().unwrap()), Err(StunError::Foreign));
    }

    #[test]
    fn a_response_is_not_answered() {
        let source = "203.0.113.7:9".parse().unwrap();
        let response = respond(&encode_request([7; 12]), source).unwrap();
        assert_eq!(respond(&response, source), Err(StunError::Unexpected));
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = decode_response(&bytes);
            let _ = respond(&bytes, SocketAddr::from(([203, 0, 113, 1], 1)));
        }

        #[test]
        fn any_attributes_behind_a_sound_header_are_read_or_refused(
            class in any::<u8>(), words in proptest::collection::vec(any::<[u8; 4]>(), 0..100),
        ) {
            let length = u16::try_from(words.len() * 4).unwrap().to_be_bytes();
            let mut bytes = vec![class & 1, 1, length[0], length[1]];
            bytes.extend_from_slice(&MAGIC_COOKIE);
            bytes.extend_from_slice(&[7; 12]);
            bytes.extend(words.concat());
            let _ = decode_response(&bytes);
            let _ = respond(&bytes, SocketAddr::from(([203, 0, 113, 1], 1)));
        }
    }
}
