//! One life of the node's relay: its socket, and its port at the router.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU16;

use engine::RelayServer;
use protocol::api::RelayPermission;
use protocol::key::{PrivateKey, PublicKey};
use relay::core::{NODE_BYTES, RelayConfig, RelayCore};
use relay::limit::Rate;
use relay::server::{Config, UdpServer};

use super::{Facts, RelayOptions};
use crate::clock::Clock;
use crate::entropy;
use crate::port_mapping::PortMapper;
use crate::state::{StateFolder, relay_private_key};

/// Bytes a second that make one megabit a second.
const BYTES_PER_MBIT: u64 = 125_000;

/// A relay that serves.
pub(super) struct Serving {
    pub(super) public_key: PublicKey,
    pub(super) port: u16,
    /// Absent where the user wants none.
    pub(super) mapper: Option<PortMapper>,
    server: UdpServer,
}

impl Serving {
    /// Opens the relay's socket, at the port of the last life where that is free, and asks the router to open it as well.
    ///
    /// # Errors
    /// Where the machine gives no port, or the key can be neither read nor written: the sentence says what to do.
    pub(super) fn start(
        state: &StateFolder,
        options: &RelayOptions,
        permission: &RelayPermission,
        clock: Clock,
    ) -> Result<Self, String> {
        let key = relay_private_key(state).map_err(|error| error.to_string())?;
        let public_key = key.public_key();
        let server = bind(state, options, permission, &key).map_err(|error| error.to_string())?;
        let port = server.relay_addr().map_or(0, |address| address.port());
        if options.port.is_none()
            && let Err(error) = state.set_relay_udp_port(port)
        {
            tracing::warn!(%error, "the relay's UDP port is not remembered");
        }
        let mapped = NonZeroU16::new(port).filter(|_| options.port_mapping);
        let mapper = mapped.map(|port| PortMapper::start(port, &key, clock));
        Ok(Self { public_key, port, mapper, server })
    }

    /// How it stands with it.
    pub(super) fn facts(&self, static_addresses: &[SocketAddr]) -> Facts {
        let router = self.mapper.as_ref().map(PortMapper::facts);
        let server = RelayServer {
            public_key: self.public_key,
            port: self.port,
            mapping: router.as_ref().and_then(|router| router.mapping),
            static_addresses: static_addresses.to_vec(),
        };
        Facts {
            server: Some(server),
            sessions: self.server.counters().relay.sessions,
            why: router.and_then(|router| router.why),
        }
    }

    /// Closes the socket and gives the port back; done on return.
    pub(super) async fn stop(self) {
        let Self { mapper, server, .. } = self;
        let counters = server.counters().relay;
        tracing::info!(
            forwarded_packets = counters.forwarded_packets,
            forwarded_bytes = counters.forwarded_bytes,
            "relay for the network no more"
        );
        let give_back = async {
            if let Some(mapper) = mapper {
                mapper.stop().await;
            }
        };
        tokio::join!(server.stop(), give_back);
    }
}

/// Binds the relay to all addresses: of both families, or of IPv4 where the machine has no IPv6.
fn bind(
    state: &StateFolder,
    options: &RelayOptions,
    permission: &RelayPermission,
    key: &PrivateKey,
) -> io::Result<UdpServer> {
    let ports = match options.port {
        Some(port) => vec![port],
        // The port of the last life may be taken.
        None => state.relay_udp_port().into_iter().chain([0]).collect(),
    };
    let places = ports.into_iter().flat_map(|port| {
        [(Ipv6Addr::UNSPECIFIED, port).into(), SocketAddr::from((Ipv4Addr::UNSPECIFIED, port))]
    });
    let mut outcome = Err(io::Error::other("no port to listen at"));
    for place in places {
        let config = RelayConfig {
            network: Some(permission.network),
            node_bytes: Rate {
                per_second: u64::from(options.mbit_per_node) * BYTES_PER_MBIT,
                burst: NODE_BYTES.burst,
            },
            ..RelayConfig::new(key.clone(), permission.verify_keys.clone())
        };
        let core = RelayCore::new(config, *entropy::bytes());
        outcome = UdpServer::bind(Config {
            stun: Vec::new(),
            relay: Some(place),
            mark: Some(tunnel::TUNNEL_MARK),
            core,
        });
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}
