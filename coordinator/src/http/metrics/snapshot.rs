//! Numbers that exist elsewhere and are read when somebody asks.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use protocol::api::Servers;
use relay::server::ServerCounters;

use super::super::Site;
use super::super::activity::Open;
use super::process::ProcessUse;
use crate::Coordinator;
use crate::http::Activity;
use crate::http::rate_limit::RateLimits;
use crate::service::{NodeFigures, ServerFigures};

/// Reads the relay's counters; `None` where it has stopped.
type ReadRelay = Box<dyn Fn() -> Option<ServerCounters> + Send + Sync>;

/// Where the numbers are.
pub struct Sources {
    coordinator: Arc<Coordinator>,
    activity: Arc<Activity>,
    limits: Arc<RateLimits>,
    relay: ReadRelay,
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").field("activity", &self.activity).finish_non_exhaustive()
    }
}

impl Sources {
    /// The sources of a site and of the relay beside it.
    #[must_use]
    pub fn new(site: &Site, relay: impl Fn() -> Option<ServerCounters> + Send + Sync + 'static) -> Self {
        Self {
            coordinator: Arc::clone(site.coordinator()),
            activity: Arc::clone(site.activity()),
            limits: Arc::clone(&site.limits),
            relay: Box::new(relay),
        }
    }

    pub(super) fn register(self, registry: &mut Registry) {
        let writes = self.coordinator.store().write_metrics().clone();
        registry.register("warren_database_writes", "Writes that were committed", writes.committed);
        registry.register("warren_database_writes_failed", "Writes that were not committed", writes.failed);
        registry.register("warren_database_batch_writes", "Writes in one transaction", writes.batch);
        registry.register(
            "warren_database_commit_seconds",
            "Seconds of a transaction, to the disk",
            writes.commit,
        );
        registry.register_collector(Box::new(self));
    }
}

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder) -> fmt::Result {
        let mut to = Writer(encoder);
        let counts = self.coordinator.counts();
        to.gauge("warren_networks", "Networks", counts.networks as u64)?;
        to.gauge("warren_nodes", "Nodes of all networks", counts.nodes as u64)?;
        to.gauge("warren_nodes_online", "Nodes with an open map stream", counts.online as u64)?;
        let streams = self.activity.count(Open::MapStream) as u64;
        to.gauge("warren_map_streams_open", "Open map streams", streams)?;
        let connections = self.activity.count(Open::RelayConnection) as u64;
        to.gauge(
            "warren_relay_connections_open",
            "Open connections to the relay over WebSocket",
            connections,
        )?;
        let database = self.coordinator.store().path();
        to.gauge("warren_database_bytes", "Size of the database file", bytes(database))?;
        let log = database.with_extension("db-wal");
        to.gauge("warren_database_wal_bytes", "Size of the database's write-ahead log", bytes(&log))?;
        let healthy = self.coordinator.store().disk_trouble().is_none();
        to.gauge(
            "warren_database_writable",
            "1 where writes work, 0 where the disk is full or broken",
            healthy.into(),
        )?;
        to.refusals(&self.limits)?;
        if let Some(counters) = (self.relay)() {
            to.relay(&counters)?;
        }
        to.servers(&self.coordinator.servers(), &mut self.coordinator.server_figures())?;
        to.process(&ProcessUse::read())
    }
}

fn bytes(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |found| found.len())
}

/// Writes single numbers.
struct Writer<'a>(DescriptorEncoder<'a>);

