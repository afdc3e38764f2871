//! Inputs that are understood and mean harm: evidence that contradicts itself, clocks that lie, lists up to their bounds and
//! a little beyond.

use endpoint_selection::simulation::Rng;
use serde_json::{Value, json};

use super::mutate::ADDRESSES;

/// An input for a function of the JSON boundary.
pub(crate) fn hostile(function: &str, rng: &mut Rng) -> String {
    let value = match function {
        "select" => select(rng),
        "classify" => classify(rng),
        "plan" => json!({"own": side(rng), "peer": side(rng), "failures": edge(rng, u64::from(u32::MAX))}),
        "outlook" => json!({"nodes": many(rng, 64, side)}),
        "explain" => explain(rng),
        _ => scenario(rng),
    };
    value.to_string()
}

fn is(rng: &mut Rng) -> bool {
    rng.below(2) == 0
}

fn one_of<T: Copy>(choices: &[T], rng: &mut Rng) -> T {
    *rng.choose(choices).unwrap()
}

/// A number of any magnitude up to `max`, often at an end.
fn edge(rng: &mut Rng, max: u64) -> u64 {
    let number = match rng.below(6) {
        0 => 0,
        1 => max,
        2 => max - 1,
        _ => rng.number() >> rng.below(64),
    };
    if number > max { number % max } else { number }
}

fn number<T: TryFrom<u64>>(rng: &mut Rng, max: T) -> u64
where
    u64: From<T>,
{
    edge(rng, u64::from(max))
}

/// Mostly a few entries, sometimes as many as a list may have, and rarely one more.
fn many(rng: &mut Rng, max: usize, mut entry: impl FnMut(&mut Rng) -> Value) -> Value {
    let count = match rng.below(12) {
        0 => max,
        1 if rng.below(4) == 0 => max + 1,
        _ => usize::try_from(rng.below(9)).unwrap().min(max),
    };
    (0..count).map(|_| entry(rng)).collect()
}

fn maybe(rng: &mut Rng, value: impl FnOnce(&mut Rng) -> Value) -> Value {
    if is(rng) { value(rng) } else { Value::Null }
}

/// Of the list, or one of a crowd that differs in a few bits only.
fn address(rng: &mut Rng) -> String {
    match rng.below(4) {
        0 => one_of(&ADDRESSES, rng).to_owned(),
        1 => format!("203.0.113.{}:{}", rng.below(4), rng.below(4)),
        2 => format!("[2001:db8::{}]:{}", rng.below(4), rng.below(300)),
        _ => format!(
            "{}.{}.0.{}:{}",
            one_of(&[10, 100, 192, 203], rng),
            rng.below(256),
            rng.below(256),
            41_641
        ),
    }
}

fn ip(rng: &mut Rng) -> String {
    let address: std::net::SocketAddr = address(rng).parse().unwrap();
    address.ip().to_string()
}

fn time(rng: &mut Rng) -> u64 {
    if is(rng) { 60_000_000 + rng.below(20_000_000) } else { number(rng, u64::MAX) }
}

fn candidate(rng: &mut Rng) -> Value {
    const KINDS: [&str; 6] =
        ["host", "port-mapped", "peer-reflexive", "server-reflexive", "static", "relayed"];
    let source = match rng.below(6) {
        0 => json!({"interface": one_of(&["eth0", "", "\u{0}\u{202e}", "é\"\\\n"], rng)}),
        1 => json!({"router": one_of(&["pcp", "nat-pmp", "upnp-igd"], rng)}),
        2 => json!({"stun-server": address(rng)}),
        3 => json!({"relay": address(rng)}),
        4 => json!("peer"),
        _ => json!("administrator"),
    };
    json!({
        "kind": one_of(&KINDS, rng), "address": address(rng), "source": source,
        "base": maybe(rng, |rng| json!(address(rng))),
    })
}

fn status(rng: &mut Rng) -> Value {
    match rng.below(4) {
        0 => json!("untried"),
        1 => json!({"probing": {"sent": number(rng, u32::MAX)}}),
        2 => json!({"silent": {"since": time(rng)}}),
        _ => json!({"answered": {"at": time(rng), "unanswered": number(rng, u8::MAX)}}),
    }
}

