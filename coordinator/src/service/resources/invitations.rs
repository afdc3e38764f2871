//! Invitations: a link that lets somebody into an organization, once.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Call, ResourceError, expiry};
use crate::Entropy;
use crate::mail::is_address;
use crate::service::{
    Caller, InvitationToken,
    administration::{PERSON_MAX, is_person_name},
    passwords,
};
use crate::store::{
    AuditRow, InvitationRow, PersonRow, ReadTx, Role, SecretHash, Store, StoreError, WriteTx,
};

/// The longest life of an invitation: 30 days.
const LIFETIME_MAX_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// The most open invitations of an organization.
const OPEN_MAX: usize = 1000;

/// The most invitations by mail of an account in an hour, in all its organizations together: who invites a team does it in one go,
/// and who broke into an account writes to no more than these strangers by the operator's name.
const MAILS_PER_PERSON: usize = 20;

/// The same of an organization: three people at once. Many mail servers take a hundred an hour of one sender.
const MAILS_PER_ORGANIZATION: usize = 60;

/// What an hour is.
const MAILS_PER_MS: i64 = 60 * 60 * 1000;

/// An invitation; the link was shown once, when it was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Invitation {
    /// Its id.
    pub id: Uuid,
    /// As what the guest comes in.
    pub role: Role,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// Until when it may be accepted, Unix milliseconds.
    pub expires_at_ms: i64,
    /// When it was, Unix milliseconds.
    pub accepted_at_ms: Option<i64>,
    /// Where the link was to be sent.
    pub mail_address: Option<String>,
}

/// A new invitation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewInvitation {
    /// As what the guest comes in; at most the caller's own role.
    pub role: Role,
    /// Seconds for which it may be accepted; 7 days where absent, at most 30.
    #[serde(default = "week_s")]
    pub lifetime_s: i64,
    /// Where to send the link, which is shown all the same; nowhere where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mail_address: Option<String>,
}

const fn week_s() -> i64 {
    7 * 24 * 60 * 60
}

/// An invitation, and the only copy of its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CreatedInvitation {
    /// What is kept.
    #[serde(flatten)]
    pub invitation: Invitation,
    /// The secret; the link is the coordinator's URL, `/invitation/` and this.
    pub token: String,
    /// How it went with the mail, where one was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mail: Option<MailOutcome>,
}

/// How it went with a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct MailOutcome {
    /// Whether the server took it.
    pub sent: bool,
    /// Why not; the invitation stays.
    pub why: Option<String>,
}

/// How a guest who is no user yet comes in.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// The secret of the link.
    pub token: String,
    /// Name or e-mail address to sign in with, 1 to 254 characters.
    pub name: String,
    /// The password, 12 to 256 characters.
    pub password: String,
}

impl From<InvitationRow> for Invitation {
    fn from(row: InvitationRow) -> Self {
        Self {
            id: row.id,
            role: row.role,
            created_at_ms: row.created_at_ms,
            expires_at_ms: row.expires_at_ms,
            accepted_at_ms: row.accepted_at_ms,
            mail_address: row.mail_address,
        }
    }
}

