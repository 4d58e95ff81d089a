//! Payments and refunds: children of an order.

use commerce_core::{
    order::Order,
    payment::{Payment, Refund},
    store::AggregateWrite,
};

use crate::{
    batch::Batch,
    child_rows::{children, remove},
    row::{Flag, Id, Int, Json, MaybeId, MaybeJson, Name, OrderMoney, Text, Time, row},
};

row! {
    /// A payment `p` of an order `o`.
    pub(crate) fn payment() -> Payment of "p." {
        id: Id,
        method: Text,
        gateway: Text,
        status: Name,
        amount: OrderMoney,
        captured: Int,
        refunded: Int,
        refund_pending: Int,
        reference: Text,
        token: Text,
        next_action: MaybeJson,
        instructions: Text,
        failure: Text,
        lease_until: Time,
        reserved_until: Time,
        created_at: Time,
        updated_at: Time,
    }
}

row! {
    /// A refund `r` of an order `o`.
    pub(crate) fn refund() -> Refund of "r." {
        id: Id,
        payment_id: Id,
        amount: OrderMoney,
        status: Name,
        origin: Name,
        reason: Text,
        items: Json,
        restock: Flag,
        return_id: MaybeId,
        reference: Text,
        failure: Text,
        lease_until: Time,
        created_at: Time,
        updated_at: Time,
    }
}

pub(crate) fn save_payments(batch: &mut Batch, save: &AggregateWrite<Order>) {
    let payments = save.children(|order| &order.payments);
    children(batch, "commerce_payment", Some(("order_id", save.after().id.0)), &payments.put);
    remove(batch, "commerce_payment", payments.gone.into_iter().map(|id| id.0));
}

pub(crate) fn save_refunds(batch: &mut Batch, save: &AggregateWrite<Order>) {
    let refunds = save.children(|order| &order.refunds);
    children(batch, "commerce_refund", Some(("order_id", save.after().id.0)), &refunds.put);
    remove(batch, "commerce_refund", refunds.gone.into_iter().map(|id| id.0));
}
