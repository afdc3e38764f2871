//! The stand-in of a relay on loopback, before a WebSocket server of the same library.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::accept_async;

use super::*;

const RELAY: &str = "192.0.2.1:3478";

/// A bound for a hanging test, never a wait.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future).await.expect("in time")
}

struct Scene {
    node: UdpSocket,
    web_sockets: RelayWebSockets,
    listener: TcpListener,
    url: String,
}

async fn scene() -> Scene {
    let node = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v1/relay", listener.local_addr().unwrap());
    let client = CoordinatorClient::new("http://127.0.0.1:1".parse().unwrap(), None).unwrap();
    let web_sockets = RelayWebSockets::new(client, node.local_addr().unwrap().port());
    Scene { node, web_sockets, listener, url }
}

impl Scene {
    /// Opens; gives the relay's end and the address that stands for the relay.
    async fn open(&mut self) -> (WebSocketStream<TcpStream>, SocketAddr) {
        self.web_sockets.open(RELAY.parse().unwrap(), self.url.clone());
        let accept = async { accept_async(self.listener.accept().await.unwrap().0).await.unwrap() };
        let (relay, news) = soon(async { tokio::join!(accept, self.web_sockets.next()) }).await;
        match self.web_sockets.take_in(news) {
            Some(Input::WebSocketOpened { relay: named, address }) if named == RELAY.parse().unwrap() => {
                (relay, address)
            }
            other => panic!("{other:?}"),
        }
    }

    async fn news(&mut self) -> Option<Input<'static>> {
        let news = soon(self.web_sockets.next()).await;
        self.web_sockets.take_in(news)
    }
}

#[tokio::test]
async fn a_datagram_of_the_node_is_a_message_and_a_message_is_a_datagram() {
    let mut scene = scene().await;
    let (mut relay, address) = scene.open().await;
    for payload in [vec![1; 1400], Vec::new(), vec![2; 60_000]] {
        scene.node.send_to(&payload, address).await.unwrap();
        assert_eq!(soon(relay.next()).await.unwrap().unwrap(), Message::binary(payload));
    }
    relay.send(Message::binary(vec![3; 1400])).await.unwrap();
    let mut buffer = [0; 2048];
    let (len, from) = soon(scene.node.recv_from(&mut buffer)).await.unwrap();
    assert_eq!((&buffer[..len], from), (&[3; 1400][..], address));
}

#[tokio::test]
async fn another_program_of_this_machine_gets_nothing_through() {
    let mut scene = scene().await;
    let (mut relay, address) = scene.open().await;
    let stranger = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    stranger.send_to(b"forged", address).await.unwrap();
    scene.node.send_to(b"own", address).await.unwrap();
    assert_eq!(soon(relay.next()).await.unwrap().unwrap(), Message::binary(&b"own"[..]));
}

#[tokio::test]
async fn an_end_of_the_connection_is_told_and_an_oversized_message_is_one() {
    let mut scene = scene().await;
    let (relay, _) = scene.open().await;
    drop(relay);
    assert!(matches!(scene.news().await, Some(Input::WebSocketClosed { .. })));
    let (mut relay, _) = scene.open().await;
    // The other side may be gone before all is written.
    let _ = relay.send(Message::binary(vec![0; 70_000])).await;
    assert!(matches!(scene.news().await, Some(Input::WebSocketClosed { .. })));
}

#[tokio::test]
async fn news_of_an_attempt_that_was_given_up_mean_nothing() {
    let mut scene = scene().await;
    // Nobody serves the first one; it is refused as a URL.
    scene.web_sockets.open(RELAY.parse().unwrap(), "ftp://x/".to_owned());
    let refused = soon(scene.web_sockets.next()).await;
    let (_relay, _) = scene.open().await;
    assert!(scene.web_sockets.take_in(refused).is_none());
    scene.web_sockets.close(RELAY.parse().unwrap());
}

#[tokio::test]
async fn a_server_that_answers_something_else_is_no_relay() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
    ] {
        let mut scene = scene().await;
        scene.web_sockets.open(RELAY.parse().unwrap(), scene.url.clone());
        let (mut stream, _) = soon(scene.listener.accept()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        assert!(matches!(scene.news().await, Some(Input::WebSocketClosed { .. })), "{answer}");
    }
}
