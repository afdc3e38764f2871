//! The question itself: PCP, else NAT-PMP, else UPnP-IGD, and what goes wrong with each.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU16;
use std::pin::pin;
use std::time::Duration;

use crab_nat::{
    InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig, natpmp, pcp,
};
use endpoint_selection::PortMappingProtocol;
use tokio::time::sleep;

use super::grant::Grant;
use super::keeper::Wish;
use super::place::Place;
use super::upnp;
use crate::printable::printable;

/// The lifetime that is asked for (RFC 6886 §3.3 recommends it): a node that vanishes leaves its port open no longer.
pub(super) const LIFETIME: Duration = Duration::from_secs(7_200);

/// How long the router gets in PCP and NAT-PMP: the request, and once more after a quarter of a second. It is one hop away, and
/// most routers that are silent will stay so.
const PATIENCE: TimeoutConfig =
    TimeoutConfig { initial_timeout: Duration::from_millis(250), max_retries: 1, max_retry_timeout: None };

/// How long PCP and NAT-PMP get before UPnP's search begins beside them: a router that speaks them is not bothered with it.
const HEAD_START: Duration = Duration::from_millis(300);

/// What renewing and releasing a mapping takes.
#[derive(Debug, Clone)]
pub(super) enum Ticket {
    /// What shows the router that it is us again.
    Pcp(pcp::Nonce),
    /// Nothing but our address.
    NatPmp,
    /// Whom to tell.
    Upnp(Box<upnp::Device>),
}

/// Puts the question for the node's UDP port; PCP's nonce is this one.
///
/// # Errors
/// Why there is no mapping, as a sentence's end.
pub(super) async fn ask(
    wish: Wish<Ticket>,
    port: NonZeroU16,
    nonce: pcp::Nonce,
) -> Result<Grant<Ticket>, String> {
    let place = wish.place;
    let Some(before) = wish.renew else { return ask_anew(place, port, nonce).await };
    let wanted = NonZeroU16::new(before.external.port()).unwrap_or(port);
    let granted = match before.ticket {
        Ticket::Pcp(nonce) => ask_pcp(place, port, wanted, nonce, Some(before.external.ip())).await,
        Ticket::NatPmp => match nat_pmp_address(place).await {
            Ok(ip) => ask_nat_pmp(place, port, wanted, ip).await,
            Err(why) => Err(why),
        },
        Ticket::Upnp(device) => match upnp::map(*device, base(place, port), wanted.get()).await {
            Ok(grant) => Ok(grant),
            // A router that started anew listens at another port.
            Err(_) => upnp::map(upnp::search(place).await?, base(place, port), wanted.get()).await,
        },
    };
    // Refused before it is released: a mapping that was good a moment ago and has another address now will be asked for anew.
    granted.and_then(Grant::checked).map_err(|why| printable(&why))
}

/// Asks in all protocols, almost at once; the answer in the first of them that brings one counts.
async fn ask_anew(place: Place, port: NonZeroU16, nonce: pcp::Nonce) -> Result<Grant<Ticket>, String> {
    let mut pcp = pin!(ask_pcp(place, port, port, nonce, None));
    let mut address = pin!(nat_pmp_address(place));
    let mut device = pin!(async {
        sleep(HEAD_START).await;
        upnp::search(place).await
    });
    let (mut pcp_said, mut address_said, mut device_said) = (None, None, None);
    loop {
        tokio::select! {
            biased;
            said = &mut pcp, if pcp_said.is_none() => match kept(place, port, said).await {
                Ok(grant) => return Ok(grant),
                Err(why) => pcp_said = Some(why),
            },
            said = &mut address, if address_said.is_none() => address_said = Some(said),
            said = &mut device, if device_said.is_none() => device_said = Some(said),
        }
        let Some(pcp_why) = &pcp_said else { continue };
        if let Some(Ok(ip)) = address_said {
            match kept(place, port, ask_nat_pmp(place, port, port, ip).await).await {
                Ok(grant) => return Ok(grant),
                Err(why) => address_said = Some(Err(why)),
            }
        }
        let Some(Err(nat_pmp_why)) = &address_said else { continue };
        let upnp_why = match device_said.take() {
            Some(Ok(device)) => {
                match kept(place, port, upnp::map(device, base(place, port), port.get()).await).await {
                    Ok(grant) => return Ok(grant),
                    Err(why) => why,
                }
            }
            Some(Err(why)) => why,
            None => continue,
        };
        return Err(reasons([("PCP", pcp_why), ("NAT-PMP", nat_pmp_why), ("UPnP-IGD", &upnp_why)]));
    }
}

