//! What every file and manifest of this repository must hold.

#![expect(clippy::unwrap_used, reason = "a test that cannot read the repository must fail")]

use std::fs;
use std::path::{Path, PathBuf};

/// Longer files hold two things.
const FILE_LINES_MAX: usize = 400;

/// Names that say nothing about what is inside.
const DRAWERS: [&str; 8] = ["utils", "util", "common", "shared", "types", "helpers", "manager", "misc"];

/// The packages that hold no IO, and what they must never depend on.
const PURE: [&str; 3] = ["endpoint-selection", "protocol", "agent/engine"];
const IO: [&str; 9] =
    ["tokio", "socket2", "nix", "libc", "rand", "getrandom", "rusqlite", "actix-web", "reqwest"];

/// Folders of what is downloaded or built.
const FOREIGN: [&str; 3] = ["node_modules", "dist", "generated"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn files(extensions: &[&str]) -> Vec<PathBuf> {
    fn walk(folder: &Path, extensions: &[&str], found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !name.starts_with("target") && !FOREIGN.contains(&&*name) {
                    walk(&path, extensions, found);
                }
            } else if path.extension().is_some_and(|extension| extensions.iter().any(|e| extension == *e)) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), extensions, &mut found);
    assert!(!found.is_empty(), "no files with {extensions:?} below {}", root().display());
    found.sort();
    found
}

fn name_of(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

fn assert_none(what: &str, wrong: &[String]) {
    assert!(wrong.is_empty(), "{what}:\n  {}", wrong.join("\n  "));
}

#[test]
fn no_source_file_is_longer_than_400_lines() {
    let wrong: Vec<String> = files(&["rs", "ts", "tsx", "js", "css", "sql"])
        .iter()
        .map(|path| (path, fs::read_to_string(path).unwrap().lines().count()))
        .filter(|(_, lines)| *lines > FILE_LINES_MAX)
        .map(|(path, lines)| format!("{} has {lines}", name_of(path)))
        .collect();
    assert_none("files over 400 lines", &wrong);
}

#[test]
fn every_rust_file_opens_with_a_sentence_about_itself() {
    let wrong: Vec<String> = files(&["rs"])
        .iter()
        .filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! "))
        .map(|path| name_of(path))
        .collect();
    assert_none("files without a `//!` sentence", &wrong);
}

#[test]
fn no_module_is_a_junk_drawer() {
    let wrong: Vec<String> = files(&["rs", "ts", "tsx"])
        .iter()
        .filter(|path| {
            path.strip_prefix(root())
                .unwrap()
                .with_extension("")
                .iter()
                .any(|part| DRAWERS.contains(&part.to_string_lossy().as_ref()))
        })
        .map(|path| name_of(path))
        .collect();
    assert_none("names that say nothing", &wrong);
}

#[test]
fn pure_packages_depend_on_no_io() {
    let mut wrong = Vec::new();
    for package in PURE {
        let manifest = fs::read_to_string(root().join(package).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
        for io in IO {
            let named =
                |line: &str| line.starts_with(&format!("{io}.")) || line.starts_with(&format!("{io} "));
            if dependencies.lines().any(named) {
                wrong.push(format!("{package} depends on {io}"));
            }
        }
    }
    assert_none("purity broken", &wrong);
}

#[test]
fn every_path_that_the_architecture_page_names_exists() {
    let page = fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    let wrong: Vec<String> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains('/') && !word.contains([' ', '<', '{', '*']) && !word.starts_with('/'))
        .filter(|path| !root().join(path).exists())
        .map(str::to_owned)
        .collect();
    assert_none("ARCHITECTURE.md names what is not there", &wrong);
}

#[test]
fn every_test_that_the_page_of_advisories_names_exists() {
    let page = fs::read_to_string(root().join("docs/explanation/advisories.md")).unwrap();
    let sources: String = files(&["rs"]).iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let wrong: Vec<String> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|word| word.contains('_') && !word.contains('/'))
        .filter(|name| !sources.contains(&format!("fn {name}(")))
        .map(str::to_owned)
        .collect();
    assert_none("docs/explanation/advisories.md names tests that are not there", &wrong);
}

#[test]
fn every_decision_record_says_its_status_on_one_screen() {
    let wrong: Vec<String> = fs::read_dir(root().join("docs/adr"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let text = fs::read_to_string(path).unwrap();
            !text.contains("\nStatus: ") || text.lines().count() > 50
        })
        .map(|path| name_of(&path))
        .collect();
    assert_none("decision records without a status, or too long", &wrong);
}
