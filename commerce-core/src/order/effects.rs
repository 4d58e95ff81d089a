//! [`Effects`]: what an edit of an order brings with it.

use super::{Order, OrderStatus, Withdrawn};
use crate::{
    event::{DomainEvent, Notice},
    id::{PaymentId, RefundId, VariantId},
    inventory::MovementKind,
    money::Money,
};

/// What an edit of an order brings with it, in the same commit; refunds and voids are then carried out at the gateway.
#[derive(Default)]
pub(crate) struct Effects {
    pub events: Vec<DomainEvent>,
    pub notices: Vec<Notice>,
    pub stock: Vec<(VariantId, i64, MovementKind)>,
    pub refunds: Vec<RefundId>,
    pub voids: Vec<PaymentId>,
    pub captures: Vec<(PaymentId, Money)>,
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
}
