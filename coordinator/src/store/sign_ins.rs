//! What proves who somebody is: links that sign in once, sessions of browsers, tokens of programs.

use rusqlite::{OptionalExtension, Row};
use uuid::Uuid;

use super::people::person;
use super::row::parse;
use super::{PersonRow, ReadTx, Role, SecretHash, StoreError, WriteTx};

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Its id, which is no secret.
    pub id: Uuid,
    /// Who.
    pub person: PersonRow,
    /// The browser, as it calls itself; at most 200 characters.
    pub browser: String,
    /// Since when, Unix milliseconds.
    pub created_at_ms: i64,
    /// Until when, Unix milliseconds.
    pub expires_at_ms: i64,
}

/// A token that a program uses the API with, in the name of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiTokenRow {
    /// Its id, which is no secret.
    pub id: Uuid,
    /// In whose name.
    pub person: PersonRow,
    /// In which organization.
    pub organization_id: Uuid,
    /// What it is for.
    pub description: String,
    /// The highest role that it acts in.
    pub role: Role,
    /// Since when, Unix milliseconds.
    pub created_at_ms: i64,
    /// Until when, Unix milliseconds; for ever where absent.
    pub expires_at_ms: Option<i64>,
}

fn session(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        id: parse(row, "id")?,
        person: person(row)?,
        browser: row.get("browser")?,
        created_at_ms: row.get("created_at")?,
        expires_at_ms: row.get("expires_at")?,
    })
}

fn api_token(row: &Row<'_>) -> rusqlite::Result<ApiTokenRow> {
    Ok(ApiTokenRow {
        id: parse(row, "id")?,
        person: person(row)?,
        organization_id: parse(row, "organization_id")?,
        description: row.get("description")?,
        role: parse(row, "role")?,
        created_at_ms: row.get("created_at")?,
        expires_at_ms: row.get("expires_at")?,
    })
}

const SESSION: &str =
    "SELECT sessions.id, person_id, people.name AS person_name, browser, sessions.created_at, expires_at
                       FROM sessions JOIN people ON people.id = person_id";

const API_TOKEN: &str =
    "SELECT api_tokens.id, person_id, people.name AS person_name, organization_id, description, role,
                                api_tokens.created_at, expires_at
                         FROM api_tokens JOIN people ON people.id = person_id";

impl ReadTx<'_> {
    /// The session with this token, if its time is not over.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn session(&self, token: SecretHash, now_ms: i64) -> Result<Option<SessionRow>, StoreError> {
        let sql = format!("{SESSION} WHERE token_hash = ?1 AND expires_at > ?2");
        let mut statement = self.sql().prepare_cached(&sql)?;
        Ok(statement.query_row((token.0, now_ms), session).optional()?)
    }

    /// A person's sessions whose time is not over, newest first.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn sessions(&self, person: Uuid, now_ms: i64) -> Result<Vec<SessionRow>, StoreError> {
        let sql =
            format!("{SESSION} WHERE person_id = ?1 AND expires_at > ?2 ORDER BY sessions.created_at DESC");
        let mut statement = self.sql().prepare_cached(&sql)?;
        let rows = statement.query_map((person.to_string(), now_ms), session)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Whether a link is neither used nor over.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn is_sign_in_link_open(&self, token: SecretHash, now_ms: i64) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM sign_in_links WHERE token_hash = ?1 AND used_at IS NULL AND expires_at > ?2";
        Ok(self.sql().prepare_cached(sql)?.exists((token.0, now_ms))?)
    }

    /// The API token with this hash, if its time is not over.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn api_token(&self, token: SecretHash, now_ms: i64) -> Result<Option<ApiTokenRow>, StoreError> {
        let sql = format!("{API_TOKEN} WHERE token_hash = ?1 AND coalesce(expires_at > ?2, 1)");
        let mut statement = self.sql().prepare_cached(&sql)?;
        Ok(statement.query_row((token.0, now_ms), api_token).optional()?)
    }

    /// The API tokens of an organization, newest first.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn api_tokens(&self, organization: Uuid) -> Result<Vec<ApiTokenRow>, StoreError> {
        let sql = format!("{API_TOKEN} WHERE organization_id = ?1 ORDER BY api_tokens.created_at DESC");
        let mut statement = self.sql().prepare_cached(&sql)?;
        let rows = statement.query_map([organization.to_string()], api_token)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

impl WriteTx<'_> {
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

    /// Takes all links of a person away.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_sign_in_links(&self, person: Uuid) -> Result<(), StoreError> {
        self.sql().execute("DELETE FROM sign_in_links WHERE person_id = ?1", [person.to_string()])?;
        Ok(())
    }

    /// Adds a session.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn insert_session(&self, session: &SessionRow, token: SecretHash) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO sessions (id, token_hash, person_id, browser, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                session.id.to_string(),
                token.0,
                session.person.id.to_string(),
                &session.browser,
                session.created_at_ms,
                session.expires_at_ms,
            ),
        )?;
        Ok(())
    }

    /// Ends a person's session; `false` where there is none with this id.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_session(&self, person: Uuid, id: Uuid) -> Result<bool, StoreError> {
        let sql = "DELETE FROM sessions WHERE person_id = ?1 AND id = ?2";
        Ok(self.sql().execute(sql, (person.to_string(), id.to_string()))? == 1)
    }

    /// Ends all sessions of a person but one.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_other_sessions(&self, person: Uuid, but: Option<Uuid>) -> Result<(), StoreError> {
        let but = but.map(|id| id.to_string());
        let sql = "DELETE FROM sessions WHERE person_id = ?1 AND id IS NOT ?2";
        self.sql().execute(sql, (person.to_string(), but))?;
        Ok(())
    }

    /// Forgets links and sessions whose time is over.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn purge_expired_sign_ins(&self, now_ms: i64) -> Result<(), StoreError> {
        for table in ["sign_in_links", "sessions", "api_tokens"] {
            self.sql().execute(&format!("DELETE FROM {table} WHERE expires_at <= ?1"), [now_ms])?;
        }
        Ok(())
    }

    /// Adds an API token.
    ///
    /// # Errors
    /// Where a rule of the schema forbids it or the database does not answer.
    pub fn insert_api_token(&self, token: &ApiTokenRow, hash: SecretHash) -> Result<(), StoreError> {
        self.sql().execute(
            "INSERT INTO api_tokens (id, token_hash, person_id, organization_id, description, role, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                token.id.to_string(),
                hash.0,
                token.person.id.to_string(),
                token.organization_id.to_string(),
                &token.description,
                token.role.as_str(),
                token.created_at_ms,
                token.expires_at_ms,
            ),
        )?;
        Ok(())
    }

    /// Revokes an API token of an organization; `false` where there is none with this id.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub fn delete_api_token(&self, organization: Uuid, id: Uuid) -> Result<bool, StoreError> {
        let sql = "DELETE FROM api_tokens WHERE organization_id = ?1 AND id = ?2";
        Ok(self.sql().execute(sql, (organization.to_string(), id.to_string()))? == 1)
    }
}
