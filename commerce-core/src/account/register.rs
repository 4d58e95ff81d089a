//! New accounts: customers who register, and users made by an admin or the command line.

use std::fmt;

use super::{AccountError, Accounts, MailTokenKind, User, email::in_letters, phone::phone as phone_of, rules};
use crate::{
    context::{Permission, Role},
    engine::{Conflicts, Planned},
    error::Invalid,
    event::{DomainEvent, Notice, Task},
    id::UserId,
    store::{Aggregate, Claim, ClaimKind},
    write::{Write, WriteContext},
};

/// What somebody says of themselves when they register.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registration {
    email: String,
    password: String,
    first_name: String,
    last_name: String,
    phone: Option<String>,
}

impl Registration {
    /// Somebody with an e-mail address that no other account has, a password in the clear, and a first and a last name, of which
    /// one may be empty.
    pub fn new(
        email: impl Into<String>,
        password: impl Into<String>,
        first_name: impl Into<String>,
        last_name: impl Into<String>,
    ) -> Self {
        Self {
            email: email.into(),
            password: password.into(),
            first_name: first_name.into(),
            last_name: last_name.into(),
            phone: None,
        }
    }

    /// Their phone number.
    #[must_use]
    pub fn phone(mut self, phone: impl Into<Option<String>>) -> Self {
        self.phone = phone.into();
        self
    }

    fn sealed(&self, accounts: &Accounts) -> String {
        let Self { email, password, first_name, last_name, phone } = self;
        accounts.seal(&[email, password, first_name, last_name, phone.as_deref().unwrap_or_default()])
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registration(…)")
    }
}

/// A registration that keeps all rules, with the password hashed.
struct NewUser {
    email: String,
    password_hash: String,
    first_name: String,
    last_name: String,
    phone: Option<String>,
}

impl Accounts {
    /// Registers a customer, and mails them a token that confirms their address. They aren't signed in by it.
    ///
    /// That an address is taken is known to a prepared write only when its change-set is applied: then its claim is taken.
    ///
    /// # Errors
    /// [`AccountError::EmailTaken`]; `invalid_email`, `weak_password` and other rules broken by the input;
    /// [`CommonError::Idempotency`](crate::error::CommonError::Idempotency).
    pub fn register(&self, registration: Registration) -> Write<User, AccountError> {
        let plan = self.user_write("accounts.register", registration, |accounts, write, registration| {
            Box::pin(accounts.plan_register(write, registration))
        });
        self.scope.write(
            plan.fingerprinted_by(|accounts, registration| registration.sealed(accounts))
                .refused_by(|_, conflicts| email_taken(conflicts)),
        )
    }

    async fn plan_register(
        &self,
        write: &WriteContext,
        registration: &Registration,
    ) -> Result<Planned<User>, AccountError> {
        let new_user = self.validate(registration).await?;
        Ok(self.create(write, new_user, Role::Customer, false))
    }

    /// Makes a user with a role, whose address counts as confirmed. For admins and the shop itself. As nobody proved to own the
    /// address, no orders of guests join the account.
    ///
    /// # Errors
    /// As [`Self::register`], and [`CommonError::Access`](crate::error::CommonError::Access) if the caller may not edit users.
    pub fn create_user(&self, registration: Registration, role: Role) -> Write<User, AccountError> {
        let input = (registration, role);
        let plan = self.user_write("accounts.create_user", input, |accounts, write, (registration, role)| {
            Box::pin(accounts.plan_create_user(write, registration, *role))
        });
        self.scope.write(
            plan.allowed_to(|actor| actor.require(Permission::EditUsers))
                .fingerprinted_by(|accounts, (registration, role)| {
                    format!("{role:?} {}", registration.sealed(accounts))
                })
                .refused_by(|_, conflicts| email_taken(conflicts)),
        )
    }

    async fn plan_create_user(
        &self,
        write: &WriteContext,
        registration: &Registration,
        role: Role,
    ) -> Result<Planned<User>, AccountError> {
        let new_user = self.validate(registration).await?;
        Ok(self.create(write, new_user, role, true))
    }

    async fn validate(&self, registration: &Registration) -> Result<NewUser, AccountError> {
        let Registration { email, password, first_name, last_name, phone } = registration;
        let mut invalid = Invalid::default();
        let email = self.scope.engine.new_email(email).unwrap_or_else(|wrong| {
            invalid.errors.extend(wrong.errors);
            email.clone()
        });
        let known = vec![email.clone(), first_name.clone(), last_name.clone()];
        self.cache().passwords.validate(&mut invalid, "/password", password, known).await?;
        let (first_name, last_name) = rules::names(&mut invalid, first_name, last_name, "/first_name");
        let phone = phone_of(&mut invalid, phone.as_deref(), "/phone");
        invalid.into_result()?;
        // Versions before kept the domain in letters; no such account is new, so it needn't be guarded by the commit.
        if let Some(letters) = in_letters(&email)
            && self.scope.engine.reads().load_user_by_email(&letters).await?.is_some()
        {
            return Err(AccountError::EmailTaken);
        }
        let password_hash = self.cache().passwords.hash(password).await?;
        Ok(NewUser { email, password_hash, first_name, last_name, phone })
    }

    fn create(&self, write: &WriteContext, new_user: NewUser, role: Role, email_confirmed: bool) -> Planned<User> {
        let ids = self.scope.engine.ids();
        let mut changes = self.scope.engine.set(write.actor());
        let now = changes.at();
        let mut user = User {
            id: UserId(self.scope.engine.uuid()),
            email: new_user.email,
            email_confirmed,
            password_hash: new_user.password_hash,
            first_name: new_user.first_name,
            last_name: new_user.last_name,
            phone: new_user.phone,
            role,
            disabled: false,
            sessions_from: now,
            created_at: now,
            updated_at: now,
            version: 0,
        };
        changes.hold(Claim::email(&user.email), user.id);
        changes.insert(&mut user);
        changes.event(ids, user.root(), user.version, DomainEvent::UserRegistered { user: user.id });
        if !email_confirmed {
            let token = self.mail_token(&mut changes, &user, MailTokenKind::ConfirmEmail);
            let message = Notice::ConfirmEmail { user: user.id, token };
            changes.task(ids, now, Task::Send { message });
        }
        Planned { changes, output: user }
    }
}

pub(super) fn email_taken(conflicts: &Conflicts) -> Option<AccountError> {
    conflicts.taken(ClaimKind::Email).then_some(AccountError::EmailTaken)
}
