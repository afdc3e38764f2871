//! Who comes in by an OpenID provider, and as what. A person is known by issuer and subject and by nothing else: an e-mail
//! address or a name may be anybody's there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use uuid::Uuid;

use super::administration::{PERSON_MAX, PROVIDER, is_person_name, is_unseen};
use super::operator::find_organization;
use super::resources::invitations::let_in;
use super::sign_in::Opening;
use super::{Caller, SessionToken, resources::ResourceError};
use crate::Entropy;
use crate::store::{
    AuditRow, IdentityRow, OrganizationRow, PersonRow, ReadTx, Role, RoleSources, SecretHash, Store,
    StoreError, WriteTx,
};

/// The highest number behind a name that is taken.
const NAME_SUFFIX_MAX: u32 = 10_000;

/// Whom a provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The provider.
    pub issuer: String,
    /// Who, there: 1 to 255 bytes.
    pub subject: String,
    /// What to call a new person, where the provider says so.
    pub name: Option<String>,
    /// The groups there; `None` where the provider does not tell them.
    pub groups: Option<BTreeSet<String>>,
}

/// The role that follows from a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRole {
    /// The group, as the provider names it.
    pub group: String,
    /// The organization, by name or id.
    pub organization: String,
    /// As what.
    pub role: Role,
}

/// All roles that follow from groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupMappings {
    /// The provider whose groups they are.
    pub issuer: String,
    /// Them.
    pub roles: Vec<GroupRole>,
}

impl GroupMappings {
    /// Warns of each that leads into no organization.
    pub(crate) fn warn_of_missing(&self, organizations: &[OrganizationRow]) {
        for known in &self.roles {
            if find_organization(organizations, &known.organization).is_none() {
                known.warn_of_missing();
            }
        }
    }

    /// Whether the next sign-in may give a person this role in an organization, as far as can be known without their groups.
    pub(super) fn may_give(
        &self,
        tx: &ReadTx<'_>,
        organization: Uuid,
        (person, role): (Uuid, Role),
    ) -> Result<bool, StoreError> {
        let organizations = tx.organizations()?;
        let leads_there = |known: &GroupRole| {
            let found = find_organization(&organizations, &known.organization);
            known.role == role && found.is_some_and(|found| found.id == organization)
        };
        let is_known_there = tx.identities(person)?.iter().any(|identity| identity.issuer == self.issuer);
        Ok(is_known_there && self.roles.iter().any(leads_there))
    }
}

impl GroupRole {
    fn warn_of_missing(&self) {
        tracing::warn!(
            group = self.group,
            organization = self.organization,
            "a group leads into an organization that does not exist (any more); give the organization's id, which outlives its name"
        );
    }
}

/// What a sign-in is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Purpose {
    /// To come in.
    SignIn,
    /// To come in by an invitation.
    Invitation(SecretHash),
    /// To let somebody who is signed in, by this session, come in this way from now on.
    Link {
        /// Who.
        person: Uuid,
        /// The session, which must still be there.
        session: Uuid,
    },
}

/// Why somebody whom the provider vouches for does not come in.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nobody has given this person access.
    #[error("you have no access here; ask an administrator")]
    NoAccess,
    /// The same, and the provider does not tell the groups.
    #[error("the sign-in provider does not say which groups you are in; ask an administrator")]
    GroupsUnknown,
    /// The invitation leads nowhere, or not any more.
    #[error("this invitation is unknown, used or expired; ask for a new one")]
    InvitationUnusable,
    /// It is another person's already.
    #[error("this identity belongs to another account here")]
    LinkedElsewhere,
    /// Who wanted to link it is not signed in any more.
    #[error("you are not signed in any more; sign in and try again")]
    SignedOut,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Lets somebody in: a session, or none where it was to link an account that is signed in already. Memberships that follow from
