//! Sessions as their owner sees them: the devices they are signed in on, and signing out.

use super::{
    AccountError, Accounts, Session, is_signed_in,
    session::{end_all, is_alive},
};
use crate::{
    engine::Planned,
    error::CommonError,
    id::SessionId,
    store::ChangeSet,
    write::{OneCommit, Write, WriteContext},
};

impl Accounts {
    /// The caller's sessions that are alive, newest first.
    ///
    /// # Errors
    /// [`CommonError::Access`] if nobody is signed in; [`CommonError::Store`].
    pub async fn sessions(&self) -> Result<Vec<Session>, AccountError> {
        let user = self.signed_in(self.scope.actor()).await?;
        let now = self.scope.engine.now();
        let mut sessions = self.scope.engine.reads().list_sessions(user.id).await?;
        sessions.retain(|session| is_alive(session, &user, now) && now < session.idle_expires_at);
        Ok(sessions)
    }

    /// Signs one of the caller's devices out.
    ///
    /// # Errors
    /// [`CommonError::Access`]; [`CommonError::NotFound`] if it isn't a live session of the caller's;
    /// [`CommonError::Store`].
    pub fn revoke_session(&self, id: SessionId) -> Write<(), AccountError> {
        let plan = OneCommit::new("accounts.revoke_session", self.clone(), id, |accounts, write, id| {
            Box::pin(accounts.plan_revoke_session(write, *id))
        });
        self.scope.write(plan.allowed_to(is_signed_in))
    }

    async fn plan_revoke_session(&self, write: &WriteContext, id: SessionId) -> Result<Planned<()>, AccountError> {
        let identity = write.actor().identity()?;
        let found = self.scope.engine.reads().load_session(id).await?;
        let mut changes = self.scope.engine.set(write.actor());
        let (session, _) = found
            .filter(|(session, user)| user.id == identity.user && is_alive(session, user, changes.at()))
            .ok_or(CommonError::NotFound("session"))?;
        write.check_version(session.version)?;
        end(&mut changes, &session);
        Ok(Planned { changes, output: () })
    }

    /// Signs out: the access and refresh tokens of the caller's session are dead. What has ended already stays so.
    ///
    /// # Errors
    /// [`CommonError::Access`] if nobody is signed in; [`CommonError::Store`].
    pub fn logout(&self) -> Write<(), AccountError> {
        let plan = OneCommit::new("accounts.logout", self.clone(), (), |accounts, write, ()| {
            Box::pin(accounts.plan_logout(write))
        });
        self.scope.write(plan.allowed_to(is_signed_in))
    }

    async fn plan_logout(&self, write: &WriteContext) -> Result<Planned<()>, AccountError> {
        let mut changes = self.scope.engine.set(write.actor());
        let found = self.scope.engine.reads().load_session(write.actor().identity()?.session).await?;
        if let Some((session, _)) = found.filter(|(session, _)| session.ended_at.is_none()) {
            write.check_version(session.version)?;
            end(&mut changes, &session);
        }
        Ok(Planned { changes, output: () })
    }

    /// Signs out on all devices: all of the caller's tokens are dead.
    ///
    /// # Errors
    /// [`CommonError::Access`] if nobody is signed in; [`CommonError::VersionMismatch`], of the user;
    /// [`CommonError::Store`].
    pub fn logout_everywhere(&self) -> Write<(), AccountError> {
        let plan = OneCommit::new("accounts.logout_everywhere", self.clone(), (), |accounts, write, ()| {
            Box::pin(accounts.plan_logout_everywhere(write))
        });
        self.scope.write(plan.allowed_to(is_signed_in))
    }

    async fn plan_logout_everywhere(&self, write: &WriteContext) -> Result<Planned<()>, AccountError> {
        let before = self.signed_in(write.actor()).await?;
        write.check_version(before.version)?;
        let mut changes = self.scope.engine.set(write.actor());
        let mut after = before.clone();
        end_all(&mut after, changes.at());
        after.updated_at = changes.at();
        changes.update(&before, &mut after);
        Ok(Planned { changes, output: () })
    }
}

fn end(changes: &mut ChangeSet, before: &Session) {
    let mut after = before.clone();
    after.ended_at = Some(changes.at());
    changes.update(before, &mut after);
}
