//! Users as staff see them: list, roles, lock-outs.

use super::{AccountError, Accounts, User, UserQuery, expect_version, session::end_all};
use crate::{
    context::{Actor, Permission, RequestContext, Role},
    engine::Planned,
    error::CommonError,
    event::DomainEvent,
    id::UserId,
    page::{Page, PageRequest, PageSpec},
    store::{Aggregate, ChangeSet, Version},
    text::check_filter,
};

/// What an admin may change of a user; what is absent stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UserPatch {
    /// What they may do.
    pub role: Option<Role>,
    /// Whether they are locked out. Locking out ends their sessions.
    pub disabled: Option<bool>,
}

impl Accounts {
    /// Users, newest first.
    ///
    /// # Errors
    /// If the actor may not see users, or the cursor belongs to another list.
    pub async fn users(&self, actor: &Actor, query: UserQuery, page: &PageRequest) -> Result<Page<User>, AccountError> {
        actor.require(Permission::ViewUsers)?;
        check_filter(&[("/q", query.q.as_deref())])?;
        let spec = page.spec(&query)?;
        Ok(self.engine.reads().list_users(&query, &spec).await?.page(&query))
    }

    /// A user.
    ///
    /// # Errors
    /// If the actor may not see users, or there is none, or they were erased.
    pub async fn user(&self, actor: &Actor, id: UserId) -> Result<User, AccountError> {
        actor.require(Permission::ViewUsers)?;
        self.existing(id).await
    }

    /// Changes a user's role, locks them out or lets them in again.
    ///
    /// # Errors
    /// If the actor may not edit users, or there is no such user; [`AccountError::LastAdmin`];
    /// [`CommonError::VersionMismatch`].
    pub async fn update_user(
        &self,
        call: &RequestContext,
        id: UserId,
        patch: UserPatch,
        expected: Option<Version>,
    ) -> Result<User, AccountError> {
        call.actor.require(Permission::EditUsers)?;
        self.run(call, |this, call| async move {
            let plan = || this.plan_update_user(&call, id, patch, expected);
            let done = this.save_user(&call, plan, |_| None).await;
            this.shared().forget(id);
            done.map(|done| done.value)
        })
        .await
    }

    /// Changes a user in a transaction of the embedder's own. Access tokens hear of it within two seconds.
    ///
    /// # Errors
    /// As [`Self::update_user`].
    pub async fn plan_update_user(
        &self,
        call: &RequestContext,
        id: UserId,
        patch: UserPatch,
        expected: Option<Version>,
    ) -> Result<Planned<User>, AccountError> {
        call.actor.require(Permission::EditUsers)?;
        let before = self.existing(id).await?;
        expect_version(expected, before.version)?;
        let mut changes = self.engine.set(&call.actor);
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
        changes.event(self.engine.ids(), user.root(), user.version, DomainEvent::UserChanged { user: user.id });
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
            let listed = self.engine.reads().list_users(&query, &spec).await?;
            for user in listed.items.into_iter().filter(|user| user.id != leaving.id && is_active_admin(user)) {
                // The list may lag; what is asserted must not.
                let user = self.engine.reads().load_user(user.id).await?;
                if let Some(user) = user.filter(is_active_admin) {
                    changes.assert(user.root(), user.version);
                    return Ok(());
                }
            }
            spec.after = Some(listed.next.ok_or(AccountError::LastAdmin)?);
        }
    }

    async fn existing(&self, id: UserId) -> Result<User, AccountError> {
        let user = self.engine.reads().load_user(id).await?;
        Ok(user.filter(|user| !user.email.is_empty()).ok_or(CommonError::NotFound("user"))?)
    }
}

fn is_active_admin(user: &User) -> bool {
    user.role == Role::Admin && !user.disabled
}
