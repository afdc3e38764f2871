//! What a node reports of itself: checked, cut to what peers need, and answered with a fresh relay token.

use std::collections::BTreeSet;

use endpoint_selection::CandidateSource;
use ipnet::IpNet;
use protocol::api::Report;
use protocol::relay_token::{RelayToken, SignedToken, TokenSigningKey};

use super::network_map::NetworkState;
use super::peer_relays::is_usable_key;
use super::{NodeIdentity, ReportRefused};
use crate::store::NetworkRow;

/// Seconds between reports of a node where nothing changes: presence on the dashboard is at most that old, and the
/// relay token is renewed sixty times before it expires.
pub const REPORT_INTERVAL_S: u32 = 60;

/// Seconds for which relays accept a token: an hour of coordinator outage costs no relayed path.
pub const RELAY_TOKEN_LIFETIME_S: u32 = 3600;

/// Seconds for which a token is given out again: ten reports, and five sixths of its lifetime are left.
const RELAY_TOKEN_REUSE_S: u32 = 600;

/// Interface names go to all peers; Linux has 15 bytes, other systems show longer ones.
const INTERFACE_NAME_BYTES_MAX: usize = 64;

/// Checks a report and brings it into the form that is kept: candidates in order and once each, none inside the mesh
/// itself (a tunnel through the tunnel).
pub(crate) fn clean(mut report: Report, network: &NetworkRow) -> Result<Report, ReportRefused> {
    report.validate()?;
    for (index, candidate) in report.candidates.iter().enumerate() {
        if let CandidateSource::Interface(name) = &candidate.source
            && name.len() > INTERFACE_NAME_BYTES_MAX
        {
            return Err(ReportRefused::LongInterfaceName(index));
        }
    }
    if report.relay.as_ref().is_some_and(|relay| !is_usable_key(&relay.public_key)) {
        return Err(ReportRefused::UnusableRelayKey);
    }
    let mesh = [IpNet::V4(network.ipv4), IpNet::V6(network.ipv6)];
    let outside: BTreeSet<_> = std::mem::take(&mut report.candidates)
        .into_iter()
        .filter(|candidate| !mesh.iter().any(|range| range.contains(&candidate.address.ip())))
        .collect();
    report.candidates = outside.into_iter().collect();
    if let Some(relay) = &mut report.relay {
        for address in &mut relay.addresses {
            address.set_ip(address.ip().to_canonical());
        }
    }
    if let Some(servers) = &mut report.servers {
        // One that is named twice counts once.
        servers.relays.sort_by_key(|relay| relay.public_key);
        servers.relays.dedup_by_key(|relay| relay.public_key);
        servers.stun_servers.sort_by_key(|server| server.address);
        servers.stun_servers.dedup_by_key(|server| server.address);
    }
    report.agent_version.retain(|c| !c.is_control());
    Ok(report)
}

impl NetworkState {
    /// A token for the relays of the node's network, and the seconds for which relays accept it. To sign one for each report would
    /// cost more than the rest of the report, so it is given out again for a while.
    pub(crate) fn relay_token(
        &mut self,
        identity: &NodeIdentity,
        key: &TokenSigningKey,
        now_ms: i64,
    ) -> Option<(SignedToken, u32)> {
        let node = self.nodes.get_mut(&identity.node)?;
        let age_s = |since_ms: i64| u32::try_from(now_ms.checked_sub(since_ms)? / 1000).ok();
        let is_young = |since_ms: i64| age_s(since_ms).filter(|age_s| *age_s < RELAY_TOKEN_REUSE_S);
        if let Some((since_ms, token)) = &node.relay_token
            && let Some(age_s) = is_young(*since_ms)
        {
            return Some((*token, RELAY_TOKEN_LIFETIME_S - age_s));
        }
        let now_s = u64::try_from(now_ms / 1000).unwrap_or(0);
        let expires_unix_s = now_s + u64::from(RELAY_TOKEN_LIFETIME_S);
        let token = RelayToken { node: identity.public_key, network: identity.network, expires_unix_s };
        let token = SignedToken(token.sign(key));
        node.relay_token = Some((now_ms, token));
        Some((token, RELAY_TOKEN_LIFETIME_S))
    }
}
