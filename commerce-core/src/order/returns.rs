//! Sending things back.

use super::{Effects, Order, OrderChild, OrderError, Orders, ReturnStatus, edit::check_text};
use crate::{
    clock::Timestamp,
    context::{Done, Permission, RequestContext},
    event::DomainEvent,
    id::{OrderId, ReturnId},
    money::Money,
    order::LineQuantity,
    payment::NewRefund,
    store::MovementKind,
};

/// What goes back to the customer with a return.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReturnRefund {
    /// What was charged for the goods.
    #[default]
    Full,
    /// Nothing.
    None,
    /// So much.
    Amount(Money),
}

/// What becomes of a return. A [`ReturnStatus`] alone means the usual: what is received goes back into stock, and its money
/// back to the customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReturnDecision {
    /// Approved, rejected or received.
    pub status: ReturnStatus,
    /// Whether received goods go back into stock.
    pub restock: bool,
    /// What goes back to the customer for received goods.
    pub refund: ReturnRefund,
}

impl From<ReturnStatus> for ReturnDecision {
    fn from(status: ReturnStatus) -> Self {
        Self { status, restock: true, refund: ReturnRefund::Full }
    }
}

impl Orders {
    /// Asks to send delivered items back.
    ///
    /// # Errors
    /// [`OrderError::QuantityExceeded`] for more than was delivered and isn't on its way back.
    pub async fn request_return(
        &self,
        call: &RequestContext,
        id: OrderId,
        items: Vec<LineQuantity>,
        reason: String,
    ) -> Result<Done<(Order, ReturnId)>, OrderError> {
        self.get_to_act_on(&call.actor, id).await?;
        check_text(&reason, "/reason", 1, 1000)?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let ret = ReturnId(this.engine.uuid());
                let edit = this.edit(&call, id, |order, effects, now| {
                    order.ask_return(ret, items.clone(), reason.clone(), now)?;
                    effects.events.push(DomainEvent::ReturnRequested { order: order.id, id: ret });
                    Ok(ret)
                });
                edit.await
            })
            .await
    }

    /// Decides on a return. When the goods are received, they go back into stock and their money goes back, or is no longer
    /// owed, unless the decision says otherwise.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] if the table of returns doesn't have the move,
    /// [`OrderError::RefundExceedsCaptured`] for more than was taken or is owed, [`OrderError::PaymentBusy`] while the order's
    /// money is being taken.
    pub async fn decide_return(
        &self,
        call: &RequestContext,
        id: ReturnId,
        decision: impl Into<ReturnDecision>,
    ) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let order = self.order_of(OrderChild::Return(id), "return").await?;
        let (this, call, decision) = (self.clone(), call.clone(), decision.into());
        self.engine
            .run(async move {
                let edit = this.edit(&call, order, |order, effects, now| {
                    let refund = this.new_refund("returned", decision.restock, now);
                    return_rule(order, id, decision, refund, effects, now)
                });
                edit.await.map(|done| done.value.0)
            })
            .await
    }
}

/// What a decision on a return means for stock and money; `refund` is what a refund begins with.
pub(super) fn return_rule(
    order: &mut Order,
    id: ReturnId,
    decision: ReturnDecision,
    refund: NewRefund,
    effects: &mut Effects,
    now: Timestamp,
) -> Result<(), OrderError> {
    let ReturnDecision { status: to, restock, refund: choice } = decision;
    let charged: Vec<_> = order.lines.iter().map(|line| (line.variant_id, order.left_and_charged(line))).collect();
    let Some(received) = order.move_return(id, to, restock, now)? else { return Ok(()) };
    if to == ReturnStatus::Received {
        order.check_idle(now)?;
        if restock {
            effects.stock.extend(received.iter().map(|i| (i.variant_id, i64::from(i.quantity), MovementKind::Return)));
        }
        let refund = NewRefund { return_id: Some(id), ..refund };
        let refund = match choice {
            ReturnRefund::None => None,
            ReturnRefund::Amount(amount) => order.refund_return(id, refund, amount, now)?,
            ReturnRefund::Full => {
                // Units that were refunded while they were with the customer aren't refunded again.
                let left = |id| charged.iter().find(|(variant, _)| *variant == id).map_or(0, |(_, left)| *left);
                let capped =
                    |item: &LineQuantity| LineQuantity { quantity: item.quantity.min(left(item.variant_id)), ..*item };
                let items = received.iter().map(capped).collect::<Vec<_>>().into();
                order.refund_owed(NewRefund { items, ..refund }, now)?
            }
        };
        effects.refunds.extend(refund.map(|refund| refund.id));
        order.end_unowed_payment(effects, now)?;
    }
    let order = order.id;
    effects.events.extend(match to {
        ReturnStatus::Approved => Some(DomainEvent::ReturnApproved { order, id }),
        ReturnStatus::Rejected => Some(DomainEvent::ReturnRejected { order, id }),
        ReturnStatus::Received => Some(DomainEvent::ReturnReceived { order, id }),
        ReturnStatus::Requested => None,
    });
    Ok(())
}
