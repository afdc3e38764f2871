//! Whether an event of the map stream is the coordinator's, for this node, and the next in order.

use protocol::map_signature::{MapPlace, MapSignature, MapVerifyingKey};
use uuid::Uuid;

use crate::sse::SseEvent;

/// Why an event is not used; the last good map stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The coordinator signs, and this has no signature.
    #[error("no signature, although this node's coordinator signs; something between answers in its place")]
    Unsigned,
    /// It is signed by somebody else.
    #[error(
        "signed by the key {found} and not by {known}, which this node knows; where the coordinator was set up anew, leave \
         by `warren leave --force` and join again"
    )]
    OtherKey {
        /// The key that this node knows.
        known: MapVerifyingKey,
        /// The key that signed it.
        found: MapVerifyingKey,
    },
    /// Changed on the way, another node's, repeated, or one before it is missing.
    #[error("the signature is not good for this node and this place in the stream")]
    NotGood,
    /// The coordinator made it, but before the one that this node has.
    #[error(
        "revision {found} is older than {have}, which this node has; where the coordinator's database was put back, bring \
         that in by `warren-coordinator restore`"
    )]
    Older {
        /// The newest revision that this node had.
        have: u64,
        /// The revision of the event.
        found: u64,
    },
}

/// What a sound event shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// A coordinator that has never signed anything for this node did not sign this.
    Unsigned,
    /// It belongs here. The key is there where this node had none so far.
    Signed(MapPlace, Option<MapVerifyingKey>),
}

/// What a node knows about the events that it will believe.
#[derive(Debug, Clone)]
pub(crate) struct Verifier {
    node: Uuid,
    key: Option<MapVerifyingKey>,
    newest: Option<u64>,
}

impl Verifier {
    /// For the maps of `node` from revision `newest` on, signed by `key`; without one, by the first key that is seen.
    pub(crate) const fn new(node: Uuid, key: Option<MapVerifyingKey>, newest: Option<u64>) -> Self {
        Self { node, key, newest }
    }

    /// The newest revision that the node has.
    pub(crate) const fn newest(&self) -> Option<u64> {
        self.newest
    }

    /// Judges an event before it is read. `follows` is the revision that the stream stands at.
    ///
    /// # Errors
    /// Why it is not used.
    pub(crate) fn check(&self, event: &SseEvent, follows: Option<u64>) -> Result<Trust, Refusal> {
        let Some(signature) = &event.signature else {
            return if self.key.is_some() { Err(Refusal::Unsigned) } else { Ok(Trust::Unsigned) };
        };
        let signature: MapSignature = signature.parse().map_err(|_| Refusal::NotGood)?;
        let found = signature.key();
        if let Some(known) = self.key.filter(|known| *known != found) {
            return Err(Refusal::OtherKey { known, found });
        }
        let revision = event.id.as_ref().and_then(|id| id.parse().ok()).ok_or(Refusal::NotGood)?;
        let follows = match event.name.as_str() {
            "delta" => Some(follows.ok_or(Refusal::NotGood)?),
            _ => None,
        };
        let place = MapPlace { node: self.node, follows, revision };
        if !signature.is_of(&place, &event.data) {
            return Err(Refusal::NotGood);
        }
        if let Some(have) = self.newest.filter(|have| revision < *have) {
            return Err(Refusal::Older { have, found: revision });
        }
        Ok(Trust::Signed(place, self.key.is_none().then_some(found)))
    }

    /// Takes note of an event that was believed and could be read.
    pub(crate) fn note(&mut self, trust: Trust) {
        if let Trust::Signed(place, first_key) = trust {
            self.key = self.key.or(first_key);
            self.newest = self.newest.max(Some(place.revision));
        }
    }
}

#[cfg(test)]
mod tests {
    use protocol::map_signature::MapSigningKey;
    use zeroize::Zeroizing;

    use super::*;

    const NODE: Uuid = Uuid::from_u128(1);

    fn key(byte: u8) -> MapSigningKey {
        MapSigningKey::derive(&Zeroizing::new([byte; 32]))
    }

    fn verifier() -> Verifier {
        Verifier::new(NODE, Some(key(1).verifying_key()), Some(5))
    }

