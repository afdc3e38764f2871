//! What the path layer calls: messages in, the end of a batch, the timers, a peer's new path.

use std::sync::atomic::Ordering;
use std::time::Instant;

use bytes::BytesMut;
use protocol::key::PublicKey;

use super::{Exchange, Inbound};
use crate::noise::Owner;
use crate::outbound::Outbound;
use crate::path_layer::{Attachment, Source};

/// Ticks between two sweeps for session indices that ended: 5 s.
const SWEEP_TICKS: u32 = 20;

impl Attachment for Exchange {
    fn receive(&self, source: Source, message: &[u8]) -> bool {
        self.open(&self.keyed(), &mut self.inbound(), source, message)
    }

    fn flush(&self) {
        let mut inbound = self.inbound();
        self.write(&mut inbound.packets);
        inbound.outbound.flush(&self.paths.counters);
    }

    fn tick(&self) -> bool {
        let (keyed, mut inbound) = (self.keyed(), self.inbound());
        let Inbound { outbound, messages, .. } = &mut *inbound;
        keyed.identity.tick();
        let now = Instant::now();
        let runs = keyed.peers.tick(|peer, mut state| {
            state.noise.tick(messages);
            if messages.is_empty() && state.take_poke(now) {
                state.noise.initiate(messages);
            }
            drop(state);
            self.send_all(&keyed.peers, peer, messages, outbound);
        });
        outbound.flush(&self.paths.counters);
        if self.ticks.fetch_add(1, Ordering::Relaxed).is_multiple_of(SWEEP_TICKS) {
            keyed.peers.forget_indices(&keyed.identity);
        }
        runs
    }

    fn renew_session(&self, key: &PublicKey) {
        let keyed = self.keyed();
        let Some(peer) = keyed.peers.find(Owner::Initiator(*key)) else { return };
        let mut messages = Vec::new();
        let mut state = peer.lock();
        if state.take_renewal(Instant::now()) {
            keyed.peers.note_used(&peer, &mut state);
            state.noise.initiate(&mut messages);
        }
        drop(state);
        let mut outbound = Outbound::default();
        self.send_all(&keyed.peers, &peer, &mut messages, &mut outbound);
        outbound.flush(&self.paths.counters);
    }

    fn path_appeared(&self, key: &PublicKey) {
        let keyed = self.keyed();
        let Some(peer) = keyed.peers.find(Owner::Initiator(*key)) else { return };
        let mut messages: Vec<BytesMut> =
            peer.slot.take_held().map(|held| BytesMut::from(&held[..])).into_iter().collect();
        if messages.is_empty() {
            let mut state = peer.lock();
            state.want_poke();
            if state.take_poke(Instant::now()) {
                keyed.peers.note_used(&peer, &mut state);
                state.noise.initiate(&mut messages);
            }
        }
        let mut outbound = Outbound::default();
        self.send_all(&keyed.peers, &peer, &mut messages, &mut outbound);
        outbound.flush(&self.paths.counters);
    }
}
