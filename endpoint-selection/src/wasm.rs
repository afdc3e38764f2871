//! The functions of [`crate::json`] for JavaScript, and the only file that knows wasm-bindgen: text in, text out, an
//! error becomes an exception with the same message.

use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::json::{self, JsonError};

/// A third of the size of std's allocator for WASM.
#[global_allocator]
static ALLOCATOR: rlsf::SmallGlobalTlsf = rlsf::SmallGlobalTlsf::new();

/// Decides once: a `SelectInput` in, a `Selection` out.
///
/// # Errors
/// An exception whose message names the field.
#[wasm_bindgen]
pub fn select(input: &str) -> Result<String, JsError> {
    thrown(json::select(input))
}

/// Says what is known about a NAT: `Evidence` in, `NatProfile` out.
///
/// # Errors
/// An exception whose message names the field.
#[wasm_bindgen]
pub fn classify(input: &str) -> Result<String, JsError> {
    thrown(json::classify(input))
}

/// Plans how to open a direct path: a `PlanInput` in, a `Plan` out.
///
/// # Errors
/// An exception whose message names the field.
#[wasm_bindgen]
pub fn plan(input: &str) -> Result<String, JsError> {
    thrown(json::plan(input))
}

/// Says what paths a network may expect: an `OutlookInput` in, an `Outlook` of each node out.
///
/// # Errors
/// An exception whose message names the field.
#[wasm_bindgen]
pub fn outlook(input: &str) -> Result<String, JsError> {
    thrown(json::outlook(input))
}

/// Tells the story of a pair: a `Pair` in, an `Explanation` out.
///
/// # Errors
/// An exception whose message names the field.
#[wasm_bindgen]
pub fn explain(input: &str) -> Result<String, JsError> {
    thrown(json::explain(input))
}

/// Plays what would happen: a `Scenario` in, a `Run` out.
///
/// # Errors
/// An exception whose message names the field.
#[wasm_bindgen]
pub fn simulate(input: &str) -> Result<String, JsError> {
    thrown(json::simulate(input))
}

fn thrown(answer: Result<String, JsonError>) -> Result<String, JsError> {
    answer.map_err(|error| JsError::new(&error.to_string()))
}
