//! Accounts: users and roles, passwords, sessions and tokens, addresses.
//!
//! | file | holds |
//! |---|---|
//! | `mod` | the entities and the handle [`Accounts`] |
//! | `queries` | what a backend can be asked |
//! | `rules`, `email`, `phone`, `session` | pure rules: names and addresses; e-mail; phones; refresh rotation and the life of sessions |
//! | `token`, `access`, `password` | opaque tokens, access tokens (JWT), Argon2id |
//! | `session_cache` | what this process remembers between calls |
//! | `attempts` | what may be done only so often |
//! | `register`, `login`, `refresh`, `recovery`, `email_change`, `guest_orders`, `devices`, `profile`, `erase`, `addresses`, `users`, `export` | the service, by use |

mod access;
mod addresses;
mod attempts;
mod devices;
mod email;
mod email_change;
mod erase;
mod error;
mod export;
mod guest_orders;
mod login;
mod password;
mod phone;
mod profile;
mod queries;
mod recovery;
mod refresh;
mod register;
mod rules;
mod session;
mod session_cache;
pub mod token;
mod users;

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    clock::Timestamp,
    context::{AccessError, Actor, RequestContext, Role},
    engine::Engine,
    error::CommonError,
    id::{AddressId, MailTokenId, SessionId, UserId},
    store::{StoreError, Version},
    write::{OneCommit, Plan, Scope},
};

pub use self::{
    addresses::AddressPatch,
    email::{normalise_email, normalise_international_email},
    error::AccountError,
    login::{Credentials, Login, Tokens},
    profile::ProfilePatch,
    queries::{AccountQueries, UserQuery},
    register::Registration,
    rules::validate_address,
    users::UserPatch,
};
pub(crate) use self::{email::reachable, session_cache::SessionCache};
pub use crate::text::holds_card_number;

/// A registered person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user's id.
    pub id: UserId,
    /// The e-mail address, normalised (its domain in ASCII); unique by [`crate::store::Claim::email`]. Empty once erased.
    pub email: String,
    /// Whether the address was confirmed by its mailed token.
    pub email_confirmed: bool,
    /// Argon2id, PHC string. Empty (no password fits) once erased.
    pub password_hash: String,
    /// First name; may be empty if the last name isn't.
    pub first_name: String,
    /// Last name; may be empty if the first name isn't.
    pub last_name: String,
    /// Phone number.
    pub phone: Option<String>,
    /// What they may do.
    pub role: Role,
    /// Locked out by an admin, or erased.
    pub disabled: bool,
    /// Sessions from before this time are dead.
    pub sessions_from: Timestamp,
    /// When they registered.
    pub created_at: Timestamp,
    /// When the row was last written.
    pub updated_at: Timestamp,
    /// Counts writes.
    pub version: Version,
}

impl User {
    /// What to call them: by their first name, or by their only one. Empty once erased.
    #[must_use]
    pub fn called(&self) -> &str {
        if self.first_name.is_empty() { &self.last_name } else { &self.first_name }
    }
}

impl std::fmt::Debug for User {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("User")
            .field("id", &self.id)
            .field("role", &self.role)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// One login of a user on one device. Refresh tokens rotate within it; access tokens die with it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The session's id.
    pub id: SessionId,
    /// The user who is signed in by it.
    pub user_id: UserId,
    /// SHA-256 of the refresh token that is valid now.
    pub refresh_hash: [u8; 32],
    /// How often the refresh token was rotated.
    pub generation: i64,
    /// When it was rotated last.
    pub rotated_at: Timestamp,
    /// When the refresh token goes stale if unused.
    pub idle_expires_at: Timestamp,
    /// When the session ends whatever happens.
    pub expires_at: Timestamp,
    /// When it was ended: logout, reuse of an old token, revoked.
    pub ended_at: Option<Timestamp>,
    /// The client's address at login.
    pub ip: Option<String>,
    /// The client's `User-Agent` at login.
    pub user_agent: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// Counts writes.
    pub version: Version,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("generation", &self.generation)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// What a mailed token is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MailTokenKind {
    /// Confirms the e-mail address.
    ConfirmEmail,
    /// Sets a new password.
    ResetPassword,
    /// Makes the address it was mailed to the account's.
    ChangeEmail,
}

/// A single-use token sent by e-mail. Its secret is derived by HMAC from the id when the message is sent; only a hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailToken {
    /// The token's id, of which its secret is derived.
    pub id: MailTokenId,
    /// The user it was mailed to.
    pub user_id: UserId,
    /// What it is good for.
    pub kind: MailTokenKind,
    /// SHA-256 of the secret.
    pub hash: [u8; 32],
    /// Until when.
    pub expires_at: Timestamp,
    /// When it was used.
    pub used_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// The address it was mailed to. Tokens made by an earlier version don't say.
    pub email: Option<String>,
    /// Of a change of address: the account's address when it was asked for, which is told of it.
    pub former_email: Option<String>,
    /// Counts writes.
    pub version: Version,
}

