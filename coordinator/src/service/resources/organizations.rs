//! Organizations: whose the networks are.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Call, ResourceError, check_name};
use crate::Entropy;
use crate::service::Caller;
use crate::service::administration::{NAME_MAX, is_id};
use crate::store::{AuditRow, Role, Store};

/// The most organizations that one person may own: nobody fills the disk with them.
const OWNED_MAX: usize = 100;

/// An organization, as one of its members sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Organization {
    /// Its id.
    pub id: Uuid,
    /// Its name, unique in the installation.
    pub name: String,
    /// The role of whoever asks.
    pub role: Role,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
}

/// What an organization is called.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OrganizationName {
    /// 1 to 63 characters.
    pub name: String,
}

/// The organizations of a caller.
///
/// # Errors
/// The database's.
pub fn list(store: &Store, caller: &Caller) -> Result<Vec<Organization>, ResourceError> {
    let rows = store.read(|tx| tx.organizations())?;
    let mine = rows.into_iter().filter_map(|row| {
        let role = caller.role_in(row.id)?;
        Some(Organization { id: row.id, name: row.name, role, created_at_ms: row.created_at_ms })
    });
    Ok(mine.collect())
}

/// Makes an organization, which the caller owns. Who owns none may make none: else an invited guest could take up what the
/// installation's owner pays for.
///
/// # Errors
/// A caller who owns nothing or very much, a name that is taken or out of bounds, or the database's.
pub fn create(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    caller: &Caller,
    wanted: OrganizationName,
) -> Result<Organization, ResourceError> {
    check(&wanted)?;
    let owned = caller.memberships.values().filter(|role| **role == Role::Owner).count();
    if owned == 0 || caller.is_api_token() {
        return Err(ResourceError::Forbidden(
            "only who owns an organization may make another one, at a browser",
        ));
    }
    if owned >= OWNED_MAX {
        return Err(ResourceError::Conflict(format!("you own {owned} organizations, which is the most")));
    }
    let (id, person, actor) = (entropy.id(now_ms), caller.person.id, caller.actor());
    let caller = caller.clone();
    store.write(move |tx| {
        if !caller.is_signed_in(&tx.reading(), now_ms)? {
            return Err(ResourceError::SignedOut);
        }
        if !tx.reading().memberships(person)?.values().any(|role| *role == Role::Owner) {
            return Err(ResourceError::Forbidden("you own no organization any more"));
        }
        if tx.reading().organizations()?.iter().any(|known| known.name == wanted.name) {
            return Err(taken(&wanted.name));
        }
        tx.insert_organization(id, &wanted.name, now_ms)?;
        tx.set_membership(id, person, Role::Owner, now_ms)?;
        let what = ("organization.create", wanted.name.clone(), "{}".to_owned());
        tx.insert_audit(&AuditRow::new(id, now_ms, actor, what))?;
        Ok(Organization { id, name: wanted.name, role: Role::Owner, created_at_ms: now_ms })
    })
}

impl Call<'_> {
    /// Renames the organization.
    ///
    /// # Errors
    /// A name that is taken or out of bounds, or the database's.
    pub fn rename_organization(&self, wanted: OrganizationName) -> Result<(), ResourceError> {
        check(&wanted)?;
        let (id, entry) = (self.organization, self.audit("organization.rename", &wanted.name, &wanted));
        self.write(move |tx| {
            let known = tx.reading().organizations()?;
            if known.iter().any(|known| known.name == wanted.name && known.id != id) {
                return Err(taken(&wanted.name));
            }
            tx.rename_organization(id, &wanted.name)?;
            Ok(tx.insert_audit(&entry)?)
        })
    }
}

/// A name that nobody takes for an id: settings and commands find an organization by either.
fn check(wanted: &OrganizationName) -> Result<(), ResourceError> {
    check_name("name", &wanted.name, NAME_MAX)?;
    if is_id(&wanted.name) {
        return Err(ResourceError::invalid("name", "has the form of an id"));
    }
    Ok(())
}

fn taken(name: &str) -> ResourceError {
    ResourceError::Conflict(format!("the name `{name}` is taken"))
}
