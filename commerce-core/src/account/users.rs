//! Users as staff see them: list, roles, lock-outs.

use super::{AccountError, Accounts, User, UserQuery, session::end_all};
use crate::{
    context::{Permission, Role},
    engine::Planned,
    error::CommonError,
    event::DomainEvent,
    id::UserId,
    page::{Page, PageRequest, PageSpec},
    store::{Aggregate, ChangeSet},
    text::check_filter,
    write::{Write, WriteContext},
};

/// What an admin may change of a user; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserPatch {
    role: Option<Role>,
    disabled: Option<bool>,
}

impl UserPatch {
    /// Changes that change nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another role; `None` keeps the present one.
    #[must_use]
    pub fn role(self, role: impl Into<Option<Role>>) -> Self {
        Self { role: role.into(), ..self }
    }

    /// Whether they are locked out, which ends their sessions; `None` keeps it as it is.
    #[must_use]
    pub fn disabled(self, disabled: impl Into<Option<bool>>) -> Self {
        Self { disabled: disabled.into(), ..self }
    }
}

impl Accounts {
    /// Users, newest first.
    ///
    /// # Errors
    /// [`CommonError::Access`] if the caller may not see users; [`CommonError::Cursor`]; [`CommonError::Store`].
    pub async fn users(&self, query: UserQuery, page: &PageRequest) -> Result<Page<User>, AccountError> {
        self.scope.actor().require(Permission::ViewUsers)?;
        check_filter(&[("/q", query.q.as_deref())])?;
        let spec = page.spec(&query)?;
        Ok(self.scope.engine.reads().list_users(&query, &spec).await?.page(&query))
    }

    /// A user.
    ///
    /// # Errors
    /// [`CommonError::Access`] if the caller may not see users; [`CommonError::NotFound`] if there is none, or they were
    /// erased; [`CommonError::Store`].
    pub async fn user(&self, id: UserId) -> Result<User, AccountError> {
        self.scope.actor().require(Permission::ViewUsers)?;
        self.existing(id).await
    }

    /// Changes a user's role, locks them out or lets them in again. Their access tokens hear of it at once in the process that
    /// commits it, and within two seconds elsewhere, as also when a host commits it.
    ///
    /// # Errors
    /// [`CommonError::Access`] if the caller may not edit users; [`CommonError::NotFound`]; [`AccountError::LastAdmin`];
    /// [`CommonError::VersionMismatch`]; [`CommonError::Store`].
    pub fn update_user(&self, id: UserId, patch: UserPatch) -> Write<User, AccountError> {
        let plan = self.user_write("accounts.update_user", (id, patch), |accounts, write, (id, patch)| {
            Box::pin(accounts.plan_update_user(write, *id, *patch))
        });
        self.scope.write(plan.allowed_to(|actor| actor.require(Permission::EditUsers)))
    }

    async fn plan_update_user(
        &self,
        write: &WriteContext,
        id: UserId,
        patch: UserPatch,
    ) -> Result<Planned<User>, AccountError> {
        let before = self.existing(id).await?;
        write.check_version(before.version)?;
        let mut changes = self.scope.engine.set(write.actor());
        let mut user = before.clone();
        user.role = patch.role.unwrap_or(before.role);
        user.disabled = patch.disabled.unwrap_or(before.disabled);
        user.updated_at = changes.at();
        if user.disabled && !before.disabled {
            end_all(&mut user, changes.at());
        }
        if user.disabled || user.role != Role::Admin {
            self.keep_an_admin(&mut changes, &before).await?;
        }
        changes.update(&before, &mut user);
        changes.event(self.scope.engine.ids(), user.root(), user.version, DomainEvent::UserChanged { user: user.id });
        Ok(Planned { changes, output: user })
    }

    /// Demands that another admin stays if this one goes. The set asserts that admin as read: of two admins who remove each
    /// other at once, one finds the other changed and starts over.
    pub(super) async fn keep_an_admin(&self, changes: &mut ChangeSet, leaving: &User) -> Result<(), AccountError> {
        if !is_active_admin(leaving) {
            return Ok(());
        }
        let query = UserQuery { role: Some(Role::Admin), ..UserQuery::default() };
        let mut spec = PageSpec::first(100);
        loop {
            let listed = self.scope.engine.reads().list_users(&query, &spec).await?;
            for user in listed.items.into_iter().filter(|user| user.id != leaving.id && is_active_admin(user)) {
                // The list may lag; what is asserted must not.
                let user = self.scope.engine.reads().load_user(user.id).await?;
                if let Some(user) = user.filter(is_active_admin) {
                    changes.assert(user.root(), user.version);
                    return Ok(());
                }
            }
            spec.after = Some(listed.next.ok_or(AccountError::LastAdmin)?);
        }
    }

    async fn existing(&self, id: UserId) -> Result<User, AccountError> {
        let user = self.scope.engine.reads().load_user(id).await?;
        Ok(user.filter(|user| !user.email.is_empty()).ok_or(CommonError::NotFound("user"))?)
    }
}

fn is_active_admin(user: &User) -> bool {
    user.role == Role::Admin && !user.disabled
}
