//! When the disk is full or fails: reading goes on, writing waits until the disk takes a write again.

use std::error::Error;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::ErrorCode;

/// How long after a failed write the next one is tried. Those between are refused at once: a disk that is full stays
/// so for a while, and trying costs a flush each.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Why nothing can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DiskTrouble {
    /// No room for another page.
    #[error("the disk is full")]
    Full,
    /// The disk, or its file system, reports an error.
    #[error("the disk fails to write")]
    Failing,
    /// The file system became read-only.
    #[error("the disk is read-only")]
    ReadOnly,
}

impl DiskTrouble {
    /// Whether an SQLite error, or one that it caused, is about the disk.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(error) = error.downcast_ref::<rusqlite::Error>() {
                return Self::of_code(error.sqlite_error_code()?);
            }
            next = error.source();
        }
        None
    }

    /// The same for a file that cannot be opened. SQLite needs room even to look (its shared memory is a file), and calls
    /// it an error of the disk when there is none; the file system knows better.
    pub(super) fn at(path: &Path, error: &(dyn Error + 'static)) -> Option<Self> {
        let trouble = Self::of(error)?;
        let folder = path.parent().unwrap_or(path);
        let full = nix::sys::statvfs::statvfs(folder).is_ok_and(|found| found.blocks_available() == 0);
        Some(if full { Self::Full } else { trouble })
    }

    fn of_code(code: ErrorCode) -> Option<Self> {
        if code == ErrorCode::DiskFull {
            Some(Self::Full)
        } else if code == ErrorCode::SystemIoFailure {
            Some(Self::Failing)
        } else if code == ErrorCode::ReadOnly {
            Some(Self::ReadOnly)
        } else {
            None
        }
    }
}

/// Whether writes work, as the last one showed.
#[derive(Debug, Default)]
pub(super) struct DiskHealth(Mutex<Option<(DiskTrouble, Instant)>>);

impl DiskHealth {
    /// Why writes do not work; `None` where they do.
    pub(super) fn trouble(&self) -> Option<DiskTrouble> {
        self.state().map(|(trouble, _)| trouble)
    }

    /// Why writes do not work, and how long until the next is tried.
    pub(super) fn pause(&self, now: Instant) -> Option<(DiskTrouble, Duration)> {
        self.state().map(|(trouble, failed_at)| {
            (trouble, (failed_at + RETRY_INTERVAL).saturating_duration_since(now))
        })
    }

    /// A write failed.
    pub(super) fn note_trouble(&self, trouble: DiskTrouble, now: Instant) {
        let before = self.lock().replace((trouble, now));
        if before.is_none_or(|(before, _)| before != trouble) {
            tracing::error!(
                "{trouble}: nothing can be changed until it takes writes again; maps and reports go on"
            );
        }
    }

    /// A write reached the disk.
    pub(super) fn note_written(&self) {
        if self.lock().take().is_some() {
            tracing::info!("the disk takes writes again");
        }
    }

    fn state(&self) -> Option<(DiskTrouble, Instant)> {
        *self.lock()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(DiskTrouble, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    fn sqlite(code: i32) -> rusqlite::Error {
        rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None)
    }

    #[test]
    fn trouble_is_recognised_through_the_errors_of_all_layers() {
        let full = StoreError::from(sqlite(rusqlite::ffi::SQLITE_FULL));
        assert_eq!(DiskTrouble::of(&full), Some(DiskTrouble::Full));
        let enroll = crate::service::EnrollError::from(full);
        assert_eq!(DiskTrouble::of(&enroll), Some(DiskTrouble::Full));
        let failing = StoreError::from(sqlite(rusqlite::ffi::SQLITE_IOERR_FSYNC));
        assert_eq!(DiskTrouble::of(&failing), Some(DiskTrouble::Failing));
        let constraint = StoreError::from(sqlite(rusqlite::ffi::SQLITE_CONSTRAINT));
        assert_eq!(DiskTrouble::of(&constraint), None);
        assert_eq!(DiskTrouble::of(&StoreError::Busy), None);
    }

    #[test]
    fn the_next_write_is_tried_a_second_after_the_last_that_failed() {
        let (health, now) = (DiskHealth::default(), Instant::now());
        assert_eq!(health.pause(now), None);
        health.note_trouble(DiskTrouble::Full, now);
        assert_eq!(health.pause(now), Some((DiskTrouble::Full, RETRY_INTERVAL)));
        assert_eq!(health.pause(now + RETRY_INTERVAL), Some((DiskTrouble::Full, Duration::ZERO)));
        health.note_written();
        assert_eq!(health.trouble(), None);
    }
}
