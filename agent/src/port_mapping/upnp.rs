//! The question in UPnP-IGD: find the router's device, read its outside address, add the port.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use endpoint_selection::PortMappingProtocol;
use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddAnyPortError, AddPortError, PortMappingProtocol as Transport, SearchOptions};
use tokio::time::timeout;

use super::asking::{LIFETIME, Ticket};
use super::grant::Grant;
use super::place::Place;

/// How long the router gets to answer when it is asked alone. It describes itself in two documents over HTTP.
const ALONE_MAX: Duration = Duration::from_secs(1);

/// How long when everybody is asked: devices spread such answers over up to three seconds. Nobody else is on the loopback interface
/// of a test.
const EVERYBODY_MAX: Duration = Duration::from_millis(if cfg!(test) { 100 } else { 4_000 });

/// How long one exchange over HTTP may take.
const CONTROL_MAX: Duration = Duration::from_secs(3);

/// The port of discovery (SSDP).
const DISCOVERY_PORT: u16 = 1900;

/// What the router's list of mappings shows to its owner.
const DESCRIPTION: &str = "Warren";

/// The router's device.
pub(super) type Device = Gateway<Tokio>;

/// Finds the device of this very router. It is asked alone first, which nobody else can answer; then with everybody, as routers
/// are known that only hear that, and another one's answer counts for nothing.
///
/// # Errors
/// Why it was not found.
pub(super) async fn search(place: Place) -> Result<Device, String> {
    let router = IpAddr::V4(place.router);
    let mut options = SearchOptions::default();
    options.bind_addr = SocketAddr::from((place.local, 0));
    options.timeout = Some(EVERYBODY_MAX);
    let everybody = search_gateway(options);
    let mut options = SearchOptions::default();
    options.bind_addr = SocketAddr::from((place.local, 0));
    options.broadcast_address = SocketAddr::new(router, DISCOVERY_PORT);
    options.timeout = Some(ALONE_MAX);
    if router.is_loopback() {
        // The library takes no router there by itself, but tests have one.
        options.allowed_gateway_ips = vec![router];
    }
    let found = match search_gateway(options).await {
        Ok(device) => Ok(device),
        Err(_) => everybody.await,
    };
    match found {
        Ok(device) if device.addr.ip() == router => Ok(device),
        Ok(device) => Err(format!("{} answered instead of the router", device.addr.ip())),
        Err(igd_next::SearchError::NoResponseWithinTimeout | igd_next::SearchError::IoError(_)) => {
            Err("no answer".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Adds or renews the mapping of `local`; the port outside shall be `wanted`.
///
/// # Errors
/// Why the router did not.
pub(super) async fn map(device: Device, local: SocketAddr, wanted: u16) -> Result<Grant<Ticket>, String> {
    let ip = within(device.get_external_ip()).await?;
    let lifetime = u32::try_from(LIFETIME.as_secs()).unwrap_or(u32::MAX);
    let port = match add(&device, local, wanted, lifetime).await {
        // Some know no end of a mapping; it is taken back when the agent ends.
        Err(AddPortError::OnlyPermanentLeasesSupported) => add(&device, local, wanted, 0).await,
        other => other,
    };
    let port = match port {
        Ok(port) => port,
        Err(AddPortError::PortInUse) => {
            let any = device.add_any_port(Transport::UDP, local, lifetime, DESCRIPTION);
            match timeout(CONTROL_MAX, any).await {
                Ok(Ok(port)) => port,
                Ok(Err(AddAnyPortError::OnlyPermanentLeasesSupported)) | Err(_) => {
                    return Err(AddPortError::PortInUse.to_string());
                }
                Ok(Err(error)) => return Err(error.to_string()),
            }
        }
        Err(error) => return Err(error.to_string()),
    };
    Ok(Grant {
        external: SocketAddr::new(ip, port),
        // The answer names none.
        lifetime: LIFETIME,
        protocol: PortMappingProtocol::UpnpIgd,
        epoch: None,
        ticket: Ticket::Upnp(Box::new(device)),
    })
}

/// Takes the mapping back.
///
/// # Errors
/// Why the router did not.
pub(super) async fn remove(device: &Device, port: u16) -> Result<(), String> {
    within(device.remove_port(Transport::UDP, port)).await
}

async fn add(device: &Device, local: SocketAddr, port: u16, lifetime: u32) -> Result<u16, AddPortError> {
    let adding = device.add_port(Transport::UDP, port, local, lifetime, DESCRIPTION);
    match timeout(CONTROL_MAX, adding).await {
        Ok(added) => added.map(|()| port),
        Err(late) => Err(AddPortError::RequestError(late.into())),
    }
}

async fn within<T, E: ToString>(exchange: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match timeout(CONTROL_MAX, exchange).await {
        Ok(result) => result.map_err(|error| error.to_string()),
        Err(_) => Err("no answer".to_owned()),
    }
}
