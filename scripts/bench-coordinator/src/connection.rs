//! A plain HTTP/1.1 client on one connection that stays open.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use protocol::api::API_PREFIX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// A connection that takes longer is refused.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may take before the coordinator counts as hanging.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// An open connection.
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// The address that the agent with this number comes from: one each, as limits count addresses.
const fn source(number: usize) -> Ipv4Addr {
    let [.., high, middle, low] = (number / 250).to_be_bytes();
    let _ = high;
    #[expect(clippy::cast_possible_truncation, reason = "below 250")]
    Ipv4Addr::new(127, 1 + middle, low, (number % 250) as u8 + 1)
}

/// A connection from the address with this number.
pub(crate) async fn connect(site: SocketAddr, number: usize) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source(number), 0).into())?;
    let stream = timeout(CONNECT_TIMEOUT, socket.connect(site)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Connection {
    /// Connects from the address with this number.
    pub(crate) async fn open(site: SocketAddr, number: usize) -> Result<Self> {
        Ok(Self { stream: connect(site, number).await?, received: Vec::new() })
    }

    /// Sends a request below the API's prefix, as the holder of the token, and reads the answer.
    pub(crate) async fn call(
        &mut self,
        method: &str,
        path: &str,
        token: &str,
        body: &[u8],
    ) -> Result<Answer> {
        let header = format!("Authorization: Bearer {token}\r\n");
        self.send(method, &format!("{API_PREFIX}{path}"), &header, body).await
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn send(
        &mut self,
        method: &str,
        path: &str,
        headers: &str,
        body: &[u8],
    ) -> Result<Answer> {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: warren\r\n{headers}Content-Type: application/json\r\n\
             Content-Length: {length}\r\n\r\n"
        );
        self.stream.write_all(&[head.as_bytes(), body].concat()).await?;
        timeout(ANSWER_TIMEOUT, self.answer()).await.context("no answer in time")?
    }

    async fn answer(&mut self) -> Result<Answer> {
        let end = loop {
            if let Some(at) = self.received.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.receive().await?;
        };
        let head = String::from_utf8(self.received.drain(..end).collect())?.to_lowercase();
        let status = head.split(' ').nth(1).context("a status line")?.parse()?;
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let Some(length) = length else { bail!("an answer without a length: {head}") };
        let length: usize = length.trim().parse()?;
        while self.received.len() < length {
            self.receive().await?;
        }
        Ok(Answer { status, body: self.received.drain(..length).collect() })
    }

    async fn receive(&mut self) -> Result<()> {
        let read = self.stream.read_buf(&mut self.received).await?;
        ensure!(read > 0, "the coordinator closed the connection");
        Ok(())
    }
}
