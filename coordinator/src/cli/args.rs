//! Flags and subcommands. Every flag of `serve` is also a `WARREN_…` variable and a line of the configuration file;
//! flag over variable over file.

mod resources;
mod servers;

pub(super) use resources::{
    AccessRuleCommand, ApiTokenCommand, InvitationCommand, MemberCommand, NetworkSetArgs, NodeSetArgs,
};
pub(super) use servers::{RelayCommand, StunCommand};

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use protocol::api::{NodeName, Tag};
use protocol::key::PublicKey;
use protocol::relay_token::TokenVerifyingKey;

pub(super) use super::serve_args::ServeArgs;

/// The coordinator of a Warren mesh.
#[derive(Debug, Parser)]
#[command(name = "warren-coordinator", version, about, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the coordinator: HTTP API, dashboard, STUN and a relay
    Serve(Box<ServeArgs>),
    /// Set up and administer; works on the data directory, also while the coordinator runs
    Admin(AdminArgs),
    /// Copy the database into a new file, also while the coordinator runs
    Backup(FileArgs),
    /// Put a backup in the place of the database; the old one is kept
    Restore(FileArgs),
    /// Check the database file
    Check(PlaceArgs),
    /// Look at the configuration of `serve` without running it
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Run a relay and STUN server alone
    Relay(RelayArgs),
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print every setting and where it came from; try addresses and files. Exit code 2: something is wrong
    Check(Box<ConfigCheckArgs>),
}

