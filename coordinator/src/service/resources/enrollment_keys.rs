//! Enrollment keys of an organization.

use std::collections::BTreeSet;

use protocol::api::{EnrollmentKey as Secret, Tag};
use protocol::key::PublicKey;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::nodes::TAGS_MAX;
use super::{Call, ResourceError, check_description, expiry, network_of};
use crate::store::{EnrollmentKeyRow, PersonRow, Role, SecretHash};

/// The longest life of an enrollment key: a year and a day.
const LIFETIME_MAX_MS: i64 = 366 * DAY_MS;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// An enrollment key; the secret was shown once, when it was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EnrollmentKey {
    /// Its id.
    pub id: Uuid,
    /// The network that it leads into.
    pub network: Uuid,
    /// What it is for.
    pub description: String,
    /// Whether one machine only may use it.
    pub single_use: bool,
    /// The tags of the nodes that use it.
    #[schema(value_type = Vec<String>)]
    pub tags: Vec<Tag>,
    /// Whether they are deleted when they go offline.
    pub is_ephemeral: bool,
    /// The WireGuard public key of the only machine that may use it, where it is for one.
    #[schema(value_type = Option<String>)]
    pub public_key: Option<PublicKey>,
    /// How many machines used it.
    pub use_count: u32,
    /// When one did last, Unix milliseconds.
    pub last_used_at_ms: Option<i64>,
    /// When it was made, Unix milliseconds.
    pub created_at_ms: i64,
    /// Until when it works, Unix milliseconds.
    pub expires_at_ms: i64,
    /// When it was revoked, Unix milliseconds.
    pub revoked_at_ms: Option<i64>,
    /// Who made it; absent for a command on the coordinator's machine, and where it is not known.
    pub created_by: Option<KeyMaker>,
}

/// Who made an enrollment key.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct KeyMaker {
    /// The person's id.
    pub id: Uuid,
    /// The person's name.
    pub name: String,
    /// Whether the person belongs to the organization now. A key outlives the membership of its maker until somebody revokes it.
    pub is_member: bool,
}

/// A new enrollment key.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewEnrollmentKey {
    /// The network that it leads into.
    pub network: Uuid,
    /// What it is for, at most 200 characters.
    #[serde(default)]
    pub description: String,
    /// Whether any number of machines may use it.
    #[serde(default)]
    pub reusable: bool,
    /// The tags of the nodes that use it, at most 32.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub tags: BTreeSet<Tag>,
    /// Whether they are deleted when they have been offline for ten minutes.
    #[serde(default)]
    pub ephemeral: bool,
    /// Seconds for which it works; a day where absent, at most 366 days.
    #[serde(default = "day_s")]
    pub lifetime_s: i64,
}

const fn day_s() -> i64 {
    DAY_MS / 1000
}

/// An enrollment key, and the only copy of its secret.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CreatedEnrollmentKey {
    /// What is kept.
    #[serde(flatten)]
    pub enrollment_key: EnrollmentKey,
    /// The secret.
    pub key: String,
}

impl EnrollmentKey {
    fn new(row: EnrollmentKeyRow, created_by: Option<KeyMaker>) -> Self {
        Self {
            id: row.id,
            network: row.network_id,
            description: row.description,
            single_use: row.single_use,
            tags: row.tags,
            is_ephemeral: row.is_ephemeral,
            public_key: row.public_key,
            use_count: row.use_count,
            last_used_at_ms: row.last_used_at_ms,
            created_at_ms: row.created_at_ms,
            expires_at_ms: row.expires_at_ms,
            revoked_at_ms: row.revoked_at_ms,
            created_by,
        }
    }
}

