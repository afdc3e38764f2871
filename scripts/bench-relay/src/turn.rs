//! As much of a TURN client (RFC 8656) as it takes to have a channel: no authentication, UDP, IPv4.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

/// RFC 8489 §5.
const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
/// RFC 8656 §17: methods Allocate and ChannelBind.
const ALLOCATE: u16 = 0x0003;
const CHANNEL_BIND: u16 = 0x0009;
/// RFC 8656 §18.
const CHANNEL_NUMBER: u16 = 0x000c;
const XOR_PEER_ADDRESS: u16 = 0x0012;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_TRANSPORT: u16 = 0x0019;
/// The first channel number (RFC 8656 §12).
pub(crate) const CHANNEL: u16 = 0x4000;
/// How often a request is sent before the server counts as silent.
const TRIES: u32 = 40;

/// Asks for an allocation; gives its address.
pub(crate) fn allocate(socket: &UdpSocket, server: SocketAddr) -> Result<SocketAddr> {
    // UDP is 17; three reserved bytes follow (RFC 8656 §18.8).
    let answer = ask(socket, server, ALLOCATE, &[(REQUESTED_TRANSPORT, vec![17, 0, 0, 0])])?;
    let value = attribute(&answer, XOR_RELAYED_ADDRESS).context("an answer without a relayed address")?;
    let (port, ip) = match value {
        [_, 1, high, low, ip @ ..] => (u16::from_be_bytes([*high, *low]) ^ 0x2112, <[u8; 4]>::try_from(ip)?),
        _ => bail!("a relayed address that is not IPv4"),
    };
    let ip = u32::from_be_bytes(ip) ^ u32::from_be_bytes(MAGIC_COOKIE);
    Ok(SocketAddrV4::new(Ipv4Addr::from_bits(ip), port).into())
}

/// Binds [`CHANNEL`] to the peer.
pub(crate) fn bind_channel(socket: &UdpSocket, server: SocketAddr, peer: SocketAddr) -> Result<()> {
    let SocketAddr::V4(peer) = peer else { bail!("the peer is not IPv4") };
    let ip = peer.ip().to_bits() ^ u32::from_be_bytes(MAGIC_COOKIE);
    let address = [&[0, 1][..], &(peer.port() ^ 0x2112).to_be_bytes(), &ip.to_be_bytes()].concat();
    let number = [&CHANNEL.to_be_bytes()[..], &[0, 0]].concat();
    ask(socket, server, CHANNEL_BIND, &[(CHANNEL_NUMBER, number), (XOR_PEER_ADDRESS, address)]).map(|_| ())
}

/// Sends a request until it is answered with success.
fn ask(
    socket: &UdpSocket,
    server: SocketAddr,
    method: u16,
    attributes: &[(u16, Vec<u8>)],
) -> Result<Vec<u8>> {
    let body: Vec<u8> = attributes
        .iter()
        .flat_map(|(kind, value)| {
            let len = u16::try_from(value.len()).unwrap_or(u16::MAX);
            [&kind.to_be_bytes()[..], &len.to_be_bytes(), value].concat()
        })
        .collect();
    let len = u16::try_from(body.len())?;
    // One request at a time is out on a socket, so its method tells its answers apart.
    let transaction = [7; 12];
    let request =
        [&method.to_be_bytes()[..], &len.to_be_bytes(), &MAGIC_COOKIE, &transaction, &body].concat();
    socket.set_read_timeout(Some(Duration::from_millis(250)))?;
    let mut answer = [0; 1_500];
    for _ in 0..TRIES {
        socket.send_to(&request, server)?;
        let Ok(len) = socket.recv(&mut answer) else { continue };
        let answer = answer.get(..len).unwrap_or_default();
        let kind = answer.first_chunk().map(|kind| u16::from_be_bytes(*kind));
        ensure!(kind == Some(method | 0x0100), "TURN method {method:#x} was answered {kind:#x?}");
        return Ok(answer.to_vec());
    }
    bail!("the TURN server does not answer")
}

/// The value of an attribute.
fn attribute(message: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = message.get(20..)?;
    loop {
        let (&[k1, k2, l1, l2], after) = rest.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([l1, l2]));
        if u16::from_be_bytes([k1, k2]) == wanted {
            return after.get(..len);
        }
        rest = after.get(len.next_multiple_of(4)..)?;
    }
}
