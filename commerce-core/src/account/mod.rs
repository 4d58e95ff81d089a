//! Accounts: users and roles, passwords, sessions and tokens, addresses.

pub mod token;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{
    call::Role,
    clock::Timestamp,
    id::{AddressId, MailTokenId, SessionId, UserId},
    page::{Listed, Slice},
    store::{StoreError, Version},
};

/// A registered person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// The e-mail address, normalised; unique by [`crate::store::Claim::email`]. Empty once erased.
    pub email: String,
    /// Whether the address was confirmed by its mailed token.
    pub email_confirmed: bool,
    /// Argon2id, PHC string. Empty (no password fits) once erased.
    pub password_hash: String,
    /// First name.
    pub first_name: String,
    /// Last name.
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
    /// Its id.
    pub id: SessionId,
    /// Whose.
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
}

/// A single-use token sent by e-mail. Its secret is derived by HMAC from the id when the message is sent; only a hash is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailToken {
    /// Its id.
    pub id: MailTokenId,
    /// Whose.
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
    /// Counts writes.
    pub version: Version,
}

/// A postal address, as orders keep it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PostalAddress {
    /// The recipient.
    pub name: String,
    /// Street and number.
    pub line1: String,
    /// Flat, floor, company.
    pub line2: Option<String>,
    /// Town.
    pub city: String,
    /// State, province, canton.
    pub region: Option<String>,
    /// Postal code.
    pub postal_code: String,
    /// ISO 3166-1 alpha-2, upper case.
    pub country: String,
    /// For the carrier.
    pub phone: Option<String>,
}

/// An address a user saved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Its id.
    pub id: AddressId,
    /// Whose.
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
            fn root(&self) -> $crate::store::Root {
                $crate::store::Root::$root(self.id)
            }
            fn version(&self) -> $crate::store::Version {
                self.version
            }
            fn set_version(&mut self, version: $crate::store::Version) {
                self.version = version;
            }
            fn change(save: $crate::store::Save<Self>) -> $crate::store::Change {
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

/// Filters of the list of users, sorted newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UserQuery {
    /// Part of the e-mail address or name, any case.
    pub q: Option<String>,
    /// Only this role.
    pub role: Option<Role>,
}

/// Reads of accounts.
#[async_trait]
pub trait AccountStore: Send + Sync {
    /// A user.
    async fn load_user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The user who holds an e-mail address (normalised).
    async fn load_user_by_email(&self, email: &str) -> Result<Option<User>, StoreError>;

    /// Users, newest first; erased ones are left out.
    async fn list_users(&self, query: &UserQuery, slice: &Slice) -> Result<Listed<User>, StoreError>;

    /// A session and its user, in one snapshot.
    async fn load_session(&self, id: SessionId) -> Result<Option<(Session, User)>, StoreError>;

    /// A user's sessions that haven't ended, newest first.
    async fn list_sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError>;

    /// A mailed token.
    async fn load_mail_token(&self, id: MailTokenId) -> Result<Option<MailToken>, StoreError>;

    /// An address.
    async fn load_address(&self, id: AddressId) -> Result<Option<Address>, StoreError>;

    /// A user's addresses, oldest first.
    async fn list_addresses(&self, user: UserId) -> Result<Vec<Address>, StoreError>;
}

/// Users, sessions, addresses.
#[derive(Clone)]
pub struct Accounts {
    engine: std::sync::Arc<crate::engine::Engine>,
}

impl Accounts {
    pub(crate) fn new(engine: std::sync::Arc<crate::engine::Engine>) -> Self {
        Self { engine }
    }
}

/// What the account service keeps between calls.
pub(crate) struct Shared;

impl Shared {
    pub fn new(_secret: &[u8]) -> Self {
        Self
    }
}
