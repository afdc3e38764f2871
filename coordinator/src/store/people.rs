//! People, and which organizations they belong to as what.

use std::collections::BTreeMap;
use std::str::FromStr;

use rusqlite::{OptionalExtension, Row};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::row::parse;
use super::{ReadTx, RoleSources, StoreError, WriteTx};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// The person's id.
    pub id: Uuid,
    /// A name or an e-mail address.
    pub name: String,
}

/// What a person may do in an organization; each role may do what those below it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything but secrets.
    Viewer,
    /// Adds machines: makes enrollment keys of a day, and approves requests to join.
    Member,
    /// Changes everything but who owns the organization.
    Admin,
    /// Everything.
    Owner,
}

/// A word that is no role.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a role is viewer, member, admin or owner")]
pub struct InvalidRole;

/// A member of an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberRow {
    /// Who.
    pub person: PersonRow,
    /// As what.
    pub role: Role,
    /// Since when, Unix milliseconds.
    pub created_at_ms: i64,
}

impl Role {
    /// The role as the database keeps it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
}

impl FromStr for Role {
    type Err = InvalidRole;

    fn from_str(text: &str) -> Result<Self, InvalidRole> {
        let all = [Self::Viewer, Self::Member, Self::Admin, Self::Owner];
        all.into_iter().find(|role| role.as_str() == text).ok_or(InvalidRole)
    }
}

pub(super) fn person(row: &Row<'_>) -> rusqlite::Result<PersonRow> {
    Ok(PersonRow { id: parse(row, "person_id")?, name: row.get("person_name")? })
}

impl ReadTx<'_> {
    /// The oldest owner of an organization.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn first_owner(&self) -> Result<Option<PersonRow>, StoreError> {
        let sql = "SELECT people.id AS person_id, people.name AS person_name
                   FROM people JOIN memberships ON person_id = people.id
                   WHERE role = 'owner' ORDER BY people.created_at, people.id LIMIT 1";
        Ok(self.sql().query_row(sql, (), person).optional()?)
    }

    /// The person with this name, and the hash of the password where there is one.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn person_by_name(&self, name: &str) -> Result<Option<(PersonRow, Option<String>)>, StoreError> {
        let sql = "SELECT id AS person_id, name AS person_name, password_hash FROM people WHERE name = ?1";
        let row = self.sql().query_row(sql, [name], |row| Ok((person(row)?, row.get("password_hash")?)));
        Ok(row.optional()?)
    }

    /// Everybody who made an enrollment key, by id.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn enrollment_key_makers(&self) -> Result<BTreeMap<Uuid, PersonRow>, StoreError> {
        let sql = "SELECT id AS person_id, name AS person_name FROM people
                   WHERE id IN (SELECT created_by FROM enrollment_keys)";
        let mut statement = self.sql().prepare_cached(sql)?;
        let rows = statement.query_map((), |row| person(row).map(|person| (person.id, person)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The organizations that a person belongs to, and as what.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn memberships(&self, person: Uuid) -> Result<BTreeMap<Uuid, Role>, StoreError> {
        let sql = "SELECT organization_id, role FROM memberships WHERE person_id = ?1";
        let mut statement = self.sql().prepare_cached(sql)?;
        let rows = statement.query_map([person.to_string()], |row| {
            Ok((parse(row, "organization_id")?, parse(row, "role")?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The members of an organization, by name.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn members(&self, organization: Uuid) -> Result<Vec<MemberRow>, StoreError> {
        let sql = "SELECT person_id, people.name AS person_name, role, memberships.created_at
                   FROM memberships JOIN people ON people.id = person_id
                   WHERE organization_id = ?1 ORDER BY people.name";
        let mut statement = self.sql().prepare_cached(sql)?;
        let rows = statement.query_map([organization.to_string()], |row| {
            let (role, created_at_ms) = (parse(row, "role")?, row.get("created_at")?);
            Ok(MemberRow { person: person(row)?, role, created_at_ms })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
    /// Adds a person.
    ///
    /// # Errors
    /// Where the name is taken or the database does not answer.
    pub fn insert_person(
        &self,
        person: &PersonRow,
        password_hash: Option<&str>,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO people (id, name, password_hash, created_at) VALUES (?1, ?2, ?3, ?4)",
            (person.id.to_string(), &person.name, password_hash, now_ms),
        )?;
        Ok(())
    }

    /// Sets a person's password.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn set_password(&self, person: Uuid, password_hash: &str) -> Result<(), StoreError> {
        let sql = "UPDATE people SET password_hash = ?2 WHERE id = ?1";
        self.sql().execute(sql, (person.to_string(), password_hash))?;
        Ok(())
    }

    /// Makes a person a member in a role, or gives a member another role; a higher one that follows from groups counts on.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn set_membership(
        &self,
        organization: Uuid,
        person: Uuid,
        role: Role,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let known = self.reading().role_sources(organization, person)?;
        self.set_role_sources(organization, person, RoleSources { given: Some(role), ..known }, now_ms)
    }

    /// Ends a membership, what programs do in its name, and the open invitations that were made in it; `false` where there is
    /// none.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_membership(&self, organization: Uuid, person: Uuid) -> Result<bool, StoreError> {
        let ids = (person.to_string(), organization.to_string());
        self.sql()
            .execute("DELETE FROM api_tokens WHERE person_id = ?1 AND organization_id = ?2", ids.clone())?;
        self.delete_open_invitations(organization, person)?;
        let sql = "DELETE FROM memberships WHERE person_id = ?1 AND organization_id = ?2";
        Ok(self.sql().execute(sql, ids)? == 1)
    }

    /// Takes back the open invitations of an organization that a person made.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_open_invitations(&self, organization: Uuid, person: Uuid) -> Result<(), StoreError> {
        let sql =
            "DELETE FROM invitations WHERE created_by = ?1 AND organization_id = ?2 AND accepted_at IS NULL";
        self.sql().execute(sql, (person.to_string(), organization.to_string()))?;
        Ok(())
    }
}
