//! Sessions as their owner sees them: the devices they are signed in on, and signing out.

use super::{
    AccountError, Accounts, Session,
    session::{end_all, is_alive},
};
use crate::{
    context::{Actor, RequestContext},
    engine::Planned,
    error::CommonError,
    id::SessionId,
};

impl Accounts {
    /// The actor's sessions that are alive, newest first.
    ///
    /// # Errors
    /// If nobody is signed in.
    pub async fn sessions(&self, actor: &Actor) -> Result<Vec<Session>, AccountError> {
        let user = self.signed_in(actor).await?;
        let now = self.engine.now();
        let mut sessions = self.engine.reads().list_sessions(user.id).await?;
        sessions.retain(|session| is_alive(session, &user, now) && now < session.idle_expires_at);
        Ok(sessions)
    }

    /// Signs one of the actor's devices out.
    ///
    /// # Errors
    /// [`CommonError::NotFound`] if it isn't a live session of the actor's.
    pub async fn revoke_session(&self, call: &RequestContext, id: SessionId) -> Result<(), AccountError> {
        let identity = call.actor.identity()?;
        let found = self.engine.reads().load_session(id).await?;
        let now = self.engine.now();
        found
            .filter(|(session, user)| user.id == identity.user && is_alive(session, user, now))
            .ok_or(CommonError::NotFound("session"))?;
        self.run(call, |this, call| async move { this.end_session(&call.actor, id).await }).await
    }

    /// Signs out: the access and refresh tokens of the actor's session are dead, or of all their sessions.
    ///
    /// # Errors
    /// If nobody is signed in.
    pub async fn logout(&self, call: &RequestContext, everywhere: bool) -> Result<(), AccountError> {
        let identity = call.actor.identity()?;
        self.run(call, |this, call| async move {
            if everywhere {
                this.end_all_sessions(&call).await
            } else {
                this.end_session(&call.actor, identity.session).await
            }
        })
        .await
    }

    /// Ends one of a user's sessions, if it hasn't ended.
    pub(super) async fn end_session(&self, actor: &Actor, id: SessionId) -> Result<(), AccountError> {
        let plan = || async {
            let mut changes = self.engine.set(actor);
            if let Some((before, _)) = self.engine.reads().load_session(id).await?
                && before.ended_at.is_none()
            {
                let mut after = before.clone();
                after.ended_at = Some(changes.at());
                changes.update(&before, &mut after);
            }
            Ok(Planned { changes, output: () })
        };
        let done = self.engine.transact(&RequestContext::by(actor.clone()), plan, |_| None::<AccountError>).await;
        if let Some(user) = actor.user() {
            self.shared().forget(user);
        }
        done.map(drop)
    }

    async fn end_all_sessions(&self, call: &RequestContext) -> Result<(), AccountError> {
        let plan = || async {
            let before = self.signed_in(&call.actor).await?;
            let mut changes = self.engine.set(&call.actor);
            let mut after = before.clone();
            end_all(&mut after, changes.at());
            after.updated_at = changes.at();
            changes.update(&before, &mut after);
            Ok(Planned { changes, output: before.id })
        };
        let done = self.engine.transact(call, plan, |_| None::<AccountError>).await;
        if let Some(user) = call.actor.user() {
            self.shared().forget(user);
        }
        done.map(drop)
    }
}
