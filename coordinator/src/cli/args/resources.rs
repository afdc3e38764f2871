//! `admin` commands on what people administer; each does what the API's call of the same name does.

use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use protocol::access::{IpProtocol, PortRange, Verdict};
use protocol::api::{NodeName, ROUTE_PRIORITY_DEFAULT, Tag};

use super::super::mail::MailArgs;
use super::parse_lifetime_ms;
use crate::service::resources::nodes::RouteApproval;
use crate::store::{Admission, Role};

/// What becomes of traffic.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum VerdictArg {
    Allow,
    Deny,
}

/// How new nodes become part of a network.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum AdmissionArg {
    Automatic,
    Manual,
}

/// What an access rule is about.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(in crate::cli) enum ProtocolArg {
    Any,
    Tcp,
    Udp,
    Icmp,
}

impl From<VerdictArg> for Verdict {
    fn from(arg: VerdictArg) -> Self {
        match arg {
            VerdictArg::Allow => Self::Allow,
            VerdictArg::Deny => Self::Deny,
        }
    }
}

impl From<AdmissionArg> for Admission {
    fn from(arg: AdmissionArg) -> Self {
        match arg {
            AdmissionArg::Automatic => Self::Automatic,
            AdmissionArg::Manual => Self::Manual,
        }
    }
}

