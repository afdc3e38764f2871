//! Clocks that do not go as the world's does: of nodes that sleep, and of servers whose wall clock is set.

use std::time::Duration;

use endpoint_selection::Timestamp;
use engine::Input;

use super::{Event, NodeId, RECONNECT, RelayId, ServerKind, World, unix_ms};

/// A node that slept longer finds its connections to the coordinator broken, and what was under way lost.
const CONNECTION_MAX: Duration = Duration::from_secs(60);

/// What a node's clock shows after a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SleepClock {
    /// As if there had been none, and nobody tells the engine: a virtual machine that was paused.
    StandsStill,
    /// The time that really passed, and the agent, which sees that by comparing two clocks, looks at everything anew.
    Jumps,
}

impl World {
    /// The node's machine sleeps: its timers stand still, what is sent to it is lost.
    pub fn suspend(&mut self, node: NodeId, clock: SleepClock) {
        let now = self.now;
        self.nodes[node.0].sleep(now, clock);
    }

    /// The machine wakes up.
    pub fn resume(&mut self, node: NodeId) {
        let index = node.0;
        let Some((slept, clock)) = self.nodes[index].wake_up(self.now) else { return };
        let held = self.held.remove(&index).unwrap_or_default();
        let life = self.nodes[index].life;
        let is_broken = slept > CONNECTION_MAX;
        for event in held {
            if !is_broken {
                self.queue.push(self.now, event);
            } else if let Event::ReportAnswered(_, life, _) = event {
                self.queue.push(self.now, Event::ReportAnswered(index, life, None));
            }
        }
        if is_broken && self.nodes[index].is_stream_open {
            self.close_stream(index);
            let revision = self.revision_of(index);
            self.queue.push(self.now + RECONNECT, Event::StreamWanted(index, life, revision));
            self.deliver_map_events();
        }
        if let Some(at) = self.nodes[index].wake_at {
            let at = self.nodes[index].world_time(at).max(self.now);
            self.queue.push(at, Event::Wake(index));
        }
        // It may have been carried elsewhere.
        self.tell_local_addresses(node);
        if clock == SleepClock::Jumps {
            self.give(index, Input::Rediscover);
        }
    }

    /// What must wait for a node that sleeps; gives the event back where it need not.
    pub(super) fn hold(&mut self, index: usize, event: Event) -> Option<Event> {
        if !self.nodes[index].is_asleep() {
            return Some(event);
        }
        self.held.entry(index).or_default().push(event);
        None
    }

    /// Sets the coordinator's wall clock this far off, in milliseconds; zero: right.
    pub const fn set_coordinator_clock(&mut self, offset_ms: i64) {
        self.coordinator_offset_ms = offset_ms;
    }

    /// Sets a relay's wall clock this far off, in milliseconds; zero: right.
    pub fn set_relay_clock(&mut self, relay: RelayId, offset_ms: i64) {
        if let ServerKind::Relay { wall_offset_ms, .. } = &mut self.servers[relay.0].kind {
            *wall_offset_ms = offset_ms;
        }
    }

    /// The coordinator's wall clock.
    pub(super) fn coordinator_ms(&self) -> i64 {
        unix_ms(self.now).saturating_add(self.coordinator_offset_ms)
    }

    /// The time on a node's own clock.
    pub(super) fn local_time(&self, index: usize) -> Timestamp {
        self.nodes[index].clock(self.now)
    }
}