fn quality(rng: &mut Rng) -> Value {
    let rtt = json!({"rtt_us": number(rng, u32::MAX), "variation_us": number(rng, u32::MAX)});
    let loss = json!({
        "lost": number(rng, u32::MAX), "seen": number(rng, u8::MAX), "is_lossy": is(rng),
    });
    json!({
        "rtt": maybe(rng, |_| rtt), "loss": loss,
        "payload_max": maybe(rng, |rng| json!(number(rng, u16::MAX))),
        "data_lost_at": maybe(rng, |rng| json!(time(rng))), "data_losses": number(rng, u8::MAX),
    })
}

fn snapshot(rng: &mut Rng) -> Value {
    let paths = many(
        rng,
        64,
        |rng| json!({"candidate": candidate(rng), "status": status(rng), "quality": quality(rng)}),
    );
    let named =
        paths.as_array().and_then(|paths| rng.choose(paths)).map(|path| path["candidate"]["address"].clone());
    let current = named.filter(|_| is(rng)).unwrap_or(Value::Null);
    json!({"now": time(rng), "current": current, "paths": paths})
}

fn prefix(rng: &mut Rng) -> Value {
    json!([ip(rng), number(rng, u8::MAX)])
}

fn select(rng: &mut Rng) -> Value {
    let candidates = many(rng, 64, candidate);
    let observations_max = if rng.below(8) == 0 { 9_000 } else { 80 };
    let observations = many(rng, observations_max, |rng| {
        let known =
            candidates.as_array().and_then(|all| rng.choose(all)).map(|known| known["address"].clone());
        let remote = known.unwrap_or_else(|| json!(address(rng)));
        let kind = match rng.below(8) {
            0 => json!("probe-sent"),
            1 => json!("probe-unanswered"),
            2 => json!("probe-lost"),
            3 => json!("data-lost"),
            4 => json!("relay-lost"),
            5 => json!({"relay-registered": {"rtt_us": maybe(rng, |rng| json!(number(rng, u32::MAX)))}}),
            6 => json!({"payload-measured": {"payload_max": number(rng, u16::MAX)}}),
            _ => json!({"probe-answered": {"rtt_us": number(rng, u32::MAX)}}),
        };
        json!({"remote": remote, "at": time(rng), "kind": kind})
    });
    json!({
        "now": time(rng), "mesh": many(rng, 300, prefix), "snapshot": snapshot(rng),
        "candidates": candidates, "observations": observations,
    })
}

/// All servers see one address, several ones, or whatever comes; ports are equal, in some order, or any.
fn classify(rng: &mut Rng) -> Value {
    let (servers, layout) = (1 + rng.below(6), rng.below(6));
    let step = 1 + rng.below(70);
    let mut made = rng.below(65_536);
    let bindings = many(rng, 512, |rng| {
        made = (made + step) % 65_536;
        let server = format!("198.51.{}.{}:{}", rng.below(2), rng.below(servers), 3_478 + rng.below(2));
        let (seen_ip, port) = match layout {
            0 => ("203.0.113.7".to_owned(), 41_641),
            1 => ("203.0.113.7".to_owned(), made),
            2 => ("203.0.113.7".to_owned(), 2_000 + rng.below(step * 64)),
            3 => (one_of(&["203.0.113.7", "100.64.0.7", "192.168.1.1"], rng).to_owned(), rng.below(65_536)),
            _ => (ip(rng), rng.below(65_536)),
        };
        let seen =
            if seen_ip.contains(':') { format!("[{seen_ip}]:{port}") } else { format!("{seen_ip}:{port}") };
        json!({
            "socket": number(rng, u16::MAX) % 20, "local_port": one_of(&[41_641, port], rng), "server": server,
            "reflexive": seen, "at": if layout % 2 == 0 { time(rng) } else { 5 },
        })
    });
    json!({
        "local": many(rng, 512, |rng| json!(ip(rng))), "bindings": bindings,
        "unanswered": many(rng, 512, |rng| json!(address(rng))),
        "peer_views": many(rng, 512, |rng| json!({
            "socket": rng.below(3), "remote": address(rng), "observed": address(rng), "at": time(rng),
        })),
        "heard": many(rng, 512, |rng| json!({"from": address(rng), "is_address_known": is(rng), "at": time(rng)})),
        "hairpin": maybe(rng, |rng| json!([is(rng), time(rng)])),
        "idle": many(rng, 512, |rng| json!({"idle_ms": number(rng, u32::MAX), "held": is(rng), "at": time(rng)})),
        "router_address": maybe(rng, |rng| json!([ip(rng), time(rng)])),
    })
}

