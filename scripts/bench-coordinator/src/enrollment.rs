//! Machines that become nodes, by way of HTTP as real ones do.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use protocol::api::{EnrollRequest, EnrollResponse};
use protocol::key::PrivateKey;
use protocol::sealed;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::agent::{Agent, Seen};
use crate::connection::Connection;
use crate::row::number;

/// Machines that enroll at once.
const LANES: usize = 64;

/// Below the thousand that the coordinator takes at once from all addresses together; after each burst a second passes,
/// in which the coordinator's budget fills again.
const BURST: usize = 900;

/// Lanes come from addresses that no agent has.
const LANE_ADDRESSES: usize = 20_000;

/// Enrolls machines; counts how fast.
pub(crate) struct Enrollment {
    site: SocketAddr,
    enrolled: usize,
    took: Duration,
}

/// A machine before.
struct Machine {
    number: usize,
    private_key: PrivateKey,
    body: Vec<u8>,
}

impl Enrollment {
    pub(crate) fn new(site: SocketAddr) -> Self {
        Self { site, enrolled: 0, took: Duration::ZERO }
    }

    /// Enrollments per second since the last time that somebody asked.
    pub(crate) fn take_rate(&mut self) -> f64 {
        let (enrolled, took) = (std::mem::take(&mut self.enrolled), std::mem::take(&mut self.took));
        if took.is_zero() { 0.0 } else { number(enrolled) / took.as_secs_f64() }
    }

    /// Enrolls the machines with these numbers, each with its key.
    pub(crate) async fn enroll(&mut self, wanted: &[(usize, &str)]) -> Result<Vec<Arc<Agent>>> {
        let mut agents = Vec::with_capacity(wanted.len());
        for burst in wanted.chunks(BURST) {
            let machines =
                burst.iter().map(|(number, key)| machine(*number, key)).collect::<Result<Vec<_>>>()?;
            let begun = Instant::now();
            let answers = self.burst(machines).await?;
            self.took += begun.elapsed();
            self.enrolled += answers.len();
            let rest = begun + Duration::from_secs(1);
            agents.extend(answers.into_iter().map(open).collect::<Result<Vec<_>>>()?);
            sleep(rest.saturating_duration_since(Instant::now()).max(Duration::from_millis(500))).await;
        }
        agents.sort_by_key(|agent| agent.number);
        Ok(agents)
    }

    async fn burst(&self, machines: Vec<Machine>) -> Result<Vec<(Machine, Vec<u8>)>> {
        let (machines, next) = (Arc::new(machines), Arc::new(AtomicUsize::new(0)));
        let answers = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        for lane in 0..LANES.min(machines.len()) {
            let (machines, next, answers) = (Arc::clone(&machines), Arc::clone(&next), Arc::clone(&answers));
            let site = self.site;
            tasks.spawn(async move {
                let mut lane = Connection::open(site, LANE_ADDRESSES + lane).await?;
                while let Some(machine) = machines.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let answer = lane.call("POST", "/enroll", "", &machine.body).await?;
                    let why = String::from_utf8_lossy(&answer.body);
                    ensure!(answer.status == 200, "an enrollment was answered {}: {why}", answer.status);
                    answers
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push((machine.number, answer.body));
                }
                Ok::<_, anyhow::Error>(())
            });
        }
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        let machines = Arc::into_inner(machines).context("a lane still works")?;
        let mut answers = std::mem::take(&mut *answers.lock().unwrap_or_else(PoisonError::into_inner));
        answers.sort_unstable_by_key(|(number, _)| *number);
        let both = machines.into_iter().zip(answers);
        Ok(both.map(|(machine, (_, body))| (machine, body)).collect())
    }
}

/// Numbers grow within a call, so machines and sorted answers stand in the same order.
fn machine(number: usize, key: &str) -> Result<Machine> {
    let mut random = [0xb5; 32];
    random[..8].copy_from_slice(&number.to_be_bytes());
    let private_key = PrivateKey::from_random(random);
    let request = EnrollRequest {
        enrollment_key: key.parse()?,
        public_key: private_key.public_key(),
        name: format!("node-{number}").parse()?,
    };
    Ok(Machine { number, private_key, body: serde_json::to_vec(&request)? })
}

fn open((machine, body): (Machine, Vec<u8>)) -> Result<Arc<Agent>> {
    let response: EnrollResponse = serde_json::from_slice(&body)?;
    let token = sealed::open(&STANDARD.decode(&response.sealed_token)?, &machine.private_key);
    let token = String::from_utf8(token.context("a token that is sealed to another machine")?.to_vec())?;
    let public_key = machine.private_key.public_key();
    Ok(Arc::new(Agent { number: machine.number, public_key, token, seen: Seen::default() }))
}
