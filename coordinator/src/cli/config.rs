//! The configuration file, and what `serve` runs with after flags, environment and file.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use actix_web::http::Uri;
use ipnet::IpNet;
use serde::Deserialize;

use super::args::{LogFormat, PlaceArgs, ServeArgs, parse_lifetime_ms};
use super::error::CliError;
use super::mail::{MailArgs, MailConfig};
use super::oidc::{OidcArgs, OidcConfig};
use super::serve_args::parse_prefix;
use super::tls::{TlsSettings, TlsSource};
use crate::store::DataDir;

const DATA_DIR: &str = "/var/lib/warren-coordinator";
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8080);
/// The STUN port (RFC 8489 §8.1), and its neighbour as the second one that mapping discovery needs.
const STUN_PORTS: [u16; 2] = [3478, 3479];

/// The file: the long flags with `_` for `-`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    data_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
    public_url: Option<String>,
    trusted_proxy: Option<Vec<String>>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    acme_domain: Option<Vec<String>>,
    acme_contact: Option<String>,
    acme_directory: Option<String>,
    acme_roots: Option<PathBuf>,
    oidc_issuer: Option<String>,
    oidc_client_id: Option<String>,
    oidc_client_secret_file: Option<PathBuf>,
    oidc_name: Option<String>,
    oidc_roots: Option<PathBuf>,
    oidc_groups_claim: Option<String>,
    oidc_group: Option<Vec<String>>,
    oidc_insecure: Option<bool>,
    smtp_url: Option<String>,
    smtp_password_file: Option<PathBuf>,
    mail_from: Option<String>,
    stun: Option<Vec<SocketAddr>>,
    relay: Option<SocketAddr>,
    announce: Option<Vec<IpAddr>>,
    metrics_listen: Option<SocketAddr>,
    exit_when_idle: Option<String>,
    log_format: Option<LogFormat>,
}

impl ConfigFile {
    fn oidc(&mut self) -> OidcArgs {
        OidcArgs {
            oidc_issuer: self.oidc_issuer.take(),
            oidc_client_id: self.oidc_client_id.take(),
            oidc_client_secret_file: self.oidc_client_secret_file.take(),
            oidc_name: self.oidc_name.take(),
            oidc_roots: self.oidc_roots.take(),
            oidc_groups_claim: self.oidc_groups_claim.take(),
            oidc_group: self.oidc_group.take(),
            oidc_insecure: self.oidc_insecure.take(),
        }
    }

    fn mail(&mut self) -> MailArgs {
        MailArgs {
            smtp_url: self.smtp_url.take(),
            smtp_password_file: self.smtp_password_file.take(),
            mail_from: self.mail_from.take(),
        }
    }
}

/// What `serve` runs with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServeConfig {
    pub(super) data_dir: PathBuf,
    pub(super) listen: SocketAddr,
    pub(super) public_url: Option<String>,
    pub(super) trusted_proxies: Vec<IpNet>,
    pub(super) tls: TlsSource,
    pub(super) oidc: Option<OidcConfig>,
    pub(super) mail: Option<MailConfig>,
    pub(super) stun: Vec<SocketAddr>,
    pub(super) relay: Option<SocketAddr>,
    pub(super) announce: Vec<IpAddr>,
    pub(super) metrics_listen: Option<SocketAddr>,
    pub(super) exit_when_idle: Option<Duration>,
    pub(super) log_format: LogFormat,
}

