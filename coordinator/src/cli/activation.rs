//! A socket that systemd listens on, and the end of a coordinator that nobody uses: the next connection starts it again.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use listenfd::ListenFd;
use relay::server::UdpServer;
use sd_notify::NotifyState;

use super::error::CliError;
use crate::http::Activity;

/// The socket that the process was started with (`LISTEN_FDS`, sd_listen_fds(3)), where it was.
pub(super) fn socket() -> Result<Option<TcpListener>, CliError> {
    let mut given = ListenFd::from_env();
    if given.len() > 1 {
        return Err(CliError::Usage(format!(
            "{} sockets were handed over; the coordinator takes one, for HTTP",
            given.len()
        )));
    }
    let socket = given.take_tcp_listener(0);
    socket.map_err(CliError::io("the socket that was handed over is no TCP socket that listens"))
}

/// Tells systemd (where it asked) that requests are answered.
pub(super) fn tell_ready() {
    tell(NotifyState::Ready);
}

/// Tells systemd that the process is about to end.
pub(super) fn tell_stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "systemd cannot be told");
    }
}

/// Waits until nobody has used the coordinator for this long: no request, no map stream, no session at the relay.
pub(super) async fn idle(limit: Option<Duration>, activity: Arc<Activity>, udp: Option<Arc<UdpServer>>) {
    let Some(limit) = limit else { return std::future::pending().await };
    // A tenth late at most, and no work to speak of.
    let look_every = (limit / 10).clamp(Duration::from_millis(100), Duration::from_secs(30));
    let mut without_sessions_since = Instant::now();
    loop {
        tokio::time::sleep(look_every).await;
        if udp.as_ref().is_some_and(|udp| udp.counters().relay.sessions > 0) {
            without_sessions_since = Instant::now();
        }
        let quiet = activity.idle_for().is_some_and(|idle| idle >= limit);
        if quiet && without_sessions_since.elapsed() >= limit {
            return;
        }
    }
}
