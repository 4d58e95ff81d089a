//! What may be done only so often, counted in the store, so that the limit holds whichever server is asked: guessing passwords,
//! and having links mailed to somebody.

use std::time::Duration;

use super::{AccountError, Accounts, email::counted_as};
use crate::{
    context::{Actor, Idempotency},
    error::CommonError,
    id::UserId,
};

/// For how long something counts. Windows begin at full multiples of this since 1970.
const WINDOW: Duration = Duration::from_mins(15);

impl Accounts {
    /// Takes one of an account's slots for failed sign-ins, by the address as it was typed: the account needn't exist. The
    /// sign-in gives it back by forgetting it if it succeeds. Taken before the password is looked at, it also bounds how many are
    /// tried at once.
    pub(super) async fn take_attempt(&self, email: &str) -> Result<Option<[u8; 32]>, AccountError> {
        let Some(attempts) = self.engine.settings.sign_in_attempts else { return Ok(None) };
        if let Some(slot) = self.take_slot("sign-in", &counted_as(email), attempts).await? {
            return Ok(Some(slot));
        }
        let (now, window) = self.window();
        let left = u64::try_from(window - now % window).unwrap_or_default();
        Err(AccountError::TooManyAttempts { retry_after: Duration::from_micros(left) })
    }

    /// Takes one of the slots for links mailed to an account; whether there was one.
    pub(super) async fn may_mail(&self, user: UserId) -> Result<bool, CommonError> {
        let Some(links) = self.engine.settings.mailed_links else { return Ok(true) };
        Ok(self.take_slot("mailed-link", &user.to_string(), links).await?.is_some())
    }

    /// Takes one of the slots for links mailed to an address that isn't an account's yet; whether there was one.
    pub(super) async fn may_mail_to(&self, email: &str) -> Result<bool, CommonError> {
        let Some(links) = self.engine.settings.mailed_links else { return Ok(true) };
        Ok(self.take_slot("mailed-link-to", email, links).await?.is_some())
    }

    /// Takes one of the slots of the current window. A slot is an idempotency key, and like all keys it is purged in the end.
    async fn take_slot(&self, purpose: &str, name: &str, slots: u32) -> Result<Option<[u8; 32]>, CommonError> {
        let (now, window) = self.window();
        for n in 0..slots {
            let slot = Idempotency::new(purpose, &format!("{}/{n}/{name}", now / window), b"");
            if self.engine.reads().load_key(&slot.key).await?.is_some() {
                continue;
            }
            let key = slot.key;
            let mut set = self.engine.set(&Actor::System);
            set.key(slot, None, None);
            if self.engine.commit(&mut set).await?.is_ok() {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Now, and how long a window is, in microseconds.
    fn window(&self) -> (i64, i64) {
        (self.engine.now().as_micros(), i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX))
    }
}
