//! Who asks: a person at a browser or a program in a person's name, and what they may do where.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{ApiToken, AuthError, SessionToken};
use crate::store::{PersonRow, ReadTx, Role, Store, StoreError};

/// The name that the audit log knows commands on the coordinator's machine by. No person may be called so.
pub(crate) const COMMAND: &str = "admin command";

/// Somebody who proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Who.
    pub person: PersonRow,
    /// The organizations where they may do something, and as what.
    pub memberships: BTreeMap<Uuid, Role>,
    /// By what.
    pub credential: Credential,
}

/// What somebody proved who they are by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A session of a browser, by its id.
    Session(Uuid),
    /// An API token.
    ApiToken {
        /// Its id.
        id: Uuid,
        /// What it is for.
        description: String,
    },
    /// A command on the coordinator's machine.
    Command,
}

impl Caller {
    /// The person behind a session's token.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`], or the database's.
    pub fn of_session(store: &Store, now_ms: i64, token: &SessionToken) -> Result<Self, AuthError> {
        store.read(|tx| {
            let session = tx.session(token.hash(), now_ms)?.ok_or(AuthError::Unauthenticated)?;
            let memberships = tx.memberships(session.person.id)?;
            Ok(Self { person: session.person, memberships, credential: Credential::Session(session.id) })
        })
    }

    /// The program behind an API token: it acts in one organization, in the token's role, and never in a higher one than the
    /// person has there now.
    ///
    /// # Errors
    /// [`AuthError::Unauthenticated`], or the database's.
    pub fn of_api_token(store: &Store, now_ms: i64, token: &ApiToken) -> Result<Self, AuthError> {
        store.read(|tx| {
            let token = tx.api_token(token.hash(), now_ms)?.ok_or(AuthError::Unauthenticated)?;
            let role = tx.memberships(token.person.id)?.get(&token.organization_id).copied();
            let role = role.ok_or(AuthError::Unauthenticated)?.min(token.role);
            Ok(Self {
                person: token.person,
                memberships: BTreeMap::from([(token.organization_id, role)]),
                credential: Credential::ApiToken { id: token.id, description: token.description },
            })
        })
    }

    /// Whether whoever asked may still do so now: the session or the token has not ended, and neither has the role. A command is
    /// whoever may read the database.
    pub(super) fn still_has(
        &self,
        tx: &ReadTx<'_>,
        now_ms: i64,
        (organization, role): (Uuid, Role),
    ) -> Result<bool, StoreError> {
        let has_role =
            || Ok::<_, StoreError>(tx.memberships(self.person.id)?.get(&organization) >= Some(&role));
        match &self.credential {
            Credential::Session(_) => Ok(self.is_signed_in(tx, now_ms)? && has_role()?),
            Credential::ApiToken { id, .. } => {
                let tokens = tx.api_tokens(organization)?;
                let is_open = |end: Option<i64>| end.is_none_or(|end| end > now_ms);
                let is_there = tokens.iter().any(|token| token.id == *id && is_open(token.expires_at_ms));
                Ok(is_there && has_role()?)
            }
            Credential::Command => Ok(true),
        }
    }

    /// Whether the session has not ended; `false` for who has none.
    pub(super) fn is_signed_in(&self, tx: &ReadTx<'_>, now_ms: i64) -> Result<bool, StoreError> {
        let Some(session) = self.session() else { return Ok(false) };
        Ok(tx.sessions(self.person.id, now_ms)?.iter().any(|open| open.id == session))
    }

    /// The role in an organization, where there is one.
    #[must_use]
    pub fn role_in(&self, organization: Uuid) -> Option<Role> {
        self.memberships.get(&organization).copied()
    }

    /// The session, where it is one.
    #[must_use]
    pub const fn session(&self) -> Option<Uuid> {
        match self.credential {
            Credential::Session(id) => Some(id),
            Credential::ApiToken { .. } | Credential::Command => None,
        }
    }

    /// Whether it is a program with a token, which may not do what would outlive the token.
    #[must_use]
    pub const fn is_api_token(&self) -> bool {
        matches!(self.credential, Credential::ApiToken { .. })
    }

    /// Whether it is a command on the coordinator's machine.
    #[must_use]
    pub const fn is_command(&self) -> bool {
        matches!(self.credential, Credential::Command)
    }

    /// The name that the audit log knows the caller by.
    #[must_use]
    pub fn actor(&self) -> String {
        match &self.credential {
            Credential::Session(_) => self.person.name.clone(),
            Credential::ApiToken { description, .. } => {
                format!("{} (API token: {description})", self.person.name)
            }
            Credential::Command => COMMAND.to_owned(),
        }
    }
}
