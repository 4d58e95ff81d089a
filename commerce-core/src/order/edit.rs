//! One way to change an order: a pure rule, a commit with all that follows, and then the gateway.

use async_trait::async_trait;
use serde::{Serialize, de::DeserializeOwned};

use super::{Effects, Order, OrderChild, OrderError, Orders};
use crate::{
    clock::Timestamp,
    context::Permission,
    engine::{Conflicts, Engine, Planned, Replay},
    error::Invalid,
    event::{DomainEvent, Task},
    fail_point::FailPoint,
    id::OrderId,
    payment::processor::PaymentProcessor,
    store::{AggregateId, ChangeSet, StoreError},
    write::{Operation, Outcome, PreparedWrite, WriteContext},
};

/// A pure change of an order: what it becomes, what follows from that, and what the answer must remember.
pub(crate) type Rule<'r, K> = dyn Fn(&mut Order, &mut Effects, Timestamp) -> Result<K, OrderError> + Send + Sync + 'r;

/// An order that a rule has changed.
pub(crate) struct Edited<K> {
    pub order: Order,
    /// What the rule gave, now or when the call was made first.
    pub kept: K,
    /// Whether an earlier call with the same idempotency key had changed it already.
    pub replayed: bool,
}

/// Who calls the gateway for what an edit intends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Executor {
    /// Whoever commits the edit. The worker takes over if that comes to nothing.
    Caller,
    /// The worker, as soon as a host has committed the edit.
    Worker,
}

/// What an edit of an order may keep for its idempotency key.
pub(crate) trait Kept: Serialize + DeserializeOwned + Copy + Send + Sync + 'static {}

impl<K: Serialize + DeserializeOwned + Copy + Send + Sync + 'static> Kept for K {}

type PlannedEdit<K> = Planned<(Order, Effects, K)>;

impl Orders {
    /// Changes an order by a pure rule and commits what follows; then carries out refunds and voids at the gateway.
    /// Calls on one order take turns within the process.
    pub(crate) async fn edit<K: Kept>(
        &self,
        write: &WriteContext,
        id: OrderId,
        rule: &Rule<'_, K>,
    ) -> Result<Edited<K>, OrderError> {
        let engine = &self.scope.engine;
        let _turn = engine.queues.turn(id).await;
        let plan = || async move {
            let planned = self.plan_edit(write, id, rule, Executor::Caller).await;
            FailPoint::Edit.reach().await;
            planned
        };
        let refuse = |conflicts: &Conflicts| {
            conflicts.short().map(|(variant_id, available)| OrderError::OutOfStock { variant_id, available })
        };
        let record = |(_, _, kept): &(Order, Effects, K)| serde_json::to_value(kept);
        let processor = self.processor();
        let (mut order, effects, kept) = match engine.transact(&write.call, plan, record, refuse).await? {
            Replay::Fresh(planned) => planned,
            Replay::Replayed(kept) => {
                let kept = serde_json::from_value(kept).map_err(StoreError::bug)?;
                return Ok(Edited { order: processor.load(id).await?, kept, replayed: true });
            }
        };
        FailPoint::Edited.reach().await;
        for refund in effects.refunds {
            order = Box::pin(processor.refund(order, refund)).await?.0;
        }
        for payment in effects.voids {
            order = processor.void(order, payment).await?.0;
        }
        Ok(Edited { order, kept, replayed: false })
    }

    /// What [`Self::edit`] would commit.
    pub(crate) async fn plan_edit<K: Kept>(
        &self,
        write: &WriteContext,
        id: OrderId,
        rule: &Rule<'_, K>,
        executor: Executor,
    ) -> Result<PlannedEdit<K>, OrderError> {
        let engine = &self.scope.engine;
        let before = self.processor().load(id).await?;
        write.check_version(before.version)?;
        let mut changes = engine.set(write.actor());
        let (mut order, mut effects) = (before.clone(), Effects::default());
        let kept = rule(&mut order, &mut effects, changes.at())?;
        if order == before {
            return Ok(Planned { changes, output: (order, effects, kept) });
        }
        for refund in &effects.refunds {
            self.processor().round_refund(&mut order, *refund)??;
        }
        order.updated_at = changes.at();
        changes.update(&before, &mut order);
        self.watch_money(&mut changes, &mut order, &effects, executor)?;
        effects.write(&mut changes, engine.ids(), &before, &order);
        Ok(Planned { changes, output: (order, effects, kept) })
    }

