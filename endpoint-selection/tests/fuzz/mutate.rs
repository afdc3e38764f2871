//! Damage to an input that was good: to its tree, and then perhaps to its text.

use endpoint_selection::simulation::Rng;

use super::corpus::Corpus;
use super::tree::{Tree, key_of};

/// Texts longer than this say nothing new; a few go beyond the bound of a whole input.
const BYTES_MAX: usize = 1_200_000;

/// What stands where something else should.
const TOKENS: [&str; 44] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "-1",
    "2",
    "31",
    "64",
    "255",
    "256",
    "500",
    "32768",
    "65535",
    "65536",
    "3600000",
    "3600001",
    "4294967295",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775808",
    "-9223372036854775809",
    "1.5",
    "1e3",
    "1e999",
    "-1e-999",
    "NaN",
    "Infinity",
    "01",
    "0x10",
    "1.",
    "\"\"",
    "\"\\ud800\"",
    "\"\\udc00\\ud800\"",
    "\"\\u0000\"",
    "\"\u{202e}\u{feff}é🦔\"",
    "[]",
    "{}",
    "[[]]",
    "{\"\":{}}",
];

/// Addresses that no peer should have, that are nearly one another, or that are written in other ways.
pub(crate) const ADDRESSES: [&str; 34] = [
    "0.0.0.0:0",
    "0.0.0.0:41641",
    "0.1.2.3:9",
    "127.0.0.1:41641",
    "224.0.0.1:41641",
    "240.0.0.1:1",
    "255.255.255.255:65535",
    "169.254.1.1:9",
    "203.0.113.7:0",
    "203.0.113.7:1",
    "203.0.113.7:65535",
    "203.0.113.99:41641",
    "192.168.1.20:41641",
    "10.0.0.1:41641",
    "100.64.0.1:41641",
    "100.127.255.255:1",
    "100.92.3.4:41641",
    "198.51.100.1:3478",
    "198.51.100.10:3478",
    "[::]:0",
    "[::1]:41641",
    "[::ffff:203.0.113.7]:41641",
    "[::ffff:127.0.0.1]:1",
    "[::ffff:100.92.3.4]:1",
    "[fe80::1]:41641",
    "[fe80::1%7]:41641",
    "[fe80::1%4294967295]:41641",
    "[2001:db8::1]:41641",
    "[2001:db8::1%9]:41641",
    "[fd12:3456::1]:41641",
    "[64:ff9b::cb00:7107]:41641",
    "[2002:cb00:7107::1]:41641",
    "[ff02::1]:41641",
    "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
];

/// A damaged input of the corpus.
pub(crate) fn mutated(corpus: &Corpus, rng: &mut Rng) -> String {
    let mut tree = rng.choose(&corpus.inputs).unwrap().clone();
    for _ in 0..=rng.below(4) {
        damage(&mut tree, corpus, rng);
    }
    let text = tree.to_string();
    if rng.below(6) == 0 { damaged_text(text, rng) } else { text }
}

fn place(tree: &Tree, rng: &mut Rng) -> usize {
    usize::try_from(rng.below(tree.len() as u64)).unwrap()
}

fn damage(tree: &mut Tree, corpus: &Corpus, rng: &mut Rng) {
    // Mostly another word that stands under the same key elsewhere: what is understood goes deeper.
    if rng.below(3) > 0
        && let Some((way, token)) = rng.choose(&tree.leaves())
    {
        *tree = tree.with(way, &word(key_of(way), token, corpus, rng));
        return;
    }
    let place = place(tree, rng);
    let at = tree.at(place);
    match rng.below(9) {
        0..=1 => *at = Tree::Token((*rng.choose(&TOKENS).unwrap()).to_owned()),
        2 => lose(at, rng),
        3..=4 => repeat(at, rng),
        5 => rename(at, corpus, rng),
        6 => {
            let mut other = rng.choose(&corpus.inputs).unwrap().clone();
            let from = self::place(&other, rng);
            *at = other.at(from).clone();
        }
        7 => nest(at, rng),
        _ => *at = Tree::Token(format!("\"{}\"", "é".repeat(length(rng, 100_000)))),
    }
}

/// Lengths of all magnitudes, rarely the longest.
fn length(rng: &mut Rng, max: u64) -> usize {
    let bound = 1 << rng.below(u64::from(u64::BITS - max.leading_zeros()) + 1);
    usize::try_from(rng.below(bound).min(max)).unwrap()
}

