//! Side sockets: each is one more port of its node, behind a NAT one more inside endpoint, and ends with the node's life.

use std::net::SocketAddr;

use endpoint_selection::SocketId;
use engine::{Input, SIDE_SOCKETS_MAX, TunnelPath};

use super::{PORTS, World};

impl World {
    /// An engine wants a side socket; it hears at once whether it got one.
    pub(super) fn open_socket(&mut self, index: usize, socket: SocketId) {
        let node = &self.nodes[index];
        let verdict = if node.port_of(socket).is_some() {
            Err(format!("node {index} opens {socket}, which is open"))
        } else if node.side_ports.len() >= SIDE_SOCKETS_MAX {
            Err(format!("node {index} opens more than {SIDE_SOCKETS_MAX} side sockets"))
        } else {
            Ok(())
        };
        self.judge(verdict);
        let has_room = node.side_ports.len() < node.side_sockets_max;
        let port = has_room.then(|| self.bind(index, socket));
        let words = format!("n{index} opens {socket} at port {port:?}");
        self.transcript.note(self.now, 6, words.as_bytes(), || words.clone());
        let now = self.local_time(index);
        if let Some(engine) = &mut self.nodes[index].engine {
            // Without settling: whoever carries out this wish goes on with those that follow from it.
            engine.handle_input(now, Input::SocketOpened { socket, port });
        }
    }

    /// Gives a socket a random port that no other of the node has.
    fn bind(&mut self, index: usize, socket: SocketId) -> u16 {
        let port = loop {
            let port = self.random_port(PORTS);
            if self.nodes[index].socket_at(port).is_none() {
                break port;
            }
        };
        let node = &mut self.nodes[index];
        node.side_ports.insert(socket, port);
        for interface in node.interfaces.iter().filter(|interface| interface.address.is_ipv4()) {
            self.safety.add_address(index, SocketAddr::new(interface.address, port));
        }
        port
    }

    /// An engine is done with a side socket. What is still on its way to it is lost.
    pub(super) fn close_socket(&mut self, index: usize, closed: SocketId) {
        let node = &mut self.nodes[index];
        let uses = |path: &TunnelPath| matches!(path, TunnelPath::Direct { socket, .. } if *socket == closed);
        let verdict = if node.paths.values().any(uses) {
            Err(format!("node {index} closes {closed}, which a path uses"))
        } else if node.side_ports.remove(&closed).is_none() {
            Err(format!("node {index} closes {closed}, which is no open side socket"))
        } else {
            Ok(())
        };
        self.judge(verdict);
        self.safety.forget_sockets(|socket| socket == (index, closed));
        let words = format!("n{index} closes {closed}");
        self.transcript.note(self.now, 7, words.as_bytes(), || words.clone());
    }
}

#[cfg(test)]
mod tests;
