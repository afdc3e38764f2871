//! Compares each recipe's claim with what the classifier finds, all recipes in one internet.

use comfy_table::{Table, presets::NOTHING};

use crate::behaviour::{Behaviour, word};
use crate::classifier::classify;
use crate::error::LabError;
use crate::internet::Internet;
use crate::recipe::{Recipe, recipe};
use crate::stun_server::StunServer;
use crate::topology::Topology;

/// What became of one recipe.
#[derive(Debug)]
pub struct Classified {
    /// The recipe with its claim.
    pub recipe: Recipe,
    /// What was found, or why nothing was.
    pub found: Result<Behaviour, LabError>,
}

impl Classified {
    /// Is the recipe what it claims to be?
    #[must_use]
    pub fn holds(&self) -> bool {
        self.found.as_ref().is_ok_and(|found| *found == self.recipe.claim)
    }
}

/// Classifies recipes, side by side.
///
/// # Errors
/// When a name is unknown or the internet cannot be built. A recipe that fails is a result, not an error.
pub fn classify_recipes(names: &[&str]) -> Result<Vec<Classified>, LabError> {
    let recipes = names.iter().map(|name| recipe(name)).collect::<Result<Vec<_>, _>>()?;
    let mut topology = Topology::default().host("stun", 2);
    for recipe in &recipes {
        topology = topology.site(recipe.name, recipe.name, &[&host_of(recipe)]);
    }
    let internet = Internet::build(&topology)?;
    let addresses = internet.addresses("stun")?;
    let server = StunServer::start(&internet.host("stun")?, [addresses[0], addresses[1]])?;
    let found: Vec<Result<Behaviour, LabError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = recipes
            .iter()
            .map(|recipe| {
                scope.spawn(|| {
                    let host = host_of(recipe);
                    classify(&internet.host(&host)?, internet.addresses(&host)?[0], &server)
                })
            })
            .collect();
        let panicked = || Err(LabError::Unmet("the classifier panicked".to_owned()));
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| panicked())).collect()
    });
    Ok(recipes.into_iter().zip(found).map(|(recipe, found)| Classified { recipe, found }).collect())
}

/// The table for people.
#[must_use]
pub fn table(results: &[Classified]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header(["recipe", "mapping", "filtering", "ports", "hairpin", "as claimed"]);
    for result in results {
        let name = result.recipe.name.to_owned();
        let verdict = if result.holds() { "yes".to_owned() } else { format!("NO: {}", result.recipe.claim) };
        table.add_row(match &result.found {
            Ok(found) => {
                let Behaviour { mapping, filtering, allocation, hairpin } = found;
                vec![name, word(mapping), word(filtering), word(allocation), word(hairpin), verdict]
            }
            Err(error) => vec![name, error.to_string(), String::new(), String::new(), String::new(), verdict],
        });
    }
    table.to_string()
}

fn host_of(recipe: &Recipe) -> String {
    format!("{}-host", recipe.name)
}
