//! A host: one real engine, its UDP sockets, a tunnel that only counts, and what survives a restart.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use endpoint_selection::{SocketId, Timestamp};
use engine::{Engine, EngineConfig, Input, LocalAddress, PeerTraffic, TunnelPath};
use protocol::api::{MapEvent, NetworkMap};
use protocol::key::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::topology::{Link, Segment};
use crate::world::SleepClock;

/// Where a host touches a segment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interface {
    pub(crate) segment: Segment,
    pub(crate) address: IpAddr,
    pub(crate) link: Link,
}

/// A host.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) private_key: PrivateKey,
    pub(crate) public_key: PublicKey,
    /// The main socket's port, the same in every life.
    pub(crate) port: u16,
    /// The ports of this life's open side sockets.
    pub(crate) side_ports: BTreeMap<SocketId, u16>,
    /// How many side sockets the machine gives.
    pub(crate) side_sockets_max: usize,
    pub(crate) interfaces: Vec<Interface>,
    /// `None` before its start and between stop and start.
    pub(crate) engine: Option<Engine>,
    /// Counts the starts, so that what was meant for an earlier life is not taken for this one's.
    pub(crate) life: u32,
    /// The copy of the map on disk.
    pub(crate) saved_map: Option<NetworkMap>,
    /// When it wants to be woken, by its own clock.
    pub(crate) wake_at: Option<Timestamp>,
    asleep: Option<(Timestamp, SleepClock)>,
    /// How far its clock is behind the world's: the sum of the sleeps in which it stood still.
    lag: Duration,
    /// Whether its link to the internet loses everything just now.
    pub(crate) in_burst: bool,
    /// How often it was woken at one time: an engine that is never done would stop the clock.
    woken: (Timestamp, u32),
    /// What the path layer was told.
    pub(crate) paths: BTreeMap<PublicKey, TunnelPath>,
    /// What it was told of their lengths since.
    pub(crate) tunnel_mtus: BTreeMap<PublicKey, u16>,
    /// Peers whose next packet is to be told of at once.
    pub(crate) awaited: BTreeSet<PublicKey>,
    pub(crate) relays: BTreeSet<SocketAddr>,
    /// Bytes received and sent per peer, by this life's tunnel.
    pub(crate) traffic: BTreeMap<PublicKey, (u64, u64)>,
    /// Whether the engine is about to be told of it.
    pub(crate) is_look_planned: bool,
    pub(crate) is_stream_open: bool,
}

impl Node {
    pub(crate) fn new(name: String, private_key: PrivateKey, port: u16) -> Self {
        Self {
            name,
            public_key: private_key.public_key(),
            private_key,
            port,
            side_ports: BTreeMap::new(),
            // The oracle knows plain opening alone; worlds that try more say so.
            side_sockets_max: 0,
            interfaces: Vec::new(),
            engine: None,
            life: 0,
            saved_map: None,
            wake_at: None,
            asleep: None,
            lag: Duration::ZERO,
            in_burst: false,
            woken: (Timestamp::default(), 0),
            paths: BTreeMap::new(),
            tunnel_mtus: BTreeMap::new(),
            awaited: BTreeSet::new(),
            relays: BTreeSet::new(),
            traffic: BTreeMap::new(),
            is_look_planned: false,
            is_stream_open: false,
        }
    }

    /// A new engine, as after a start of the agent: it gets the copy of the map first, then the machine's addresses.
    pub(crate) fn start(&mut self, now: Timestamp, seed: [u8; 32]) {
        let config = EngineConfig {
            private_key: self.private_key.clone(),
            local_port: self.port,
            seed: Zeroizing::new(seed),
            static_candidates: Vec::new(),
            agent_version: "sim".into(),
        };
        let mut engine = Engine::new(config, now);
        if let Some(map) = self.saved_map.clone() {
            engine.handle_input(now, Input::Map(MapEvent::Snapshot(map)));
        }
        engine.handle_input(now, Input::LocalAddresses(self.local_addresses()));
        self.engine = Some(engine);
        self.life += 1;
    }

