//! The HTTP server.

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, web};
use rustls::ServerConfig;
use socket2::SockRef;

use super::{Site, configure, responses};

/// How long a connection may leave our bytes unacknowledged: a node that vanished without a goodbye goes offline
/// after this, not after the fifteen minutes of TCP's own patience (RFC 9293 §3.8.3).
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(40);

/// Bytes that may wait in the kernel beyond what is on its way: what waits longer than that is better dropped from a
/// relay connection's own queue than delivered late. Costs nothing else, as the kernel asks for more in time.
const UNSENT_BYTES_MAX: u32 = 64 << 10;

/// How long a client may take to send its request's head, and before that to agree on keys.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Seconds for running requests to finish when the coordinator stops. They take milliseconds; idle connections that
/// clients keep open use it up whole.
const SHUTDOWN_TIMEOUT_S: u64 = 2;

/// The server cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {error}; give another --listen or stop what uses it")]
pub struct ServerError {
    /// Where.
    pub address: SocketAddr,
    /// Why.
    pub error: std::io::Error,
}

/// Where requests come in.
#[derive(Debug)]
pub struct Listener {
    /// The address; only told to people where `socket` is given.
    pub address: SocketAddr,
    /// A socket that listens already.
    pub socket: Option<TcpListener>,
    /// TLS; without, the listener speaks plain HTTP.
    pub tls: Option<ServerConfig>,
}

/// Binds a server of plain HTTP; see [`bind_listener`].
///
/// # Errors
/// The address and why it cannot be bound.
pub fn bind(site: web::Data<Site>, listen: SocketAddr) -> Result<(Server, Vec<SocketAddr>), ServerError> {
    bind_listener(site, Listener { address: listen, socket: None, tls: None })
}

/// Binds the server; gives it and the addresses it listens on. It handles no signals.
///
/// # Errors
/// The address and why it cannot be bound.
pub fn bind_listener(
    site: web::Data<Site>,
    listener: Listener,
) -> Result<(Server, Vec<SocketAddr>), ServerError> {
    let Listener { address, socket, tls } = listener;
    let app = move || App::new().app_data(site.clone()).configure(configure).wrap(from_fn(responses::finish));
    let server = HttpServer::new(app)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
        .client_request_timeout(HEAD_TIMEOUT)
        .tls_handshake_timeout(HEAD_TIMEOUT)
        .keep_alive(Duration::from_secs(75))
        .worker_max_blocking_threads(32)
        .on_connect(|connection, _| tune(connection));
    let bound: io::Result<_> = match (socket, tls) {
        (None, None) => server.bind(address),
        (None, Some(tls)) => server.bind_rustls_0_23(address, tls),
        (Some(socket), None) => server.listen(socket),
        (Some(socket), Some(tls)) => server.listen_rustls_0_23(socket, tls),
    };
    let server = bound.map_err(|error| ServerError { address, error })?;
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}

fn tune(connection: &dyn Any) {
    let secured = connection.downcast_ref::<TlsStream<TcpStream>>().map(|stream| stream.get_ref().0);
    if let Some(stream) = connection.downcast_ref::<TcpStream>().or(secured) {
        let set = SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        if let Err(error) = set {
            tracing::debug!(%error, "TCP_USER_TIMEOUT is not available");
        }
        if let Err(error) = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX) {
            tracing::debug!(%error, "TCP_NOTSENT_LOWAT is not available");
        }
    }
}