impl From<ProtocolArg> for IpProtocol {
    fn from(arg: ProtocolArg) -> Self {
        match arg {
            ProtocolArg::Any => Self::Any,
            ProtocolArg::Tcp => Self::Tcp,
            ProtocolArg::Udp => Self::Udp,
            ProtocolArg::Icmp => Self::Icmp,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum MemberCommand {
    /// List the members and their roles
    List,
    /// Give a member another role
    SetRole {
        /// Name or id
        person: String,
        /// viewer, member, admin or owner
        role: Role,
    },
    /// End a membership; API tokens in that person's name end with it
    Remove {
        /// Name or id
        person: String,
        /// Revoke the enrollment keys that the person made, too
        #[arg(long)]
        revoke_keys: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum InvitationCommand {
    /// Make a link that lets somebody in, once
    Create {
        /// viewer, member, admin or owner
        #[arg(long, default_value = "member")]
        role: Role,
        /// How long it works: a number and s, m, h or d, at most 30d
        #[arg(long, default_value = "7d", value_parser = parse_lifetime_ms)]
        expires: i64,
        /// Where browsers reach the coordinator [default: as `serve` was last told]
        #[arg(long, env = "WARREN_PUBLIC_URL", value_name = "URL")]
        public_url: Option<String>,
        /// Send the link to this address, too
        #[arg(long, value_name = "ADDRESS")]
        mail: Option<String>,
        #[command(flatten)]
        smtp: MailArgs,
    },
    /// List the invitations, never their secrets
    List,
    /// Take an invitation back
    Delete {
        /// Its id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AccessRuleCommand {
    /// Add a rule; the network's nodes enforce it within seconds
    Create {
        /// The network, by name or id
        #[arg(long)]
        network: String,
        /// What becomes of the traffic; what any rule denies is denied
        verdict: VerdictArg,
        /// Where it comes from: nodes with one of these tags [default: all]
        #[arg(long, value_name = "TAG,TAG", value_delimiter = ',')]
        from: Vec<Tag>,
        /// Where it goes to: nodes with one of these tags [default: all]
        #[arg(long, value_name = "TAG,TAG", value_delimiter = ',')]
        to: Vec<Tag>,
        /// The protocol
        #[arg(long, default_value = "any")]
        protocol: ProtocolArg,
        /// Destination ports of TCP or UDP, such as 22 or 8000-8100 [default: all]
        #[arg(long, value_name = "PORT,FIRST-LAST", value_delimiter = ',')]
        ports: Vec<PortRange>,
        /// What it is for
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List a network's rules
    List {
        /// The network, by name or id
        #[arg(long)]
        network: String,
    },
    /// Delete a rule
    Delete {
        /// The network, by name or id
        #[arg(long)]
        network: String,
        /// Its id
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ApiTokenCommand {
    /// Make a token that a program uses the API with, in the first owner's name; it is shown this once
    Create {
        /// What it is for
        #[arg(long)]
        description: String,
        /// The highest role that it acts in: viewer, member, admin or owner
        #[arg(long, default_value = "viewer")]
        role: Role,
        /// How long it works: a number and s, m, h or d [default: for ever]
        #[arg(long, value_parser = parse_lifetime_ms)]
        expires: Option<i64>,
    },
    /// List the tokens, never their secrets
    List,
    /// Revoke a token
    Revoke {
        /// Its id
        id: String,
    },
}

/// What is to be another way about a network.
#[derive(Debug, Args)]
pub(in crate::cli) struct NetworkSetArgs {
    /// Its name or id
    pub(in crate::cli) network: String,
    /// Another name
    #[arg(long)]
    pub(in crate::cli) name: Option<String>,
    /// What becomes of traffic that no access rule matches
    #[arg(long)]
    pub(in crate::cli) default_access: Option<VerdictArg>,
    /// Whether new nodes wait for an administrator
    #[arg(long)]
    pub(in crate::cli) admission: Option<AdmissionArg>,
}

/// What is to be another way about a node.
#[derive(Debug, Args)]
pub(in crate::cli) struct NodeSetArgs {
    /// Its id, or its name where only one node has it
    pub(in crate::cli) node: String,
    /// Another name
    #[arg(long)]
    pub(in crate::cli) name: Option<NodeName>,
    /// Its tags, instead of those that it has; nothing for none
    #[arg(long, value_name = "TAG,TAG", value_parser = parse_tags)]
    pub(in crate::cli) tags: Option<TagsArg>,
    /// How long it stays part of the network: a number and s, m, h or d, or `never` for no end
    #[arg(long, value_parser = parse_expiry)]
    pub(in crate::cli) expires: Option<ExpiryArg>,
    /// Move it to another network of the organization, by name or id
    #[arg(long)]
    pub(in crate::cli) network: Option<String>,
    /// Let it route to this network, which it offers or will; the lowest priority (100 where none is given) is preferred where
    /// several nodes have one
    #[arg(long, value_name = "PREFIX[=PRIORITY]", value_parser = parse_approval)]
    pub(in crate::cli) approve_route: Vec<RouteApproval>,
    /// Let it route to this network no longer
    #[arg(long, value_name = "PREFIX")]
    pub(in crate::cli) withdraw_route: Vec<IpNet>,
    /// Let it be an exit node, which it offers or will: whoever may reach it and chooses it reaches the internet through it
    #[arg(long, conflicts_with = "withdraw_exit_node")]
    pub(in crate::cli) approve_exit_node: bool,
    /// Let it be an exit node no longer
    #[arg(long)]
    pub(in crate::cli) withdraw_exit_node: bool,
}

fn parse_approval(text: &str) -> Result<RouteApproval, String> {
    let (prefix, priority) =
        text.split_once('=').map_or((text, None), |(prefix, priority)| (prefix, Some(priority)));
    let prefix = prefix.parse().map_err(|_| format!("{prefix:?} is no network such as 192.168.5.0/24"))?;
    let priority = priority.map_or(Ok(ROUTE_PRIORITY_DEFAULT), str::parse);
    let priority = priority.map_err(|_| "a priority is a number from 0 to 65535".to_owned())?;
    Ok(RouteApproval { prefix, priority })
}

/// A list of tags that may be empty.
#[derive(Debug, Clone)]
pub(in crate::cli) struct TagsArg(pub(in crate::cli) Vec<Tag>);

/// Milliseconds from now, or no end.
#[derive(Debug, Clone, Copy)]
pub(in crate::cli) struct ExpiryArg(pub(in crate::cli) Option<i64>);

fn parse_tags(text: &str) -> Result<TagsArg, String> {
    let tags = text.split(',').map(str::trim).filter(|tag| !tag.is_empty());
    tags.map(str::parse)
        .collect::<Result<_, _>>()
        .map(TagsArg)
        .map_err(|error: protocol::api::InvalidTag| error.to_string())
}

fn parse_expiry(text: &str) -> Result<ExpiryArg, String> {
    if text == "never" { Ok(ExpiryArg(None)) } else { parse_lifetime_ms(text).map(|ms| ExpiryArg(Some(ms))) }
}
