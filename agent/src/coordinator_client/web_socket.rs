//! Opening a WebSocket (RFC 6455 §4.1) the way all other calls go: with the same certificates and through the same proxy.

use reqwest::header::{CONNECTION, UPGRADE};
use reqwest::{StatusCode, Upgraded, Url};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{CALL_TIMEOUT, CallError, CoordinatorClient};

/// The longest message in bytes: a relay frame is no longer than a UDP datagram.
const MESSAGE_BYTES_MAX: usize = 65_507;

/// Bytes that may wait to be written; with it full, reading from the node waits, and its packets are dropped.
const WRITE_BUFFER_MAX: usize = 256 << 10;

/// An open WebSocket.
pub(crate) type WebSocket = WebSocketStream<Upgraded>;

impl CoordinatorClient {
    /// Opens a WebSocket at `url` (`http` or `https`). No token is sent: what goes through it proves who speaks.
    pub(crate) async fn web_socket(&self, url: &str) -> Result<WebSocket, CallError> {
        match tokio::time::timeout(CALL_TIMEOUT, self.upgrade(url)).await {
            Ok(opened) => opened,
            Err(_) => Err(CallError::TimedOut { url: url.to_owned() }),
        }
    }

    async fn upgrade(&self, url: &str) -> Result<WebSocket, CallError> {
        let wrong = |why: &str| CallError::Malformed { url: url.to_owned(), why: why.to_owned() };
        let target = Url::parse(url).map_err(|_| wrong("it is no URL"))?;
        if !matches!(target.scheme(), "http" | "https") {
            return Err(wrong("its URL begins with neither https:// nor http://"));
        }
        let key = generate_key();
        let call = self
            .http
            .get(target)
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", &key);
        let answer = self.execute(call).await?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            self.judge(answer).await?;
            return Err(wrong("it does not speak WebSocket"));
        }
        let accepted = answer.headers().get("Sec-WebSocket-Accept");
        if accepted.is_none_or(|accepted| accepted.as_bytes() != derive_accept_key(key.as_bytes()).as_bytes())
        {
            return Err(wrong("its answer to the WebSocket handshake does not fit the question"));
        }
        let stream = answer.upgrade().await.map_err(|error| CallError::from_reqwest(&self.url, &error))?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_BYTES_MAX))
            .max_frame_size(Some(MESSAGE_BYTES_MAX))
            .max_write_buffer_size(WRITE_BUFFER_MAX);
        Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await)
    }
}
