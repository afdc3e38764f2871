//! Where TLS comes from: nowhere, files, or ACME.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::signal::unix::Signal;

use super::error::CliError;
use crate::http::tls::{Acme, AcmeSettings, CertificateFiles};

/// How often certificate files are looked at. Renewals come weeks before the old certificate ends.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// What the flags say about TLS.
pub(super) struct TlsSettings {
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    pub(super) domains: Option<Vec<String>>,
    pub(super) contact: Option<String>,
    pub(super) directory: Option<String>,
    pub(super) roots: Option<PathBuf>,
    pub(super) cache: PathBuf,
}

/// Where the certificate comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TlsSource {
    /// Plain HTTP.
    Off,
    /// Two files.
    Files { certificate: PathBuf, key: PathBuf },
    /// A certificate authority.
    Acme(AcmeSettings),
}

impl TlsSource {
    /// What the settings mean together.
    pub(super) fn new(settings: TlsSettings) -> Result<Self, CliError> {
        let usage = |text: &str| Err(CliError::Usage(text.to_owned()));
        let TlsSettings { cert, key, domains, contact, directory, roots, cache } = settings;
        let domains = domains.filter(|domains| !domains.is_empty());
        let detail = contact.is_some() || directory.is_some() || roots.is_some();
        match (cert, key, domains) {
            (None, None, None) if detail => usage("give --acme-domain too: the names of the certificate"),
            (None, None, None) => Ok(Self::Off),
            (Some(_), _, Some(_)) | (_, Some(_), Some(_)) => {
                usage("give either --tls-cert and --tls-key, or --acme-domain")
            }
            (Some(certificate), Some(key), None) if !detail => Ok(Self::Files { certificate, key }),
            (Some(_), Some(_), None) => usage("--acme-… makes no sense with --tls-cert and --tls-key"),
            (Some(_), None, None) => usage("give --tls-key too: the private key of --tls-cert"),
            (None, Some(_), None) => usage("give --tls-cert too: the certificate of --tls-key"),
            (None, None, Some(domains)) => {
                let domains = domains.iter().map(|name| parse_domain(name)).collect::<Result<_, _>>()?;
                if let Some(mail) = contact.as_ref().filter(|mail| !is_mail(mail)) {
                    return usage(&format!("--acme-contact `{mail}` is no mail address"));
                }
                if let Some(url) = directory.as_ref().filter(|url| !url.starts_with("https://")) {
                    return usage(&format!("--acme-directory `{url}` must begin with https://"));
                }
                Ok(Self::Acme(AcmeSettings { domains, contact, directory, roots, cache }))
            }
        }
    }

    /// The public URL, which must be one of https where TLS is on. By ACME the first name is as good as told.
    pub(super) fn public_url(
        &self,
        given: Option<String>,
        listen: SocketAddr,
    ) -> Result<Option<String>, CliError> {
        match (self, given) {
            (Self::Off, given) => Ok(given),
            (_, Some(url)) if url.starts_with("https://") => Ok(Some(url)),
            (_, Some(url)) => Err(CliError::Usage(format!(
                "the public URL `{url}` must begin with https://, as the coordinator speaks TLS"
            ))),
            (Self::Acme(settings), None) => Ok(settings.domains.first().map(|name| match listen.port() {
                443 => format!("https://{name}"),
                port => format!("https://{name}:{port}"),
            })),
            (Self::Files { .. }, None) => Ok(None),
        }
    }
}

/// A DNS name that a certificate can be had for by TLS-ALPN-01: no wildcard, no address, at least two labels.
fn parse_domain(text: &str) -> Result<String, CliError> {
    let name = text.trim().to_ascii_lowercase();
    let is_label = |label: &str| {
        let inner = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        inner && (1..=63).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
    };
    let labels: Vec<&str> = name.split('.').collect();
    let is_address = labels.last().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if labels.len() >= 2 && !is_address && name.len() <= 253 && labels.into_iter().all(is_label) {
        Ok(name)
    } else {
        let text =
            format!("--acme-domain `{text}` is no name such as mesh.example.org (no wildcard, no address)");
        Err(CliError::Usage(text))
    }
}

fn is_mail(text: &str) -> bool {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    printable && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
}

/// What keeps certificates fresh.
pub(super) enum Upkeep {
    Nothing,
    Files(CertificateFiles),
    Acme(Acme),
}

