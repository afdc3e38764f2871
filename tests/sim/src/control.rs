//! The real coordinator: its services over a database in a temporary directory, with the world's time and seed.
//!
//! Each world's database begins as a copy of one that was set up once: tables, an owner, a network, an enrollment key.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use coordinator::service::resources::enrollment_keys::NewEnrollmentKey;
use coordinator::service::resources::relays::Relay;
use coordinator::service::{MapPoll, MapSubscription, NodeToken, administration, operator};
use coordinator::store::{self, DataDir, Store, StoreError};
use coordinator::{Coordinator, Entropy};
use protocol::api::{EnrollRequest, EnrollmentKey, MapEvent, RelayInfo, Report, ReportResponse, Servers};
use protocol::key::PrivateKey;
use protocol::relay_token::TokenVerifyingKey;
use protocol::sealed;
use tempfile::TempDir;

use crate::world::{START, unix_ms};

/// How long the world's one enrollment key lives, in milliseconds: a month, longer than any scenario, whatever the wall
/// clock does.
const ENROLLMENT_MS: i64 = 30 * 24 * 3600 * 1000;

/// A relay to be: where it listens, and its key unless it is the one inside the coordinator.
pub(crate) struct PlannedRelay {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    pub(crate) private_key: Option<PrivateKey>,
}

/// The coordinator, its database, and what nodes got from it.
pub(crate) struct Control {
    /// `None` while it is down.
    coordinator: Option<Arc<Coordinator>>,
    streams: BTreeMap<usize, MapSubscription>,
    tokens: Vec<NodeToken>,
    enrollment_key: EnrollmentKey,
    servers: Servers,
    verifying_key: TokenVerifyingKey,
    /// The keys of the relays, in the order in which they were planned.
    pub(crate) relay_keys: Vec<PrivateKey>,
    seed: u64,
    starts: u64,
    data_dir: DataDir,
    _dir: TempDir,
}

impl Control {
    /// A coordinator with an owner, a network and an enrollment key.
    pub(crate) fn new(
        seed: u64,
        now_ms: i64,
        relays: Vec<PlannedRelay>,
        stun_servers: Vec<SocketAddr>,
    ) -> Self {
        let dir = temporary_directory();
        let data_dir = DataDir::new(dir.path());
        sound(std::fs::write(data_dir.database(), &PREPARED.database));
        let store = sound(Store::open(&data_dir));
        let entropy = Entropy::seeded(seed);
        let mut relay_keys = Vec::new();
        let mut learnt = None;
        let coordinator =
            sound(Coordinator::open::<StoreError>(store, entropy, now_ms, |own, verifying_key| {
                learnt = Some(verifying_key);
                let mut servers = Servers { relays: Vec::new(), stun_servers };
                for relay in relays {
                    let private_key = relay.private_key.unwrap_or_else(|| own.clone());
                    let public_key = private_key.public_key();
                    servers.relays.push(RelayInfo {
                        name: relay.name,
                        address: relay.address,
                        public_key,
                        url: None,
                        node: None,
                    });
                    relay_keys.push(private_key);
                }
                Ok(servers)
            }));
        Self {
            servers: Servers::clone(&coordinator.servers()),
            coordinator: Some(coordinator),
            streams: BTreeMap::new(),
            tokens: Vec::new(),
            enrollment_key: sound(PREPARED.enrollment_key.parse()),
            verifying_key: sound(learnt.ok_or("open announces")),
            relay_keys,
            seed,
            starts: 0,
            data_dir,
            _dir: dir,
        }
    }

    /// The key that relays verify tokens with.
    pub(crate) const fn verifying_key(&self) -> TokenVerifyingKey {
        self.verifying_key
    }

    /// Enrolls the next node.
    pub(crate) fn enroll(&mut self, now_ms: i64, name: &str, private_key: &PrivateKey) {
        let coordinator = sound(self.coordinator.as_ref().ok_or("nodes enroll while the coordinator is up"));
        let request = EnrollRequest {
            enrollment_key: sound(self.enrollment_key.to_text().parse()),
            public_key: private_key.public_key(),
            name: sound(name.parse()),
        };
        let response = sound(coordinator.enroll(now_ms, &request));
        let sealed_token = sound(STANDARD.decode(response.sealed_token));
        let token = sound(sealed::open(&sealed_token, private_key).ok_or("the token is sealed to the node"));
        let text = sound(std::str::from_utf8(&token));
        self.tokens.push(sound(text.parse()));
    }

