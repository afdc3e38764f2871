//! The kernel's TUN interface, with checksum and segmentation offload where the kernel has it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use route_manager::{Route, RouteManager};
use tun_rs::{DeviceBuilder, SyncDevice};

use crate::batch::{ReadBatch, WriteBatch};
use crate::error::TunnelError;
use crate::interface::{Interface, OpenInterface};

/// Packets that the kernel queues for us; the default of 500 drops bursts of a fast TCP stream.
const QUEUE_LEN: u32 = 1000;

/// Bytes in an interface name (`IFNAMSIZ` less its closing zero).
const NAME_LEN_MAX: usize = 15;

/// The longest that a change waits for its IPv6 addresses to become usable; it takes a millisecond or two.
const TENTATIVE_MAX: Duration = Duration::from_millis(500);

/// Makes TUN interfaces of one name.
#[derive(Debug, Clone)]
pub struct TunInterface {
    name: String,
}

impl TunInterface {
    /// Checks `name`; nothing is created yet.
    ///
    /// # Errors
    /// [`TunnelError::NameInvalid`] where the kernel would not take the name, or would fill in a number (`%d`).
    pub fn new(name: &str) -> Result<Self, TunnelError> {
        let sound = name.len() <= NAME_LEN_MAX
            && name.starts_with(|first: char| first.is_ascii_alphanumeric())
            && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
        if sound {
            Ok(Self { name: name.to_owned() })
        } else {
            Err(TunnelError::NameInvalid { name: name.to_owned() })
        }
    }

    fn create(&self, mtu: u16, offload: bool) -> io::Result<SyncDevice> {
        let device =
            DeviceBuilder::new().name(&self.name).offload(offload).mtu(mtu).enable(true).build_sync()?;
        // Only the host's first user namespace may do this; elsewhere the default has to do.
        if let Err(error) = device.set_tx_queue_len(QUEUE_LEN) {
            tracing::debug!(%error, "the interface keeps its default queue length");
        }
        device.set_nonblocking(true)?;
        Ok(device)
    }

    fn explain(&self, error: io::Error) -> TunnelError {
        match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => TunnelError::NotPermitted,
            Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => TunnelError::NoTunDevice,
            Some(libc::EBUSY | libc::EEXIST) => TunnelError::NameTaken { name: self.name.clone() },
            _ => TunnelError::Configure { action: format!("create {:?}", self.name), source: error },
        }
    }
}

impl OpenInterface for TunInterface {
    fn open(&self, addresses: &[IpNet], mtu: u16) -> Result<Arc<dyn Interface>, TunnelError> {
        // Asked before, because the driver would attach to a TUN interface that somebody made persistent.
        if nix::net::if_::if_nametoindex(self.name.as_str()).is_ok() {
            return Err(TunnelError::NameTaken { name: self.name.clone() });
        }
        if !std::fs::exists("/dev/net/tun").unwrap_or(true) {
            return Err(TunnelError::NoTunDevice);
        }
        let device = match self.create(mtu, true) {
            // Kernels and sandboxes without TUNSETOFFLOAD.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EINVAL | libc::ENOTTY)) => {
                tracing::info!(%error, "no TUN offload on this kernel: the tunnel is slower");
                self.create(mtu, false)
            }
            result => result,
        };
        let device = device.map_err(|error| self.explain(error))?;
        let tun = Tun {
            device,
            addresses: Mutex::default(),
            routes: Mutex::default(),
            coalesce: AtomicBool::new(true),
        };
        tun.configure(addresses, mtu)?;
        Ok(Arc::new(tun))
    }
}

struct Tun {
    device: SyncDevice,
    addresses: Mutex<Vec<IpNet>>,
    routes: Mutex<Vec<IpNet>>,
    /// Old kernels refuse coalesced packets (EINVAL); from then on each packet is written alone.
    coalesce: AtomicBool,
}

impl Tun {
    fn add(&self, address: IpNet) -> Result<(), TunnelError> {
        let added = match address {
            IpNet::V4(net) => self.device.add_address_v4(net.addr(), net.prefix_len()),
            IpNet::V6(net) => self.device.add_address_v6(net.addr(), net.prefix_len()),
        };
        match added {
            Ok(()) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(()),
            Err(error) if address.addr().is_ipv6() && is_ipv6_off(&error) => {
                tracing::warn!(%address, %error, "IPv6 is switched off on this host: address left out");
                Ok(())
            }
            Err(source) => {
                Err(TunnelError::Configure { action: format!("add the address {address}"), source })
            }
        }
    }

    /// The driver library does not report every refusal of the kernel, so the outcome is looked at.
    fn verify(&self, addresses: &[IpNet]) -> Result<(), TunnelError> {
        let action = |address: &IpNet| format!("add the address {address}");
        for address in addresses.iter().filter(|address| address.addr().is_ipv4()) {
            let present = self.device.addresses().unwrap_or_default();
            if !present.contains(&address.addr()) {
                let source = io::Error::new(io::ErrorKind::InvalidInput, "the kernel refused it");
                return Err(TunnelError::Configure { action: action(address), source });
            }
        }
        Ok(())
    }

