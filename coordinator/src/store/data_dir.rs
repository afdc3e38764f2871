//! The data directory: one database, readable by its owner only, served by one process at a time.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::StoreError;
use super::backup::{BEFORE_RESTORE, BEFORE_SCHEMA};

/// Where the coordinator keeps its state.
#[derive(Debug, Clone)]
pub struct DataDir(PathBuf);

/// The right to serve from a data directory; given back when dropped.
#[derive(Debug)]
pub struct ServeLock {
    _file: File,
}

impl DataDir {
    /// Names a directory; nothing is touched.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The database file.
    #[must_use]
    pub fn database(&self) -> PathBuf {
        self.0.join("warren.db")
    }

    /// Creates the directory (mode 0700) where it is missing.
    ///
    /// # Errors
    /// The directory and why it cannot be made.
    pub fn create(&self) -> Result<(), StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(StoreError::io(&self.0))
    }

    /// Gives a file that root has just created here to the directory's owner: a service that runs as another user
    /// must be able to open what a command of root left. Does nothing for other users. Takes the open file and not
    /// its name, which that user could point at a file of root's.
    pub(super) fn give_to_owner(&self, created: &File) -> Result<(), StoreError> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(());
        }
        let owner = std::fs::metadata(&self.0).map_err(StoreError::io(&self.0))?;
        std::os::unix::fs::fchown(created, Some(owner.uid()), Some(owner.gid()))
            .map_err(StoreError::io(&self.0))
    }

    /// Puts a file here that only the directory's owner reads, in the place of one of this name.
    ///
    /// # Errors
    /// The file and why it cannot be written.
    pub fn write_private(&self, name: &str, text: &str) -> Result<(), StoreError> {
        self.remove_private(name)?;
        let path = self.0.join(name);
        let mut file = create_private_file(&path)?;
        self.give_to_owner(&file)?;
        file.write_all(text.as_bytes()).map_err(StoreError::io(&path))
    }

    /// Takes such a file away, where there is one.
    ///
    /// # Errors
    /// The file and why it cannot be removed.
    pub fn remove_private(&self, name: &str) -> Result<(), StoreError> {
        let path = self.0.join(name);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(StoreError::Io { path, error }),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// The names of the files inside that are text, in order.
    pub(super) fn file_names(&self) -> Result<Vec<String>, StoreError> {
        let entries = std::fs::read_dir(&self.0).and_then(Iterator::collect::<Result<Vec<_>, _>>);
        let entries = entries.map_err(StoreError::io(&self.0))?;
        let mut names: Vec<String> =
            entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    /// Writes the directory's entries to the disk: a new name is durable only then.
    pub(super) fn sync(&self) -> Result<(), StoreError> {
        File::open(&self.0).and_then(|folder| folder.sync_all()).map_err(StoreError::io(&self.0))
    }

    /// What a database left behind that is not there: the one that a cut off `restore` was about to replace, or copies.
    pub(super) fn leftover(&self) -> Result<Option<PathBuf>, StoreError> {
        let is_copy = |name: &&String| {
            let numbered = |prefix| name.strip_prefix(prefix).is_some_and(|rest| rest.parse::<u64>().is_ok());
            numbered(BEFORE_RESTORE) || numbered(BEFORE_SCHEMA)
        };
        // Names of one kind are as long as each other for centuries, and "restore" comes before "schema".
        let names = self.file_names()?;
        let of_kind = |kind: &str| names.iter().filter(is_copy).rfind(|name| name.starts_with(kind)).cloned();
        let newest = of_kind(BEFORE_RESTORE).or_else(|| of_kind(BEFORE_SCHEMA));
        Ok(newest.map(|name| self.0.join(name)))
    }

    /// Takes the right to serve.
    ///
    /// # Errors
    /// [`StoreError::Locked`] while another process has it.
    pub fn lock(&self) -> Result<ServeLock, StoreError> {
        let path = self.0.join("serve.lock");
        let file = match create_private_file(&path) {
            Ok(created) => {
                self.give_to_owner(&created)?;
                created
            }
            Err(StoreError::Exists(_)) => {
                OpenOptions::new().write(true).open(&path).map_err(StoreError::io(&path))?
            }
            Err(error) => return Err(error),
        };
        match file.try_lock() {
            Ok(()) => Ok(ServeLock { _file: file }),
            Err(std::fs::TryLockError::WouldBlock) => Err(StoreError::Locked(self.0.clone())),
            Err(std::fs::TryLockError::Error(error)) => Err(StoreError::Io { path, error }),
        }
    }
}

/// Creates an empty file that only its owner reads; SQLite gives its `-wal` and `-shm` files the same mode.
pub(super) fn create_private_file(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path).map_err(|error| {
        if error.kind() == std::io::ErrorKind::AlreadyExists {
            StoreError::Exists(path.to_owned())
        } else {
            StoreError::Io { path: path.to_owned(), error }
        }
    })
}
