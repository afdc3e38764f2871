//! A certificate by ACME (RFC 8555), proven on the same port (TLS-ALPN-01, RFC 8737).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{RootCertStore, ServerConfig};
use rustls_acme::{AcmeConfig, AcmeState, EventError, EventOk};

use super::TlsError;
use super::acme_cache::AcmeCache;

/// The first pause after an order that failed, and the longest. Let's Encrypt refuses a name after five failed
/// validations in an hour; this makes five in the first hour, and one in each after.
const RETRY_FIRST: Duration = Duration::from_secs(120);
const RETRY_MAX: Duration = Duration::from_secs(60 * 60);

/// Whom to ask for which certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcmeSettings {
    /// The names that the certificate shall cover.
    pub domains: Vec<String>,
    /// The mail address that the authority may write to.
    pub contact: Option<String>,
    /// The authority's directory; Let's Encrypt where there is none.
    pub directory: Option<String>,
    /// A file with the roots that the directory's own certificate is checked against; those of the web where there is
    /// none.
    pub roots: Option<PathBuf>,
    /// The folder for account and certificates.
    pub cache: PathBuf,
}

/// A certificate that is asked for and renewed.
pub struct Acme {
    state: AcmeState<TlsError>,
}

impl std::fmt::Debug for Acme {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acme").field("state", &self.state).finish()
    }
}

impl Acme {
    /// Prepares it; nobody is asked before [`Acme::run`].
    ///
    /// # Errors
    /// Roots that cannot be read.
    pub fn new(settings: &AcmeSettings) -> Result<Self, TlsError> {
        let config = AcmeConfig::new(&settings.domains)
            .directory_lets_encrypt(true)
            .contact(settings.contact.iter().map(|mail| format!("mailto:{mail}")))
            .cache(AcmeCache::new(settings.cache.clone()));
        let config = match &settings.directory {
            Some(directory) => config.directory(directory),
            None => config,
        };
        let config = match &settings.roots {
            Some(roots) => config.client_tls_config(Arc::new(super::client_config(root_store(roots)?))),
            None => config,
        };
        Ok(Self { state: config.state() })
    }

    /// The settings of a listener that shows the newest certificate, and the proof to the authority.
    #[must_use]
    pub fn server_config(&self) -> ServerConfig {
        let mut config = super::server_config(self.state.resolver());
        config.alpn_protocols.push(b"acme-tls/1".to_vec());
        config
    }

    /// Asks for a certificate, and again in time before it expires. Never ends.
    pub async fn run(mut self) {
        let mut retry = RETRY_FIRST;
        while let Some(event) = self.state.next().await {
            match event {
                Ok(EventOk::DeployedCachedCert) => tracing::info!("the certificate of the last run is used"),
                Ok(EventOk::DeployedNewCert) => {
                    retry = RETRY_FIRST;
                    tracing::info!("there is a new certificate");
                }
                Ok(EventOk::CertCacheStore) => tracing::info!("the certificate is kept for the next start"),
                Ok(EventOk::AccountCacheStore) => {}
                Err(EventError::Order(error)) => {
                    let next_try_in_s = retry.as_secs();
                    tracing::error!(
                        %error,
                        next_try_in_s,
                        "there is no new certificate; the name must lead to this machine, and port 443 to this process"
                    );
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(RETRY_MAX);
                }
                Err(error) => tracing::error!(%error, "the ACME account or certificate on disk"),
            }
        }
    }
}

fn root_store(roots: &Path) -> Result<RootCertStore, TlsError> {
    let missing = |why: String| TlsError::Missing { path: roots.to_owned(), what: "certificate", why };
    let certificates = CertificateDer::pem_file_iter(roots).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| missing(error.to_string()))?;
    let mut store = RootCertStore::empty();
    let (added, _) = store.add_parsable_certificates(certificates);
    if added == 0 {
        return Err(missing("none found".into()));
    }
    Ok(store)
}
