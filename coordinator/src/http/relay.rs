//! `GET /api/v1/relay`: the relay over WebSocket (RFC 6455), for nodes whose network lets no UDP out. Each binary message is
//! one relay frame; who a client is, the frames prove.

use std::cell::Cell;
use std::time::Duration;

use actix_web::error::PayloadError;
use actix_web::http::header::ORIGIN;
use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use actix_ws::{CloseCode, CloseReason, Message, MessageStream, ProtocolError, Session};
use relay::server::{Connection, FRAME_BYTES_MAX};
use tokio::time::{Instant, sleep_until};

use super::Site;
use super::activity::Open;
use super::problem::ApiError;

mod head_check;

/// A client that shows no session for so long is no node, or gone without a goodbye: a node registers at once, and asks
/// for its session each 10 s. With the answers that also keeps proxies from cutting the connection as idle, so no
/// WebSocket pings are needed.
const SESSIONLESS_MAX: Duration = Duration::from_secs(30);

/// How long the client may take to hear that its connection ends.
const FAREWELL: Duration = Duration::from_secs(1);

pub(super) async fn relay(
    site: Data<Site>,
    request: HttpRequest,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    let connections = site.connections.as_ref().ok_or_else(ApiError::not_found)?;
    // A page in a browser names itself so; no agent does.
    if request.headers().contains_key(ORIGIN) {
        return Err(ApiError::cross_site());
    }
    let client = site.client(request.peer_addr(), request.headers()).ok_or_else(ApiError::unavailable)?;
    let no_web_socket = |error| ApiError::invalid(format!("no WebSocket: {error}"));
    let body = head_check::checked(&request, body).await.map_err(no_web_socket)?;
    let (response, session, messages) = actix_ws::handle(&request, body).map_err(no_web_socket)?;
    let connection = connections.open(client).ok_or_else(ApiError::too_many_connections)?;
    let busy = site.activity().open(Open::RelayConnection);
    actix_web::rt::spawn(async move {
        let reason = serve(&connection, session.clone(), messages.max_frame_size(FRAME_BYTES_MAX)).await;
        // Others may have the place now, while the goodbye is on its way.
        drop((connection, busy));
        tracing::debug!(%client, code = ?reason.code, why = reason.description, "a relay connection ends");
        let _ = tokio::time::timeout(FAREWELL, session.close(Some(reason))).await;
    });
    Ok(response)
}

/// Serves one connection to its end. A client that does not read holds up nothing but its own queue.
async fn serve(connection: &Connection, session: Session, messages: MessageStream) -> CloseReason {
    let proven_at = Cell::new(Instant::now());
    tokio::select! {
        reason = take_in(connection, session.clone(), messages, &proven_at) => reason,
        reason = hand_out(connection, session) => reason,
        reason = without_session(&proven_at) => reason,
    }
}

/// Waits until the last proof of a session is too old.
async fn without_session(proven_at: &Cell<Instant>) -> CloseReason {
    while proven_at.get().elapsed() < SESSIONLESS_MAX {
        sleep_until(proven_at.get() + SESSIONLESS_MAX).await;
    }
    because(CloseCode::Policy, "no session at this relay was seen in time")
}

async fn take_in(
    connection: &Connection,
    mut session: Session,
    mut messages: MessageStream,
    proven_at: &Cell<Instant>,
) -> CloseReason {
    while let Some(message) = messages.recv().await {
        match message {
            Ok(Message::Binary(frame)) => {
                if connection.receive(&mut Vec::from(frame)) {
                    proven_at.set(Instant::now());
                }
            }
            Ok(Message::Ping(payload)) => {
                if session.pong(&payload).await.is_err() {
                    break;
                }
            }
            Ok(Message::Pong(_) | Message::Nop) => {}
            Ok(Message::Close(_)) => return because(CloseCode::Normal, "goodbye"),
            Ok(Message::Text(_)) => return because(CloseCode::Unsupported, "a relay frame is binary"),
            // Any number of empty parts would fit a bound of bytes.
            Ok(Message::Continuation(_)) => {
                return because(CloseCode::Unsupported, "a relay frame is one message in one part");
            }
            Err(error) if is_oversized(&error) => {
                return because(CloseCode::Size, "larger than any relay frame");
            }
            Err(_) => return because(CloseCode::Protocol, "not RFC 6455"),
        }
    }
    because(CloseCode::Away, "the client is gone")
}

/// Whether the head of a frame was refused.
fn is_oversized(error: &ProtocolError) -> bool {
    let ProtocolError::Io(error) = error else { return false };
    error.get_ref().is_some_and(|inner| matches!(inner.downcast_ref(), Some(PayloadError::Overflow)))
}

async fn hand_out(connection: &Connection, mut session: Session) -> CloseReason {
    while let Some(frame) = connection.next().await {
        if session.binary(frame).await.is_err() {
            return because(CloseCode::Away, "the client is gone");
        }
    }
    because(CloseCode::Restart, "the coordinator stops")
}

fn because(code: CloseCode, why: &str) -> CloseReason {
    CloseReason { code, description: Some(why.to_owned()) }
}

#[cfg(test)]
mod tests;
