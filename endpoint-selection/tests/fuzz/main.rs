//! Any input at all to the JSON boundary: damaged ones grown from the scenario vectors, and well-formed ones that mean harm.
//! What must hold for each is in `bodies`, which any other driver can call as well.
//!
//! A run plays the same inputs each time, and is quick. `FUZZ_SEEDS` says how many of each function, `FUZZ_SEED` where to
//! begin, so that the next run can go on where the last one ended. What fails is written next to the build, and belongs into
//! `regressions` under the name `FUNCTION-WHAT.json`. With `FUZZ_KEEP`, inputs and answers go into a file per function in
//! that folder: `wasm.test.mjs` holds the WASM module against them.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "who fuzzes for long wants to know how much was played")]

mod bodies;
mod corpus;
mod hostile;
mod invariants;
mod mutate;
mod tree;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use endpoint_selection::json::{INPUT_BYTES_MAX, JsonError, NETWORK_BYTES_MAX};
use endpoint_selection::simulation::{Rng, Scenario};
use serde_json::json;

use self::bodies::{Body, FUNCTIONS};
use self::corpus::Corpus;
use self::tree::Tree;

/// A call that takes longer is not bounded by anything that was thought of, even in a debug build on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// Longer scenarios than this, in milliseconds, have a test of their own.
const PLAYED_MS_MAX: u32 = 20_000;

/// Inputs and outputs up to this many bytes are kept for the WASM module, and one of a hundred longer ones: all of these would
/// be most of the file.
const KEPT_BYTES_MAX: usize = 30_000;

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().unwrap())
}

/// Input number `seed` of a function.
fn input(function: &str, corpus: &Corpus, seed: u64) -> String {
    let mut rng = Rng::new(seed ^ u64::from_le_bytes(*b"selectio"));
    loop {
        let is_hostile = rng.below(3) == 0;
        let text =
            if is_hostile { hostile::hostile(function, &mut rng) } else { mutate::mutated(corpus, &mut rng) };
        let is_long = function == "simulate"
            && serde_json::from_str(&text).is_ok_and(|played: Scenario| played.duration_ms > PLAYED_MS_MAX);
        if !is_long {
            return text;
        }
    }
}

/// Plays one input; `named` says which one, where it fails.
fn play(function: &str, body: Body, named: &str, input: &str) -> (Duration, Result<String, String>) {
    let start = Instant::now();
    match catch_unwind(AssertUnwindSafe(|| body(input.as_bytes()))) {
        Ok(answer) => {
            let took = start.elapsed();
            assert!(took < PATIENCE, "{function} took {took:?} for {named}");
            (took, answer.unwrap())
        }
        Err(_) => {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{function}-failed.json"));
            fs::write(&path, input).unwrap();
            panic!("{function} failed for {named}, which is now in {}", path.display());
        }
    }
}

/// Plays what once failed, and then so many inputs from the corpus.
fn fuzz(function: &str, count: u64) {
    let (_, body) = FUNCTIONS.into_iter().find(|(name, _)| *name == function).unwrap();
    for (name, input) in corpus::regressions(function) {
        let _answer = play(function, body, &name, &input);
    }
    let corpus = Corpus::of(function);
    let (first, count) = (setting("FUZZ_SEED").unwrap_or(0), setting("FUZZ_SEEDS").unwrap_or(count));
    let (mut kept, mut accepted, mut slowest) = (String::new(), 0, (Duration::ZERO, 0));
    for seed in first..first + count {
        let input = input(function, &corpus, seed);
        let (took, answer) = play(function, body, &format!("FUZZ_SEED={seed}"), &input);
        accepted += u64::from(answer.is_ok());
        slowest = slowest.max((took, seed));
        let (output, error) = (answer.as_ref().ok(), answer.as_ref().err());
        let is_short = input.len() + output.map_or(0, String::len) <= KEPT_BYTES_MAX;
        if env::var_os("FUZZ_KEEP").is_some() && (is_short || seed % 100 == 0) {
            writeln!(kept, "{}", json!({"seed": seed, "input": input, "output": output, "error": error}))
                .unwrap();
        }
    }
    println!("{function}: {count} inputs, {accepted} accepted, the slowest {slowest:?}");
    if let Some(folder) = env::var_os("FUZZ_KEEP") {
        fs::create_dir_all(&folder).unwrap();
        fs::write(Path::new(&folder).join(format!("{function}.jsonl")), kept).unwrap();
    }
    // A generator whose inputs are all refused, or all understood, tests half of what it should.
    assert!(count < 100 || (accepted > count / 10 && accepted < count * 9 / 10), "{accepted} of {count}");
}

#[test]
fn any_input_to_select_is_decided_or_refused() {
    fuzz("select", 3_000);
}

#[test]
fn any_input_to_classify_is_judged_or_refused() {
    fuzz("classify", 3_000);
}

#[test]
fn any_input_to_plan_is_planned_or_refused() {
    fuzz("plan", 3_000);
}

#[test]
fn any_input_to_outlook_is_counted_or_refused() {
    fuzz("outlook", 1_000);
}

#[test]
fn any_input_to_explain_is_told_or_refused() {
    fuzz("explain", 3_000);
}

#[test]
fn any_input_to_simulate_is_played_or_refused() {
    fuzz("simulate", 3_000);
}

#[test]
fn an_error_names_the_very_field_that_was_changed() {
    for (function, body) in FUNCTIONS {
        for input in Corpus::of(function).inputs {
            for (way, _) in input.leaves() {
                for token in ["-1.5", r#""\ud800""#] {
                    let changed = input.with(&way, token).to_string();
                    let path = tree::written(&way);
                    let error = body(changed.as_bytes()).unwrap().unwrap_err();
                    assert!(
                        error.starts_with(&format!("{path}: ")),
                        "{function}: {path} is {token}: {error}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_beginning_of_an_input_is_refused() {
    for (function, body) in FUNCTIONS {
        let shortest =
            Corpus::of(function).inputs.iter().map(Tree::to_string).min_by_key(String::len).unwrap();
        for end in 0..shortest.len() {
            assert!(body(&shortest.as_bytes()[..end]).unwrap().is_err(), "{function}: {}", &shortest[..end]);
        }
    }
}

#[test]
fn an_input_beyond_its_bound_is_refused_before_it_is_read() {
    for (function, body) in FUNCTIONS {
        let input = Corpus::of(function).inputs[0].to_string();
        let max = if function == "outlook" { NETWORK_BYTES_MAX } else { INPUT_BYTES_MAX };
        let padded = |len: usize| format!("{input}{}", " ".repeat(len - input.len()));
        assert!(body(padded(max).as_bytes()).unwrap().is_ok(), "{function}");
        let error = body(padded(max + 1).as_bytes()).unwrap().unwrap_err();
        assert_eq!(error, JsonError::TooLarge { given: max + 1, max }.to_string());
    }
}
