//! Questions and their answers, byte for byte where a stranger wrote them.

use hickory_proto::op::Message;
use proptest::prelude::*;

use super::super::records::tests::{map, office};
use super::*;

fn question(name: &str, kind: RecordType) -> Message {
    let mut message = Message::query();
    message.metadata.id = 7;
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
    message
}

fn ask_message(message: &Message) -> Message {
    let bytes = answer(&office(), &message.to_vec().unwrap()).expect("an answer");
    Message::from_vec(&bytes).unwrap()
}

fn ask(name: &str, kind: RecordType) -> Message {
    ask_message(&question(name, kind))
}

fn data(records: &[Record]) -> Vec<String> {
    records.iter().map(|record| record.data.to_string()).collect()
}

#[test]
fn a_peers_addresses_are_told_by_family_and_with_authority() {
    let told = ask("nas.office.warren.internal.", RecordType::A);
    assert_eq!(data(&told.answers), ["100.92.0.9"]);
    assert_eq!(told.answers[0].ttl, TTL_S);
    assert!(told.metadata.authoritative && !told.metadata.recursion_available);
    assert_eq!((told.metadata.id, told.metadata.recursion_desired), (7, true));
    assert_eq!(data(&ask("nas.office.warren.internal.", RecordType::AAAA).answers), ["fd00:1::9"]);
    assert_eq!(
        data(&ask("nas.office.warren.internal.", RecordType::ANY).answers),
        ["100.92.0.9", "fd00:1::9"]
    );
}

#[test]
fn the_case_of_a_question_does_not_matter_and_is_kept_in_the_answer() {
    let told = ask("NaS.OFFICE.warren.INTERNAL.", RecordType::A);
    assert_eq!(data(&told.answers), ["100.92.0.9"]);
    assert_eq!(told.queries[0].name.to_ascii(), "NaS.OFFICE.warren.INTERNAL.");
}

#[test]
fn an_address_of_the_mesh_has_its_nodes_name() {
    let told = ask("9.0.92.100.in-addr.arpa.", RecordType::PTR);
    assert_eq!(data(&told.answers), ["nas.office.warren.internal."]);
    let name = "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.";
    assert_eq!(data(&ask(name, RecordType::PTR).answers), ["nas.office.warren.internal."]);
}

#[test]
fn no_such_name_and_no_such_record_say_how_long_that_holds() {
    for (name, kind, code, zone) in [
        ("printer.office.warren.internal.", RecordType::A, ResponseCode::NXDomain, "office.warren.internal."),
        ("a.nas.office.warren.internal.", RecordType::A, ResponseCode::NXDomain, "office.warren.internal."),
        ("nas.office.warren.internal.", RecordType::MX, ResponseCode::NoError, "office.warren.internal."),
        ("office.warren.internal.", RecordType::A, ResponseCode::NoError, "office.warren.internal."),
        ("10.0.92.100.in-addr.arpa.", RecordType::PTR, ResponseCode::NXDomain, "92.100.in-addr.arpa."),
    ] {
        let told = ask(name, kind);
        assert_eq!((told.metadata.response_code, told.answers.len()), (code, 0), "{name} {kind}");
        let [soa] = told.authorities.as_slice() else { panic!("{name}: {:?}", told.authorities) };
        assert_eq!((soa.record_type(), soa.name.to_ascii().as_str()), (RecordType::SOA, zone), "{name}");
        assert!(told.metadata.authoritative, "{name}");
    }
    assert_eq!(ask("office.warren.internal.", RecordType::SOA).answers.len(), 1);
}

#[test]
fn what_is_not_of_this_network_is_refused_and_never_asked_of_others() {
    for (name, kind) in [
        ("example.org.", RecordType::A),
        (".", RecordType::NS),
        ("warren.internal.", RecordType::SOA),
        ("nas.lab.warren.internal.", RecordType::A),
        ("9.0.93.100.in-addr.arpa.", RecordType::PTR),
        ("office.warren.internal.", RecordType::AXFR),
    ] {
        let told = ask(name, kind);
        assert_eq!(told.metadata.response_code, ResponseCode::Refused, "{name}");
        assert!(
            told.answers.is_empty() && told.authorities.is_empty() && !told.metadata.authoritative,
            "{name}"
        );
    }
    let mut chaos = question("nas.office.warren.internal.", RecordType::A);
    chaos.queries[0].query_class = DNSClass::CH;
    assert_eq!(ask_message(&chaos).metadata.response_code, ResponseCode::Refused);
}