fn nat(rng: &mut Rng) -> Value {
    const MAPPINGS: [&str; 5] =
        ["none", "endpoint-independent", "address-dependent", "address-and-port-dependent", "dependent"];
    let allocation = match rng.below(5) {
        0 => json!("preserving"),
        1 => json!("random"),
        2 => json!({"sequential": {"step": one_of(&[i16::MIN, -2, -1, 0, 1, 2, i16::MAX], rng)}}),
        _ => json!({"port-block": {"first": number(rng, u16::MAX), "last": number(rng, u16::MAX)}}),
    };
    json!({
        "mapping": maybe(rng, |rng| json!(one_of(&MAPPINGS, rng))),
        "filtering": maybe(rng, |rng| json!(one_of(&MAPPINGS[1..4], rng))),
        "allocation": maybe(rng, |_| allocation), "hairpin": maybe(rng, |rng| json!(is(rng))),
        "lifetime": maybe(rng, |rng| json!({
            "longer_than_ms": number(rng, u32::MAX), "shorter_than_ms": number(rng, u32::MAX),
        })),
        "inner_address": maybe(rng, |rng| json!(ip(rng))),
        "udp": one_of(&["open", "open", "blocked"], rng), "is_contradicted": maybe(rng, |rng| json!(is(rng))),
    })
}

fn side(rng: &mut Rng) -> Value {
    json!({"candidates": many(rng, 64, candidate), "nat": nat(rng)})
}

fn explain(rng: &mut Rng) -> Value {
    let view = |rng: &mut Rng| {
        json!({
            "name": one_of(&["laptop", "server", "", "{peer}\u{0}\"\\", "🦔"], rng),
            "candidates": many(rng, 64, candidate), "nat": nat(rng), "paths": maybe(rng, snapshot),
        })
    };
    json!({
        "own": view(rng), "peer": view(rng), "mesh": many(rng, 300, prefix),
        "relays": many(rng, 256, |rng| json!({"name": "fra1", "address": address(rng)})),
    })
}

fn behaviour(rng: &mut Rng) -> Value {
    const DEPENDENCE: [&str; 3] = ["endpoint-independent", "address-dependent", "address-and-port-dependent"];
    let allocation = match rng.below(5) {
        0 => json!("preserving"),
        1 => json!("random"),
        2 => json!({"sequential": {"step": one_of(&[i16::MIN, -1, 1, 7, i16::MAX], rng)}}),
        _ => json!({"port-block": {"size": one_of(&[1, 2, 64, 512, 65_535], rng)}}),
    };
    json!({
        "mapping": maybe(rng, |rng| json!(one_of(&DEPENDENCE, rng))), "filtering": one_of(&DEPENDENCE, rng),
        "allocation": allocation, "inbound_refresh": is(rng),
        "mapping_timeout_ms": one_of(&[0, 1, 500, 30_000, u32::MAX], rng),
        "filter_timeout_ms": one_of(&[0, 1, 500, 30_000, u32::MAX], rng),
        "hairpinning": one_of(&["none", "filtered", "open"], rng),
        "mappings_max": maybe(rng, |rng| json!(one_of(&[0, 1, 3, 40, u32::MAX], rng))),
    })
}

/// Short, so that many can be played; what a long one costs has a test of its own.
fn scenario(rng: &mut Rng) -> Value {
    let duration_ms = 1 + rng.below(9_000);
    let node = |rng: &mut Rng| {
        json!({
            "name": one_of(&["laptop", "", "🦔"], rng), "boxes": many(rng, 4, behaviour),
            "is_udp_blocked": rng.below(8) == 0, "are_servers_exempt": rng.below(4) == 0,
            "has_port_mapping": rng.below(4) == 0, "has_ipv6": rng.below(4) == 0,
            "delay_ms": one_of(&[0, 1, 10, 300, 65_535], rng),
            "foreign_flows_per_s": one_of(&[0, 0, 20, 1_000], rng),
            "starts_at_ms": one_of(&[0, 0, 0, 1_000, u32::MAX], rng),
        })
    };
    json!({
        "seed": rng.number(), "nodes": [node(rng), node(rng)],
        "shared": if is(rng) { json!([]) } else { many(rng, 4, behaviour) },
        "carrier_server": is(rng), "same_network": rng.below(4) == 0,
        "loss_ppm": one_of(&[0, 0, 300_000, 1_000_000, u32::MAX], rng), "duration_ms": duration_ms,
        "changes": many(rng, 16, |rng| json!({
            "at_ms": rng.below(duration_ms + 2), "node": rng.below(2), "behaviour": behaviour(rng),
        })),
    })
}
