//! Chooses scenarios by name, runs them and reports.

use std::path::Path;

use crate::classification::classify_recipes;
use crate::distribution;
use crate::error::LabError;
use crate::output::{complain, say};
use crate::report::fail_all;
use crate::scenario::{Context, Group, Results};

/// Every group of scenarios, in the order of a full run.
#[must_use]
pub fn groups() -> Vec<Group> {
    vec![
        crate::lab_itself::group(),
        crate::matrix::group(),
        crate::netcheck::group(),
        crate::wireguard_go::group(),
        crate::relay_secrecy::group(),
        crate::rebinding::group(),
        crate::change::group(),
        crate::port_mapping::group(),
        crate::udp_blocked::group(),
        crate::mtu::group(),
        crate::bad_input::group(),
        crate::agreement::group(),
        crate::foreign::group(),
        crate::stranger::group(),
        crate::stun::group(),
    ]
}

/// The names asked for, per group. `all` is all of them, and `matrix` or `matrix/` all that start with `matrix/`.
///
/// # Errors
/// [`LabError::Description`] for a name that fits nothing.
pub fn choose(groups: &[Group], names: &[String]) -> Result<Vec<Vec<String>>, LabError> {
    let fits = |name: &str, wanted: &str| {
        wanted == "all"
            || name == wanted
            || name.strip_prefix(wanted.trim_end_matches('/')).is_some_and(|rest| rest.starts_with('/'))
    };
    for wanted in names {
        let known = groups.iter().flat_map(|group| &group.members).any(|(name, _)| fits(name, wanted));
        if !known {
            return Err(LabError::Description(format!("there is no scenario `{wanted}`: see `lab list`")));
        }
    }
    let chosen = |group: &Group| {
        let members = group.members.iter().map(|(name, _)| name.clone());
        members.filter(|name| names.iter().any(|wanted| fits(name, wanted))).collect()
    };
    Ok(groups.iter().map(chosen).collect())
}

/// Do any of these names ask for more than the lab itself, so that the product's programs are needed?
#[must_use]
pub fn needs_programs(names: &[String]) -> bool {
    names.iter().any(|name| name.split('/').next() != Some("lab"))
}

/// Runs the chosen scenarios and prints how each went; true if all passed.
///
/// # Errors
/// When a name is unknown or the JSON file cannot be written.
pub fn run(context: &Context, names: &[String], json: Option<&Path>) -> Result<bool, LabError> {
    let results = run_times(context, names, 1)?;
    let passed = results.scenarios.iter().filter(|outcome| outcome.passed).count();
    let failed = results.scenarios.len() - passed;
    if let Some(path) = json {
        let text =
            serde_json::to_string_pretty(&results).map_err(|error| LabError::Unmet(error.to_string()))?;
        std::fs::write(path, text + "\n").map_err(|error| LabError::at_path("write", path, error))?;
    }
    if failed > 0 {
        complain(format!("logs of this run are in {}", context.run_dir.display()));
    }
    say(format!("{passed} passed, {failed} failed"));
    Ok(failed == 0)
}

/// Runs the chosen scenarios so many times and prints how each went, then how their figures spread; `file` gets the same as
/// JSON.
///
/// # Errors
/// When a name is unknown or the JSON file cannot be written.
pub fn bench(context: &Context, names: &[String], times: usize, file: Option<&Path>) -> Result<(), LabError> {
    let results = run_times(context, names, times)?;
    say(format!("\n{}", distribution::table(&results.scenarios)));
    let Some(path) = file else { return Ok(()) };
    let report = distribution::report(&results.scenarios, &machine());
    let text = serde_json::to_string_pretty(&report).map_err(|error| LabError::Unmet(error.to_string()))?;
    std::fs::write(path, text + "\n").map_err(|error| LabError::at_path("write", path, error))
}

/// Runs the chosen scenarios so many times.
fn run_times(context: &Context, names: &[String], times: usize) -> Result<Results, LabError> {
    let groups = groups();
    let chosen = choose(&groups, names)?;
    trust_recipes(&groups, &chosen)?;
    let mut results = Results::default();
    for time in 0..times {
        let context = if times == 1 { context.clone() } else { context.within(&format!("run-{time}"))? };
        for (group, names) in groups.iter().zip(&chosen).filter(|(_, names)| !names.is_empty()) {
            let outcomes = (group.run)(&context, names).unwrap_or_else(|error| fail_all(names, &error));
            results.scenarios.extend(outcomes);
        }
    }
    Ok(results)
}

/// What figures depend on: the processor and how many of its cores there are.
#[must_use]
pub fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    format!("{}, {cores} cores", model.unwrap_or("unknown processor"))
}

/// A NAT that is not what it claims must not judge anything: unless the recipes are a scenario of this run anyway, they
/// are classified first.
fn trust_recipes(groups: &[Group], chosen: &[Vec<String>]) -> Result<(), LabError> {
    let lab: Vec<&String> =
        groups[..1].iter().flat_map(|group| &group.members).map(|(name, _)| name).collect();
    if chosen.iter().flatten().all(|name| lab.contains(&name)) {
        return Ok(());
    }
    let results = classify_recipes(&crate::recipe::recipe_names().collect::<Vec<_>>())?;
    match results.iter().find(|result| !result.holds()) {
        Some(wrong) => Err(LabError::Unmet(format!(
            "the recipe `{}` is not what it claims, so no scenario was run: see `lab classify`",
            wrong.recipe.name
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{choose, groups};

    #[test]
    fn a_prefix_chooses_a_whole_family_and_all_chooses_everything() {
        let groups = groups();
        let all: usize = choose(&groups, &["all".to_owned()]).unwrap().iter().map(Vec::len).sum();
        let lab: usize = choose(&groups, &["lab".to_owned()]).unwrap().iter().map(Vec::len).sum();
        assert!(lab >= 4 && all >= lab);
    }

    #[test]
    fn an_unknown_name_is_refused_and_not_skipped() {
        let error = choose(&groups(), &["lab/delay".to_owned(), "lab/dlay".to_owned()]).unwrap_err();
        assert!(error.to_string().contains("`lab/dlay`"), "{error}");
    }
}
