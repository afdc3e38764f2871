//! People, their links to sign in, and the browsers that are signed in.

use rusqlite::OptionalExtension;
use uuid::Uuid;

use super::row::parse;
use super::{ReadTx, SecretHash, StoreError, WriteTx};

/// A person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// The person's id.
    pub id: Uuid,
    /// A name or an e-mail address.
    pub name: String,
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Who.
    pub person: PersonRow,
    /// The organizations whose networks the person may see.
    pub organizations: Vec<Uuid>,
}

impl ReadTx<'_> {
    /// The oldest owner of an organization.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn first_owner(&self) -> Result<Option<PersonRow>, StoreError> {
        let sql = "SELECT people.id, people.name FROM people JOIN memberships ON person_id = people.id
                   WHERE role = 'owner' ORDER BY people.created_at, people.id LIMIT 1";
        let row = self
            .sql()
            .query_row(sql, (), |row| Ok(PersonRow { id: parse(row, "id")?, name: row.get("name")? }));
        Ok(row.optional()?)
    }

    /// The session with this token, if its time is not over.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn session(&self, token: SecretHash, now_ms: i64) -> Result<Option<SessionRow>, StoreError> {
        let sql = "SELECT people.id, people.name FROM sessions JOIN people ON people.id = person_id
                   WHERE token_hash = ?1 AND expires_at > ?2";
        let mut statement = self.sql().prepare_cached(sql)?;
        let person = statement.query_row((token.0, now_ms), |row| {
            Ok(PersonRow { id: parse(row, "id")?, name: row.get("name")? })
        });
        let Some(person) = person.optional()? else { return Ok(None) };
        let mut statement =
            self.sql().prepare_cached("SELECT organization_id FROM memberships WHERE person_id = ?1")?;
        let organizations =
            statement.query_map([person.id.to_string()], |row| parse(row, "organization_id"))?;
        let organizations = organizations.collect::<Result<_, _>>()?;
        Ok(Some(SessionRow { person, organizations }))
    }
}

impl WriteTx<'_> {
    /// Adds a person as owner of an organization.
    ///
    /// # Errors
    /// Where the name is taken or the database does not answer.
    pub fn insert_owner(
        &self,
        person: &PersonRow,
        organization: Uuid,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO people (id, name, created_at) VALUES (?1, ?2, ?3)",
            (person.id.to_string(), &person.name, now_ms),
        )?;
        self.sql().execute(
            "INSERT INTO memberships (person_id, organization_id, role) VALUES (?1, ?2, 'owner')",
            (person.id.to_string(), organization.to_string()),
        )?;
        Ok(())
    }

    /// Adds a link that signs a person in.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn insert_sign_in_link(
        &self,
        token: SecretHash,
        person: Uuid,
        now_ms: i64,
        expires_at_ms: i64,
    ) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO sign_in_links (token_hash, person_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
            (token.0, person.to_string(), now_ms, expires_at_ms),
        )?;
        Ok(())
    }

    /// Uses a link; gives the person, or `None` where it is unknown, used or expired. One statement, so of two
    /// browsers with one link exactly one is signed in.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn use_sign_in_link(&self, token: SecretHash, now_ms: i64) -> Result<Option<Uuid>, StoreError> {
        let sql = "UPDATE sign_in_links SET used_at = ?2
                   WHERE token_hash = ?1 AND used_at IS NULL AND expires_at > ?2 RETURNING person_id";
        Ok(self.sql().query_row(sql, (token.0, now_ms), |row| parse(row, "person_id")).optional()?)
    }

    /// Adds a session.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn insert_session(
        &self,
        token: SecretHash,
        person: Uuid,
        now_ms: i64,
        expires_at_ms: i64,
    ) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO sessions (token_hash, person_id, created_at, expires_at) VALUES (?1, ?2, ?3, ?4)",
            (token.0, person.to_string(), now_ms, expires_at_ms),
        )?;
        Ok(())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_session(&self, token: SecretHash) -> Result<(), StoreError> {
        self.sql().execute("DELETE FROM sessions WHERE token_hash = ?1", [token.0])?;
        Ok(())
    }

    /// Forgets links and sessions whose time is over.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn purge_expired_sign_ins(&self, now_ms: i64) -> Result<(), StoreError> {
        self.sql().execute("DELETE FROM sign_in_links WHERE expires_at <= ?1", [now_ms])?;
        self.sql().execute("DELETE FROM sessions WHERE expires_at <= ?1", [now_ms])?;
        Ok(())
    }
}
