//! One way to change an order: a pure rule, a commit with all that follows, and then the gateway.

use super::{Order, OrderError, OrderStatus, Orders, Withdrawn};
use crate::{
    clock::Timestamp,
    context::{Done, RequestContext},
    engine::{Conflicts, Planned, Replay},
    error::Invalid,
    event::{DomainEvent, Notice, Task},
    fail_point::FailPoint,
    id::{IdGenerator, OrderId, PaymentId, RefundId, VariantId},
    payment::processor::send,
    store::{AggregateId, ChangeSet, MovementKind, StockDelta},
};

/// What an edit of an order brings with it, in the same commit; refunds and voids are then carried out at the gateway.
#[derive(Default)]
pub(crate) struct Effects {
    pub events: Vec<DomainEvent>,
    pub notices: Vec<Notice>,
    pub stock: Vec<(VariantId, i64, MovementKind)>,
    pub refunds: Vec<RefundId>,
    pub voids: Vec<PaymentId>,
    pub captures: Vec<PaymentId>,
}

impl Effects {
    /// What follows from units that left what is to be delivered: their stock, and that the order, which `was` in that status,
    /// or items of it are cancelled.
    pub fn withdrawn(&mut self, order: &Order, was: OrderStatus, goods: Withdrawn, kind: MovementKind, reason: &str) {
        let Withdrawn { cancelled, back } = goods;
        self.stock.extend(back.into_iter().map(|item| (item.variant_id, i64::from(item.quantity), kind)));
        let (id, reason) = (order.id, reason.to_owned());
        if order.status == OrderStatus::Cancelled && was != OrderStatus::Cancelled {
            self.events.push(DomainEvent::OrderCancelled { order: id, reason });
            self.notices.push(Notice::OrderCancelled { order: id });
        } else if !cancelled.is_empty() {
            self.events.push(DomainEvent::OrderLinesCancelled { order: id, reason });
        }
    }

    /// Writes down what follows from a change of an order, which the set holds already: stock, events and messages.
    pub fn write(&mut self, set: &mut ChangeSet, ids: &dyn IdGenerator, before: &Order, after: &Order) {
        let id = after.id;
        if after.status == OrderStatus::Completed && before.status != OrderStatus::Completed {
            self.events.push(DomainEvent::OrderCompleted { order: id });
        }
        for (variant, units, kind) in self.stock.drain(..) {
            let delta = StockDelta { on_hand: units, ..StockDelta::default() };
            set.move_stock(variant, delta, Some((kind, Some(id), None)));
        }
        for event in self.events.drain(..) {
            set.event(ids, AggregateId::Order(id), after.version, event);
        }
        for notice in self.notices.drain(..) {
            send(set, ids, notice);
        }
    }
}

impl Orders {
    /// Changes an order by a pure rule and commits what follows; then carries out refunds and voids at the gateway.
    /// Calls on one order take turns within the process.
    pub(crate) async fn edit<T>(
        &self,
        call: &RequestContext,
        id: OrderId,
        rule: impl Fn(&mut Order, &mut Effects, Timestamp) -> Result<T, OrderError> + Send + Sync,
    ) -> Result<Done<(Order, T)>, OrderError>
    where
        T: serde::Serialize + serde::de::DeserializeOwned + Send + Sync + Copy,
    {
        let _turn = self.engine.queues.turn(id).await;
        let rule = &rule;
        let plan = || async move {
            let planned = self.plan_edit(call, id, rule).await;
            FailPoint::Edit.reach().await;
            planned
        };
        let refuse = |conflicts: &Conflicts| {
            conflicts.short().map(|(variant_id, available)| OrderError::OutOfStock { variant_id, available })
        };
        let done = self.engine.transact_as(call, plan, |(_, _, value): &(Order, Effects, T)| *value, refuse).await?;
        let processor = self.processor();
        let (mut order, effects, value) = match done {
            Replay::Fresh(output) => output,
            Replay::Replayed(value) => return Ok(Done::again((processor.load(id).await?, value))),
        };
        FailPoint::Edited.reach().await;
        for refund in effects.refunds {
            order = Box::pin(processor.refund(order, refund)).await?.0;
        }
        for payment in effects.voids {
            order = processor.void(order, payment).await?.0;
        }
        Ok(Done::fresh((order, value)))
    }

    async fn plan_edit<T>(
        &self,
        call: &RequestContext,
        id: OrderId,
        rule: &(impl Fn(&mut Order, &mut Effects, Timestamp) -> Result<T, OrderError> + Sync),
    ) -> Result<Planned<(Order, Effects, T)>, OrderError> {
        let before = self.processor().load(id).await?;
        let mut changes = self.engine.set(&call.actor);
        let (mut order, mut effects) = (before.clone(), Effects::default());
        let value = rule(&mut order, &mut effects, changes.at())?;
        if order == before {
            return Ok(Planned { changes, output: (order, effects, value) });
        }
        for refund in &effects.refunds {
            self.processor().round_refund(&mut order, *refund)??;
        }
        order.updated_at = changes.at();
        changes.update(&before, &mut order);
        let (ids, root) = (self.engine.ids(), AggregateId::Order(id));
        for refund in &effects.refunds {
            self.processor().watch_refund(&mut changes, id, *refund);
            let amount = order.refund_mut(*refund)?.amount;
            let event = DomainEvent::RefundRequested { order: id, refund: *refund, amount };
            changes.event(ids, root, order.version, event);
        }
        for payment in &effects.voids {
            let due = changes.at() + self.engine.settings.gateway_lease;
            changes.task(ids, due, Task::VoidPayment { order: id, payment: *payment });
        }
        for payment in &effects.captures {
            let due = changes.at() + self.engine.settings.gateway_lease + std::time::Duration::from_secs(1);
            changes.task(ids, due, Task::SettlePayment { order: id, payment: *payment });
        }
        effects.write(&mut changes, ids, &before, &order);
        Ok(Planned { changes, output: (order, effects, value) })
    }
}

/// Reasons have lines.
pub(crate) fn check_text(text: &str, pointer: &str, min: usize, max: usize) -> Result<(), Invalid> {
    let mut invalid = Invalid::default();
    invalid.check_lines(text, pointer, min, max);
    invalid.into_result()
}