impl Call<'_> {
    /// The keys of all networks, oldest first.
    ///
    /// # Errors
    /// The database's.
    pub fn enrollment_keys(&self) -> Result<Vec<EnrollmentKey>, ResourceError> {
        self.store.read(|tx| {
            let networks = tx.networks()?.into_iter();
            let own = networks.filter(|network| network.organization_id == self.organization);
            let own: BTreeSet<Uuid> = own.map(|network| network.id).collect();
            let members = tx.members(self.organization)?.into_iter();
            let members: BTreeSet<Uuid> = members.map(|member| member.person.id).collect();
            let makers = tx.enrollment_key_makers()?;
            let listed = tx.enrollment_keys()?.into_iter().filter(|key| own.contains(&key.network_id));
            let key = |row: EnrollmentKeyRow| {
                let maker = row.created_by.and_then(|id| makers.get(&id)).cloned();
                let is_member = |id| members.contains(&id);
                let maker =
                    maker.map(|PersonRow { id, name }| KeyMaker { id, name, is_member: is_member(id) });
                EnrollmentKey::new(row, maker)
            };
            Ok(listed.map(key).collect())
        })
    }

    /// Whom a new key is by: nobody's where a command makes it.
    pub(super) fn maker(&self) -> Option<KeyMaker> {
        let PersonRow { id, name } = self.caller.person.clone();
        (!self.caller.is_command()).then_some(KeyMaker { id, name, is_member: true })
    }

    /// Makes an enrollment key. Members who are no admins make such that one machine uses within a day, without tags: tags open
    /// what access rules protect.
    ///
    /// # Errors
    /// No such network, a field out of bounds or above the caller's role, or the database's.
    pub fn create_enrollment_key(
        &self,
        wanted: NewEnrollmentKey,
    ) -> Result<CreatedEnrollmentKey, ResourceError> {
        check_description(&wanted.description)?;
        if wanted.tags.len() > TAGS_MAX {
            return Err(ResourceError::invalid("tags", format!("at most {TAGS_MAX}")));
        }
        let is_plain = !wanted.reusable && wanted.tags.is_empty() && wanted.lifetime_s <= day_s();
        if self.role < Role::Admin && !is_plain {
            return Err(ResourceError::Forbidden(
                "a member makes keys for one machine, for a day at most and without tags; ask an admin for others",
            ));
        }
        let secret = Secret::from_random(*self.entropy.secret());
        let (hash, organization) = (SecretHash::of(secret.as_bytes()), self.organization);
        let row = EnrollmentKeyRow {
            id: self.entropy.id(self.now_ms),
            network_id: wanted.network,
            single_use: !wanted.reusable,
            created_at_ms: self.now_ms,
            expires_at_ms: expiry("lifetime_s", self.now_ms, wanted.lifetime_s, LIFETIME_MAX_MS)?,
            revoked_at_ms: None,
            use_count: 0,
            last_used_at_ms: None,
            description: wanted.description.clone(),
            tags: wanted.tags.iter().cloned().collect(),
            is_ephemeral: wanted.ephemeral,
            public_key: None,
            created_by: self.maker().map(|maker| maker.id),
        };
        let (entry, stored) = (self.audit("enrollment-key.create", row.id, &wanted), row.clone());
        self.write(move |tx| {
            network_of(&tx.reading(), organization, stored.network_id)?;
            tx.insert_enrollment_key(&stored, hash)?;
            Ok::<_, ResourceError>(tx.insert_audit(&entry)?)
        })?;
        Ok(CreatedEnrollmentKey {
            enrollment_key: EnrollmentKey::new(row, self.maker()),
            key: secret.to_text().to_string(),
        })
    }

    /// Revokes an enrollment key; nodes that used it stay.
    ///
    /// # Errors
    /// No such key, one that is revoked already, or the database's.
    pub fn revoke_enrollment_key(&self, id: Uuid) -> Result<(), ResourceError> {
        let (organization, now_ms) = (self.organization, self.now_ms);
        let entry = self.audit("enrollment-key.revoke", id, &());
        self.write(move |tx| {
            let missing = || ResourceError::NotFound("enrollment key");
            let key = tx.reading().enrollment_key_by_id(id)?.ok_or_else(missing)?;
            network_of(&tx.reading(), organization, key.network_id).map_err(|_| missing())?;
            if tx.revoke_enrollment_key(id, now_ms)? {
                tx.insert_audit(&entry)?;
            }
            Ok(())
        })
    }
}
