//! Which addresses the maps name for sockets that listen on all addresses of the host.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use actix_web::http::Uri;

use super::error::CliError;

/// The addresses of a public URL's host: itself where it is an address, else what the name resolves to.
pub(super) fn host_addresses(public_url: &str) -> Result<Vec<IpAddr>, CliError> {
    let uri: Option<Uri> = public_url.parse().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
    if let Ok(address) = host.trim_matches(['[', ']']).parse() {
        return Ok(vec![address]);
    }
    let resolved = (host, 0).to_socket_addrs().map_err(|error| {
        CliError::Failed(format!(
            "the public URL's host `{host}` does not resolve ({error}); give its address with --announce"
        ))
    })?;
    reachable(host, resolved.map(|address| address.ip()).collect())
}

/// What a name's addresses are to others. Debian and cloud images map a machine's own name to 127.0.1.1, which no other
/// machine could use; `localhost` means what it says.
fn reachable(host: &str, mut addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, CliError> {
    if host != "localhost" {
        addresses.retain(|address| !address.is_loopback());
    }
    addresses.sort();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(CliError::Failed(format!(
            "the public URL's host `{host}` resolves to this machine's loopback only; give its public address with --announce"
        )));
    }
    Ok(addresses)
}

/// The addresses under which others reach the bound sockets. A wildcard of IPv6 takes IPv4 too, unless an IPv4 socket
/// has the same port.
pub(super) fn announced(bound: &[SocketAddr], host: &[IpAddr]) -> Vec<SocketAddr> {
    let takes = |socket: &SocketAddr, address: &IpAddr| {
        let other_v4 = bound.iter().any(|other| other.is_ipv4() && other.port() == socket.port());
        socket.is_ipv4() == address.is_ipv4() || (socket.is_ipv6() && !other_v4)
    };
    let mut announced = Vec::new();
    for socket in bound {
        if !socket.ip().is_unspecified() {
            announced.push(*socket);
            continue;
        }
        let matching = host.iter().filter(|address| takes(socket, address));
        announced.extend(matching.map(|address| SocketAddr::new(*address, socket.port())));
    }
    announced
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bound: &[&str], host: &[&str]) -> Vec<String> {
        let bound: Vec<SocketAddr> = bound.iter().map(|text| text.parse().unwrap()).collect();
        let host: Vec<IpAddr> = host.iter().map(|text| text.parse().unwrap()).collect();
        announced(&bound, &host).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_wildcard_is_announced_as_the_hosts_addresses_of_its_family() {
        let host = ["192.0.2.1", "2001:db8::1"];
        assert_eq!(texts(&["0.0.0.0:3478"], &host), ["192.0.2.1:3478"]);
        assert_eq!(texts(&["[::]:3478"], &host), ["192.0.2.1:3478", "[2001:db8::1]:3478"]);
        assert_eq!(texts(&["0.0.0.0:3478", "[::]:3478"], &host), ["192.0.2.1:3478", "[2001:db8::1]:3478"]);
    }

    #[test]
    fn an_address_that_was_bound_is_announced_as_it_is() {
        assert_eq!(texts(&["198.51.100.7:3478"], &["192.0.2.1"]), ["198.51.100.7:3478"]);
    }

    #[test]
    fn a_name_that_means_only_loopback_here_is_announced_to_nobody() {
        let ips = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<IpAddr>>();
        let found = |host, addresses: &[&str]| reachable(host, ips(addresses)).ok();
        assert_eq!(found("vps", &["127.0.1.1", "192.0.2.1"]), Some(ips(&["192.0.2.1"])));
        assert_eq!(found("vps", &["127.0.1.1"]), None);
        assert_eq!(found("localhost", &["127.0.0.1"]), Some(ips(&["127.0.0.1"])));
    }

    #[test]
    fn the_host_of_a_url_may_be_an_address_of_either_family() {
        let addresses = |url| host_addresses(url).unwrap();
        assert_eq!(addresses("http://192.0.2.1:8080"), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        assert_eq!(addresses("https://[2001:db8::1]"), ["2001:db8::1".parse::<IpAddr>().unwrap()]);
    }
}