#[derive(Debug, Args)]
pub(super) struct ConfigCheckArgs {
    #[command(flatten)]
    pub(super) serve: ServeArgs,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Where the state is.
#[derive(Debug, Clone, Args)]
pub(super) struct PlaceArgs {
    /// Configuration file (TOML)
    #[arg(long, env = "WARREN_CONFIG", value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Data directory [default: /var/lib/warren-coordinator]
    #[arg(long, env = "WARREN_DATA_DIR", value_name = "DIR", global = true)]
    pub(super) data_dir: Option<PathBuf>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum LogFormat {
    /// For people
    Human,
    /// One JSON object per line
    Json,
}

#[derive(Debug, Args)]
pub(super) struct AdminArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// Print JSON
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// The organization, by name or id [default: the first; `init` makes `default`]
    #[arg(long, global = true, value_name = "NAME")]
    pub(super) organization: Option<String>,
    #[command(subcommand)]
    pub(super) command: AdminCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum AdminCommand {
    /// Make the first owner, organization and network; says what exists where that was done already
    Init {
        /// The owner's name or e-mail address
        #[arg(long, default_value = "owner")]
        owner: String,
        /// The network's name
        #[arg(long, default_value = "default")]
        network: String,
    },
    /// Networks
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Secrets that let machines join
    #[command(subcommand)]
    EnrollmentKey(EnrollmentKeyCommand),
    /// Nodes
    #[command(subcommand)]
    Node(NodeCommand),
    /// Relays on machines of their own
    #[command(subcommand)]
    Relay(RelayCommand),
    /// STUN servers, which tell nodes how the internet sees them
    #[command(subcommand)]
    Stun(StunCommand),
    /// Members of the organization
    #[command(subcommand)]
    Member(MemberCommand),
    /// Links that let somebody into the organization
    #[command(subcommand)]
    Invitation(InvitationCommand),
    /// Who may send what to whom in a network
    #[command(subcommand)]
    AccessRule(AccessRuleCommand),
    /// What programs use the API with
    #[command(subcommand)]
    ApiToken(ApiTokenCommand),
    /// Show who changed what lately
    AuditLog,
    /// Make a link that signs the owner in to the dashboard, once, within 15 minutes
    SignInLink {
        /// Where browsers reach the coordinator [default: as `serve` was last told]
        #[arg(long, env = "WARREN_PUBLIC_URL", value_name = "URL")]
        public_url: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum NetworkCommand {
    /// Make a network
    Create {
        /// Its name
        name: String,
        /// Its IPv4 range [default: a free one of 100.64.0.0/10]
        #[arg(long, value_name = "CIDR")]
        ipv4: Option<ipnet::Ipv4Net>,
    },
    /// List the networks
    List,
    /// Change a network
    Set(NetworkSetArgs),
    /// Delete a network without nodes
    Delete {
        /// Its name or id
        network: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum EnrollmentKeyCommand {
    /// Make an enrollment key; it is shown this once
    Create {
        /// The network, by name or id
        #[arg(long)]
        network: String,
        /// Let any number of machines use it, not one only
        #[arg(long)]
        reusable: bool,
        /// How long it works: a number and s, m, h or d
        #[arg(long, default_value = "24h", value_parser = parse_lifetime_ms)]
        expires: i64,
        /// The tags of the nodes that use it
        #[arg(long, value_delimiter = ',', value_name = "TAG,TAG")]
        tags: Vec<Tag>,
        /// Delete the nodes that use it when they have been offline for ten minutes
        #[arg(long)]
        ephemeral: bool,
        /// What it is for
        #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
        description: String,
    },
    /// List the enrollment keys, never their secrets
    List,
    /// Take an enrollment key back; nodes that used it stay
    Revoke {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// List the nodes
    List {
        /// Only of this network, by name or id
        #[arg(long)]
        network: Option<String>,
    },
    /// Delete a node; its peers forget it at once
    Delete {
        /// Its id, or its name where only one node has it
        node: String,
    },
    /// Change a node
    Set(NodeSetArgs),
    /// Admit a node that waits
    Admit {
        /// Its id, or its name where only one node has it
        node: String,
    },
    /// Switch a node off: its peers forget it at once
    Disable {
        /// Its id, or its name where only one node has it
        node: String,
    },
    /// Switch a node on again
    Enable {
        /// Its id, or its name where only one node has it
        node: String,
    },
    /// Let a node be a relay for its network; it begins at once where strangers can reach it
    AllowRelay {
        /// Its id, or its name where only one node has it
        node: String,
    },
    /// Let a node be no relay any more; who uses it goes elsewhere at once
    ForbidRelay {
        /// Its id, or its name where only one node has it
        node: String,
    },
    /// Register a plain WireGuard peer that runs no agent
    Add {
        /// The network, by name or id
        #[arg(long)]
        network: String,
        /// Its name
        #[arg(long)]
        name: NodeName,
        /// Its WireGuard public key
        #[arg(long)]
        public_key: PublicKey,
        /// Where it listens, ip:port
        #[arg(long)]
        endpoint: SocketAddr,
    },
}

#[derive(Debug, Args)]
pub(super) struct FileArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// The backup
    pub(super) file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct RelayArgs {
    /// UDP addresses of relay and STUN; the relay answers on the first
    #[arg(long, env = "WARREN_LISTEN", value_name = "ADDR,ADDR", value_delimiter = ',', required = true)]
    pub(super) listen: Vec<SocketAddr>,
    /// The key that the coordinator signs relay tokens with (`admin relay list` shows it)
    #[arg(long, env = "WARREN_VERIFY_KEY", value_name = "KEY")]
    pub(super) verify_key: TokenVerifyingKey,
    /// File with the relay's X25519 private key in base64, as `wg genkey` makes it; made where there is none
    #[arg(long, env = "WARREN_PRIVATE_KEY_FILE", value_name = "FILE")]
    pub(super) private_key_file: PathBuf,
    /// Log format
    #[arg(long, env = "WARREN_LOG_FORMAT", default_value = "human")]
    pub(super) log_format: LogFormat,
}

/// The longest life of an enrollment key, in days.
const LIFETIME_DAYS_MAX: i64 = 366;

/// Reads `90s`, `30m`, `24h` or `7d` into milliseconds.
pub(super) fn parse_lifetime_ms(text: &str) -> Result<i64, String> {
    let wrong = || format!("give a number and s, m, h or d, from 1s to {LIFETIME_DAYS_MAX}d");
    let unit_at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    let number: u32 = number.parse().map_err(|_| wrong())?;
    let lifetime_s = i64::from(number) * seconds;
    if (1..=LIFETIME_DAYS_MAX * 24 * 60 * 60).contains(&lifetime_s) {
        Ok(lifetime_s * 1000)
    } else {
        Err(wrong())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_have_a_unit_and_bounds() {
        assert_eq!(parse_lifetime_ms("90s"), Ok(90_000));
        assert_eq!(parse_lifetime_ms("1h"), Ok(3_600_000));
        for bad in ["", "1", "h", "0h", "-1h", "1.5h", "367d", "99999999999h", "1é"] {
            assert!(parse_lifetime_ms(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn admin_takes_its_flags_before_and_after_the_subcommand() {
        for line in ["admin --data-dir d --json network list", "admin network list --data-dir d --json"] {
            let words = std::iter::once("warren-coordinator").chain(line.split(' '));
            let Command::Admin(args) = Cli::try_parse_from(words).unwrap().command else { panic!("{line}") };
            assert!(args.json && args.place.data_dir == Some("d".into()), "{line}");
        }
    }
}
