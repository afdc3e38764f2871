//! The state folder: files are replaced in one step that survives a crash, and belong to one agent at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::failure::{Code, Failure};

/// A lock on the folder, held until it is dropped or the process ends.
pub(crate) type Lock = Flock<File>;

/// Why a file of the state folder could not be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateError {
    /// The operating system said no.
    #[error("cannot {action} {}: {source}; {}", path.display(), advice(source))]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is there, but is not what it should be.
    #[error("{} is damaged: {why}; restore it from a backup, or remove it and join again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never its content.
        why: String,
    },
    /// Another process holds the lock.
    #[error("another process works on {} already: stop it, or choose another folder with --state-dir", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
}

fn advice(error: &io::Error) -> &'static str {
    let kind = error.kind();
    if kind == io::ErrorKind::PermissionDenied {
        "run as root or choose another folder with --state-dir"
    } else if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        "free some space on the disk"
    } else if kind == io::ErrorKind::ReadOnlyFilesystem {
        "choose a writable folder with --state-dir"
    } else {
        "check the folder given by --state-dir"
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        match &error {
            StateError::Io { source, .. } => Self::from_io(source, error.to_string()),
            StateError::Damaged { .. } | StateError::Busy { .. } => {
                Self::new(Code::Failed, error.to_string())
            }
        }
    }
}

/// A folder with the agent's state. Opening it touches nothing; the first write creates it.
#[derive(Debug, Clone)]
pub(crate) struct StateFolder {
    path: PathBuf,
}

impl StateFolder {
    /// The folder at `path`, which need not exist yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where the folder is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The path of one of its files.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes the folder, mode 0700, where it is not there yet.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn create(&self) -> Result<(), StateError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .map_err(|source| self.error("create the state folder", None, source))
    }

    /// Reads a file of at most `bytes_max` bytes; `None` where it does not exist.
    ///
    /// # Errors
    /// Where it cannot be read or is larger.
    pub(crate) fn read(&self, name: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, StateError> {
        let file = match File::open(self.file(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.error("read", Some(name), error)),
        };
        let mut bytes = Vec::new();
        let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
        file.take(limit).read_to_end(&mut bytes).map_err(|error| self.error("read", Some(name), error))?;
        if bytes.len() > bytes_max {
            return Err(self.damaged(name, format!("it is larger than {bytes_max} bytes")));
        }
        Ok(Some(bytes))
    }

    /// Replaces a file in one step: after a crash there is the old content or the new one, on disk.
    ///
    /// # Errors
    /// Where the system refuses; the old content is still there then, and no temporary file.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        self.create()?;
        let temporary = format!(".{name}.{}", std::process::id());
        let written = self.write_and_rename(&temporary, name, bytes);
        if written.is_err() {
            // The name may never have been there; the first error is the one that matters.
            let _ = fs::remove_file(self.file(&temporary));
        }
        written
    }

    fn write_and_rename(&self, temporary: &str, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let failed = |error| self.error("write", Some(name), error);
        let path = self.file(temporary);
        // A leftover of a crash with the same process id.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)?;
        fs::rename(&path, self.file(name)).map_err(failed)?;
        self.sync().map_err(failed)
    }

    /// Removes a file for good; one that does not exist is removed already.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn remove(&self, name: &str) -> Result<(), StateError> {
        let failed = |error| self.error("remove", Some(name), error);
        match fs::remove_file(self.file(name)) {
            Ok(()) => self.sync().map_err(failed),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    /// Whether a file exists.
    ///
    /// # Errors
    /// Where the system does not say.
    pub(crate) fn contains(&self, name: &str) -> Result<bool, StateError> {
        fs::exists(self.file(name)).map_err(|error| self.error("look for", Some(name), error))
    }

    /// Takes the lock `name` without waiting.
    ///
    /// # Errors
    /// [`StateError::Busy`] where another process holds it.
    pub(crate) fn lock(&self, name: &str) -> Result<Lock, StateError> {
        self.create()?;
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.file(name))
            .map_err(|error| self.error("lock", Some(name), error))?;
        Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
            if errno == Errno::EWOULDBLOCK {
                StateError::Busy { path: self.path.clone() }
            } else {
                self.error("lock", Some(name), errno.into())
            }
        })
    }

    pub(crate) fn damaged(&self, name: &str, why: impl Into<String>) -> StateError {
        StateError::Damaged { path: self.file(name), why: why.into() }
    }

    /// Makes names durable: a rename lives in the folder, not in the file.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn error(&self, action: &'static str, name: Option<&str>, source: io::Error) -> StateError {
        let path = name.map_or_else(|| self.path.clone(), |name| self.file(name));
        StateError::Io { action, path, source }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn folder() -> (tempfile::TempDir, StateFolder) {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(&outer.path().join("state"));
        (outer, folder)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_and_only_its_owner_reads_it() {
        let (_outer, folder) = folder();
        folder.write("a", b"old and long").unwrap();
        folder.write("a", b"new").unwrap();
        assert_eq!(folder.read("a", 100).unwrap().as_deref(), Some(&b"new"[..]));
        assert_eq!(mode(&folder.file("a")), 0o600);
        assert_eq!(mode(folder.path()), 0o700);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_content_and_no_temporary_file() {
        let (_outer, folder) = folder();
        folder.write("a/b", b"x").unwrap_err();
        folder.create().unwrap();
        fs::create_dir(folder.file("a")).unwrap();
        fs::write(folder.file("a/inside"), b"kept").unwrap();
        let error = folder.write("a", b"x").unwrap_err();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(fs::read(folder.file("a/inside")).unwrap(), b"kept");
    }

    #[test]
    fn a_file_that_is_too_large_is_refused_and_a_missing_one_is_none() {
        let (_outer, folder) = folder();
        folder.write("a", b"12345").unwrap();
        assert!(folder.read("a", 5).unwrap().is_some());
        assert!(matches!(folder.read("a", 4), Err(StateError::Damaged { .. })));
        assert!(folder.read("b", 4).unwrap().is_none());
    }

    #[test]
    fn a_lock_has_one_holder() {
        let (_outer, folder) = folder();
        let held = folder.lock("lock").unwrap();
        assert!(matches!(folder.lock("lock"), Err(StateError::Busy { .. })));
        drop(held);
        folder.lock("lock").unwrap();
    }
}
