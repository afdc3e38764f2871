//! `cargo run -q --bin xtask -- wasm | assets`: the steps of the build that deserve a language.
//!
//! `wasm` builds the selection as a module for browsers into `web-ui/src/selection/generated`. `assets` puts a brotli
//! and a gzip twin beside each file of the built dashboard, so that the coordinator never compresses at run time.

mod assets;
mod wasm;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Result, bail};

fn main() -> ExitCode {
    match run() {
        Ok(lines) => {
            let mut out = std::io::stdout().lock();
            // A reader that went away does not matter.
            let _ = lines.iter().try_for_each(|line| writeln!(out, "{line}"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Vec<String>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["wasm"] => wasm::build(&root()),
        ["assets"] => assets::compress(&root().join("web-ui/dist")),
        _ => bail!("usage: xtask wasm | assets"),
    }
}

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