fn word(key: &str, token: &str, corpus: &Corpus, rng: &mut Rng) -> String {
    let is_address = token.starts_with('"') && token.contains(['.', ':']);
    match (rng.below(3), token.parse()) {
        (0, Ok(number)) => nudged(number, rng).to_string(),
        (0..2, _) if is_address => {
            let address = *rng.choose(&ADDRESSES).unwrap();
            let has_port =
                token.contains("]:") || token.split_once(':').is_some_and(|(ip, _)| ip.contains('.'));
            let ip = address.rsplit_once(':').map_or(address, |(ip, _)| ip.trim_matches(['[', ']']));
            format!("\"{}\"", if has_port { address } else { ip })
        }
        _ => {
            let alike: Vec<&String> =
                corpus.words.iter().filter(|(known, _)| known == key).map(|(_, token)| token).collect();
            rng.choose(&alike).map_or_else(|| token.to_owned(), |token| (*token).clone())
        }
    }
}

fn lose(at: &mut Tree, rng: &mut Rng) {
    match at {
        Tree::Token(token) => {
            token.pop();
        }
        Tree::List(items) if !items.is_empty() => {
            items.remove(usize::try_from(rng.below(items.len() as u64)).unwrap());
        }
        Tree::Object(fields) if !fields.is_empty() => {
            fields.remove(usize::try_from(rng.below(fields.len() as u64)).unwrap());
        }
        Tree::List(_) | Tree::Object(_) => {}
    }
}

fn repeat(at: &mut Tree, rng: &mut Rng) {
    let times = length(rng, 10_000);
    match at {
        Tree::Token(token) => *token = token.repeat(1 + times.min(100)),
        Tree::List(items) => {
            let Some(item) = rng.choose(items).cloned() else { return };
            let room = BYTES_MAX / (1 + item.to_string().len());
            items.extend(std::iter::repeat_n(item, times.min(room)));
        }
        Tree::Object(fields) => {
            let Some(field) = rng.choose(fields).cloned() else { return };
            fields.push(field);
        }
    }
}

fn rename(at: &mut Tree, corpus: &Corpus, rng: &mut Rng) {
    let key = match rng.below(4) {
        0 => format!("\"{}\"", "k".repeat(length(rng, 10_000))),
        1 => "\"\\u006eow\"".to_owned(),
        _ => rng.choose(&corpus.words).map(|(key, _)| key.clone()).unwrap_or_default(),
    };
    if let Tree::Object(fields) = at
        && !fields.is_empty()
    {
        let field = usize::try_from(rng.below(fields.len() as u64)).unwrap();
        fields[field].0 = key;
    }
}

fn nest(at: &mut Tree, rng: &mut Rng) {
    let is_list = rng.below(2) == 0;
    let inner = std::mem::replace(at, Tree::Token("null".to_owned())).to_string();
    let (before, after) = if is_list { ("[", "]") } else { ("{\"a\":", "}") };
    let depth = length(rng, 2_000);
    *at = Tree::Token(format!("{}{inner}{}", before.repeat(depth), after.repeat(depth)));
}

/// A number a little or much away from where it was.
fn nudged(number: u64, rng: &mut Rng) -> u64 {
    let far = rng.number() >> rng.below(64);
    match rng.below(5) {
        0 => number.wrapping_add(1),
        1 => number.wrapping_sub(1),
        2 => number.wrapping_mul(2),
        3 => number.wrapping_add(far),
        _ => far,
    }
}

/// Cut off, or with some bytes otherwise, gone or twice; what is no UTF-8 afterwards is made some.
fn damaged_text(text: String, rng: &mut Rng) -> String {
    let mut bytes = text.into_bytes();
    let place = |bytes: &[u8], rng: &mut Rng| {
        usize::try_from(rng.below(bytes.len() as u64 + 1)).unwrap().min(bytes.len())
    };
    let start = place(&bytes, rng);
    let end = (start + length(rng, 200)).min(bytes.len());
    match rng.below(4) {
        0 => bytes.truncate(start),
        1 => {
            bytes.drain(start..end);
        }
        2 => {
            let part = bytes[start..end].to_vec();
            let to = place(&bytes, rng);
            bytes.splice(to..to, part);
        }
        _ => {
            for _ in 0..=rng.below(4) {
                let (at, bit) = (place(&bytes, rng), rng.below(8));
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
