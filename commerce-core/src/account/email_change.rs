//! A new e-mail address: asked for with the password, confirmed at the new address, told to the old one.

use super::{
    AccountError, Accounts, MailTokenKind, User,
    attempts::{PasswordWrite, take_back},
    is_signed_in,
    recovery::spend,
    register::email_taken,
    session::end_all,
};
use crate::{
    engine::Planned,
    error::Invalid,
    event::{DomainEvent, Notice, Task},
    store::{Aggregate, Attempt, Claim},
    token::MailedToken,
    write::{OneCommit, Write, WriteContext},
};

/// Who wants another address.
#[derive(Clone)]
struct EmailChange {
    email: String,
    password: String,
}

impl std::fmt::Debug for EmailChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmailChange").field("email", &self.email).finish_non_exhaustive()
    }
}

impl Accounts {
    /// Mails a link to a new address, which makes it the caller's once it is confirmed, and a notice to the present one. Doesn't
    /// tell whether the new address belongs to another account: then only the notice is sent. Beyond
    /// [`mailed_links`](crate::Settings::mailed_links), quietly nothing is.
    ///
    /// A prepared write has counted the attempt already, in a commit of its own; its change-set takes the count back.
    ///
    /// # Errors
    /// [`CommonError::Access`](crate::error::CommonError::Access); `invalid_email`; `unchanged` for the present address;
    /// [`AccountError::InvalidCredentials`] if the password is wrong, which counts as a sign-in that failed;
    /// [`AccountError::TooManyAttempts`].
    pub fn change_email(&self, email: impl Into<String>, password: impl Into<String>) -> Write<(), AccountError> {
        let input = EmailChange { email: email.into(), password: password.into() };
        self.scope.write(PasswordWrite::new(
            self.clone(),
            input,
            |accounts, write, EmailChange { email, .. }| {
                Box::pin(async move {
                    write.actor().identity()?;
                    accounts.scope.engine.new_email(email)?;
                    Ok(accounts.signed_in(write.actor()).await?.email)
                })
            },
            |accounts, input| {
                let plan =
                    OneCommit::new("accounts.change_email", accounts, input, |accounts, write, (input, attempt)| {
                        Box::pin(accounts.plan_change_email(write, input, *attempt))
                    });
                plan.fingerprinted_by(|accounts, (EmailChange { email, password }, _)| {
                    accounts.seal(&[email, password])
                })
            },
        ))
    }

    async fn plan_change_email(
        &self,
        write: &WriteContext,
        EmailChange { email, password }: &EmailChange,
        attempt: Option<Attempt>,
    ) -> Result<Planned<()>, AccountError> {
        let email = self.scope.engine.new_email(email)?;
        let before = self.signed_in(write.actor()).await?;
        self.prove_password(&before, password).await?;
        if email == before.email {
            return Err(Invalid::field("/email", "unchanged", "is your address already").into());
        }
        write.check_version(before.version)?;
        let mut changes = self.scope.engine.set(write.actor());
        changes.assert(before.root(), before.version);
        take_back(attempt, &mut changes);
        if self.may_mail(&mut changes, before.id, Some(&email)).await? {
            let (ids, now) = (self.scope.engine.ids(), changes.at());
            let token = self.token_for(&mut changes, &before, MailTokenKind::ChangeEmail, &email);
            let link = Notice::ChangeEmail { user: before.id, token };
            let notice = Notice::EmailChangeRequested { user: before.id, token };
            changes.task(ids, now, Task::Send { message: link });
            changes.task(ids, now, Task::Send { message: notice });
        } else {
            tracing::warn!(user = %before.id, "one link more was asked for than is mailed in a quarter of an hour");
        }
        Ok(Planned { changes, output: () })
    }

    /// Makes an address the caller's by the token that was mailed to it. Their other sessions end, as do links that were mailed
    /// to the former address; orders that were placed with the new one by a guest become theirs. Only the user who asked for the
    /// change can confirm it: if the address was mistyped, the stranger who gets the link can't take the account over.
    ///
    /// # Errors
    /// [`AccountError::InvalidMailToken`] if it is unknown, used, too old or another user's; [`AccountError::EmailTaken`] if
    /// somebody registered the address meanwhile.
    pub fn confirm_email_change(&self, token: impl Into<MailedToken>) -> Write<User, AccountError> {
        let plan = self.user_write("accounts.confirm_email_change", token.into(), |accounts, write, token| {
            Box::pin(accounts.plan_confirm_email_change(write, token))
        });
        self.scope.write(
            plan.allowed_to(is_signed_in)
                .fingerprinted_by(|accounts, token| accounts.seal(&[&token.0]))
                .refused_by(|_, conflicts| email_taken(conflicts)),
        )
    }

    async fn plan_confirm_email_change(
        &self,
        write: &WriteContext,
        token: &MailedToken,
    ) -> Result<Planned<User>, AccountError> {
        let identity = write.actor().identity()?;
        let (mail, before) = self.find_mail_token(token, MailTokenKind::ChangeEmail).await?;
        let email = mail.email.clone().filter(|_| mail.user_id == identity.user);
        let email = email.ok_or(AccountError::InvalidMailToken)?;
        write.check_version(before.version)?;
        let mut changes = self.scope.engine.set(write.actor());
        spend(&mut changes, &mail);
        let mut user = User { email, email_confirmed: true, updated_at: changes.at(), ..before.clone() };
        end_all(&mut user, changes.at());
        changes.free(Claim::email(&before.email), user.id).hold(Claim::email(&user.email), user.id);
        changes.update(&before, &mut user);
        changes.event(self.scope.engine.ids(), user.root(), user.version, DomainEvent::EmailChanged { user: user.id });
        self.spare_session(&mut changes, identity, &user).await?;
        self.join_orders(&mut changes, &user).await?;
        Ok(Planned { changes, output: user })
    }
}
