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
        "classify" => json::classify,
        "plan" => json::plan,
        "outlook" => json::outlook,
        "explain" => json::explain,
        "simulate" => json::simulate,
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

/// Compact JSON over several lines, as the field of an object; what is short stays on one.
fn indented(json: &str) -> String {
    const LINE_MAX: usize = 100;
    let (mut out, mut depth, mut in_string, mut escaped, mut flat) = (String::new(), 1, false, false, 0);
    for (at, c) in json.char_indices() {
        let in_text = in_string || c == '"';
        in_string ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        let line = |depth: usize| format!("\n{}", "  ".repeat(depth));
        match c {
            '{' | '[' if !in_text => {
                depth += 1;
                out.push(c);
                if flat > 0 || end_of(&json[at..]) <= LINE_MAX { flat += 1 } else { out += &line(depth) }
            }
            '}' | ']' if !in_text => {
                depth -= 1;
                if flat > 0 {
                    flat -= 1
                } else {
                    out += &line(depth)
                }
                out.push(c);
            }
            ',' if !in_text => out += &if flat > 0 { ", ".to_owned() } else { format!(",{}", line(depth)) },
            ':' if !in_text => out += ": ",
            c => out.push(c),
        }
    }
    out
}

/// The length of the value that the text begins with.
fn end_of(json: &str) -> usize {
    let (mut depth, mut in_string, mut escaped) = (0, false, false);
    for (at, c) in json.char_indices() {
        in_string ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        match c {
            '{' | '[' if !in_string => depth += 1,
            '}' | ']' if !in_string && depth == 1 => return at + 1,
            '}' | ']' if !in_string => depth -= 1,
            _ => {}
        }
    }
    json.len()
}

/// `UPDATE_SCENARIOS=1` writes the outputs anew: read the difference before you keep it.
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
            if std::env::var_os("UPDATE_SCENARIOS").is_some() {
                let (before, _) = text.rsplit_once("\n  \"output\":").unwrap();
                fs::write(&path, format!("{before}\n  \"output\": {}\n}}\n", indented(&output))).unwrap();
                continue;
            }
            assert!(
                expected.ends_with(&format!(r#","output":{output}}}"#)),
                "{} expects\n{expected}\nbut the output is\n{output}",
                path.display()
            );
        }
    }
}