/// A grant that can be of use; one that cannot is given back, as far as the router lets it.
async fn kept(
    place: Place,
    port: NonZeroU16,
    granted: Result<Grant<Ticket>, String>,
) -> Result<Grant<Ticket>, String> {
    let granted = granted?;
    match granted.clone().checked() {
        Ok(grant) => Ok(grant),
        Err(why) => {
            release(place, port, granted).await;
            Err(why)
        }
    }
}

/// Gives the port back. A router that does not listen forgets it at the end of its lifetime.
pub(super) async fn release(place: Place, port: NonZeroU16, grant: Grant<Ticket>) {
    let router = place.router.into();
    let released = match grant.ticket {
        Ticket::Pcp(nonce) => {
            let range =
                pcp::DropMappingRange::Single { protocol: InternetProtocol::Udp, internal_port: port };
            pcp::try_drop_mapping(router, place.local.into(), nonce, range, Some(PATIENCE))
                .await
                .map_err(|error| error.to_string())
        }
        Ticket::NatPmp => natpmp::try_drop_mapping(router, InternetProtocol::Udp, Some(port), Some(PATIENCE))
            .await
            .map_err(|error| error.to_string()),
        Ticket::Upnp(device) => upnp::remove(&device, grant.external.port()).await,
    };
    if let Err(error) = released {
        tracing::debug!(%error, router = %place.router, "the router's port is not released");
    }
}

async fn ask_pcp(
    place: Place,
    port: NonZeroU16,
    wanted: NonZeroU16,
    nonce: pcp::Nonce,
    before: Option<IpAddr>,
) -> Result<Grant<Ticket>, String> {
    let base = pcp::BaseMapRequest::new(place.router.into(), place.local.into(), InternetProtocol::Udp, port);
    match pcp::port_mapping(base, Some(nonce), before, options(wanted)).await {
        Ok(mapping) => match mapping.mapping_type() {
            PortMappingType::Pcp { nonce, external_ip, .. } => {
                Ok(granted(&mapping, external_ip, PortMappingProtocol::Pcp, Ticket::Pcp(nonce)))
            }
            PortMappingType::NatPmp => Err("it answered in another protocol".to_owned()),
        },
        Err(pcp::Failure::Timeout | pcp::Failure::Socket(_)) => Err(SILENCE.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// The router's outside address in NAT-PMP, where that is one.
async fn nat_pmp_address(place: Place) -> Result<Ipv4Addr, String> {
    match natpmp::external_address(place.router.into(), Some(PATIENCE)).await {
        Ok(ip) => Ok(ip),
        Err(natpmp::Failure::Timeout | natpmp::Failure::Socket(_)) => Err(SILENCE.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

async fn ask_nat_pmp(
    place: Place,
    port: NonZeroU16,
    wanted: NonZeroU16,
    ip: Ipv4Addr,
) -> Result<Grant<Ticket>, String> {
    match natpmp::port_mapping(place.router.into(), InternetProtocol::Udp, port, options(wanted)).await {
        Ok(mapping) => Ok(granted(&mapping, ip.into(), PortMappingProtocol::NatPmp, Ticket::NatPmp)),
        Err(natpmp::Failure::Timeout | natpmp::Failure::Socket(_)) => Err(SILENCE.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// What a router that speaks none of the protocols says.
const SILENCE: &str = "no answer";

fn reasons(said: [(&str, &str); 3]) -> String {
    if said.iter().all(|(_, why)| *why == SILENCE) {
        return "the router answers neither PCP nor NAT-PMP nor UPnP-IGD".to_owned();
    }
    let told = said.map(|(protocol, why)| format!("{protocol}: {}", printable(why)));
    format!("the router opens no port: {}", told.join("; "))
}

fn options(wanted: NonZeroU16) -> PortMappingOptions {
    PortMappingOptions {
        external_port: Some(wanted),
        lifetime_seconds: u32::try_from(LIFETIME.as_secs()).ok(),
        timeout_config: Some(PATIENCE),
    }
}

fn granted(
    mapping: &PortMapping,
    ip: IpAddr,
    protocol: PortMappingProtocol,
    ticket: Ticket,
) -> Grant<Ticket> {
    Grant {
        external: SocketAddr::new(ip, mapping.external_port().get()),
        lifetime: Duration::from_secs(u64::from(mapping.lifetime())),
        protocol,
        epoch: Some(mapping.gateway_epoch()),
        ticket,
    }
}

/// The own address and port that a mapping leads to.
pub(super) fn base(place: Place, port: NonZeroU16) -> SocketAddr {
    SocketAddr::from((place.local, port.get()))
}

#[cfg(test)]
mod tests;
