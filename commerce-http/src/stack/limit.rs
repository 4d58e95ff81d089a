//! Rate limits: per client address on calls that guess or send, per account on those that name one.

use commerce_core::account::normalise_international_email;
use std::{hash::Hash, net::IpAddr, num::NonZeroU32};

use crate::problem::{ApiError, Code};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter, clock::Clock};

/// Generous for people behind one address, slow for who tries passwords.
const PER_ADDRESS: NonZeroU32 = NonZeroU32::new(600).unwrap();
const PER_ACCOUNT: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// From this many keys on, forgotten ones are swept out.
const SWEEP_AT: usize = 10_000;

/// The limits of one server.
pub struct Limits(Option<(Limiter<IpAddr>, Limiter<String>)>);

struct Limiter<K: Hash + Eq + Clone>(DefaultKeyedRateLimiter<K>);

impl<K: Hash + Eq + Clone> Limiter<K> {
    fn new(per_minute: NonZeroU32) -> Self {
        Self(RateLimiter::keyed(Quota::per_minute(per_minute)))
    }

    fn check(&self, key: &K) -> Result<(), ApiError> {
        if self.0.len() >= SWEEP_AT {
            self.0.retain_recent();
        }
        self.0.check_key(key).map_err(|not_until| {
            let wait = not_until.wait_time_from(self.0.clock().now()).as_secs() + 1;
            ApiError::new(Code::RateLimited, format!("too many attempts: wait {wait} s")).retry_after(wait)
        })
    }
}

impl Limits {
    /// No limits at all.
    pub const fn off() -> Self {
        Self(None)
    }

    /// The limits that are on by default.
    pub fn standard() -> Self {
        Self(Some((Limiter::new(PER_ADDRESS), Limiter::new(PER_ACCOUNT))))
    }

    /// Counts a call from an address.
    pub fn address(&self, address: Option<IpAddr>) -> Result<(), ApiError> {
        match (&self.0, address) {
            (Some((addresses, _)), Some(address)) => addresses.check(&address),
            _ => Ok(()),
        }
    }

    /// Counts a call that names an account, by what was typed: it needn't exist.
    pub fn account(&self, name: &str) -> Result<(), ApiError> {
        match &self.0 {
            Some((_, accounts)) => {
                accounts.check(&normalise_international_email(name).unwrap_or_else(|_| name.trim().to_lowercase()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_tries_too_often_must_wait() {
        let limits = Limits::standard();
        let tries = (0..100).filter(|_| limits.account("Mia@example.com ").is_ok()).count();
        assert_eq!(tries, 30);
        let error = limits.account("mia@example.com").unwrap_err();
        assert_eq!(error.code, Code::RateLimited);
        assert!(error.headers.iter().any(|(name, _)| name == "retry-after"));
        assert!(limits.account("noah@example.com").is_ok());
        assert!((0..100).all(|_| Limits::off().account("mia@example.com").is_ok()));
    }
}
