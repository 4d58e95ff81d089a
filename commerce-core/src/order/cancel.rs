//! Giving orders up, whole or in part.

use super::{Effects, ItemSelection, Order, OrderError, OrderStatus, Orders, edit::check_text};
use crate::{
    clock::Timestamp,
    context::{Permission, RequestContext},
    id::{OrderId, PaymentId, RefundId},
    payment::{NewRefund, PaymentStatus},
    store::{MovementKind, StoreError},
};

/// What staff cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelInput {
    /// All of the order, or units that haven't been put into a parcel.
    pub items: ItemSelection,
    /// Why.
    pub reason: String,
    /// Whether the units go back into stock.
    pub restock: bool,
}

impl CancelInput {
    /// All of the order, back into stock.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Self { items: ItemSelection::All, reason: reason.into(), restock: true }
    }
}

impl Orders {
    /// Gives an order up before anything has left: stock goes back, the payment is voided or refunded.
    ///
    /// # Errors
    /// [`OrderError::AlreadyShipped`] afterwards; [`OrderError::PaymentBusy`] while its payment is being made.
    pub async fn cancel(&self, call: &RequestContext, id: OrderId) -> Result<Order, OrderError> {
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                this.get_to_act_on(&call.actor, id).await?;
                this.cancel_units(&call, id, CancelInput::new("cancelled by the customer")).await
            })
            .await
    }

    /// Staff's cancel: of the whole order, or of items that haven't been put into a parcel.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; else as [`Self::cancel`], and [`OrderError::QuantityExceeded`].
    pub async fn admin_cancel(
        &self,
        call: &RequestContext,
        id: OrderId,
        input: CancelInput,
    ) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        check_text(&input.reason, "/reason", 1, 500)?;
        let (this, call) = (self.clone(), call.clone());
        self.engine.run(async move { this.cancel_units(&call, id, input).await }).await
    }

    async fn cancel_units(&self, call: &RequestContext, id: OrderId, input: CancelInput) -> Result<Order, OrderError> {
        let order = self.processor().load(id).await?;
        if order.status == OrderStatus::Pending {
            let given_up = self.give_up_pending(order, &input.items).await?;
            if given_up.status != OrderStatus::Confirmed {
                return Ok(given_up);
            }
        }
        let done = self.edit(call, id, |order, effects, now| {
            let refund = self.new_refund(&input.reason, input.restock, now);
            cancel_rule(order, input.clone(), refund, effects, now)
        });
        done.await.map(|done| done.value.0)
    }

    /// An order whose payment is open is given up at the gateway first. Its payment may turn out to have succeeded.
    async fn give_up_pending(&self, order: Order, items: &ItemSelection) -> Result<Order, OrderError> {
        if *items != ItemSelection::All {
            let (from, to) = (order.status.as_str().to_owned(), "partly cancelled".to_owned());
            return Err(crate::state::InvalidTransition { from, to }.into());
        }
        let Some(payment) = order.payments.last().cloned() else {
            return Err(StoreError::bug("a pending order without a payment").into());
        };
        if payment.lease_until.is_some_and(|until| until > self.engine.now()) {
            return Err(OrderError::PaymentBusy);
        }
        let given_up = self.processor().give_up(order, payment.id, crate::payment::CANCELLED).await?;
        given_up.map_err(|_| OrderError::GatewayUnavailable)
    }

    /// Gives an order up whose offline payment hasn't come in time, unless some of it has left already.
    pub(crate) async fn cancel_unpaid(&self, id: OrderId, payment: PaymentId) -> Result<(), OrderError> {
        let call = RequestContext::system();
        let edit = self.edit(&call, id, |order, effects, now| {
            let is_awaited = order.payment(payment)?.status == PaymentStatus::Pending;
            if order.status == OrderStatus::Confirmed && is_awaited && !order.has_left() {
                let input = CancelInput::new(crate::payment::UNPAID);
                let refund = self.new_refund(&input.reason, input.restock, now);
                cancel_rule(order, input, refund, effects, now)?;
            }
            Ok(())
        });
        edit.await.map(drop)
    }

    pub(super) fn new_refund(&self, reason: &str, restock: bool, now: Timestamp) -> NewRefund {
        NewRefund {
            id: RefundId(self.engine.uuid()),
            amount: None,
            items: ItemSelection::All,
            reason: reason.to_owned(),
            restock,
            return_id: None,
            lease_until: now + self.engine.settings.gateway_lease,
        }
    }
}

/// What cancelling a confirmed order, or items of it, means for stock and money; `refund` is what a refund begins with.
pub(super) fn cancel_rule(
    order: &mut Order,
    input: CancelInput,
    refund: NewRefund,
    effects: &mut Effects,
    now: Timestamp,
) -> Result<(), OrderError> {
    let CancelInput { items, reason, restock } = input;
    order.check_idle(now)?;
    let was = order.status;
    let goods = order.cancel_units(items, Some(reason.clone()), restock)?;
    let whole = order.status == OrderStatus::Cancelled;
    let items = if whole { ItemSelection::All } else { goods.cancelled.clone().into() };
    let refund = order.refund_owed(NewRefund { items, ..refund }, now)?;
    effects.refunds.extend(refund.map(|refund| refund.id));
    order.end_unowed_payment(effects, now)?;
    effects.withdrawn(order, was, goods, MovementKind::Cancellation, &reason);
    Ok(())
}
