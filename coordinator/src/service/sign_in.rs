//! How a person gets into the dashboard: a link that works once, or name and password; then a session.

use uuid::Uuid;

use super::resources::ResourceError;
use super::{AdminError, Caller, SessionToken, SignInToken, passwords};
use crate::Entropy;
use crate::store::{PersonRow, SessionRow, Store, StoreError, WriteTx};

/// Milliseconds for which a sign-in link works: long enough to carry it to another machine.
pub const LINK_LIFETIME_MS: i64 = 15 * 60 * 1000;

/// Milliseconds for which a browser stays signed in: a working day and its evening.
pub const SESSION_LIFETIME_MS: i64 = 12 * 60 * 60 * 1000;

/// What is kept of how a browser calls itself, in characters.
const BROWSER_MAX: usize = 200;

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
    (link, browser): (&SignInToken, &str),
) -> Result<Option<SessionToken>, StoreError> {
    let (link, opening) = (link.hash(), Opening::new(entropy, now_ms, browser));
    store.write(move |tx| {
        let person = tx.use_sign_in_link(link, now_ms)?;
        person.map(|person| opening.insert(tx, now_ms, person)).transpose()
    })
}

/// Signs in by name and password: a session, or `None` where they do not belong together.
///
/// # Errors
/// Where the database does not answer.
pub fn with_password(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    (name, password, browser): (&str, &str, &str),
) -> Result<Option<SessionToken>, StoreError> {
    let known = store.read(|tx| tx.person_by_name(name))?;
    let (person, hash) = known.map_or((None, None), |(person, hash)| (Some(person), hash));
    if !passwords::verify(password, hash.as_deref()) {
        return Ok(None);
    }
    let Some(person) = person else { return Ok(None) };
    let opening = Opening::new(entropy, now_ms, browser);
    store.write(move |tx| {
        // Another password may have been set while this one was looked at.
        let known = tx.reading().person_by_name(&person.name)?;
        let is_same = known.is_some_and(|(_, now)| now == hash);
        is_same.then(|| opening.insert(tx, now_ms, person.id)).transpose()
    })
}

/// Opens a session for somebody who proved who they are.
///
/// # Errors
/// Where the database does not answer.
pub fn open_session(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    (person, browser): (Uuid, &str),
) -> Result<SessionToken, StoreError> {
    let opening = Opening::new(entropy, now_ms, browser);
    store.write(move |tx| opening.insert(tx, now_ms, person))
}

/// Sets a new password. Who has one must know it; the other browsers of that person are signed out.
///
/// # Errors
/// A wrong or unusable password, a caller that is no browser, or the database's.
pub fn change_password(
    store: &Store,
    now_ms: i64,
    caller: &Caller,
    (current, new): (Option<&str>, &str),
) -> Result<(), ResourceError> {
    let Some(session) = caller.session() else {
        return Err(ResourceError::Forbidden("a password is changed at a browser"));
    };
    let known = store.read(|tx| tx.person_by_name(&caller.person.name))?.and_then(|(_, hash)| hash);
    if known.is_some() && !current.is_some_and(|current| passwords::verify(current, known.as_deref())) {
        return Err(ResourceError::Forbidden("the current password is not this one"));
    }
    let hash = passwords::hash(new).map_err(|why| ResourceError::Invalid { field: "new_password", why })?;
    let caller = caller.clone();
    store.write(move |tx| {
        // Somebody with another session may have set one meanwhile, which ended this session.
        if !caller.is_signed_in(&tx.reading(), now_ms)? {
            return Err(ResourceError::SignedOut);
        }
        tx.set_password(caller.person.id, &hash)?;
        Ok(tx.delete_other_sessions(caller.person.id, Some(session))?)
    })
}

/// Ends a session of a person; `false` where there is none with this id.
///
/// # Errors
/// Where the database does not answer.
pub fn end_session(store: &Store, person: Uuid, session: Uuid) -> Result<bool, StoreError> {
    store.write(move |tx| tx.delete_session(person, session))
}

/// A session that is about to be: everything that needs chance, drawn before the transaction.
pub(super) struct Opening {
    token: SessionToken,
    id: Uuid,
    browser: String,
}

impl Opening {
    pub(super) fn new(entropy: &Entropy, now_ms: i64, browser: &str) -> Self {
        let token = SessionToken::from_random(entropy.secret());
        let browser = browser.chars().filter(|character| !character.is_control()).take(BROWSER_MAX).collect();
        Self { token, id: entropy.id(now_ms), browser }
    }

    /// Opens it; gives its token.
    pub(super) fn insert(
        self,
        tx: &WriteTx<'_>,
        now_ms: i64,
        person: Uuid,
    ) -> Result<SessionToken, StoreError> {
        tx.purge_expired_sign_ins(now_ms)?;
        let session = SessionRow {
            id: self.id,
            person: PersonRow { id: person, name: String::new() },
            browser: self.browser,
            created_at_ms: now_ms,
            expires_at_ms: now_ms + SESSION_LIFETIME_MS,
        };
        tx.insert_session(&session, self.token.hash())?;
        tx.set_awaits_owner(false)?;
        Ok(self.token)
    }
}