/// groups are set and taken away; roles that somebody gave stay.
///
/// # Errors
/// Why not.
pub fn come_in(
    store: &Store,
    entropy: &Entropy,
    now_ms: i64,
    (identity, mappings): (Identity, &GroupMappings),
    (purpose, browser): (Purpose, &str),
) -> Result<Option<SessionToken>, IdentityError> {
    let opening = Opening::new(entropy, now_ms, browser);
    let new_id = entropy.id(now_ms);
    let mappings = mappings.clone();
    store.write(move |tx| {
        let wanted = Wanted::of(&tx.reading(), &identity, &mappings)?;
        let known = tx.reading().person_by_identity(&identity.issuer, &identity.subject)?;
        let arrival = Arrival { tx, now_ms, identity: &identity, new_id };
        let (person, opening) = match purpose {
            Purpose::SignIn => {
                let person = match known {
                    Some(person) => person,
                    None if wanted.roles.is_empty() => return Err(wanted.no_access()),
                    None => arrival.new_person()?,
                };
                (person, Some(opening))
            }
            Purpose::Invitation(link) => {
                let invitation =
                    tx.reading().open_invitation(link, now_ms)?.ok_or(IdentityError::InvitationUnusable)?;
                let person = known.map_or_else(|| arrival.new_person(), Ok)?;
                let_in(tx, now_ms, &invitation, &person)?;
                (person, Some(opening))
            }
            Purpose::Link { person, session } => (arrival.link(known, person, session)?, None),
        };
        apply_groups(tx, now_ms, &person, &wanted)?;
        if opening.is_some() && tx.reading().memberships(person.id)?.is_empty() {
            // No failure of the transaction: what the groups took away stays taken away.
            return Ok(Err(wanted.no_access()));
        }
        Ok(Ok(opening.map(|opening| opening.insert(tx, now_ms, person.id)).transpose()?))
    })?
}

/// Takes a person's identities away; nobody locks themselves out.
///
/// # Errors
/// A person without a password, or the database's.
pub fn unlink(store: &Store, now_ms: i64, caller: &Caller) -> Result<(), ResourceError> {
    let caller = caller.clone();
    store.write(move |tx| {
        if !caller.is_signed_in(&tx.reading(), now_ms)? {
            return Err(ResourceError::SignedOut);
        }
        let person = caller.person;
        let known = tx.reading().person_by_name(&person.name)?;
        if known.is_none_or(|(_, password)| password.is_none()) {
            let why = "set a password first: you sign in by this alone";
            return Err(ResourceError::Conflict(why.to_owned()));
        }
        if tx.delete_identities(person.id)? > 0 {
            // Nobody asks the provider about them any more, so what it said of them ends.
            apply_groups(tx, now_ms, &person, &Wanted::default())?;
            let what = ("identity.unlink", person.name.clone(), "{}".to_owned());
            tx.insert_audit(&AuditRow::new(None, now_ms, person.name, what))?;
        }
        Ok(())
    })
}

/// What follows from somebody's groups now.
#[derive(Debug, Default)]
struct Wanted {
    /// The roles, the highest where there are several.
    roles: BTreeMap<Uuid, Role>,
    /// Where a role that followed from groups before stays.
    stays: Stays,
}

/// Where roles stay because what is known now does not speak against them.
#[derive(Debug, Default)]
enum Stays {
    /// Nowhere.
    #[default]
    Nowhere,
    /// Everywhere: the provider does not tell the groups.
    Everywhere,
    /// But in these organizations: one of the groups leads into an organization that is not found, which may have got another name.
    AllBut(BTreeSet<Uuid>),
}

impl Wanted {
    fn of(tx: &ReadTx<'_>, identity: &Identity, mappings: &GroupMappings) -> Result<Self, StoreError> {
        let Some(groups) = &identity.groups else {
            // Where no group leads anywhere, none needs to be known.
            if mappings.roles.is_empty() {
                return Ok(Self::default());
            }
            tracing::warn!(
                issuer = identity.issuer,
                "the sign-in provider does not tell somebody's groups; roles that followed from them stay as they were"
            );
            return Ok(Self { stays: Stays::Everywhere, ..Self::default() });
        };
        let organizations = tx.organizations()?;
        let (mut roles, mut found, mut is_one_missing) = (BTreeMap::new(), BTreeSet::new(), false);
        for known in &mappings.roles {
            let is_in = groups.contains(&known.group);
            match find_organization(&organizations, &known.organization) {
                Some(organization) => {
                    found.insert(organization.id);
                    if is_in {
                        let role = roles.entry(organization.id).or_insert(known.role);
                        *role = known.role.max(*role);
                    }
                }
                None if is_in => {
                    known.warn_of_missing();
                    is_one_missing = true;
                }
                None => {}
            }
        }
        Ok(Self { roles, stays: if is_one_missing { Stays::AllBut(found) } else { Stays::Nowhere } })
    }

    /// The role by groups in an organization, after `before`.
    fn role_in(&self, organization: Uuid, before: Option<Role>) -> Option<Role> {
        let stays = match &self.stays {
            Stays::Nowhere => false,
            Stays::Everywhere => true,
            Stays::AllBut(found) => !found.contains(&organization),
        };
        self.roles.get(&organization).copied().or(before.filter(|_| stays))
    }

