//! How a person gets into the dashboard: a link that works once, then a session.

use uuid::Uuid;

use super::{AdminError, AuthError, SessionToken, SignInToken};
use crate::Entropy;
use crate::store::{SessionRow, Store, StoreError};

/// Milliseconds for which a sign-in link works: long enough to carry it to another machine.
pub const LINK_LIFETIME_MS: i64 = 15 * 60 * 1000;

/// Milliseconds for which a browser stays signed in: a working day and its evening.
pub const SESSION_LIFETIME_MS: i64 = 12 * 60 * 60 * 1000;

/// A link that signs the owner in.
#[derive(Debug)]
pub struct SignInLink {
    /// The secret in it.
    pub token: SignInToken,
    /// When it stops to work, Unix milliseconds.
    pub expires_at_ms: i64,
}

/// Makes a link for the first owner.
///
/// # Errors
/// [`AdminError::NotInitialized`], or the database's.
pub fn create_link(store: &Store, entropy: &Entropy, now_ms: i64) -> Result<SignInLink, AdminError> {
    let token = SignInToken::from_random(entropy.secret());
    let (hash, expires_at_ms) = (token.hash(), now_ms + LINK_LIFETIME_MS);
    store.write(move |tx| {
        let owner = tx.reading().first_owner()?.ok_or(AdminError::NotInitialized)?;
        tx.purge_expired_sign_ins(now_ms)?;
        Ok::<_, AdminError>(tx.insert_sign_in_link(hash, owner.id, now_ms, expires_at_ms)?)
    })?;
    Ok(SignInLink { token, expires_at_ms })
}

/// Uses a link: a session, or `None` where the link is unknown, used or expired.
///
/// # Errors
/// Where the database does not answer.
pub fn use_link(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    link: &SignInToken,
) -> Result<Option<SessionToken>, StoreError> {
    let session = SessionToken::from_random(entropy.secret());
    let (link, hash) = (link.hash(), session.hash());
    let person: Option<Uuid> = store.write(move |tx| {
        let person = tx.use_sign_in_link(link, now_ms)?;
        if let Some(person) = person {
            tx.purge_expired_sign_ins(now_ms)?;
            tx.insert_session(hash, person, now_ms, now_ms + SESSION_LIFETIME_MS)?;
        }
        Ok::<_, StoreError>(person)
    })?;
    Ok(person.map(|_| session))
}

/// Who is signed in.
///
/// # Errors
/// [`AuthError::Unauthenticated`], or the database's.
pub fn session(store: &Store, now_ms: i64, token: &SessionToken) -> Result<SessionRow, AuthError> {
    store.read(|tx| tx.session(token.hash(), now_ms)?.ok_or(AuthError::Unauthenticated))
}

/// Ends a session.
///
/// # Errors
/// Where the database does not answer.
pub fn sign_out(store: &Store, token: &SessionToken) -> Result<(), StoreError> {
    let hash = token.hash();
    store.write(move |tx| tx.delete_session(hash))
}