/// A postal address, as orders keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostalAddress {
    /// The recipient.
    pub name: String,
    /// The company they work at, if it goes there.
    #[serde(default)]
    pub company: Option<String>,
    /// Street and number.
    pub line1: String,
    /// Flat, floor.
    pub line2: Option<String>,
    /// Town; empty where the country is one.
    pub city: String,
    /// State, province, canton.
    pub region: Option<String>,
    /// Postal code; empty where the country's post needs none.
    pub postal_code: String,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: String,
    /// For the carrier.
    pub phone: Option<String>,
}

impl PostalAddress {
    /// An address with what every address has.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        line1: impl Into<String>,
        city: impl Into<String>,
        postal_code: impl Into<String>,
        country: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            line1: line1.into(),
            city: city.into(),
            postal_code: postal_code.into(),
            country: country.into(),
            ..Self::default()
        }
    }
}

/// An address a user saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The address's id.
    pub id: AddressId,
    /// The user who saved it.
    pub user_id: UserId,
    /// The address.
    pub address: PostalAddress,
    /// When it was saved.
    pub created_at: Timestamp,
    /// Counts writes.
    pub version: Version,
}

macro_rules! aggregate {
    ($type:ty, $root:ident, $change:ident) => {
        impl $crate::store::Aggregate for $type {
            fn root(&self) -> $crate::store::AggregateId {
                $crate::store::AggregateId::$root(self.id)
            }
            fn version(&self) -> $crate::store::Version {
                self.version
            }
            fn set_version(&mut self, version: $crate::store::Version) {
                self.version = version;
            }
            fn change(save: $crate::store::AggregateWrite<Self>) -> $crate::store::Change {
                $crate::store::Change::$change(save.into())
            }
        }
    };
}
pub(crate) use aggregate;

aggregate!(User, User, User);
aggregate!(Session, Session, Session);
aggregate!(MailToken, MailToken, MailToken);
aggregate!(Address, Address, Address);

/// Users, sessions, addresses.
///
/// ```
/// # use commerce_core::prelude::*;
/// # use commerce_sqlite::SqliteStore;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let shop = Commerce::builder().store(SqliteStore::open("sqlite::memory:").await?).gateway(TestGateway::new()).build()?;
/// let (email, password) = ("ada@example.com", "difference engine no 2");
/// let user = shop.as_guest().accounts().register(Registration::new(email, password, "Ada", "Lovelace")).await?;
/// assert!(!user.email_confirmed); // a message is on its way
///
/// let login = shop.as_guest().accounts().login(Credentials::new(email, password)).await?;
/// let ada = shop.authenticate(&login.tokens.access_token).await?;
/// assert_eq!(ada.accounts().me().await?.id, user.id);
///
/// ada.accounts().logout().await?;
/// assert!(shop.authenticate(&login.tokens.access_token).await.is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Accounts {
    scope: Scope,
}

impl Accounts {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    /// Accounts as the shop uses them itself.
    pub(crate) fn of_system(engine: Arc<Engine>) -> Self {
        Self::new(Scope { engine, call: Arc::new(RequestContext::system()) })
    }

    /// Accounts as used by another actor, from the same origin.
    fn acting_as(&self, actor: Actor) -> Self {
        let call = RequestContext { actor, ..RequestContext::clone(&self.scope.call) };
        Self::new(Scope { engine: self.scope.engine.clone(), call: Arc::new(call) })
    }

    fn cache(&self) -> &SessionCache {
        &self.scope.engine.accounts
    }

    /// A write whose answer is a user. For an idempotency key only the id is kept: no secrets at rest.
    fn user_write<I: fmt::Debug>(
        &self,
        name: &'static str,
        input: I,
        plan: Plan<Self, I, User, AccountError>,
    ) -> OneCommit<Self, I, User, AccountError> {
        OneCommit::kept(
            name,
            self.clone(),
            input,
            plan,
            |user| serde_json::to_value(user.id),
            |accounts, id| Box::pin(accounts.recall_user(id)),
        )
    }

    async fn recall_user(&self, id: Value) -> Result<User, AccountError> {
        let id = serde_json::from_value(id).map_err(StoreError::bug)?;
        let user = self.scope.engine.reads().load_user(id).await?;
        Ok(user.ok_or(CommonError::NotFound("user"))?)
    }

    /// Stands for secrets in the fingerprint of an idempotency key, which is stored: nobody can try passwords on it without
    /// the shop's secret.
    fn seal(&self, secrets: &[&str]) -> String {
        token::hex(&self.scope.engine.signer.sign("fingerprint", format!("{secrets:?}").as_bytes()))
    }

    /// The account with an address, in whatever spelling it is kept.
    async fn find_by_email(&self, text: &str) -> Result<Option<User>, StoreError> {
        for form in email::forms(text) {
            if let Some(user) = self.scope.engine.reads().load_user_by_email(&form).await? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    /// The signed-in user, as stored.
    async fn signed_in(&self, actor: &Actor) -> Result<User, AccountError> {
        let identity = actor.identity()?;
        let user = self.scope.engine.reads().load_user(identity.user).await?;
        user.filter(|user| !user.disabled).ok_or_else(|| AccessError::Unauthenticated.into())
    }
}

fn is_signed_in(actor: &Actor) -> Result<(), AccessError> {
    actor.identity().map(|_| ())
}