#[test]
fn other_operations_and_more_than_one_question_are_turned_down() {
    let mut update = question("office.warren.internal.", RecordType::SOA);
    update.metadata.op_code = OpCode::Update;
    assert_eq!(ask_message(&update).metadata.response_code, ResponseCode::NotImp);
    let mut two = question("nas.office.warren.internal.", RecordType::A);
    two.add_query(two.queries[0].clone());
    assert_eq!(ask_message(&two).metadata.response_code, ResponseCode::FormErr);
}

#[test]
fn edns_is_answered_in_kind_and_a_later_version_is_told_ours() {
    let mut message = question("nas.office.warren.internal.", RecordType::A);
    message.set_edns(Edns::new());
    let told = ask_message(&message);
    assert!(told.edns.is_some() && told.answers.len() == 1);
    message.edns.as_mut().unwrap().set_version(1);
    let told = ask_message(&message);
    // The number has two names, and hickory reads it as the other.
    assert_eq!(u16::from(told.metadata.response_code), u16::from(ResponseCode::BADVERS));
    assert!(told.answers.is_empty());
}

#[test]
fn what_cannot_be_read_is_told_so_and_a_response_or_a_stump_is_not_answered() {
    let mut bytes = question("nas.office.warren.internal.", RecordType::A).to_vec().unwrap();
    bytes.truncate(20);
    let told = Message::from_vec(&answer(&office(), &bytes).unwrap()).unwrap();
    assert_eq!((told.metadata.id, told.metadata.response_code), (7, ResponseCode::FormErr));
    assert_eq!(answer(&office(), &bytes[..11]), None);
    let mut response = question("nas.office.warren.internal.", RecordType::A);
    response.metadata.message_type = MessageType::Response;
    assert_eq!(answer(&office(), &response.to_vec().unwrap()), None);
}

#[test]
fn the_longest_names_and_all_addresses_fit_into_the_shortest_datagram() {
    let label = "x".repeat(63);
    let hosts: Vec<String> = (1..=9).map(|host| format!("fd00:1::{host:x}:1/128")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let mut map = map(&[(label.as_str(), hosts.as_slice())]);
    let zone = format!("{label}.{label}.{}.internal", "y".repeat(52));
    map.own.zone = Some(zone.parse().unwrap());
    let records = Records::of(&map).unwrap();
    let mut message = question(&format!("{label}.{zone}."), RecordType::ANY);
    message.set_edns(Edns::new());
    let told = Message::from_vec(&answer(&records, &message.to_vec().unwrap()).unwrap()).unwrap();
    assert_eq!(told.answers.len(), 4);
    message.queries[0].query_type = RecordType::MX;
    let told = Message::from_vec(&answer(&records, &message.to_vec().unwrap()).unwrap()).unwrap();
    assert_eq!(told.authorities.len(), 1);
}

/// Bytes of a sound question, some of them changed, and some cut off or added.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let name = prop::sample::select(vec![
        "nas.office.warren.internal.",
        "office.warren.internal.",
        "9.0.92.100.in-addr.arpa.",
        "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.d.f.ip6.arpa.",
        "example.org.",
    ]);
    let kind = any::<u16>().prop_map(RecordType::from);
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let tail = prop::collection::vec(any::<u8>(), 0..40);
    (name, kind, any::<bool>(), changes, tail, any::<prop::sample::Index>()).prop_map(
        |(name, kind, has_edns, changes, tail, end)| {
            let mut message = question(name, kind);
            if has_edns {
                message.set_edns(Edns::new());
            }
            let mut bytes = message.to_vec().unwrap();
            for (place, value) in changes {
                let place = place.index(bytes.len());
                bytes[place] = value;
            }
            bytes.extend(tail);
            let end = end.index(bytes.len()) + 1;
            // Half of them whole.
            if end % 2 == 0 {
                bytes.truncate(end);
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn any_bytes_get_a_short_response_with_their_id_or_none(
        bytes in prop_oneof![damaged(), prop::collection::vec(any::<u8>(), 0..600)]
    ) {
        let records = office();
        let told = answer(&records, &bytes);
        let is_question = bytes.len() >= HEADER_BYTES && bytes[2] & RESPONSE_BIT == 0;
        prop_assert_eq!(told.is_some(), is_question);
        if let Some(told) = told {
            prop_assert!(told.len() <= ANSWER_BYTES_MAX);
            prop_assert_eq!(&told[..2], &bytes[..2]);
            prop_assert!(told[2] & RESPONSE_BIT != 0, "it could be answered in turn");
            let read = Message::from_vec(&told).unwrap();
            let ours = |record: &Record| {
                let labels = record.name.to_lowercase();
                let labels: Vec<&[u8]> = labels.iter().collect();
                records.find(&labels).is_some()
            };
            prop_assert!(read.answers.iter().chain(&read.authorities).all(ours), "{:?}", read);
        }
    }
}
