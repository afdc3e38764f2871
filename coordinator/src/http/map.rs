//! `GET /api/v1/map`: Server-Sent Events (HTML Living Standard §9.2), the revision as event id.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, Data, ReqData};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::unfold;
use protocol::api::{MapEvent, ReportRequest};

use super::Site;
use super::activity::Open;
use super::problem::ApiError;
use crate::service::{MapPoll, MapSubscription, NodeIdentity};

/// A comment each 15 s keeps proxies (which cut idle connections after 30 to 60 s) from closing the stream, and lets
/// the agent tell a dead connection from a quiet one.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a stream waits after a change for more of them: when many nodes come back at once, each reader gets a
/// hundred deltas a second at most, and not one per change. Far below any round trip that depends on it.
const GATHER: Duration = Duration::from_millis(10);

/// The server keeps a connection's write buffer as large as it ever was for as long as the connection lives, but beyond this size it
/// lets it go. An event below it is handed over in pieces, or ten thousand streams would hold a gigabyte for nothing.
const BUFFER_KEPT_MAX: usize = 128 * 1024;

/// Such a piece fits into the 8 KiB that a write buffer has at first, with the answer's head; smaller ones cost more system calls
/// while all agents come back at once.
const PIECE_BYTES: usize = 7 * 1024;

pub(super) async fn map(
    site: Data<Site>,
    caller: ReqData<NodeIdentity>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let identity = caller.into_inner();
    // An id that is no revision of ours is as good as none: the node gets a snapshot.
    let revision =
        request.headers().get("last-event-id").and_then(|id| id.to_str().ok()?.trim().parse().ok());
    let subscription = site.call(move |coordinator, _| coordinator.open_map(&identity, revision)).await?;
    let busy = site.activity().open(Open::MapStream);
    let events =
        unfold((subscription, Bytes::new(), busy), |(mut subscription, mut rest, busy)| async move {
            if rest.is_empty() {
                rest = next(&mut subscription).await?;
            } else {
                // What came before is sent first, and not put in the same buffer.
                tokio::task::yield_now().await;
            }
            let whole = rest.len() > BUFFER_KEPT_MAX || rest.len() < PIECE_BYTES;
            let piece = rest.split_to(if whole { rest.len() } else { PIECE_BYTES });
            Some((Ok::<_, Infallible>(piece), (subscription, rest, busy)))
        });
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        // nginx holds answers back otherwise.
        .insert_header(("x-accel-buffering", "no"))
        .streaming(events))
}

/// The next bytes of the stream; `None` is its end.
async fn next(subscription: &mut MapSubscription) -> Option<Bytes> {
    // One deadline for all wake-ups that bring this node nothing: they must not keep its connection silent.
    let keep_alive_at = tokio::time::Instant::now() + KEEP_ALIVE;
    loop {
        match subscription.poll_event() {
            MapPoll::Event(event) => return Some(frame(subscription, &event)),
            MapPoll::Request(request) => return Some(request_frame(&request)),
            MapPoll::Ended(why) => {
                tracing::debug!(?why, "map stream ends");
                return None;
            }
            MapPoll::Idle => {}
        }
        if tokio::time::timeout_at(keep_alive_at, subscription.changed()).await.is_err() {
            return Some(Bytes::from_static(b": keep-alive\n\n"));
        }
        tokio::time::sleep(GATHER).await;
    }
}

/// Without an id: a stream resumes after the last change of the map.
fn request_frame(request: &ReportRequest) -> Bytes {
    Bytes::from(format!("event: {}\ndata: {}\n\n", ReportRequest::NAME, request.data()))
}

/// The event with its signature in a field of its own, which parsers that know nothing of it skip (HTML Living Standard §9.2.6).
fn frame(subscription: &MapSubscription, event: &MapEvent) -> Bytes {
    let data = event.data();
    let (name, revision) = (event.name(), event.revision());
    let signature = subscription.sign(event, &data);
    Bytes::from(format!("event: {name}\nid: {revision}\nsignature: {signature}\ndata: {data}\n\n"))
}
