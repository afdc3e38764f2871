//! Where a request really comes from: behind a reverse proxy, what the proxy says of it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::http::header::{HeaderMap, X_FORWARDED_FOR};
use ipnet::IpNet;

/// How many proxies of ours a request may have passed. More are no set-up that somebody wants but a header to keep us
/// busy.
const PROXIES_MAX: usize = 16;

/// The proxies whose `X-Forwarded-For` is believed; none by default.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Proxies by their addresses.
    #[must_use]
    pub const fn new(prefixes: Vec<IpNet>) -> Self {
        Self(prefixes)
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|prefix| prefix.contains(&address))
    }

    /// The client's address: the rightmost of `X-Forwarded-For` that is no proxy of ours, where the TCP connection
    /// comes from one. What stands further left the client may have written itself; it is not looked at. Where what is
    /// looked at makes no sense, the connection's own address counts.
    #[must_use]
    pub fn client(&self, connection: IpAddr, headers: &HeaderMap) -> IpAddr {
        let connection = connection.to_canonical();
        if !self.contains(connection) {
            return connection;
        }
        self.forwarded_for(headers).unwrap_or(connection)
    }

    fn forwarded_for(&self, headers: &HeaderMap) -> Option<IpAddr> {
        // Each proxy adds to the end of the last line, or a line of its own (RFC 9110 §5.3): they are one list.
        let mut lines: Vec<&[u8]> = headers.get_all(X_FORWARDED_FOR).map(|line| line.as_bytes()).collect();
        lines.reverse();
        let from_the_right = lines.into_iter().flat_map(|line| line.rsplit(|byte| *byte == b','));
        for entry in from_the_right.take(PROXIES_MAX) {
            let address = parse(entry)?;
            if !self.contains(address) {
                return Some(address);
            }
        }
        None
    }
}

/// An address as proxies write it: bare, in brackets, or with a port.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let in_brackets = || {
        let inner = text.strip_prefix('[')?.strip_suffix(']')?;
        inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    };
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(in_brackets).or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const PROXY: &str = "10.0.0.1";

    fn client_of(connection: &str, lines: &[&str]) -> String {
        let proxies = TrustedProxies::new(vec!["10.0.0.0/24".parse().unwrap(), "fd00::/8".parse().unwrap()]);
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        proxies.client(connection.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn a_stranger_is_not_believed_whom_it_forwards_for() {
        assert_eq!(client_of("192.0.2.9", &["198.51.100.1"]), "192.0.2.9");
        let nobody = TrustedProxies::default();
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        assert_eq!(nobody.client("127.0.0.1".parse().unwrap(), &headers).to_string(), "127.0.0.1");
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_of_ours_is_the_client() {
        assert_eq!(client_of(PROXY, &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client_of(PROXY, &["203.0.113.66, 198.51.100.1"]), "198.51.100.1");
        assert_eq!(client_of(PROXY, &["203.0.113.66, 198.51.100.1, 10.0.0.7"]), "198.51.100.1");
        assert_eq!(client_of("::ffff:10.0.0.1", &["198.51.100.1"]), "198.51.100.1");
    }

    #[test]
    fn several_lines_are_one_list_in_their_order() {
        assert_eq!(client_of(PROXY, &["203.0.113.66", "198.51.100.1", "10.0.0.7"]), "198.51.100.1");
        assert_eq!(client_of(PROXY, &["203.0.113.66, 198.51.100.1", "fd00::1"]), "198.51.100.1");
    }

    #[test]
    fn brackets_ports_and_mapped_addresses_are_understood() {
        for (line, client) in [
            ("2001:db8::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("198.51.100.1:4711", "198.51.100.1"),
            ("\t198.51.100.1 ", "198.51.100.1"),
            ("::ffff:198.51.100.1", "198.51.100.1"),
            ("198.51.100.1, ::ffff:10.0.0.7", "198.51.100.1"),
        ] {
            assert_eq!(client_of(PROXY, &[line]), client, "{line}");
        }
    }

    #[test]
    fn what_makes_no_sense_counts_as_the_connection() {
        for line in [
            "",
            ",",
            "unknown",
            "_hidden",
            "198.51.100.1,",
            "198.51.100",
            "198.51.100.1:99999",
            "[198.51.100.1]",
            "[2001:db8::1",
            "2001:db8::1%eth0",
            "for=198.51.100.1",
            "198.51.100.1 198.51.100.2",
            "10.0.0.7",
            "10.0.0.7, 10.0.0.8",
            "198.51.100.1, x, 10.0.0.7",
        ] {
            assert_eq!(client_of(PROXY, &[line]), PROXY, "{line}");
        }
        assert_eq!(client_of(PROXY, &[]), PROXY);
    }

    #[test]
    fn nonsense_that_the_client_sent_along_changes_nothing() {
        assert_eq!(client_of(PROXY, &["garbage, \u{fc}, 198.51.100.1"]), "198.51.100.1");
        let long = format!("{}198.51.100.1", "203.0.113.66,".repeat(5000));
        assert_eq!(client_of(PROXY, &[&long]), "198.51.100.1");
    }

    #[test]
    fn a_list_of_thousands_of_proxies_is_not_read_to_its_end() {
        let long = format!("198.51.100.1{}", ",10.0.0.7".repeat(5000));
        assert_eq!(client_of(PROXY, &[&long]), PROXY);
        let lines = vec!["10.0.0.7"; 90];
        assert_eq!(client_of(PROXY, &lines), PROXY);
    }
}