    /// The tasks by which the worker carries out at the gateway what an edit intends, should nobody else.
    fn watch_money(
        &self,
        changes: &mut ChangeSet,
        order: &mut Order,
        effects: &Effects,
        executor: Executor,
    ) -> Result<(), OrderError> {
        let engine = &self.scope.engine;
        let (ids, id, now) = (engine.ids(), order.id, changes.at());
        let due = match executor {
            Executor::Caller => now + engine.settings.gateway_lease,
            Executor::Worker => now,
        };
        for refund in &effects.refunds {
            PaymentProcessor::watch_refund(changes, id, *refund, due);
            let amount = order.refund_mut(*refund)?.amount;
            let event = DomainEvent::RefundRequested { order: id, refund: *refund, amount };
            changes.event(ids, AggregateId::Order(id), order.version, event);
        }
        for payment in &effects.voids {
            changes.task(ids, due, Task::VoidPayment { order: id, payment: *payment });
        }
        for (payment, amount) in &effects.captures {
            let (payment, amount) = (*payment, *amount);
            match executor {
                // Only whoever intended the capture makes it. Recovery finds out whether it was made.
                Executor::Caller => {
                    let due = due + std::time::Duration::from_secs(1);
                    changes.task(ids, due, Task::SettlePayment { order: id, payment });
                }
                Executor::Worker => {
                    changes.task(ids, due, Task::CapturePayment { order: id, payment, amount });
                }
            }
        }
        Ok(())
    }
}

/// Who may make a write, and on which order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Admission {
    /// Whoever has this right.
    Staff(Permission, OrderId),
    /// Whoever has this right, on the order that a child belongs to; and what the child is called if there is none.
    StaffByChild(Permission, OrderChild, &'static str),
    /// Whoever may act on the order as its customer does.
    Customer(OrderId),
}

/// A write that changes one order by a pure rule, and then has the gateway do what follows from it. `K` is what is kept for
/// the write's idempotency key, from which the answer is made again.
pub(crate) struct EditWrite<K, T> {
    pub name: &'static str,
    /// All that the write was asked to do.
    pub input: String,
    pub orders: Orders,
    pub admission: Admission,
    /// Whether the input keeps the rules.
    pub checked: Result<(), Invalid>,
    pub rule: Box<Rule<'static, K>>,
    pub answer: fn(Order, K) -> Result<T, OrderError>,
}

impl<K, T> EditWrite<K, T> {
    /// Refuses whoever may not make the write, and wrong input; the order that it is about.
    async fn admit(&self) -> Result<OrderId, OrderError> {
        match self.admission {
            Admission::Staff(permission, id) => {
                self.orders.scope.actor().require(permission)?;
                self.checked.clone()?;
                Ok(id)
            }
            Admission::StaffByChild(permission, child, what) => {
                self.orders.scope.actor().require(permission)?;
                self.checked.clone()?;
                self.orders.order_of(child, what).await
            }
            Admission::Customer(id) => {
                self.orders.get_to_act_on(id).await?;
                self.checked.clone()?;
                Ok(id)
            }
        }
    }
}

#[async_trait]
impl<K: Kept, T: Send + 'static> Operation<T, OrderError> for EditWrite<K, T> {
    fn describe(&self) -> (&'static str, String) {
        (self.name, self.input.clone())
    }

    async fn run(&self, _engine: &Engine, write: &WriteContext) -> Result<Outcome<T>, OrderError> {
        let id = self.admit().await?;
        let Edited { order, kept, replayed } = self.orders.edit(write, id, &*self.rule).await?;
        Ok(Outcome { value: (self.answer)(order, kept)?, replayed })
    }

    async fn prepare(&self, engine: &Engine, write: &WriteContext) -> Result<PreparedWrite<T>, OrderError> {
        let id = self.admit().await?;
        if let Some(kept) = engine.replay(&write.call).await? {
            let output = (self.answer)(self.orders.processor().load(id).await?, kept)?;
            return Ok(PreparedWrite { changes: engine.set(write.actor()), output, replayed: true });
        }
        let Planned { mut changes, output: (order, _, kept) } =
            self.orders.plan_edit(write, id, &*self.rule, Executor::Worker).await?;
        engine.complete(&mut changes, &write.call, || serde_json::to_value(kept))?;
        Ok(PreparedWrite { changes, output: (self.answer)(order, kept)?, replayed: false })
    }
}

/// The child of an order that a write has made.
pub(crate) fn child_of<C: crate::store::Child + Clone>(children: &[C], id: &C::Key) -> Result<C, OrderError> {
    let found = children.iter().find(|child| child.key() == *id).cloned();
    found.ok_or_else(|| StoreError::bug("the order lacks what was added to it").into())
}

/// Reasons have lines.
pub(crate) fn check_text(text: &str, pointer: &str, min: usize, max: usize) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    invalid.check_lines(text, pointer, min, max);
    invalid.into_result()
}
