//! The way to the coordinator and back: HTTP as delay, order and outage.

use engine::Input;
use protocol::api::{MapEvent, Report, ReportResponse};

use super::{Event, HTTP_DELAY, RECONNECT, World};

impl World {
    pub(super) fn report_arrived(&mut self, index: usize, life: u32, report: Report) {
        let answer = match self.control.report(self.coordinator_ms(), index, report) {
            Ok(answer) => answer,
            Err(why) => {
                self.judge(Err(format!("the coordinator refuses a report of node {index}: {why}")));
                None
            }
        };
        let answer = Event::ReportAnswered(index, life, answer.map(Box::new));
        self.queue.push(self.now + HTTP_DELAY, answer);
        self.deliver_map_events();
    }

    pub(super) fn report_answered(&mut self, index: usize, life: u32, answer: Option<Box<ReportResponse>>) {
        let Some(Event::ReportAnswered(_, _, answer)) =
            self.hold(index, Event::ReportAnswered(index, life, answer))
        else {
            return;
        };
        if self.nodes[index].life == life {
            let input = answer.map_or(Input::ReportFailed, |answer| Input::ReportAccepted(*answer));
            self.give(index, input);
        }
    }

    pub(super) fn stream_wanted(&mut self, index: usize, life: u32, revision: Option<u64>) {
        if self.nodes[index].life != life {
            return;
        }
        if !self.nodes[index].is_asleep() && self.control.open_stream(index, revision) {
            self.nodes[index].is_stream_open = true;
            self.deliver_map_events();
        } else {
            self.queue.push(self.now + RECONNECT, Event::StreamWanted(index, life, revision));
        }
    }

    pub(super) fn map_arrived(&mut self, index: usize, life: u32, event: Box<MapEvent>) {
        let Some(Event::MapSent(_, _, event)) = self.hold(index, Event::MapSent(index, life, event)) else {
            return;
        };
        if self.nodes[index].life == life && self.nodes[index].is_stream_open {
            self.transcript.note(self.now, 5, &event.revision().to_be_bytes(), || {
                format!("n{index} learns revision {}", event.revision())
            });
            self.give(index, Input::Map(*event));
        }
    }

    /// The revision of the map that a node has.
    pub(super) fn revision_of(&self, index: usize) -> Option<u64> {
        self.nodes[index].saved_map.as_ref().map(|map| map.revision)
    }

    /// Sends what open streams have to be told.
    pub(super) fn deliver_map_events(&mut self) {
        for (index, event) in self.control.take_events() {
            let life = self.nodes[index].life;
            self.queue.push(self.now + HTTP_DELAY, Event::MapSent(index, life, Box::new(event)));
        }
    }

    pub(super) fn close_stream(&mut self, index: usize) {
        self.nodes[index].is_stream_open = false;
        self.control.close_stream(index);
    }
}
