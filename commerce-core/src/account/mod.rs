//! Accounts: users and roles, passwords, sessions and tokens, addresses.
//!
//! | file | holds |
//! |---|---|
//! | `mod` | the entities and the handle [`Accounts`] |
//! | `queries` | what a backend can be asked |
//! | `rules`, `email`, `phone`, `session` | pure rules: names and addresses; e-mail; phones; refresh rotation and the life of sessions |
//! | `access`, `password` | access tokens (JWT), Argon2id |
//! | `shared` | what this process remembers between calls |
//! | `register`, `login`, `recovery`, `email`, `guest_orders`, `devices`, `profile`, `addresses`, `users`, `export` | the service, by use |

mod access;
mod addresses;
mod attempts;
mod devices;
mod email;
mod email_change;
mod error;
mod export;
mod guest_orders;
mod login;
mod model;
mod password;
mod phone;
mod profile;
mod queries;
mod recovery;
mod register;
mod rules;
mod session;
mod session_cache;
mod users;

use std::{future::Future, sync::Arc};

use crate::{
    context::{AccessError, Actor, Done, RequestContext},
    engine::{Conflicts, Engine, Planned, Replay},
    error::CommonError,
    store::{StoreError, Version},
};

pub use self::{
    addresses::AddressPatch,
    email::{normalise_email, normalise_international_email},
    error::AccountError,
    login::{Credentials, Login, Tokens},
    model::{Address, MailToken, MailTokenKind, Session, User},
    profile::ProfilePatch,
    queries::{AccountQueries, UserQuery},
    register::Registration,
    rules::validate_address,
    users::UserPatch,
};
pub(crate) use self::{email::reachable, session_cache::SessionCache};
pub use crate::text::holds_card_number;

/// Users, sessions, addresses.
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// let ada = Registration::new("ada@example.com", "difference engine no 2", "Ada", "Lovelace");
/// let user = shop.accounts().register(&RequestContext::guest(), ada).await?.value;
/// assert!(!user.email_confirmed); // a message is on its way
///
/// let login = shop.accounts().login(&RequestContext::guest(), Credentials::new("ada@example.com", "difference engine no 2")).await?;
/// let identity = shop.accounts().authenticate(&login.tokens.access_token).await?;
/// assert_eq!(identity.user, user.id);
///
/// shop.accounts().logout(&RequestContext::by(Actor::User(identity)), false).await?;
/// assert!(shop.accounts().authenticate(&login.tokens.access_token).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Accounts {
    engine: Arc<Engine>,
}

impl Accounts {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    fn shared(&self) -> &SessionCache {
        &self.engine.accounts
    }

    /// Runs a write to its end even if the caller goes away.
    async fn run<T, F>(&self, call: &RequestContext, write: impl FnOnce(Self, RequestContext) -> F) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.engine.run(write(self.clone(), call.clone())).await
    }

    /// Plans and commits a write whose answer is a user. With an idempotency key only the id is kept: no secrets at rest.
    async fn save_user<F>(
        &self,
        call: &RequestContext,
        plan: impl Fn() -> F + Send + Sync,
        refuse: impl Fn(&Conflicts) -> Option<AccountError> + Send,
    ) -> Result<Done<User>, AccountError>
    where
        F: Future<Output = Result<Planned<User>, AccountError>> + Send,
    {
        Ok(match self.engine.transact_as(call, plan, |user| user.id, refuse).await? {
            Replay::Fresh(user) => Done::fresh(user),
            Replay::Replayed(id) => {
                let user = self.engine.reads().load_user(id).await?;
                Done::again(user.ok_or(CommonError::NotFound("user"))?)
            }
        })
    }

    /// The account with an address, in whatever spelling it is kept.
    async fn find_by_email(&self, text: &str) -> Result<Option<User>, StoreError> {
        for form in email::forms(text) {
            if let Some(user) = self.engine.reads().load_user_by_email(&form).await? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    /// The signed-in user, as stored.
    async fn signed_in(&self, actor: &Actor) -> Result<User, AccountError> {
        let identity = actor.identity()?;
        let user = self.engine.reads().load_user(identity.user).await?;
        user.filter(|user| !user.disabled).ok_or_else(|| AccessError::Unauthenticated.into())
    }
}

/// Demands the version that a caller read, if it named one.
fn expect_version(expected: Option<Version>, present: Version) -> Result<(), CommonError> {
    match expected {
        Some(version) if version != present => Err(CommonError::VersionMismatch(present)),
        _ => Ok(()),
    }
}
