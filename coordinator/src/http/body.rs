//! Reads a JSON body within bounds of size and time.

use std::time::Duration;

use actix_web::web;
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use super::problem::ApiError;

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// Reads and parses a body of at most `bytes_max` bytes.
pub(super) async fn json<T: DeserializeOwned>(
    payload: web::Payload,
    bytes_max: usize,
) -> Result<T, ApiError> {
    let bytes = tokio::time::timeout(BODY_TIMEOUT, collect(payload, bytes_max))
        .await
        .map_err(|_| ApiError::body_timeout())??;
    serde_json::from_slice(&bytes)
        .map_err(|error| ApiError::invalid(format!("the body is not valid: {error}")))
}

async fn collect(mut payload: web::Payload, bytes_max: usize) -> Result<web::BytesMut, ApiError> {
    let mut bytes = web::BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::invalid("the body ended early"))?;
        if bytes.len() + chunk.len() > bytes_max {
            return Err(ApiError::too_large(bytes_max));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}
