//! Every vector in `scenarios/FUNCTION/NAME.json`, run natively. `node_parity.test.mjs` and the browser test run the same
//! ones in the WASM module, so that all three give the same bytes.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use endpoint_selection::json;
use serde_json::Value;

/// A function of the JSON boundary by the name of its folder.
fn function(name: &str) -> fn(&str) -> Result<String, json::JsonError> {
    match name {
        "select" => json::select,
        _ => panic!("`scenarios/{name}` belongs to no function"),
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    assert!(!entries.is_empty(), "{} is empty", folder.display());
    entries
}

/// The same JSON without the white space between its parts.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    let keep = |c: &char| {
        let kept = in_string || !c.is_ascii_whitespace();
        in_string ^= *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        kept
    };
    json.chars().filter(keep).collect()
}

#[test]
fn every_scenario_gives_exactly_its_output() {
    for folder in entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios")) {
        let run = function(folder.file_name().unwrap().to_str().unwrap());
        for path in entries(&folder) {
            let text = fs::read_to_string(&path).unwrap();
            let scenario: Value = serde_json::from_str(&text).unwrap();
            assert!(scenario["about"].is_string(), "{} does not say what it is about", path.display());
            let output = run(&scenario["input"].to_string()).unwrap();
            // The output is the last field, so its exact bytes end the file.
            let expected = compact(&text);
            assert!(
                expected.ends_with(&format!(r#","output":{output}}}"#)),
                "{} expects\n{expected}\nbut the output is\n{output}",
                path.display()
            );
        }
    }
}
