//! The relay that this node runs for its network: whether it may, and at which addresses strangers reach it.

use std::net::SocketAddr;

use endpoint_selection::Timestamp;
use protocol::api::{NetworkMap, OwnRelay, RELAY_ADDRESSES_MAX};

use super::Engine;
use crate::input::RelayServer;
use crate::output::Output;

impl Engine {
    /// The map says whether we may be a relay.
    pub(super) fn note_relay_permission(&mut self, map: &NetworkMap) {
        if self.relay_permission != map.own.relay {
            self.relay_permission.clone_from(&map.own.relay);
            self.outputs.push_back(Output::SetOwnRelay(map.own.relay.clone()));
        }
    }

    /// A relay of ours serves now, or none any more.
    pub(super) fn on_relay_server(&mut self, now: Timestamp, server: Option<RelayServer>) {
        self.relay_server = server;
        self.note_own_relay(now);
    }

    /// Tells the coordinator where our relay is, where that is news.
    pub(super) fn note_own_relay(&mut self, now: Timestamp) {
        let fresh = self.own_relay_now();
        if self.own_relay != fresh {
            self.own_relay = fresh;
            self.reporter.touch(now);
        }
    }

    /// Our relay, where strangers reach it at all. What servers see us at is no such place: most NATs let in only packets of
    /// those that were sent to, and a relay is sent to by strangers.
    fn own_relay_now(&self) -> Option<OwnRelay> {
        let server = self.relay_server.as_ref().filter(|_| self.relay_permission.is_some())?;
        let hosts = self.discovery.host_addresses(server.port);
        let mapped = server.mapping.filter(|mapping| !self.discovery.doubts(mapping));
        let mut addresses: Vec<SocketAddr> = Vec::new();
        let given = server.static_addresses.iter().copied();
        for address in given.chain(hosts).chain(mapped.map(|mapping| mapping.external)) {
            let address = SocketAddr::new(address.ip().to_canonical(), address.port());
            if self.discovery.may_be_relay_address(address) && !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        // What is sure to lead here first; IPv4 before IPv6, which firewalls of home networks seldom let in.
        addresses.sort_by_key(|address| (!server.static_addresses.contains(address), address.is_ipv6()));
        addresses.truncate(RELAY_ADDRESSES_MAX);
        (!addresses.is_empty()).then_some(OwnRelay { public_key: server.public_key, addresses })
    }
}
