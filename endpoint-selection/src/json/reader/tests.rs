//! What the reader takes, refuses and says, and that `serde_json` agrees.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Deserialize;

use super::*;

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sample {
    number: i16,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    pairs: Vec<(u8, bool)>,
    #[serde(default)]
    choice: Choice,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Choice {
    #[default]
    Nothing,
    One(u64),
    Several {
        names: BTreeMap<String, u32>,
    },
    Both(i64, String),
}

fn sample(text: &str) -> Result<Sample, String> {
    read(text).map_err(|Wrong { field, why }| format!("{field}: {why}"))
}

#[test]
fn every_kind_of_value_is_read() {
    let text = r#" { "number" : -7, "text":"a\"\\\/\b\f\n\r\t\u00e9\ud83e\udd94", "pairs":[ [1,true] , [255,false]],
        "choice": {"several": {"names":{"b":2,"a":1}}} } "#;
    let names = BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 2)]);
    assert_eq!(
        sample(text),
        Ok(Sample {
            number: -7,
            text: Some("a\"\\/\u{8}\u{c}\n\r\té🦔".to_owned()),
            pairs: vec![(1, true), (255, false)],
            choice: Choice::Several { names },
        })
    );
    for (choice, expected) in [
        (r#""nothing""#, Choice::Nothing),
        (r#"{"nothing":null}"#, Choice::Nothing),
        (r#"{"one":18446744073709551615}"#, Choice::One(u64::MAX)),
        (r#"{"both":[-9223372036854775808,""]}"#, Choice::Both(i64::MIN, String::new())),
    ] {
        let read = sample(&format!(r#"{{"number":0,"text":null,"choice":{choice}}}"#)).unwrap();
        assert_eq!((read.choice, read.text), (expected, None));
    }
}

#[test]
fn what_nobody_asked_for_is_passed_whatever_it_is() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Loose {
        a: u8,
    }
    let text = r#"{"x":[1.5e+3,-0.0,{"y":"\u0041]}","z":[]},[[]]],"a":1,"b":{},"c":null,"d":true,"e":false,"f":-1E9}"#;
    assert_eq!(read::<Loose>(text).ok(), Some(Loose { a: 1 }));
    for text in [r#"{"x":[1,],"a":1}"#, r#"{"x":{1:2},"a":1}"#, r#"{"x":tru,"a":1}"#, r#"{"x":1.,"a":1}"#] {
        assert!(read::<Loose>(text).is_err(), "{text}");
    }
}

#[test]
fn an_error_says_what_is_wrong_where() {
    for (text, complaint) in [
        (r#"{"number":40000}"#, "number: invalid value: 40000, expected i16 at line 1 column 16"),
        (r#"{"number":-0}"#, "number: invalid value: -0, expected i16 at line 1 column 13"),
        (r#"{"number":01}"#, "number: invalid number at line 1 column 13"),
        ("{\n  \"number\": 1.5\n}", "number: invalid value: 1.5, expected i16 at line 2 column 16"),
        (r#"{"number":"1"}"#, "number: invalid type: string, expected i16 at line 1 column 11"),
        (r#"{"text":""}"#, "input: missing field `number` at line 1 column 12"),
        (r#"{"number":1,"number":2}"#, "number: duplicate field `number` at line 1 column 22"),
        (
            r#"{"numbr":1}"#,
            "numbr: unknown field `numbr`, expected one of `number`, `text`, `pairs`, `choice`",
        ),
        (r#"{"number":1,"pairs":[[1,true],[2]]}"#, "pairs[1]: invalid length 1, expected a tuple of size 2"),
        (r#"{"number":1,"pairs":[[1,true,3]]}"#, "pairs[0][2]: too many items at line 1 column 30"),
        (r#"{"number":1,"pairs":[[1,1]]}"#, "pairs[0][1]: invalid type: number, expected a boolean"),
        (
            r#"{"number":1,"choice":"some"}"#,
            "choice: unknown variant `some`, expected one of `nothing`, `one`",
        ),
        (r#"{"number":1,"choice":"one"}"#, "choice: this variant needs a value"),
        (r#"{"number":1,"choice":{"nothing":1}}"#, "choice.nothing: this variant has no value"),
        (r#"{"number":1,"choice":{"one":1,"one":2}}"#, "choice: too many items"),
        (r#"{"number":1,"choice":{}}"#, "choice: a variant is missing"),
        (r#"{"number":1,"text":"a\x"}"#, "text: invalid escape"),
        (r#"{"number":1,"text":"\ud83e \udd94"}"#, "text: half a character in a string"),
        (r#"{"number":1,"text":"\u12"}"#, "text: invalid escape"),
        ("{\"number\":1,\"text\":\"a\nb\"}", "text: control character in a string"),
        (r#"{"number":1,"text":"a"#, "text: the text ends too early"),
        (r#"{"number" 1}"#, "number: expected `:`"),
        (r#"{"number":1 "text":"a"}"#, "number: expected `,` or the end"),
        (r#"{"number":1,}"#, "input: trailing comma"),
        (r#"{"number":1}}"#, "input: trailing characters at line 1 column 13"),
        (r"[1]", "input: invalid type: sequence, expected struct Sample at line 1 column 1"),
        ("", "input: the text ends too early at line 1 column 1"),
        ("\u{feff}{}", "input: expected value"),
    ] {
        let said = sample(text).unwrap_err();
        assert!(said.starts_with(complaint), "{text}\n{said}\n{complaint}");
    }
}

#[test]
fn a_text_nested_deeper_than_any_input_is_refused_and_not_followed() {
    let nested = |depth: usize| format!(r#"{{"number":1,"x":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
    #[derive(Debug, Deserialize)]
    struct Loose {
        number: u8,
    }
    assert_eq!(read::<Loose>(&nested(126)).map(|loose| loose.number).ok(), Some(1));
    for depth in [127, 100_000] {
        assert!(read::<Loose>(&nested(depth)).is_err_and(|wrong| wrong.why.starts_with("nested too deep")));
    }
}

#[test]
fn what_is_said_about_a_huge_value_is_short() {
    let huge = "é".repeat(300_000);
    for text in [format!(r#"{{"{huge}":1}}"#), format!(r#"{{"number":1,"choice":"{huge}"}}"#)] {
        let said = sample(&text).unwrap_err();
        assert!(said.contains("unknown") && said.len() < 800, "{} bytes", said.len());
    }
}

/// Texts that are almost inputs: parts of a good one, in any order.
fn almost() -> impl Strategy<Value = String> {
    const PARTS: [&str; 30] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        " ",
        "\n",
        "\"",
        "\\",
        "\"number\":",
        "\"text\":",
        "\"pairs\":",
        "\"choice\":",
        "1",
        "-7",
        "0",
        "1.5",
        "1e3",
        "40000",
        "true",
        "false",
        "null",
        "[1,true]",
        "\"nothing\"",
        "{\"one\":5}",
        "{\"number\":1,",
        "\"\\u00e9\"",
        "\\ud83e",
        "é",
    ];
    prop::collection::vec(prop::sample::select(PARTS.to_vec()), 0..20).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn the_reader_takes_what_serde_json_takes_and_gives_the_same(text in almost()) {
        let theirs = serde_json::from_str::<Sample>(&text);
        let ours = sample(&text);
        // A struct written as an array is one to serde, and a mistake to people.
        if let (Err(_), Ok(_)) = (&ours, &theirs) {
            prop_assert!(text.trim_start().starts_with('['), "{text}");
        } else {
            prop_assert_eq!(ours.ok(), theirs.ok());
        }
    }

    #[test]
    fn any_text_at_all_is_read_or_refused(text in ".*") {
        prop_assert_eq!(sample(&text).ok(), serde_json::from_str::<Sample>(&text).ok());
    }

    #[test]
    fn a_string_survives_however_it_is_written(text in any::<String>(), escapes_all in any::<bool>()) {
        let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        let written = if escapes_all { format!("\"{escaped}\"") } else { serde_json::to_string(&text).unwrap() };
        prop_assert_eq!(read::<String>(&written).ok(), Some(text));
    }

    #[test]
    fn a_number_survives(natural in any::<u64>(), integer in any::<i64>()) {
        prop_assert_eq!(read::<u64>(&natural.to_string()).ok(), Some(natural));
        prop_assert_eq!(read::<i64>(&integer.to_string()).ok(), Some(integer));
    }
}
