//! `admin relay` and `admin stun`: flags and subcommands.

use std::net::SocketAddr;

use clap::Subcommand;
use protocol::key::PublicKey;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RelayCommand {
    /// Name a relay that runs elsewhere (`warren-coordinator relay`) in every map; nodes join it within seconds
    Add {
        /// Its name, for people
        #[arg(long)]
        name: String,
        /// The public key that it prints when it starts
        #[arg(long)]
        public_key: PublicKey,
        /// Where nodes reach it, ip:port; IPv4 and IPv6 where it has both
        #[arg(long, value_name = "ADDR,ADDR", value_delimiter = ',', required = true)]
        address: Vec<SocketAddr>,
        /// Where it answers STUN, ip:port; a relay answers it on its own port too
        #[arg(long, value_name = "ADDR,ADDR", value_delimiter = ',')]
        stun: Vec<SocketAddr>,
    },
    /// List the relays, how nodes and this machine reach them, and the key that they verify tokens with
    List,
    /// Show one relay, and who does not reach it
    Show {
        /// Its name or id
        relay: String,
    },
    /// Change a relay
    Set {
        /// Its name or id
        relay: String,
        /// Another name
        #[arg(long)]
        name: Option<String>,
        /// Where nodes reach it, ip:port, instead of those that it has
        #[arg(long, value_name = "ADDR,ADDR", value_delimiter = ',')]
        address: Option<Vec<SocketAddr>>,
        /// Where it answers STUN, ip:port, instead of those that it has
        #[arg(long, value_name = "ADDR,ADDR", value_delimiter = ',')]
        stun: Option<Vec<SocketAddr>>,
    },
    /// Take a relay out of all maps for now; nodes leave it at once, so do this before you stop it
    Disable {
        /// Its name or id
        relay: String,
    },
    /// Put a relay back into all maps
    Enable {
        /// Its name or id
        relay: String,
    },
    /// Take a relay out of all maps for good
    Remove {
        /// Its name or id
        relay: String,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum StunCommand {
    /// Name a STUN server in every map, after the coordinator's own
    Add {
        /// Its name, for people
        #[arg(long)]
        name: String,
        /// Where it answers, ip:port; nodes resolve no names
        #[arg(long, value_name = "ADDR")]
        address: SocketAddr,
    },
    /// List the STUN servers, those of the coordinator and of relays too, and how nodes and this machine reach them
    List,
    /// Change a STUN server
    Set {
        /// Its name or id
        server: String,
        /// Another name
        #[arg(long)]
        name: Option<String>,
        /// Where it answers, ip:port
        #[arg(long, value_name = "ADDR")]
        address: Option<SocketAddr>,
    },
    /// Take a STUN server out of all maps for now
    Disable {
        /// Its name or id
        server: String,
    },
    /// Put a STUN server back into all maps
    Enable {
        /// Its name or id
        server: String,
    },
    /// Take a STUN server out of all maps for good
    Remove {
        /// Its name or id
        server: String,
    },
}