    fn event(key: &MapSigningKey, place: MapPlace) -> SseEvent {
        let name = if place.follows.is_some() { "delta" } else { "snapshot" };
        let data = format!("{{\"revision\":{}}}", place.revision);
        let signature = Some(key.sign(&place, &data).to_string());
        SseEvent { name: name.into(), data, id: Some(place.revision.to_string()), signature }
    }

    const fn delta(follows: u64, revision: u64) -> MapPlace {
        MapPlace { node: NODE, follows: Some(follows), revision }
    }

    const fn snapshot(revision: u64) -> MapPlace {
        MapPlace { node: NODE, follows: None, revision }
    }

    #[test]
    fn the_coordinators_next_event_is_believed() {
        for place in [delta(5, 6), snapshot(5), snapshot(9)] {
            let trust = verifier().check(&event(&key(1), place), Some(5));
            assert_eq!(trust, Ok(Trust::Signed(place, None)));
        }
    }

    #[test]
    fn an_event_with_any_byte_changed_is_refused() {
        let sound = event(&key(1), delta(5, 6));
        for index in 0..sound.data.len() {
            let mut data = sound.data.clone();
            data.replace_range(index..=index, "#");
            assert_eq!(verifier().check(&SseEvent { data, ..sound.clone() }, Some(5)), Err(Refusal::NotGood));
        }
        for changed in [
            SseEvent { name: "snapshot".into(), ..sound.clone() },
            SseEvent { id: Some("7".into()), ..sound.clone() },
            SseEvent { id: None, ..sound.clone() },
            SseEvent { signature: Some("x".into()), ..sound },
        ] {
            assert_eq!(verifier().check(&changed, Some(5)), Err(Refusal::NotGood), "{changed:?}");
        }
    }

    #[test]
    fn another_nodes_event_is_refused() {
        let other = MapPlace { node: Uuid::from_u128(2), ..delta(5, 6) };
        assert_eq!(verifier().check(&event(&key(1), other), Some(5)), Err(Refusal::NotGood));
    }

    #[test]
    fn a_delta_that_is_repeated_or_leaves_one_out_is_refused() {
        let mut verifier = verifier();
        let first = event(&key(1), delta(5, 6));
        let trust = verifier.check(&first, Some(5)).unwrap();
        verifier.note(trust);
        assert_eq!(verifier.check(&first, Some(6)), Err(Refusal::NotGood));
        assert_eq!(verifier.check(&event(&key(1), delta(7, 8)), Some(6)), Err(Refusal::NotGood));
        assert_eq!(verifier.check(&event(&key(1), delta(6, 7)), None), Err(Refusal::NotGood));
    }

    #[test]
    fn another_key_and_no_signature_at_all_are_refused() {
        let (known, found) = (key(1).verifying_key(), key(2).verifying_key());
        let other = event(&key(2), snapshot(9));
        assert_eq!(verifier().check(&other, Some(5)), Err(Refusal::OtherKey { known, found }));
        let unsigned = SseEvent { signature: None, ..other };
        assert_eq!(verifier().check(&unsigned, Some(5)), Err(Refusal::Unsigned));
    }

    #[test]
    fn an_older_snapshot_is_refused_and_one_of_a_later_start_is_not() {
        const START: u64 = 1 << 32;
        let verifier = Verifier::new(NODE, Some(key(1).verifying_key()), Some(2 * START + 7));
        let check = |revision| verifier.check(&event(&key(1), snapshot(revision)), None);
        assert_eq!(check(2 * START + 6), Err(Refusal::Older { have: 2 * START + 7, found: 2 * START + 6 }));
        assert!(check(3 * START).is_ok());
    }

    #[test]
    fn a_node_without_a_key_takes_the_first_and_holds_to_it() {
        let mut verifier = Verifier::new(NODE, None, None);
        let unsigned = SseEvent { signature: None, ..event(&key(1), snapshot(1)) };
        assert_eq!(verifier.check(&unsigned, None), Ok(Trust::Unsigned));
        let trust = verifier.check(&event(&key(1), snapshot(2)), None).unwrap();
        assert_eq!(trust, Trust::Signed(snapshot(2), Some(key(1).verifying_key())));
        verifier.note(trust);
        assert_eq!(verifier.check(&unsigned, Some(2)), Err(Refusal::Unsigned));
        assert!(matches!(
            verifier.check(&event(&key(2), snapshot(3)), Some(2)),
            Err(Refusal::OtherKey { .. })
        ));
    }
}
