//! Relays and STUN servers: what was registered, beside what the settings say, as nodes see it.

use std::sync::atomic::Ordering;

use protocol::relay_token::TokenSigningKey;

use super::Coordinator;
use crate::service::resources::relays::{Relay, RelayList};
use crate::service::resources::stun_servers::StunServer;
use crate::service::{self, Caller, ServerFigures, is_operator};
use crate::store::{RelayRow, StoreError, StunServerRow};

/// What the database says of servers, and how nodes see them.
struct Known {
    relays: Vec<RelayRow>,
    stun_servers: Vec<StunServerRow>,
    figures: ServerFigures,
}

impl Coordinator {
    /// The relays, with the figures that the caller may see.
    ///
    /// # Errors
    /// The database's.
    pub fn relays(&self, caller: &Caller) -> Result<RelayList, StoreError> {
        let Known { relays, mut figures, .. } = self.known_servers(caller)?;
        let mut relays: Vec<Relay> =
            Relay::own(&self.own).into_iter().chain(relays.into_iter().map(Relay::from)).collect();
        for relay in &mut relays {
            relay.nodes = Some(figures.relay(&relay.public_key));
        }
        Ok(RelayList { relays, verify_key: Some(self.signing_key.verifying_key().to_string()) })
    }

    /// The STUN servers in the order of maps, with the figures that the caller may see.
    ///
    /// # Errors
    /// The database's.
    pub fn stun_servers(&self, caller: &Caller) -> Result<Vec<StunServer>, StoreError> {
        let Known { relays, stun_servers, mut figures } = self.known_servers(caller)?;
        let mut servers = StunServer::all(&self.own, stun_servers, &relays);
        for server in &mut servers {
            server.nodes = Some(figures.stun_server(server.address));
        }
        Ok(servers)
    }

    /// How all nodes see the servers that maps name.
    pub(crate) fn server_figures(&self) -> ServerFigures {
        self.directory().all_server_figures()
    }

    /// Brings the servers of the maps to the state of the database; all nodes hear of it at once.
    pub(crate) fn refresh_servers(&self) {
        let mut directory = self.directory();
        match self.store.read(|tx| Ok::<_, StoreError>((tx.relays()?, tx.stun_servers()?))) {
            Ok((relays, stun)) => directory.set_servers(service::with_registered(&self.own, relays, stun)),
            Err(error) => {
                tracing::error!(%error, "relays and STUN servers could not be read back; what was known of them stays");
                self.stale.store(true, Ordering::Relaxed);
            }
        }
    }

    /// The key that signs tokens for relays.
    pub(crate) const fn relay_signing_key(&self) -> &TokenSigningKey {
        &self.signing_key
    }

    fn known_servers(&self, caller: &Caller) -> Result<Known, StoreError> {
        let (relays, stun_servers, is_operator) = self
            .store
            .read(|tx| Ok::<_, StoreError>((tx.relays()?, tx.stun_servers()?, is_operator(tx, caller)?)))?;
        let figures = self.directory().server_figures(caller, is_operator);
        Ok(Known { relays, stun_servers, figures })
    }
}
