//! Device authorization (RFC 8628): machines without an enrollment key that wait for a person to let them in. In memory alone: a
//! machine that waits while the coordinator starts anew is told to ask again.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use protocol::api::{DeviceAuthorizationRequest, EnrollmentKey, OS_MAX};
use relay::limit::limit_key;

use super::DeviceCode;
use super::resources::ResourceError;
use crate::Entropy;
use crate::store::SecretHash;

/// Milliseconds for which a request waits: time to find a browser and to sign in.
pub const LIFETIME_MS: i64 = 10 * 60 * 1000;

/// Milliseconds for which an approval's enrollment key works; the machine asks for it every few seconds.
pub const KEY_LIFETIME_MS: i64 = 5 * 60 * 1000;

/// Seconds between two questions of a machine (RFC 8628 §3.2 has it as the default).
pub const INTERVAL_S: u32 = 5;

/// What a machine that asks too often has to add to its interval (RFC 8628 §3.5), and the longest that becomes of it.
const SLOW_DOWN_S: u32 = 5;
const INTERVAL_MAX_S: u32 = 60;

/// How much earlier than its interval a question may arrive: two requests do not take equally long on their way.
const EARLY_MAX_MS: i64 = 1000;

/// The most requests that wait, some 500 bytes each.
const WAITING_MAX: usize = 1000;

/// The most that are kept, with those that are decided: each of the latter took a person's decision within the last minutes.
const KEPT_MAX: usize = 2 * WAITING_MAX;

/// The most that wait from one IPv4 address or one IPv6 /64: a rack, set up by one person.
const PER_ADDRESS_MAX: usize = 20;

/// The most that wait from one IPv6 /48, which is what a site may get (RFC 6177 §2): it has 65,536 networks of its own, and some
/// seventeen such sites would be needed to keep all others out.
const PER_SITE_MAX: usize = 60;

/// The longest that somebody is told to wait for room, in seconds: a decision makes some earlier than the end of a request does.
const RETRY_MAX_S: u32 = 60;

/// Letters of a user code: without vowels, so that no word comes of it, and without what looks like a digit (RFC 8628 §6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

/// How many there are in a code: 34.5 bits. Only people who are signed in may try any, ten a second and address.
const CODE_LENGTH: usize = 8;

/// What a person compares or types.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct UserCode([u8; CODE_LENGTH]);

/// A text that is no user code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a code has {CODE_LENGTH} letters, such as WDJB-MJHT")]
pub struct InvalidUserCode;

/// Why a machine gets no enrollment key (yet).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Too many machines wait; so many seconds later there may be room.
    #[error("too many machines wait to be let in; try again in {0} s")]
    TooMany(u32),
    /// A field is wrong.
    #[error("os: at most {OS_MAX} characters, no control characters")]
    InvalidOs,
    /// Nobody has decided yet.
    #[error("nobody has let this machine in yet")]
    Pending,
    /// The same, and it asks too often.
    #[error("this machine asks too often; once in {0} s is enough")]
    SlowDown(u32),
    /// Somebody refused.
    #[error("somebody refused to let this machine in")]
    Refused,
    /// Unknown, or its time is over.
    #[error(
        "this request to join is not known (any more); it waits for 10 minutes and ends when the coordinator starts anew"
    )]
    Expired,
}

/// How it stands with a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nobody has decided.
    Waiting,
    /// Somebody is deciding at this moment.
    UnderWay,
    /// A person let the machine in.
    Approved(EnrollmentKey),
    /// A person refused.
    Refused,
}

/// A machine that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it said of itself.
    pub request: DeviceAuthorizationRequest,
    /// The address that its request came from.
    pub address: Option<IpAddr>,
    /// Since when, Unix milliseconds.
    pub created_at_ms: i64,
    /// Until when, Unix milliseconds.
    pub expires_at_ms: i64,
    /// How it stands.
    pub decision: Decision,
    device: SecretHash,
    interval_s: u32,
    asked_at_ms: Option<i64>,
}

/// All machines that wait.
#[derive(Debug, Default)]
pub struct DeviceAuthorizations(BTreeMap<UserCode, Waiting>);

