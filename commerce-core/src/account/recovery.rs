//! What mailed tokens do: confirm an address, set a new password.

use super::{
    AccountError, Accounts, MailToken, MailTokenKind, User,
    session::{begin, end_all},
};
use crate::token::digest;
use crate::{
    context::RequestContext,
    engine::Planned,
    error::Invalid,
    event::{DomainEvent, Notice, Task},
    id::MailTokenId,
    store::{Aggregate, ChangeSet},
};

impl Accounts {
    /// Confirms an e-mail address by the token that was mailed to it. Orders that were placed with it by a guest become the
    /// user's.
    ///
    /// # Errors
    /// [`AccountError::InvalidMailToken`] if it is unknown, used or too old.
    pub async fn confirm_email(&self, call: &RequestContext, token: &str) -> Result<User, AccountError> {
        let token = token.trim().to_owned();
        self.run(call, |this, call| async move {
            let plan = || async {
                let (mail, before) = this.find_mail_token(&token, MailTokenKind::ConfirmEmail).await?;
                let mut changes = this.engine.set(&call.actor);
                spend(&mut changes, &mail);
                let mut user = before.clone();
                user.email_confirmed = true;
                user.updated_at = changes.at();
                changes.update(&before, &mut user);
                let event = DomainEvent::EmailConfirmed { user: user.id };
                changes.event(this.engine.ids(), user.root(), user.version, event);
                this.join_orders(&mut changes, &user).await?;
                Ok(Planned { changes, output: user })
            };
            this.save_user(&call, plan, |_| None).await.map(|done| done.value)
        })
        .await
    }

    /// Mails another confirmation token, if the address belongs to an account that isn't confirmed and hasn't been mailed
    /// [as many](crate::Settings::mailed_links). Doesn't tell whether it does, and answers before it knows.
    ///
    /// # Errors
    /// None so far.
    #[allow(clippy::unused_async)] // Like its neighbours, it may come to wait for something.
    pub async fn resend_confirmation(&self, call: &RequestContext, email: &str) -> Result<(), AccountError> {
        self.mail_later(call, email, MailTokenKind::ConfirmEmail);
        Ok(())
    }

    /// Mails a token that sets a new password, if the address belongs to an account that hasn't been mailed
    /// [as many](crate::Settings::mailed_links). Doesn't tell whether it does, and answers before it knows.
    ///
    /// # Errors
    /// None so far.
    #[allow(clippy::unused_async)] // Like its neighbours, it may come to wait for something.
    pub async fn forgot_password(&self, call: &RequestContext, email: &str) -> Result<(), AccountError> {
        self.mail_later(call, email, MailTokenKind::ResetPassword);
        Ok(())
    }

    /// Sets a new password by a mailed token, ends all sessions and says so by mail.
    ///
    /// # Errors
    /// [`AccountError::InvalidMailToken`] if the token is unknown, used or too old; `weak_password` at `/new_password`.
    pub async fn reset_password(
        &self,
        call: &RequestContext,
        token: &str,
        new_password: &str,
    ) -> Result<(), AccountError> {
        let (token, new_password) = (token.trim().to_owned(), new_password.to_owned());
        self.run(call, |this, call| async move {
            let (_, user) = this.find_mail_token(&token, MailTokenKind::ResetPassword).await?;
            let password_hash = this.new_password_hash(&user, &new_password).await?;
            let plan = || async {
                let (mail, before) = this.find_mail_token(&token, MailTokenKind::ResetPassword).await?;
                let mut changes = this.engine.set(&call.actor);
                spend(&mut changes, &mail);
                this.replace_password(&mut changes, &before, &password_hash);
                Ok(Planned { changes, output: () })
            };
            let done = this.engine.transact(&call, plan, |_| None::<AccountError>).await;
            this.shared().forget(user.id);
            done.map(drop)
        })
        .await
    }

    /// Judges a user's new password, and hashes it.
    pub(super) async fn new_password_hash(&self, user: &User, password: &str) -> Result<String, AccountError> {
        let mut invalid = Invalid::default();
        let known = vec![user.email.clone(), user.first_name.clone(), user.last_name.clone()];
        self.shared().passwords.validate(&mut invalid, "/new_password", password, known).await?;
        invalid.into_result()?;
        Ok(self.shared().passwords.hash(password).await?)
    }

    /// Gives a user a new password, ends all their sessions, and mails them that it happened.
    pub(super) fn replace_password(&self, changes: &mut ChangeSet, before: &User, password_hash: &str) -> User {
        let (ids, now) = (self.engine.ids(), changes.at());
        let mut user = before.clone();
        password_hash.clone_into(&mut user.password_hash);
        end_all(&mut user, now);
        user.updated_at = now;
        changes.update(before, &mut user);
        changes.event(ids, user.root(), user.version, DomainEvent::PasswordChanged { user: user.id });
        changes.task(ids, now, Task::Send { message: Notice::PasswordChanged { user: user.id } });
        user
    }

