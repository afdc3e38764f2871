//! Metrics as a monitoring reads them, over HTTP.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "each test here starts it with flags of its own")]
mod served;

use std::io::{BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use protocol::key::PrivateKey;
use served::{Served, admin, data_line, enroll_body, enrolled, run};

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: warren\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The value of a series, by its whole name with labels.
fn value(metrics: &str, series: &str) -> f64 {
    let line =
        metrics.lines().find(|line| line.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
    let line = line.unwrap_or_else(|| panic!("{series} is missing in\n{metrics}"));
    line.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn what_happened_is_counted_and_no_label_is_of_a_clients_making() {
    let directory = tempfile::tempdir().unwrap();
    admin(directory.path(), &["init"]);
    let served = Served::start_with(directory.path(), &["--metrics-listen", "127.0.0.1:0"]);
    let address = served.metrics.clone().unwrap();
    let private_key = PrivateKey::from_random([3; 32]);
    let body = enroll_body(directory.path(), &private_key, "web");
    let mut answer = BufReader::new(served.connect("POST /api/v1/enroll", &body));
    let token = enrolled(&mut answer, &private_key);
    let head = format!("GET /api/v1/map HTTP/1.1\r\nAuthorization: Bearer {token}\r\nX-Rest:");
    let mut map = BufReader::new(served.connect(&head, ""));
    data_line(&mut map).unwrap();
    let relay = &admin(directory.path(), &["relay", "list"])["relays"][0];
    let (relay_key, stun) = (&relay["public_key"], relay["stun_servers"][0].as_str().unwrap().to_owned());
    let seen = serde_json::json!({"candidates": [], "servers": {
        "relays": [{"public_key": relay_key, "reached": true, "rtt_us": 2000}],
        "stun_servers": [{"address": stun, "reached": false}],
    }});
    let head = format!("POST /api/v1/report HTTP/1.1\r\nAuthorization: Bearer {token}\r\nX-Rest:");
    let mut answer = BufReader::new(served.connect(&head, &seen.to_string()));
    answer.read_exact(&mut [0; 15]).unwrap();
    for path in ["/canary-one", "/sign-in/canary-two", "/api/v1/canary-three"] {
        get(&served.address, path);
    }
    let mut made_up = BufReader::new(served.connect("CANARY /healthz", ""));
    made_up.read_exact(&mut [0; 12]).unwrap();

    let answer = get(&address, "/metrics");
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
    let metrics = answer.split_once("\r\n\r\n").unwrap().1;
    assert!(!metrics.to_lowercase().contains("canary"), "{metrics}");
    let enrolled = r#"warren_http_requests_total{route="/api/v1/enroll",method="POST",status="2xx"}"#;
    assert!((value(metrics, enrolled) - 1.0).abs() < 0.1);
    let took = r#"warren_http_request_duration_seconds_count{route="/api/v1/enroll",method="POST"}"#;
    assert!((value(metrics, took) - 1.0).abs() < 0.1);
    for (series, least) in [
        ("warren_nodes", 1.0),
        ("warren_nodes_online", 1.0),
        ("warren_networks", 1.0),
        ("warren_map_streams_open", 1.0),
        ("warren_database_writes_total", 2.0),
        ("warren_database_writable", 1.0),
        ("warren_database_bytes", 4096.0),
        ("warren_database_wal_bytes", 1.0),
        ("warren_database_commit_seconds_count", 2.0),
        ("warren_relay_sessions", 0.0),
        ("warren_relay_packets_total", 0.0),
        (r#"warren_rate_limit_refusals_total{limit="enroll"}"#, 0.0),
        ("process_resident_memory_bytes", 1e6),
        ("process_open_fds", 10.0),
    ] {
        assert!(value(metrics, series) >= least, "{series}: {}", value(metrics, series));
    }
    for (series, is) in [
        (r#"warren_relay_nodes{relay="coordinator",reached="yes"}"#.to_owned(), 1.0),
        (r#"warren_relay_nodes{relay="coordinator",reached="no"}"#.to_owned(), 0.0),
        (r#"warren_relay_rtt_seconds{relay="coordinator",quantile="0.95"}"#.to_owned(), 0.002),
        (format!(r#"warren_stun_nodes{{server="{stun}",reached="no"}}"#), 1.0),
    ] {
        assert!((value(metrics, &series) - is).abs() < 1e-9, "{series}: {}", value(metrics, &series));
    }
    assert!(metrics.contains(r#"method="other",status="4xx""#), "{metrics}");

    assert!(get(&address, "/api/v1/overview").starts_with("HTTP/1.1 404"));
    assert!(get(&served.address, "/metrics").starts_with("HTTP/1.1 404"));
    drop(map);
    assert_eq!(served.stop(), Some(0));
}

#[test]
fn an_address_that_is_taken_ends_the_start_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let words = ["serve", "--listen", "127.0.0.1:0", "--stun", "127.0.0.1:0", "--metrics-listen", &address];
    let output = run(directory.path(), &words);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains(&format!("cannot listen on {address}")), "{error}");
}
