//! What a backend can be asked about accounts.

use async_trait::async_trait;
use serde::Serialize;

use super::{Address, MailToken, Session, User};
use crate::{
    error::StoreError,
    id::{AddressId, MailTokenId, SessionId, UserId},
    page::{PageSpec, Rows},
    role::Role,
};

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
pub trait AccountQueries: Send + Sync {
    /// A user.
    async fn load_user(&self, id: UserId) -> Result<Option<User>, StoreError>;

    /// The user who holds an e-mail address (normalised).
    async fn load_user_by_email(&self, email: &str) -> Result<Option<User>, StoreError>;

    /// Users, newest first; erased ones are left out.
    async fn list_users(&self, query: &UserQuery, spec: &PageSpec) -> Result<Rows<User>, StoreError>;

    /// A session and its user, in one snapshot.
    async fn load_session(&self, id: SessionId) -> Result<Option<(Session, User)>, StoreError>;

    /// A user's sessions that haven't ended, newest first.
    async fn list_sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError>;

    /// A mailed token.
    async fn load_mail_token(&self, id: MailTokenId) -> Result<Option<MailToken>, StoreError>;

    /// The tokens mailed for a user that weren't purged yet, in any order.
    async fn list_mail_tokens(&self, user: UserId) -> Result<Vec<MailToken>, StoreError>;

    /// An address.
    async fn load_address(&self, id: AddressId) -> Result<Option<Address>, StoreError>;

    /// A user's addresses, oldest first.
    async fn list_addresses(&self, user: UserId) -> Result<Vec<Address>, StoreError>;
}
