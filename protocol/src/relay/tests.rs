//! What relay frames must hold.

use proptest::prelude::*;

use super::*;
use crate::key::PrivateKey;

fn keys() -> (PrivateKey, PrivateKey) {
    (PrivateKey::from_random([1; 32]), PrivateKey::from_random([2; 32]))
}

#[test]
fn both_sides_agree_on_a_registration() {
    let (node, relay) = keys();
    let ours = RelayKey::of_node(&node, &relay.public_key()).unwrap();
    let theirs = RelayKey::of_relay(&relay, &node.public_key()).unwrap();
    let request = ours.encode_register([3; 16], [4; 8], &[5; TOKEN_LEN]);
    let Ok(Frame::Register(register)) = decode(&request) else { panic!("not a registration") };
    assert!(theirs.verify_register(&register));
    let observed: SocketAddr = "203.0.113.9:4242".parse().unwrap();
    let answer = theirs.encode_registered(SessionId([6; 8]), observed, 3600, [4; 8]);
    let Ok(Frame::Registered(registered)) = decode(&answer) else { panic!("not an answer") };
    assert!(ours.verify_registered(&registered));
    assert_eq!((registered.observed, registered.nonce), (observed, [4; 8]));
}

#[test]
fn a_registration_made_with_another_key_is_not_verified() {
    let (node, relay) = keys();
    let thief = PrivateKey::from_random([9; 32]);
    let forged = RelayKey::of_node(&thief, &relay.public_key()).unwrap();
    let request = forged.encode_register([3; 16], [4; 8], &[5; TOKEN_LEN]);
    let Ok(Frame::Register(register)) = decode(&request) else { panic!("not a registration") };
    assert!(!RelayKey::of_relay(&relay, &node.public_key()).unwrap().verify_register(&register));
}

#[test]
fn every_answer_before_the_address_is_proven_is_smaller_than_a_registration() {
    let (node, relay) = keys();
    let key = RelayKey::of_node(&node, &relay.public_key()).unwrap();
    let request = key.encode_register([0; 16], [0; 8], &[0; TOKEN_LEN]);
    let observed: SocketAddr = "[2001:db8::1]:65535".parse().unwrap();
    for answer in [
        encode_challenge([0; 16]),
        encode_refused([0; 8], RefusalReason::Full),
        encode_version_unsupported(),
        key.encode_registered(SessionId([0; 8]), observed, 1, [0; 8]),
    ] {
        assert!(answer.len() < request.len());
    }
}

#[test]
fn a_sent_packet_keeps_its_destination_and_payload() {
    let destination = PublicKey::from_bytes([7; 32]);
    let mut datagram = send_prefix(SessionId([1; 8]), &destination).to_vec();
    datagram.extend_from_slice(b"sealed");
    let expected = Frame::Send { session: SessionId([1; 8]), destination, payload: b"sealed" };
    assert_eq!(decode(&datagram), Ok(expected));
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_valid_header_are_decoded_or_refused(
        kind in 0x10_u8..0x20, body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = decode(&[&[MAGIC, VERSION, kind, 0][..], &body].concat());
    }

    #[test]
    fn an_address_survives_the_wire(ip in any::<std::net::IpAddr>(), port in any::<u16>()) {
        let address = SocketAddr::new(ip, port);
        let canonical = SocketAddr::new(ip.to_canonical(), port);
        prop_assert_eq!(decode_address(&encode_address(address)), canonical);
    }
}