    /// Adds a token to be mailed to a user. What is kept of it is a hash.
    pub(super) fn mail_token(&self, changes: &mut ChangeSet, user: &User, kind: MailTokenKind) -> MailTokenId {
        self.token_for(changes, user, kind, &user.email)
    }

    /// As [`Self::mail_token`], to an address that needn't be the user's yet.
    pub(super) fn token_for(
        &self,
        changes: &mut ChangeSet,
        user: &User,
        kind: MailTokenKind,
        email: &str,
    ) -> MailTokenId {
        let now = changes.at();
        let ttl = match kind {
            MailTokenKind::ConfirmEmail | MailTokenKind::ChangeEmail => self.engine.settings.confirm_ttl,
            MailTokenKind::ResetPassword => self.engine.settings.reset_ttl,
        };
        let id = MailTokenId(self.engine.uuid());
        let hash = digest(&self.engine.signer.mail_token(id));
        let created_at = begin(user, now);
        let expires_at = now + ttl;
        changes.insert(&mut MailToken {
            id,
            user_id: user.id,
            kind,
            hash,
            expires_at,
            used_at: None,
            created_at,
            email: Some(email.to_owned()),
            former_email: (kind == MailTokenKind::ChangeEmail).then(|| user.email.clone()),
            version: 0,
        });
        id
    }

    /// The token and its user, if it is good now.
    pub(super) async fn find_mail_token(
        &self,
        token: &str,
        kind: MailTokenKind,
    ) -> Result<(MailToken, User), AccountError> {
        let id = self.engine.signer.open_mail_token(token).ok_or(AccountError::InvalidMailToken)?;
        let mail = self.engine.reads().load_mail_token(id).await?;
        let mail = mail
            .filter(|mail| mail.kind == kind && mail.used_at.is_none() && mail.hash == digest(token))
            .filter(|mail| self.engine.now() < mail.expires_at)
            .ok_or(AccountError::InvalidMailToken)?;
        let user = self.engine.reads().load_user(mail.user_id).await?;
        let user = user.filter(|user| is_good_for(&mail, user)).ok_or(AccountError::InvalidMailToken)?;
        Ok((mail, user))
    }

    /// Mails a token once the caller has its answer: the time it takes tells nobody which accounts there are.
    fn mail_later(&self, call: &RequestContext, email: &str, kind: MailTokenKind) {
        let (this, call, email) = (self.clone(), call.clone(), email.to_owned());
        drop(self.engine.writes.spawn(async move {
            if let Err(error) = this.mail_now(&call, &email, kind).await {
                tracing::error!(%error, ?kind, "a message that was asked for couldn't be put in the queue");
            }
        }));
    }

    async fn mail_now(&self, call: &RequestContext, email: &str, kind: MailTokenKind) -> Result<(), AccountError> {
        let Some(user) = self.find_by_email(email).await? else { return Ok(()) };
        if user.disabled || (kind == MailTokenKind::ConfirmEmail && user.email_confirmed) {
            return Ok(());
        }
        if !self.may_mail(user.id).await? {
            tracing::warn!(user = %user.id, ?kind, "one link more was asked for than is mailed in a quarter of an hour");
            return Ok(());
        }
        let mut changes = self.engine.set(&call.actor);
        let (ids, now) = (self.engine.ids(), changes.at());
        let token = self.mail_token(&mut changes, &user, kind);
        let message = match kind {
            MailTokenKind::ConfirmEmail => Notice::ConfirmEmail { user: user.id, token },
            MailTokenKind::ResetPassword => Notice::ResetPassword { user: user.id, token },
            MailTokenKind::ChangeEmail => Notice::ChangeEmail { user: user.id, token },
        };
        changes.task(ids, now, Task::Send { message });
        // The set has no guard that could fail: its one row is new.
        let _ = self.engine.commit(&mut changes).await?;
        Ok(())
    }
}

/// Whether a token still means its user as they are now.
fn is_good_for(mail: &MailToken, user: &User) -> bool {
    // What ends the sessions, a reset or another change of address, also voids what was asked for before.
    let is_younger = mail.created_at >= user.sessions_from;
    let is_theirs = match (mail.kind, &mail.email) {
        (MailTokenKind::ChangeEmail, Some(email)) => *email != user.email && is_younger,
        // Mailed to an address, it proves that address and no other.
        (MailTokenKind::ConfirmEmail, Some(email)) => *email == user.email,
        (MailTokenKind::ResetPassword, Some(email)) => *email == user.email && is_younger,
        (_, None) => is_younger,
    };
    is_theirs && !user.disabled
}

/// Marks a token as used. Its version guard lets only one of several callers do that.
pub(super) fn spend(changes: &mut ChangeSet, before: &MailToken) {
    let mut after = before.clone();
    after.used_at = Some(changes.at());
    changes.update(before, &mut after);
}
