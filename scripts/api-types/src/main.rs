//! `cargo run -q --bin api-types`: writes the TypeScript declarations of what the dashboard reads. A test fails where
//! the committed file is not what the Rust types say.
//!
//! A program of its own and no part of xtask: xtask runs before the coordinator can be built with its dashboard, and must
//! not wait for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use coordinator::service::resources::device_authorizations::WaitingMachine;
use coordinator::service::resources::relays::RelayList;
use coordinator::service::resources::stun_servers::StunServer;
use coordinator::service::{Overview, PairReport};
use endpoint_selection::Selection;
use endpoint_selection::explain::{Explanation, Pair};
use endpoint_selection::json::{OutlookInput, PlanInput, SelectInput};
use endpoint_selection::nat::Evidence;
use endpoint_selection::simulation::{Run, Scenario};
use endpoint_selection::traversal::Outlook;
use ts_rs::{Config, TS, TypeVisitor};

fn main() -> std::io::Result<()> {
    std::fs::write(file(), declarations())
}

fn file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../web-ui/src/api/generated/api.ts")
}

/// The declarations of the named types and of all that they hold, by name.
fn declarations() -> String {
    // Every number of ours fits a double: times are microseconds or milliseconds, far below 2^53.
    let mut found = Declarations { config: Config::new().with_large_int("number"), by_name: BTreeMap::new() };
    found.visit::<Overview>();
    found.visit::<PairReport>();
    found.visit::<WaitingMachine>();
    found.visit::<RelayList>();
    found.visit::<StunServer>();
    found.visit::<SelectInput>();
    found.visit::<Selection>();
    found.visit::<Evidence>();
    found.visit::<PlanInput>();
    found.visit::<OutlookInput>();
    found.visit::<Outlook>();
    found.visit::<Pair>();
    found.visit::<Explanation>();
    found.visit::<Scenario>();
    found.visit::<Run>();
    let head = "// Made from the Rust types by `cargo run -q --bin api-types`. Do not edit.\n".to_owned();
    let text = found.by_name.values().fold(head, |text, declaration| text + "\n" + declaration);
    text.lines().map(|line| format!("{}\n", line.trim_end())).collect()
}

struct Declarations {
    config: Config,
    by_name: BTreeMap<String, String>,
}

impl TypeVisitor for Declarations {
    fn visit<T: TS + 'static + ?Sized>(&mut self) {
        let name = T::ident(&self.config);
        // A type of the standard library has no place to be written to, and no declaration.
        if T::output_path().is_none() || self.by_name.contains_key(&name) {
            return;
        }
        let docs = T::docs().unwrap_or_default();
        self.by_name.insert(name, format!("{docs}export {}\n", T::decl(&self.config)));
        T::visit_dependencies(self);
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_committed_declarations_are_what_the_rust_types_say() {
        let committed = std::fs::read_to_string(super::file()).unwrap_or_default();
        assert_eq!(committed, super::declarations(), "run: cargo run -q --bin api-types");
    }
}