    /// Why somebody has no access who has none otherwise.
    const fn no_access(&self) -> IdentityError {
        match self.stays {
            Stays::Everywhere => IdentityError::GroupsUnknown,
            Stays::Nowhere | Stays::AllBut(_) => IdentityError::NoAccess,
        }
    }
}

/// Somebody at the door, in the transaction that lets them in.
struct Arrival<'a, 'tx> {
    tx: &'a WriteTx<'tx>,
    now_ms: i64,
    identity: &'a Identity,
    new_id: Uuid,
}

impl Arrival<'_, '_> {
    fn row(&self) -> IdentityRow {
        IdentityRow {
            issuer: self.identity.issuer.clone(),
            subject: self.identity.subject.clone(),
            created_at_ms: self.now_ms,
        }
    }

    /// A new person with a name that nobody has.
    fn new_person(&self) -> Result<PersonRow, StoreError> {
        let person = PersonRow { id: self.new_id, name: self.free_name()? };
        self.tx.insert_person(&person, None, self.now_ms)?;
        self.tx.insert_identity(&self.row(), person.id)?;
        self.log("identity.create", &person)?;
        Ok(person)
    }

    /// The name that the provider tells, or with 2, 3 … behind it.
    fn free_name(&self) -> Result<String, StoreError> {
        let told = self.identity.name.as_deref().unwrap_or_default();
        let clean: String = told.chars().filter(|letter| !is_unseen(*letter)).take(PERSON_MAX - 6).collect();
        let stem = if is_person_name(clean.trim()) { clean.trim() } else { "person" };
        let mut name = stem.to_owned();
        for number in 2..=NAME_SUFFIX_MAX {
            if self.tx.reading().person_by_name(&name)?.is_none() {
                return Ok(name);
            }
            name = format!("{stem}-{number}");
        }
        // Never the same as another one's.
        Ok(self.new_id.to_string())
    }

    /// Makes the identity somebody's who is signed in.
    fn link(
        &self,
        known: Option<PersonRow>,
        person: Uuid,
        session: Uuid,
    ) -> Result<PersonRow, IdentityError> {
        let sessions = self.tx.reading().sessions(person, self.now_ms)?;
        let open = sessions.into_iter().find(|open| open.id == session).ok_or(IdentityError::SignedOut)?;
        match known {
            Some(other) if other.id != person => return Err(IdentityError::LinkedElsewhere),
            Some(_) => {}
            None => {
                self.tx.insert_identity(&self.row(), person)?;
                self.log("identity.link", &open.person)?;
            }
        }
        Ok(open.person)
    }

    fn log(&self, action: &'static str, person: &PersonRow) -> Result<(), StoreError> {
        let details = json!({"issuer": self.identity.issuer, "subject": self.identity.subject}).to_string();
        let what = (action, person.name.clone(), details);
        self.tx.insert_audit(&AuditRow::new(None, self.now_ms, person.name.clone(), what))
    }
}

/// Sets what follows from the groups now, and takes away what followed from them before. The last owner stays one.
fn apply_groups(
    tx: &WriteTx<'_>,
    now_ms: i64,
    person: &PersonRow,
    wanted: &Wanted,
) -> Result<(), StoreError> {
    let before = tx.reading().group_roles(person.id)?;
    let organizations: BTreeSet<Uuid> = before.keys().chain(wanted.roles.keys()).copied().collect();
    for organization in organizations {
        let sources = tx.reading().role_sources(organization, person.id)?;
        let now = RoleSources { by_groups: wanted.role_in(organization, sources.by_groups), ..sources };
        if now == sources {
            continue;
        }
        let loses_owner = sources.effective() == Some(Role::Owner) && now.effective() != Some(Role::Owner);
        if loses_owner && is_last_owner(tx, organization)? {
            tracing::warn!(%organization, person = person.name, "the groups take the last owner's role away; it stays");
            continue;
        }
        tx.set_role_sources(organization, person.id, now, now_ms)?;
        if now.effective() < sources.effective() {
            // They might let in whom the new role may not.
            tx.delete_open_invitations(organization, person.id)?;
        }
        let details = json!({"role": now.effective(), "by": "groups"}).to_string();
        let what = ("member.role", person.name.clone(), details);
        let actor = PROVIDER.to_owned();
        tx.insert_audit(&AuditRow::new(organization, now_ms, actor, what))?;
    }
    Ok(())
}

fn is_last_owner(tx: &WriteTx<'_>, organization: Uuid) -> Result<bool, StoreError> {
    let members = tx.reading().members(organization)?;
    Ok(members.iter().filter(|member| member.role == Role::Owner).count() == 1)
}
