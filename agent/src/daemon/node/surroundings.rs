//! A look around: addresses of the machine, its sleep, and what the tunnel moved.

use std::time::Duration;

use engine::Input;
use tunnel::Nat64Prefix;

use crate::clock::Clock;
use crate::map_stream::StreamWish;
use crate::net;

use super::Node;

/// Sleep of the machine that is worth learning everything anew: mappings of NATs live 30 s and more.
const SLEEP_MIN: Duration = Duration::from_secs(5);

/// A tunnel that moved nothing for so many ticks (10 min) is at rest. Until then a path that only sends is noticed soon.
const MOVING_TICKS: u32 = 2_400;

/// A tunnel that moves nothing is looked at each so many ticks: 10 s, or 40 s at rest. That costs as much as it has peers.
const REST_TICKS: u32 = 40;

/// The interfaces are looked at each so many ticks, for whatever the kernel did not tell of; or more often, where it
/// tells nothing.
const INTERFACE_TICKS: u32 = 40;
const INTERFACE_TICKS_UNTOLD: u32 = 4;

/// What the node set in the kernel to forward packets is looked at each so many ticks, by running `nft` once: 10 s.
const FORWARDING_TICKS: u32 = 40;

/// And the rules that every node has each so many: 10 min.
const GUARD_TICKS: u32 = 2_400;

/// No look for the sake of one packet within this time after another look.
const LOOK_SPACING: Duration = Duration::from_millis(10);

impl Node {
    /// Looks around; says whether the tunnel is in use.
    pub(crate) fn tick(&mut self) -> bool {
        self.ticks = self.ticks.wrapping_add(1);
        let has_moved = self.tunnel.take_moved();
        self.moving_ticks = if has_moved { MOVING_TICKS } else { self.moving_ticks.saturating_sub(1) };
        if has_moved || self.ticks.is_multiple_of(REST_TICKS) {
            self.look_at_traffic();
        }
        if self.may_have_other_interfaces() && self.look_at_interfaces() {
            self.wish(StreamWish::Reconnect);
        }
        if let Some(mapper) = self.port_mapper.as_ref().filter(|_| self.engine.doubts_port_mapping()) {
            mapper.doubt();
            // The same router opened the relay's port.
            self.own_relay.doubt();
        }
        let slept = Clock::slept();
        if slept.saturating_sub(self.slept) >= SLEEP_MIN {
            tracing::info!("the machine slept: learning the network anew");
            self.rediscover();
            self.wish(StreamWish::Reconnect);
        }
        self.slept = slept;
        if self.ticks.is_multiple_of(FORWARDING_TICKS) {
            self.look_at_forwarding();
        }
        if self.ticks.is_multiple_of(GUARD_TICKS) {
            self.firewall.guard.look();
        }
        self.saver.tick(self.engine.network_map());
        self.names.tick(self.engine.network_map());
        // Finished report tasks; the set must not grow.
        while self.tasks.try_join_next().is_some() {}
        self.moving_ticks > 0
    }

    fn may_have_other_interfaces(&self) -> bool {
        match &self.interface_watch {
            Some(watch) => watch.take_changed() || self.ticks.is_multiple_of(INTERFACE_TICKS),
            None => self.ticks.is_multiple_of(INTERFACE_TICKS_UNTOLD),
        }
    }

    /// A packet that the engine waits for went out. Somebody who sends one to each of a thousand peers makes no thousand looks at
    /// a thousand peers: the next tick sees the others.
    pub(super) fn on_awaited_packet(&mut self) {
        if self.clock.now().since(self.looked_at) >= LOOK_SPACING {
            self.look_at_traffic();
        }
    }

    /// Tells the engine what the tunnel moved.
    pub(super) fn look_at_traffic(&mut self) {
        let now = self.clock.now();
        self.looked_at = now;
        let traffic = self.tunnel.tick(now);
        self.input(Input::Traffic(traffic));
    }

    /// Learns everything about the network anew.
    pub(crate) fn rediscover(&mut self) {
        if self.look_at_interfaces() {
            self.wish(StreamWish::Reconnect);
        }
        if let Some(mapper) = &self.port_mapper {
            mapper.refresh();
        }
        self.own_relay.refresh();
        self.input(Input::Rediscover);
    }

    /// Tells the engine the machine's addresses where they changed; says whether they did.
    pub(super) fn look_at_interfaces(&mut self) -> bool {
        self.look_at_networks();
        self.names.set_interface(net::interface_index(&self.interface));
        let addresses = match net::local_addresses(&self.interface, &self.rules) {
            Ok(addresses) => addresses,
            Err(error) => {
                tracing::warn!(%error, "cannot read the machine's addresses: keeping the known ones");
                return false;
            }
        };
        let changed = addresses != self.addresses;
        if changed {
            self.nat64.look_again();
            self.addresses.clone_from(&addresses);
            if let Some(mapper) = &self.port_mapper {
                mapper.set_addresses(&addresses);
            }
            self.own_relay.set_addresses(&addresses);
            self.input(Input::LocalAddresses(addresses));
            // An address that was gone for a moment took the mapping along, and the mapper may not have noticed.
            self.tell_port_mapping();
        }
        changed
    }

    /// Reaches IPv4 through the NAT64 that was found, and learns anew what that changes.
    pub(super) fn on_nat64(&mut self) {
        let prefix = self.nat64.prefix();
        match prefix {
            Some(prefix) => tracing::info!(%prefix, "no IPv4 here: reaching it through NAT64"),
            None => tracing::info!("IPv4 is not reached through NAT64 any more"),
        }
        self.paths.set_nat64(prefix);
        self.input(Input::Rediscover);
    }

    /// The prefix of the NAT64 by which IPv4 is reached, where it is.
    pub(crate) fn nat64(&self) -> Option<Nat64Prefix> {
        self.nat64.prefix()
    }

    /// Tells the engine what the router opened.
    pub(super) fn tell_port_mapping(&mut self) {
        if let Some(facts) = self.port_mapping() {
            self.input(Input::PortMapping(facts.mapping));
        }
    }
}
