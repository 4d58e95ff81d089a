//! Sending things back.

use super::{Effects, Order, OrderChild, OrderError, Orders, ReturnStatus, cancel::still_unrefunded, edit::check_text};
use crate::{
    call::{Call, Done, Permission},
    clock::Timestamp,
    event::DomainEvent,
    id::{OrderId, ReturnId},
    payment::{LineQuantity, NewRefund},
    store::MovementKind,
};

impl Orders {
    /// Asks to send delivered items back.
    ///
    /// # Errors
    /// [`OrderError::QuantityExceeded`] for more than was delivered and isn't on its way back.
    pub async fn request_return(
        &self,
        call: &Call,
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

    /// Decides on a return. When the goods are received, they go back into stock and their money goes back.
    ///
    /// # Errors
    /// Needs [`Permission::ManageOrders`]; [`OrderError::NotAllowed`] if the table of returns doesn't have the move.
    pub async fn decide_return(&self, call: &Call, id: ReturnId, to: ReturnStatus) -> Result<Order, OrderError> {
        call.actor.require(Permission::ManageOrders)?;
        let order = self.order_of(OrderChild::Return(id), "return").await?;
        let (this, call) = (self.clone(), call.clone());
        self.engine
            .run(async move {
                let edit = this.edit(&call, order, |order, effects, now| this.return_rule(order, id, to, effects, now));
                edit.await.map(|done| done.value.0)
            })
            .await
    }

    fn return_rule(
        &self,
        order: &mut Order,
        id: ReturnId,
        to: ReturnStatus,
        effects: &mut Effects,
        now: Timestamp,
    ) -> Result<(), OrderError> {
        let Some(received) = order.move_return(id, to, now)? else { return Ok(()) };
        for item in &received {
            effects.stock.push((item.variant_id, i64::from(item.quantity), MovementKind::Return));
        }
        let unrefunded = still_unrefunded(order, &received)?;
        if !unrefunded.is_empty() {
            let refund = NewRefund { return_id: Some(id), ..self.new_refund(unrefunded, "returned", now) };
            effects.refunds.extend(order.refund_owed(refund, now)?.map(|refund| refund.id));
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
}
