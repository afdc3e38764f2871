//! Relays over WebSocket, for networks that let no UDP out. For each a UDP socket on loopback stands for the relay: the
//! engine and the tunnel send their datagrams there as to any relay, and each is one binary message of the connection.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use engine::Input;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::Message;

use crate::coordinator_client::{CoordinatorClient, WebSocket};

/// News that wait for the node.
const NEWS_MAX: usize = 16;

/// Larger than any UDP payload, so that nothing is ever cut.
const BUFFER_LEN: usize = 1 << 16;

/// Datagrams that are taken together before they are written: one write for a burst of the tunnel's packets.
const BATCH_MAX: usize = 64;

/// What happened to one connection.
#[derive(Debug)]
pub(crate) struct WebSocketNews {
    relay: SocketAddr,
    /// Which attempt this is about: news of one that was given up mean nothing.
    attempt: u64,
    /// Its loopback address, or why it ended.
    state: Result<SocketAddr, String>,
}

/// All WebSockets of a node; dropping it closes them.
pub(crate) struct RelayWebSockets {
    client: CoordinatorClient,
    /// The node's main UDP socket, on loopback.
    node: SocketAddr,
    open: BTreeMap<SocketAddr, Attempt>,
    made: u64,
    news: mpsc::Receiver<WebSocketNews>,
    sender: mpsc::Sender<WebSocketNews>,
}

struct Attempt {
    number: u64,
    task: JoinHandle<()>,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl RelayWebSockets {
    /// For a node whose main UDP socket is at `port`.
    pub(crate) fn new(client: CoordinatorClient, port: u16) -> Self {
        let (sender, news) = mpsc::channel(NEWS_MAX);
        let node = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { client, node, open: BTreeMap::new(), made: 0, news, sender }
    }

    /// Tries once to reach `relay` at `url`; [`Self::next`] brings how it went, and later its end.
    pub(crate) fn open(&mut self, relay: SocketAddr, url: String) {
        self.made += 1;
        let (attempt, node) = (self.made, self.node);
        let (client, sender) = (self.client.clone(), self.sender.clone());
        let task = tokio::spawn(async move {
            let tell = |state| sender.send(WebSocketNews { relay, attempt, state });
            let why = match establish(&client, &url, node).await {
                Ok((stand_in, address, web_socket)) => {
                    // Where nobody listens the node is being stopped, and this task with it.
                    let _ = tell(Ok(address)).await;
                    carry(&stand_in, web_socket).await
                }
                Err(why) => why,
            };
            let _ = tell(Err(why)).await;
        });
        // An attempt before this one ends here.
        self.open.insert(relay, Attempt { number: attempt, task });
    }

    /// Closes the WebSocket to `relay`, or stops trying.
    pub(crate) fn close(&mut self, relay: SocketAddr) {
        self.open.remove(&relay);
    }

    /// Waits for news; forever, where there are none. May be dropped at any time without losing any.
    pub(crate) async fn next(&mut self) -> WebSocketNews {
        match self.news.recv().await {
            Some(news) => news,
            // We hold a sender ourselves.
            None => std::future::pending().await,
        }
    }

    /// What the engine is to be told.
    pub(crate) fn take_in(&mut self, news: WebSocketNews) -> Option<Input<'static>> {
        let WebSocketNews { relay, attempt, state } = news;
        self.open.get(&relay).filter(|open| open.number == attempt)?;
        Some(match state {
            Ok(address) => {
                tracing::info!(%relay, "UDP does not reach the relay: using it over WebSocket");
                Input::WebSocketOpened { relay, address }
            }
            Err(why) => {
                tracing::debug!(%relay, why, "no WebSocket to the relay");
                self.open.remove(&relay);
                Input::WebSocketClosed { relay }
            }
        })
    }
}

async fn establish(
    client: &CoordinatorClient,
    url: &str,
    node: SocketAddr,
) -> Result<(UdpSocket, SocketAddr, WebSocket), String> {
    let web_socket = client.web_socket(url).await.map_err(|error| error.to_string())?;
    let stand_in = || async {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        // From now on the kernel lets in what the node itself sends, and nothing from other programs of this machine.
        socket.connect(node).await?;
        let address = socket.local_addr()?;
        Ok::<_, io::Error>((socket, address))
    };
    let (socket, address) =
        stand_in().await.map_err(|error| format!("no UDP socket on loopback: {error}"))?;
    Ok((socket, address, web_socket))
}

/// Carries datagrams both ways until the connection ends; says why it did.
async fn carry(stand_in: &UdpSocket, web_socket: WebSocket) -> String {
    let (sink, stream) = web_socket.split();
    tokio::select! {
        why = to_relay(stand_in, sink) => why,
        why = to_node(stand_in, stream) => why,
    }
}

/// While the connection takes nothing, datagrams wait in the socket's buffer, and the kernel drops what does not fit.
async fn to_relay(stand_in: &UdpSocket, mut sink: SplitSink<WebSocket, Message>) -> String {
    let mut buffer = vec![0; BUFFER_LEN];
    loop {
        let mut received = stand_in.recv(&mut buffer).await;
        for _ in 0..BATCH_MAX {
            match received {
                Ok(len) => {
                    if let Err(error) = sink.feed(Message::binary(buffer[..len].to_vec())).await {
                        return error.to_string();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return format!("the UDP socket on loopback: {error}"),
            }
            received = stand_in.try_recv(&mut buffer);
        }
        if let Err(error) = sink.flush().await {
            return error.to_string();
        }
    }
}

async fn to_node(stand_in: &UdpSocket, mut stream: SplitStream<WebSocket>) -> String {
    while let Some(message) = stream.next().await {
        match message {
            // What the node cannot take at once is lost, as with any datagram.
            Ok(Message::Binary(frame)) => drop(stand_in.try_send(&frame)),
            // The library answers pings; the coordinator sends no text.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Frame(_)) => {}
            Ok(Message::Close(reason)) => {
                let why = reason.map(|reason| crate::printable::printable(&reason.reason));
                return format!("the relay closed the connection: {}", why.unwrap_or_default());
            }
            Err(error) => return error.to_string(),
        }
    }
    "the connection ended".to_owned()
}

#[cfg(test)]
mod tests;
