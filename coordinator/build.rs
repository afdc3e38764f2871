//! Lets cargo notice that the dashboard was built anew. It builds nothing: `scripts/web` does.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A debug build reads the dashboard's files when they are asked for.
    if std::env::var_os("PROFILE").is_some_and(|profile| profile == "debug") {
        return;
    }
    let (built, parent) = ("../web-ui/dist", "../web-ui");
    // Where it is not built yet, its parent tells when it is: a folder that is not there counts as changed every time.
    println!("cargo::rerun-if-changed={}", if Path::new(built).exists() { built } else { parent });
}