impl Writer<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        // What does not fit would take a database of eight exbibytes.
        let gauge = ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        gauge.encode(self.0.encode_descriptor(name, help, None, gauge.metric_type())?)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let counter = ConstCounter::new(value);
        counter.encode(self.0.encode_descriptor(name, help, None, counter.metric_type())?)
    }

    fn refusals(&mut self, limits: &RateLimits) -> fmt::Result {
        let (name, help) = ("warren_rate_limit_refusals", "Requests refused as too many");
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (limit, refused) in limits.refused() {
            ConstCounter::new(refused).encode(family.encode_family(&[("limit", limit)])?)?;
        }
        Ok(())
    }

    fn relay(&mut self, counters: &ServerCounters) -> fmt::Result {
        let relay = &counters.relay;
        self.gauge("warren_relay_sessions", "Sessions at the relay", relay.sessions)?;
        self.counter("warren_relay_packets", "Packets forwarded by the relay", relay.forwarded_packets)?;
        self.counter("warren_relay_bytes", "Bytes of the packets forwarded", relay.forwarded_bytes)?;
        let dropped = relay.dropped_foreign
            + relay.dropped_malformed
            + relay.dropped_other_version
            + relay.dropped_unexpected
            + relay.dropped_registration_rate
            + relay.dropped_node_rate
            + relay.dropped_unreachable_rate;
        self.counter("warren_relay_dropped", "Datagrams that the relay dropped", dropped)?;
        self.counter("warren_udp_received", "Datagrams received by STUN and relay", counters.io.received)
    }

    /// How nodes see the relays and STUN servers of the maps: 17 relays at most, and the STUN servers beside them.
    fn servers(&mut self, servers: &Servers, figures: &mut ServerFigures) -> fmt::Result {
        let mut relays: Vec<(&str, NodeFigures)> = Vec::new();
        for relay in &servers.relays {
            if !relays.iter().any(|(name, _)| *name == relay.name) {
                relays.push((&relay.name, figures.relay(&relay.public_key)));
            }
        }
        let stun: Vec<(String, NodeFigures)> =
            servers.stun_servers.iter().map(|at| (at.to_string(), figures.stun_server(*at))).collect();
        let stun: Vec<(&str, NodeFigures)> = stun.iter().map(|(at, of)| (at.as_str(), of.clone())).collect();
        self.nodes(
            "warren_relay_nodes",
            "Nodes online that have a session at the relay, and that get none",
            "relay",
            &relays,
        )?;
        self.nodes(
            "warren_stun_nodes",
            "Nodes online that the STUN server answered last, and others",
            "server",
            &stun,
        )?;
        let (name, help) = ("warren_relay_rtt_seconds", "RTT from nodes to the relay, in coarse steps");
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (relay, of) in &relays {
            for (quantile, rtt_us) in [("0.5", of.rtt_median_us), ("0.95", of.rtt_p95_us)] {
                let Some(rtt_us) = rtt_us else { continue };
                let gauge = ConstGauge::new(f64::from(rtt_us) / 1e6);
                gauge.encode(family.encode_family(&[("relay", *relay), ("quantile", quantile)])?)?;
            }
        }
        Ok(())
    }

    fn nodes(&mut self, name: &str, help: &str, label: &str, servers: &[(&str, NodeFigures)]) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (server, of) in servers {
            for (reached, count) in [("yes", of.reached), ("no", of.unreached)] {
                let gauge = ConstGauge::new(i64::from(count));
                gauge.encode(family.encode_family(&[(label, *server), ("reached", reached)])?)?;
            }
        }
        Ok(())
    }

    fn process(&mut self, process: &ProcessUse) -> fmt::Result {
        if let Some(bytes) = process.resident_bytes {
            self.gauge("process_resident_memory_bytes", "Memory that the process has in RAM", bytes)?;
        }
        if let Some(files) = process.open_files {
            self.gauge("process_open_fds", "Open files", files)?;
        }
        if let Some(files) = process.files_max {
            self.gauge("process_max_fds", "Open files that the process may have", files)?;
        }
        if let Some(seconds) = process.cpu_seconds {
            let counter = ConstCounter::new(seconds);
            let (name, help) = ("process_cpu_seconds", "Seconds that the process has computed");
            counter.encode(self.0.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        Ok(())
    }
}