/// The listener's settings, and what keeps them fresh.
pub(super) fn start(source: &TlsSource) -> Result<(Option<ServerConfig>, Upkeep), CliError> {
    match source {
        TlsSource::Off => Ok((None, Upkeep::Nothing)),
        TlsSource::Files { certificate, key } => {
            let files = CertificateFiles::read(certificate, key)?;
            Ok((Some(files.server_config()), Upkeep::Files(files)))
        }
        TlsSource::Acme(settings) => {
            let acme = Acme::new(settings)?;
            Ok((Some(acme.server_config()), Upkeep::Acme(acme)))
        }
    }
}

impl Upkeep {
    /// Keeps them fresh, until it is dropped. `hangups`: SIGHUP, which would end the process if nobody heard it.
    pub(super) async fn run(self, mut hangups: Signal) {
        match self {
            Self::Files(files) => refresh_forever(files, hangups).await,
            Self::Acme(acme) => {
                tokio::join!(acme.run(), ignore(&mut hangups));
            }
            Self::Nothing => ignore(&mut hangups).await,
        }
    }
}

async fn ignore(hangups: &mut Signal) {
    while hangups.recv().await.is_some() {
        tracing::info!("there are no certificate files to read again");
    }
}

/// Looks at the files each minute, and when it is told to.
async fn refresh_forever(files: CertificateFiles, mut hangups: Signal) {
    let files = Arc::new(files);
    loop {
        let _ = tokio::time::timeout(REFRESH_INTERVAL, hangups.recv()).await;
        let looked = Arc::clone(&files);
        match tokio::task::spawn_blocking(move || looked.refresh()).await {
            Ok(Ok(true)) => tracing::info!("the new certificate is used"),
            Ok(Err(error)) => tracing::error!(%error, "the new certificate is not used; the old one stays"),
            Ok(Ok(false)) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> TlsSettings {
        TlsSettings {
            cert: None,
            key: None,
            domains: None,
            contact: None,
            directory: None,
            roots: None,
            cache: "acme".into(),
        }
    }

    fn domains(names: &[&str]) -> TlsSettings {
        TlsSettings { domains: Some(names.iter().map(|name| (*name).to_owned()).collect()), ..settings() }
    }

    #[test]
    fn half_of_a_setting_says_what_the_other_half_is() {
        let why = |settings| match TlsSource::new(settings) {
            Err(CliError::Usage(text)) => text,
            other => panic!("{other:?}"),
        };
        let (cert, key) = (Some(PathBuf::from("c")), Some(PathBuf::from("k")));
        assert!(why(TlsSettings { cert: cert.clone(), ..settings() }).contains("--tls-key too"));
        assert!(why(TlsSettings { key: key.clone(), ..settings() }).contains("--tls-cert too"));
        assert!(why(TlsSettings { cert, key, ..domains(&["a.example"]) }).contains("either"));
        assert!(why(TlsSettings { contact: Some("a@b.c".into()), ..settings() }).contains("--acme-domain"));
        assert!(why(TlsSettings { contact: Some("ab".into()), ..domains(&["a.example"]) }).contains("`ab`"));
        let plain = TlsSettings { directory: Some("http://ca".into()), ..domains(&["a.example"]) };
        assert!(why(plain).contains("https://"));
        assert_eq!(TlsSource::new(settings()).unwrap(), TlsSource::Off);
    }

    #[test]
    fn names_that_no_certificate_can_be_had_for_are_refused() {
        for bad in [
            "",
            "localhost",
            "*.example.org",
            "192.0.2.1",
            "a..b",
            "-a.example",
            "a_b.example",
            "a b.example",
        ] {
            assert!(TlsSource::new(domains(&[bad])).is_err(), "{bad}");
        }
        assert!(TlsSource::new(domains(&["Mesh.Example.org", "xn--bcher-kva.example"])).is_ok());
    }

    #[test]
    fn where_tls_is_on_the_public_url_is_one_of_https() {
        let acme = TlsSource::new(domains(&["mesh.example"])).unwrap();
        let url = |given: Option<&str>, port| {
            acme.public_url(given.map(str::to_owned), SocketAddr::from(([0, 0, 0, 0], port)))
        };
        assert_eq!(url(None, 443).unwrap().as_deref(), Some("https://mesh.example"));
        assert_eq!(url(None, 8443).unwrap().as_deref(), Some("https://mesh.example:8443"));
        assert_eq!(
            url(Some("https://other.example"), 443).unwrap().as_deref(),
            Some("https://other.example")
        );
        assert!(url(Some("http://mesh.example"), 443).is_err());
    }
}
