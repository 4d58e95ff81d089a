//! The signed-in user's own account: profile, password, erasure.

use super::{AccountError, Accounts, User, expect_version, password::Check, phone::phone, rules, session::end_all};
use crate::{
    context::{Actor, Identity, RequestContext, Role},
    engine::Planned,
    error::Invalid,
    event::DomainEvent,
    id::{OrderId, ReviewId, UserId},
    order::OrderQuery,
    page::PageSpec,
    review::ReviewQuery,
    store::{Aggregate, ChangeSet, Claim, Version},
};

/// What to change of a profile; what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProfilePatch {
    /// First name; empty takes it away, if the last name stays.
    pub first_name: Option<String>,
    /// Last name; empty takes it away, if the first name stays.
    pub last_name: Option<String>,
    /// Phone number; `Some(None)` takes it away.
    pub phone: Option<Option<String>>,
}

impl Accounts {
    /// The signed-in user.
    ///
    /// # Errors
    /// If nobody is signed in.
    pub async fn me(&self, actor: &Actor) -> Result<User, AccountError> {
        self.signed_in(actor).await
    }

    /// Changes the actor's profile.
    ///
    /// # Errors
    /// Rules broken by the input; [`crate::error::CommonError::VersionMismatch`].
    pub async fn update_profile(
        &self,
        call: &RequestContext,
        patch: ProfilePatch,
        expected: Option<Version>,
    ) -> Result<User, AccountError> {
        call.actor.identity()?;
        self.run(call, |this, call| async move {
            let plan = || this.plan_update_profile(&call, patch.clone(), expected);
            this.save_user(&call, plan, |_| None).await.map(|done| done.value)
        })
        .await
    }

    /// Changes the actor's profile in a transaction of the embedder's own.
    ///
    /// # Errors
    /// As [`Self::update_profile`].
    pub async fn plan_update_profile(
        &self,
        call: &RequestContext,
        patch: ProfilePatch,
        expected: Option<Version>,
    ) -> Result<Planned<User>, AccountError> {
        let before = self.signed_in(&call.actor).await?;
        let mut changes = self.engine.set(&call.actor);
        let mut user = before.clone();
        let mut invalid = Invalid::default();
        if patch.first_name.is_some() || patch.last_name.is_some() {
            let first = patch.first_name.as_ref().unwrap_or(&before.first_name);
            let last = patch.last_name.as_ref().unwrap_or(&before.last_name);
            let blamed = if patch.first_name.is_some() { "/first_name" } else { "/last_name" };
            (user.first_name, user.last_name) = rules::names(&mut invalid, first, last, blamed);
        }
        if let Some(text) = patch.phone {
            user.phone = phone(&mut invalid, text.as_deref(), "/phone");
        }
        invalid.into_result()?;
        expect_version(expected, before.version)?;
        user.updated_at = changes.at();
        changes.update(&before, &mut user);
        changes.event(self.engine.ids(), user.root(), user.version, DomainEvent::UserChanged { user: user.id });
        Ok(Planned { changes, output: user })
    }

    /// Changes the actor's password. Their other sessions end; the one that asks goes on.
    ///
    /// # Errors
    /// [`AccountError::InvalidCredentials`] if `current` is wrong, which counts as a sign-in that failed; `weak_password` at
    /// `/new_password`.
    pub async fn change_password(&self, call: &RequestContext, current: &str, new: &str) -> Result<(), AccountError> {
        let identity = call.actor.identity()?;
        let (current, new) = (current.to_owned(), new.to_owned());
        self.run(call, |this, call| async move {
            let user = this.signed_in(&call.actor).await?;
            let attempt = this.take_attempt(&user.email).await?;
            this.prove_password(&user, &current).await?;
            let password_hash = this.new_password_hash(&user, &new).await?;
            let plan = || async {
                let before = this.signed_in(&call.actor).await?;
                if before.password_hash != user.password_hash {
                    this.prove_password(&before, &current).await?;
                }
                let mut changes = this.engine.set(&call.actor);
                let user = this.replace_password(&mut changes, &before, &password_hash);
                if let Some(attempt) = attempt {
                    changes.forget(attempt);
                }
                this.spare_session(&mut changes, identity, &user).await?;
                Ok(Planned { changes, output: () })
            };
            let done = this.engine.transact(&call, plan, |_| None::<AccountError>).await;
            this.shared().forget(identity.user);
            done.map(drop)
        })
        .await
    }

    /// Has the session that proved to know the password begin anew, where the user's others end.
    pub(super) async fn spare_session(
        &self,
        changes: &mut ChangeSet,
        identity: Identity,
        user: &User,
    ) -> Result<(), AccountError> {
        if let Some((old, _)) = self.engine.reads().load_session(identity.session).await? {
            let mut session = old.clone();
            session.created_at = user.sessions_from;
            changes.update(&old, &mut session);
        }
        Ok(())
    }

