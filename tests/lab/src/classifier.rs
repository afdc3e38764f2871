//! Finds out how the NAT of a host behaves, after RFC 5780, with plain sockets inside the host's namespace.

use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::behaviour::{Allocation, Behaviour, Filtering, Hairpin, Mapping};
use crate::error::{LabError, Trying};
use crate::namespace::Namespace;
use crate::stun_message::{Change, TransactionId, read_response, request};
use crate::stun_server::StunServer;

/// How long one request waits for its answer. The lab has no delay of its own, but its machine may be busy.
const ANSWER: Duration = Duration::from_millis(150);
/// Requests before silence counts as an answer that was filtered.
const TRIES: u32 = 4;
/// Requests before a server that nothing filters counts as dead: three seconds, longer than a busy machine stalls.
const TRIES_UNFILTERED: u32 = 20;
/// Sockets whose ports show the allocation.
const ALLOCATIONS: usize = 8;
/// Ports that all lie this close together come from a block: eight random ones do so once in ten million times.
const BLOCK_MAX: u16 = 4096;
static NEXT_TRANSACTION: AtomicU64 = AtomicU64::new(1);

/// Classifies the way from a namespace to the internet.
///
/// # Errors
/// When the server cannot be reached at all.
pub(crate) fn classify(
    host: &Namespace,
    address: Ipv4Addr,
    server: &StunServer,
) -> Result<Behaviour, LabError> {
    host.within(|| {
        let mapping = mapping(address, server)?;
        let hairpin = if mapping == Mapping::None { Hairpin::NotApplicable } else { hairpin(server)? };
        Ok(Behaviour { mapping, filtering: filtering(server)?, allocation: allocation(server)?, hairpin })
    })
}

fn mapping(address: Ipv4Addr, server: &StunServer) -> Result<Mapping, LabError> {
    let socket = socket()?;
    let [[first, other_port], [other_address, other_both]] = server.endpoints;
    let seen = [first, other_port, other_address, other_both]
        .map(|endpoint| seen_by(&socket, endpoint))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let local = SocketAddrV4::new(address, port_of(&socket)?);
    Ok(if seen.iter().all(|seen| *seen == local) {
        Mapping::None
    } else if seen.iter().all(|other| *other == seen[0]) {
        Mapping::EndpointIndependent
    } else if seen[0] == seen[1] && seen[2] == seen[3] {
        Mapping::AddressDependent
    } else {
        Mapping::AddressAndPortDependent
    })
}

fn filtering(server: &StunServer) -> Result<Filtering, LabError> {
    let endpoint = server.endpoints[0][0];
    // Each question has a socket of its own: what one opened must not help the next.
    if ask(&socket()?, endpoint, Change { address: true, port: true })?.is_some() {
        return Ok(Filtering::EndpointIndependent);
    }
    if ask(&socket()?, endpoint, Change { address: false, port: true })?.is_some() {
        return Ok(Filtering::AddressDependent);
    }
    seen_by(&socket()?, endpoint).map(|_| Filtering::AddressAndPortDependent)
}

fn allocation(server: &StunServer) -> Result<Allocation, LabError> {
    let mut kept = true;
    let mut outside = Vec::new();
    let mut sockets = Vec::new();
    for _ in 0..ALLOCATIONS {
        let socket = socket()?;
        let seen = seen_by(&socket, server.endpoints[0][0])?.port();
        kept &= seen == port_of(&socket)?;
        outside.push(seen);
        sockets.push(socket);
    }
    let spread = outside.iter().max().zip(outside.iter().min()).map_or(0, |(high, low)| high - low);
    let steps = outside.windows(2).all(|pair| pair[1] == pair[0].wrapping_add(1));
    Ok(if kept {
        Allocation::Preserved
    } else if steps {
        Allocation::Sequential
    } else if spread < BLOCK_MAX {
        Allocation::PortBlock
    } else {
        Allocation::Random
    })
}

fn hairpin(server: &StunServer) -> Result<Hairpin, LabError> {
    let (one, other) = (socket()?, socket()?);
    let endpoint = server.endpoints[0][0];
    let (one_outside, other_outside) = (seen_by(&one, endpoint)?, seen_by(&other, endpoint)?);
    for _ in 0..TRIES {
        one.send_to(b"open?", other_outside).trying("send to the own NAT")?;
        if hears(&other, b"open?") {
            return Ok(Hairpin::Open);
        }
    }
    for _ in 0..TRIES {
        one.send_to(b"both?", other_outside).trying("send to the own NAT")?;
        other.send_to(b"both?", one_outside).trying("send to the own NAT")?;
        if hears(&one, b"both?") || hears(&other, b"both?") {
            return Ok(Hairpin::Simultaneous);
        }
    }
    Ok(Hairpin::No)
}

pub(crate) fn socket() -> Result<UdpSocket, LabError> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).trying("open a UDP socket")?;
    socket.set_read_timeout(Some(ANSWER)).trying("set a time limit")?;
    Ok(socket)
}

fn port_of(socket: &UdpSocket) -> Result<u16, LabError> {
    Ok(socket.local_addr().trying("read a socket's address")?.port())
}

pub(crate) fn seen_by(socket: &UdpSocket, endpoint: SocketAddrV4) -> Result<SocketAddrV4, LabError> {
    ask_often(socket, endpoint, Change::default(), TRIES_UNFILTERED)?
        .ok_or_else(|| LabError::Unmet(format!("the lab's STUN server {endpoint} does not answer")))
}

/// Asks until there is an answer; `None` if all tries stay without one.
fn ask(socket: &UdpSocket, endpoint: SocketAddrV4, change: Change) -> Result<Option<SocketAddrV4>, LabError> {
    ask_often(socket, endpoint, change, TRIES)
}

fn ask_often(
    socket: &UdpSocket,
    endpoint: SocketAddrV4,
    change: Change,
    tries: u32,
) -> Result<Option<SocketAddrV4>, LabError> {
    let mut id: TransactionId = [0x57; 12];
    id[..8].copy_from_slice(&NEXT_TRANSACTION.fetch_add(1, Ordering::SeqCst).to_be_bytes());
    for _ in 0..tries {
        socket.send_to(&request(id, change), endpoint).trying("send a STUN request")?;
        let deadline = Instant::now() + ANSWER;
        let mut bytes = [0_u8; 1500];
        while Instant::now() < deadline {
            // Time-outs and ICMP errors alike mean that this try has no answer yet.
            let Ok(length) = socket.recv(&mut bytes) else { continue };
            if let Some(seen) = read_response(&bytes[..length], id) {
                return Ok(Some(seen));
            }
        }
    }
    Ok(None)
}

fn hears(socket: &UdpSocket, wanted: &[u8]) -> bool {
    let deadline = Instant::now() + ANSWER;
    let mut bytes = [0_u8; 64];
    loop {
        if let Ok(length) = socket.recv(&mut bytes)
            && bytes[..length] == *wanted
        {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
    }
}
