//! Sending things back.

use super::{
    Effects, LineQuantity, Order, OrderChild, OrderError, Orders, Return, ReturnStatus,
    edit::{Admission, EditWrite, check_text, child_of},
};
use crate::{
    clock::Timestamp,
    context::Permission,
    event::DomainEvent,
    id::{OrderId, ReturnId},
    money::Money,
    payment::RefundIntent,
    store::MovementKind,
    write::Write,
};

/// A return that a customer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewReturn {
    items: Vec<LineQuantity>,
    reason: String,
}

impl NewReturn {
    /// A return of these delivered units, and why they come back, in at most 1,000 characters.
    pub fn new(items: impl Into<Vec<LineQuantity>>, reason: impl Into<String>) -> Self {
        Self { items: items.into(), reason: reason.into() }
    }
}

/// A return that was asked for, and its order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestedReturn {
    /// The return.
    pub r#return: Return,
    /// The order, with the return in it.
    pub order: Order,
}

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
#[non_exhaustive]
pub struct ReturnDecision {
    pub(super) status: ReturnStatus,
    pub(super) restock: bool,
    pub(super) refund: ReturnRefund,
}

impl ReturnDecision {
    /// The customer may send the goods.
    #[must_use]
    pub const fn approve() -> Self {
        Self::to(ReturnStatus::Approved)
    }

    /// The customer may not send the goods.
    #[must_use]
    pub const fn reject() -> Self {
        Self::to(ReturnStatus::Rejected)
    }

    /// The goods are here.
    #[must_use]
    pub const fn receive() -> Self {
        Self::to(ReturnStatus::Received)
    }

    /// The return moves on to a status.
    #[must_use]
    pub const fn to(status: ReturnStatus) -> Self {
        Self { status, restock: true, refund: ReturnRefund::Full }
    }

    /// Whether received goods go back into stock, which is the default.
    #[must_use]
    pub const fn restock(mut self, restock: bool) -> Self {
        self.restock = restock;
        self
    }

    /// What goes back to the customer for received goods; by default what was charged for them.
    #[must_use]
    pub const fn refund(mut self, refund: ReturnRefund) -> Self {
        self.refund = refund;
        self
    }
}

impl From<ReturnStatus> for ReturnDecision {
    fn from(status: ReturnStatus) -> Self {
        Self::to(status)
    }
}

impl Orders {
    /// Asks to send delivered items back.
    ///
    /// # Errors
    /// As [`Self::get_to_act_on`]; [`OrderError::QuantityExceeded`] for more than was delivered and isn't on its way back.
    pub fn request_return(&self, id: OrderId, request: NewReturn) -> Write<RequestedReturn, OrderError> {
        let engine = self.scope.engine.clone();
        self.scope.write(EditWrite {
            name: "orders.request_return",
            input: format!("{id} {request:?}"),
            orders: self.clone(),
            admission: Admission::Customer(id),
            checked: check_text(&request.reason, "/reason", 1, 1000),
            rule: Box::new(move |order, effects, now| {
                let id = ReturnId(engine.uuid());
                order.ask_return(id, request.items.clone(), request.reason.clone(), now)?;
                effects.events.push(DomainEvent::ReturnRequested { order: order.id, id });
                Ok(id)
            }),
            answer: |order, id| Ok(RequestedReturn { r#return: child_of(&order.returns, &id)?, order }),
        })
    }

    /// Decides on a return. When the goods are received, they go back into stock and their money goes back, or is no longer
    /// owed, unless the decision says otherwise.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] if the table of returns doesn't have the move,
    /// [`OrderError::RefundExceedsCaptured`] for more than was taken or is owed, [`OrderError::PaymentBusy`] while the order's
    /// money is being taken.
    pub fn decide_return(&self, id: ReturnId, decision: impl Into<ReturnDecision>) -> Write<Order, OrderError> {
        let (orders, decision) = (self.clone(), decision.into());
        self.scope.write(EditWrite {
            name: "orders.decide_return",
            input: format!("{id} {decision:?}"),
            orders: self.clone(),
            admission: Admission::StaffByChild(Permission::ManageOrders, OrderChild::Return(id), "return"),
            checked: Ok(()),
            rule: Box::new(move |order, effects, now| {
                let refund = orders.new_refund("returned", decision.restock, now);
                return_rule(order, id, decision, refund, effects, now)
            }),
            answer: |order, ()| Ok(order),
        })
    }
}

/// What a decision on a return means for stock and money; `refund` is what a refund begins with.
pub(super) fn return_rule(
    order: &mut Order,
    id: ReturnId,
    decision: ReturnDecision,
    refund: RefundIntent,
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
        let refund = RefundIntent { return_id: Some(id), ..refund };
        let refund = match choice {
            ReturnRefund::None => None,
            ReturnRefund::Amount(amount) => order.refund_return(id, refund, amount, now)?,
            ReturnRefund::Full => {
                // Units that were refunded while they were with the customer aren't refunded again.
                let left = |id| charged.iter().find(|(variant, _)| *variant == id).map_or(0, |(_, left)| *left);
                let capped =
                    |item: &LineQuantity| LineQuantity { quantity: item.quantity.min(left(item.variant_id)), ..*item };
                let items = received.iter().map(capped).collect::<Vec<_>>().into();
                order.refund_owed(RefundIntent { items, ..refund }, now)?
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
