//! A relay that does not do what it should: it loses, repeats, forges and lies, with all that only it can know.

use std::net::SocketAddr;

use protocol::key::{PrivateKey, PublicKey};
use protocol::relay::{
    DELIVER_PREFIX_LEN, Frame, RelayKey, SessionId, decode, deliver_prefix, encode_no_session,
    encode_unreachable,
};

use super::{RelayId, World};

/// What a node cannot be seen as: multicast, loopback, no address at all. The judge of safety sees to it that nothing is ever
/// sent there. (Of an address that may be the node's, it would see probes: as many as any candidate gets.)
const FALSE_ADDRESSES: [([u8; 4], u16); 3] =
    [([224, 0, 0, 1], 9), ([127, 0, 0, 1], 4_000), ([0, 0, 0, 0], 0)];

/// A datagram and where it goes.
type Sent = (SocketAddr, Vec<u8>);

impl World {
    /// The relay lies from now on.
    pub fn corrupt_relay(&mut self, relay: RelayId) {
        self.lying_relays.insert(relay.0);
    }

    /// What the relay with this number sends instead of `honest`; `asked` is the datagram that came `from` a node.
    pub(super) fn lies(
        &mut self,
        index: usize,
        (from, asked): (SocketAddr, &[u8]),
        honest: Sent,
    ) -> Vec<Sent> {
        if !self.lying_relays.contains(&index) {
            return vec![honest];
        }
        let (to, datagram) = honest;
        let mut all = match self.rng.below(8) {
            0 | 1 => Vec::new(),
            2 | 3 => vec![(to, datagram.clone()), (to, datagram.clone())],
            4 => vec![(to, self.with_a_flipped_bit(&datagram))],
            5 => vec![(to, self.as_of_another_node(&datagram))],
            6 => self.falsely_registered(index, &datagram).map_or_else(Vec::new, |lie| vec![(to, lie)]),
            _ => vec![(to, datagram.clone())],
        };
        if let Ok(Frame::Send { session: SessionId(session), destination, .. }) = decode(asked)
            && self.rng.below(10) == 0
        {
            all.push((from, encode_unreachable(SessionId(session), &destination)));
            all.push((from, encode_no_session(SessionId(session))));
        }
        all
    }

    fn with_a_flipped_bit(&mut self, datagram: &[u8]) -> Vec<u8> {
        let mut changed = datagram.to_vec();
        let at = usize::try_from(self.rng.below(datagram.len().max(1) as u64)).unwrap_or_default();
        if let Some(byte) = changed.get_mut(at) {
            *byte ^= 1 << self.rng.below(8);
        }
        changed
    }

    /// A delivered packet as if another node had sent it.
    fn as_of_another_node(&mut self, datagram: &[u8]) -> Vec<u8> {
        let number = self.rng.below(self.nodes.len().max(1) as u64);
        let other = usize::try_from(number).ok().and_then(|index| self.nodes.get(index));
        match (decode(datagram), other) {
            (Ok(Frame::Deliver { .. }), Some(other)) => [
                &deliver_prefix(&other.public_key)[..],
                datagram.get(DELIVER_PREFIX_LEN..).unwrap_or_default(),
            ]
            .concat(),
            _ => datagram.to_vec(),
        }
    }

    /// A genuine answer to a registration, but for the address that it tells.
    fn falsely_registered(&mut self, index: usize, datagram: &[u8]) -> Option<Vec<u8>> {
        let Ok(Frame::Registered(registered)) = decode(datagram) else { return Some(datagram.to_vec()) };
        let key: PrivateKey = self.relay_key(index)?;
        let node = self.node_at_session(&registered)?;
        let number = usize::try_from(self.rng.below(FALSE_ADDRESSES.len() as u64)).ok()?;
        let observed = SocketAddr::from(*FALSE_ADDRESSES.get(number)?);
        let of_node = RelayKey::of_relay(&key, &node)?;
        Some(of_node.encode_registered(registered.session, observed, registered.lifetime_s, registered.nonce))
    }

    /// The node that an answer is for: its key is the one that the answer's MAC fits.
    fn node_at_session(&self, registered: &protocol::relay::Registered) -> Option<PublicKey> {
        let relays = &self.control.relay_keys;
        self.nodes.iter().find_map(|node| {
            let is_its = relays.iter().any(|relay| {
                RelayKey::of_node(&node.private_key, &relay.public_key())
                    .is_some_and(|key| key.verify_registered(registered))
            });
            is_its.then_some(node.public_key)
        })
    }

    fn relay_key(&self, index: usize) -> Option<PrivateKey> {
        let place = self.relays().iter().position(|relay| relay.0 == index)?;
        self.control.relay_keys.get(place).cloned()
    }
}
