//! Finds out how the NAT of a host behaves, after RFC 5780, with plain sockets inside the host's namespace.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::behaviour::{Allocation, Behaviour, Claim, Filtering, Hairpin, Mapping, Udp, word};
use crate::error::{LabError, Trying};
use crate::internet::Internet;
use crate::ipv6::behind_nat64;
use crate::stun_message::{Change, TransactionId, read_response, request};
use crate::stun_server::{COMMON_PORTS, Endpoints, StunServer};

/// How long one request waits for its answer. The lab has no delay of its own, but its machine may be busy.
const ANSWER: Duration = Duration::from_millis(150);
/// Requests before silence counts as an answer that was filtered.
const TRIES: u32 = 4;
/// Requests before a port counts as one that the network lets nothing out to: one and a half seconds.
const TRIES_PORT: u32 = 10;
/// Requests before a server that nothing filters counts as dead: three seconds, longer than a busy machine stalls.
const TRIES_UNFILTERED: u32 = 20;
/// Sockets whose ports show the allocation.
const ALLOCATIONS: usize = 8;
/// Ports that follow each other may leave out some: a packet of somebody else, on a busy machine even one of ours that came late,
/// takes one as well.
const STEP_MAX: u16 = 4;
/// Ports that all lie this close together come from a block: eight random ones do so once in ten million times.
const BLOCK_MAX: u16 = 4096;
static NEXT_TRANSACTION: AtomicU64 = AtomicU64::new(1);

/// The way from a host to the server: its own address, and one family's endpoints as the host reaches them.
struct Way {
    own: IpAddr,
    /// `endpoints[address][port]`.
    endpoints: [[SocketAddr; 2]; 2],
    /// Whether IPv4 addresses are reached through NAT64.
    nat64: bool,
}

/// Classifies the way from a host to the internet.
///
/// # Errors
/// When the server cannot be reached at all.
pub(crate) fn classify(internet: &Internet, host: &str, server: &StunServer) -> Result<Claim, LabError> {
    let (own, own_ipv6) = (internet.addresses(host)?, internet.ipv6_addresses(host)?);
    let nat64 = own.is_empty();
    let own = own.first().map(|ip| IpAddr::V4(*ip)).or(own_ipv6.first().map(|ip| IpAddr::V6(*ip)));
    let own = own.ok_or_else(|| LabError::Description(format!("the host `{host}` has no address")))?;
    internet.host(host)?.within(|| {
        let ipv6 = match (own_ipv6.first(), server.ipv6) {
            (Some(own), Some(endpoints)) => {
                let way = Way { own: IpAddr::V6(*own), endpoints: pairs_from(endpoints, 0), nat64: false };
                Some(untranslated_filtering(&way)?)
            }
            _ => None,
        };
        let reach = |first| {
            let endpoints = pairs_from(server.endpoints, first);
            let endpoints = if nat64 { endpoints.map(|pair| pair.map(through_nat64)) } else { endpoints };
            Way { own, endpoints, nat64 }
        };
        let (open, common) = (reach(0), reach(COMMON_PORTS));
        let (udp, way) = if answers(open.endpoints[0][0])? {
            (Udp::Anywhere, open)
        } else if answers(common.endpoints[0][0])? && answers(common.endpoints[0][1])? {
            (Udp::To53And443, common)
        } else {
            // A dead line must not pass for a network that lets no UDP out.
            check_tcp(open.endpoints[0][0])?;
            return Ok(Claim { udp: Udp::Blocked, ipv4: None, ipv6, nat64 });
        };
        let mapping = mapping(&way)?;
        let hairpin = if mapping == Mapping::None { Hairpin::NotApplicable } else { hairpin(&way)? };
        let ipv4 = Behaviour { mapping, filtering: filtering(&way)?, allocation: allocation(&way)?, hairpin };
        Ok(Claim { udp, ipv4: Some(ipv4), ipv6, nat64 })
    })
}

fn pairs_from(endpoints: Endpoints, first: usize) -> [[SocketAddr; 2]; 2] {
    endpoints.map(|ports| [ports[first], ports[first + 1]])
}

fn through_nat64(endpoint: SocketAddr) -> SocketAddr {
    match endpoint.ip() {
        IpAddr::V4(ip) => SocketAddr::new(behind_nat64(ip).into(), endpoint.port()),
        IpAddr::V6(_) => endpoint,
    }
}

