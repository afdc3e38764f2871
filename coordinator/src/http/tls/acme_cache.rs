//! Where the ACME account and the certificates wait for the next start: files that only their owner reads.

use std::fs::{DirBuilder, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rustls_acme::{AccountCache, CertCache};
use sha2::{Digest, Sha256};

use super::TlsError;

/// A folder of accounts and certificates.
pub(super) struct AcmeCache {
    folder: PathBuf,
}

impl AcmeCache {
    pub(super) const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// A file's name says what is in it and, as a hash, for whom: other domains get another certificate.
    fn path(&self, what: &str, of: &[String], directory: &str) -> PathBuf {
        let mut hash = Sha256::new();
        for text in of.iter().map(String::as_str).chain([directory]) {
            hash.update(text.as_bytes());
            hash.update([0]);
        }
        let hash: String = hash.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        self.folder.join(format!("{what}-{hash}"))
    }
}

async fn load(path: PathBuf) -> Result<Option<Vec<u8>>, TlsError> {
    on_disk(move || match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(TlsError::Io { path, error }),
    })
    .await
}

/// Writes a file whole or not at all, and to the disk.
async fn store(path: PathBuf, bytes: Vec<u8>) -> Result<(), TlsError> {
    on_disk(move || {
        let folder = path.parent().unwrap_or(Path::new("."));
        let fresh = path.with_extension("new");
        let written = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .and_then(|()| {
                OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)
            })
            .and_then(|mut file| {
                file.write_all(&bytes)?;
                file.sync_all()
            })
            .and_then(|()| std::fs::rename(&fresh, &path));
        written.map_err(|error| TlsError::Io { path, error })
    })
    .await
}

async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, TlsError> + Send + 'static,
) -> Result<T, TlsError> {
    let worked = tokio::task::spawn_blocking(work).await;
    worked.unwrap_or_else(|error| {
        Err(TlsError::Io { path: PathBuf::from("ACME cache"), error: std::io::Error::other(error) })
    })
}

#[async_trait]
impl CertCache for AcmeCache {
    type EC = TlsError;

    async fn load_cert(&self, domains: &[String], directory: &str) -> Result<Option<Vec<u8>>, TlsError> {
        load(self.path("certificate", domains, directory)).await
    }

    async fn store_cert(&self, domains: &[String], directory: &str, cert: &[u8]) -> Result<(), TlsError> {
        store(self.path("certificate", domains, directory), cert.to_vec()).await
    }
}

#[async_trait]
impl AccountCache for AcmeCache {
    type EA = TlsError;

    async fn load_account(&self, contact: &[String], directory: &str) -> Result<Option<Vec<u8>>, TlsError> {
        load(self.path("account", contact, directory)).await
    }

    async fn store_account(
        &self,
        contact: &[String],
        directory: &str,
        account: &[u8],
    ) -> Result<(), TlsError> {
        store(self.path("account", contact, directory), account.to_vec()).await
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn what_is_kept_comes_back_and_only_its_owner_reads_it() {
        let directory = tempfile::tempdir().unwrap();
        let cache = AcmeCache::new(directory.path().join("acme"));
        let (one, two) = (["a.example".to_owned()], ["b.example".to_owned()]);
        assert_eq!(cache.load_cert(&one, "https://ca").await.unwrap(), None);
        cache.store_cert(&one, "https://ca", b"first").await.unwrap();
        cache.store_cert(&one, "https://ca", b"second").await.unwrap();
        cache.store_account(&one, "https://ca", b"account").await.unwrap();
        assert_eq!(cache.load_cert(&one, "https://ca").await.unwrap().unwrap(), b"second");
        assert_eq!(cache.load_account(&one, "https://ca").await.unwrap().unwrap(), b"account");
        assert_eq!(cache.load_cert(&two, "https://ca").await.unwrap(), None);
        assert_eq!(cache.load_cert(&one, "https://other").await.unwrap(), None);
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&cache.folder), 0o700);
        for entry in std::fs::read_dir(&cache.folder).unwrap() {
            assert_eq!(mode(&entry.unwrap().path()), 0o600);
        }
    }
}
