//! Lets cargo notice that the dashboard was built anew. It builds nothing: `scripts/web` does.

use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let (built, parent) = ("../web-ui/dist", "../web-ui");
    let is_built = Path::new(built).exists();
    // A debug build reads the dashboard's files when they are asked for, but only from a folder that was there when it was
    // compiled.
    if is_built && std::env::var_os("PROFILE").is_some_and(|profile| profile == "debug") {
        return;
    }
    // Where it is not built yet, its parent tells when it is: a folder that is not there counts as changed every time.
    println!("cargo::rerun-if-changed={}", if is_built { built } else { parent });
}
