//! Members of an organization. It always keeps an owner, and nobody gives away more than they have.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{Call, ResourceError};
use crate::store::{AuditRow, MemberRow, Role, RoleSources, WriteTx};

/// A member.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Member {
    /// The person's id.
    pub id: Uuid,
    /// Name or e-mail address.
    pub name: String,
    /// The role.
    pub role: Role,
    /// Since when, Unix milliseconds.
    pub created_at_ms: i64,
}

/// How a membership ends.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct Removal {
    /// Whether the enrollment keys that the person made are revoked.
    #[serde(default)]
    pub revoke_keys: bool,
}

/// What is left of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct RemovedMember {
    /// How many enrollment keys that the person made still let machines in, or did so until now.
    pub enrollment_keys: usize,
    /// Whether they were revoked.
    pub revoked: bool,
}

/// What becomes of a member.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(untagged)]
enum Wanted {
    Role(MemberRole),
    Gone(Removal),
}

impl Wanted {
    const fn role(self) -> Option<Role> {
        match self {
            Self::Role(MemberRole { role }) => Some(role),
            Self::Gone(_) => None,
        }
    }
}

/// Another role for a member.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberRole {
    /// The role.
    pub role: Role,
}

impl Call<'_> {
    /// The members, by name.
    ///
    /// # Errors
    /// The database's.
    pub fn members(&self) -> Result<Vec<Member>, ResourceError> {
        let rows = self.store.read(|tx| tx.members(self.organization))?;
        let member = |row: MemberRow| Member {
            id: row.person.id,
            name: row.person.name,
            role: row.role,
            created_at_ms: row.created_at_ms,
        };
        Ok(rows.into_iter().map(member).collect())
    }

    /// Gives a member another role. A role that followed from groups which nobody maps any more becomes one that somebody gave.
    ///
    /// # Errors
    /// No such member, a role below the one that a group gives, a role above the caller's, the last owner, or the database's.
    pub fn set_member_role(&self, person: Uuid, wanted: MemberRole) -> Result<(), ResourceError> {
        self.change_member("member.role", person, Wanted::Role(wanted)).map(drop)
    }

    /// Ends a membership; API tokens in that person's name end with it. Enrollment keys that the person made do so only where they are to
    /// be revoked: machines that are being set up may wait for them.
    ///
    /// # Errors
    /// No such member, one above the caller, the last owner, or the database's.
    pub fn remove_member(&self, person: Uuid, removal: Removal) -> Result<RemovedMember, ResourceError> {
        self.change_member("member.remove", person, Wanted::Gone(removal))
    }

    fn change_member(
        &self,
        action: &'static str,
        person: Uuid,
        change: Wanted,
    ) -> Result<RemovedMember, ResourceError> {
        let wanted = change.role();
        if self.caller.is_api_token() && self.role < Role::Owner {
            return Err(ResourceError::Forbidden("roles are given at a browser, or by a token of an owner"));
        }
        let (organization, own_role, now_ms) = (self.organization, self.role, self.now_ms);
        // A token that may only read does not end the membership of its person.
        let is_self = person == self.caller.person.id && !self.caller.is_api_token();
        let mut entry = self.audit(action, "", &change);
        let groups = self.groups.cloned();
        self.write(move |tx| {
            let members = tx.reading().members(organization)?;
            let member = members.iter().find(|member| member.person.id == person);
            let member = member.ok_or(ResourceError::NotFound("member"))?;
            let leaves = is_self && wanted.is_none();
            if !leaves && own_role < Role::Admin {
                return Err(ResourceError::Forbidden("this takes an admin of the organization"));
            }
            if own_role < Role::Owner && (member.role == Role::Owner || wanted == Some(Role::Owner)) {
                return Err(ResourceError::Forbidden("only an owner makes or unmakes owners"));
            }
            let owners = members.iter().filter(|member| member.role == Role::Owner).count();
            if member.role == Role::Owner && wanted != Some(Role::Owner) && owners == 1 {
                let why = "this is the last owner: make somebody else an owner first";
                return Err(ResourceError::Conflict(why.to_owned()));
            }
            let sources = tx.reading().role_sources(organization, person)?;
            let follows = match (&groups, sources.by_groups) {
                (Some(groups), Some(role)) => groups.may_give(&tx.reading(), organization, (person, role))?,
                _ => false,
            };
            if follows && wanted.is_some_and(|wanted| sources.by_groups > Some(wanted)) {
                let why = "a higher role follows from this member's groups at the sign-in provider; change it there";
                return Err(ResourceError::Conflict(why.to_owned()));
            }
            entry.subject.clone_from(&member.person.name);
            let given = wanted.map(|role| RoleSources {
                given: Some(role),
                // What no group gives any more is the role that somebody gives now.
                by_groups: sources.by_groups.filter(|_| follows),
            });
            apply(tx, organization, person, given, now_ms)?;
            tx.insert_audit(&entry)?;
            let keys = tx.reading().usable_enrollment_keys_of(organization, person, now_ms)?;
            let revoked = matches!(change, Wanted::Gone(Removal { revoke_keys: true }));
            for key in keys.iter().filter(|_| revoked) {
                tx.revoke_enrollment_key(*key, now_ms)?;
                let what = ("enrollment-key.revoke", key.to_string(), "null".to_owned());
                tx.insert_audit(&AuditRow::new(organization, now_ms, entry.actor.clone(), what))?;
            }
            Ok(RemovedMember { enrollment_keys: keys.len(), revoked })
        })
    }
}

fn apply(
    tx: &WriteTx<'_>,
    organization: Uuid,
    person: Uuid,
    wanted: Option<RoleSources>,
    now_ms: i64,
) -> Result<(), ResourceError> {
    match wanted {
        Some(sources) => {
            tx.set_role_sources(organization, person, sources, now_ms)?;
            // They might let in whom the new role may not.
            tx.delete_open_invitations(organization, person)?;
        }
        None => drop(tx.delete_membership(organization, person)?),
    }
    Ok(())
}
