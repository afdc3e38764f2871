//! TLS of the coordinator's own listener: with a certificate from files, or one that ACME brings.

mod acme;
mod acme_cache;
mod files;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::server::ResolvesServerCert;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

pub use acme::{Acme, AcmeSettings};
pub use files::CertificateFiles;

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file without what it should hold.
    #[error("{path} holds no {what} in PEM form ({why})")]
    Missing {
        /// The file.
        path: PathBuf,
        /// Certificate or private key.
        what: &'static str,
        /// What the parser says.
        why: String,
    },
    /// The two files do not belong together.
    #[error(
        "the private key {key} is not the one of the certificate {certificate}; give the pair that was made together"
    )]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
    },
    /// Something about certificate or key that we cannot work with.
    #[error("the certificate {certificate} with the key {key} cannot be used: {error}")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        error: rustls::Error,
    },
}

impl TlsError {
    /// Whether the operating system did not permit it.
    #[must_use]
    pub fn is_permission_denied(&self) -> bool {
        matches!(self, Self::Io { error, .. } if error.kind() == std::io::ErrorKind::PermissionDenied)
    }
}

/// TLS 1.2 and 1.3 with the certificates that `certificates` gives. Clients show none: nodes prove themselves by token.
fn server_config(certificates: Arc<dyn ResolvesServerCert>) -> ServerConfig {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    #[expect(clippy::expect_used, reason = "ring has cipher suites of both versions")]
    let builder = builder.with_safe_default_protocol_versions().expect("both versions");
    builder.with_no_client_auth().with_cert_resolver(certificates)
}

/// TLS 1.2 and 1.3 towards a server that `roots` vouch for.
fn client_config(roots: RootCertStore) -> ClientConfig {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    #[expect(clippy::expect_used, reason = "ring has cipher suites of both versions")]
    let builder = builder.with_safe_default_protocol_versions().expect("both versions");
    builder.with_root_certificates(roots).with_no_client_auth()
}
