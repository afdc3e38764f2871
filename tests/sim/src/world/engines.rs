//! The loop around each engine: what the agent does with sockets and clocks, here with events.

use std::net::SocketAddr;

use endpoint_selection::SocketId;
use engine::{Input, Output, TunnelPath};
use protocol::key::PublicKey;

use super::{Event, HTTP_DELAY, NodeId, World};

impl World {
    /// Starts a stopped node: a new life with new randomness and the old keys.
    pub fn start(&mut self, node: NodeId) {
        let seed = self.rng.bytes();
        let now = self.now;
        let local = self.local_time(node.0);
        self.nodes[node.0].start(local, seed);
        let life = self.nodes[node.0].life;
        let revision = self.revision_of(node.0);
        self.queue.push(now + HTTP_DELAY, Event::StreamWanted(node.0, life, revision));
        self.settle(node.0);
    }

    pub(super) fn give(&mut self, index: usize, input: Input<'_>) {
        let now = self.local_time(index);
        if self.nodes[index].is_asleep() {
            return;
        }
        if let Some(engine) = &mut self.nodes[index].engine {
            engine.handle_input(now, input);
            self.settle(index);
        }
    }

    pub(super) fn give_datagram(
        &mut self,
        index: usize,
        socket: SocketId,
        from: SocketAddr,
        datagram: &[u8],
    ) {
        self.give(index, Input::Datagram { socket, from, datagram });
    }

    pub(super) fn wake(&mut self, index: usize) {
        let now = self.local_time(index);
        if self.nodes[index].is_asleep() || self.nodes[index].wake_at.is_none_or(|at| at > now) {
            return;
        }
        self.nodes[index].wake_at = None;
        if let Some(engine) = &mut self.nodes[index].engine {
            engine.handle_timeout(now);
            self.settle(index);
        }
    }

    /// Does what the engine asks for, and notes when it wants to be woken.
    pub(super) fn settle(&mut self, index: usize) {
        let mut outputs = 0;
        loop {
            let output = self.nodes[index].engine.as_mut().and_then(engine::Engine::poll_output);
            let Some(output) = output else { break };
            // An attempt that ends closes all of its sockets at once.
            outputs += usize::from(!matches!(output, Output::CloseSocket(_)));
            self.carry_out(index, output);
        }
        let peers = self.nodes.len() - 1;
        let verdict = self.safety.judge_outputs(index, peers, outputs);
        self.judge(verdict);
        let Some(engine) = &self.nodes[index].engine else { return };
        let Some((at, why)) = engine.poll_timeout() else { return };
        let now = self.local_time(index);
        let at = at.max(now);
        if at == now && self.nodes[index].wakes_now(at) > 64 {
            self.judge(Err(format!("node {index} wants to be woken for ever at one time, for a {why}")));
        }
        if self.nodes[index].wake_at.is_none_or(|planned| at < planned) {
            self.nodes[index].wake_at = Some(at);
            let at = self.nodes[index].world_time(at);
            self.queue.push(at, Event::Wake(index));
        }
    }

