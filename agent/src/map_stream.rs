//! The map stream, held open for a node's whole life: reconnects by itself, never in a storm.

mod verifier;

use std::net::SocketAddr;
use std::time::Duration;

use protocol::api::{MAP_EVENT_BYTES_MAX, MapEvent, REPORT_EVIDENCE_MAX, ReportRequest};
use protocol::key::PublicKey;
use protocol::map_signature::MapVerifyingKey;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout, timeout_at};

use crate::coordinator_client::{CallError, CoordinatorClient};
use crate::entropy;
use crate::sse::{SseEvent, SseParser};

pub(crate) use verifier::Verifier;
use verifier::{Refusal, Trust};

/// The longest silence of a healthy stream: three of the coordinator's comment lines, which come every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// The widest first pause, and the widest of all.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// A stream that lived this long was no failure: the next pause is short again.
const HEALTHY_AFTER: Duration = Duration::from_secs(30);

/// What the stream brings.
#[derive(Debug)]
pub(crate) enum StreamNews {
    /// It is open.
    Connected(Option<SocketAddr>),
    /// The coordinator said something about the map.
    Event(Box<MapEvent>),
    /// The coordinator asks for a report with evidence on these peers.
    ReportRequested(Vec<PublicKey>),
    /// The first key that signed a map, for a node that knew none.
    FirstKey(MapVerifyingKey),
    /// What the coordinator said is not used, for this reason; it is asked again.
    Refused(String),
    /// It is closed, for this reason; it will be opened again.
    Lost(String),
    /// The coordinator says that the node is no more; the stream is over.
    Deleted(String),
}

/// What the node asks of its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StreamWish {
    /// The network changed: a pause is over, and an open stream may be dead without knowing.
    Reconnect,
    /// The changes do not fit our map: begin again with a whole one.
    Snapshot,
}

/// The pauses between attempts: full jitter below a doubling bound, so that a thousand nodes never return at once.
#[derive(Debug, Default)]
struct BackOff {
    failures: u32,
}

impl BackOff {
    /// The next pause; `fraction` is random, from 0 to 1.
    fn next(&mut self, retry_after: Option<Duration>, fraction: f64) -> Duration {
        let bound = PAUSE_FIRST.saturating_mul(1 << self.failures.min(16)).min(PAUSE_MAX);
        self.failures = self.failures.saturating_add(1);
        // Jitter on top of what was asked for: all were told the same number.
        retry_after.unwrap_or_default() + bound.mul_f64(fraction)
    }

    const fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Why a stream ended.
enum End {
    /// The coordinator or the network.
    Failed(String, Option<Duration>),
    /// The node wished it.
    Wished(StreamWish),
    /// The node is no more.
    Deleted(String),
    /// Nobody listens to the news any more.
    Unheard,
}

impl From<CallError> for End {
    fn from(error: CallError) -> Self {
        if error.is_node_deleted() {
            Self::Deleted(error.to_string())
        } else {
            Self::Failed(error.to_string(), error.retry_after())
        }
    }
}

/// Why a pause ended.
#[derive(Debug, PartialEq, Eq)]
enum PauseEnd {
    /// It lasted as long as it should.
    Over,
    /// The node wished it.
    Wished,
    /// The node is gone.
    Unheard,
}

/// A node's stream.
pub(crate) struct MapStream {
    client: CoordinatorClient,
    /// The revision that it stands at; the next stream goes on from there.
    revision: Option<u64>,
    verifier: Verifier,
    wishes: mpsc::Receiver<StreamWish>,
    news: mpsc::Sender<StreamNews>,
}

impl MapStream {
    /// A stream that goes on after this revision; without one it begins with a whole map.
    pub(crate) const fn new(
        client: CoordinatorClient,
        revision: Option<u64>,
        verifier: Verifier,
        wishes: mpsc::Receiver<StreamWish>,
        news: mpsc::Sender<StreamNews>,
    ) -> Self {
        Self { client, revision, verifier, wishes, news }
    }

    /// Runs until the node is deleted or nobody listens.
    pub(crate) async fn run(mut self) {
        let mut back_off = BackOff::default();
        loop {
            let started = Instant::now();
            let end = self.read_one().await;
            if started.elapsed() >= HEALTHY_AFTER {
                back_off.reset();
            }
            let (why, retry_after) = match end {
                End::Failed(why, retry_after) => (why, retry_after),
                End::Wished(wish) => {
                    self.heed(wish);
                    ("reconnecting".to_owned(), None)
                }
                End::Deleted(why) => {
                    // Where nobody hears it there is nobody to stop.
                    let _ = self.news.send(StreamNews::Deleted(why)).await;
                    return;
                }
                End::Unheard => return,
            };
            let pause = back_off.next(retry_after, entropy::fraction());
            let deadline = Instant::now() + pause;
            tracing::debug!(%why, pause_ms = pause.as_millis(), "the map stream ended");
            if self.news.send(StreamNews::Lost(why)).await.is_err() {
                return;
            }
            match self.wait(deadline, retry_after.is_some()).await {
                PauseEnd::Over => {}
                PauseEnd::Wished => back_off.reset(),
                PauseEnd::Unheard => return,
            }
        }
    }

