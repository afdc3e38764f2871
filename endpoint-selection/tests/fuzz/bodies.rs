//! What must hold for any input at all: one body per function, for any driver that has bytes to offer.

use endpoint_selection::json::{self, JsonError};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::invariants;

/// The longest message: a field of 200 bytes, what is wrong in 400, and the place.
const MESSAGE_BYTES_MAX: usize = 660;

/// An answer to the shortest input: a run with all its events.
const OUTPUT_BYTES: usize = 512 * 1024;

/// For each byte of the input: a candidate comes back with its verdict, its path and its reason, a name in each sentence.
const OUTPUT_PER_BYTE: usize = 16;

/// The functions of the JSON boundary, each with its body.
pub(crate) const FUNCTIONS: [(&str, Body); 6] = [
    ("select", select as Body),
    ("classify", classify),
    ("plan", plan),
    ("outlook", outlook),
    ("explain", explain),
    ("simulate", simulate),
];

/// Plays one input, panics where something does not hold, and gives what the function said; nothing for what is no text.
pub(crate) type Body = fn(&[u8]) -> Option<Result<String, String>>;

pub(crate) fn select(data: &[u8]) -> Option<Result<String, String>> {
    judged(data, json::select, invariants::of_selection)
}

pub(crate) fn classify(data: &[u8]) -> Option<Result<String, String>> {
    judged(data, json::classify, invariants::of_profile)
}

pub(crate) fn plan(data: &[u8]) -> Option<Result<String, String>> {
    judged(data, json::plan, invariants::of_plan)
}

pub(crate) fn outlook(data: &[u8]) -> Option<Result<String, String>> {
    judged(data, json::outlook, invariants::of_outlook)
}

pub(crate) fn explain(data: &[u8]) -> Option<Result<String, String>> {
    judged(data, json::explain, invariants::of_explanation)
}

pub(crate) fn simulate(data: &[u8]) -> Option<Result<String, String>> {
    judged(data, json::simulate, invariants::of_run)
}

fn judged<I: DeserializeOwned, O: DeserializeOwned + Serialize>(
    data: &[u8],
    function: fn(&str) -> Result<String, JsonError>,
    invariants: fn(&I, &O),
) -> Option<Result<String, String>> {
    let input = str::from_utf8(data).ok()?;
    let answer = function(input);
    assert_eq!(answer, function(input), "the same input gives the same bytes");
    match &answer {
        Ok(output) => {
            let bound = OUTPUT_BYTES + OUTPUT_PER_BYTE * input.len();
            assert!(output.len() <= bound, "{} bytes for {}", output.len(), input.len());
            let value: O = serde_json::from_str(output).expect("an output is a value of its type");
            assert_eq!(&serde_json::to_string(&value).unwrap(), output, "and is written as it is");
            let input: I = serde_json::from_str(input).expect("the usual library reads what ours reads");
            invariants(&input, &value);
        }
        Err(error) => {
            if let JsonError::Field { field, why } = error {
                assert!(!field.is_empty() && !why.is_empty(), "{error}");
                assert_ne!(field, "output", "what was decided can be written");
            }
            let message = error.to_string();
            assert!(message.len() <= MESSAGE_BYTES_MAX, "{} bytes: {message}", message.len());
        }
    }
    Some(answer.map_err(|error| error.to_string()))
}
