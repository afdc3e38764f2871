//! The flags of `serve`: each is also a `WARREN_…` variable and a line of the configuration file.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

use super::args::{LogFormat, PlaceArgs};
use super::mail::MailArgs;
use super::oidc::OidcArgs;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// HTTP address [default: 0.0.0.0:8080]
    #[arg(long, env = "WARREN_LISTEN", value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,
    /// Where browsers and agents reach the coordinator, such as `https://mesh.example.org`
    #[arg(long, env = "WARREN_PUBLIC_URL", value_name = "URL")]
    pub(super) public_url: Option<String>,
    /// Reverse proxies in front, whose X-Forwarded-For tells the client's address [default: none]
    #[arg(long, env = "WARREN_TRUSTED_PROXY", value_name = "CIDR,CIDR", value_delimiter = ',', value_parser = parse_prefix)]
    pub(super) trusted_proxy: Option<Vec<IpNet>>,
    /// Certificate chain for TLS on the HTTP address (PEM); read again when it changes, and on SIGHUP
    #[arg(long, env = "WARREN_TLS_CERT", value_name = "FILE")]
    pub(super) tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM)
    #[arg(long, env = "WARREN_TLS_KEY", value_name = "FILE")]
    pub(super) tls_key: Option<PathBuf>,
    /// Get a certificate for these names by ACME (Let's Encrypt); port 443 of the names must be the HTTP address
    #[arg(long, env = "WARREN_ACME_DOMAIN", value_name = "NAME,NAME", value_delimiter = ',')]
    pub(super) acme_domain: Option<Vec<String>>,
    /// Mail address that the certificate authority may write to
    #[arg(long, env = "WARREN_ACME_CONTACT", value_name = "MAIL")]
    pub(super) acme_contact: Option<String>,
    /// Directory of another certificate authority [default: Let's Encrypt]
    #[arg(long, env = "WARREN_ACME_DIRECTORY", value_name = "URL")]
    pub(super) acme_directory: Option<String>,
    /// Root certificates (PEM) that vouch for --acme-directory [default: those of the web]
    #[arg(long, env = "WARREN_ACME_ROOTS", value_name = "FILE")]
    pub(super) acme_roots: Option<PathBuf>,
    #[command(flatten)]
    pub(super) oidc: OidcArgs,
    #[command(flatten)]
    pub(super) mail: MailArgs,
    /// UDP addresses that answer STUN; two let nodes learn how their NAT maps [default: 0.0.0.0:3478,0.0.0.0:3479]
    #[arg(long, env = "WARREN_STUN", value_name = "ADDR,ADDR", value_delimiter = ',')]
    pub(super) stun: Option<Vec<SocketAddr>>,
    /// UDP address of the relay [default: the first STUN address]
    #[arg(long, env = "WARREN_RELAY", value_name = "ADDR")]
    pub(super) relay: Option<SocketAddr>,
    /// IP addresses to name in maps where STUN and relay listen on a wildcard [default: the public URL's host]
    #[arg(long, env = "WARREN_ANNOUNCE", value_name = "IP,IP", value_delimiter = ',')]
    pub(super) announce: Option<Vec<IpAddr>>,
    /// Address of Prometheus metrics at /metrics; keep it from the internet [default: none]
    #[arg(long, env = "WARREN_METRICS_LISTEN", value_name = "ADDR")]
    pub(super) metrics_listen: Option<SocketAddr>,
    /// End after this long without requests, map streams and relay sessions; only where systemd holds the socket
    #[arg(long, env = "WARREN_EXIT_WHEN_IDLE", value_name = "TIME")]
    pub(super) exit_when_idle: Option<String>,
    /// Log format [default: human]
    #[arg(long, env = "WARREN_LOG_FORMAT")]
    pub(super) log_format: Option<LogFormat>,
}

/// Reads `10.0.0.0/8`, or a single address.
pub(super) fn parse_prefix(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let single = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse()
        .or_else(|_| single())
        .map_err(|_| format!("`{text}` is no address and no prefix such as 10.0.0.0/8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_lists_every_flag() {
        use clap::CommandFactory as _;
        let page = include_str!("../../../docs/reference/settings.md");
        let command = super::super::args::Cli::command();
        let serve = command.find_subcommand("serve").unwrap();
        let flags = serve.get_arguments().filter_map(|flag| flag.get_long());
        let missing: Vec<&str> =
            flags.filter(|flag| *flag != "help" && !page.contains(&format!("`--{flag}"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn a_proxy_is_given_by_its_address_or_a_prefix() {
        assert_eq!(parse_prefix("127.0.0.1").unwrap().to_string(), "127.0.0.1/32");
        assert_eq!(parse_prefix(" fd00::/8").unwrap().to_string(), "fd00::/8");
        for bad in ["", "proxy.example", "10.0.0.0/33", "10.0.0.0/", "*"] {
            assert!(parse_prefix(bad).is_err(), "{bad}");
        }
    }
}
