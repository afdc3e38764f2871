//! Compares each recipe's claim with what the classifier finds, all recipes in one internet.

use comfy_table::{Table, presets::NOTHING};

use crate::behaviour::{Behaviour, Claim, word};
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
    pub found: Result<Claim, LabError>,
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
    let mut topology = Topology::default().dual_host("stun", 2);
    for recipe in &recipes {
        topology = topology.site(recipe.name, recipe.name, &[&host_of(recipe)]);
    }
    let internet = Internet::build(&topology)?;
    let server = StunServer::start(&internet, "stun")?;
    let found: Vec<Result<Claim, LabError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = recipes
            .iter()
            .map(|recipe| scope.spawn(|| classify(&internet, &host_of(recipe), &server)))
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
    table.set_header([
        "recipe",
        "udp",
        "mapping",
        "filtering",
        "ports",
        "hairpin",
        "ipv6 filtering",
        "as claimed",
    ]);
    for result in results {
        let name = result.recipe.name.to_owned();
        let verdict = if result.holds() { "yes".to_owned() } else { format!("NO: {}", result.recipe.claim) };
        table.add_row(match &result.found {
            Ok(Claim { udp, ipv4, ipv6, nat64 }) => {
                let none = || vec![String::new(); 4];
                let ipv4 = ipv4.map_or_else(none, |Behaviour { mapping, filtering, allocation, hairpin }| {
                    vec![word(&mapping), word(&filtering), word(&allocation), word(&hairpin)]
                });
                let udp = if *nat64 { format!("{}, nat64", word(udp)) } else { word(udp) };
                let ipv6 = ipv6.map(|filtering| word(&filtering)).unwrap_or_default();
                [vec![name, udp], ipv4, vec![ipv6, verdict]].concat()
            }
            Err(error) => [vec![name, error.to_string()], vec![String::new(); 5], vec![verdict]].concat(),
        });
    }
    table.to_string()
}

fn host_of(recipe: &Recipe) -> String {
    format!("{}-host", recipe.name)
}
