//! Giving orders up, whole or in part.

use super::{Effects, Order, OrderError, OrderStatus, Orders, edit::check_text};
use crate::{
    call::{Call, Permission},
    clock::Timestamp,
    event::{DomainEvent, Notice},
    id::{OrderId, RefundId},
    payment::{LineQuantity, NewRefund, PaymentStatus},
    store::{MovementKind, StoreError},
};

impl Orders {
    /// Gives an order up before anything has left: stock goes back, the payment is voided or refunded.
    ///
    /// # Errors
    /// [`OrderError::AlreadyShipped`] afterwards; [`OrderError::PaymentBusy`] while its payment is being made.
    pub async fn cancel(&self, call: &Call, id: OrderId) -> Result<Order, OrderError> {
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                this.get_to_act_on(&call.actor, id).await?;
                this.take_out(&call, id, Vec::new(), "cancelled by the customer".to_owned()).await
            })
            .await
    }

    /// Staff's cancel: of the whole order, or of items that haven't been put into a parcel.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; else as [`Self::cancel`], and [`OrderError::QuantityExceeded`].
    pub async fn admin_cancel(
        &self,
        call: &Call,
        id: OrderId,
        items: Vec<LineQuantity>,
        reason: Option<String>,
    ) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let reason = reason.unwrap_or_else(|| "cancelled by the shop".to_owned());
        check_text(&reason, "/reason", 1, 500)?;
        let (this, call) = (self.clone(), call.clone());
        self.engine.run(async move { this.take_out(&call, id, items, reason).await }).await
    }

    async fn take_out(
        &self,
        call: &Call,
        id: OrderId,
        items: Vec<LineQuantity>,
        reason: String,
    ) -> Result<Order, OrderError> {
        let order = self.process().load(id).await?;
        if order.status == OrderStatus::Pending {
            let given_up = self.give_up_pending(order, &items).await?;
            if given_up.status != OrderStatus::Confirmed {
                return Ok(given_up);
            }
        }
        let done =
            self.edit(call, id, |order, effects, now| self.cancel_rule(order, items.clone(), &reason, effects, now));
        done.await.map(|done| done.value.0)
    }

    /// An order whose payment is open is given up at the gateway first. Its payment may turn out to have succeeded.
    async fn give_up_pending(&self, order: Order, items: &[LineQuantity]) -> Result<Order, OrderError> {
        if !items.is_empty() {
            let (from, to) = (order.status.as_str().to_owned(), "partly cancelled".to_owned());
            return Err(super::state::NoSuchMove { from, to }.into());
        }
        let Some(payment) = order.payments.last().cloned() else {
            return Err(StoreError::bug("a pending order without a payment").into());
        };
        if payment.lease_until.is_some_and(|until| until > self.engine.now()) {
            return Err(OrderError::PaymentBusy);
        }
        let given_up = self.process().give_up(order, payment.id, crate::payment::CANCELLED).await?;
        given_up.map_err(|_| OrderError::GatewayUnavailable)
    }

    /// What cancelling a confirmed order, or items of it, means for stock and money.
    fn cancel_rule(
        &self,
        order: &mut Order,
        items: Vec<LineQuantity>,
        reason: &str,
        effects: &mut Effects,
        now: Timestamp,
    ) -> Result<(), OrderError> {
        let Some(payment) = order.payments.last().cloned() else {
            return Err(StoreError::bug("an order without a payment").into());
        };
        if payment.lease_until.is_some_and(|until| until > now) {
            return Err(OrderError::PaymentBusy);
        }
        let taken_out = order.take_out(items, Some(reason.to_owned()))?;
        for item in &taken_out {
            effects.stock.push((item.variant_id, i64::from(item.quantity), MovementKind::Cancellation));
        }
        let whole = order.status == OrderStatus::Cancelled;
        let owed = if whole { Vec::new() } else { still_unrefunded(order, &taken_out)? };
        if whole || !owed.is_empty() {
            let refund = order.refund_owed(self.new_refund(owed, reason, now), now)?;
            effects.refunds.extend(refund.map(|refund| refund.id));
        }
        match payment.status {
            PaymentStatus::Authorized if whole => effects.voids.push(payment.id),
            PaymentStatus::Pending if whole => {
                let payment = order.payment_mut(payment.id)?;
                payment.status = PaymentStatus::Voided;
                payment.failure = Some(crate::payment::CANCELLED.to_owned());
                payment.updated_at = now;
                order.payment_status = PaymentStatus::Voided;
            }
            _ => {}
        }
        let (order, reason) = (order.id, reason.to_owned());
        if whole {
            effects.events.push(DomainEvent::OrderCancelled { order, reason });
            effects.notices.push(Notice::OrderCancelled { order });
        } else {
            effects.events.push(DomainEvent::OrderLinesCancelled { order, reason });
        }
        Ok(())
    }

    pub(super) fn new_refund(&self, items: Vec<LineQuantity>, reason: &str, now: Timestamp) -> NewRefund {
        NewRefund {
            id: RefundId(self.engine.uuid()),
            amount: None,
            items,
            reason: reason.to_owned(),
            restock: true,
            return_id: None,
            lease_until: now + self.engine.settings.gateway_lease,
        }
    }
}

/// Those of `items` whose money hasn't gone back yet.
pub(super) fn still_unrefunded(order: &Order, items: &[LineQuantity]) -> Result<Vec<LineQuantity>, OrderError> {
    let mut unrefunded = Vec::with_capacity(items.len());
    for item in items {
        let line = order.line(item.variant_id)?;
        let quantity = item.quantity.min(line.quantity - line.refunded);
        if quantity > 0 {
            unrefunded.push(LineQuantity { quantity, ..*item });
        }
    }
    Ok(unrefunded)
}
