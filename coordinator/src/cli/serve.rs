//! `serve`: the coordinator as a service.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::web;
use protocol::api::{API_PREFIX, RelayInfo, Servers};
use protocol::key::PrivateKey;
use protocol::relay_token::TokenVerifyingKey;
use relay::core::{RelayConfig, RelayCore};
use relay::server::{Config, UdpServer};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::announce::{announced, host_addresses};
use super::args::ServeArgs;
use super::config::ServeConfig;
use super::error::CliError;
use super::mail::MailConfig;
use super::servers_socket::ServersSocket;
use super::tls::{self, TlsSource};
use super::{activation, file_limit, first_owner, logs};
use crate::http::{self, Listener, Metrics, Site, Sources, TrustedProxies, now_ms};
use crate::service::relays;
use crate::store::{DataDir, Store};
use crate::{Coordinator, Entropy};

/// How soon an admin command of another process shows: its commit is looked for this often.
const SYNC_INTERVAL: Duration = Duration::from_secs(1);

pub(super) fn serve(args: &ServeArgs) -> Result<(), CliError> {
    let mut config = ServeConfig::load(args)?;
    logs::start(config.log_format);
    // Before there are threads: it takes its variables out of the environment.
    let socket = activation::socket()?;
    match &socket {
        Some(socket) => {
            config.listen = socket.local_addr().map_err(CliError::io("the socket that was handed over"))?;
        }
        None if config.exit_when_idle.is_some() => {
            return Err(CliError::Usage(
                "--exit-when-idle needs a socket that systemd holds meanwhile (a .socket unit); without, nobody would start the coordinator again".into(),
            ));
        }
        None => {}
    }
    file_limit::raise();
    let dir = DataDir::new(&config.data_dir);
    dir.create()?;
    let _lock = dir.lock()?;
    let store = Store::open_to_serve(&dir)?;
    runtime()?.block_on(run(&config, store, socket))
}

/// A runtime with a thread per core.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    built.map_err(CliError::io("cannot start threads"))
}

async fn run(config: &ServeConfig, store: Store, socket: Option<TcpListener>) -> Result<(), CliError> {
    let host = announced_hosts(config)?;
    let mut udp = None;
    let coordinator = Coordinator::open(store, Entropy::system(), now_ms(), |private_key, verifying_key| {
        let (server, servers) = start_udp(config, &host, private_key, verifying_key)?;
        udp = Some(Arc::new(server));
        Ok::<_, CliError>(servers)
    })?;
    let public_url = remember_public_url(config, &coordinator)?;
    if public_url.is_none() && config.tls != TlsSource::Off {
        tracing::warn!(
            "TLS is on and the name of the certificate is not known; give --public-url https://NAME, or links and relays over WebSocket cannot be told"
        );
    }
    let connections = udp.as_ref().and_then(|udp| udp.connections());
    let site = Site::new(Arc::clone(&coordinator), public_url.as_deref()).with_relay(connections.clone());
    let oidc = config.oidc.as_ref().map(|oidc| oidc.start(public_url.as_deref())).transpose()?;
    let mailer = config.mail.as_ref().map(MailConfig::start).transpose()?;
    let site = site.with_oidc(oidc).with_mailer(mailer);
    let site = site.behind(TrustedProxies::new(config.trusted_proxies.clone()));
    let (tls, certificates) = tls::start(&config.tls)?;
    let hangups = signal(SignalKind::hangup()).map_err(CliError::io("cannot wait for signals"))?;
    let site = if tls.is_some() { site.over_tls() } else { site };
    let activity = Arc::clone(site.activity());
    let (site, metrics) = counted(config, site, udp.as_ref())?;
    let listener = Listener { address: config.listen, socket, tls };
    let site = web::Data::new(site);
    let (server, addresses) = http::bind_listener(web::Data::clone(&site), listener)?;
    let handles = [Some(server.handle()), metrics.as_ref().map(Server::handle)];
    let mut tasks =
        vec![tokio::spawn(certificates.run(hangups)), tokio::spawn(sync_forever(Arc::clone(&coordinator)))];
    tasks.extend(servers_socket(config, &site));
    let servers = [Some(server), metrics].into_iter().flatten().map(tokio::spawn).collect::<Vec<_>>();
    let stop = stop_signals()?;
    tracing::info!(listen = ?addresses, public_url = public_url.as_deref(), "the coordinator answers");
    if let Err(error) = first_owner::welcome(config, &coordinator, public_url.as_deref(), &addresses) {
        tracing::error!(%error, "the first owner's link cannot be made; `warren-coordinator admin init` and `sign-in-link` do it, too");
    }

    activation::tell_ready();
    tokio::select! {
        () = stop => {}
        () = activation::idle(config.exit_when_idle, activity, udp.clone()) => {
            tracing::info!("nobody was here for long enough; the next connection starts the coordinator again");
        }
    }
    tracing::info!("stopping");
    activation::tell_stopping();
    coordinator.close_streams();
    if let Some(connections) = connections {
        connections.close();
    }
    for handle in handles.into_iter().flatten() {
        handle.stop(true).await;
    }
    tasks.iter().for_each(JoinHandle::abort);
    // All have been told to end; a task that was aborted says so as an error.
    for task in tasks.drain(..) {
        let _ = task.await;
    }
    for server in servers {
        let _ = server.await;
    }
    if let Some(udp) = udp.and_then(Arc::into_inner) {
        udp.stop().await;
    }
    Ok(())
}

