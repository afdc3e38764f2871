//! A certificate from files, read again when they change.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, ServerConfig};
use zeroize::Zeroizing;

use super::TlsError;

/// The longest file that is read: a chain has some 10 KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A certificate and its private key in two files.
#[derive(Debug)]
pub struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    current: Arc<Current>,
    /// What the files held when they were last looked at, good or bad.
    seen: Mutex<Option<Contents>>,
}

/// What is shown to clients.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

/// Of both files.
#[derive(PartialEq, Eq)]
struct Contents {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

impl std::fmt::Debug for Contents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Contents").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl CertificateFiles {
    /// Reads a certificate (its chain, the server's own first) and its private key, both PEM.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let contents = Contents::read(certificate, key)?;
        let current = contents.parse(certificate, key)?;
        Ok(Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            current: Arc::new(Current(RwLock::new(Arc::new(current)))),
            seen: Mutex::new(Some(contents)),
        })
    }

    /// The settings of a listener that shows what the files held last when they were sound.
    #[must_use]
    pub fn server_config(&self) -> ServerConfig {
        super::server_config(Arc::clone(&self.current) as Arc<dyn ResolvesServerCert>)
    }

    /// Looks whether the files changed; true: new connections get what they hold now.
    ///
    /// # Errors
    /// What is wrong with what they hold now, once for each change. The old certificate stays.
    pub fn refresh(&self) -> Result<bool, TlsError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = match Contents::read(&self.certificate, &self.key) {
            Ok(contents) if seen.as_ref() == Some(&contents) => return Ok(false),
            Ok(contents) => contents,
            Err(error) => return if seen.take().is_some() { Err(error) } else { Ok(false) },
        };
        let parsed = contents.parse(&self.certificate, &self.key);
        *seen = Some(contents);
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(parsed?);
        Ok(true)
    }
}

impl Contents {
    fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self { certificate: read(certificate)?, key: Zeroizing::new(read(key)?) })
    }

    fn parse(&self, certificate: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
        let missing = |path: &Path, what, why| TlsError::Missing { path: path.to_owned(), what, why };
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.certificate).collect();
        let chain = chain.map_err(|error| missing(certificate, "certificate", error.to_string()))?;
        if chain.is_empty() {
            return Err(missing(certificate, "certificate", "none found".into()));
        }
        let private_key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|error| missing(key, "private key", error.to_string()))?;
        let certified = CertifiedKey::from_der(chain, private_key, &ring::default_provider());
        certified.map_err(|error| {
            let (certificate, key) = (certificate.to_owned(), key.to_owned());
            if error == Error::InconsistentKeys(InconsistentKeys::KeyMismatch) {
                TlsError::Mismatch { certificate, key }
            } else {
                TlsError::Unusable { certificate, key, error }
            }
        })
    }
}

/// Reads a file, but no device without an end.
fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map_err(|error| TlsError::Io { path: path.to_owned(), error })?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pair {
        directory: tempfile::TempDir,
    }

    impl Pair {
        fn new() -> Self {
            let pair = Self { directory: tempfile::tempdir().unwrap() };
            pair.write();
            pair
        }

        fn write(&self) {
            let made = rcgen::generate_simple_self_signed(["mesh.example".to_owned()]).unwrap();
            std::fs::write(self.certificate(), made.cert.pem()).unwrap();
            std::fs::write(self.key(), made.signing_key.serialize_pem()).unwrap();
        }

        fn certificate(&self) -> PathBuf {
            self.directory.path().join("cert.pem")
        }

        fn key(&self) -> PathBuf {
            self.directory.path().join("key.pem")
        }

        fn read(&self) -> Result<CertificateFiles, TlsError> {
            CertificateFiles::read(&self.certificate(), &self.key())
        }
    }

    fn shown(files: &CertificateFiles) -> CertificateDer<'static> {
        files.current.0.read().unwrap().cert[0].clone()
    }

    #[test]
    fn each_wrong_file_is_named_with_what_is_wrong() {
        let (pair, other) = (Pair::new(), Pair::new());
        let why = |certificate: &Path, key: &Path| {
            CertificateFiles::read(certificate, key).unwrap_err().to_string()
        };
        let (certificate, key) = (pair.certificate(), pair.key());
        let swapped = why(&key, &certificate);
        assert!(swapped.contains("key.pem holds no certificate"), "{swapped}");
        let twice = why(&certificate, &certificate);
        assert!(twice.contains("cert.pem holds no private key"), "{twice}");
        let mismatch = why(&certificate, &other.key());
        assert!(mismatch.contains("not the one of the certificate"), "{mismatch}");
        let missing = why(Path::new("/nonexistent.pem"), &key);
        assert!(missing.starts_with("/nonexistent.pem: "), "{missing}");
        std::fs::write(&certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        let broken = why(&certificate, &key);
        assert!(broken.contains("cannot be used"), "{broken}");
    }

    #[test]
    fn a_new_pair_is_taken_over_and_a_bad_one_keeps_the_old() {
        let pair = Pair::new();
        let files = pair.read().unwrap();
        let first = shown(&files);
        assert!(!files.refresh().unwrap());
        // Between the two writes of a renewal the files do not match.
        let key = std::fs::read(pair.key()).unwrap();
        pair.write();
        let new_key = std::fs::read(pair.key()).unwrap();
        std::fs::write(pair.key(), key).unwrap();
        assert!(matches!(files.refresh(), Err(TlsError::Mismatch { .. })));
        assert!(!files.refresh().unwrap(), "what is wrong is said once");
        assert_eq!(shown(&files), first);
        std::fs::write(pair.key(), new_key).unwrap();
        assert!(files.refresh().unwrap());
        assert_ne!(shown(&files), first);
    }

    #[test]
    fn files_that_vanish_and_come_back_keep_the_certificate() {
        let pair = Pair::new();
        let files = pair.read().unwrap();
        let (first, key) = (shown(&files), std::fs::read(pair.key()).unwrap());
        std::fs::remove_file(pair.key()).unwrap();
        assert!(files.refresh().is_err());
        assert!(!files.refresh().unwrap());
        std::fs::write(pair.key(), key).unwrap();
        files.refresh().unwrap();
        assert_eq!(shown(&files), first);
    }
}
