//! The functions of [`crate::json`] for JavaScript, and the only file that knows wasm-bindgen: text in, text out, an
//! error becomes an exception with the same message.

use wasm_bindgen::JsError;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::json::{self, JsonError};

/// Decides once: a `SelectInput` in, a `Selection` out.
///
/// # Errors
/// An exception whose message names the field.
#[wasm_bindgen]
pub fn select(input: &str) -> Result<String, JsError> {
    thrown(json::select(input))
}

fn thrown(answer: Result<String, JsonError>) -> Result<String, JsError> {
    answer.map_err(|error| JsError::new(&error.to_string()))
}
