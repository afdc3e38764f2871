//! The network's DNS names, as users read of them.

use protocol::api::OwnNode;

use crate::control::answer::NamesAnswer;
use crate::names::{Facts, System};

/// The node's place in the DNS; `None` where the coordinator gives no names.
pub(super) fn of_node(own: &OwnNode, facts: Facts) -> Option<NamesAnswer> {
    let zone = own.zone.as_ref()?;
    let Facts { resolvers, system, why } = facts;
    let is_system = system == System::Asks;
    let refusal = match system {
        System::Refused(why) => Some(why),
        System::Unknown | System::Asks | System::Absent => None,
    };
    let (name, zone) = (zone.name_of(&own.name), zone.to_string());
    Some(NamesAnswer { name, zone, resolvers, is_system, why: why.or(refusal) })
}