    /// Ends this life: nothing of it stays but keys and files.
    pub(crate) fn stop(&mut self) {
        self.engine = None;
        self.life += 1;
        self.wake_at = None;
        self.side_ports.clear();
        self.paths.clear();
        self.tunnel_mtus.clear();
        self.awaited.clear();
        self.relays.clear();
        self.traffic.clear();
        self.is_look_planned = false;
        self.is_stream_open = false;
    }

    /// The port of an open socket.
    pub(crate) fn port_of(&self, socket: SocketId) -> Option<u16> {
        if socket == SocketId::MAIN { Some(self.port) } else { self.side_ports.get(&socket).copied() }
    }

    /// Judges whether a datagram to `remote` can leave from `socket`.
    pub(crate) fn judge_socket(&self, socket: SocketId, remote: SocketAddr) -> Result<(), String> {
        if self.port_of(socket).is_none() {
            return Err(format!("{} sends from {socket}, which is not open, to {remote}", self.name));
        }
        if socket != SocketId::MAIN && !remote.is_ipv4() {
            return Err(format!("{} sends from {socket}, which is IPv4 only, to {remote}", self.name));
        }
        Ok(())
    }

    /// The open socket at a port.
    pub(crate) fn socket_at(&self, port: u16) -> Option<SocketId> {
        let side = || self.side_ports.iter().find(|(_, at)| **at == port).map(|(socket, _)| *socket);
        if port == self.port { Some(SocketId::MAIN) } else { side() }
    }

    /// The machine sleeps from now on.
    pub(crate) const fn sleep(&mut self, now: Timestamp, clock: SleepClock) {
        if self.asleep.is_none() {
            self.asleep = Some((now, clock));
        }
    }

    /// Ends a sleep, if there is one; how long it was and what the clock did.
    pub(crate) fn wake_up(&mut self, now: Timestamp) -> Option<(Duration, SleepClock)> {
        let (since, clock) = self.asleep.take()?;
        let slept = now.since(since);
        if clock == SleepClock::StandsStill {
            self.lag += slept;
        }
        Some((slept, clock))
    }

    pub(crate) const fn is_asleep(&self) -> bool {
        self.asleep.is_some()
    }

    /// The time that its own clock shows when the world's shows `now`.
    pub(crate) fn clock(&self, now: Timestamp) -> Timestamp {
        let now = match self.asleep {
            Some((since, SleepClock::StandsStill)) => since,
            Some((_, SleepClock::Jumps)) | None => now,
        };
        now - self.lag
    }

    /// When its own clock shows `local`, if it does not sleep before.
    pub(crate) fn world_time(&self, local: Timestamp) -> Timestamp {
        local + self.lag
    }

    /// Counts the wakes at one time.
    pub(crate) fn wakes_now(&mut self, now: Timestamp) -> u32 {
        self.woken = if self.woken.0 == now { (now, self.woken.1 + 1) } else { (now, 1) };
        self.woken.1
    }

    pub(crate) fn local_addresses(&self) -> Vec<LocalAddress> {
        self.interfaces
            .iter()
            .enumerate()
            .map(|(index, interface)| LocalAddress {
                interface: format!("eth{index}"),
                address: interface.address,
            })
            .collect()
    }

    /// The interface that packets to `remote` leave from.
    pub(crate) fn interface_to(&self, remote: SocketAddr) -> Option<Interface> {
        self.interfaces.iter().find(|interface| interface.address.is_ipv4() == remote.is_ipv4()).copied()
    }

    pub(crate) fn peer_traffic(&self) -> Vec<PeerTraffic> {
        self.traffic
            .iter()
            .map(|(peer, (rx_bytes, tx_bytes))| PeerTraffic {
                peer: *peer,
                rx_bytes: *rx_bytes,
                tx_bytes: *tx_bytes,
            })
            .collect()
    }
}
