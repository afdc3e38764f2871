//! Keeping memory and database in step: what other processes wrote comes in, candidates that nodes reported go out.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use uuid::Uuid;

use super::Coordinator;
use crate::service::{self, Directory, Everything};
use crate::store::{CandidatesRow, Changed, ReadTx, StoreError};

/// So many changes later, old ones are forgotten.
const PURGE_EVERY: i64 = 1_000;

impl Coordinator {
    /// Notices what other processes (admin commands) wrote. `serve` calls it every second.
    ///
    /// # Errors
    /// Where the database does not answer; everything known stays.
    pub fn sync(&self) -> Result<(), StoreError> {
        self.save_candidates();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.store.seen_now()?;
        let is_stale = self.stale.load(Ordering::Relaxed);
        if is_stale || now.foreign != seen.foreign {
            let mut directory = self.directory();
            self.store.read(|tx| {
                let changed = if is_stale { None } else { tx.changed_since(*seen).unwrap_or_default() };
                // A row that cannot be read is left out where all are read.
                match changed.map(|changed| self.take_over(tx, &mut directory, &changed)) {
                    Some(Ok(())) => Ok(()),
                    Some(Err(_)) | None => self.take_over_all(tx, &mut directory),
                }
            })?;
        }
        if now.newest / PURGE_EVERY != seen.newest / PURGE_EVERY {
            self.purge_changes(now.newest);
        }
        // Where nobody else wrote, all changes were our own.
        *seen = now;
        Ok(())
    }

    /// Takes over what was changed.
    fn take_over(
        &self,
        tx: &ReadTx<'_>,
        directory: &mut Directory,
        changed: &Changed,
    ) -> Result<(), StoreError> {
        for id in &changed.networks {
            match tx.network(*id)? {
                Some(row) => directory.put_network_with_rules(row, tx.access_rules(*id)?),
                None => directory.remove_network(*id),
            }
        }
        for id in &changed.nodes {
            if let Some(row) = tx.node(*id)? {
                directory.put_node(row);
            }
        }
        if changed.servers {
            directory.set_servers(service::with_registered(&self.own, tx.relays()?, tx.stun_servers()?));
        }
        Ok(())
    }

    /// Takes over the whole database.
    fn take_over_all(&self, tx: &ReadTx<'_>, directory: &mut Directory) -> Result<(), StoreError> {
        let (everything, relays, stun) = (Everything::read(tx)?, tx.relays()?, tx.stun_servers()?);
        directory.replace_all(everything);
        directory.set_servers(service::with_registered(&self.own, relays, stun));
        // Under the lock, as where it is set: no later doubt is forgotten.
        self.stale.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Reads the whole database again.
    ///
    /// # Errors
    /// Where the database does not answer; everything known stays.
    pub fn reload(&self) -> Result<(), StoreError> {
        self.stale.store(true, Ordering::Relaxed);
        self.sync()
    }

    /// Forgets changes that nobody needs any more; the next time does where the disk does not let it.
    fn purge_changes(&self, newest: i64) {
        if let Err(error) = self.store.write(move |tx| tx.purge_changes(newest)) {
            tracing::debug!(%error, "old changes are kept for now");
        }
    }

    /// Stores candidates for the next start. Where that fails the report counts all the same: its peers have it.
    pub(crate) fn keep_candidates(&self, row: CandidatesRow) {
        let (node, again) = (row.node_id, row.clone());
        // Before this one is queued: an older one must not be written after it.
        self.unsaved().remove(&node);
        match self.store.write(move |tx| tx.set_candidates(&row)) {
            Ok(()) => {}
            Err(StoreError::Disk(_)) => drop(self.unsaved().insert(node, again)),
            Err(error) => {
                tracing::error!(%node, %error, "a node's candidates are not stored; a restart would forget them");
            }
        }
    }

    /// Stores what the disk did not take, once it takes writes again.
    fn save_candidates(&self) {
        if self.unsaved().is_empty() || self.store.disk_trouble().is_some() {
            return;
        }
        let unsaved = Arc::clone(&self.unsaved);
        let saved: Result<_, StoreError> = self.store.write(move |tx| {
            // What is newer by now has left this table before it was queued.
            let rows = unsaved.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for row in rows.values() {
                match tx.set_candidates(row) {
                    Err(error) if error.is_about_the_disk() => return Err(error),
                    Err(error) => tracing::error!(node = %row.node_id, %error, "candidates are not stored"),
                    Ok(()) => {}
                }
            }
            Ok(rows)
        });
        if let Ok(rows) = saved {
            self.unsaved().retain(|node, left| rows.get(node) != Some(left));
        }
    }

    fn unsaved(&self) -> MutexGuard<'_, BTreeMap<Uuid, CandidatesRow>> {
        self.unsaved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
