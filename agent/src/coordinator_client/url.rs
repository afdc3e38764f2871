//! The coordinator's URL, checked once, so that nothing later can be surprised by it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An `http` or `https` URL of a host, maybe with a path below which the coordinator lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CoordinatorUrl(Url);

/// A text that is no such URL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a coordinator's URL: {0}; expected something like https://warren.example.org")]
pub(crate) struct InvalidUrl(&'static str);

impl CoordinatorUrl {
    /// The URL of a page below the coordinator's.
    pub(crate) fn page(&self, path: &str) -> Url {
        let mut url = self.0.clone();
        let base = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{base}{path}"));
        url
    }

    /// Whether what is sent there can be read on a public network: plain HTTP to a host that is neither this machine
    /// nor in a private network. Names other than `localhost` count as public.
    pub(crate) fn is_exposed(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let private = match host.trim_matches(['[', ']']).parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private() || ip.is_link_local() || is_shared(ip),
            Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
            Err(_) => host == "localhost" || host.ends_with(".localhost"),
        };
        self.0.scheme() == "http" && !private
    }
}

/// The address that a URL names in place of a host's name.
pub(super) fn address(url: &Url) -> Option<IpAddr> {
    url.host_str()?.trim_matches(['[', ']']).parse().ok()
}

/// 100.64.0.0/10, behind a carrier's NAT (RFC 6598).
const fn is_shared(ip: Ipv4Addr) -> bool {
    let [a, b, ..] = ip.octets();
    a == 100 && b & 0xc0 == 64
}

impl FromStr for CoordinatorUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        if text.len() > 2048 {
            return Err(InvalidUrl("it is longer than 2048 characters"));
        }
        let url = Url::parse(text.trim()).map_err(|_| InvalidUrl("it cannot be read"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(InvalidUrl("it begins with neither https:// nor http://"));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(InvalidUrl("it names no host"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidUrl("it holds a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(InvalidUrl("it has a part after ? or #"));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for CoordinatorUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

impl Serialize for CoordinatorUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for CoordinatorUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_http_urls_of_a_host_without_secrets_are_taken() {
        for good in ["https://c.example", "http://10.0.0.1:8080/", "https://[::1]/warren"] {
            assert!(good.parse::<CoordinatorUrl>().is_ok(), "{good}");
        }
        for bad in
            ["", "c.example", "ftp://c.example", "https://", "https://u:p@c", "https://c/?x", "https://c/#x"]
        {
            assert!(bad.parse::<CoordinatorUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn pages_lie_below_the_urls_own_path() {
        let page = |url: &str| url.parse::<CoordinatorUrl>().unwrap().page("/api/v1/map").to_string();
        assert_eq!(page("https://c.example"), "https://c.example/api/v1/map");
        assert_eq!(page("https://c.example/warren/"), "https://c.example/warren/api/v1/map");
    }

    #[test]
    fn plain_http_counts_as_exposed_unless_the_host_is_private() {
        let exposed = |url: &str| url.parse::<CoordinatorUrl>().unwrap().is_exposed();
        for url in ["http://c.example", "http://203.0.113.1", "http://[2001:db8::1]"] {
            assert!(exposed(url), "{url}");
        }
        for url in [
            "https://c.example",
            "http://localhost:1",
            "http://192.168.1.1",
            "http://[fd00::1]",
            "http://100.64.1.1",
        ] {
            assert!(!exposed(url), "{url}");
        }
    }
}
