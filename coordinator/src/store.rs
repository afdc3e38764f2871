//! The database: SQLite in one file. SQL lives here and nowhere else.
//!
//! Writes go through one thread that commits many at once and acknowledges after the commit ([`Store::write`]);
//! reads use a pool of read-only connections ([`Store::read`]). A write that was acknowledged survives a power cut.

mod access_rules;
mod audit_log;
mod backup;
mod candidates;
mod changes;
mod coordinator_row;
mod data_dir;
mod disk_trouble;
mod enrollment_keys;
mod error;
mod identities;
mod invitations;
mod migrate;
mod networks;
mod nodes;
mod people;
mod pool;
mod relays;
mod row;
mod sign_ins;
mod start_check;
mod stun_servers;
mod write_metrics;
mod writer;

pub use access_rules::AccessRuleRow;
pub use audit_log::AuditRow;
pub use backup::{backup, check, restore};
pub use candidates::CandidatesRow;
pub use changes::{Changed, Seen};
pub use coordinator_row::CoordinatorRow;
pub use data_dir::{DataDir, ServeLock};
pub use disk_trouble::DiskTrouble;
pub use enrollment_keys::EnrollmentKeyRow;
pub use error::StoreError;
pub use identities::{IdentityRow, RoleSources};
pub use invitations::InvitationRow;
pub use networks::{Admission, NetworkRow, OrganizationRow};
pub use nodes::{BadRow, NodeRow, NodeRows};
pub use people::{InvalidRole, MemberRow, PersonRow, Role};
pub use pool::{ReadTx, Store, WriteTx};
pub use relays::RelayRow;
pub use row::SecretHash;
pub use sign_ins::{ApiTokenRow, SessionRow};
pub use stun_servers::StunServerRow;
pub use write_metrics::WriteMetrics;

#[cfg(test)]
mod tests;
