//! Machines that wait to be let in: who sees them, and what letting one in leaves behind.

use protocol::api::EnrollmentKey as Secret;
use protocol::key::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Call, ResourceError, network_of};
use crate::service::Caller;
use crate::service::device_authorization::{Decision, KEY_LIFETIME_MS, UserCode, Waiting};
use crate::store::{Admission, EnrollmentKeyRow, ReadTx, Role, SecretHash, Store, StoreError};

/// The lowest role that lets machines in; the routes have it, too.
const ROLE: Role = Role::Member;

/// A machine that waits, for the person who decides.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct WaitingMachine {
    /// The code, which must be the one that the machine shows.
    pub user_code: String,
    /// The name that it wants.
    pub name: String,
    /// Its WireGuard public key.
    #[schema(value_type = String)]
    pub public_key: PublicKey,
    /// Its operating system, as it says.
    pub os: Option<String>,
    /// The address that its request came from.
    pub address: Option<String>,
    /// Since when it waits, Unix milliseconds.
    pub created_at_ms: i64,
    /// Until when, Unix milliseconds.
    pub expires_at_ms: i64,
    /// Whether somebody has decided.
    pub decision: MachineDecision,
    /// Where the caller may let it in.
    pub networks: Vec<NetworkChoice>,
    /// Whether the caller's role suffices anywhere: where there are no networks, this tells why.
    pub may_let_in: bool,
}

/// How it stands with a machine that asked to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "lowercase")]
pub enum MachineDecision {
    /// Nobody has decided.
    Waiting,
    /// It was let in.
    Approved,
    /// It was refused.
    Refused,
}

/// A network that a machine may be let into.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
pub struct NetworkChoice {
    /// The organization's id.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub organization: Uuid,
    /// The organization's name.
    pub organization_name: String,
    /// The network's id.
    #[cfg_attr(feature = "ts", ts(type = "string"))]
    pub network: Uuid,
    /// The network's name.
    pub network_name: String,
    /// Whether new nodes wait for an administrator there.
    pub admission: Admission,
}

/// Which network a machine is let into.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The network's id.
    pub network: Uuid,
}

/// A machine as a caller sees it.
///
/// # Errors
/// The database's.
pub fn show(
    store: &Store,
    caller: &Caller,
    code: UserCode,
    waiting: &Waiting,
) -> Result<WaitingMachine, ResourceError> {
    let networks = store.read(|tx| choices(tx, caller))?;
    Ok(WaitingMachine {
        user_code: code.to_string(),
        name: waiting.request.name.to_string(),
        public_key: waiting.request.public_key,
        os: waiting.request.os.clone(),
        address: waiting.address.map(|address| address.to_string()),
        created_at_ms: waiting.created_at_ms,
        expires_at_ms: waiting.expires_at_ms,
        decision: match waiting.decision {
            Decision::Waiting | Decision::UnderWay => MachineDecision::Waiting,
            Decision::Approved(_) => MachineDecision::Approved,
            Decision::Refused => MachineDecision::Refused,
        },
        networks,
        may_let_in: caller.memberships.values().any(|role| *role >= ROLE),
    })
}

fn choices(tx: &ReadTx<'_>, caller: &Caller) -> Result<Vec<NetworkChoice>, StoreError> {
    let organizations = tx.organizations()?;
    let mut choices = Vec::new();
    for network in tx.networks()? {
        let may = caller.role_in(network.organization_id) >= Some(ROLE);
        let organization = organizations.iter().find(|known| known.id == network.organization_id);
        if let Some(organization) = organization.filter(|_| may) {
            choices.push(NetworkChoice {
                organization: organization.id,
                organization_name: organization.name.clone(),
                network: network.id,
                network_name: network.name,
                admission: network.admission,
            });
        }
    }
    choices.sort_by(|a, b| {
        (&a.organization_name, &a.network_name).cmp(&(&b.organization_name, &b.network_name))
    });
    Ok(choices)
}

impl Call<'_> {
    /// Lets a machine in: an enrollment key for its public key alone, which it uses once and within minutes.
    ///
    /// # Errors
    /// A caller that is no person at a browser, no such network, or the database's.
    pub fn approve_device(&self, waiting: &Waiting, approval: Approval) -> Result<Secret, ResourceError> {
        let secret = Secret::from_random(*self.entropy.secret());
        let (hash, organization) = (SecretHash::of(secret.as_bytes()), self.organization);
        let request = &waiting.request;
        let row = EnrollmentKeyRow {
            id: self.entropy.id(self.now_ms),
            network_id: approval.network,
            single_use: true,
            created_at_ms: self.now_ms,
            expires_at_ms: self.now_ms.saturating_add(KEY_LIFETIME_MS),
            revoked_at_ms: None,
            use_count: 0,
            last_used_at_ms: None,
            description: format!("for {}, which asked to join", request.name),
            tags: Vec::new(),
            is_ephemeral: false,
            public_key: Some(request.public_key),
            created_by: self.maker().map(|maker| maker.id),
        };
        let details = json!({
            "network": approval.network, "public_key": request.public_key, "os": request.os,
            "address": waiting.address, "enrollment_key": row.id,
        });
        let entry = self.audit("device-authorization.approve", &request.name, &details);
        self.write(move |tx| {
            network_of(&tx.reading(), organization, row.network_id)?;
            tx.insert_enrollment_key(&row, hash)?;
            Ok::<_, ResourceError>(tx.insert_audit(&entry)?)
        })?;
        Ok(secret)
    }

    /// Refuses a machine.
    ///
    /// # Errors
    /// The database's.
    pub fn refuse_device(&self, waiting: &Waiting) -> Result<(), ResourceError> {
        let request = &waiting.request;
        let details = json!({"public_key": request.public_key, "os": request.os, "address": waiting.address});
        let entry = self.audit("device-authorization.refuse", &request.name, &details);
        self.write(move |tx| Ok(tx.insert_audit(&entry)?))
    }
}
