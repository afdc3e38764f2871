//! A node at Warren's relay, as an agent is.

use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use protocol::key::{PrivateKey, PublicKey};
use protocol::relay::{Frame, RelayKey, SessionId, decode};
use protocol::relay_token::{RelayToken, TokenSigningKey};
use uuid::Uuid;
use zeroize::Zeroizing;

/// How often a registration is sent before the relay counts as silent.
const TRIES: u32 = 40;

/// The relay's own key and the one that signs tokens.
pub(crate) struct Keys {
    pub(crate) relay: PrivateKey,
    pub(crate) signing: TokenSigningKey,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let signing = TokenSigningKey::from_random(&Zeroizing::new([5; 32]));
        Self { relay: PrivateKey::from_random([77; 32]), signing }
    }
}

/// The key of the node with this number.
pub(crate) fn node_key(number: u32) -> PrivateKey {
    let mut bytes = [3; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    PrivateKey::from_random(bytes)
}

/// Registers a node; gives its public key and its session.
pub(crate) fn register(
    socket: &UdpSocket,
    server: SocketAddr,
    keys: &Keys,
    number: u32,
) -> Result<(PublicKey, SessionId)> {
    let own = node_key(number);
    let relay = RelayKey::of_node(&own, &keys.relay.public_key()).context("the relay's key")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let (node, network) = (own.public_key(), Uuid::from_bytes([1; 16]));
    let token = RelayToken { node, network, expires_unix_s: now + 3_600 }.sign(&keys.signing);
    let mut cookie = [0; 16];
    let mut buffer = [0; 1_500];
    socket.set_read_timeout(Some(Duration::from_millis(250)))?;
    for _ in 0..TRIES {
        socket.send_to(&relay.encode_register(cookie, [4; 8], &token), server)?;
        let Ok(len) = socket.recv(&mut buffer) else { continue };
        match decode(buffer.get(..len).unwrap_or_default()) {
            Ok(Frame::Challenge(fresh)) => cookie = fresh,
            Ok(Frame::Registered(registered)) => return Ok((node, registered.session)),
            other => bail!("the relay says {other:?}"),
        }
    }
    bail!("the relay does not answer")
}
