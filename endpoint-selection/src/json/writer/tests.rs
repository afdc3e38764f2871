//! What the writer writes and refuses, and that `serde_json` agrees.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use proptest::prelude::*;
use serde::Serialize;

use super::*;

#[derive(Debug, Clone, Serialize)]
struct Sample {
    natural: u64,
    integer: i32,
    text: String,
    address: SocketAddr,
    pairs: Vec<(u8, bool)>,
    #[serde(skip_serializing_if = "Option::is_none")]
    absent: Option<u8>,
    names: BTreeMap<String, Option<char>>,
    #[serde(flatten)]
    tagged: Tagged,
    choices: Vec<Choice>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Tagged {
    Empty,
    Full { inside: Unit },
}

#[derive(Debug, Clone, Serialize)]
struct Unit;

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    Nothing,
    One(i64),
    Both(String, Option<Box<Choice>>),
    Several { list: Vec<Choice>, unit: () },
}

fn sample() -> impl Strategy<Value = Sample> {
    let choice = prop_oneof![
        Just(Choice::Nothing),
        any::<i64>().prop_map(Choice::One),
        any::<String>().prop_map(|text| Choice::Both(text, Some(Box::new(Choice::Nothing)))),
    ];
    let list = prop::collection::vec(choice, 0..4);
    let choices =
        list.prop_map(|list| vec![Choice::Several { list: list.clone(), unit: () }, Choice::Nothing]);
    let tagged = prop_oneof![Just(Tagged::Empty), Just(Tagged::Full { inside: Unit })];
    let address = (any::<[u8; 16]>(), any::<bool>(), any::<u16>()).prop_map(|(ip, is_v4, port)| {
        let [a, b, c, d, ..] = ip;
        if is_v4 { ([a, b, c, d], port).into() } else { (ip, port).into() }
    });
    let pairs = prop::collection::vec(any::<(u8, bool)>(), 0..3);
    let names = prop::collection::btree_map(any::<String>(), any::<Option<char>>(), 0..3);
    let scalars = (any::<u64>(), any::<i32>(), any::<String>(), any::<Option<u8>>());
    (scalars, address, pairs, names, tagged, choices).prop_map(
        |((natural, integer, text, absent), address, pairs, names, tagged, choices)| Sample {
            natural,
            integer,
            text,
            address,
            pairs,
            absent,
            names,
            tagged,
            choices,
        },
    )
}

proptest! {
    #[test]
    fn the_writer_writes_what_serde_json_writes(sample in sample()) {
        prop_assert_eq!(write(&sample).unwrap(), serde_json::to_string(&sample).unwrap());
    }

    #[test]
    fn a_number_is_written_with_all_its_digits(natural in any::<u64>(), shift in 0..64_u32, integer in any::<i64>()) {
        let natural = natural >> shift;
        prop_assert_eq!(write(&natural).unwrap(), natural.to_string());
        prop_assert_eq!(write(&(integer >> shift)).unwrap(), (integer >> shift).to_string());
    }
}

#[test]
fn each_character_is_escaped_as_serde_json_does() {
    for character in (0..=0x2ff).filter_map(char::from_u32).chain(['\u{2028}', '🦔']) {
        let text = format!("a{character}b");
        assert_eq!(write(&text).unwrap(), serde_json::to_string(&text).unwrap());
        assert_eq!(write(&character).unwrap(), serde_json::to_string(&character).unwrap());
    }
}

#[test]
fn the_smallest_and_the_largest_numbers_are_written() {
    for number in [i64::MIN, -1, 0, 1, 9, 10, i64::MAX] {
        assert_eq!(write(&number).unwrap(), number.to_string());
    }
    assert_eq!(write(&u64::MAX).unwrap(), u64::MAX.to_string());
}

#[test]
fn what_no_output_consists_of_is_refused() {
    assert!(write(&1.5_f64).is_err());
    assert!(write(&BTreeMap::from([(1, 2)])).is_err());
    assert!(write(&BTreeMap::from([(vec!["a"], 2)])).is_err());
}
