//! What happens, in numbers, for Prometheus. A label's value is always one of ours, never what a client sent: clients
//! cannot make series.

mod process;
mod snapshot;

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use snapshot::Sources;

/// Upper bounds in seconds: most answers take about a millisecond, a write waits for the disk.
const LATENCY_BOUNDS: [f64; 10] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
    method: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    route: String,
    method: &'static str,
    status: &'static str,
}

type Latencies = Family<RouteLabels, Histogram, fn() -> Histogram>;

/// The numbers.
pub struct Metrics {
    registry: Registry,
    answers: Family<AnswerLabels, Counter>,
    latencies: Latencies,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Metrics {
    /// Numbers of a site; what `sources` give is read when somebody asks.
    #[must_use]
    pub fn new(sources: Sources) -> Self {
        let mut registry = Registry::default();
        let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("sqlite", rusqlite::version())]);
        registry.register("warren_build", "The running version", build);
        let answers = Family::<AnswerLabels, Counter>::default();
        registry.register("warren_http_requests", "Requests answered", answers.clone());
        let latencies: Latencies = Family::new_with_constructor(|| Histogram::new(LATENCY_BOUNDS));
        let help = "Seconds to an answer's head; a map stream's is its first";
        registry.register("warren_http_request_duration_seconds", help, latencies.clone());
        sources.register(&mut registry);
        Self { registry, answers, latencies }
    }

    /// Counts an answer. `route`: the pattern.
    pub(super) fn answered(&self, route: &str, method: &Method, status: StatusCode, took: Duration) {
        let method = method_label(method);
        let labels = AnswerLabels { route: route.to_owned(), method, status: status_label(status) };
        self.answers.get_or_create(&labels).inc();
        let labels = RouteLabels { route: labels.route, method };
        self.latencies.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// All numbers in the OpenMetrics text format 1.0.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = text::encode(&mut text, &self.registry);
        text
    }
}

fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn status_label(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_a_client_makes_up_are_one() {
        assert_eq!(method_label(&Method::from_bytes(b"BREW").unwrap()), "other");
        assert_eq!(method_label(&Method::DELETE), "DELETE");
    }
}
