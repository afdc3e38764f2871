//! Relays and STUN servers as people see them: what is known of them, with what they answered the coordinator.

use std::sync::Arc;

use super::Site;
use super::problem::ApiError;
use crate::server_check::Target;
use crate::service::Caller;
use crate::service::resources::relays::{Relay, RelayList};
use crate::service::resources::stun_servers::StunServer;

impl Site {
    /// The relays, with what those that were asked of late answered.
    pub(super) async fn relays(&self, caller: Arc<Caller>) -> Result<RelayList, ApiError> {
        let mut list = self.call(move |coordinator, _| coordinator.relays(&caller)).await?;
        list.relays.iter_mut().for_each(|relay| self.checks.show_relay(relay));
        Ok(list)
    }

    /// The STUN servers, with what those that were asked of late answered.
    pub(super) async fn stun_servers(&self, caller: Arc<Caller>) -> Result<Vec<StunServer>, ApiError> {
        let mut servers = self.call(move |coordinator, _| coordinator.stun_servers(&caller)).await?;
        servers.iter_mut().for_each(|server| self.checks.show_stun_server(server));
        Ok(servers)
    }

    /// Asks a relay at all its addresses.
    pub(super) async fn ask_relay(&self, relay: &mut Relay) {
        self.checks.ask(&Target::of_relay(relay)).await;
        self.checks.show_relay(relay);
    }

    /// Asks a STUN server.
    pub(super) async fn ask_stun_server(&self, server: &mut StunServer) {
        self.checks.ask(&[Target::of_stun_server(server)]).await;
        self.checks.show_stun_server(server);
    }
}
