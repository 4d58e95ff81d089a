//! What may be done only so often, counted in the store, so that the limit holds whichever server is asked: guessing passwords,
//! and having links mailed to somebody.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

use super::{AccountError, Accounts, email::counted_as};
use crate::{
    context::{Actor, Idempotency},
    engine::Engine,
    error::CommonError,
    id::UserId,
    store::ChangeSet,
    write::{BoxFuture, OneCommit, Operation, Outcome, PreparedWrite, WriteContext},
};

/// For how long something counts. Windows begin at full multiples of this since 1970.
const WINDOW: Duration = Duration::from_mins(15);

/// A failed sign-in, counted in advance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt([u8; 32]);

impl Attempt {
    /// Takes the count back, in the commit of what succeeded.
    pub fn give_back(attempt: Option<Self>, changes: &mut ChangeSet) {
        if let Some(Self(slot)) = attempt {
            changes.forget(slot);
        }
    }
}

impl Accounts {
    /// Takes one of an account's slots for failed sign-ins, by the address as it was typed: the account needn't exist. The
    /// sign-in gives it back by forgetting it if it succeeds. Taken before the password is looked at, it also bounds how many are
    /// tried at once.
    async fn take_attempt(&self, email: &str) -> Result<Option<Attempt>, AccountError> {
        let Some(attempts) = self.scope.engine.settings.sign_in_attempts else { return Ok(None) };
        if let Some(slot) = self.take_slot("sign-in", &counted_as(email), attempts).await? {
            return Ok(Some(Attempt(slot)));
        }
        let (now, window) = self.window();
        let left = u64::try_from(window - now % window).unwrap_or_default();
        Err(AccountError::TooManyAttempts { retry_after: Duration::from_micros(left) })
    }

    /// Takes one of the slots for links mailed to an account; whether there was one.
    pub(super) async fn may_mail(&self, user: UserId) -> Result<bool, CommonError> {
        let Some(links) = self.scope.engine.settings.mailed_links else { return Ok(true) };
        Ok(self.take_slot("mailed-link", &user.to_string(), links).await?.is_some())
    }

    /// Takes one of the slots for links mailed to an address that isn't an account's yet; whether there was one.
    pub(super) async fn may_mail_to(&self, email: &str) -> Result<bool, CommonError> {
        let Some(links) = self.scope.engine.settings.mailed_links else { return Ok(true) };
        Ok(self.take_slot("mailed-link-to", email, links).await?.is_some())
    }

    /// Takes one of the slots of the current window. A slot is an idempotency key, and like all keys it is purged in the end.
    async fn take_slot(&self, purpose: &str, name: &str, slots: u32) -> Result<Option<[u8; 32]>, CommonError> {
        let (now, window) = self.window();
        for n in 0..slots {
            let slot = Idempotency::new(purpose, &format!("{}/{n}/{name}", now / window), b"");
            if self.scope.engine.reads().load_key(&slot.key).await?.is_some() {
                continue;
            }
            let key = slot.key;
            let mut set = self.scope.engine.set(&Actor::System);
            set.key(slot, None, None);
            if self.scope.engine.commit(&mut set).await?.is_ok() {
                return Ok(Some(key));
            }
        }
        Ok(None)
    }

    /// Now, and how long a window is, in microseconds.
    fn window(&self) -> (i64, i64) {
        (self.scope.engine.now().as_micros(), i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX))
    }
}

type Account<I> = for<'a> fn(&'a Accounts, &'a WriteContext, &'a I) -> BoxFuture<'a, Result<String, AccountError>>;
/// What is asked for, with the attempt that it cost.
type Tried<I> = (I, Option<Attempt>);
type Counted<I, T, P> = OneCommit<Accounts, Tried<I>, T, AccountError, P>;
type Compose<I, T, P> = fn(Accounts, Tried<I>) -> Counted<I, T, P>;

/// A write that a password opens. The attempt is counted by a commit of its own before the password is looked at, and given back
/// by the write's; so also a prepared write has counted it.
pub(super) struct PasswordWrite<I, T, P = T> {
    accounts: Accounts,
    input: I,
    account: Account<I>,
    write: Compose<I, T, P>,
    keeps_answer: bool,
}

impl<I: Clone, T, P> PasswordWrite<I, T, P> {
    /// `account` gives the address under which the attempt is counted, and `write` what is done once it was.
    pub fn new(accounts: Accounts, input: I, account: Account<I>, write: Compose<I, T, P>) -> Self {
        Self { accounts, input, account, write, keeps_answer: true }
    }

    /// Its answer is secret and not kept, so that an idempotency key has no effect.
    pub fn without_key(self) -> Self {
        Self { keeps_answer: false, ..self }
    }

    fn context(&self, context: &WriteContext) -> WriteContext {
        if self.keeps_answer { context.clone() } else { context.without_key() }
    }

    async fn counted(&self, engine: &Engine, context: &WriteContext) -> Result<Counted<I, T, P>, AccountError> {
        // What was done already isn't tried again.
        let attempt = match engine.replay::<Value>(&context.call).await? {
            Some(_) => None,
            None => {
                let email = (self.account)(&self.accounts, context, &self.input).await?;
                self.accounts.take_attempt(&email).await?
            }
        };
        Ok((self.write)(self.accounts.clone(), (self.input.clone(), attempt)))
    }
}

#[async_trait]
impl<I, T, P> Operation<T, AccountError> for PasswordWrite<I, T, P>
where
    I: Clone + fmt::Debug + Send + Sync,
    T: Send + 'static,
    P: Send + 'static,
{
    fn describe(&self) -> (&'static str, String) {
        (self.write)(self.accounts.clone(), (self.input.clone(), None)).describe()
    }

    async fn run(&self, engine: &Engine, context: &WriteContext) -> Result<Outcome<T>, AccountError> {
        let context = self.context(context);
        self.counted(engine, &context).await?.run(engine, &context).await
    }

    async fn prepare(&self, engine: &Engine, context: &WriteContext) -> Result<PreparedWrite<T>, AccountError> {
        let context = self.context(context);
        self.counted(engine, &context).await?.prepare(engine, &context).await
    }
}
