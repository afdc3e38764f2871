//! API tokens: what programs use the API with.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Call, ResourceError, check_description, expiry};
use crate::service::ApiToken as Secret;
use crate::store::{ApiTokenRow, Role};

/// The longest life of a token that has an end: ten years.
const LIFETIME_MAX_MS: i64 = 3_653 * 24 * 60 * 60 * 1000;

/// The most tokens of a person in an organization.
const TOKENS_MAX: usize = 100;

/// An API token; the secret was shown once, when it was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApiToken {
    /// Its id.
    pub id: Uuid,
    /// In whose name it acts.
    pub person: String,
    /// What it is for.
    pub description: String,
    /// The highest role that it acts in; never above what its person has.
    pub role: Role,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// Until when it works, Unix milliseconds; for ever where absent.
    pub expires_at_ms: Option<i64>,
}

/// A new API token.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewApiToken {
    /// What it is for, at most 200 characters.
    pub description: String,
    /// The highest role that it acts in, at most the caller's.
    pub role: Role,
    /// Seconds for which it works, at most ten years; for ever where absent.
    pub lifetime_s: Option<i64>,
}

/// An API token, and the only copy of its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CreatedApiToken {
    /// What is kept.
    #[serde(flatten)]
    pub api_token: ApiToken,
    /// The secret: send it as `Authorization: Bearer wat_…`.
    pub token: String,
}

impl From<ApiTokenRow> for ApiToken {
    fn from(row: ApiTokenRow) -> Self {
        Self {
            id: row.id,
            person: row.person.name,
            description: row.description,
            role: row.role,
            created_at_ms: row.created_at_ms,
            expires_at_ms: row.expires_at_ms,
        }
    }
}

impl Call<'_> {
    /// The tokens that the caller may see: admins all, others their own. Newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn api_tokens(&self) -> Result<Vec<ApiToken>, ResourceError> {
        let rows = self.store.read(|tx| tx.api_tokens(self.organization))?;
        let mine = rows.into_iter().filter(|row| self.may_handle(row));
        Ok(mine.map(ApiToken::from).collect())
    }

    /// Makes a token.
    ///
    /// # Errors
    /// A role above the caller's, a caller that is a token itself, a field out of bounds, or the database's.
    pub fn create_api_token(&self, wanted: NewApiToken) -> Result<CreatedApiToken, ResourceError> {
        check_description(&wanted.description)?;
        if wanted.role > self.role {
            return Err(ResourceError::Forbidden("a token never acts in a role above its maker's"));
        }
        if self.caller.is_api_token() {
            return Err(ResourceError::Forbidden(
                "a token makes no tokens: else revoking it would not end what it began",
            ));
        }
        let lifetime = wanted.lifetime_s;
        let expires_at_ms =
            lifetime.map(|s| expiry("lifetime_s", self.now_ms, s, LIFETIME_MAX_MS)).transpose()?;
        let row = ApiTokenRow {
            id: self.entropy.id(self.now_ms),
            person: self.caller.person.clone(),
            organization_id: self.organization,
            description: wanted.description.clone(),
            role: wanted.role,
            created_at_ms: self.now_ms,
            expires_at_ms,
        };
        let secret = Secret::from_random(self.entropy.secret());
        let (hash, entry, stored) =
            (secret.hash(), self.audit("api-token.create", row.id, &wanted), row.clone());
        self.write(move |tx| {
            if tx.reading().api_tokens(stored.organization_id)?.len() >= TOKENS_MAX {
                return Err(ResourceError::Conflict(format!(
                    "there are {TOKENS_MAX} tokens; revoke some first"
                )));
            }
            tx.insert_api_token(&stored, hash)?;
            Ok(tx.insert_audit(&entry)?)
        })?;
        Ok(CreatedApiToken { api_token: row.into(), token: secret.to_text().to_string() })
    }

    /// Revokes a token.
    ///
    /// # Errors
    /// No such token that the caller may see, or the database's.
    pub fn delete_api_token(&self, id: Uuid) -> Result<(), ResourceError> {
        let (organization, entry) = (self.organization, self.audit("api-token.revoke", id, &()));
        let known = self.store.read(|tx| tx.api_tokens(organization))?;
        if !known.iter().any(|row| row.id == id && self.may_handle(row)) {
            return Err(ResourceError::NotFound("API token"));
        }
        self.write(move |tx| {
            tx.delete_api_token(organization, id)?;
            Ok(tx.insert_audit(&entry)?)
        })
    }

    fn may_handle(&self, row: &ApiTokenRow) -> bool {
        let is_own = row.person.id == self.caller.person.id && !self.caller.is_api_token();
        self.role >= Role::Admin || is_own
    }
}