impl Call<'_> {
    /// The invitations, newest first.
    ///
    /// # Errors
    /// The database's.
    pub fn invitations(&self) -> Result<Vec<Invitation>, ResourceError> {
        let rows = self.store.read(|tx| tx.invitations(self.organization))?;
        Ok(rows.into_iter().map(Invitation::from).collect())
    }

    /// Makes an invitation.
    ///
    /// # Errors
    /// A role above the caller's, a lifetime out of bounds, too many of them, too many mails within an hour, or the database's.
    pub fn create_invitation(&self, wanted: NewInvitation) -> Result<CreatedInvitation, ResourceError> {
        if self.caller.is_api_token() {
            return Err(ResourceError::Forbidden(
                "a token invites nobody: else revoking it would not end what it began",
            ));
        }
        if wanted.role > self.role {
            return Err(ResourceError::Forbidden("nobody invites into a role above their own"));
        }
        if wanted.mail_address.as_deref().is_some_and(|address| !is_address(address)) {
            return Err(ResourceError::invalid("mail_address", "not a mail address"));
        }
        let row = InvitationRow {
            id: self.entropy.id(self.now_ms),
            organization_id: self.organization,
            role: wanted.role,
            created_by: self.caller.person.id,
            created_at_ms: self.now_ms,
            expires_at_ms: expiry("lifetime_s", self.now_ms, wanted.lifetime_s, LIFETIME_MAX_MS)?,
            accepted_at_ms: None,
            mail_address: wanted.mail_address.clone(),
        };
        let token = InvitationToken::from_random(self.entropy.secret());
        let (hash, mut entry) = (token.hash(), self.audit(CREATE, row.id, &wanted));
        let (stored, now_ms, is_command) = (row.clone(), self.now_ms, self.caller.is_command());
        self.write(move |tx| {
            let known = tx.reading().invitations(stored.organization_id)?;
            let is_open =
                |known: &&InvitationRow| known.accepted_at_ms.is_none() && known.expires_at_ms > now_ms;
            if known.iter().filter(is_open).count() >= OPEN_MAX {
                return Err(ResourceError::Conflict(format!(
                    "{OPEN_MAX} invitations are open; take some back"
                )));
            }
            if stored.mail_address.is_some() {
                let mails = Mails::within_an_hour(&tx.reading(), &entry)?;
                // Who may read the data directory may send whatever they like anyway; it counts for the organization.
                if !is_command {
                    mails.check(now_ms)?;
                }
                entry.details = mails.noted(&wanted);
            }
            tx.insert_invitation(&stored, hash)?;
            Ok(tx.insert_audit(&entry)?)
        })?;
        Ok(CreatedInvitation { invitation: row.into(), token: token.to_text().to_string(), mail: None })
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// No such invitation, or the database's.
    pub fn delete_invitation(&self, id: Uuid) -> Result<(), ResourceError> {
        let (organization, entry) = (self.organization, self.audit("invitation.delete", id, &()));
        self.write(move |tx| {
            if !tx.delete_invitation(organization, id)? {
                return Err(ResourceError::NotFound("invitation"));
            }
            Ok(tx.insert_audit(&entry)?)
        })
    }
}

/// What the audit log calls a new invitation.
const CREATE: &str = "invitation.create";

/// The invitations by mail of the last hour that count for another one, by their times, oldest first.
struct Mails {
    of_person: Vec<i64>,
    of_organization: Vec<i64>,
}

impl Mails {
    /// Those that count for what an entry of the audit log will say. The log tells, as an invitation may be taken back.
    fn within_an_hour(tx: &ReadTx<'_>, entry: &AuditRow) -> Result<Self, StoreError> {
        let sent = tx.mailed_invitations(entry.at_ms.saturating_sub(MAILS_PER_MS))?;
        let times = |counts: &dyn Fn(&AuditRow) -> bool| {
            sent.iter().filter(|known| counts(known)).map(|known| known.at_ms).collect()
        };
        Ok(Self {
            of_person: times(&|known| known.actor == entry.actor),
            of_organization: times(&|known| known.organization_id == entry.organization_id),
        })
    }

    /// Whether one more may be sent.
    fn check(&self, now_ms: i64) -> Result<(), ResourceError> {
        let limits = [
            ("an account sends", MAILS_PER_PERSON, &self.of_person),
            ("an organization sends", MAILS_PER_ORGANIZATION, &self.of_organization),
        ];
        for (who, most, times) in limits {
            // The one whose hour must be over before there are fewer than so many again.
            if let Some(last) = times.len().checked_sub(most).and_then(|index| times.get(index)) {
                let wait_ms = last.saturating_add(MAILS_PER_MS).saturating_sub(now_ms);
                let retry_after_s = u64::try_from(wait_ms / 1000).unwrap_or_default() + 1;
                let why = format!(
                    "{who} at most {most} invitations by mail an hour; try again in {retry_after_s} s, or invite without an address and pass the link on"
                );
                return Err(ResourceError::TooMany { why, retry_after_s });
            }
        }
        Ok(())
    }

