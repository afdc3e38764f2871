//! An agent: its token, and its map stream, which it opens again by the rules of the real one.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use protocol::api::API_PREFIX;
use protocol::key::PublicKey;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::connection::connect;
use crate::sse::{Arrived, Reader};

/// As in the agent (`agent/src/map_stream.rs`): the longest silence, and the widest first and last pause.
const SILENCE_MAX: Duration = Duration::from_secs(45);
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// Streams that begin at once while the stage is set; after a restart all come by themselves.
pub(crate) const OPENING: usize = 64;

thread_local! {
    /// For all streams of the thread: none is read while another one is.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// What times are counted from.
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Nanoseconds since the program first asked.
pub(crate) fn now_ns() -> u64 {
    u64::try_from(ORIGIN.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// An enrolled node.
#[derive(Debug)]
pub(crate) struct Agent {
    /// Its place among all agents, from 1; its source address follows from it.
    pub(crate) number: usize,
    pub(crate) public_key: PublicKey,
    pub(crate) token: String,
    pub(crate) seen: Seen,
}

/// What has come over its stream.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Whether the stream that is open has brought an event.
    pub(crate) is_whole: AtomicBool,
    pub(crate) revision: AtomicU64,
    pub(crate) events: AtomicU64,
    pub(crate) snapshots: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// When the last event was complete, in [`now_ns`].
    pub(crate) event_at: AtomicU64,
    /// When the first event of the stream that is open was.
    pub(crate) whole_at: AtomicU64,
    /// The last event's data, of agents that keep it.
    pub(crate) kept: Mutex<Option<Vec<u8>>>,
}

impl Agent {
    /// Keeps the data of events from now on.
    pub(crate) fn keep(&self) {
        *self.seen.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    /// The data of the last event.
    pub(crate) fn kept(&self) -> Vec<u8> {
        self.seen.kept.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
    }

    /// Asks for the map stream, from the last revision on where there is one.
    pub(crate) async fn ask(&self, site: SocketAddr) -> Result<TcpStream> {
        let mut stream = connect(site, self.number).await?;
        let revision = self.seen.revision.load(Ordering::Relaxed);
        let id = if revision == 0 { String::new() } else { format!("Last-Event-ID: {revision}\r\n") };
        let token = &self.token;
        let head = format!(
            "GET {API_PREFIX}/map HTTP/1.1\r\nHost: warren\r\nAuthorization: Bearer {token}\r\n{id}\r\n"
        );
        stream.write_all(head.as_bytes()).await?;
        Ok(stream)
    }

    /// Keeps the stream open for ever.
    async fn live(&self, site: SocketAddr, opening: &Semaphore) {
        let mut failures = 0;
        let mut permit = opening.acquire().await.ok();
        loop {
            // Whatever ends it, the next one follows.
            let _ = self.read_one(site, || permit = None).await;
            // The streams of this run are younger than those that a restart cuts in a real mesh.
            let was_whole = self.seen.is_whole.swap(false, Ordering::Relaxed);
            failures = if was_whole { 0 } else { failures };
            let bound = PAUSE_FIRST.saturating_mul(1 << failures.min(16)).min(PAUSE_MAX);
            failures += 1;
            sleep(bound.mul_f64(self.fraction(failures))).await;
        }
    }

    /// From 0 to 1, by number and attempt: SplitMix64.
    fn fraction(&self, attempt: u32) -> f64 {
        let seed = (self.number as u64) << 32 | u64::from(attempt);
        let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let high = u32::try_from(mixed >> 32).unwrap_or(0);
        f64::from(high) / f64::from(u32::MAX)
    }

    async fn read_one(&self, site: SocketAddr, mut opened: impl FnMut()) -> Result<()> {
        let stream = self.ask(site).await?;
        let mut reader = Reader::default();
        reader.kept = self.seen.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut is_first = true;
        loop {
            timeout(SILENCE_MAX, stream.readable()).await.context("silent")??;
            self.take_in(&stream, &mut reader, is_first)?;
            is_first = false;
            if self.seen.is_whole.load(Ordering::Relaxed) {
                opened();
            }
        }
    }

    /// Reads what is there.
    fn take_in(&self, stream: &TcpStream, reader: &mut Reader, is_first: bool) -> Result<()> {
        BUFFER.with_borrow_mut(|buffer| self.read_into(buffer, stream, reader, is_first))
    }

    fn read_into(
        &self,
        buffer: &mut [u8],
        stream: &TcpStream,
        reader: &mut Reader,
        is_first: bool,
    ) -> Result<()> {
        match stream.try_read(buffer) {
            Ok(0) => bail!("the stream ended"),
            Ok(read) => {
                let bytes = buffer.get(..read).unwrap_or_default();
                ensure!(!is_first || bytes.starts_with(b"HTTP/1.1 200"), "the stream was refused");
                self.seen.bytes.fetch_add(read as u64, Ordering::Relaxed);
                reader.push(bytes, |event| self.note(event));
                if let Some(kept) = &reader.kept {
                    *self.seen.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept.clone());
                }
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn note(&self, event: Arrived) {
        let now = now_ns();
        self.seen.revision.store(event.revision, Ordering::Relaxed);
        self.seen.events.fetch_add(1, Ordering::Relaxed);
        self.seen.snapshots.fetch_add(u64::from(event.is_snapshot), Ordering::Relaxed);
        self.seen.event_at.store(now, Ordering::Relaxed);
        if !self.seen.is_whole.swap(true, Ordering::Relaxed) {
            self.seen.whole_at.store(now, Ordering::Relaxed);
        }
    }
}

/// Agents whose streams are open; all end with it.
pub(crate) struct Fleet {
    site: SocketAddr,
    pub(crate) agents: Vec<Arc<Agent>>,
    streams: JoinSet<()>,
    opening: Arc<Semaphore>,
}

impl Fleet {
    pub(crate) fn new(site: SocketAddr) -> Self {
        let opening = Arc::new(Semaphore::new(OPENING));
        Self { site, agents: Vec::new(), streams: JoinSet::new(), opening }
    }

    /// Opens the streams of further agents and waits until each has its map.
    pub(crate) async fn open(&mut self, agents: &[Arc<Agent>], resume_at: u64) -> Result<()> {
        for agent in agents {
            agent.seen.revision.store(resume_at, Ordering::Relaxed);
            let (agent, site, opening) = (Arc::clone(agent), self.site, Arc::clone(&self.opening));
            self.streams.spawn(async move { agent.live(site, &opening).await });
        }
        self.agents.extend_from_slice(agents);
        self.wait_whole(Duration::from_secs(120)).await
    }

    /// Waits until the stream of each agent has brought an event.
    pub(crate) async fn wait_whole(&self, at_most: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let missing = self.agents.iter().filter(|agent| !agent.seen.is_whole.load(Ordering::Relaxed));
            let missing = missing.count();
            if missing == 0 {
                return Ok(());
            }
            ensure!(begun.elapsed() < at_most, "{missing} agents have no map after {at_most:?}");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until nothing has come for half a second.
    pub(crate) async fn settle(&self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let last = self.agents.iter().map(|agent| agent.seen.event_at.load(Ordering::Relaxed)).max();
            if now_ns().saturating_sub(last.unwrap_or(0)) > 500_000_000 {
                return Ok(());
            }
            ensure!(begun.elapsed() < Duration::from_secs(120), "the maps never come to rest");
            sleep(Duration::from_millis(50)).await;
        }
    }
}
