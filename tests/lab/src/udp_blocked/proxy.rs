//! An HTTP proxy that knows CONNECT (RFC 9110 §9.3.6) and nothing else.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use crate::error::{LabError, Trying};
use crate::namespace::Namespace;

/// The longest head of a request.
const HEAD_MAX: usize = 4096;

/// Serves in the background until the program ends; its sockets live in `namespace`.
pub(super) fn serve(namespace: &Namespace, listen: SocketAddr) -> Result<(), LabError> {
    // Threads inherit the network of the thread that starts them.
    namespace.within(|| {
        let listener = TcpListener::bind(listen).trying("listen as a proxy")?;
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                thread::spawn(move || connect(client));
            }
        });
        Ok(())
    })
}

fn connect(mut client: TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX {
        client.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let Some(server) = target.and_then(|target| target.parse::<SocketAddr>().ok()) else {
        return client.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n");
    };
    let server = TcpStream::connect(server)?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_server) = (client.try_clone()?, server.try_clone()?);
    thread::spawn(move || copy(from_client, to_server));
    copy(server, client)
}

fn copy(mut from: TcpStream, mut to: TcpStream) -> io::Result<()> {
    let copied = io::copy(&mut from, &mut to);
    // One side is done, so the other shall know.
    let _ = (to.shutdown(Shutdown::Write), from.shutdown(Shutdown::Read));
    copied.map(|_| ())
}
