//! `GET /api/v1/map`: Server-Sent Events (HTML Living Standard §9.2), the revision as event id.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{Bytes, Data, ReqData};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream::unfold;
use protocol::api::MapEvent;

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
    let events = unfold((subscription, busy), |(mut subscription, busy)| async move {
        let bytes = next(&mut subscription).await?;
        Some((Ok::<_, Infallible>(bytes), (subscription, busy)))
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
            MapPoll::Event(event) => return Some(frame(&event)),
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

fn frame(event: &MapEvent) -> Bytes {
    Bytes::from(format!("event: {}\nid: {}\ndata: {}\n\n", event.name(), event.revision(), event.data()))
}
