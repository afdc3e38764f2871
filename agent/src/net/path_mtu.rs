//! How long packets may be on the way to a STUN server, for people who wonder: each peer's own path is measured by the engine.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use protocol::stun::{TRANSACTION_LEN, decode_response, encode_long_request};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep, timeout_at};
use tunnel::Nat64Prefix;

use crate::entropy;

/// Sizes of IP packets that are tried: Ethernet, PPPoE, tunnels in use, and the least that IPv6 allows. In bytes, longest first.
const SIZES: [usize; 9] = [1_500, 1_492, 1_480, 1_460, 1_420, 1_400, 1_380, 1_340, 1_280];

/// Each size is tried so often: one packet may be lost.
const TRIES: u32 = 2;

/// From one try to the next, and from the last one until the answers are counted.
const PATIENCE: Duration = Duration::from_millis(600);

/// Headers of UDP, and of IPv4 and IPv6 without options.
const UDP_LEN: usize = 8;
const IPV4_LEN: usize = 20;
const IPV6_LEN: usize = 40;

/// The longest packet of [`SIZES`] that reached `server`, in bytes; `None` where none was answered. A host without IPv4 goes
/// through its NAT64.
pub(crate) async fn measure(server: SocketAddr, nat64: Option<Nat64Prefix>) -> Option<u16> {
    let server = match (server.ip(), nat64) {
        (IpAddr::V4(ip), Some(prefix)) => SocketAddr::new(prefix.synthesize(ip).into(), server.port()),
        _ => server,
    };
    let socket =
        tunnel::bind_whole(server.is_ipv6()).ok().and_then(|socket| UdpSocket::from_std(socket).ok())?;
    let headers = UDP_LEN + if server.is_ipv6() { IPV6_LEN } else { IPV4_LEN };
    let requests = SIZES.map(|size| (size, *entropy::bytes::<TRANSACTION_LEN>()));
    let mut longest = None;
    for _ in 0..TRIES {
        for (size, transaction) in requests {
            if longest.is_none_or(|longest| size > longest) {
                // One that is too long for our own link does not even leave.
                let _ = socket.send_to(&encode_long_request(transaction, size - headers), server).await;
            }
        }
        let until = Instant::now() + PATIENCE;
        let mut buffer = [0; 128];
        while longest != Some(SIZES[0])
            && let Ok(received) = timeout_at(until, socket.recv_from(&mut buffer)).await
        {
            let Ok((len, from)) = received else {
                // An ICMP message, perhaps of many.
                sleep(Duration::from_millis(1)).await;
                continue;
            };
            let answer = decode_response(&buffer[..len]).ok().filter(|_| from == server);
            let size = answer.and_then(|(answered, _)| {
                requests.iter().find(|(_, transaction)| *transaction == answered).map(|(size, _)| *size)
            });
            longest = longest.max(size);
        }
    }
    longest.and_then(|longest| u16::try_from(longest).ok())
}

#[cfg(test)]
mod tests {
    use protocol::stun::respond;

    use super::*;

    /// A STUN server on loopback that hears no datagram longer than this.
    async fn server(payload_max: usize) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut buffer = [0; 2_048];
            while let Ok((len, from)) = socket.recv_from(&mut buffer).await {
                if len <= payload_max {
                    socket.send_to(&respond(&buffer[..len], from).unwrap(), from).await.unwrap();
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn the_longest_packet_that_is_answered_counts() {
        assert_eq!(measure(server(9_000).await, None).await, Some(1_500));
        assert_eq!(measure(server(1_372).await, None).await, Some(1_400));
        assert_eq!(measure(server(1_371).await, None).await, Some(1_380));
    }

    #[tokio::test]
    async fn a_silent_server_shows_nothing() {
        assert_eq!(measure(server(0).await, None).await, None);
    }
}
