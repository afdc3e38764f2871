//! Refuses a WebSocket frame by its head. The codec behind it waits for the whole frame before it looks at its length, so a
//! stranger could announce a terabyte and have us keep what comes of it.

use actix_web::dev::Payload as Body;
use actix_web::error::PayloadError;
use actix_web::web::Payload;
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use relay::server::FRAME_BYTES_MAX;

/// The longest head before the mask (RFC 6455 §5.2): two bytes, and eight of a long length.
const HEAD_MAX: usize = 10;

/// The bytes of a mask.
const MASK_LEN: u64 = 4;

/// Where in the stream of frames we are.
#[derive(Debug, Default)]
struct HeadCheck {
    head: [u8; HEAD_MAX],
    have: usize,
    /// Bytes of the present frame that are still to come.
    left: u64,
}

impl HeadCheck {
    /// Looks at the next bytes; false where a frame is too long to be taken.
    fn admits(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let skipped = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.head[self.have] = *first;
            self.have += 1;
            bytes = rest;
            if let Some(len) = self.length() {
                if len > FRAME_BYTES_MAX as u64 {
                    return false;
                }
                let is_masked = self.head[1] & 0x80 != 0;
                self.left = len + if is_masked { MASK_LEN } else { 0 };
                self.have = 0;
            }
        }
        true
    }

    /// The length that the head tells, once all of it is here.
    fn length(&self) -> Option<u64> {
        let head = &self.head[..self.have];
        match (head.get(1)? & 0x7f, head) {
            (126, [_, _, high, low, ..]) => Some(u64::from(u16::from_be_bytes([*high, *low]))),
            (127, [_, _, a, b, c, d, e, f, g, h]) => {
                Some(u64::from_be_bytes([*a, *b, *c, *d, *e, *f, *g, *h]))
            }
            (126 | 127, _) => None,
            (short, _) => Some(u64::from(short)),
        }
    }
}

/// The same body, which ends with [`PayloadError::Overflow`] at the head of a frame that is too long.
pub(super) async fn checked(request: &HttpRequest, body: Payload) -> Result<Payload, actix_web::Error> {
    let mut check = HeadCheck::default();
    let payload = Box::pin(body.into_inner().map(move |chunk| match chunk {
        Ok(bytes) if !check.admits(&bytes) => Err(PayloadError::Overflow),
        other => other,
    }));
    Payload::from_request(request, &mut Body::Stream { payload }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_any_allowed_length_pass_however_they_are_cut() {
        let mut stream = Vec::new();
        for len in [0_usize, 1, 125, 126, 127, 1400, 65_507] {
            match u8::try_from(len).ok().filter(|len| *len < 126) {
                Some(short) => stream.extend([0x82, 0x80 | short]),
                None if len == 1400 => {
                    stream.extend([0x82, 0xff]);
                    stream.extend((len as u64).to_be_bytes());
                }
                None => {
                    stream.extend([0x82, 0xfe]);
                    stream.extend(u16::try_from(len).unwrap().to_be_bytes());
                }
            }
            // What the mask and payload are is nobody's business here, even where they look like heads.
            stream.extend(std::iter::repeat_n(0xff, 4 + len));
        }
        for cut in [1, 2, 3, 7, 1000, stream.len()] {
            let mut check = HeadCheck::default();
            assert!(stream.chunks(cut).all(|chunk| check.admits(chunk)), "cut to {cut}");
            assert_eq!((check.have, check.left), (0, 0));
        }
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_at_its_head() {
        for len in [65_508_u64, 65_536, 1 << 40, u64::MAX] {
            let head = [&[0x82, 0xff][..], &len.to_be_bytes()].concat();
            assert!(!HeadCheck::default().admits(&head), "{len}");
        }
        assert!(!HeadCheck::default().admits(&[0x82, 0xfe, 0xff, 0xff]));
    }
}
