//! The relays and STUN servers that every map names: the coordinator's own, then those that were registered and are not disabled.

use std::net::SocketAddr;

use protocol::api::{RelayInfo, Servers};

use crate::store::{RelayRow, StunServerRow};

/// The name of the relay and the STUN server inside the coordinator.
pub const COORDINATOR: &str = "coordinator";

/// The coordinator's own servers, then these. Nodes ask the first STUN servers only: those that somebody registered come before those
/// at relays, of which there may be many.
pub(crate) fn with_registered(
    own: &Servers,
    relays: Vec<RelayRow>,
    stun_servers: Vec<StunServerRow>,
) -> Servers {
    let mut all = own.clone();
    let registered = stun_servers.into_iter().filter(|server| !server.is_disabled);
    registered.for_each(|server| add(&mut all.stun_servers, server.address));
    for relay in relays.into_iter().filter(|relay| !relay.is_disabled) {
        let RelayRow { name, public_key, addresses, stun_servers, .. } = relay;
        all.relays.extend(addresses.into_iter().map(|address| RelayInfo {
            name: name.clone(),
            address,
            public_key,
            url: None,
            node: None,
        }));
        stun_servers.into_iter().for_each(|address| add(&mut all.stun_servers, address));
    }
    all
}

fn add(servers: &mut Vec<SocketAddr>, address: SocketAddr) {
    if !servers.contains(&address) {
        servers.push(address);
    }
}
