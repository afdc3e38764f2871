//! What every handler has at hand.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use actix_web::http::header::HeaderMap;
use relay::server::Connections;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::oidc::Oidc;
use super::problem::ApiError;
use super::rate_limit::RateLimits;
use super::{Activity, Metrics, TrustedProxies};
use crate::Coordinator;
use crate::mail::Mailer;
use crate::server_check::ServerChecks;
use crate::service::passwords::AT_ONCE_MAX;

/// How long a sign-in may wait for its turn: some two hundred others.
const PASSWORD_PATIENCE: Duration = Duration::from_secs(5);

/// The coordinator as HTTP serves it.
#[derive(Debug)]
pub struct Site {
    coordinator: Arc<Coordinator>,
    pub(super) limits: Arc<RateLimits>,
    /// Turns to hash a password: who waits for one takes no thread from other calls.
    password_turns: Semaphore,
    /// Whether browsers reach it by https, which allows stricter cookies.
    pub(super) https: bool,
    /// Where browsers reach it, where known.
    pub(super) public_url: Option<String>,
    /// Where WebSockets reach the relay, where there is one.
    pub(super) connections: Option<Connections>,
    proxies: TrustedProxies,
    activity: Arc<Activity>,
    pub(super) metrics: Option<Arc<Metrics>>,
    /// The OpenID provider that people may sign in with.
    pub(super) oidc: Option<Arc<Oidc>>,
    /// What relays and STUN servers answer when somebody looks.
    pub(super) checks: Arc<ServerChecks>,
    /// What sends invitations.
    pub(super) mailer: Option<Arc<Mailer>>,
}

impl Site {
    /// A site. `public_url` is where browsers reach it, where known.
    #[must_use]
    pub fn new(coordinator: Arc<Coordinator>, public_url: Option<&str>) -> Self {
        let https = public_url.is_some_and(|url| url.starts_with("https://"));
        let checks = Arc::new(ServerChecks::new(coordinator.relay_signing_key().clone()));
        Self {
            checks,
            coordinator,
            limits: Arc::new(RateLimits::new()),
            password_turns: Semaphore::new(AT_ONCE_MAX),
            https,
            public_url: public_url.map(str::to_owned),
            connections: None,
            proxies: TrustedProxies::default(),
            activity: Activity::new(),
            metrics: None,
            oidc: None,
            mailer: None,
        }
    }

    /// The same with a relay that is reached over WebSocket.
    #[must_use]
    pub fn with_relay(self, connections: Option<Connections>) -> Self {
        Self { connections, ..self }
    }

    /// The same on a listener that speaks TLS itself.
    #[must_use]
    pub fn over_tls(self) -> Self {
        Self { https: true, ..self }
    }

    /// The same behind proxies.
    #[must_use]
    pub fn behind(self, proxies: TrustedProxies) -> Self {
        Self { proxies, ..self }
    }

    /// The same with an OpenID provider to sign in with.
    #[must_use]
    pub fn with_oidc(self, oidc: Option<Oidc>) -> Self {
        if let Some(oidc) = &oidc {
            self.coordinator.map_groups(oidc.group_mappings());
        }
        Self { oidc: oidc.map(Arc::new), ..self }
    }

    /// The same with mail.
    #[must_use]
    pub fn with_mailer(self, mailer: Option<Mailer>) -> Self {
        Self { mailer: mailer.map(Arc::new), ..self }
    }

    /// The same with its requests counted.
    #[must_use]
    pub fn counted(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics: Some(metrics), ..self }
    }

    /// What relays and STUN servers answered.
    pub(crate) const fn checks(&self) -> &Arc<ServerChecks> {
        &self.checks
    }

    /// What clients have open.
    #[must_use]
    pub const fn activity(&self) -> &Arc<Activity> {
        &self.activity
    }

    /// Waits for a turn to hash a password; nobody waits for long.
    ///
    /// # Errors
    /// Too many want one.
    pub(super) async fn password_turn(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        let turn = tokio::time::timeout(PASSWORD_PATIENCE, self.password_turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(ApiError::unavailable)
    }

    /// The address that a request counts as, for limits and logs; `None` where the connection is gone.
    pub(super) fn client(&self, connection: Option<SocketAddr>, headers: &HeaderMap) -> Option<IpAddr> {
        Some(self.proxies.client(connection?.ip(), headers))
    }

    /// The coordinator.
    #[must_use]
    pub const fn coordinator(&self) -> &Arc<Coordinator> {
        &self.coordinator
    }

    /// Runs a service call off the HTTP workers: services block on locks and on the disk.
    pub(super) async fn call<T, E>(
        &self,
        work: impl FnOnce(&Arc<Coordinator>, i64) -> Result<T, E> + Send + 'static,
    ) -> Result<T, ApiError>
    where
        T: Send + 'static,
        E: Into<ApiError> + Send + 'static,
    {
        let coordinator = Arc::clone(&self.coordinator);
        let result = actix_web::web::block(move || work(&coordinator, now_ms())).await;
        result.map_err(|_| ApiError::unavailable())?.map_err(Into::into)
    }
}

/// The clock: Unix milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
