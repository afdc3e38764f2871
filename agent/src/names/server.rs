//! A port of the node's mesh addresses, over UDP and TCP (RFC 7766), for this machine alone.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::answer::answer;
use super::records::Records;

/// The longest question that is read, in bytes. One with a name of 255 and every EDNS option in use stays far below.
const QUESTION_BYTES_MAX: usize = 2_048;

/// The most TCP connections at once per address; more wait in the kernel until one is over.
const CONNECTIONS_MAX: usize = 16;

/// How long a TCP connection may be silent (RFC 7766 §6.2.3 asks for seconds).
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// The most questions over one TCP connection, so that one program does not hold it for ever.
const QUESTIONS_MAX: usize = 100;

/// A pause after the kernel refused to receive or accept, so that a lasting refusal takes no core.
const PAUSE: Duration = Duration::from_millis(200);

type Source = watch::Receiver<Option<Arc<Records>>>;

/// Sockets that answer; dropping it closes them.
#[derive(Debug)]
pub(super) struct Server {
    port: u16,
    addresses: Arc<[IpAddr]>,
    open: BTreeSet<IpAddr>,
    troubles: BTreeMap<IpAddr, String>,
    records: watch::Sender<Option<Arc<Records>>>,
    tasks: JoinSet<()>,
}

impl Server {
    /// One for these addresses; nothing is open yet.
    pub(super) fn new(addresses: &[IpAddr], port: u16) -> Self {
        let records = watch::Sender::new(None);
        let (open, troubles, tasks) = (BTreeSet::new(), BTreeMap::new(), JoinSet::new());
        Self { port, addresses: addresses.into(), open, troubles, records, tasks }
    }

    /// Opens what is not open and can be opened, and answers there.
    pub(super) fn open(&mut self) {
        let own = Arc::clone(&self.addresses);
        for ip in own.iter().filter(|ip| !self.open.contains(ip)).copied().collect::<Vec<_>>() {
            let address = SocketAddr::new(ip, self.port);
            match udp(address).and_then(|udp| tcp(address).map(|tcp| (udp, tcp))) {
                Ok((udp, tcp)) => {
                    // Programs ask an address of the node from the same one or another of them.
                    self.tasks.spawn(serve_udp(udp, Arc::clone(&own), self.records.subscribe()));
                    self.tasks.spawn(serve_tcp(tcp, Arc::clone(&own), self.records.subscribe()));
                    self.troubles.remove(&ip);
                    self.open.insert(ip);
                }
                Err(error) => {
                    self.troubles.insert(ip, explain(address, &error));
                }
            }
        }
    }

    /// Closes all; the ports are free on return.
    pub(super) async fn close(mut self) {
        self.tasks.shutdown().await;
    }

    /// Answers from these records from now on.
    pub(super) fn set_records(&self, records: Arc<Records>) {
        self.records.send_replace(Some(records));
    }

    /// The addresses that it was opened for.
    pub(super) fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The addresses that answer, with the port.
    pub(super) fn resolvers(&self) -> Vec<SocketAddr> {
        let open = self.addresses.iter().filter(|address| self.open.contains(address));
        open.map(|address| SocketAddr::new(*address, self.port)).collect()
    }

    /// Why some do not.
    pub(super) fn trouble(&self) -> Option<String> {
        self.troubles.values().next().cloned()
    }
}

fn explain(address: SocketAddr, error: &io::Error) -> String {
    let (ip, port) = (address.ip(), address.port());
    if error.kind() == io::ErrorKind::AddrInUse {
        format!("port {port} of {ip} is taken by another program")
    } else {
        format!("cannot open port {port} of {ip}: {error}")
    }
}

fn udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

fn tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}

async fn serve_udp(socket: UdpSocket, own: Arc<[IpAddr]>, source: Source) {
    // What is longer is cut off by the kernel, and then mostly cannot be read.
    let mut buffer = [0; QUESTION_BYTES_MAX];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            sleep(PAUSE).await;
            continue;
        };
        let Some(question) = buffer.get(..length).filter(|_| own.contains(&from.ip())) else { continue };
        let records = source.borrow().clone();
        if let Some(bytes) = records.and_then(|records| answer(&records, question)) {
            // Who is gone meanwhile misses nothing.
            let _ = socket.send_to(&bytes, from).await;
        }
    }
}

async fn serve_tcp(listener: TcpListener, own: Arc<[IpAddr]>, source: Source) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, from)) if own.contains(&from.ip()) => {
                let source = source.clone();
                connections.spawn(async move {
                    // Its error is that of a program that went away.
                    let _ = converse(stream, &source).await;
                    drop(place);
                });
            }
            Ok(_) => {}
            Err(_) => sleep(PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Answers the questions of one connection until it falls silent or breaks the rules.
async fn converse(mut stream: TcpStream, source: &Source) -> io::Result<()> {
    let mut buffer = [0; QUESTION_BYTES_MAX];
    for _ in 0..QUESTIONS_MAX {
        let length = usize::from(timeout(SILENCE_MAX, stream.read_u16()).await??);
        let Some(question) = buffer.get_mut(..length) else { return Ok(()) };
        timeout(SILENCE_MAX, stream.read_exact(question)).await??;
        let records = source.borrow().clone();
        let Some(bytes) = records.and_then(|records| answer(&records, question)) else { return Ok(()) };
        let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
        let framed = [length.to_be_bytes().as_slice(), &bytes].concat();
        timeout(SILENCE_MAX, stream.write_all(&framed)).await??;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