impl UserCode {
    /// A code of random letters, each equally likely.
    fn from_random(entropy: &Entropy) -> Self {
        let mut code = [0; CODE_LENGTH];
        let mut filled = 0;
        // The highest multiple of 20 in a byte: what is above would make some letters likelier.
        let fair = u8::MAX - u8::MAX % 20;
        while filled < CODE_LENGTH {
            for byte in entropy.secret().iter().filter(|byte| **byte < fair) {
                if let Some(place) = code.get_mut(filled) {
                    *place = LETTERS[usize::from(byte % 20)];
                    filled += 1;
                }
            }
        }
        Self(code)
    }
}

impl FromStr for UserCode {
    type Err = InvalidUserCode;

    /// As people type it: in any case, with any signs between the letters (RFC 8628 §6.1).
    fn from_str(text: &str) -> Result<Self, InvalidUserCode> {
        if text.len() > 64 {
            return Err(InvalidUserCode);
        }
        let signs = |character: &char| !(character.is_ascii_punctuation() || character.is_whitespace());
        let letters: Vec<u8> = text
            .chars()
            .filter(signs)
            .map(|letter| {
                u8::try_from(letter.to_ascii_uppercase()).ok().filter(|byte| LETTERS.contains(byte))
            })
            .collect::<Option<_>>()
            .ok_or(InvalidUserCode)?;
        letters.try_into().map(Self).map_err(|_| InvalidUserCode)
    }
}

impl fmt::Display for UserCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, letter) in self.0.iter().enumerate() {
            let gap = if place == CODE_LENGTH / 2 { "-" } else { "" };
            write!(f, "{gap}{}", char::from(*letter))?;
        }
        Ok(())
    }
}

impl Waiting {
    /// Whether nobody has decided.
    const fn is_open(&self) -> bool {
        matches!(self.decision, Decision::Waiting | Decision::UnderWay)
    }
}

/// The /48 of an IPv6 address; loopback is no site, and neither is IPv4.
fn site(address: IpAddr) -> Option<u128> {
    match address.to_canonical() {
        IpAddr::V6(ip) if !ip.is_loopback() => Some(ip.to_bits() >> 80),
        IpAddr::V6(_) | IpAddr::V4(_) => None,
    }
}

impl DeviceAuthorizations {
    /// A machine begins to wait.
    ///
    /// # Errors
    /// Too many wait, here or behind its address, or a field is wrong.
    pub fn begin(
        &mut self,
        entropy: &Entropy,
        now_ms: i64,
        request: DeviceAuthorizationRequest,
        address: Option<IpAddr>,
    ) -> Result<(DeviceCode, UserCode), DeviceError> {
        if request
            .os
            .as_ref()
            .is_some_and(|os| os.chars().count() > OS_MAX || os.chars().any(char::is_control))
        {
            return Err(DeviceError::InvalidOs);
        }
        self.forget_expired(now_ms);
        self.check_room(now_ms, address)?;
        let device = DeviceCode::from_random(entropy.secret());
        let mut code = UserCode::from_random(entropy);
        while self.0.contains_key(&code) {
            code = UserCode::from_random(entropy);
        }
        let waiting = Waiting {
            request,
            address,
            created_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(LIFETIME_MS),
            decision: Decision::Waiting,
            device: device.hash(),
            interval_s: INTERVAL_S,
            asked_at_ms: None,
        };
        self.0.insert(code, waiting);
        Ok((device, code))
    }

    /// Whether one more may wait from this address.
    fn check_room(&self, now_ms: i64, address: Option<IpAddr>) -> Result<(), DeviceError> {
        let (network, site) = (address.map(limit_key), address.and_then(site));
        let is_near = |known: &Waiting| known.address.map(limit_key) == network;
        let is_of_site = |known: &Waiting| site.is_some() && known.address.and_then(self::site) == site;
        self.check_count(now_ms, KEPT_MAX, |_| true)?;
        self.check_count(now_ms, WAITING_MAX, Waiting::is_open)?;
        self.check_count(now_ms, PER_ADDRESS_MAX, |known| known.is_open() && is_near(known))?;
        self.check_count(now_ms, PER_SITE_MAX, |known| known.is_open() && is_of_site(known))
    }

