//! A new e-mail address: asked for with the password, confirmed at the new address, told to the old one.

use super::{AccountError, Accounts, MailTokenKind, User, recovery::spend, register::email_taken, session::end_all};
use crate::{
    context::{Identity, RequestContext},
    engine::Planned,
    error::Invalid,
    event::{DomainEvent, Notice, Task},
    store::{Aggregate, Claim},
};

impl Accounts {
    /// Mails a link to a new address, which makes it the actor's once it is confirmed, and a notice to the present one. Doesn't
    /// tell whether the new address belongs to another account: then only the notice is sent. Beyond
    /// [`mailed_links`](crate::Settings::mailed_links), quietly nothing is.
    ///
    /// # Errors
    /// `invalid_email`; `unchanged` for the present address; [`AccountError::InvalidCredentials`] if the password is wrong,
    /// which counts as a sign-in that failed; [`AccountError::TooManyAttempts`].
    pub async fn change_email(&self, call: &RequestContext, email: &str, password: &str) -> Result<(), AccountError> {
        call.actor.identity()?;
        let (email, password) = (self.engine.new_email(email)?, password.to_owned());
        self.run(call, |this, call| async move {
            let user = this.signed_in(&call.actor).await?;
            let attempt = this.take_attempt(&user.email).await?;
            this.prove_password(&user, &password).await?;
            if email == user.email {
                return Err(Invalid::field("/email", "unchanged", "is your address already").into());
            }
            let may_mail = this.may_mail(user.id).await? && this.may_mail_to(&email).await?;
            if !may_mail {
                tracing::warn!(user = %user.id, "one link more was asked for than is mailed in a quarter of an hour");
            }
            let plan = || async {
                let before = this.signed_in(&call.actor).await?;
                if before.password_hash != user.password_hash {
                    this.prove_password(&before, &password).await?;
                }
                let mut changes = this.engine.set(&call.actor);
                changes.assert(before.root(), before.version);
                if let Some(attempt) = attempt {
                    changes.forget(attempt);
                }
                if may_mail {
                    let (ids, now) = (this.engine.ids(), changes.at());
                    let token = this.token_for(&mut changes, &before, MailTokenKind::ChangeEmail, &email);
                    let link = Notice::ChangeEmail { user: before.id, token };
                    let notice = Notice::EmailChangeRequested { user: before.id, token };
                    changes.task(ids, now, Task::Send { message: link });
                    changes.task(ids, now, Task::Send { message: notice });
                }
                Ok(Planned { changes, output: () })
            };
            this.engine.transact(&call, plan, |_| None::<AccountError>).await.map(drop)
        })
        .await
    }

    /// Makes an address the actor's by the token that was mailed to it. Their other sessions end, as do links that were mailed
    /// to the former address; orders that were placed with the new one by a guest become theirs. Only the user who asked for the
    /// change can confirm it: if the address was mistyped, the stranger who gets the link can't take the account over.
    ///
    /// # Errors
    /// [`AccountError::InvalidMailToken`] if it is unknown, used, too old or another user's; [`AccountError::EmailTaken`] if
    /// somebody registered the address meanwhile.
    pub async fn confirm_email_change(&self, call: &RequestContext, token: &str) -> Result<User, AccountError> {
        let identity = call.actor.identity()?;
        let token = token.trim().to_owned();
        self.run(call, |this, call| async move {
            let plan = || this.plan_email_change(&call, identity, &token);
            let done = this.save_user(&call, plan, email_taken).await;
            this.shared().forget(identity.user);
            done.map(|done| done.value)
        })
        .await
    }

    async fn plan_email_change(
        &self,
        call: &RequestContext,
        identity: Identity,
        token: &str,
    ) -> Result<Planned<User>, AccountError> {
        let (mail, before) = self.find_mail_token(token, MailTokenKind::ChangeEmail).await?;
        let email = mail.email.clone().filter(|_| mail.user_id == identity.user);
        let email = email.ok_or(AccountError::InvalidMailToken)?;
        let mut changes = self.engine.set(&call.actor);
        spend(&mut changes, &mail);
        let mut user = User { email, email_confirmed: true, updated_at: changes.at(), ..before.clone() };
        end_all(&mut user, changes.at());
        changes.free(Claim::email(&before.email), user.id).hold(Claim::email(&user.email), user.id);
        changes.update(&before, &mut user);
        changes.event(self.engine.ids(), user.root(), user.version, DomainEvent::EmailChanged { user: user.id });
        self.spare_session(&mut changes, identity, &user).await?;
        self.join_orders(&mut changes, &user).await?;
        Ok(Planned { changes, output: user })
    }
}