    pub(super) fn carry_out(&mut self, index: usize, output: Output) {
        match output {
            Output::Transmit { socket, to, datagram } => self.transmit((index, socket), to, datagram, false),
            Output::TransmitWhole { socket, to, datagram } => {
                self.transmit((index, socket), to, datagram, true);
            }
            Output::SetTunnelMtu { peer, mtu } => {
                self.nodes[index].tunnel_mtus.insert(peer, mtu);
            }
            Output::AwaitPacket { peer } => {
                self.nodes[index].awaited.insert(peer);
            }
            Output::OpenSocket(socket) => self.open_socket(index, socket),
            Output::CloseSocket(socket) => self.close_socket(index, socket),
            Output::SetPath { peer, path } => self.set_path(index, peer, path),
            Output::SetRelays(relays) => self.nodes[index].relays = relays.into_iter().collect(),
            // There are no WebSockets in a simulated world.
            Output::OpenWebSocket { relay, .. } => {
                let now = self.local_time(index);
                if let Some(engine) = &mut self.nodes[index].engine {
                    engine.handle_input(now, Input::WebSocketClosed { relay });
                }
            }
            // The simulated tunnel has no sessions.
            Output::RenewSession { .. } => {}
            Output::SetTunnel(_)
            | Output::SetOwnRelay(_)
            | Output::SetForwarding(_)
            | Output::CloseWebSocket { .. } => {}
            Output::Report(report) => {
                let life = self.nodes[index].life;
                self.transcript
                    .note(self.now, 3, &[], || format!("n{index} reports {:?}", report.candidates));
                self.queue.push(self.now + HTTP_DELAY, Event::ReportSent(index, life, Box::new(report)));
            }
            Output::SaveMap => {
                let map = self.nodes[index].engine.as_ref().and_then(|engine| engine.network_map().cloned());
                self.nodes[index].saved_map = map;
            }
            Output::RequestSnapshot => {
                let life = self.nodes[index].life;
                self.queue.push(self.now + HTTP_DELAY, Event::StreamWanted(index, life, None));
            }
            Output::Pinged { .. } | Output::PathChanged { .. } => {}
        }
    }

    fn transmit(
        &mut self,
        (index, socket): (usize, SocketId),
        to: SocketAddr,
        datagram: Vec<u8>,
        is_whole: bool,
    ) {
        let verdict = self.safety.judge_datagram(self.now, (index, socket), to, &datagram);
        self.judge(verdict);
        self.transcript.note(self.now, 2, &datagram, || {
            let class = protocol::frame::classify(&datagram);
            format!("n{index} sends {} bytes of {class:?} from {socket} to {to}", datagram.len())
        });
        self.send_as(index, socket, to, datagram, is_whole);
    }

    fn set_path(&mut self, index: usize, peer: PublicKey, path: Option<TunnelPath>) {
        let Some(&other) = self.node_of_key.get(&peer) else {
            self.judge(Err(format!("node {index} set a path to a stranger, {peer}")));
            return;
        };
        let end = path.map(|path| match path {
            TunnelPath::Direct { remote, .. } => (1_u64, remote),
            TunnelPath::Relay { server, .. } => (2, server),
        });
        let kind = end.map_or(0, |(kind, _)| kind);
        let port = end.map_or(0, |(_, remote)| u64::from(remote.port()));
        let numbers = [index as u64, other as u64, kind, port].map(u64::to_be_bytes);
        self.transcript.note(self.now, 4, numbers.as_flattened(), || {
            format!("n{index} -> n{other}: {}", describe(path.as_ref()))
        });
        if let Some(path) = path {
            if let TunnelPath::Direct { socket, remote } = path {
                self.judge(self.nodes[index].judge_socket(socket, remote));
            }
            let now = self.local_time(index);
            let verdict = self.safety.judge_path(now, index, (other, &peer), &path);
            self.judge(verdict);
            if self.nodes[index].paths.insert(peer, path) != Some(path) {
                self.nodes[index].tunnel_mtus.remove(&peer);
            }
        } else {
            self.nodes[index].paths.remove(&peer);
        }
    }

    pub(super) fn tell_traffic(&mut self, index: usize, life: u32) {
        if self.nodes[index].life == life {
            self.nodes[index].is_look_planned = false;
            let traffic = self.nodes[index].peer_traffic();
            self.give(index, Input::Traffic(traffic));
        }
    }

    pub(super) fn tell_local_addresses(&mut self, node: NodeId) {
        let addresses = self.nodes[node.0].local_addresses();
        self.give(node.0, Input::LocalAddresses(addresses));
    }
}

fn describe(path: Option<&TunnelPath>) -> String {
    match path {
        None => "no path".into(),
        Some(TunnelPath::Direct { socket, remote }) => format!("direct from {socket} to {remote}"),
        Some(TunnelPath::Relay { server, .. }) => format!("relay {server}"),
    }
}
