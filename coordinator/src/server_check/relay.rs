//! Whether a relay lets nodes of this coordinator in: it is asked for a session as a node would ask, which proves its key, ours and its
//! clock. The one session that this takes belongs to a node and a network that do not exist.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::key::{PrivateKey, PublicKey};
use protocol::relay::{COOKIE_LEN, Frame, RefusalReason, RelayKey, decode};
use protocol::relay_token::{RelayToken, TOKEN_LEN, TokenSigningKey};
use uuid::Uuid;

use super::Question;
use crate::Entropy;
use crate::http::now_ms;
use crate::service::RELAY_TOKEN_LIFETIME_S;
use crate::service::resources::servers::CheckResult;

/// Asks for a challenge.
const NO_COOKIE: [u8; COOKIE_LEN] = [0; COOKIE_LEN];

/// How long the session may live that a question takes: a coordinator that ends when nobody is there must not be kept by its own
/// question to its own relay.
const SESSION_S: u32 = 60;

/// A node that does not exist. Its key is the same for one process, so a relay holds one session for it, whatever is asked.
pub(super) struct RelayCaller {
    private_key: PrivateKey,
    signing_key: TokenSigningKey,
}

impl RelayCaller {
    pub(super) fn new(entropy: &Entropy, signing_key: TokenSigningKey) -> Self {
        Self { private_key: PrivateKey::from_random(*entropy.secret()), signing_key }
    }

    pub(super) async fn ask(
        &self,
        entropy: &Entropy,
        address: SocketAddr,
        relay: &PublicKey,
    ) -> std::io::Result<(CheckResult, Option<Duration>)> {
        // Keys of low order are not registered.
        let Some(key) = RelayKey::of_node(&self.private_key, relay) else {
            return Ok((CheckResult::OtherKey, None));
        };
        let question = Question::open(address).await?;
        let mut nonce = [0; 8];
        nonce.copy_from_slice(&entropy.secret()[..8]);
        let challenge = |answer: &[u8]| match decode(answer) {
            Ok(Frame::Challenge(cookie)) => Some(Some(cookie)),
            Ok(Frame::VersionUnsupported) => Some(None),
            Ok(_) | Err(_) => None,
        };
        let request = key.encode_register(NO_COOKIE, nonce, &self.token(SESSION_S));
        let Some((cookie, rtt)) = question.ask(&request, challenge).await? else {
            return Ok((CheckResult::Silent, None));
        };
        let Some(cookie) = cookie else { return Ok((CheckResult::OtherVersion, rtt)) };
        let mut result = CheckResult::Silent;
        for lifetime_s in [SESSION_S, RELAY_TOKEN_LIFETIME_S] {
            let request = key.encode_register(cookie, nonce, &self.token(lifetime_s));
            let answered = question.ask(&request, |answer| outcome(&key, nonce, answer)).await?;
            result = answered.map_or(CheckResult::Silent, |(result, _)| result);
            // A clock that is ahead by minutes harms no node: theirs live for an hour.
            if result != CheckResult::TokenExpired {
                break;
            }
        }
        Ok((result, rtt))
    }

    /// A token of this lifetime: the session that it gets ends with it.
    fn token(&self, lifetime_s: u32) -> [u8; TOKEN_LEN] {
        let now_s = u64::try_from(now_ms() / 1000).unwrap_or(0);
        let expires_unix_s = now_s + u64::from(lifetime_s);
        let node = self.private_key.public_key();
        RelayToken { node, network: Uuid::nil(), expires_unix_s }.sign(&self.signing_key)
    }
}

/// What a relay answered to a registration with this nonce; `None` for what is no answer to it.
fn outcome(key: &RelayKey, nonce: [u8; 8], answer: &[u8]) -> Option<CheckResult> {
    match decode(answer) {
        Ok(Frame::Registered(registered)) if registered.nonce == nonce => {
            Some(if key.verify_registered(&registered) { CheckResult::Serves } else { CheckResult::OtherKey })
        }
        Ok(Frame::Refused { nonce: of, reason }) if of == nonce => Some(refused(reason)),
        Ok(_) | Err(_) => None,
    }
}

const fn refused(reason: RefusalReason) -> CheckResult {
    match reason {
        RefusalReason::TokenExpired => CheckResult::TokenExpired,
        RefusalReason::TokenInvalid => CheckResult::TokenRefused,
        // We hold the key that the token names: the relay reads our proof with another key of its own.
        RefusalReason::ProofInvalid => CheckResult::OtherKey,
        RefusalReason::Full => CheckResult::Full,
    }
}

#[cfg(test)]
mod tests {
    use protocol::relay_token::TokenError;
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn the_session_that_a_question_gets_ends_within_a_minute_and_a_half() {
        let signing_key = TokenSigningKey::from_random(&Zeroizing::new([5; 32]));
        let verifying_key = signing_key.verifying_key();
        let caller = RelayCaller::new(&Entropy::seeded(1), signing_key);
        let now_s = u64::try_from(now_ms() / 1000).unwrap();
        let token = caller.token(SESSION_S);
        assert_eq!(RelayToken::verify(&token, &verifying_key, now_s + 90), Err(TokenError::Expired));
        let token = RelayToken::verify(&token, &verifying_key, now_s).unwrap();
        assert_eq!(token.network, Uuid::nil(), "no node is there to send to");
    }
}
