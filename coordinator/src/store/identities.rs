//! Who people are at an OpenID provider, and which roles follow from their groups there.

use std::collections::BTreeMap;

use rusqlite::OptionalExtension;
use uuid::Uuid;

use super::people::person;
use super::row::{parse, parse_optional};
use super::{PersonRow, ReadTx, Role, StoreError, WriteTx};

/// Who somebody is at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityRow {
    /// The provider.
    pub issuer: String,
    /// Who, there.
    pub subject: String,
    /// Since when, Unix milliseconds.
    pub created_at_ms: i64,
}

/// The two roles of a member; the higher one counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RoleSources {
    /// The role that somebody gave.
    pub given: Option<Role>,
    /// The role that follows from groups.
    pub by_groups: Option<Role>,
}

impl RoleSources {
    /// The role that counts; `None` for no member.
    #[must_use]
    pub fn effective(self) -> Option<Role> {
        self.given.max(self.by_groups)
    }
}

impl ReadTx<'_> {
    /// The person behind an identity.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn person_by_identity(&self, issuer: &str, subject: &str) -> Result<Option<PersonRow>, StoreError> {
        let sql = "SELECT people.id AS person_id, people.name AS person_name
                   FROM identities JOIN people ON people.id = person_id WHERE issuer = ?1 AND subject = ?2";
        Ok(self.sql().query_row(sql, (issuer, subject), person).optional()?)
    }

    /// The identities of a person, oldest first.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn identities(&self, person: Uuid) -> Result<Vec<IdentityRow>, StoreError> {
        let sql = "SELECT issuer, subject, created_at FROM identities WHERE person_id = ?1 ORDER BY created_at, issuer, subject";
        let mut statement = self.sql().prepare_cached(sql)?;
        let rows = statement.query_map([person.to_string()], |row| {
            Ok(IdentityRow {
                issuer: row.get("issuer")?,
                subject: row.get("subject")?,
                created_at_ms: row.get("created_at")?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Where the roles of a member come from; both are `None` for who is none.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn role_sources(&self, organization: Uuid, person: Uuid) -> Result<RoleSources, StoreError> {
        let sql =
            "SELECT given_role, group_role FROM memberships WHERE person_id = ?1 AND organization_id = ?2";
        let found = self.sql().query_row(sql, (person.to_string(), organization.to_string()), |row| {
            Ok(RoleSources {
                given: parse_optional(row, "given_role")?,
                by_groups: parse_optional(row, "group_role")?,
            })
        });
        Ok(found.optional()?.unwrap_or_default())
    }

    /// The roles of a person that follow from groups.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn group_roles(&self, person: Uuid) -> Result<BTreeMap<Uuid, Role>, StoreError> {
        let sql = "SELECT organization_id, group_role FROM memberships WHERE person_id = ?1 AND group_role IS NOT NULL";
        let mut statement = self.sql().prepare_cached(sql)?;
        let rows = statement.query_map([person.to_string()], |row| {
            Ok((parse(row, "organization_id")?, parse(row, "group_role")?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Notes who a person is at a provider.
    ///
    /// # Errors
    /// Where the identity is somebody's already or the database does not answer.
    pub fn insert_identity(&self, identity: &IdentityRow, person: Uuid) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO identities (issuer, subject, person_id, created_at) VALUES (?1, ?2, ?3, ?4)",
            (&identity.issuer, &identity.subject, person.to_string(), identity.created_at_ms),
        )?;
        Ok(())
    }

    /// Forgets who a person is at any provider; gives how many identities that were.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_identities(&self, person: Uuid) -> Result<usize, StoreError> {
        Ok(self.sql().execute("DELETE FROM identities WHERE person_id = ?1", [person.to_string()])?)
    }

    /// Sets the roles of a member by their source; without any the membership ends.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn set_role_sources(
        &self,
        organization: Uuid,
        person: Uuid,
        sources: RoleSources,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let Some(role) = sources.effective() else {
            self.delete_membership(organization, person)?;
            return Ok(());
        };
        self.sql().execute(
            "INSERT INTO memberships (person_id, organization_id, role, created_at, given_role, group_role)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (person_id, organization_id) DO UPDATE
             SET role = excluded.role, given_role = excluded.given_role, group_role = excluded.group_role",
            (
                person.to_string(),
                organization.to_string(),
                role.as_str(),
                now_ms,
                sources.given.map(Role::as_str),
                sources.by_groups.map(Role::as_str),
            ),
        )?;
        Ok(())
    }
}
