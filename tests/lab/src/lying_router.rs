//! A router that answers PCP and NAT-PMP, and every answer is a lie.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{LabError, Trying};
use crate::internet::Internet;

/// The port of both protocols.
const PORT: u16 = 5351;
/// Answers to one request of a router that floods.
const FLOOD: usize = 500;

/// What the router answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// An opened port at this address.
    Address(Ipv4Addr),
    /// The first bytes of an answer.
    Cut,
    /// An answer with a foreign nonce, and noise, again and again.
    Flood,
}

/// A running liar; it ends when dropped.
#[derive(Debug)]
pub(crate) struct LyingRouter {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl LyingRouter {
    /// Starts it on the router of a site.
    pub(crate) fn start(internet: &Internet, site: &str, lie: Lie) -> Result<Self, LabError> {
        let (namespace, _) = internet.router(site)?;
        namespace.load_rules("insert rule inet guard arriving iifname \"lan\" accept\n")?;
        let socket = namespace.within(|| {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).trying("open a router's port")?;
            socket.set_read_timeout(Some(Duration::from_millis(50))).trying("limit a wait")?;
            Ok(socket)
        })?;
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::spawn(move || serve(&socket, lie, &seen));
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for LyingRouter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(socket: &UdpSocket, lie: Lie, stop: &AtomicBool) {
    let mut bytes = [0_u8; 1100];
    while !stop.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut bytes) else { continue };
        let request = &bytes[..length];
        let answer = |address| truth(request, address);
        match lie {
            Lie::Address(address) => send(socket, &answer(address), from),
            Lie::Cut => {
                let whole = answer(Ipv4Addr::new(198, 51, 101, 200));
                send(socket, &whole[..whole.len() / 2], from);
            }
            Lie::Flood => {
                for round in 0..FLOOD {
                    let mut noise = answer(Ipv4Addr::new(198, 51, 101, 200));
                    // The nonce of PCP, or the port of NAT-PMP: neither is ours any more.
                    let place = if noise.len() > 24 { 24 } else { 8.min(noise.len() - 1) };
                    noise[place] ^= 0xff;
                    if round % 2 == 1 {
                        let steps = round % noise.len();
                        noise.rotate_left(steps);
                    }
                    send(socket, &noise, from);
                }
            }
        }
    }
}

/// An answer with nothing wrong in its form (RFC 6887 §11.1, RFC 6886 §3.2 and §3.3).
fn truth(request: &[u8], external: Ipv4Addr) -> Vec<u8> {
    const EPOCH: [u8; 4] = [0, 0, 0, 9];
    match *request {
        [2, opcode, ..] if request.len() >= 60 => {
            let mut answer = request[..60].to_vec();
            answer[1] = opcode | 0x80;
            answer[2..4].fill(0);
            answer[8..12].copy_from_slice(&EPOCH);
            answer[12..24].fill(0);
            answer[44..60].copy_from_slice(&external.to_ipv6_mapped().octets());
            answer
        }
        [0, 0, ..] => [&[0, 128, 0, 0][..], &EPOCH, &external.octets()].concat(),
        [0, opcode, ..] if request.len() >= 12 => {
            [&[0, opcode | 0x80, 0, 0][..], &EPOCH, &request[4..12]].concat()
        }
        _ => vec![0, 128, 0, 1, 0, 0, 0, 9],
    }
}

fn send(socket: &UdpSocket, answer: &[u8], to: SocketAddr) {
    // A lost lie is no loss.
    let _ = socket.send_to(answer, to);
}
