//! Erasing an account.

use async_trait::async_trait;
use serde_json::Value;

use super::{AccountError, Accounts, User, is_signed_in, session::end_all};
use crate::{
    context::{Actor, RequestContext, Role},
    engine::{Engine, Planned, Replay},
    error::CommonError,
    event::DomainEvent,
    id::UserId,
    order::{Order, OrderQuery},
    page::PageSpec,
    review::{Review, ReviewQuery},
    store::{Aggregate, ChangeSet, Claim, Reads},
    write::{OneCommit, Operation, Outcome, PreparedWrite, Write, WriteContext},
};

/// How many orders or reviews one commit clears.
const AT_ONCE: u32 = 100;

/// What a user left in reviews and orders is cleared before the account, some at a time; a prepared write holds it all.
struct Erase(Accounts);

impl Accounts {
    /// Erases the caller's account: their address is free again, and nothing that tells who they were is left but in their
    /// orders, which the law wants kept. Their name is taken from reviews and their notes from orders.
    ///
    /// Awaited, it clears reviews and orders in commits of their own before the account goes. Prepared, it is one change-set,
    /// however many there are.
    ///
    /// # Errors
    /// [`CommonError::Access`] if nobody is signed in; [`AccountError::LastAdmin`]; [`CommonError::VersionMismatch`], of the
    /// user; [`CommonError::Store`].
    pub fn erase(&self) -> Write<(), AccountError> {
        self.scope.write(Erase(self.clone()))
    }

    async fn plan_erase(&self, write: &WriteContext, with_traces: bool) -> Result<Planned<()>, AccountError> {
        let before = self.signed_in(write.actor()).await?;
        write.check_version(before.version)?;
        let mut changes = self.scope.engine.set(write.actor());
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
        changes.event(self.scope.engine.ids(), user.root(), user.version, DomainEvent::UserErased { user: user.id });
        let reads = self.scope.engine.reads();
        for address in reads.list_addresses(user.id).await? {
            changes.remove(address.root(), address.version);
        }
        // They hold addresses.
        for token in reads.list_mail_tokens(user.id).await? {
            changes.remove(token.root(), token.version);
        }
        for session in reads.list_sessions(user.id).await? {
            let mut ended = session.clone();
            ended.ended_at = Some(now);
            (ended.ip, ended.user_agent) = (None, None);
            changes.update(&session, &mut ended);
        }
        if with_traces {
            clear_all(reads, &mut changes, user.id).await?;
        }
        Ok(Planned { changes, output: () })
    }
}

impl Erase {
    fn write(&self, with_traces: bool) -> OneCommit<Accounts, bool, (), AccountError> {
        OneCommit::new("accounts.erase", self.0.clone(), with_traces, |accounts, write, with_traces| {
            Box::pin(accounts.plan_erase(write, *with_traces))
        })
        .allowed_to(is_signed_in)
    }

    /// Clears what a user left, in as many commits as it takes.
    async fn clear(&self, engine: &Engine, actor: &Actor) -> Result<(), AccountError> {
        let user = self.0.signed_in(actor).await?;
        // Nothing is cleared for who must stay.
        self.0.keep_an_admin(&mut engine.set(actor), &user).await?;
        let call = RequestContext::by(actor.clone());
        for trace in [Trace::Reviews, Trace::Orders] {
            let mut page = Some(PageSpec::first(AT_ONCE));
            while let Some(spec) = page {
                let plan = || async {
                    let mut changes = engine.set(actor);
                    let output = trace.clear(engine.reads(), &mut changes, user.id, &spec).await?;
                    Ok(Planned { changes, output })
                };
                let cleared = engine.transact(&call, plan, |_| Ok(Value::Null), |_| None::<AccountError>).await?;
                page = match cleared {
                    Replay::Fresh(next) => next,
                    Replay::Replayed(_) => None,
                };
            }
        }
        Ok(())
    }
}

#[async_trait]
impl Operation<(), AccountError> for Erase {
    fn describe(&self) -> (&'static str, String) {
        ("accounts.erase", String::new())
    }

    async fn run(&self, engine: &Engine, context: &WriteContext) -> Result<Outcome<()>, AccountError> {
        if engine.replay::<Value>(&context.call).await?.is_none() {
            self.clear(engine, context.actor()).await?;
        }
        self.write(false).run(engine, context).await
    }

    async fn prepare(&self, engine: &Engine, context: &WriteContext) -> Result<PreparedWrite<()>, AccountError> {
        self.write(true).prepare(engine, context).await
    }
}

/// Where somebody leaves what tells who they are.
#[derive(Clone, Copy)]
enum Trace {
    /// The author's name of reviews, which stay.
    Reviews,
    /// The notes of orders, which stay.
    Orders,
}

impl Trace {
    /// Clears a page of what a user left; answers the next page.
    async fn clear(
        self,
        reads: &dyn Reads,
        changes: &mut ChangeSet,
        user: UserId,
        page: &PageSpec,
    ) -> Result<Option<PageSpec>, CommonError> {
        let now = changes.at();
        let next = match self {
            Self::Reviews => {
                let query = ReviewQuery { customer: Some(user), ..ReviewQuery::default() };
                let listed = reads.list_reviews(&query, page).await?;
                for before in listed.items.iter().filter(|review| !review.author.is_empty()) {
                    changes.update(before, &mut Review { author: String::new(), ..before.clone() });
                }
                listed.next
            }
            Self::Orders => {
                let query = OrderQuery { customer: Some(user), ..OrderQuery::default() };
                let listed = reads.list_orders(&query, page).await?;
                for before in listed.items.iter().filter(|order| order.note.is_some()) {
                    changes.update(before, &mut Order { note: None, updated_at: now, ..before.clone() });
                }
                listed.next
            }
        };
        Ok(next.map(|next| PageSpec { after: Some(next), ..PageSpec::first(AT_ONCE) }))
    }
}

/// Clears everything a user left.
async fn clear_all(reads: &dyn Reads, changes: &mut ChangeSet, user: UserId) -> Result<(), CommonError> {
    for trace in [Trace::Reviews, Trace::Orders] {
        let mut page = Some(PageSpec::first(AT_ONCE));
        while let Some(spec) = page {
            page = trace.clear(reads, changes, user, &spec).await?;
        }
    }
    Ok(())
}