    /// What the audit log says of one more.
    fn noted(&self, wanted: &NewInvitation) -> String {
        let mut details = serde_json::to_value(wanted).unwrap_or_default();
        if let Some(details) = details.as_object_mut() {
            details.insert("mails_in_an_hour".to_owned(), (self.of_organization.len() + 1).into());
        }
        details.to_string()
    }
}

/// Accepts an invitation as a new person. Decided inside the write transaction: of two guests with one link one comes in.
///
/// # Errors
/// A link that is unknown, used or expired; a name that is taken; a name or password out of bounds; or the database's.
pub fn accept(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    acceptance: &Acceptance,
) -> Result<PersonRow, ResourceError> {
    let link = link_hash(&acceptance.token)?;
    if !is_person_name(&acceptance.name) {
        let why = format!("1 to {PERSON_MAX} characters, none of them invisible, no space at either end");
        return Err(ResourceError::invalid("name", why));
    }
    // A look first: hashing a password is a good deal of work.
    store.read(|tx| tx.open_invitation(link, now_ms))?.ok_or(ResourceError::InvitationUnusable)?;
    let password =
        passwords::hash(&acceptance.password).map_err(|why| ResourceError::invalid("password", why))?;
    let person = PersonRow { id: entropy.id(now_ms), name: acceptance.name.clone() };
    store.write(move |tx| {
        let invitation =
            tx.reading().open_invitation(link, now_ms)?.ok_or(ResourceError::InvitationUnusable)?;
        if tx.reading().person_by_name(&person.name)?.is_some() {
            return Err(ResourceError::Conflict(format!("the name `{}` is taken", person.name)));
        }
        tx.insert_person(&person, Some(&password), now_ms)?;
        let_in(tx, now_ms, &invitation, &person)?;
        Ok(person)
    })
}

/// Joins another organization by an invitation, as somebody who is signed in.
///
/// # Errors
/// A link that is unknown, used or expired, or the database's.
pub fn accept_as(store: &Store, now_ms: i64, caller: &Caller, token: &str) -> Result<(), ResourceError> {
    if caller.is_api_token() {
        return Err(ResourceError::Forbidden("an invitation is accepted at a browser"));
    }
    let (caller, link) = (caller.clone(), link_hash(token)?);
    store.write(move |tx| {
        if !caller.is_signed_in(&tx.reading(), now_ms)? {
            return Err(ResourceError::SignedOut);
        }
        let invitation =
            tx.reading().open_invitation(link, now_ms)?.ok_or(ResourceError::InvitationUnusable)?;
        Ok(let_in(tx, now_ms, &invitation, &caller.person)?)
    })
}

fn link_hash(token: &str) -> Result<SecretHash, ResourceError> {
    let token: InvitationToken = token.parse().map_err(|_| ResourceError::InvitationUnusable)?;
    Ok(token.hash())
}

/// Makes a person a member as an invitation says, unless they are more already, and uses the invitation up.
pub(in crate::service) fn let_in(
    tx: &WriteTx<'_>,
    now_ms: i64,
    invitation: &InvitationRow,
    person: &PersonRow,
) -> Result<(), StoreError> {
    let (organization, id) = (invitation.organization_id, invitation.id);
    // A role by groups ends with the group; what an invitation gives stays.
    let has = tx.reading().role_sources(organization, person.id)?.given;
    if has.is_none_or(|role| role < invitation.role) {
        tx.set_membership(organization, person.id, invitation.role, now_ms)?;
    }
    tx.accept_invitation(id, person.id, now_ms)?;
    let what = ("invitation.accept", id.to_string(), "{}".to_owned());
    tx.insert_audit(&AuditRow::new(organization, now_ms, person.name.clone(), what))
}
