//! TCP connections that others opened to this machine before the guard was there: with one of them its user may just be typing the
//! command. The kernel's tables of connections do not say who opened one; that a program listens at its port does.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// `TCP_ESTABLISHED` and `TCP_LISTEN` (linux/tcp_states.h), as the tables have them.
const ESTABLISHED: &str = "01";
const LISTENING: &str = "0A";

/// More are not remembered: the others begin anew.
const CONNECTIONS_MAX: usize = 1_024;

/// Those of this machine, each with its own end first. What comes to a mesh address came through the tunnel, and goes back there.
pub(super) fn connections(mesh: &[IpNet]) -> Vec<(SocketAddr, SocketAddr)> {
    let table =
        |name: &str| std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
    let mut found = from_outside(&[table("tcp"), table("tcp6")].concat());
    found.retain(|(own, _)| !mesh.iter().any(|net| net.addr() == own.ip()));
    found
}

fn from_outside(tables: &str) -> Vec<(SocketAddr, SocketAddr)> {
    let rows: Vec<_> = tables.lines().filter_map(row).collect();
    let listening: BTreeSet<u16> =
        rows.iter().filter(|(.., state)| *state == LISTENING).map(|(own, ..)| own.port()).collect();
    let is_from_outside = |(own, other, state): &(SocketAddr, SocketAddr, &str)| {
        *state == ESTABLISHED && listening.contains(&own.port()) && !other.ip().is_loopback()
    };
    let found = rows.iter().filter(|row| is_from_outside(row)).map(|(own, other, _)| (*own, *other));
    // A set of nft has each once.
    found.collect::<BTreeSet<_>>().into_iter().take(CONNECTIONS_MAX).collect()
}

/// The ends and the state of a row: number, own end, other end, state, and more.
fn row(line: &str) -> Option<(SocketAddr, SocketAddr, &str)> {
    let mut fields = line.split_whitespace().skip(1);
    let (own, other) = (end(fields.next()?)?, end(fields.next()?)?);
    Some((own, other, fields.next()?))
}

/// `0100007F:0016`: the address in words of the machine's byte order, the port as a number.
fn end(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |from: usize| u32::from_str_radix(address.get(from..from + 8)?, 16).ok().map(u32::to_ne_bytes);
    let ip = if address.len() == 8 {
        IpAddr::from(Ipv4Addr::from(word(0)?))
    } else {
        let words = [word(0)?, word(8)?, word(16)?, word(24)?].concat();
        IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(words).ok()?))
    };
    Some(SocketAddr::new(ip.to_canonical(), u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn connections_to_ports_that_somebody_listens_at_came_from_outside() {
        let tables = "  sl  local_address rem_address   st tx_queue rx_queue\n\
             0: 00000000:0016 00000000:0000 0A 00000000:00000000\n\
             1: 057100CB:0016 096433C6:C350 01 00000000:00000000\n\
             2: 057100CB:C351 096433C6:01BB 01 00000000:00000000\n\
             3: 0100007F:0016 0100007F:C352 01 00000000:00000000\n\
             4: 057100CB:0016 096433C6:C353 06 00000000:00000000\n\
             0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0\n\
             1: 0000000000000000FFFF0000057100CB:0050 0000000000000000FFFF0000096433C6:C354 01 0\n\
             2: B80D0120000000000000000005000000:0050 B80D0120000000000000000009000000:C355 01 0\n\
             3: nonsense\n";
        let found: Vec<String> =
            from_outside(tables).iter().map(|(own, other)| format!("{own} {other}")).collect();
        assert_eq!(
            found,
            [
                "203.0.113.5:22 198.51.100.9:50000",
                "203.0.113.5:80 198.51.100.9:50004",
                "[2001:db8::5]:80 [2001:db8::9]:50005",
            ]
        );
    }

    #[test]
    fn the_kernels_own_table_is_read() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap();
        let stream = TcpStream::connect(own).unwrap();
        let table = std::fs::read_to_string("/proc/thread-self/net/tcp").unwrap();
        let ends = (own, stream.local_addr().unwrap(), ESTABLISHED);
        assert!(table.lines().filter_map(row).any(|row| row == ends), "{table}");
    }
}
