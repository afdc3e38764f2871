//! Where inputs begin: the scenario vectors, the words in them, and what once failed.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::tree::{Tree, key_of};

/// What a function's inputs are grown from.
pub(crate) struct Corpus {
    pub(crate) inputs: Vec<Tree>,
    /// The keys of their tokens, with their quotes, and each token.
    pub(crate) words: Vec<(String, String)>,
}

impl Corpus {
    /// The inputs of `scenarios/FUNCTION`.
    pub(crate) fn of(function: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(function);
        let input = |path: PathBuf| {
            let scenario: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
            Tree::from(&scenario["input"])
        };
        let inputs: Vec<Tree> = files(&folder).into_iter().map(input).collect();
        let leaves = inputs.iter().flat_map(Tree::leaves);
        let words: BTreeSet<(String, String)> =
            leaves.map(|(way, token)| (key_of(&way).to_owned(), token.to_owned())).collect();
        Self { inputs, words: words.into_iter().collect() }
    }
}

/// The inputs of a function that once failed, by name: `regressions/FUNCTION-WHAT.json`, byte for byte.
pub(crate) fn regressions(function: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/regressions");
    files(&folder)
        .into_iter()
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path))
        .filter(|(name, _)| name.starts_with(&format!("{function}-")))
        .map(|(name, path)| (name, fs::read_to_string(path).unwrap()))
        .collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files
}
