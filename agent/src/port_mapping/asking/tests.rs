//! Routers on loopback that speak one protocol each, or lie.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;

use super::*;

const PORT: NonZeroU16 = NonZeroU16::new(41_641).unwrap();
const NONCE: pcp::Nonce = [1, 2, 3];

/// A place whose router is an own loopback address for each test, as they run at the same time.
fn place(last: u8) -> Place {
    Place { router: Ipv4Addr::new(127, 77, 0, last), local: Ipv4Addr::LOCALHOST }
}

/// A router that answers each datagram at the port of PCP and NAT-PMP with what `answer` gives.
async fn router(place: Place, mut answer: impl FnMut(&[u8]) -> Vec<Vec<u8>> + Send + 'static) -> JoinSet<()> {
    let socket = UdpSocket::bind((place.router, crab_nat::GATEWAY_PORT)).await.unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut bytes = [0; 1100];
        loop {
            let (length, from) = socket.recv_from(&mut bytes).await.unwrap();
            for answer in answer(&bytes[..length]) {
                // Whoever got enough of a flood has closed its socket.
                let _ = socket.send_to(&answer, from).await;
            }
        }
    });
    tasks
}

/// An honest answer of PCP to a request of it.
fn pcp_answer(request: &[u8], external: [u8; 4], port: u16, lifetime: u32, epoch: u32) -> Vec<u8> {
    let mut answer = request.to_vec();
    answer[1] |= 0x80;
    answer[2..4].fill(0);
    answer[4..8].copy_from_slice(&lifetime.to_be_bytes());
    answer[8..12].copy_from_slice(&epoch.to_be_bytes());
    answer[12..24].fill(0);
    answer[42..44].copy_from_slice(&port.to_be_bytes());
    answer[44..60].copy_from_slice(&Ipv4Addr::from(external).to_ipv6_mapped().octets());
    answer
}

/// What a router says that speaks NAT-PMP only.
fn nat_pmp_answer(request: &[u8], external: [u8; 4]) -> Vec<u8> {
    match *request {
        [0, 0] => [&[0, 128, 0, 0, 0, 0, 0, 9][..], &external].concat(),
        [0, 1, _, _, high, low, outer_high, outer_low, a, b, c, d] => {
            vec![0, 129, 0, 0, 0, 0, 0, 9, high, low, outer_high, outer_low, a, b, c, d]
        }
        _ => vec![0, 128, 0, 1, 0, 0, 0, 9],
    }
}

fn anew(place: Place) -> Wish<Ticket> {
    Wish { place, renew: None }
}

#[tokio::test]
async fn a_router_that_speaks_pcp_is_asked_in_it_and_again_with_the_same_nonce() {
    let place = place(1);
    let nonces = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&nonces);
    let _router = router(place, move |request| {
        if request[0] != 2 {
            return vec![nat_pmp_answer(request, [203, 0, 113, 9])];
        }
        seen.lock().unwrap().push(request[24..36].to_vec());
        vec![pcp_answer(request, [203, 0, 113, 9], 41_700, 600, 77)]
    })
    .await;
    let grant = ask(anew(place), PORT, NONCE).await.unwrap();
    assert_eq!(grant.external, "203.0.113.9:41700".parse().unwrap());
    assert_eq!(
        (grant.protocol, grant.lifetime, grant.epoch),
        (PortMappingProtocol::Pcp, Duration::from_secs(600), Some(77))
    );
    let renewed = ask(Wish { place, renew: Some(grant) }, PORT, NONCE).await.unwrap();
    assert_eq!(renewed.external.port(), 41_700);
    let nonces = nonces.lock().unwrap();
    assert_eq!(nonces.len(), 2);
    assert_eq!(nonces[0], nonces[1]);
}

#[tokio::test]
async fn a_router_that_speaks_nat_pmp_only_is_asked_in_it() {
    let place = place(2);
    let _router = router(place, |request| vec![nat_pmp_answer(request, [100, 64, 0, 9])]).await;
    let grant = ask(anew(place), PORT, NONCE).await.unwrap();
    assert_eq!(
        (grant.protocol, grant.external),
        (PortMappingProtocol::NatPmp, "100.64.0.9:41641".parse().unwrap())
    );
}

