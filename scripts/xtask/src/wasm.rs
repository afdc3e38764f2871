//! The selection as a WebAssembly module and its JavaScript.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use wasm_bindgen_cli_support::Bindgen;

use crate::assets::gzip;

const NAME: &str = "endpoint_selection";

/// The most that a browser may have to load for the selection: module and JavaScript, gzip. It has 89 kB with its six
/// functions; a page on a slow phone network (1.6 Mbit/s) waits half a second for 90.
const GZIP_BYTES_MAX: usize = 90_000;

/// Builds, checks and writes module, JavaScript and its types; says their sizes.
pub(crate) fn build(root: &Path) -> Result<Vec<String>> {
    let module = compile(root)?;
    let mut output = Bindgen::new()
        .input_path(&module)
        .out_name(NAME)
        .web(true)?
        .typescript(true)
        .remove_name_section(true)
        .remove_producers_section(true)
        // Loaded by its address, never by a guess from the script's own.
        .omit_default_module_path(true)
        .generate_output()
        .context("wasm-bindgen cannot read the module")?;
    let glue = format!("./{NAME}_bg.js");
    for import in output.wasm().imports.iter() {
        // Anything else is a clock, a random source or a symbol that nobody links: the selection is pure.
        ensure!(
            import.module == glue,
            "the module imports `{}` from `{}`: the selection must need nothing of its host",
            import.name,
            import.module
        );
    }
    let folder = root.join("web-ui/src/selection/generated");
    fs::create_dir_all(&folder)?;
    output.emit(&folder)?;
    let wasm = fs::read(folder.join(format!("{NAME}_bg.wasm")))?;
    let script = fs::read(folder.join(format!("{NAME}.js")))?;
    let (wasm_gzip, script_gzip) = (gzip(&wasm)?.len(), gzip(&script)?.len());
    if wasm_gzip + script_gzip > GZIP_BYTES_MAX {
        bail!(
            "module and script have {wasm_gzip} + {script_gzip} bytes gzip, at most {GZIP_BYTES_MAX} allowed"
        );
    }
    Ok(vec![
        format!("wasm: {} bytes, {wasm_gzip} gzip", wasm.len()),
        format!("its script: {} bytes, {script_gzip} gzip", script.len()),
        format!("together {} bytes gzip of {GZIP_BYTES_MAX} allowed", wasm_gzip + script_gzip),
    ])
}

/// Only here is the package a `cdylib`: as such it would cost every native build a linked library that nobody loads.
fn compile(root: &Path) -> Result<PathBuf> {
    let target = match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => std::path::absolute(folder)?,
        None => root.join("target"),
    };
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(root)
        .args(["rustc", "--quiet", "--locked", "--package", "endpoint-selection", "--lib"])
        .args(["--features", "wasm", "--crate-type", "cdylib", "--profile", "wasm"])
        .args(["--target", "wasm32-unknown-unknown", "--target-dir"])
        .arg(&target)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "the selection does not build for WASM");
    Ok(target.join(format!("wasm32-unknown-unknown/wasm/{NAME}.wasm")))
}