    pub(super) async fn prove_password(&self, user: &User, password: &str) -> Result<(), AccountError> {
        match self.shared().passwords.check(password, Some(&user.password_hash)).await? {
            Check::Wrong => Err(AccountError::InvalidCredentials),
            Check::Right | Check::Rehashed(_) => Ok(()),
        }
    }

    /// Erases the actor's account: their address is free again, and nothing that tells who they were is left but in their
    /// orders, which the law wants kept.
    ///
    /// # Errors
    /// [`AccountError::LastAdmin`].
    pub async fn erase(&self, call: &RequestContext) -> Result<(), AccountError> {
        let identity = call.actor.identity()?;
        self.run(call, |this, call| async move {
            let mut changes = this.engine.set(&call.actor);
            this.keep_an_admin(&mut changes, &this.signed_in(&call.actor).await?).await?;
            this.unname_reviews(&call.actor, identity.user).await?;
            this.drop_notes(&call.actor, identity.user).await?;
            let done = this.engine.transact(&call, || this.plan_erase(&call.actor), |_| None).await;
            this.shared().forget(identity.user);
            done.map(drop)
        })
        .await
    }

    async fn plan_erase(&self, actor: &Actor) -> Result<Planned<()>, AccountError> {
        let before = self.signed_in(actor).await?;
        let mut changes = self.engine.set(actor);
        let now = changes.at();
        self.keep_an_admin(&mut changes, &before).await?;
        let mut user = User {
            email: String::new(),
            email_confirmed: false,
            password_hash: String::new(),
            first_name: String::new(),
            last_name: String::new(),
            phone: None,
            role: Role::Customer,
            disabled: true,
            updated_at: now,
            ..before.clone()
        };
        end_all(&mut user, now);
        changes.free(Claim::email(&before.email), user.id);
        changes.update(&before, &mut user);
        changes.event(self.engine.ids(), user.root(), user.version, DomainEvent::UserErased { user: user.id });
        for address in self.engine.reads().list_addresses(user.id).await? {
            changes.remove(address.root(), address.version);
        }
        // They hold addresses.
        for token in self.engine.reads().list_mail_tokens(user.id).await? {
            changes.remove(token.root(), token.version);
        }
        for session in self.engine.reads().list_sessions(user.id).await? {
            let mut ended = session.clone();
            ended.ended_at = Some(now);
            (ended.ip, ended.user_agent) = (None, None);
            changes.update(&session, &mut ended);
        }
        Ok(Planned { changes, output: () })
    }

    /// Takes the author's name from a user's reviews, some at a time; the reviews stay.
    async fn unname_reviews(&self, actor: &Actor, customer: UserId) -> Result<(), AccountError> {
        let query = ReviewQuery { customer: Some(customer), ..ReviewQuery::default() };
        let mut spec = PageSpec::first(100);
        loop {
            let listed = self.engine.reads().list_reviews(&query, &spec).await?;
            for review in listed.items {
                self.unname_review(actor, review.id).await?;
            }
            match listed.next {
                Some(next) => spec.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Takes a user's notes from their orders; the orders stay.
    async fn drop_notes(&self, actor: &Actor, customer: UserId) -> Result<(), AccountError> {
        let query = OrderQuery { customer: Some(customer), ..OrderQuery::default() };
        let mut spec = PageSpec::first(100);
        loop {
            let listed = self.engine.reads().list_orders(&query, &spec).await?;
            for order in listed.items.into_iter().filter(|order| order.note.is_some()) {
                self.drop_note(actor, order.id).await?;
            }
            match listed.next {
                Some(next) => spec.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn drop_note(&self, actor: &Actor, id: OrderId) -> Result<(), AccountError> {
        let plan = || async {
            let mut changes = self.engine.set(actor);
            if let Some(before) = self.engine.reads().load_order(id).await?
                && before.note.is_some()
            {
                let mut after = before.clone();
                after.note = None;
                after.updated_at = changes.at();
                changes.update(&before, &mut after);
            }
            Ok(Planned { changes, output: () })
        };
        self.engine.transact(&RequestContext::by(actor.clone()), plan, |_| None::<AccountError>).await.map(drop)
    }

    async fn unname_review(&self, actor: &Actor, id: ReviewId) -> Result<(), AccountError> {
        let plan = || async {
            let mut changes = self.engine.set(actor);
            if let Some(before) = self.engine.reads().load_review(id).await?
                && !before.author.is_empty()
            {
                let mut after = before.clone();
                after.author.clear();
                changes.update(&before, &mut after);
            }
            Ok(Planned { changes, output: () })
        };
        self.engine.transact(&RequestContext::by(actor.clone()), plan, |_| None::<AccountError>).await.map(drop)
    }
}
