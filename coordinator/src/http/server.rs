//! The HTTP server.

use std::any::Any;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::{App, HttpServer, web};
use socket2::SockRef;

use super::{Site, configure, responses};

/// How long a connection may leave our bytes unacknowledged: a node that vanished without a goodbye goes offline
/// after this, not after the fifteen minutes of TCP's own patience (RFC 9293 §3.8.3).
const UNACKNOWLEDGED_MAX: Duration = Duration::from_secs(40);

/// Bytes that may wait in the kernel beyond what is on its way: what waits longer than that is better dropped from a
/// relay connection's own queue than delivered late. Costs nothing else, as the kernel asks for more in time.
const UNSENT_BYTES_MAX: u32 = 64 << 10;

/// How long a client may take to send its request's head.
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

/// Binds the server; gives it and the addresses it listens on. It handles no signals.
///
/// # Errors
/// The address and why it cannot be bound.
pub fn bind(site: web::Data<Site>, listen: SocketAddr) -> Result<(Server, Vec<SocketAddr>), ServerError> {
    let app = move || App::new().app_data(site.clone()).configure(configure).wrap(from_fn(responses::finish));
    let server = HttpServer::new(app)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_TIMEOUT_S)
        .client_request_timeout(HEAD_TIMEOUT)
        .keep_alive(Duration::from_secs(75))
        .worker_max_blocking_threads(32)
        .on_connect(|connection, _| tune(connection))
        .bind(listen)
        .map_err(|error| ServerError { address: listen, error })?;
    let addresses = server.addrs();
    Ok((server.run(), addresses))
}

fn tune(connection: &dyn Any) {
    if let Some(stream) = connection.downcast_ref::<TcpStream>() {
        let set = SockRef::from(stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED_MAX));
        if let Err(error) = set {
            tracing::debug!(%error, "TCP_USER_TIMEOUT is not available");
        }
        if let Err(error) = SockRef::from(stream).set_tcp_notsent_lowat(UNSENT_BYTES_MAX) {
            tracing::debug!(%error, "TCP_NOTSENT_LOWAT is not available");
        }
    }
}
