//! Strangers on the internet who open TCP connections to the machine's own address, and are answered.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Play, VISITOR};
use crate::error::{LabError, Trying};

/// Where the machine answers strangers, and where one of them stays for longer.
const PORT: u16 = 2222;
const SESSION_PORT: u16 = 2223;
const PATIENCE: Duration = Duration::from_secs(3);

/// A connection that a stranger opened before the exit node was chosen, as somebody who types the command by SSH.
pub(super) struct Session {
    /// That a program listens at its port is what tells that the session came from outside.
    _listener: TcpListener,
    machine: TcpStream,
    stranger: TcpStream,
}

impl Session {
    /// Both ends hear each other.
    pub(super) fn go_on(&self) -> Result<(), LabError> {
        for (mut from, mut to) in [(&self.machine, &self.stranger), (&self.stranger, &self.machine)] {
            let mut heard = [0; 4];
            from.write_all(b"more")
                .and_then(|()| to.read_exact(&mut heard))
                .trying("go on with the session")?;
        }
        Ok(())
    }
}

impl Play<'_> {
    pub(super) fn open_session(&self) -> Result<Session, LabError> {
        let address = SocketAddr::new(self.own[0], SESSION_PORT);
        let listener = self.user.namespace.within(|| TcpListener::bind(address).trying("listen"))?;
        let visitor = self.stage.internet.host(VISITOR)?;
        let stranger =
            visitor.within(|| TcpStream::connect_timeout(&address, PATIENCE).trying("open a session"))?;
        let (machine, _) = listener.accept().trying("accept the session")?;
        for end in [&machine, &stranger] {
            end.set_read_timeout(Some(PATIENCE)).trying("limit reading")?;
        }
        Ok(Session { _listener: listener, machine, stranger })
    }

    /// A stranger opens a TCP connection to the machine's own address, and is answered.
    fn visit(&self, is_over: &AtomicBool) -> Result<bool, LabError> {
        let address = SocketAddr::new(self.own[0], PORT);
        let visitor = self.stage.internet.host(VISITOR)?;
        let greeting = visitor.within(|| {
            let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else {
                return Ok(false);
            };
            let mut greeting = [0; 5];
            stream.set_read_timeout(Some(PATIENCE)).trying("limit reading")?;
            Ok(stream.read_exact(&mut greeting).is_ok() && greeting == *b"hello")
        });
        is_over.store(true, Ordering::SeqCst);
        greeting
    }

    /// The machine serves one stranger.
    pub(super) fn serve(&self) -> Result<bool, LabError> {
        let listener = self.user.namespace.within(|| {
            let listener = TcpListener::bind(SocketAddr::new([0, 0, 0, 0].into(), PORT)).trying("listen")?;
            listener.set_nonblocking(true).trying("listen")?;
            Ok(listener)
        })?;
        // Else the core would go on with what it learnt of the machine's link before.
        self.forget_neighbours()?;
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut streams = Vec::new();
                while !is_over.load(Ordering::SeqCst) {
                    if let Ok((mut stream, _)) = listener.accept() {
                        // One that is gone is seen by the visitor.
                        let _ = stream.write_all(b"hello");
                        streams.push(stream);
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            self.visit(&is_over)
        })
    }
}
