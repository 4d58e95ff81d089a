//! Orders that somebody placed as a guest become theirs once they prove that the address is theirs, and never before. An order
//! placed as a guest afterwards stays a guest's: whoever types an address doesn't prove to own it.

use std::collections::BTreeSet;

use super::{AccountError, Accounts, User};
use crate::{
    engine::Planned,
    error::CommonError,
    event::{DomainEvent, Task},
    id::{ProductId, UserId},
    order::{OrderQuery, OrderStatus},
    page::PageSpec,
    review::{Review, ReviewQuery},
    store::{Aggregate, ChangeSet, StoreError},
    write::{OneCommit, WriteContext},
};

/// How many orders join in the commit that confirms the address. Those of who has more follow by a task, as many at a time.
const AT_ONCE: u32 = 100;

impl Accounts {
    /// Adds the user's orders as a guest, newest first, to the set that confirms their address.
    pub(super) async fn join_orders(&self, changes: &mut ChangeSet, user: &User) -> Result<(), AccountError> {
        let query = OrderQuery { of_guests: true, email: Some(user.email.clone()), ..OrderQuery::default() };
        let listed = self.scope.engine.reads().list_orders(&query, &PageSpec::first(AT_ONCE)).await?;
        let mut bought = BTreeSet::new();
        for before in &listed.items {
            let mut order = before.clone();
            order.customer_id = Some(user.id);
            order.updated_at = changes.at();
            changes.update(before, &mut order);
            let event = DomainEvent::OrderJoinedAccount { order: order.id, user: user.id };
            changes.event(self.scope.engine.ids(), order.root(), order.version, event);
            if matches!(order.status, OrderStatus::Confirmed | OrderStatus::Completed) {
                bought.extend(order.lines.iter().map(|line| line.product_id));
            }
        }
        if listed.next.is_some() {
            let due = changes.at();
            changes.task(self.scope.engine.ids(), due, Task::JoinOrders { user: user.id });
        }
        self.verify_reviews(changes, user.id, &bought).await
    }

    /// Marks the user's reviews of what they turn out to have bought.
    async fn verify_reviews(
        &self,
        changes: &mut ChangeSet,
        user: UserId,
        bought: &BTreeSet<ProductId>,
    ) -> Result<(), AccountError> {
        if bought.is_empty() {
            return Ok(());
        }
        let query = ReviewQuery { customer: Some(user), ..ReviewQuery::default() };
        let mut spec = PageSpec::first(100);
        loop {
            let listed = self.scope.engine.reads().list_reviews(&query, &spec).await?;
            for before in &listed.items {
                if before.verified_purchase || !bought.contains(&before.product_id) {
                    continue;
                }
                let mut after = Review { verified_purchase: true, updated_at: changes.at(), ..before.clone() };
                changes.update(before, &mut after);
                let event = DomainEvent::ReviewChanged { review: after.id, product: after.product_id };
                changes.event(self.scope.engine.ids(), after.root(), after.version, event);
            }
            match listed.next {
                Some(next) => spec.after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Has more of a user's orders as a guest join, until none is left.
    pub(crate) async fn join_more_orders(&self, id: UserId) -> Result<(), CommonError> {
        let plan = OneCommit::new("accounts.join_orders", self.clone(), id, |accounts, write, id| {
            Box::pin(accounts.plan_join_more_orders(write, *id))
        });
        match self.scope.write(plan).await {
            Ok(()) => Ok(()),
            Err(AccountError::Common(error)) => Err(error),
            Err(error) => Err(StoreError::bug(error).into()),
        }
    }

    async fn plan_join_more_orders(&self, write: &WriteContext, id: UserId) -> Result<Planned<()>, AccountError> {
        let mut changes = self.scope.engine.set(write.actor());
        let user = self.scope.engine.reads().load_user(id).await?;
        if let Some(user) = user.filter(|user| user.email_confirmed && !user.email.is_empty()) {
            changes.assert(user.root(), user.version);
            self.join_orders(&mut changes, &user).await?;
        }
        Ok(Planned { changes, output: () })
    }
}