impl ServeConfig {
    /// Flag over variable (which clap has put in the flag's place) over file over default.
    pub(super) fn load(args: &ServeArgs) -> Result<Self, CliError> {
        let mut file = read_file(args.place.config.as_deref())?;
        let oidc = OidcConfig::new(args.oidc.or(file.oidc()))?;
        let mail = MailConfig::new(args.mail.or(file.mail()))?;
        let default_stun =
            || STUN_PORTS.map(|port| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)).into();
        let stun: Vec<SocketAddr> = args.stun.clone().or(file.stun).unwrap_or_else(default_stun);
        let listen = args.listen.or(file.listen).unwrap_or(LISTEN);
        let public_url = args.public_url.clone().or(file.public_url);
        let data_dir = args.place.data_dir.clone().or(file.data_dir).unwrap_or_else(|| DATA_DIR.into());
        let tls = TlsSource::new(TlsSettings {
            cert: args.tls_cert.clone().or(file.tls_cert),
            key: args.tls_key.clone().or(file.tls_key),
            domains: args.acme_domain.clone().or(file.acme_domain),
            contact: args.acme_contact.clone().or(file.acme_contact),
            directory: args.acme_directory.clone().or(file.acme_directory),
            roots: args.acme_roots.clone().or(file.acme_roots),
            cache: data_dir.join("acme"),
        })?;
        Ok(Self {
            data_dir,
            listen,
            public_url: tls.public_url(public_url.map(|url| parse_public_url(&url)).transpose()?, listen)?,
            tls,
            oidc,
            mail,
            trusted_proxies: args.trusted_proxy.clone().map_or_else(|| prefixes(file.trusted_proxy), Ok)?,
            relay: args.relay.or(file.relay).or_else(|| stun.first().copied()),
            stun,
            announce: args.announce.clone().or(file.announce).unwrap_or_default(),
            exit_when_idle: args
                .exit_when_idle
                .clone()
                .or(file.exit_when_idle)
                .map(|text| parse_idle(&text))
                .transpose()?,
            metrics_listen: args.metrics_listen.or(file.metrics_listen),
            log_format: args.log_format.or(file.log_format).unwrap_or(LogFormat::Human),
        })
    }

    /// Every setting by the name that it has in the file, for people.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        fn list<T: ToString>(items: &[T]) -> String {
            items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        }
        fn maybe<T: ToString>(item: Option<T>) -> String {
            item.map_or_else(|| "-".to_owned(), |item| item.to_string())
        }
        let file = |path: Option<&PathBuf>| maybe(path.map(|path| path.display()));
        let (files, acme) = match &self.tls {
            TlsSource::Off => (None, None),
            TlsSource::Files { certificate, key } => (Some((certificate, key)), None),
            TlsSource::Acme(settings) => (None, Some(settings)),
        };
        let (oidc, mail) = (self.oidc.as_ref(), self.mail.as_ref());
        let log_format = match self.log_format {
            LogFormat::Human => "human",
            LogFormat::Json => "json",
        };
        vec![
            ("data_dir", self.data_dir.display().to_string()),
            ("listen", self.listen.to_string()),
            ("public_url", maybe(self.public_url.as_ref())),
            ("trusted_proxy", list(&self.trusted_proxies)),
            ("tls_cert", file(files.map(|(certificate, _)| certificate))),
            ("tls_key", file(files.map(|(_, key)| key))),
            ("acme_domain", acme.map_or_else(|| "-".into(), |acme| list(&acme.domains))),
            ("acme_contact", maybe(acme.and_then(|acme| acme.contact.as_ref()))),
            ("acme_directory", maybe(acme.and_then(|acme| acme.directory.as_ref()))),
            ("acme_roots", file(acme.and_then(|acme| acme.roots.as_ref()))),
            ("oidc_issuer", maybe(oidc.map(|oidc| &oidc.issuer))),
            ("oidc_client_id", maybe(oidc.map(|oidc| &oidc.client_id))),
            ("oidc_client_secret_file", file(oidc.and_then(|oidc| oidc.client_secret_file.as_ref()))),
            ("oidc_name", maybe(oidc.map(|oidc| &oidc.name))),
            ("oidc_roots", file(oidc.and_then(|oidc| oidc.roots.as_ref()))),
            ("oidc_groups_claim", maybe(oidc.map(|oidc| &oidc.groups_claim))),
            ("oidc_group", maybe(oidc.map(|oidc| oidc.group_texts().join(";")))),
            ("oidc_insecure", maybe(oidc.map(|oidc| oidc.insecure))),
            ("smtp_url", maybe(mail.map(|mail| without_password(&mail.smtp_url)))),
            ("smtp_password_file", file(mail.and_then(|mail| mail.password_file.as_ref()))),
            ("mail_from", maybe(mail.map(|mail| &mail.from))),
            ("stun", list(&self.stun)),
            ("relay", maybe(self.relay)),
            ("announce", list(&self.announce)),
            ("metrics_listen", maybe(self.metrics_listen)),
            ("exit_when_idle", maybe(self.exit_when_idle.map(|idle| format!("{}s", idle.as_secs())))),
            ("log_format", log_format.to_owned()),
        ]
    }
}

fn parse_idle(text: &str) -> Result<Duration, CliError> {
    let wrong = |why| CliError::Usage(format!("exit_when_idle `{text}`: {why}"));
    let ms = parse_lifetime_ms(text).map_err(wrong)?;
    Ok(Duration::from_millis(u64::try_from(ms).unwrap_or_default()))
}

/// The proxies of the file.
fn prefixes(texts: Option<Vec<String>>) -> Result<Vec<IpNet>, CliError> {
    let texts = texts.unwrap_or_default();
    let wrong = |why| CliError::Usage(format!("trusted_proxy in the configuration file: {why}"));
    texts.iter().map(|text| parse_prefix(text).map_err(wrong)).collect()
}

/// What `serve` would send mail with, for commands that do so, too.
pub(super) fn mail(args: &MailArgs, place: &PlaceArgs) -> Result<Option<MailConfig>, CliError> {
    MailConfig::new(args.or(read_file(place.config.as_deref())?.mail()))
}

/// The data directory of the commands that need nothing else.
pub(super) fn data_dir(args: &PlaceArgs) -> Result<DataDir, CliError> {
    let file = read_file(args.config.as_deref())?;
    Ok(DataDir::new(args.data_dir.clone().or(file.data_dir).unwrap_or_else(|| DATA_DIR.into())))
}

