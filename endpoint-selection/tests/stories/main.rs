//! `docs/explanation/why-this-path.md`, written by the selection itself: what it says of the pairs that people ask about.
//! `UPDATE_STORIES=1` writes the page anew: read the difference before you keep it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod page;
mod played;
mod promises;
mod told;

use std::fs;
use std::path::Path;

/// One pair and what is said of it.
pub(crate) struct Story {
    /// A few words.
    title: &'static str,
    /// Who is behind what.
    situation: &'static str,
    /// What happened when, in words; empty where only the end counts.
    course: Vec<String>,
    explanation: endpoint_selection::explain::Explanation,
}

/// The names of the two nodes in every story, and of the relay.
const OWN: &str = "laptop";
const PEER: &str = "server";
const RELAY: &str = "fra1";

#[test]
fn the_page_says_what_the_selection_says() {
    let stories: Vec<Story> = played::stories().into_iter().chain(told::stories()).collect();
    let page = page::page(&stories);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/explanation/why-this-path.md");
    if std::env::var_os("UPDATE_STORIES").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &page).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let differs = kept.lines().zip(page.lines()).find(|(kept, new)| kept != new);
    assert!(
        kept == page,
        "{} differs, first in {differs:?}; UPDATE_STORIES=1 writes it anew",
        path.display()
    );
}