    /// Waits until the kernel lets programs bind the IPv6 addresses. A TUN interface has no neighbours and so no
    /// duplicate detection (`IFF_NOARP`), but the kernel only finds that out in a work queue of its own.
    fn await_ipv6(&self) {
        let Ok(name) = self.device.name() else { return };
        let start = Instant::now();
        while start.elapsed() < TENTATIVE_MAX && has_tentative_address(&name) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// The kernel drops an interface's routes with the last address of their family.
    fn renew_routes(&self) -> Result<(), TunnelError> {
        let routes = std::mem::take(&mut *self.routes.lock().unwrap_or_else(PoisonError::into_inner));
        if let (Ok(index), Ok(mut manager)) = (self.device.if_index(), RouteManager::new()) {
            for route in &routes {
                // Most are gone; what is there is made again below.
                let _ = manager.delete(&through(route, index));
            }
        }
        self.set_routes(&routes)
    }

    fn send_from(&self, batch: &mut WriteBatch, first: usize, count: usize) -> io::Result<()> {
        let packets = batch.buffers.get_mut(first..first + count).unwrap_or_default();
        self.device.send_multiple(&mut batch.table, packets, WriteBatch::HEADROOM).map(drop)
    }
}

impl Interface for Tun {
    fn receive(&self, batch: &mut ReadBatch) -> io::Result<()> {
        batch.count = 0;
        batch.count =
            self.device.recv_multiple(&mut batch.scratch, &mut batch.packets, &mut batch.lengths, 0)?;
        Ok(())
    }

    fn send(&self, batch: &mut WriteBatch) -> io::Result<()> {
        if self.coalesce.load(Ordering::Relaxed) {
            let result = self.send_from(batch, 0, batch.used);
            if result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL)) {
                tracing::info!("the kernel refused coalesced packets: writing them singly");
                self.coalesce.store(false, Ordering::Relaxed);
            }
            return result;
        }
        (0..batch.used).map(|index| self.send_from(batch, index, 1)).fold(Ok(()), io::Result::and)
    }

    fn readiness(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }

    fn configure(&self, addresses: &[IpNet], mtu: u16) -> Result<(), TunnelError> {
        self.device
            .set_mtu(mtu)
            .map_err(|source| TunnelError::Configure { action: format!("set the MTU to {mtu}"), source })?;
        let mut current = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let is_any_to_go = current.iter().any(|address| !addresses.contains(address));
        for address in current.extract_if(.., |address| !addresses.contains(address)) {
            if let Err(source) = self.device.remove_address(address.addr()) {
                let action = format!("remove the address {address}");
                return Err(TunnelError::Configure { action, source });
            }
        }
        // All are added again: removing the first of a network removes its secondary addresses as well.
        for address in addresses {
            self.add(*address)?;
        }
        self.verify(addresses)?;
        self.await_ipv6();
        *current = addresses.to_vec();
        drop(current);
        if is_any_to_go { self.renew_routes() } else { Ok(()) }
    }

    fn set_routes(&self, routes: &[IpNet]) -> Result<(), TunnelError> {
        let mut current = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        if *current == routes {
            return Ok(());
        }
        let failed = |action: &str, route: &IpNet, source: io::Error| TunnelError::Configure {
            action: format!("{action} the route to {route}"),
            source,
        };
        let index = self.device.if_index().map_err(|source| TunnelError::Configure {
            action: "find the interface's number".to_owned(),
            source,
        })?;
        let mut manager = RouteManager::new()
            .map_err(|source| TunnelError::Configure { action: "change routes".to_owned(), source })?;
        while let Some(at) = current.iter().position(|route| !routes.contains(route)) {
            let route = current.swap_remove(at);
            match manager.delete(&through(&route, index)) {
                // Somebody else took it away.
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
                removed => removed.map_err(|source| failed("remove", &route, source))?,
            }
        }
        for route in routes {
            if current.contains(route) {
                continue;
            }
            match manager.add(&through(route, index)) {
                Err(error) if route.addr().is_ipv6() && is_ipv6_off(&error) => {
                    tracing::warn!(%route, %error, "IPv6 is switched off on this host: route left out");
                }
                // The machine's own route to the same network counts: whoever set it up knows better.
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => {
                    tracing::warn!(%route, "this host has a route to that network already: it stays, ours is left out");
                    continue;
                }
                added => added.map_err(|source| failed("add", route, source))?,
            }
            current.push(*route);
        }
        current.sort_unstable();
        Ok(())
    }
}

fn through(route: &IpNet, index: u32) -> Route {
    Route::new(route.network(), route.prefix_len()).with_if_index(index)
}

/// Whether an IPv6 address of the interface is tentative (RFC 4862 §2): lines of `if_inet6` are address, index, prefix
/// length, scope, flags and name, the numbers in hexadecimal.
fn has_tentative_address(name: &str) -> bool {
    let table = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap_or_default();
    table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).any(|fields| {
        let [_, _, _, _, flags, interface] = fields[..] else { return false };
        interface == name
            && u32::from_str_radix(flags, 16).is_ok_and(|flags| flags & libc::IFA_F_TENTATIVE != 0)
    })
}

fn is_ipv6_off(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EACCES | libc::EAFNOSUPPORT | libc::EOPNOTSUPP | libc::ENODEV))
}
