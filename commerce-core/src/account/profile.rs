//! The signed-in user's own account: profile and password.

use super::{
    AccountError, Accounts, User,
    addresses::setters,
    attempts::{PasswordWrite, take_back},
    is_signed_in,
    password::Check,
    phone::phone,
    rules,
};
use crate::{
    context::Identity,
    engine::Planned,
    error::Invalid,
    event::DomainEvent,
    store::{Aggregate, Attempt, ChangeSet},
    write::{OneCommit, Write, WriteContext},
};

/// What to change of a profile; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfilePatch {
    first_name: Option<String>,
    last_name: Option<String>,
    phone: Option<String>,
}

impl ProfilePatch {
    /// Changes that change nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    setters! {
        /// Another first name, which an empty text takes away if the last name stays; `None` keeps it.
        first_name,
        /// Another last name, which an empty text takes away if the first name stays; `None` keeps it.
        last_name,
        /// Another phone number, which an empty text takes away; `None` keeps it.
        phone,
    }
}

/// Who wants another password.
#[derive(Clone)]
struct PasswordChange {
    current: String,
    new: String,
}

impl std::fmt::Debug for PasswordChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordChange(…)")
    }
}

impl Accounts {
    /// The signed-in user.
    ///
    /// # Errors
    /// [`CommonError::Access`](crate::error::CommonError::Access) if nobody is signed in;
    /// [`CommonError::Store`](crate::error::CommonError::Store).
    pub async fn me(&self) -> Result<User, AccountError> {
        self.signed_in(self.scope.actor()).await
    }

    /// Changes the caller's profile.
    ///
    /// # Errors
    /// [`CommonError::Access`](crate::error::CommonError::Access);
    /// [`CommonError::Invalid`](crate::error::CommonError::Invalid);
    /// [`CommonError::VersionMismatch`](crate::error::CommonError::VersionMismatch).
    pub fn update_profile(&self, patch: ProfilePatch) -> Write<User, AccountError> {
        let plan = self.user_write("accounts.update_profile", patch, |accounts, write, patch| {
            Box::pin(accounts.plan_update_profile(write, patch))
        });
        self.scope.write(plan.allowed_to(is_signed_in))
    }

    async fn plan_update_profile(
        &self,
        write: &WriteContext,
        patch: &ProfilePatch,
    ) -> Result<Planned<User>, AccountError> {
        let before = self.signed_in(write.actor()).await?;
        let mut changes = self.scope.engine.set(write.actor());
        let mut user = before.clone();
        let mut invalid = Invalid::default();
        if patch.first_name.is_some() || patch.last_name.is_some() {
            let first = patch.first_name.as_ref().unwrap_or(&before.first_name);
            let last = patch.last_name.as_ref().unwrap_or(&before.last_name);
            let blamed = if patch.first_name.is_some() { "/first_name" } else { "/last_name" };
            (user.first_name, user.last_name) = rules::names(&mut invalid, first, last, blamed);
        }
        if let Some(text) = &patch.phone {
            user.phone = phone(&mut invalid, Some(text), "/phone");
        }
        invalid.into_result()?;
        write.check_version(before.version)?;
        user.updated_at = changes.at();
        changes.update(&before, &mut user);
        changes.event(self.scope.engine.ids(), user.root(), user.version, DomainEvent::UserChanged { user: user.id });
        Ok(Planned { changes, output: user })
    }

    /// Changes the caller's password. Their other sessions end; the one that asks goes on.
    ///
    /// A prepared write has counted the attempt already, in a commit of its own; its change-set takes the count back.
    ///
    /// # Errors
    /// [`AccountError::InvalidCredentials`] if `current` is wrong, which counts as a sign-in that failed;
    /// [`AccountError::TooManyAttempts`]; `weak_password` at `/new_password`.
    pub fn change_password(&self, current: impl Into<String>, new: impl Into<String>) -> Write<(), AccountError> {
        let input = PasswordChange { current: current.into(), new: new.into() };
        self.scope.write(PasswordWrite::new(
            self.clone(),
            input,
            |accounts, write, _| Box::pin(async { Ok(accounts.signed_in(write.actor()).await?.email) }),
            |accounts, input| {
                let plan =
                    OneCommit::new("accounts.change_password", accounts, input, |accounts, write, (input, attempt)| {
                        Box::pin(accounts.plan_change_password(write, input, *attempt))
                    });
                plan.fingerprinted_by(|accounts, (PasswordChange { current, new }, _)| accounts.seal(&[current, new]))
            },
        ))
    }

    async fn plan_change_password(
        &self,
        write: &WriteContext,
        PasswordChange { current, new }: &PasswordChange,
        attempt: Option<Attempt>,
    ) -> Result<Planned<()>, AccountError> {
        let identity = write.actor().identity()?;
        let before = self.signed_in(write.actor()).await?;
        self.prove_password(&before, current).await?;
        let password_hash = self.new_password_hash(&before, new).await?;
        write.check_version(before.version)?;
        let mut changes = self.scope.engine.set(write.actor());
        let user = self.replace_password(&mut changes, &before, &password_hash);
        take_back(attempt, &mut changes);
        self.spare_session(&mut changes, identity, &user).await?;
        Ok(Planned { changes, output: () })
    }

    /// Has the session that proved to know the password begin anew, where the user's others end.
    pub(super) async fn spare_session(
        &self,
        changes: &mut ChangeSet,
        identity: Identity,
        user: &User,
    ) -> Result<(), AccountError> {
        if let Some((old, _)) = self.scope.engine.reads().load_session(identity.session).await? {
            let mut session = old.clone();
            session.created_at = user.sessions_from;
            changes.update(&old, &mut session);
        }
        Ok(())
    }

    pub(super) async fn prove_password(&self, user: &User, password: &str) -> Result<(), AccountError> {
        match self.cache().passwords.check(password, Some(&user.password_hash)).await? {
            Check::Wrong => Err(AccountError::InvalidCredentials),
            Check::Right | Check::Rehashed(_) => Ok(()),
        }
    }
}
