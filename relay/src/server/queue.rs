//! What waits for one connection to take it: bounded, in order.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Bytes that wait: 200 ms at 10 Mbit/s. More would only make the tunnel's packets old; what does not fit is lost, as in
/// any router.
const BYTES_MAX: usize = 256 << 10;

/// What a frame counts beside its bytes, so that small ones are bounded too.
const FRAME_COST: usize = 64;

/// Frames for one connection.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    changed: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Vec<u8>>,
    bytes: usize,
    is_closed: bool,
}

impl Queue {
    /// Adds a frame if there is room; says whether there was.
    pub(super) fn push(&self, frame: &[u8]) -> bool {
        let cost = frame.len() + FRAME_COST;
        let mut waiting = self.waiting();
        let has_room = !waiting.is_closed && waiting.bytes + cost <= BYTES_MAX;
        if has_room {
            waiting.bytes += cost;
            waiting.frames.push_back(frame.to_vec());
            drop(waiting);
            self.changed.notify_one();
        }
        has_room
    }

    /// Waits for the next frame; `None` once it is closed. One waits at a time.
    pub(super) async fn next(&self) -> Option<Vec<u8>> {
        loop {
            {
                let mut waiting = self.waiting();
                if waiting.is_closed {
                    return None;
                }
                if let Some(frame) = waiting.frames.pop_front() {
                    waiting.bytes -= frame.len() + FRAME_COST;
                    return Some(frame);
                }
            }
            // A push between the look and this leaves a permit, so nothing is missed.
            self.changed.notified().await;
        }
    }

    /// Ends it.
    pub(super) fn close(&self) {
        self.waiting().is_closed = true;
        self.changed.notify_one();
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reader_that_does_not_read_costs_a_bounded_queue_and_loses_the_newest() {
        let queue = Queue::default();
        let pushed =
            (0..10_000_u32).filter(|number| queue.push(&[&number.to_be_bytes()[..], &[0; 1400]].concat()));
        let kept = pushed.count();
        assert!((100..200).contains(&kept), "{kept}");
        for number in 0..u32::try_from(kept).unwrap() {
            assert_eq!(queue.next().await.unwrap()[..4], number.to_be_bytes());
        }
        assert!(queue.push(b"again"));
        assert!((0..100_000).filter(|_| queue.push(b"")).count() < 5_000);
    }

    #[tokio::test]
    async fn a_closed_queue_ends_its_reader_and_takes_nothing() {
        let queue = Queue::default();
        let (end, ()) = tokio::join!(queue.next(), async { queue.close() });
        assert!(end.is_none() && !queue.push(b"late"));
    }
}
