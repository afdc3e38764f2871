//! How the provider is asked: bounded in time and size, and never redirected.

use std::time::Duration;

use openidconnect::{HttpRequest, HttpResponse, http};
use reqwest::{Certificate, Client};

/// How long one question to the provider may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The largest answer that is read, in bytes; a set of keys with their certificates has some kilobytes.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Why the provider gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// No connection, no answer in time, or one that broke off.
    #[error("{0}")]
    Failed(String),
    /// Its answer is no HTTP that we can pass on.
    #[error("its answer cannot be read")]
    Unreadable,
    /// Too long an answer.
    #[error("its answer has more than {ANSWER_BYTES_MAX} bytes")]
    TooLong,
}

/// A client; with `roots`, only certificates that these vouch for are believed.
pub(super) fn client(roots: Option<Vec<Certificate>>) -> Result<Client, String> {
    // The first caller installs it; every later one finds it installed, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = Client::builder()
        .user_agent(concat!("warren-coordinator/", env!("CARGO_PKG_VERSION")))
        .timeout(TIMEOUT)
        // A redirect would carry the client secret to wherever it points.
        .redirect(reqwest::redirect::Policy::none());
    let builder = match roots {
        Some(roots) => builder.tls_certs_only(roots),
        None => builder,
    };
    builder.build().map_err(|error| innermost(&error))
}

/// Asks one thing.
pub(super) async fn ask(client: &Client, request: HttpRequest) -> Result<HttpResponse, AskError> {
    let failed = |error: reqwest::Error| AskError::Failed(innermost(&error));
    let request = reqwest::Request::try_from(request).map_err(failed)?;
    let mut answer = client.execute(request).await.map_err(failed)?;
    let mut response = http::Response::builder().status(answer.status());
    for (name, value) in answer.headers() {
        response = response.header(name, value);
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(AskError::TooLong);
        }
        body.extend_from_slice(&chunk);
    }
    response.body(body).map_err(|_| AskError::Unreadable)
}

/// The innermost cause; the error's own text would repeat the URL and hide it.
fn innermost(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", TIMEOUT.as_secs());
    }
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
