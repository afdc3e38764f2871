//! The agent's own idea of its NAT against the recipe's proven claim.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::behaviour::{Udp, word};
use crate::coordinator::Coordinator;
use crate::deadline::{side_by_side, wait_for};
use crate::error::LabError;
use crate::internet::Internet;
use crate::ipv6::nat64_prefix;
use crate::node::{Node, UDP_BLOCKED};
use crate::opening::{PATIENCE, ms};
use crate::recipe::{Recipe, recipe, recipe_names};
use crate::report::attempt;
use crate::scenario::{Context, Group, Outcome};
use crate::topology::Topology;

/// From the agent up until it knows how its NAT maps.
const KNOWN_MAX_MS: f64 = 5000.0;
/// Agents at the same time.
const AT_ONCE: usize = 2;

/// The group `netcheck/…`.
pub(crate) fn group() -> Group {
    let member = |name: &str| {
        (format!("netcheck/{name}"), "the agent knows how its NAT maps, and claims nothing wrong".to_owned())
    };
    Group { members: recipe_names().map(member).collect(), run }
}

fn run(context: &Context, wanted: &[String]) -> Result<Vec<Outcome>, LabError> {
    let context = context.within("netcheck")?;
    let recipes = wanted.iter().filter_map(|name| name.strip_prefix("netcheck/")).map(recipe);
    let recipes = recipes.collect::<Result<Vec<Recipe>, LabError>>()?;
    let topology = recipes.iter().fold(Topology::default().host("coordinator", 2), |topology, recipe| {
        topology.site(recipe.name, recipe.name, &[&format!("{}-host", recipe.name)])
    });
    let internet = Internet::build(&topology)?;
    let mut coordinator = Coordinator::start(&context, &internet, "coordinator")?;
    let outcomes = side_by_side(recipes, AT_ONCE, |recipe| {
        let host = format!("{}-host", recipe.name);
        let log = context.run_dir.join(format!("{host}.log"));
        let check = |outcome| check(&context, &internet, &coordinator, &recipe, &host, outcome);
        attempt(&format!("netcheck/{}", recipe.name), check, || vec![log])
    });
    coordinator.must_run()?;
    Ok(outcomes)
}

fn check(
    context: &Context,
    internet: &Internet,
    coordinator: &Coordinator,
    recipe: &Recipe,
    host: &str,
    outcome: Outcome,
) -> Result<Outcome, LabError> {
    let key = coordinator.new_network(recipe.name)?;
    let mut node = Node::on(context, internet, host)?;
    node.join(&coordinator.url(), &key)?;
    node.start()?;
    node.wait_until_up(PATIENCE)?;
    if recipe.claim.udp == Udp::Blocked {
        let (_, taken) = wait_for("the agent's word that UDP is blocked", PATIENCE, || {
            Ok(node.netcheck_says(UDP_BLOCKED)?.then_some(()))
        })?;
        node.must_run()?;
        node.stop()?;
        return Ok(outcome.figure("verdict_ms", ms(taken)).judged(Ok(UDP_BLOCKED.to_owned())));
    }
    let known = |nat: &BTreeMap<String, Value>| nat.get("mapping").is_some_and(Value::is_string);
    let look = || Ok(Some(node.status()?.own.nat).filter(known));
    let (nat, taken) = wait_for("the agent's knowledge of its NAT's mapping", PATIENCE, look)?;
    let claim = recipe.ipv4()?;
    let truth = [
        ("mapping", word(&claim.mapping)),
        ("filtering", word(&claim.filtering)),
        // RFC 4787 §4.2.1 speaks of port preservation; the agent names the NAT by it, the recipe the port.
        ("allocation", word(&claim.allocation).replace("preserved", "preserving")),
        ("hairpin", word(&claim.hairpin)),
    ];
    // Not to know is no error; to say something else is.
    let wrong = |(field, truth): &(&str, String)| {
        let said = nat.get(*field)?.as_str().filter(|said| said != truth)?;
        Some(format!("{field} is `{truth}`, the agent says `{said}`"))
    };
    let wrong: Vec<String> = truth.iter().filter_map(wrong).collect();
    if recipe.claim.nat64 && !node.netcheck_says(&nat64_prefix())? {
        return Err(LabError::Unmet(format!("netcheck does not name the NAT64 prefix {}", nat64_prefix())));
    }
    node.must_run()?;
    node.stop()?;
    let outcome = outcome.limited("mapping_known_ms", ms(taken), KNOWN_MAX_MS);
    Ok(outcome.judged(if wrong.is_empty() { Ok(word(&claim.mapping)) } else { Err(wrong.join(", ")) }))
}
