//! The first start: an owner, an organization and a network of theirs, and a link by which they come in.

use super::sign_in::SignInLink;
use super::{AdminError, SignInToken, administration};
use crate::Entropy;
use crate::store::Store;

/// Milliseconds for which the link of the first owner works: whoever installs a coordinator in the evening may open it
/// the next morning.
pub const LINK_LIFETIME_MS: i64 = 24 * 60 * 60 * 1000;

/// How it stands with the first owner.
#[derive(Debug)]
pub enum FirstOwner {
    /// Somebody has signed in, or an administrator made the owner; nothing is to be done.
    Known,
    /// Nobody has signed in, and the link that was shown still works.
    Invited,
    /// Nobody has signed in, and this link is new.
    New(SignInLink),
}

/// Makes what `admin init` makes where there is no owner, and a link while nobody has signed in and the one that can still be `shown`
/// does not work. It takes the place of all before it: a process that was killed between making a link and showing it has left one
/// that nobody knows.
///
/// # Errors
/// The database's.
pub fn prepare(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    shown: Option<&SignInToken>,
) -> Result<FirstOwner, AdminError> {
    let owner = store.read(|tx| tx.first_owner())?;
    if owner.is_none() {
        // First, so that a process which is killed after the next line still makes a link at its next start.
        store.write(|tx| tx.set_awaits_owner(true))?;
        let made = administration::init(store, entropy, now_ms, ("owner", "default", "default"))?;
        tracing::info!(owner = made.owner, network = made.network.name, "this is the first start");
    }
    let token = SignInToken::from_random(entropy.secret());
    let (hash, expires_at_ms) = (token.hash(), now_ms.saturating_add(LINK_LIFETIME_MS));
    let shown = shown.map(SignInToken::hash);
    store.write(move |tx| {
        if !tx.reading().awaits_owner()? {
            return Ok(FirstOwner::Known);
        }
        let owner = tx.reading().first_owner()?.ok_or(AdminError::NotInitialized)?;
        if let Some(shown) = shown
            && tx.reading().is_sign_in_link_open(shown, now_ms)?
        {
            return Ok(FirstOwner::Invited);
        }
        tx.delete_sign_in_links(owner.id)?;
        tx.insert_sign_in_link(hash, owner.id, now_ms, expires_at_ms)?;
        Ok(FirstOwner::New(SignInLink { token, expires_at_ms }))
    })
}
