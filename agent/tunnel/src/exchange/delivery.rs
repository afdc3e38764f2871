//! Which of the peers' packets reach this machine.

use std::sync::Arc;

use ipnet::IpNet;

use super::{Exchange, Keyed};
use crate::allowed_ips::AllowedIps;
use crate::batch::WriteBatch;
use crate::inner_packet::InnerPacket;
use crate::peer::Peer;

impl Exchange {
    /// Says where packets of peers may go: to these addresses of this node, and to these networks behind it.
    pub(crate) fn set_destinations(&self, addresses: &[IpNet], forwarded: &[IpNet]) {
        let mut destinations = AllowedIps::default();
        let own = addresses.iter().map(|address| IpNet::from(address.addr()));
        own.chain(forwarded.iter().copied()).for_each(|prefix| destinations.insert(prefix, ()));
        self.keyed_mut().destinations = destinations;
    }

    /// Hands an authentic packet on, if the peer may send from its source address, and it is for us or what we pass on: a machine
    /// that forwards would carry anything anywhere.
    pub(super) fn deliver(&self, keyed: &Keyed, peer: &Arc<Peer>, packet: &[u8], packets: &mut WriteBatch) {
        let is_owner = |source| keyed.peers.by_address(source).is_some_and(|owner| Arc::ptr_eq(owner, peer));
        let allowed = InnerPacket::parse(packet).filter(|inner| is_owner(inner.source));
        let Some((inner, packet)) = allowed.and_then(|inner| Some((inner, packet.get(..inner.len)?))) else {
            return self.paths.counters.source_not_allowed.add(1);
        };
        if keyed.destinations.find(inner.destination).is_none() {
            return self.paths.counters.destination_not_ours.add(1);
        }
        packets.push(packet);
        if packets.is_full() {
            self.write(packets);
        }
    }
}
