//! Users, their sessions, the tokens mailed to them and the addresses they saved.

use serde::{Deserialize, Serialize};

use crate::{
    address::PostalAddress,
    aggregate::Version,
    clock::Timestamp,
    id::{AddressId, MailTokenId, SessionId, UserId},
    role::Role,
};

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
