//! The database: SQLite in one file. SQL lives here and nowhere else.
//!
//! Writes go through one thread that commits many at once and acknowledges after the commit ([`Store::write`]);
//! reads use a pool of read-only connections ([`Store::read`]). A write that was acknowledged survives a power cut.

mod backup;
mod candidates;
mod coordinator_row;
mod data_dir;
mod enrollment_keys;
mod error;
mod migrate;
mod networks;
mod nodes;
mod people;
mod pool;
mod relays;
mod row;
mod writer;

pub use backup::{backup, check, restore};
pub use candidates::CandidatesRow;
pub use coordinator_row::CoordinatorRow;
pub use data_dir::{DataDir, ServeLock};
pub use enrollment_keys::EnrollmentKeyRow;
pub use error::StoreError;
pub use networks::NetworkRow;
pub use nodes::{BadRow, NodeRow, NodeRows};
pub use people::{PersonRow, SessionRow};
pub use pool::{ReadTx, Store, WriteTx};
pub use relays::RelayRow;
pub use row::SecretHash;

#[cfg(test)]
mod tests;