/// Answers commands on this machine what nodes see of relays and STUN servers.
fn servers_socket(config: &ServeConfig, site: &web::Data<Site>) -> Option<JoinHandle<()>> {
    match ServersSocket::open(&DataDir::new(&config.data_dir)) {
        Ok(socket) => Some(tokio::spawn(socket.serve(Arc::clone(site)))),
        Err(error) => {
            tracing::warn!(%error, "`admin relay list` will not show what nodes see: its socket cannot be opened in the data directory");
            None
        }
    }
}

/// The site with its requests counted and the metrics' listener, where one is wanted.
fn counted(
    config: &ServeConfig,
    site: Site,
    udp: Option<&Arc<UdpServer>>,
) -> Result<(Site, Option<Server>), CliError> {
    let Some(listen) = config.metrics_listen else { return Ok((site, None)) };
    let udp = udp.map(Arc::downgrade);
    let relay = move || udp.as_ref().and_then(Weak::upgrade).map(|udp| udp.counters());
    let metrics = Arc::new(Metrics::new(Sources::new(&site, relay)));
    let (server, address) = http::bind_metrics(Arc::clone(&metrics), listen)?;
    tracing::info!(%address, "metrics answer");
    Ok((site.counted(metrics), Some(server)))
}

/// The host's addresses for sockets on a wildcard.
fn announced_hosts(config: &ServeConfig) -> Result<Vec<IpAddr>, CliError> {
    let wildcard = config.stun.iter().chain(&config.relay).any(|address| address.ip().is_unspecified());
    match &config.public_url {
        _ if !config.announce.is_empty() => Ok(config.announce.clone()),
        Some(url) if wildcard => host_addresses(url),
        _ => Ok(Vec::new()),
    }
}

fn start_udp(
    config: &ServeConfig,
    host: &[IpAddr],
    private_key: &PrivateKey,
    verifying_key: TokenVerifyingKey,
) -> Result<(UdpServer, Servers), CliError> {
    let relay_config = RelayConfig::new(private_key.clone(), vec![verifying_key]);
    let core = RelayCore::new(relay_config, *Entropy::system().secret());
    let server = UdpServer::bind(Config { stun: config.stun.clone(), relay: config.relay, mark: None, core })
        .map_err(CliError::io("STUN and relay"))?;
    let relay: Vec<SocketAddr> = server.relay_addr().into_iter().collect();
    let url = public_url(config).map(|url| format!("{url}{API_PREFIX}/relay"));
    let relays = announced(&relay, host).into_iter().map(|address| RelayInfo {
        name: relays::COORDINATOR.to_owned(),
        address,
        public_key: private_key.public_key(),
        url: url.clone(),
        node: None,
    });
    let stun = distinct(&config.stun);
    let stun_bound = server.local_addrs().get(..stun).unwrap_or_default();
    let servers = Servers { relays: relays.collect(), stun_servers: announced(stun_bound, host) };
    if servers.relays.is_empty() || servers.stun_servers.is_empty() {
        tracing::warn!(
            "STUN or relay listen on all addresses and none is announced; give --public-url or --announce"
        );
    }
    let named = (&servers.stun_servers, servers.relays.first().map(|relay| relay.address));
    tracing::info!(bound = ?server.local_addrs(), stun = ?named.0, relay = ?named.1, %verifying_key, "STUN and relay answer");
    Ok((server, servers))
}

/// How many sockets a list of addresses stands for.
fn distinct(addresses: &[SocketAddr]) -> usize {
    addresses.iter().enumerate().filter(|(index, address)| !addresses[..*index].contains(address)).count()
}

/// Where others reach the coordinator: without a public URL, at the listen address where it is a definite one.
fn public_url(config: &ServeConfig) -> Option<String> {
    let definite = !config.listen.ip().is_unspecified() && config.listen.port() != 0;
    let listen = definite.then(|| format!("http://{}", config.listen));
    config.public_url.clone().or_else(|| listen.filter(|_| config.tls == TlsSource::Off))
}

/// Notes the public URL for admin commands.
fn remember_public_url(config: &ServeConfig, coordinator: &Coordinator) -> Result<Option<String>, CliError> {
    let url = public_url(config);
    if let Some(url) = url.clone() {
        coordinator.store().write(move |tx| tx.set_public_url(&url))?;
    }
    Ok(url)
}

async fn sync_forever(coordinator: Arc<Coordinator>) {
    let mut failing = false;
    loop {
        tokio::time::sleep(SYNC_INTERVAL).await;
        let coordinator = Arc::clone(&coordinator);
        let synced = tokio::task::spawn_blocking(move || coordinator.tick(now_ms())).await;
        let error = match synced {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(error) => Some(error.to_string()),
        };
        // One line when it begins to fail, one when it is over: a full disk must not fill the log too.
        match &error {
            Some(error) if !failing => {
                tracing::error!(error, "the database cannot be read; maps stay as they are")
            }
            None if failing => tracing::info!("the database can be read again"),
            Some(_) | None => {}
        }
        failing = error.is_some();
    }
}

/// Waits for SIGTERM or SIGINT.
pub(super) async fn stop_signal() -> Result<(), CliError> {
    stop_signals()?.await;
    Ok(())
}

/// The same, heard from now on and not only from the first wait on.
fn stop_signals() -> Result<impl Future<Output = ()>, CliError> {
    let wait_for = |kind| signal(kind).map_err(CliError::io("cannot wait for signals"));
    let (mut terminate, mut interrupt) =
        (wait_for(SignalKind::terminate())?, wait_for(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
