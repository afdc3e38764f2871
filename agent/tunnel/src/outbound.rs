//! Sealed datagrams on their way out: gathered while they are of one length and for one peer, sent in one call.

use std::io;
use std::sync::Arc;

use crate::counters::Counters;
use crate::noise::own_index;
use crate::path::{Carried, PathSlot};

/// Datagrams per call: the kernel's limit before Linux 6.9 (`UDP_MAX_SEGMENTS`).
const SEGMENTS_MAX: usize = 64;

/// Bytes per call: an IPv4 packet's limit less the IPv4 and UDP headers, because the kernel builds one before it
/// cuts it up.
const RUN_LEN_MAX: usize = 65_507;

/// A run of datagrams for one peer. Whoever pushes must [`Outbound::flush`] before it waits for anything.
#[derive(Default)]
pub(crate) struct Outbound {
    run: Option<Run>,
    bytes: Vec<u8>,
}

struct Run {
    slot: Arc<PathSlot>,
    carried: Carried,
    segment_len: usize,
    segments: usize,
    /// A shorter datagram ended the run: nothing may follow it.
    closed: bool,
}

impl Run {
    fn takes(&self, slot: &Arc<PathSlot>, len: usize, run_len: usize) -> bool {
        Arc::ptr_eq(&self.slot, slot)
            && slot.is(&self.carried)
            && !self.closed
            && len <= self.segment_len
            && self.segments < SEGMENTS_MAX
            && run_len + len <= RUN_LEN_MAX
            && self.slot.may_segment()
    }
}

impl Outbound {
    /// Adds `datagram` for the peer of `slot`, sending what was gathered where it does not fit.
    pub(crate) fn push(&mut self, counters: &Counters, slot: &Arc<PathSlot>, datagram: &[u8]) {
        let prefix_len = self.run.as_ref().map_or(0, |run| run.carried.path.prefix().len());
        let len = prefix_len + datagram.len();
        if !self.run.as_ref().is_some_and(|run| run.takes(slot, len, self.bytes.len())) {
            self.flush(counters);
            let Some(carried) = slot.carried() else {
                if own_index(datagram).is_some() {
                    slot.hold(datagram);
                }
                counters.no_path.add(1);
                return;
            };
            let segment_len = carried.path.prefix().len() + datagram.len();
            self.run = Some(Run { slot: Arc::clone(slot), carried, segment_len, segments: 0, closed: false });
        }
        if let Some(run) = &mut self.run {
            let before = self.bytes.len();
            self.bytes.extend_from_slice(run.carried.path.prefix());
            self.bytes.extend_from_slice(datagram);
            run.closed = self.bytes.len() - before < run.segment_len;
            run.segments += 1;
        }
    }

    /// Sends what was gathered.
    pub(crate) fn flush(&mut self, counters: &Counters) {
        if let Some(run) = self.run.take() {
            send_run(counters, &run, &self.bytes);
            self.bytes.clear();
        }
    }
}

fn send_run(counters: &Counters, run: &Run, bytes: &[u8]) {
    let Carried { path, port } = &run.carried;
    let to = path.address();
    if let (true, Ok(segment_len)) = (run.slot.may_segment(), u16::try_from(run.segment_len)) {
        match port.send_segments(bytes, segment_len, to) {
            Ok(()) => return,
            Err(error) if run.segments > 1 && is_segmentation_refusal(&error) => {
                tracing::debug!(%to, %error, "no segmentation offload on this path: sending datagrams singly");
                run.slot.refuse_segmentation();
            }
            Err(error) => {
                tracing::debug!(%to, %error, "datagrams not sent");
                counters.send_failed.add(run.segments);
                return;
            }
        }
    }
    for datagram in bytes.chunks(run.segment_len) {
        let segment_len = u16::try_from(datagram.len()).unwrap_or(u16::MAX);
        if let Err(error) = port.send_segments(datagram, segment_len, to) {
            tracing::debug!(%to, %error, "datagram not sent");
            counters.send_failed.add(1);
        }
    }
}

/// EIO: the device computes no checksums. EINVAL, EMSGSIZE: a segment is longer than the path MTU.
fn is_segmentation_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL | libc::EMSGSIZE))
}
