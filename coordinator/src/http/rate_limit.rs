//! How often one address may ask for what costs us something before we know who it is.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, DefaultKeyedRateLimiter, Quota, RateLimiter};
use relay::limit::limit_key;
use sha2::{Digest, Sha256};

use super::problem::ApiError;

/// Which budget a route draws from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// None: the caller is known, or it costs nothing.
    Unlimited,
    /// Enrollments: 300 at once (a rack behind one address), then 10 a second.
    Enroll,
    /// Sign-ins: 30 at once, then one a second. The secrets have 256 bits; this saves work, not the secret.
    SignIn,
    /// New connections to the relay: 300 at once (a site behind one address, back from an outage), then 10 a second.
    Relay,
}

/// The budgets.
#[derive(Debug)]
pub(super) struct RateLimits {
    enroll: Budget,
    sign_in: Budget,
    relay: Budget,
    /// Passwords tried for one name from one address: 10 at once, then one each 6 s; and from all addresses ten times as many, so
    /// that nobody locks another one out with a few requests.
    accounts: DefaultKeyedRateLimiter<[u8; 32]>,
    accounts_everywhere: DefaultKeyedRateLimiter<[u8; 32]>,
}

/// A budget per address, and one over all addresses. An address is remembered until its budget is full again (30 s);
/// while [`ADDRESSES_MAX`] are remembered, further requests draw from the one over all only.
#[derive(Debug)]
struct Budget {
    per_address: DefaultKeyedRateLimiter<IpAddr>,
    all: DefaultDirectRateLimiter,
    checks: AtomicU32,
    refused: AtomicU64,
}

/// Addresses that are remembered at once: some 10 MiB. Each stands for a finished TCP handshake of the last 30 s.
const ADDRESSES_MAX: usize = 65_536;

/// Checks between two sweeps of addresses whose budget is full again.
const SWEEP_EVERY: u32 = 1024;

impl RateLimits {
    pub(super) fn new() -> Self {
        Self {
            enroll: Budget::new(300, 10, 1000),
            sign_in: Budget::new(30, 1, 100),
            relay: Budget::new(300, 10, 1000),
            accounts: RateLimiter::keyed(per_minute(10)),
            accounts_everywhere: RateLimiter::keyed(per_minute(100)),
        }
    }

    /// How often each budget was spent, by the name of what it is for.
    pub(super) fn refused(&self) -> [(&'static str, u64); 3] {
        let count = |budget: &Budget| budget.refused.load(Ordering::Relaxed);
        [("enroll", count(&self.enroll)), ("sign_in", count(&self.sign_in)), ("relay", count(&self.relay))]
    }

    /// Draws from a budget.
    ///
    /// # Errors
    /// When to come back.
    pub(super) fn check(&self, limit: Limit, address: IpAddr) -> Result<(), ApiError> {
        match limit {
            Limit::Unlimited => Ok(()),
            Limit::Enroll => self.enroll.draw(address),
            Limit::SignIn => self.sign_in.draw(address),
            Limit::Relay => self.relay.draw(address),
        }
    }

    /// Draws from the budget of a name that somebody tries a password for. Called after the address's own budget, which
    /// bounds how many names are remembered.
    ///
    /// # Errors
    /// When to come back.
    pub(super) fn check_account(&self, name: &str, address: Option<IpAddr>) -> Result<(), ApiError> {
        for limiter in [&self.accounts, &self.accounts_everywhere] {
            if limiter.len() >= ADDRESSES_MAX {
                limiter.retain_recent();
            }
        }
        let wait = |early: governor::NotUntil<_>| {
            ApiError::too_many_requests(early.wait_time_from(DefaultClock::default().now()).as_secs() + 1)
        };
        let everywhere = Sha256::digest(name.as_bytes());
        let address = address.map(|address| limit_key(address).to_string()).unwrap_or_default();
        let here = Sha256::new().chain_update(everywhere).chain_update(address).finalize();
        self.accounts.check_key(&here.into()).map_err(wait)?;
        self.accounts_everywhere.check_key(&everywhere.into()).map_err(wait)
    }
}

/// So many a minute, all at once where none was used for a while.
fn per_minute(count: u32) -> Quota {
    Quota::per_minute(at_least_one(count)).allow_burst(at_least_one(count))
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

impl Budget {
    fn new(burst: u32, per_second: u32, all_per_second: u32) -> Self {
        let quota =
            |per_second, burst| Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst));
        Self {
            per_address: RateLimiter::keyed(quota(per_second, burst)),
            all: RateLimiter::direct(quota(all_per_second, all_per_second)),
            checks: AtomicU32::new(0),
            refused: AtomicU64::new(0),
        }
    }

    fn draw(&self, address: IpAddr) -> Result<(), ApiError> {
        if self.checks.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
            self.per_address.retain_recent();
            self.per_address.shrink_to_fit();
        }
        let now = DefaultClock::default().now();
        // The address first: one that is over its own limit must not use up what the others share.
        let own = if self.per_address.len() < ADDRESSES_MAX {
            self.per_address.check_key(&limit_key(address)).map_err(|early| early.wait_time_from(now))
        } else {
            Ok(())
        };
        let all = own.and_then(|()| self.all.check().map_err(|early| early.wait_time_from(now)));
        all.map_err(|wait| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            ApiError::too_many_requests(wait.as_secs() + 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_spends_its_budget_and_another_still_has_its_own() {
        let limits = RateLimits::new();
        let refused = (0..40).filter(|_| limits.check(Limit::SignIn, "192.0.2.1".parse().unwrap()).is_err());
        assert!(refused.count() >= 5);
        assert!(limits.check(Limit::SignIn, "192.0.2.2".parse().unwrap()).is_ok());
    }

    #[test]
    fn an_address_over_its_limit_takes_nothing_from_what_all_share() {
        let limits = RateLimits::new();
        for _ in 0..2000 {
            let _ = limits.check(Limit::SignIn, "192.0.2.1".parse().unwrap());
        }
        let others =
            (1..=40u8).filter(|host| limits.check(Limit::SignIn, [198, 51, 100, *host].into()).is_ok());
        assert_eq!(others.count(), 40);
    }

    #[test]
    fn more_addresses_than_are_remembered_cost_no_further_memory() {
        let budget = Budget::new(30, 1, 100);
        for number in 0..70_000u32 {
            let _ = budget.draw(IpAddr::V4(number.into()));
        }
        assert!(budget.per_address.len() <= ADDRESSES_MAX);
    }

    #[test]
    fn a_hundred_nodes_behind_one_address_enroll_at_once() {
        let limits = RateLimits::new();
        assert!((0..100).all(|_| limits.check(Limit::Enroll, "192.0.2.1".parse().unwrap()).is_ok()));
    }

    #[test]
    fn an_ipv6_network_has_one_budget() {
        let bucket_of = |text: &str| limit_key(text.parse().unwrap());
        assert_eq!(bucket_of("2001:db8::1"), bucket_of("2001:db8::ffff:1"));
        assert_ne!(bucket_of("2001:db8::1"), bucket_of("2001:db8:0:1::1"));
        assert_eq!(bucket_of("::ffff:192.0.2.1"), bucket_of("192.0.2.1"));
    }
}
