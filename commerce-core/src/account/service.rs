//! [`Accounts`]: what its parts by use have in common.

use std::{fmt, sync::Arc};

use serde_json::Value;

use super::{AccountError, SessionCache, User, email};
use crate::{
    context::{AccessError, Actor, RequestContext},
    error::CommonError,
    store::StoreError,
    write::{OneCommit, Plan, Scope},
};

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
    pub(super) scope: Scope,
}

impl Accounts {
    pub(crate) const fn new(scope: Scope) -> Self {
        Self { scope }
    }

    /// Accounts as used by another actor, from the same origin.
    pub(super) fn acting_as(&self, actor: Actor) -> Self {
        let call = RequestContext { actor, ..RequestContext::clone(&self.scope.call) };
        Self::new(Scope { engine: self.scope.engine.clone(), call: Arc::new(call) })
    }

    pub(super) fn cache(&self) -> &SessionCache {
        &self.scope.engine.accounts
    }

    /// A write whose answer is a user. For an idempotency key only the id is kept: no secrets at rest.
    pub(super) fn user_write<I: fmt::Debug>(
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

    pub(super) async fn recall_user(&self, id: Value) -> Result<User, AccountError> {
        let id = serde_json::from_value(id).map_err(StoreError::bug)?;
        let user = self.scope.engine.reads().load_user(id).await?;
        Ok(user.ok_or(CommonError::NotFound("user"))?)
    }

    /// Stands for secrets in the fingerprint of an idempotency key, which is stored: nobody can try passwords on it without
    /// the shop's secret.
    pub(super) fn seal(&self, secrets: &[&str]) -> String {
        hex::encode(self.scope.engine.signer.sign("fingerprint", format!("{secrets:?}").as_bytes()))
    }

    /// The account with an address, in whatever spelling it is kept.
    pub(super) async fn find_by_email(&self, text: &str) -> Result<Option<User>, StoreError> {
        for form in email::forms(text) {
            if let Some(user) = self.scope.engine.reads().load_user_by_email(&form).await? {
                return Ok(Some(user));
            }
        }
        Ok(None)
    }

    /// The signed-in user, as stored.
    pub(super) async fn signed_in(&self, actor: &Actor) -> Result<User, AccountError> {
        let identity = actor.identity()?;
        let user = self.scope.engine.reads().load_user(identity.user).await?;
        user.filter(|user| !user.disabled).ok_or_else(|| AccessError::Unauthenticated.into())
    }
}

/// Refuses guests and the system.
pub(super) fn is_signed_in(actor: &Actor) -> Result<(), AccessError> {
    actor.identity().map(|_| ())
}
