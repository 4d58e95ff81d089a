//! Guessed passwords: attempts are counted in the store, so that the limit holds whichever server is asked.

use std::time::Duration;

use super::{AccountError, Accounts};
use crate::{
    call::{Actor, Idempotency},
    error::CommonError,
};

/// For how long a failed sign-in counts. Windows begin at full multiples of this since 1970.
const WINDOW: Duration = Duration::from_mins(15);

impl Accounts {
    /// Takes one of an account's slots in the current window, by the address as it was typed: the account needn't exist. A slot
    /// is an idempotency key: the sign-in gives it back by forgetting it if it succeeds, and like all keys it is
    /// purged in the end. Taken before the password is looked at, it also bounds how many are tried at once.
    pub(super) async fn take_attempt(&self, email: &str) -> Result<Option<[u8; 32]>, AccountError> {
        let Some(attempts) = self.engine.settings.sign_in_attempts else { return Ok(None) };
        let (now, window) = (self.engine.now().as_micros(), i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX));
        let name = email.trim().to_lowercase();
        for n in 0..attempts {
            let slot = Idempotency::new("sign-in", &format!("{}/{n}/{name}", now / window), b"");
            if self.engine.reads().load_key(&slot.key).await.map_err(CommonError::from)?.is_some() {
                continue;
            }
            let key = slot.key;
            let mut set = self.engine.set(&Actor::System);
            set.key(slot, None, None);
            if self.engine.commit(&mut set).await.map_err(CommonError::from)?.is_ok() {
                return Ok(Some(key));
            }
        }
        let left = u64::try_from(window - now % window).unwrap_or_default();
        Err(AccountError::TooManyAttempts { retry_after: Duration::from_micros(left) })
    }
}
