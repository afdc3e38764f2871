//! What a router tells everyone unasked: that it started anew or has another outside address (RFC 6887 §14.1, RFC 6886 §3.2.1).

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// The port that clients listen at for announcements.
const CLIENT_PORT: u16 = 5350;

/// The port that a router answers and announces from.
const ROUTER_PORT: u16 = 5351;

/// The longest announcement: PCP's header (RFC 6887 §7.2), longer ones are cut.
const LENGTH_MAX: usize = 24;

/// The counter of a router that announces itself; `None`: these bytes are no announcement.
fn parse(bytes: &[u8]) -> Option<u32> {
    // Both headers begin with version, opcode with the bit of responses, and a result; the counter stands in different places.
    let counter = match bytes {
        [0, 128, 0, 0, counter @ ..] if bytes.len() >= 12 => counter,
        [2, 128, _, 0, _, _, _, _, counter @ ..] if bytes.len() >= LENGTH_MAX => counter,
        _ => return None,
    };
    counter.first_chunk().map(|counter| u32::from_be_bytes(*counter))
}

/// An ear at the port of announcements.
#[derive(Debug)]
pub(super) struct Listener(UdpSocket);

impl Listener {
    /// Listens beside other clients of this machine. All routers announce to 224.0.0.1, which every host listens to.
    ///
    /// # Errors
    /// Where another program wants the port for itself.
    pub(super) fn open() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_reuse_address(true)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, CLIENT_PORT)).into())?;
        UdpSocket::from_std(socket.into()).map(Self)
    }

    /// Waits for the next announcement of this router; whatever else comes in is dropped. May be dropped without losing one.
    pub(super) async fn next(&self, router: Ipv4Addr) -> u32 {
        let router = SocketAddr::V4(SocketAddrV4::new(router, ROUTER_PORT));
        let mut bytes = [0; LENGTH_MAX];
        loop {
            match self.0.recv_from(&mut bytes).await {
                Ok((length, from)) if from == router => {
                    if let Some(counter) = parse(&bytes[..length]) {
                        return counter;
                    }
                }
                Ok(_) => {}
                // Not worth a loop that spins: the schedule finds out as well.
                Err(_) => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_protocols_announcements_tell_the_counter() {
        let nat_pmp = [0, 128, 0, 0, 0, 0, 1, 2, 198, 51, 100, 7];
        assert_eq!(parse(&nat_pmp), Some(258));
        let mut pcp = [0; 24];
        pcp[..2].copy_from_slice(&[2, 128]);
        pcp[8..12].copy_from_slice(&7_u32.to_be_bytes());
        assert_eq!(parse(&pcp), Some(7));
    }

    #[test]
    fn requests_refusals_and_cut_ones_are_no_announcements() {
        assert_eq!(parse(&[0, 0, 0, 0, 0, 0, 1, 2, 198, 51, 100, 7]), None, "a request");
        assert_eq!(parse(&[0, 128, 0, 3, 0, 0, 1, 2, 198, 51, 100, 7]), None, "a refusal");
        assert_eq!(parse(&[0, 128, 0, 0, 0, 0, 1]), None);
        assert_eq!(parse(&[2, 128, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(counter) = parse(&bytes) {
                prop_assert!(bytes.len() >= 12 && bytes[1] == 128);
                prop_assert!(bytes.windows(4).any(|window| window == counter.to_be_bytes()));
            }
        }
    }
}