    fn check_count(
        &self,
        now_ms: i64,
        most: usize,
        counts: impl Fn(&Waiting) -> bool,
    ) -> Result<(), DeviceError> {
        let ends: Vec<i64> =
            self.0.values().filter(|known| counts(known)).map(|known| known.expires_at_ms).collect();
        if ends.len() < most {
            return Ok(());
        }
        let wait_ms = ends.into_iter().min().unwrap_or_default().saturating_sub(now_ms);
        let wait_s = u32::try_from(wait_ms / 1000).unwrap_or_default().saturating_add(1);
        Err(DeviceError::TooMany(wait_s.min(RETRY_MAX_S)))
    }

    /// A machine asks how it was decided. A repeated question gets the same key: the first answer may have been lost.
    ///
    /// # Errors
    /// No decision, or another one.
    pub fn ask(&mut self, now_ms: i64, device: &DeviceCode) -> Result<EnrollmentKey, DeviceError> {
        self.forget_expired(now_ms);
        let hash = device.hash();
        let waiting = self.0.values_mut().find(|known| known.device == hash).ok_or(DeviceError::Expired)?;
        let since = waiting.asked_at_ms.replace(now_ms).map(|asked| now_ms.saturating_sub(asked));
        match &waiting.decision {
            Decision::Approved(key) => Ok(key.clone()),
            Decision::Refused => Err(DeviceError::Refused),
            Decision::Waiting | Decision::UnderWay => {
                let soonest_ms = i64::from(waiting.interval_s) * 1000 - EARLY_MAX_MS;
                if since.is_some_and(|since| since < soonest_ms) {
                    waiting.interval_s = (waiting.interval_s + SLOW_DOWN_S).min(INTERVAL_MAX_S);
                    return Err(DeviceError::SlowDown(waiting.interval_s));
                }
                Err(DeviceError::Pending)
            }
        }
    }

    /// The machine with this code.
    ///
    /// # Errors
    /// None waits, or not any more.
    pub fn look(&mut self, now_ms: i64, code: UserCode) -> Result<&Waiting, ResourceError> {
        self.forget_expired(now_ms);
        self.0.get(&code).ok_or(ResourceError::NotFound("request to join"))
    }

    /// Takes the decision up: until [`DeviceAuthorizations::decide`] nobody else can.
    ///
    /// # Errors
    /// None waits, or it is decided already.
    pub fn take_up(&mut self, now_ms: i64, code: UserCode) -> Result<Waiting, ResourceError> {
        self.look(now_ms, code)?;
        let waiting = self.0.get_mut(&code).ok_or(ResourceError::NotFound("request to join"))?;
        if waiting.decision != Decision::Waiting {
            return Err(ResourceError::Conflict("somebody has decided about this machine already".into()));
        }
        waiting.decision = Decision::UnderWay;
        Ok(waiting.clone())
    }

    /// Keeps a decision for the machine to ask for.
    pub fn decide(&mut self, now_ms: i64, code: UserCode, decision: Decision) {
        if let Some(waiting) = self.0.get_mut(&code) {
            if decision != Decision::Waiting {
                waiting.expires_at_ms = now_ms.saturating_add(KEY_LIFETIME_MS);
            }
            waiting.decision = decision;
        }
    }

    fn forget_expired(&mut self, now_ms: i64) {
        // A decision that is being written is not forgotten: somebody reads "done" in a moment.
        self.0.retain(|_, waiting| waiting.expires_at_ms > now_ms || waiting.decision == Decision::UnderWay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_code_is_read_as_people_type_it() {
        let code: UserCode = "WDJB-MJHT".parse().unwrap();
        for text in ["wdjbmjht", " WDJB MJHT ", "wdjb_mj-ht."] {
            assert_eq!(text.parse(), Ok(code), "{text}");
        }
        assert_eq!(code.to_string(), "WDJB-MJHT");
        for bad in ["", "WDJB", "WDJB-MJHTT", "WDJA-MJHT", "WDJ0-MJHT", "ẞDJB-MJHT", &"-".repeat(65)] {
            assert_eq!(bad.parse::<UserCode>(), Err(InvalidUserCode), "{bad}");
        }
    }

    #[test]
    fn every_letter_is_drawn() {
        let entropy = Entropy::seeded(1);
        let drawn: std::collections::BTreeSet<u8> =
            (0..100).flat_map(|_| UserCode::from_random(&entropy).0).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), LETTERS);
    }
}
