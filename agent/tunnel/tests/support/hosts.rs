//! Hosts with tunnels over real TUN interfaces, and what passes between them.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use engine::tunnel_config::{Change, PeerConfig};
use protocol::key::PrivateKey;
use tunnel::{Embedded, Observation, PathLayer, TunInterface, TunnelBackend, TunnelError};

use super::direct;
use super::namespaces::{Namespace, cabled_pair};

pub const MTU: u16 = 1380;

pub fn key(number: u8) -> PrivateKey {
    PrivateKey::from_random([number; 32])
}

pub fn interface(number: u8, mtu: u16) -> Change {
    let addresses =
        vec![format!("10.92.0.{number}/16").parse().unwrap(), format!("fd92::{number}/64").parse().unwrap()];
    Change::SetInterface { private_key: key(number), addresses, mtu }
}

pub fn peer(number: u8) -> Change {
    let allowed_ips =
        vec![format!("10.92.0.{number}/32").parse().unwrap(), format!("fd92::{number}/128").parse().unwrap()];
    Change::SetPeer(
        key(number).public_key(),
        PeerConfig {
            allowed_ips,
            persistent_keepalive_s: None,
            inbound: protocol::access::TrafficFilter::open(),
        },
    )
}

/// A host in a namespace of its own, with a tunnel that is up.
pub struct Host {
    pub namespace: Namespace,
    pub paths: PathLayer,
    /// Away only while it works inside the namespace: interfaces belong to the namespace of the thread.
    tunnel: Option<Embedded>,
}

impl Host {
    pub fn new(namespace: Namespace, number: u8) -> Self {
        let (paths, tunnel) = namespace.run(|| {
            let paths = PathLayer::bind(0, |_| true).unwrap();
            let tunnel = Embedded::new(&paths, TunInterface::new("mesh0").unwrap());
            (paths, tunnel)
        });
        let mut host = Self { namespace, paths, tunnel: Some(tunnel) };
        host.apply([interface(number, MTU)]).unwrap();
        host
    }

    pub fn apply<const N: usize>(&mut self, changes: [Change; N]) -> Result<(), TunnelError> {
        let mut tunnel = self.tunnel.take().unwrap();
        let (tunnel, result) = self.namespace.run(move || {
            let result = tunnel.apply(&changes);
            (tunnel, result)
        });
        self.tunnel = Some(tunnel);
        result
    }

    pub fn observe(&mut self) -> Observation {
        self.tunnel.as_mut().unwrap().observe()
    }

    pub fn exists(&self) -> bool {
        self.namespace.run(|| nix::net::if_::if_nametoindex("mesh0").is_ok())
    }
}

/// Two nodes with tunnels over the cable; over IPv6 where `outer_v6`.
pub fn hosts(outer_v6: bool) -> [Host; 2] {
    let mut number = 0;
    let mut hosts = cabled_pair().map(|namespace| {
        number += 1;
        Host::new(namespace, number)
    });
    let ports = hosts.each_ref().map(|host| host.paths.local_port());
    for (index, host) in hosts.iter_mut().enumerate() {
        let other = 2 - u8::try_from(index).unwrap();
        host.apply([peer(other)]).unwrap();
        let remote = if outer_v6 { format!("fd99::{other}") } else { format!("10.99.0.{other}") };
        let remote = SocketAddr::new(remote.parse().unwrap(), ports[1 - index]);
        host.paths.set_path(&key(other).public_key(), Some(direct(remote))).unwrap();
    }
    hosts
}

pub fn ping(namespace: &Namespace, to: &str) {
    let printed = namespace.command("ping", &format!("-n -c 5 -i 0.05 -W 3 {to}"));
    assert!(printed.contains(" 0% packet loss"), "{printed}");
}

/// Sends `len` bytes through TCP from one node to the other and checks every one of them.
pub fn transfer(from: &Namespace, to: &Namespace, address: IpAddr, len: usize) -> Duration {
    let listener = to.run(move || TcpListener::bind((address, 0)).unwrap());
    let target = listener.local_addr().unwrap();
    let (done, result) = mpsc::channel();
    let receiver = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let (mut at, mut buffer) = (0_usize, vec![0; 1 << 16]);
        loop {
            let count = stream.read(&mut buffer).unwrap();
            if count == 0 {
                break;
            }
            assert!(buffer[..count].iter().enumerate().all(|(i, byte)| *byte == pattern(at + i)));
            at += count;
        }
        done.send(at).unwrap();
    });
    let mut stream = from.run(move || TcpStream::connect_timeout(&target, Duration::from_secs(5)).unwrap());
    let bytes: Vec<u8> = (0..len).map(pattern).collect();
    let start = Instant::now();
    stream.write_all(&bytes).unwrap();
    drop(stream);
    assert_eq!(result.recv_timeout(Duration::from_secs(30)), Ok(len));
    receiver.join().unwrap();
    start.elapsed()
}

/// A byte that repeats at no power of two, so that a swapped or repeated segment is seen.
fn pattern(at: usize) -> u8 {
    u8::try_from((at / 7 + at) % 251).unwrap()
}
