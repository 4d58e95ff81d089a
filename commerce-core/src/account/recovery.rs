//! What mailed tokens do: confirm an address, set a new password.

use async_trait::async_trait;

use super::{
    AccountError, Accounts, MailToken, MailTokenKind, User,
    session::{begin, end_all},
};
use crate::{
    engine::{Engine, Planned},
    error::Invalid,
    event::{DomainEvent, Notice, Task},
    id::MailTokenId,
    store::{Aggregate, ChangeSet},
    token::{MailedToken, digest},
    write::{OneCommit, Operation, Outcome, PreparedWrite, Write, WriteContext},
};

/// Who sets a new password by a link.
struct PasswordReset {
    token: MailedToken,
    new_password: String,
}

impl std::fmt::Debug for PasswordReset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordReset(…)")
    }
}

impl Accounts {
    /// Confirms an e-mail address by the token that was mailed to it. Orders that were placed with it by a guest become the
    /// user's.
    ///
    /// # Errors
    /// [`AccountError::InvalidMailToken`] if it is unknown, used or too old.
    pub fn confirm_email(&self, token: impl Into<MailedToken>) -> Write<User, AccountError> {
        let plan = self.user_write("accounts.confirm_email", token.into(), |accounts, write, token| {
            Box::pin(accounts.plan_confirm_email(write, token))
        });
        self.scope.write(plan.fingerprinted_by(|accounts, token| accounts.seal(&[&token.0])))
    }

    async fn plan_confirm_email(
        &self,
        write: &WriteContext,
        token: &MailedToken,
    ) -> Result<Planned<User>, AccountError> {
        let (mail, before) = self.find_mail_token(token, MailTokenKind::ConfirmEmail).await?;
        write.check_version(before.version)?;
        let mut changes = self.scope.engine.set(write.actor());
        spend(&mut changes, &mail);
        let mut user = before.clone();
        user.email_confirmed = true;
        user.updated_at = changes.at();
        changes.update(&before, &mut user);
        let event = DomainEvent::EmailConfirmed { user: user.id };
        changes.event(self.scope.engine.ids(), user.root(), user.version, event);
        self.join_orders(&mut changes, &user).await?;
        Ok(Planned { changes, output: user })
    }

    /// Mails another confirmation token, if the address belongs to an account that isn't confirmed and hasn't been mailed
    /// [as many](crate::Settings::mailed_links). Doesn't tell whether it does, and answers before it knows.
    ///
    /// A prepared write does know: its change-set is empty if nothing is to be mailed.
    ///
    /// # Errors
    /// None once it is awaited: what goes wrong afterwards is logged. Prepared, [`CommonError::Store`].
    ///
    /// [`CommonError::Store`]: crate::error::CommonError::Store
    pub fn resend_confirmation(&self, email: impl Into<String>) -> Write<(), AccountError> {
        self.scope.write(MailLink::new("accounts.resend_confirmation", self, MailTokenKind::ConfirmEmail, email.into()))
    }

    /// Mails a token that sets a new password, if the address belongs to an account that hasn't been mailed
    /// [as many](crate::Settings::mailed_links). Doesn't tell whether it does, and answers before it knows.
    ///
    /// A prepared write does know: its change-set is empty if nothing is to be mailed.
    ///
    /// # Errors
    /// None once it is awaited: what goes wrong afterwards is logged. Prepared, [`CommonError::Store`].
    ///
    /// [`CommonError::Store`]: crate::error::CommonError::Store
    pub fn forgot_password(&self, email: impl Into<String>) -> Write<(), AccountError> {
        self.scope.write(MailLink::new("accounts.forgot_password", self, MailTokenKind::ResetPassword, email.into()))
    }

    /// Sets a new password by a mailed token, ends all sessions and says so by mail.
    ///
    /// # Errors
    /// [`AccountError::InvalidMailToken`] if the token is unknown, used or too old; `weak_password` at `/new_password`.
    pub fn reset_password(
        &self,
        token: impl Into<MailedToken>,
        new_password: impl Into<String>,
    ) -> Write<(), AccountError> {
        let input = PasswordReset { token: token.into(), new_password: new_password.into() };
        let plan = OneCommit::new("accounts.reset_password", self.clone(), input, |accounts, write, input| {
            Box::pin(accounts.plan_reset_password(write, input))
        });
        self.scope.write(plan.fingerprinted_by(|accounts, PasswordReset { token, new_password }| {
            accounts.seal(&[&token.0, new_password])
        }))
    }

    async fn plan_reset_password(
        &self,
        write: &WriteContext,
        PasswordReset { token, new_password }: &PasswordReset,
    ) -> Result<Planned<()>, AccountError> {
        let (mail, before) = self.find_mail_token(token, MailTokenKind::ResetPassword).await?;
        let password_hash = self.new_password_hash(&before, new_password).await?;
        write.check_version(before.version)?;
        let mut changes = self.scope.engine.set(write.actor());
        spend(&mut changes, &mail);
        self.replace_password(&mut changes, &before, &password_hash);
        Ok(Planned { changes, output: () })
    }