#[tokio::test]
async fn a_silent_router_is_told_so_in_one_sentence() {
    let why = ask(anew(place(3)), PORT, NONCE).await.unwrap_err();
    assert_eq!(why, "the router answers neither PCP nor NAT-PMP nor UPnP-IGD");
}

#[tokio::test]
async fn an_address_that_nobody_can_send_to_is_refused_in_each_protocol_and_given_back() {
    let place = place(4);
    let released = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = std::sync::Arc::clone(&released);
    let _router = router(place, move |request| {
        let is_pcp = request[0] == 2;
        let lifetime = if is_pcp { request.get(4..8) } else { request.get(8..12) };
        if lifetime == Some(&[0; 4]) {
            seen.lock().unwrap().push(request[0]);
        }
        let multicast = [239, 1, 2, 3];
        vec![match is_pcp {
            true => pcp_answer(request, multicast, 5, 600, 7),
            false => nat_pmp_answer(request, multicast),
        }]
    })
    .await;
    let why = ask(anew(place), PORT, NONCE).await.unwrap_err();
    assert_eq!(why.matches("239.1.2.3").count(), 2, "{why}");
    assert_eq!(*released.lock().unwrap(), [2, 0], "what was opened for nothing is closed");
}

#[tokio::test]
async fn floods_cut_answers_and_noise_end_in_a_refusal() {
    // The same noise in each run: a multiplicative generator, seeds 1 to 40.
    for seed in 1..=40_u64 {
        let place = place(5);
        let mut state = seed;
        let mut router = router(place, move |request| {
            let mut number = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state >> 33
            };
            (0..1 + number() % 20)
                .map(|_| {
                    let honest = match request[0] {
                        2 => pcp_answer(request, [203, 0, 113, 9], 5, 600, 7),
                        _ => nat_pmp_answer(request, [203, 0, 113, 9]),
                    };
                    let mut answer = honest;
                    let length = usize::try_from(number()).unwrap_or(0) % answer.len();
                    answer.truncate(length);
                    for byte in &mut answer {
                        if number() % 4 == 0 {
                            *byte = number().to_le_bytes()[0];
                        }
                    }
                    answer
                })
                .collect()
        })
        .await;
        let outcome = tokio::time::timeout(Duration::from_secs(20), ask_quickly(place)).await.unwrap();
        assert!(outcome.is_err(), "seed {seed}: {outcome:?}");
        // The next one takes its place.
        router.shutdown().await;
    }
}

/// PCP and NAT-PMP alone: the search for UPnP would make each of many rounds last for seconds.
async fn ask_quickly(place: Place) -> Result<Grant<Ticket>, String> {
    match ask_pcp(place, PORT, PORT, NONCE, None).await {
        Ok(grant) => Ok(grant),
        Err(_) => ask_nat_pmp(place, PORT, PORT, nat_pmp_address(place).await?).await,
    }
}

/// A UPnP router: discovery by one datagram, two documents, three actions.
async fn upnp_router(place: Place, body: impl Fn(&str) -> String + Send + 'static) -> JoinSet<()> {
    let discovery = UdpSocket::bind((place.router, 1900)).await.unwrap();
    let http = TcpListener::bind((place.router, 0)).await.unwrap();
    let location =
        format!("HTTP/1.1 200 OK\r\nLOCATION: http://{}/root.xml\r\n\r\n", http.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut bytes = [0; 1500];
        loop {
            let (_, from) = discovery.recv_from(&mut bytes).await.unwrap();
            discovery.send_to(location.as_bytes(), from).await.unwrap();
        }
    });
    tasks.spawn(async move {
        loop {
            let (mut stream, _) = http.accept().await.unwrap();
            let mut request = Vec::new();
            let mut bytes = [0; 4096];
            while !is_whole(&request) {
                match stream.read(&mut bytes).await.unwrap() {
                    0 => break,
                    length => request.extend_from_slice(&bytes[..length]),
                }
            }
            let body = body(&String::from_utf8_lossy(&request));
            let head =
                format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + &body).as_bytes()).await;
        }
    });
    tasks
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    length.is_none_or(|length| body.len() >= length.trim().parse().unwrap())
}

