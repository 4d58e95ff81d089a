//! What may be done only so often, counted in the store, so that the limit holds whichever server is asked: guessing passwords,
//! and having links mailed to somebody.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use serde_json::Value;

use super::{AccountError, Accounts, email::counted_as};
use crate::{
    clock::Timestamp,
    context::{Actor, Idempotency},
    engine::Engine,
    error::CommonError,
    id::UserId,
    store::{Attempt, ChangeSet},
    write::{BoxFuture, OneCommit, Operation, Outcome, PreparedWrite, WriteContext},
};

/// For how long something counts. Windows begin at full multiples of this since 1970.
const WINDOW: Duration = Duration::from_mins(15);

impl Accounts {
    /// Counts a failed sign-in in advance, by the address as it was typed: the account needn't exist. What succeeds takes it back.
    /// Counted before the password is looked at, it also bounds how many are tried at once.
    async fn take_attempt(&self, email: &str) -> Result<Option<Attempt>, AccountError> {
        let Some(limit) = self.scope.engine.settings.sign_in_attempts else { return Ok(None) };
        let attempt = self.attempt("sign-in", &counted_as(email), limit);
        let mut set = self.scope.engine.set(&Actor::System);
        set.count(attempt);
        if limit > 0 && self.scope.engine.commit(&mut set).await?.is_ok() {
            return Ok(Some(attempt));
        }
        Err(AccountError::TooManyAttempts { retry_after: (attempt.since + WINDOW).since(self.scope.engine.now()) })
    }

    /// Has a set count a link that is mailed to an account, and, where it isn't the account's yet, to an address. Whether it may
    /// be mailed: if not, nothing is counted.
    pub(super) async fn may_mail(
        &self,
        changes: &mut ChangeSet,
        user: UserId,
        new_email: Option<&str>,
    ) -> Result<bool, CommonError> {
        let Some(limit) = self.scope.engine.settings.mailed_links else { return Ok(true) };
        let mut attempts = vec![self.attempt("mailed-link", &user.to_string(), limit)];
        attempts.extend(new_email.map(|email| self.attempt("mailed-link-to", email, limit)));
        for attempt in &attempts {
            let counted = self.scope.engine.reads().load_attempts(&attempt.key).await?;
            if limit == 0 || counted.is_some_and(|counted| counted.leaves_no_room_for(attempt)) {
                return Ok(false);
            }
        }
        for attempt in attempts {
            changes.count(attempt);
        }
        Ok(true)
    }

    fn attempt(&self, purpose: &str, name: &str, limit: u32) -> Attempt {
        let now = self.scope.engine.now().as_micros();
        let window = i64::try_from(WINDOW.as_micros()).unwrap_or(i64::MAX);
        let since = Timestamp::from_micros(now - now.rem_euclid(window));
        Attempt { key: Idempotency::new(purpose, name, b"").key, since, limit }
    }
}

/// Takes the count of an attempt back, in the commit of what succeeded.
pub(super) fn take_back(attempt: Option<Attempt>, changes: &mut ChangeSet) {
    if let Some(attempt) = attempt {
        changes.take_back(attempt);
    }
}

type Account<I> = for<'a> fn(&'a Accounts, &'a WriteContext, &'a I) -> BoxFuture<'a, Result<String, AccountError>>;
/// What is asked for, with the attempt that it cost.
type Tried<I> = (I, Option<Attempt>);
type Counted<I, T, P> = OneCommit<Accounts, Tried<I>, T, AccountError, P>;
type Compose<I, T, P> = fn(Accounts, Tried<I>) -> Counted<I, T, P>;

/// A write that a password opens. The attempt is counted by a commit of its own before the password is looked at, and taken back
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