    /// Waits until `deadline`. The wish to reconnect ends the pause at once, unless the coordinator asked for it: then
    /// the wish comes true at the deadline, as all wishes for a snapshot do.
    async fn wait(&mut self, deadline: Instant, is_asked_for: bool) -> PauseEnd {
        loop {
            match timeout_at(deadline, self.wishes.recv()).await {
                Err(_) => return PauseEnd::Over,
                Ok(None) => return PauseEnd::Unheard,
                Ok(Some(StreamWish::Reconnect)) if !is_asked_for => return PauseEnd::Wished,
                Ok(Some(wish)) => self.heed(wish),
            }
        }
    }

    fn heed(&mut self, wish: StreamWish) {
        if wish == StreamWish::Snapshot {
            self.revision = None;
        }
    }

    /// Opens the stream once and reads it to its end.
    async fn read_one(&mut self) -> End {
        let mut answer = match self.client.map_stream(self.revision).await {
            Ok(answer) => answer,
            Err(error) => return error.into(),
        };
        let remote = answer.remote_addr();
        if self.news.send(StreamNews::Connected(remote)).await.is_err() {
            return End::Unheard;
        }
        let mut parser = SseParser::new(MAP_EVENT_BYTES_MAX);
        loop {
            let chunk = tokio::select! {
                wish = self.wishes.recv() => return wish.map_or(End::Unheard, End::Wished),
                chunk = timeout(SILENCE_MAX, answer.chunk()) => chunk,
            };
            let chunk = match chunk {
                Err(_) => return End::Failed("the coordinator fell silent".to_owned(), None),
                Ok(Err(error)) => return CallError::from_reqwest(self.client.url(), &error).into(),
                Ok(Ok(None)) => return End::Failed("the coordinator closed the map stream".to_owned(), None),
                Ok(Ok(Some(chunk))) => chunk,
            };
            let events = match parser.push(&chunk) {
                Ok(events) => events,
                Err(error) => return self.unreadable(&error.to_string()),
            };
            for event in events {
                if let Err(end) = self.pass_on(event).await {
                    return end;
                }
            }
        }
    }

    async fn pass_on(&mut self, event: SseEvent) -> Result<(), End> {
        if event.name == ReportRequest::NAME {
            return self.pass_on_request(&event.data).await;
        }
        if !MapEvent::is_name(&event.name) {
            return Ok(());
        }
        let trust = match self.verifier.check(&event, self.revision) {
            Ok(trust) => trust,
            Err(refusal) => return Err(self.refuse(refusal).await),
        };
        let parsed = match MapEvent::parse(&event.name, &event.data) {
            Ok(parsed) => parsed,
            Err(error) => {
                let place = format!("line {}, column {}", error.line(), error.column());
                return Err(self.unreadable(&format!("{:?} event, {place}", event.name)));
            }
        };
        let Some(parsed) = parsed else { return Ok(()) };
        let revision = parsed.revision();
        if let Trust::Signed(place, first_key) = trust {
            if parsed.place(place.node) != place {
                return Err(self.refuse(Refusal::NotGood).await);
            }
            if let Some(key) = first_key {
                self.tell(StreamNews::FirstKey(key)).await?;
            }
        }
        self.tell(StreamNews::Event(Box::new(parsed))).await?;
        // Only now: what was not passed on must come again.
        self.verifier.note(trust);
        self.revision = Some(revision);
        Ok(())
    }

    /// A request that cannot be read asks for nothing: the map does not depend on it.
    async fn pass_on_request(&self, data: &str) -> Result<(), End> {
        let Ok(ReportRequest { mut evidence_on }) = serde_json::from_str(data) else { return Ok(()) };
        evidence_on.truncate(REPORT_EVIDENCE_MAX);
        self.tell(StreamNews::ReportRequested(evidence_on)).await
    }

    async fn tell(&self, news: StreamNews) -> Result<(), End> {
        self.news.send(news).await.map_err(|_| End::Unheard)
    }

    /// What is not the coordinator's ends the stream, and the next one begins with a whole map, after a pause that grows.
    async fn refuse(&mut self, refusal: Refusal) -> End {
        self.revision = None;
        match self.tell(StreamNews::Refused(refusal.to_string())).await {
            Ok(()) => End::Failed(format!("its map is refused: {refusal}"), None),
            Err(end) => end,
        }
    }

    /// What cannot be read is not skipped: the next stream begins with a whole map.
    fn unreadable(&mut self, why: &str) -> End {
        self.revision = None;
        End::Failed(format!("the map stream is not as agreed ({why})"), None)
    }
}

#[cfg(test)]
mod tests;
