//! Small things that outlive a restart: the UDP port, the wish to stay down.

use super::{StateError, StateFolder};

const UDP_PORT: &str = "udp-port";
const RELAY_UDP_PORT: &str = "relay-udp-port";
const DOWN: &str = "down";

impl StateFolder {
    /// The UDP port of the last life, so that mappings and what peers know stay true; `None` where there is no sound
    /// one.
    pub(crate) fn udp_port(&self) -> Option<u16> {
        self.port(UDP_PORT)
    }

    /// Remembers the UDP port.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn set_udp_port(&self, port: u16) -> Result<(), StateError> {
        self.set_port(UDP_PORT, port)
    }

    /// The UDP port that the node's relay had last, so that a router's rule and what nodes know stay true.
    pub(crate) fn relay_udp_port(&self) -> Option<u16> {
        self.port(RELAY_UDP_PORT)
    }

    /// Remembers the relay's UDP port.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn set_relay_udp_port(&self, port: u16) -> Result<(), StateError> {
        self.set_port(RELAY_UDP_PORT, port)
    }

    fn port(&self, name: &str) -> Option<u16> {
        let bytes = self.read(name, 16).ok()??;
        std::str::from_utf8(&bytes).ok()?.trim().parse().ok().filter(|port| *port != 0)
    }

    fn set_port(&self, name: &str, port: u16) -> Result<(), StateError> {
        if self.port(name) == Some(port) { Ok(()) } else { self.write(name, port.to_string().as_bytes()) }
    }

    /// Whether the user wants the tunnel down, also after a restart.
    ///
    /// # Errors
    /// Where the system does not say.
    pub(crate) fn is_down(&self) -> Result<bool, StateError> {
        self.contains(DOWN)
    }

    /// Remembers that wish.
    ///
    /// # Errors
    /// Where the system refuses.
    pub(crate) fn set_down(&self, down: bool) -> Result<(), StateError> {
        if down { self.write(DOWN, b"") } else { self.remove(DOWN) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_and_the_wish_to_be_down_outlive_a_restart() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        assert_eq!(folder.udp_port(), None);
        folder.set_udp_port(41_641).unwrap();
        folder.set_relay_udp_port(41_642).unwrap();
        folder.set_down(true).unwrap();
        assert_eq!((folder.udp_port(), folder.is_down().unwrap()), (Some(41_641), true));
        assert_eq!(folder.relay_udp_port(), Some(41_642));
        folder.set_down(false).unwrap();
        assert!(!folder.is_down().unwrap());
    }

    #[test]
    fn a_damaged_port_is_no_port() {
        let outer = tempfile::tempdir().unwrap();
        let folder = StateFolder::new(outer.path());
        for bad in ["", "0", "65536", "x", "11111111111111111111"] {
            folder.write(UDP_PORT, bad.as_bytes()).unwrap();
            assert_eq!(folder.udp_port(), None, "{bad}");
        }
    }
}
