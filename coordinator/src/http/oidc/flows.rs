//! Sign-ins that are under way: what the coordinator remembers between sending a browser to the provider and its return.

use std::collections::BTreeMap;

use crate::service::identities::Purpose;
use crate::store::SecretHash;

/// Milliseconds that a person may take at the provider.
pub(super) const LIFETIME_MS: i64 = 10 * 60 * 1000;

/// The most that are kept, some 500 bytes each. One more pushes the oldest out: who has just begun shall come in.
const FLOWS_MAX: usize = 4096;

/// One sign-in that is under way.
pub(super) struct Flow {
    /// Of the cookie that binds it to the browser.
    pub(super) browser: SecretHash,
    /// What the ID token must repeat.
    pub(super) nonce: String,
    /// What only we know of the code challenge (RFC 7636).
    pub(super) verifier: String,
    /// What it is for.
    pub(super) purpose: Purpose,
    /// Where the browser goes afterwards: a path of ours.
    pub(super) back: String,
    /// Since when, Unix milliseconds.
    pub(super) begun_at_ms: i64,
}

/// All of them, by their state.
#[derive(Default)]
pub(super) struct Flows(BTreeMap<SecretHash, Flow>);

impl Flows {
    /// Keeps one.
    pub(super) fn put(&mut self, now_ms: i64, state: SecretHash, flow: Flow) {
        self.0.retain(|_, known| now_ms.saturating_sub(known.begun_at_ms) < LIFETIME_MS);
        if self.0.len() >= FLOWS_MAX {
            let oldest = self.0.iter().min_by_key(|(_, known)| known.begun_at_ms).map(|(state, _)| *state);
            oldest.and_then(|state| self.0.remove(&state));
        }
        self.0.insert(state, flow);
    }

    /// Takes one out: a state works once, in the browser that began, and for some minutes.
    pub(super) fn take(&mut self, now_ms: i64, state: SecretHash, browser: SecretHash) -> Option<Flow> {
        if self.0.get(&state)?.browser != browser {
            return None;
        }
        let flow = self.0.remove(&state)?;
        (now_ms.saturating_sub(flow.begun_at_ms) < LIFETIME_MS).then_some(flow)
    }
}

/// A path of ours to go back to; anything else is the start page.
pub(super) fn local_path(text: &str) -> &str {
    let local = text.starts_with('/') && !text.starts_with("//") && text.len() <= 512;
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if local && plain { text } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(browser: u8, begun_at_ms: i64) -> Flow {
        Flow {
            browser: SecretHash::of(&[browser; 32]),
            nonce: "n".into(),
            verifier: "v".into(),
            purpose: Purpose::SignIn,
            back: "/".into(),
            begun_at_ms,
        }
    }

    fn state(number: u32) -> SecretHash {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        SecretHash::of(&bytes)
    }

    #[test]
    fn a_state_works_once_in_its_browser_and_in_time() {
        let (own, other) = (SecretHash::of(&[1; 32]), SecretHash::of(&[2; 32]));
        let mut flows = Flows::default();
        flows.put(0, state(1), flow(1, 0));
        assert!(flows.take(0, state(1), other).is_none(), "another browser's, which takes nothing away");
        assert!(flows.take(0, state(2), own).is_none());
        assert!(flows.take(0, state(1), own).is_some());
        assert!(flows.take(0, state(1), own).is_none());
        flows.put(0, state(1), flow(1, 0));
        assert!(flows.take(LIFETIME_MS, state(1), own).is_none());
    }

    #[test]
    fn more_than_are_kept_push_the_oldest_out() {
        let mut flows = Flows::default();
        for number in 0..5000 {
            flows.put(i64::from(number), state(number), flow(1, i64::from(number)));
        }
        assert_eq!(flows.0.len(), FLOWS_MAX);
        assert!(flows.take(5000, state(0), SecretHash::of(&[1; 32])).is_none());
        assert!(flows.take(5000, state(4999), SecretHash::of(&[1; 32])).is_some());
    }

    #[test]
    fn nobody_is_sent_to_another_site() {
        for (text, path) in [
            ("/join/WDJB-MJHT", "/join/WDJB-MJHT"),
            ("/?filter=a", "/?filter=a"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nSet-Cookie: x", "/"),
            ("", "/"),
        ] {
            assert_eq!(local_path(text), path, "{text}");
        }
    }
}