    /// Judges a user's new password, and hashes it.
    pub(super) async fn new_password_hash(&self, user: &User, password: &str) -> Result<String, AccountError> {
        let mut invalid = Invalid::default();
        let known = vec![user.email.clone(), user.first_name.clone(), user.last_name.clone()];
        self.cache().passwords.validate(&mut invalid, "/new_password", password, known).await?;
        invalid.into_result()?;
        Ok(self.cache().passwords.hash(password).await?)
    }

    /// Gives a user a new password, ends all their sessions, and mails them that it happened.
    pub(super) fn replace_password(&self, changes: &mut ChangeSet, before: &User, password_hash: &str) -> User {
        let (ids, now) = (self.scope.engine.ids(), changes.at());
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
            MailTokenKind::ConfirmEmail | MailTokenKind::ChangeEmail => self.scope.engine.settings.confirm_ttl,
            MailTokenKind::ResetPassword => self.scope.engine.settings.reset_ttl,
        };
        let id = MailTokenId(self.scope.engine.uuid());
        let hash = digest(&self.scope.engine.signer.mail_token(id));
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
        token: &MailedToken,
        kind: MailTokenKind,
    ) -> Result<(MailToken, User), AccountError> {
        let token = token.0.trim();
        let id = self.scope.engine.signer.open_mail_token(token).ok_or(AccountError::InvalidMailToken)?;
        let mail = self.scope.engine.reads().load_mail_token(id).await?;
        let mail = mail
            .filter(|mail| mail.kind == kind && mail.used_at.is_none() && mail.hash == digest(token))
            .filter(|mail| self.scope.engine.now() < mail.expires_at)
            .ok_or(AccountError::InvalidMailToken)?;
        let user = self.scope.engine.reads().load_user(mail.user_id).await?;
        let user = user.filter(|user| is_good_for(&mail, user)).ok_or(AccountError::InvalidMailToken)?;
        Ok((mail, user))
    }

    async fn plan_mail(
        &self,
        write: &WriteContext,
        kind: MailTokenKind,
        email: &str,
    ) -> Result<Planned<()>, AccountError> {
        let mut changes = self.scope.engine.set(write.actor());
        let user = self.find_by_email(email).await?.filter(|user| {
            let settled = kind == MailTokenKind::ConfirmEmail && user.email_confirmed;
            !user.disabled && !settled
        });
        let Some(user) = user else { return Ok(Planned { changes, output: () }) };
        if !self.may_mail(&mut changes, user.id, None).await? {
            tracing::warn!(user = %user.id, ?kind, "one link more was asked for than is mailed in a quarter of an hour");
            return Ok(Planned { changes, output: () });
        }
        let (ids, now) = (self.scope.engine.ids(), changes.at());
        let token = self.mail_token(&mut changes, &user, kind);
        let message = match kind {
            MailTokenKind::ConfirmEmail => Notice::ConfirmEmail { user: user.id, token },
            MailTokenKind::ResetPassword => Notice::ResetPassword { user: user.id, token },
            MailTokenKind::ChangeEmail => Notice::ChangeEmail { user: user.id, token },
        };
        changes.task(ids, now, Task::Send { message });
        Ok(Planned { changes, output: () })
    }
}

/// Mails a token once the caller has its answer: the time it takes tells nobody which accounts there are.
struct MailLink {
    name: &'static str,
    accounts: Accounts,
    kind: MailTokenKind,
    email: String,
}

impl MailLink {
    fn new(name: &'static str, accounts: &Accounts, kind: MailTokenKind, email: String) -> Self {
        Self { name, accounts: accounts.clone(), kind, email }
    }

    fn write(&self) -> OneCommit<Accounts, (MailTokenKind, String), (), AccountError> {
        let input = (self.kind, self.email.clone());
        OneCommit::new(self.name, self.accounts.clone(), input, |accounts, write, (kind, email)| {
            Box::pin(accounts.plan_mail(write, *kind, email))
        })
    }
}

#[async_trait]
impl Operation<(), AccountError> for MailLink {
    fn describe(&self) -> (&'static str, String) {
        self.write().describe()
    }

    async fn run(&self, engine: &Engine, context: &WriteContext) -> Result<Outcome<()>, AccountError> {
        let (write, accounts, context) = (self.write(), self.accounts.clone(), context.clone());
        drop(engine.writes.spawn(async move {
            if let Err(error) = write.run(&accounts.scope.engine, &context).await {
                tracing::error!(%error, "a message that was asked for couldn't be put in the queue");
            }
        }));
        Ok(Outcome::fresh(()))
    }

    async fn prepare(&self, engine: &Engine, context: &WriteContext) -> Result<PreparedWrite<()>, AccountError> {
        self.write().prepare(engine, context).await
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
