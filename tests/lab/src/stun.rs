//! STUN servers whose word is not the whole truth: one that stands inside a carrier's network, and a NAT that treats them in its
//! own way.

use crate::error::LabError;
use crate::mesh::one_by_one;
use crate::scenario::{Context, Group, Outcome};

mod contradicted;
mod inside_carrier;

/// One scenario.
struct Case {
    name: &'static str,
    about: &'static str,
    play: fn(&Context, &str, Outcome) -> Result<Outcome, LabError>,
}

const CASES: [Case; 2] = [
    Case {
        name: "stun/inside-carrier",
        about: "a STUN server inside the carrier's network: neighbours meet between the NATs, others outside",
        play: inside_carrier::play,
    },
    Case {
        name: "stun/contradicted",
        about: "a NAT that shows STUN servers another port than peers: direct where possible, and told",
        play: contradicted::play,
    },
];

/// The group `stun/…`.
pub(crate) fn group() -> Group {
    let members = CASES.iter().map(|case| (case.name.to_owned(), case.about.to_owned())).collect();
    let run = |context: &Context, wanted: &[String]| {
        Ok(one_by_one(context, wanted, |name, outcome| match CASES.iter().find(|case| case.name == name) {
            Some(case) => (case.play)(context, name, outcome),
            None => Err(LabError::Description(format!("there is no scenario `{name}`"))),
        }))
    };
    Group { members, run }
}