/// Checks a public URL and drops a slash at its end: the dashboard and the API live at the root of a host.
pub(super) fn parse_public_url(text: &str) -> Result<String, CliError> {
    let wrong = || {
        CliError::Usage(format!(
            "the public URL `{text}` is not usable; give http:// or https://, a host and perhaps a port, and no path"
        ))
    };
    let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| wrong())?;
    let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else { return Err(wrong()) };
    let rooted = uri.path().trim_matches('/').is_empty() && uri.query().is_none();
    let known = scheme == "http" || scheme == "https";
    if !known || !rooted || authority.host().is_empty() || authority.as_str().contains('@') {
        return Err(wrong());
    }
    Ok(format!("{scheme}://{authority}"))
}

fn read_file(path: Option<&Path>) -> Result<ConfigFile, CliError> {
    let Some(path) = path else { return Ok(ConfigFile::default()) };
    let text = std::fs::read_to_string(path)
        .map_err(CliError::io(format!("cannot read the configuration file {}", path.display())))?;
    parse_file(&text)
        .map_err(|(line, why)| CliError::Usage(format!("{}, line {line}: {why}", path.display())))
}

/// The settings that the file names.
pub(super) fn file_keys(path: Option<&Path>) -> Result<BTreeSet<String>, CliError> {
    let Some(path) = path else { return Ok(BTreeSet::new()) };
    let text = std::fs::read_to_string(path).map_err(CliError::io(path.display()))?;
    let table: toml::Table = text.parse().unwrap_or_default();
    Ok(table.keys().cloned().collect())
}

fn parse_file(text: &str) -> Result<ConfigFile, (usize, String)> {
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        let line = text.as_bytes().iter().take(start).filter(|byte| **byte == b'\n').count() + 1;
        (line, error.message().replace('\n', "; "))
    })
}

/// A URL as people may show it: a password in it, which does not belong there, is left out.
fn without_password(url: &str) -> String {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let (head, rest) = url.split_at(after_scheme);
    match rest.rsplit_once('@').and_then(|(user, host)| Some((user.split_once(':')?.0, host))) {
        Some((user, host)) => format!("{head}{user}:…@{host}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::super::args::{Cli, Command};
    use super::*;

    fn serve(words: &[&str]) -> ServeConfig {
        let words = ["warren-coordinator", "serve"].iter().chain(words);
        let Command::Serve(args) = Cli::try_parse_from(words).unwrap().command else { panic!("serve") };
        ServeConfig::load(&args).unwrap()
    }

    #[test]
    fn the_relay_shares_the_first_stun_port_unless_told_otherwise() {
        let config = serve(&["--stun", "127.0.0.1:1,127.0.0.1:2"]);
        assert_eq!(config.relay, Some("127.0.0.1:1".parse().unwrap()));
        let config = serve(&["--stun", "127.0.0.1:1", "--relay", "127.0.0.1:9"]);
        assert_eq!(config.relay, Some("127.0.0.1:9".parse().unwrap()));
    }

    #[test]
    fn a_flag_wins_over_the_file_and_the_file_over_the_default() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("c.toml");
        std::fs::write(&file, "listen = \"127.0.0.1:1\"\nstun = [\"127.0.0.1:2\"]\n").unwrap();
        let file = file.to_str().unwrap();
        let config = serve(&["--config", file, "--listen", "127.0.0.1:7"]);
        assert_eq!(config.listen, "127.0.0.1:7".parse().unwrap());
        assert_eq!(config.stun, ["127.0.0.1:2".parse().unwrap()]);
        assert_eq!(config.data_dir, Path::new(DATA_DIR));
    }

    #[test]
    fn an_unknown_key_and_a_wrong_value_are_refused_with_their_line() {
        let (line, why) = parse_file("listen = \"127.0.0.1:1\"\n\nlisten_on = 5\n").unwrap_err();
        assert_eq!(line, 3, "{why}");
        assert!(why.contains("listen_on"), "{why}");
        let (line, _) = parse_file("data_dir = \"/x\"\nlisten = \"nowhere\"\n").unwrap_err();
        assert_eq!(line, 2);
    }

    #[test]
    fn a_public_url_is_a_scheme_a_host_and_perhaps_a_port() {
        assert_eq!(parse_public_url("https://a.example/").unwrap(), "https://a.example");
        assert_eq!(parse_public_url("http://[2001:db8::1]:80").unwrap(), "http://[2001:db8::1]:80");
        for bad in [
            "",
            "a.example",
            "ftp://a",
            "https://",
            "https://a/b",
            "https://u@a",
            "https://a?x=1",
            "https://ä b",
        ] {
            assert!(parse_public_url(bad).is_err(), "{bad}");
        }
    }
}