fn upnp_body(request: &str, external: &str) -> String {
    const SERVICE: &str = "urn:schemas-upnp-org:service:WANIPConnection:1";
    let action = |name: &str, arguments: &str| {
        let argument =
            |name: &str| format!("<argument><name>{name}</name><direction>in</direction></argument>");
        let list: String = arguments.split_whitespace().map(argument).collect();
        format!("<action><name>{name}</name><argumentList>{list}</argumentList></action>")
    };
    let envelope = |name: &str, inner: &str| {
        format!(
            "<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\"><s:Body><u:{name} xmlns:u=\"{SERVICE}\">{inner}</u:{name}></s:Body></s:Envelope>"
        )
    };
    let first = request.lines().next().unwrap_or_default();
    if first.contains("root.xml") {
        return format!(
            "<root><device><serviceList><service><serviceType>{SERVICE}</serviceType><SCPDURL>/scpd.xml</SCPDURL><controlURL>/control</controlURL></service></serviceList></device></root>"
        );
    }
    if first.contains("scpd.xml") {
        let add = "NewRemoteHost NewExternalPort NewProtocol NewInternalPort NewInternalClient NewEnabled NewPortMappingDescription NewLeaseDuration";
        let remove = "NewRemoteHost NewExternalPort NewProtocol";
        let list = [
            action("AddPortMapping", add),
            action("DeletePortMapping", remove),
            action("GetExternalIPAddress", ""),
        ];
        return format!("<scpd><actionList>{}</actionList></scpd>", list.concat());
    }
    if request.contains("#GetExternalIPAddress") {
        let ip = format!("<NewExternalIPAddress>{external}</NewExternalIPAddress>");
        return envelope("GetExternalIPAddressResponse", &ip);
    }
    if request.contains("#DeletePortMapping") {
        return envelope("DeletePortMappingResponse", "");
    }
    envelope("AddPortMappingResponse", "")
}

#[tokio::test]
async fn a_router_that_speaks_upnp_only_is_asked_in_it_and_gets_its_port_back() {
    let place = place(6);
    let _router = upnp_router(place, |request| upnp_body(request, "203.0.113.9")).await;
    let grant = ask(anew(place), PORT, NONCE).await.unwrap();
    assert_eq!(
        (grant.protocol, grant.external),
        (PortMappingProtocol::UpnpIgd, "203.0.113.9:41641".parse().unwrap())
    );
    assert_eq!((grant.lifetime, grant.epoch), (LIFETIME, None));
    let renewed = ask(Wish { place, renew: Some(grant.clone()) }, PORT, NONCE).await.unwrap();
    assert_eq!(renewed.external, grant.external);
    let Ticket::Upnp(device) = grant.ticket else { panic!("not UPnP") };
    upnp::remove(&device, 41_641).await.unwrap();
}

#[tokio::test]
async fn a_upnp_router_without_a_usable_address_opens_nothing() {
    for (last, external) in [(7, "224.0.0.1"), (8, ""), (9, "\u{1b}[2J")] {
        let place = place(last);
        let _router = upnp_router(place, move |request| upnp_body(request, external)).await;
        let why = ask(anew(place), PORT, NONCE).await.unwrap_err();
        assert!(why.contains("UPnP-IGD: ") && !why.contains('\u{1b}'), "{why}");
    }
}

#[tokio::test]
async fn documents_that_nest_without_end_or_are_none_do_not_end_the_agent() {
    let nested = |name: &str| format!("<{name}>").repeat(200_000);
    for (last, document) in [(10, nested("a")), (11, nested("device")), (12, "no XML \u{0}".to_owned())] {
        let place = place(last);
        let _router = upnp_router(place, move |_| document.clone()).await;
        assert!(upnp::search(place).await.is_err());
    }
    let place = place(13);
    let answer = move |request: &str| {
        if request.starts_with("POST") { nested("s:Envelope") } else { upnp_body(request, "203.0.113.9") }
    };
    let _router = upnp_router(place, answer).await;
    let device = upnp::search(place).await.unwrap();
    assert!(upnp::map(device, base(place, PORT), PORT.get()).await.is_err());
}
