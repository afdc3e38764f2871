//! What can go wrong below the services.

use std::path::{Path, PathBuf};

use nix::unistd::AccessFlags;

use super::DiskTrouble;

/// The database did not do what it was asked. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error("database: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// All readers are busy.
    #[error("database: no reader became free in time; the machine is overloaded")]
    Busy,
    /// The writer thread has ended.
    #[error("database: the writer has stopped; restart the coordinator")]
    WriterGone,
    /// The transaction around the write was not committed.
    #[error("database: the write was not committed: {0}")]
    NotCommitted(String),
    /// The disk takes no writes.
    #[error("database: {0}; make room or repair it, and try again")]
    Disk(DiskTrouble),
    /// A write panicked and was rolled back: a bug of ours.
    #[error("database: a write failed in an unforeseen way and was rolled back; please report it")]
    Panicked,
    /// There is no database yet.
    #[error("{0} does not exist; run `warren-coordinator admin init` with the right --data-dir, or `serve`")]
    Missing(PathBuf),
    /// The file is an SQLite database of another program.
    #[error("{path} belongs to another program (application_id {found:#x}); give another --data-dir")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its application id.
        found: i32,
    },
    /// The file was written by a newer coordinator.
    #[error(
        "{path} was written by a newer coordinator (schema {found}, this one knows {known}); install that version or restore a backup"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u32,
        /// The newest schema that we know.
        known: u32,
    },
    /// The file is damaged or no SQLite database.
    #[error(
        "{path} is damaged or no database ({reason}); restore a backup with `warren-coordinator restore FILE`"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        reason: String,
    },
    /// Its schema is not what the program expects.
    #[error("{path}: the schema differs from what this version expects at {object}; restore a backup")]
    Schema {
        /// The file.
        path: PathBuf,
        /// The first table, index or trigger that differs.
        object: String,
        /// Whether it is only there besides all that should be, or nothing is there at all yet.
        is_harmless: bool,
    },
    /// Somebody else serves from this directory.
    #[error("another coordinator runs on {0}; stop it first")]
    Locked(PathBuf),
    /// An admin command or a reader has the database open.
    #[error("{0} is in use by another process; wait for it or stop it")]
    InUse(PathBuf),
    /// There is no database, but what one leaves behind.
    #[error(
        "{path} is missing, but {left} is there: put it back with `warren-coordinator restore {left}`, or move it away to begin anew"
    )]
    Lost {
        /// The database.
        path: PathBuf,
        /// What is there instead.
        left: PathBuf,
    },
    /// A file that must not be there is.
    #[error("{0} exists already; give another name")]
    Exists(PathBuf),
    /// This user may not open it.
    #[error(
        "{0} may not be read and written by this user; run the command as root or as the owner of its folder"
    )]
    NotPermitted(PathBuf),
    /// A file operation failed.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
}

impl StoreError {
    /// An I/O error with its path.
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }

    /// Why SQLite could not open a file. It says "unable to open" for all causes; the system is asked for this one.
    pub(super) fn opening(error: rusqlite::Error, path: &Path) -> Self {
        let mode = AccessFlags::R_OK | AccessFlags::W_OK;
        let denied = error.sqlite_error_code() == Some(rusqlite::ErrorCode::CannotOpen)
            && nix::unistd::eaccess(path, mode) == Err(nix::errno::Errno::EACCES);
        if denied { Self::NotPermitted(path.to_owned()) } else { super::migrate::damage(error, path) }
    }

    /// Whether the disk is the reason.
    #[must_use]
    pub fn is_about_the_disk(&self) -> bool {
        matches!(self, Self::Disk(_)) || DiskTrouble::of(self).is_some()
    }

    /// Whether the operating system did not permit it.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        match self {
            Self::NotPermitted(_) => true,
            Self::Io { error, .. } => error.kind() == std::io::ErrorKind::PermissionDenied,
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::PermissionDenied | rusqlite::ErrorCode::ReadOnly)
            ),
            Self::Busy
            | Self::WriterGone
            | Self::NotCommitted(_)
            | Self::Disk(_)
            | Self::Panicked
            | Self::Missing(_)
            | Self::Foreign { .. }
            | Self::Newer { .. }
            | Self::Corrupt { .. }
            | Self::Schema { .. }
            | Self::Locked(_)
            | Self::InUse(_)
            | Self::Lost { .. }
            | Self::Exists(_) => false,
        }
    }
}
