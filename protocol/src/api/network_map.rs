//! `GET /api/v1/map`: what a node may see, as Server-Sent Events with the revision as event id.

use std::net::SocketAddr;

use endpoint_selection::Candidate;
use endpoint_selection::nat::NatProfile;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{NodeName, Route, Tag, Zone};
use crate::access::Access;
use crate::key::PublicKey;
use crate::map_signature::MapPlace;
use crate::relay_token::TokenVerifyingKey;

/// The largest map event that an agent reads, in bytes: 10,000 peers at 1.6 KiB.
pub const MAP_EVENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Everything that a node may see, at one revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkMap {
    /// Grows with every change of the network.
    pub revision: u64,
    /// The node itself.
    pub own: OwnNode,
    /// The nodes it may talk to, ordered by public key.
    pub peers: Vec<Peer>,
    /// The relays it may use.
    pub relays: Vec<RelayInfo>,
    /// The STUN servers it may ask.
    pub stun_servers: Vec<SocketAddr>,
}

/// The node itself, as the coordinator records it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnNode {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: NodeName,
    /// The network's name.
    pub network: String,
    /// The network's zone in the DNS; absent from coordinators that give nodes no names there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Its mesh addresses, each with the prefix of the network.
    pub addresses: Vec<IpNet>,
    /// Set where an administrator lets the node be a relay for its network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<RelayPermission>,
    /// Why it sees no peers, where that is so.
    #[serde(default, skip_serializing_if = "Standing::is_admitted")]
    pub standing: Standing,
    /// What it takes from its peers; absent for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<Access>,
    /// The networks that an administrator lets it route to, whether or not it offers them now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

/// Whether a node is part of its network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "ts", derive(ts_rs::TS))]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is.
    #[default]
    Admitted,
    /// An administrator has to admit it first.
    Waiting,
    /// An administrator switched it off.
    Disabled,
    /// The time until which it was admitted is over.
    Expired,
}

impl Standing {
    /// Whether the node is part of its network.
    #[must_use]
    pub const fn is_admitted(&self) -> bool {
        matches!(self, Self::Admitted)
    }
}

/// What a node needs to be a relay for its network, and for no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayPermission {
    /// The network whose nodes it lets in: relay tokens name theirs.
    pub network: Uuid,
    /// The keys that relay tokens are verified with: one, or two while the coordinator changes its key.
    pub verify_keys: Vec<TokenVerifyingKey>,
}

/// Another node of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: NodeName,
    /// Its WireGuard public key.
    pub public_key: PublicKey,
    /// Prefixes routed to it; its own mesh addresses come first.
    pub allowed_ips: Vec<IpNet>,
    /// Whether it holds a map stream open now. A hint: paths stand on probes, not on it.
    pub online: bool,
    /// Its candidates, from its last report.
    pub candidates: Vec<Candidate>,
    /// The NAT in front of it, from its last report: what may open a direct path to it.
    #[serde(default)]
    pub nat: NatProfile,
    /// Set for a plain WireGuard peer without an agent: it answers no probes, and this is its endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain_endpoint: Option<SocketAddr>,
    /// Its tags, which access rules speak of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// The networks that are reached through it: approved by an administrator, and offered now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
}

/// A relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelayInfo {
    /// Its name, for people.
    pub name: String,
    /// Its UDP address.
    pub address: SocketAddr,
    /// Its X25519 public key.
    pub public_key: PublicKey,
    /// Where it is reached over WebSocket, `http` or `https`; absent where it speaks UDP alone. Relays with the same key are
    /// one relay at several addresses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The node that runs it, for a peer relay; absent for a relay of the coordinator's owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<PublicKey>,
}

/// A change from one revision to a later one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapDelta {
    /// The revision that it applies to.
    pub from_revision: u64,
    /// The revision that it leads to.
    pub revision: u64,
    /// Peers that are new or changed, whole.
    pub upserts: Vec<Peer>,
    /// Peers that are gone.
    pub removals: Vec<PublicKey>,
    /// The relays and STUN servers, where these changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub servers: Option<Servers>,
    /// The node itself, where what the coordinator records of it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Box<OwnNode>>,
}

/// What stands in the internet for nodes to use, whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Servers {
    /// The relays.
    pub relays: Vec<RelayInfo>,
    /// The STUN servers.
    pub stun_servers: Vec<SocketAddr>,
}

/// One event of the stream; its SSE `event` field is `snapshot` or `delta`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapEvent {
    /// Replaces the map.
    Snapshot(NetworkMap),
    /// Changes it.
    Delta(MapDelta),
}

/// A delta that does not follow the map's revision: ask for a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the map is at revision {have}, the change starts at {from}")]
pub struct StaleDelta {
    /// The map's revision.
    pub have: u64,
    /// The delta's start.
    pub from: u64,
}

impl NetworkMap {
    /// Applies a delta.
    ///
    /// # Errors
    /// [`StaleDelta`], and the map stays as it was.
    pub fn apply(&mut self, delta: MapDelta) -> Result<(), StaleDelta> {
        if delta.from_revision != self.revision {
            return Err(StaleDelta { have: self.revision, from: delta.from_revision });
        }
        self.peers.retain(|peer| {
            !delta.removals.contains(&peer.public_key)
                && !delta
                    .upserts
                    .iter()
                    .any(|upsert| upsert.id == peer.id || upsert.public_key == peer.public_key)
        });
        self.peers.extend(delta.upserts);
        self.peers.sort_by_key(|peer| peer.public_key);
        if let Some(Servers { relays, stun_servers }) = delta.servers {
            (self.relays, self.stun_servers) = (relays, stun_servers);
        }
        if let Some(own) = delta.own {
            self.own = *own;
        }
        self.revision = delta.revision;
        Ok(())
    }
}

impl MapEvent {
    /// The revision after the event: its SSE id.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        match self {
            Self::Snapshot(map) => map.revision,
            Self::Delta(delta) => delta.revision,
        }
    }

    /// Where the event belongs, for its signature.
    #[must_use]
    pub const fn place(&self, node: Uuid) -> MapPlace {
        let follows = match self {
            Self::Snapshot(_) => None,
            Self::Delta(delta) => Some(delta.from_revision),
        };
        MapPlace { node, follows, revision: self.revision() }
    }

    /// The SSE `event` field.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Snapshot(_) => "snapshot",
            Self::Delta(_) => "delta",
        }
    }

    /// The SSE `data` field: JSON on one line.
    #[must_use]
    pub fn data(&self) -> String {
        let json = match self {
            Self::Snapshot(map) => serde_json::to_string(map),
            Self::Delta(delta) => serde_json::to_string(delta),
        };
        #[expect(clippy::expect_used, reason = "these types have no map with keys other than strings")]
        json.expect("a map event is JSON")
    }

    /// Whether an SSE `event` field is that of an event that [`Self::parse`] knows.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        matches!(name, "snapshot" | "delta")
    }

    /// Reads an event from its SSE fields. `Ok(None)` for an event name that we do not know: a newer coordinator
    /// may send more than we understand.
    ///
    /// # Errors
    /// Where the data is not what the name promises.
    pub fn parse(name: &str, data: &str) -> Result<Option<Self>, serde_json::Error> {
        match name {
            "snapshot" => serde_json::from_str(data).map(|map| Some(Self::Snapshot(map))),
            "delta" => serde_json::from_str(data).map(|delta| Some(Self::Delta(delta))),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
