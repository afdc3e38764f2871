//! What can happen to a running node, outside of user's requests.

use protocol::api::ReportResponse;
use tunnel::Received;

use crate::coordinator_client::CallError;
use crate::map_stream::StreamNews;
use crate::relay_web_sockets::WebSocketNews;

/// One thing that happened.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A datagram for the engine.
    Datagram(Received),
    /// The map stream has news.
    Stream(StreamNews),
    /// A report's fate.
    Reported(Result<ReportResponse, CallError>),
    /// Something else is known of the router's port.
    PortMapping,
    /// Something else is known of the relay that the node runs.
    OwnRelay,
    /// Another NAT64 is between the machine and IPv4 than before, or none any more.
    Nat64,
    /// The tunnel sent a packet to a peer that nobody has talked with of late.
    Packet,
    /// A relay's WebSocket opened or ended.
    WebSocket(WebSocketNews),
    /// A deadline of the engine passed.
    Deadline,
}