    /// A node's report; `None` while the coordinator is down.
    ///
    /// # Errors
    /// A refusal: the engine reports nothing that the coordinator does not take.
    pub(crate) fn report(
        &self,
        now_ms: i64,
        node: usize,
        report: Report,
    ) -> Result<Option<ReportResponse>, String> {
        let Some(coordinator) = &self.coordinator else { return Ok(None) };
        let identity = coordinator.authenticate(&self.tokens[node]).map_err(|error| format!("{error:?}"))?;
        coordinator.report(now_ms, &identity, report).map(Some).map_err(|error| format!("{error:?}"))
    }

    /// Opens a node's map stream; the node has a map of this revision. False while the coordinator is down.
    pub(crate) fn open_stream(&mut self, node: usize, revision: Option<u64>) -> bool {
        let Some(coordinator) = &self.coordinator else { return false };
        let identity = sound(coordinator.authenticate(&self.tokens[node]));
        let stream = sound(coordinator.open_map(&identity, revision));
        self.streams.insert(node, stream);
        true
    }

    pub(crate) fn close_stream(&mut self, node: usize) {
        self.streams.remove(&node);
    }

    /// The relays as the operator sees them; empty while the coordinator is down.
    pub(crate) fn relays(&self) -> Vec<Relay> {
        let Some(coordinator) = &self.coordinator else { return Vec::new() };
        let operator = sound(operator(coordinator.store(), None));
        sound(coordinator.relays(&operator.caller)).relays
    }

    /// What open streams have to be told now.
    pub(crate) fn take_events(&mut self) -> Vec<(usize, MapEvent)> {
        let mut events = Vec::new();
        for (node, stream) in &mut self.streams {
            while let MapPoll::Event(event) = stream.poll_event() {
                events.push((*node, *event));
            }
        }
        events
    }

    /// Nodes hear of one more STUN server when the process starts again.
    pub(crate) fn announce_stun_server(&mut self, address: SocketAddr) {
        self.servers.stun_servers.push(address);
    }

    /// The process ends: streams break, what was only in memory is gone.
    pub(crate) fn stop(&mut self) {
        self.streams.clear();
        self.coordinator = None;
    }

    /// The process starts again on its database.
    pub(crate) fn start(&mut self, now_ms: i64) {
        if self.coordinator.is_none() {
            self.starts += 1;
            let store = sound(Store::open(&self.data_dir));
            let entropy = Entropy::seeded(self.seed.wrapping_add(self.starts));
            let servers = self.servers.clone();
            let open = Coordinator::open::<StoreError>(store, entropy, now_ms, |_, _| Ok(servers));
            self.coordinator = Some(sound(open));
        }
    }
}

/// A database that has been set up, and the text of its enrollment key.
struct Prepared {
    database: Vec<u8>,
    enrollment_key: String,
}

static PREPARED: LazyLock<Prepared> = LazyLock::new(|| {
    let dir = temporary_directory();
    let data_dir = DataDir::new(dir.path());
    let store = sound(Store::open_or_create(&data_dir));
    let (entropy, now_ms) = (Entropy::seeded(0), unix_ms(START));
    sound(administration::init(&store, &entropy, now_ms, ("owner", "organization", "default")));
    let operator = sound(operator(&store, None));
    let call = operator.call(&store, &entropy, now_ms);
    let network = sound(call.networks()).first().map(|network| network.id);
    let key = sound(call.create_enrollment_key(NewEnrollmentKey {
        network: sound(network.ok_or("there is one")),
        description: String::new(),
        reusable: true,
        tags: std::collections::BTreeSet::new(),
        ephemeral: false,
        lifetime_s: ENROLLMENT_MS / 1000,
    }));
    let copy = dir.path().join("copy.db");
    sound(store::backup(&data_dir, &copy));
    Prepared { database: sound(std::fs::read(copy)), enrollment_key: key.key }
});

/// A directory in memory where the system offers one: a commit then waits for no disk, and nothing else about the
/// database is different.
fn temporary_directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    sound(tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()))
}

/// What the world itself sets up must work.
#[expect(clippy::panic, reason = "a simulation that cannot be set up has failed")]
#[track_caller]
fn sound<T, E: Debug>(result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("the coordinator of the simulation: {error:?}"),
    }
}
