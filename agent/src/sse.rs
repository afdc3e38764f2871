//! Server-Sent Events, read from a byte stream that may be cut anywhere (WHATWG HTML, "Server-sent events", §9.2.6).

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SseEvent {
    /// The `event` field; `message` where there was none.
    pub(crate) name: String,
    /// The `data` lines, joined by line feeds.
    pub(crate) data: String,
    /// The last `id` field so far.
    pub(crate) id: Option<String>,
    /// The `signature` field, which is ours and no other's.
    pub(crate) signature: Option<String>,
}

/// A stream that is no sound event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SseError {
    /// A line or an event's data outgrew the bound.
    #[error("an event is larger than {0} bytes")]
    TooLarge(usize),
    /// A line is no UTF-8.
    #[error("an event is no UTF-8 text")]
    NotUtf8,
}

/// Turns chunks of bytes into events; holds at most `bytes_max` bytes of a line and as many of data.
#[derive(Debug)]
pub(crate) struct SseParser {
    bytes_max: usize,
    line: Vec<u8>,
    name: String,
    data: String,
    has_data: bool,
    id: Option<String>,
    signature: Option<String>,
    after_carriage_return: bool,
    at_start: bool,
}

impl SseParser {
    /// A parser at the beginning of a stream.
    pub(crate) const fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            line: Vec::new(),
            name: String::new(),
            data: String::new(),
            has_data: false,
            id: None,
            signature: None,
            after_carriage_return: false,
            at_start: true,
        }
    }

    /// Takes the next bytes and gives the events that they complete.
    ///
    /// # Errors
    /// Where the stream is not sound; it must not be used any further then.
    pub(crate) fn push(&mut self, mut chunk: &[u8]) -> Result<Vec<SseEvent>, SseError> {
        let mut events = Vec::new();
        if chunk.is_empty() {
            return Ok(events);
        }
        if std::mem::take(&mut self.after_carriage_return)
            && let Some((first, rest)) = chunk.split_first()
            && *first == b'\n'
        {
            chunk = rest;
        }
        while let Some(end) = chunk.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, rest) = chunk.split_at(end);
            self.extend(line)?;
            events.extend(self.end_line()?);
            chunk = match rest {
                [b'\r', b'\n', rest @ ..] | [_, rest @ ..] => rest,
                [] => rest,
            };
            self.after_carriage_return = chunk.is_empty() && rest == b"\r";
        }
        self.extend(chunk)?;
        Ok(events)
    }

    fn extend(&mut self, bytes: &[u8]) -> Result<(), SseError> {
        if self.line.len() + bytes.len() > self.bytes_max {
            return Err(SseError::TooLarge(self.bytes_max));
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn end_line(&mut self) -> Result<Option<SseEvent>, SseError> {
        let line = std::mem::take(&mut self.line);
        let mut line = std::str::from_utf8(&line).map_err(|_| SseError::NotUtf8)?;
        if std::mem::take(&mut self.at_start) {
            line = line.strip_prefix('\u{feff}').unwrap_or(line);
        }
        if line.is_empty() {
            return Ok(self.end_event());
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.add_data(value)?,
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "signature" => self.signature = Some(value.to_owned()),
            // Comments (an empty field name), `retry`, and what we do not know.
            _ => {}
        }
        Ok(None)
    }

    fn add_data(&mut self, value: &str) -> Result<(), SseError> {
        if self.data.len() + value.len() >= self.bytes_max {
            return Err(SseError::TooLarge(self.bytes_max));
        }
        if self.has_data {
            self.data.push('\n');
        }
        self.data.push_str(value);
        self.has_data = true;
        Ok(())
    }

    fn end_event(&mut self) -> Option<SseEvent> {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        let name = if name.is_empty() { "message".to_owned() } else { name };
        let (has_data, signature) = (std::mem::take(&mut self.has_data), self.signature.take());
        has_data.then(|| SseEvent { name, data, id: self.id.clone(), signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_whole(bytes: &[u8]) -> Vec<SseEvent> {
        SseParser::new(1000).push(bytes).unwrap()
    }

    const STREAM: &str = concat!(
        "\u{feff}: hello\nevent: snapshot\r\nid: 7\r\nsignature: key and sum\r\ndata: {\"ä\":1}\r\n\r\n",
        "data\ndata:x\rdata:  y\r\r",
        ":\n\nevent: e\n\nretry: 5\ndata:z\nid:8\n\nhalf",
    );

    fn expected() -> Vec<SseEvent> {
        let event = |name: &str, data: &str, id: &str| SseEvent {
            name: name.into(),
            data: data.into(),
            id: Some(id.into()),
            signature: None,
        };
        vec![
            SseEvent { signature: Some("key and sum".into()), ..event("snapshot", "{\"ä\":1}", "7") },
            event("message", "\nx\n y", "7"),
            event("message", "z", "8"),
        ]
    }

    #[test]
    fn all_line_ends_comments_and_fields_are_read() {
        assert_eq!(read_whole(STREAM.as_bytes()), expected());
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_events() {
        let bytes = STREAM.as_bytes();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut parser = SseParser::new(1000);
                let mut events = parser.push(&bytes[..first]).unwrap();
                events.extend(parser.push(&bytes[first..second]).unwrap());
                events.extend(parser.push(&bytes[second..]).unwrap());
                assert_eq!(events, expected(), "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn a_stream_byte_by_byte_gives_the_same_events() {
        let mut parser = SseParser::new(1000);
        let events: Vec<_> = STREAM.bytes().flat_map(|byte| parser.push(&[byte]).unwrap()).collect();
        assert_eq!(events, expected());
    }

    #[test]
    fn an_endless_line_and_endless_data_hit_the_bound() {
        let mut parser = SseParser::new(10);
        parser.push(b"data:12345").unwrap();
        assert_eq!(parser.push(b"6"), Err(SseError::TooLarge(10)));
        let mut parser = SseParser::new(10);
        let mut pushed = || parser.push(b"data:abc\n").map(drop);
        assert_eq!((pushed(), pushed()), (Ok(()), Ok(())));
        assert_eq!((pushed(), pushed()), (Err(SseError::TooLarge(10)), Err(SseError::TooLarge(10))));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        assert_eq!(SseParser::new(10).push(b"data:\xff\n"), Err(SseError::NotUtf8));
    }
}
