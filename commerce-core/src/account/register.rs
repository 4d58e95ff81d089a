//! New accounts: customers who register, and users made by an admin or the command line.

use std::fmt;

use super::{AccountError, Accounts, MailTokenKind, User, email::in_letters, phone::phone as phone_of, rules};
use crate::{
    context::{Done, Permission, RequestContext, Role},
    engine::{Conflicts, Planned},
    error::Invalid,
    event::{DomainEvent, Notice, Task},
    id::UserId,
    store::{Aggregate, Claim, ClaimKind},
};

/// What somebody says of themselves when they register.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Registration {
    /// Their e-mail address; unique.
    pub email: String,
    /// Their password, in the clear.
    pub password: String,
    /// First name; may be empty if the last name isn't.
    pub first_name: String,
    /// Last name; may be empty if the first name isn't.
    pub last_name: String,
    /// Phone number.
    pub phone: Option<String>,
}

impl Registration {
    /// Somebody without a phone number.
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
    /// # Errors
    /// [`AccountError::EmailTaken`]; `invalid_email`, `weak_password` and other rules broken by the input.
    pub async fn register(
        &self,
        call: &RequestContext,
        registration: Registration,
    ) -> Result<Done<User>, AccountError> {
        self.run(call, |this, call| async move {
            let new_user = this.validate(registration).await?;
            let plan = || async { Ok(this.create(&call, &new_user, Role::Customer, false)) };
            this.save_user(&call, plan, email_taken).await
        })
        .await
    }

    /// Registers a customer in a transaction of the embedder's own.
    ///
    /// # Errors
    /// Rules broken by the input. That the address is taken shows when the changes are applied.
    pub async fn plan_register(
        &self,
        call: &RequestContext,
        registration: Registration,
    ) -> Result<Planned<User>, AccountError> {
        let new_user = self.validate(registration).await?;
        Ok(self.create(call, &new_user, Role::Customer, false))
    }

    /// Makes a user with a role, whose address counts as confirmed. For admins and the shop itself. As nobody proved to own the
    /// address, no orders of guests join the account.
    ///
    /// # Errors
    /// As [`Self::register`], and if the actor may not edit users.
    pub async fn create_user(
        &self,
        call: &RequestContext,
        registration: Registration,
        role: Role,
    ) -> Result<Done<User>, AccountError> {
        call.actor.require(Permission::EditUsers)?;
        self.run(call, |this, call| async move {
            let new_user = this.validate(registration).await?;
            let plan = || async { Ok(this.create(&call, &new_user, role, true)) };
            this.save_user(&call, plan, email_taken).await
        })
        .await
    }

    async fn validate(&self, registration: Registration) -> Result<NewUser, AccountError> {
        let Registration { email, password, first_name, last_name, phone } = registration;
        let mut invalid = Invalid::default();
        let email = self.engine.new_email(&email).unwrap_or_else(|wrong| {
            invalid.errors.extend(wrong.errors);
            email
        });
        let known = vec![email.clone(), first_name.clone(), last_name.clone()];
        self.shared().passwords.validate(&mut invalid, "/password", &password, known).await?;
        let (first_name, last_name) = rules::names(&mut invalid, &first_name, &last_name, "/first_name");
        let phone = phone_of(&mut invalid, phone.as_deref(), "/phone");
        invalid.into_result()?;
        // Versions before kept the domain in letters; no such account is new, so it needn't be guarded by the commit.
        if let Some(letters) = in_letters(&email)
            && self.engine.reads().load_user_by_email(&letters).await?.is_some()
        {
            return Err(AccountError::EmailTaken);
        }
        let password_hash = self.shared().passwords.hash(&password).await?;
        Ok(NewUser { email, password_hash, first_name, last_name, phone })
    }

    fn create(&self, call: &RequestContext, new_user: &NewUser, role: Role, confirmed: bool) -> Planned<User> {
        let ids = self.engine.ids();
        let mut changes = self.engine.set(&call.actor);
        let now = changes.at();
        let mut user = User {
            id: UserId(self.engine.uuid()),
            email: new_user.email.clone(),
            email_confirmed: confirmed,
            password_hash: new_user.password_hash.clone(),
            first_name: new_user.first_name.clone(),
            last_name: new_user.last_name.clone(),
            phone: new_user.phone.clone(),
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
        if !confirmed {
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