/// Whether the server answers at this endpoint.
fn answers(endpoint: SocketAddr) -> Result<bool, LabError> {
    Ok(ask_often(&socket(endpoint)?, endpoint, Change::default(), TRIES_PORT)?.is_some())
}

/// Fails unless TCP reaches the server's host; nobody listens there, and its refusal is an answer.
fn check_tcp(endpoint: SocketAddr) -> Result<(), LabError> {
    match TcpStream::connect_timeout(&endpoint, ANSWER * TRIES_UNFILTERED) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(()),
        other => Err(LabError::Unmet(format!("neither UDP nor TCP reaches {endpoint}: {other:?}"))),
    }
}

/// Who may come in where nobody translates.
fn untranslated_filtering(way: &Way) -> Result<Filtering, LabError> {
    let mapping = mapping(way)?;
    if mapping == Mapping::None {
        return filtering(way);
    }
    Err(LabError::Unmet(format!("{} is translated: mapping {}", way.own, word(&mapping))))
}

fn mapping(way: &Way) -> Result<Mapping, LabError> {
    let [[first, other_port], [other_address, other_both]] = way.endpoints;
    let socket = socket(first)?;
    let seen = [first, other_port, other_address, other_both]
        .map(|endpoint| seen_by(&socket, endpoint))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let local = SocketAddr::new(way.own, port_of(&socket)?);
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

fn filtering(way: &Way) -> Result<Filtering, LabError> {
    let endpoint = way.endpoints[0][0];
    // Each question has a socket of its own: what one opened must not help the next.
    if ask(&socket(endpoint)?, endpoint, Change { address: true, port: true })?.is_some() {
        return Ok(Filtering::EndpointIndependent);
    }
    if ask(&socket(endpoint)?, endpoint, Change { address: false, port: true })?.is_some() {
        return Ok(Filtering::AddressDependent);
    }
    seen_by(&socket(endpoint)?, endpoint).map(|_| Filtering::AddressAndPortDependent)
}

fn allocation(way: &Way) -> Result<Allocation, LabError> {
    let endpoint = way.endpoints[0][0];
    let mut kept = true;
    let mut outside = Vec::new();
    let mut sockets = Vec::new();
    for _ in 0..ALLOCATIONS {
        let socket = socket(endpoint)?;
        let seen = seen_by(&socket, endpoint)?.port();
        kept &= seen == port_of(&socket)?;
        outside.push(seen);
        sockets.push(socket);
    }
    let spread = outside.iter().max().zip(outside.iter().min()).map_or(0, |(high, low)| high - low);
    let steps = outside.windows(2).all(|pair| (1..=STEP_MAX).contains(&pair[1].wrapping_sub(pair[0])));
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

fn hairpin(way: &Way) -> Result<Hairpin, LabError> {
    let endpoint = way.endpoints[0][0];
    let (one, other) = (socket(endpoint)?, socket(endpoint)?);
    let outside =
        |socket| seen_by(socket, endpoint).map(|seen| if way.nat64 { through_nat64(seen) } else { seen });
    let (one_outside, other_outside) = (outside(&one)?, outside(&other)?);
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

/// A socket of the family of `towards`.
pub(crate) fn socket(towards: SocketAddr) -> Result<UdpSocket, LabError> {
    let any: IpAddr = match towards {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).trying("open a UDP socket")?;
    socket.set_read_timeout(Some(ANSWER)).trying("set a time limit")?;
    Ok(socket)
}

fn port_of(socket: &UdpSocket) -> Result<u16, LabError> {
    Ok(socket.local_addr().trying("read a socket's address")?.port())
}

pub(crate) fn seen_by(socket: &UdpSocket, endpoint: SocketAddr) -> Result<SocketAddr, LabError> {
    ask_often(socket, endpoint, Change::default(), TRIES_UNFILTERED)?
        .ok_or_else(|| LabError::Unmet(format!("the lab's STUN server {endpoint} does not answer")))
}

/// Asks until there is an answer; `None` if all tries stay without one.
fn ask(socket: &UdpSocket, endpoint: SocketAddr, change: Change) -> Result<Option<SocketAddr>, LabError> {
    ask_often(socket, endpoint, change, TRIES)
}

fn ask_often(
    socket: &UdpSocket,
    endpoint: SocketAddr,
    change: Change,
    tries: u32,
) -> Result<Option<SocketAddr>, LabError> {
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
