//! Clients that send a byte a second, or nothing at all.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::ledger::{self, Outcome};
use crate::process::{Served, connect, set_up};

/// Slow connections.
const SLOW: u32 = 500;

/// The coordinator waits 10 s for a head and 15 s for a body; a machine under load gets as much again.
const CLOSED_WITHIN: Duration = Duration::from_secs(30);

/// The longest that a sound client may wait beside them.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// A connection of a third each: one that never says anything, a head that never ends, a body that never ends.
fn slow(served: &Served, number: u32) -> TcpStream {
    let mut stream = connect(served.address, 10_000 + number).unwrap();
    stream.set_nonblocking(true).unwrap();
    let begun = match number % 3 {
        0 => "",
        1 => "POST /api/v1/enroll HTTP/1.1\r\nHost: warren\r\nX-Slow: ",
        _ => {
            "POST /api/v1/enroll HTTP/1.1\r\nHost: warren\r\nContent-Type: application/json\r\n\
             Content-Length: 1000\r\n\r\n{"
        }
    };
    stream.write_all(begun.as_bytes()).unwrap();
    stream
}

/// Sends one more byte where the client is one that sends; `false` where the coordinator has closed.
fn is_open(stream: &mut TcpStream, number: u32) -> bool {
    if !number.is_multiple_of(3) && stream.write_all(b" ").is_err() {
        return false;
    }
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => false,
        // A refusal; the end follows it.
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
    }
}

#[test]
fn slow_and_silent_clients_keep_nobody_from_being_served_and_are_closed_in_time() {
    let directory = tempfile::tempdir().unwrap();
    let key = set_up(directory.path());
    let served = Served::start(directory.path());
    let mut streams: Vec<_> = (0..SLOW).map(|number| (number, slow(&served, number))).collect();
    let (begun, mut longest) = (Instant::now(), Duration::ZERO);
    for machine in 0.. {
        let asked = Instant::now();
        assert!(matches!(ledger::enroll(served.address, &key, machine), Outcome::Acknowledged(_)));
        longest = longest.max(asked.elapsed());
        assert!(
            longest < ANSWERED_WITHIN,
            "a machine waited {longest:?} beside {} slow clients",
            streams.len()
        );
        streams.retain_mut(|(number, stream)| is_open(stream, *number));
        if streams.is_empty() {
            break;
        }
        let kind = streams[0].0 % 3;
        assert!(begun.elapsed() < CLOSED_WITHIN, "{} are open, one of kind {kind}", streams.len());
        // The clients' own pace: a byte a second.
        std::thread::sleep(Duration::from_secs(1));
    }
    println!("all {SLOW} closed after {:?}; the longest wait beside them was {longest:?}", begun.elapsed());
}
