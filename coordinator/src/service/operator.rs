//! The operator: who runs the installation. That is who may read the data directory, as whom commands on the coordinator's machine act,
//! and at the API an owner of the organization that was made first.

use std::collections::BTreeMap;
use std::sync::Arc;

use uuid::Uuid;

use super::resources::Membership;
use super::{AdminError, Caller, Credential};
use crate::store::{OrganizationRow, ReadTx, Role, Store, StoreError};

/// The owner of an organization, given by name or id; of the one that was made first where none is given.
///
/// # Errors
/// No owner yet, no such organization, or the database's.
pub fn operator(store: &Store, organization: Option<&str>) -> Result<Membership, AdminError> {
    let (owner, organizations) =
        store.read(|tx| Ok::<_, AdminError>((tx.first_owner()?, tx.organizations()?)))?;
    let person = owner.ok_or(AdminError::NotInitialized)?;
    let found = match organization {
        None => organizations.iter().min_by_key(|known| (known.created_at_ms, known.id)),
        Some(wanted) => find_organization(&organizations, wanted),
    };
    let Some(organization) = found.map(|known| known.id) else {
        let given = organization.unwrap_or_default().to_owned();
        let known = organizations.into_iter().map(|known| known.name).collect::<Vec<_>>().join(", ");
        return Err(AdminError::NoSuchOrganization { given, known });
    };
    let memberships = BTreeMap::from([(organization, Role::Owner)]);
    let caller = Arc::new(Caller { person, memberships, credential: Credential::Command });
    Ok(Membership { caller, organization, role: Role::Owner })
}

/// Whether a caller is the operator.
///
/// # Errors
/// The database's.
pub fn is_operator(tx: &ReadTx<'_>, caller: &Caller) -> Result<bool, StoreError> {
    Ok(caller.credential == Credential::Command || owned_first(tx, caller)?.is_some())
}

/// A caller as the operator, in the organization that makes it one; `None` where it is not.
///
/// # Errors
/// The database's.
pub(crate) fn operator_at_api(store: &Store, caller: Caller) -> Result<Option<Membership>, StoreError> {
    let first = store.read(|tx| owned_first(tx, &caller))?;
    let caller = Arc::new(caller);
    Ok(first.map(|organization| Membership { caller, organization, role: Role::Owner }))
}

/// The organization that was made first, where the caller owns it.
fn owned_first(tx: &ReadTx<'_>, caller: &Caller) -> Result<Option<Uuid>, StoreError> {
    let first = tx.first_organization()?.map(|(first, _)| first);
    Ok(first.filter(|first| caller.role_in(*first) == Some(Role::Owner)))
}

/// The organization with this id, else the one with this name: a name is somebody's choice, and may be another one's id.
pub(super) fn find_organization<'a>(
    organizations: &'a [OrganizationRow],
    wanted: &str,
) -> Option<&'a OrganizationRow> {
    let by_id = organizations.iter().find(|known| known.id.to_string() == wanted);
    by_id.or_else(|| organizations.iter().find(|known| known.name == wanted))
}
