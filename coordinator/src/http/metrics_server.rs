//! The metrics' own listener: for the monitoring of who operates the coordinator, never for the internet.

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::dev::Server;
use actix_web::{App, HttpResponse, HttpServer, web};

use super::{Metrics, ServerError};

/// OpenMetrics 1.0.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Binds the listener; gives it and the address with its real port. It handles no signals.
///
/// # Errors
/// The address and why it cannot be bound.
pub fn bind_metrics(metrics: Arc<Metrics>, listen: SocketAddr) -> Result<(Server, SocketAddr), ServerError> {
    let metrics = web::Data::from(metrics);
    let server = HttpServer::new(move || {
        App::new().app_data(metrics.clone()).route("/metrics", web::get().to(answer))
    })
    .disable_signals()
    .workers(1)
    .shutdown_timeout(1)
    .bind(listen)
    .map_err(|error| ServerError { address: listen, error })?;
    let bound = server.addrs().first().copied().unwrap_or(listen);
    Ok((server.run(), bound))
}

async fn answer(metrics: web::Data<Metrics>) -> HttpResponse {
    // Reading them takes locks that others may hold.
    match web::block(move || metrics.encode()).await {
        Ok(text) => HttpResponse::Ok().content_type(CONTENT_TYPE).body(text),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}
