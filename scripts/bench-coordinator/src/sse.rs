//! As much of Server-Sent Events as it takes to know what has arrived, at a cost of a few bytes per stream: ten thousand
//! of them are read by one thread.

/// What has arrived whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arrived {
    /// The event's id.
    pub(crate) revision: u64,
    /// Whether it is a whole map.
    pub(crate) is_snapshot: bool,
}

/// The reader of one stream. Chunk sizes of HTTP stand between events on lines of their own; none looks like a field.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// How the line begins; all of it where data is kept.
    head: Vec<u8>,
    line_len: usize,
    revision: Option<u64>,
    is_snapshot: bool,
    has_data: bool,
    /// The last event's line of data, where it is wanted.
    pub(crate) kept: Option<Vec<u8>>,
}

/// Longer than any field but data.
const HEAD_BYTES: usize = 40;

impl Reader {
    /// Takes the next bytes and tells each event that they complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut tell: impl FnMut(Arrived)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            self.extend(line);
            self.end_line(&mut tell);
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.extend(bytes);
    }

    fn extend(&mut self, part: &[u8]) {
        let wanted = if self.kept.is_some() { usize::MAX } else { HEAD_BYTES };
        let room = wanted.saturating_sub(self.head.len());
        self.head.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        self.line_len += part.len();
    }

    fn end_line(&mut self, tell: &mut impl FnMut(Arrived)) {
        if self.line_len == 0 {
            if let Some(revision) = self.revision.take().filter(|_| self.has_data) {
                tell(Arrived { revision, is_snapshot: self.is_snapshot });
            }
            (self.has_data, self.is_snapshot) = (false, false);
        } else if self.head.starts_with(b"data: ") {
            self.has_data = true;
            if let Some(kept) = &mut self.kept {
                kept.clone_from(&self.head);
            }
        } else if let Some(id) = self.head.strip_prefix(b"id: ") {
            self.revision = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
        } else if self.head.starts_with(b"event: snapshot") {
            self.is_snapshot = true;
        }
        self.head.clear();
        self.line_len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_cut_anywhere_arrive_once_and_whole() {
        let stream = b"7b\r\nevent: snapshot\nid: 7\ndata: {\"a\":1}\n\n\r\n2\r\n: keep-alive\n\n\r\nevent: delta\nid: 9\ndata: {}\n\n";
        for cut in 0..stream.len() {
            let (mut reader, mut arrived) = (Reader::default(), Vec::new());
            reader.kept = Some(Vec::new());
            for part in [&stream[..cut], &stream[cut..]] {
                reader.push(part, |event| arrived.push((event.revision, event.is_snapshot)));
            }
            assert_eq!(arrived, [(7, true), (9, false)], "cut at {cut}");
            assert_eq!(reader.kept.as_deref(), Some(&b"data: {}"[..]), "cut at {cut}");
        }
    }
}
