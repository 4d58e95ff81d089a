//! Payments and refunds: children of an order.

use commerce_core::{
    clock::Timestamp,
    id::{PaymentId, RefundId, ReturnId},
    money::Money,
    order::{LineQuantity, Order},
    payment::{NextAction, Payment, PaymentStatus, Refund, RefundOrigin},
    store::AggregateWrite,
};
use serde::Deserialize;

use crate::{
    batch::Batch,
    child_rows::{children, remove},
    codec::{self, json, shadow},
};

#[derive(Deserialize)]
#[serde(remote = "Payment")]
struct PaymentRow {
    id: PaymentId,
    method: String,
    gateway: String,
    status: PaymentStatus,
    amount: Money,
    captured: i64,
    refunded: i64,
    refund_pending: i64,
    reference: Option<String>,
    token: Option<String>,
    next_action: Option<NextAction>,
    instructions: Option<String>,
    failure: Option<String>,
    #[serde(deserialize_with = "codec::maybe_time")]
    lease_until: Option<Timestamp>,
    #[serde(deserialize_with = "codec::maybe_time")]
    reserved_until: Option<Timestamp>,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    updated_at: Timestamp,
}
shadow!(Payment, PaymentRow);

/// A payment `p` of an order `o`.
pub(crate) const PAYMENT: &str = "json_array(hex(p.id), p.method, p.gateway, p.status, json_array(p.amount, o.currency), \
    p.captured, p.refunded, p.refund_pending, p.reference, p.token, json(p.next_action), p.instructions, p.failure, p.lease_until, \
    p.reserved_until, p.created_at, p.updated_at)";

#[derive(Deserialize)]
#[serde(remote = "Refund")]
struct RefundRow {
    id: RefundId,
    payment_id: PaymentId,
    amount: Money,
    status: commerce_core::payment::RefundStatus,
    origin: RefundOrigin,
    reason: String,
    items: Vec<LineQuantity>,
    #[serde(deserialize_with = "codec::flag")]
    restock: bool,
    return_id: Option<ReturnId>,
    reference: Option<String>,
    failure: Option<String>,
    #[serde(deserialize_with = "codec::maybe_time")]
    lease_until: Option<Timestamp>,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    updated_at: Timestamp,
}
shadow!(Refund, RefundRow);

/// A refund `r` of an order `o`.
pub(crate) const REFUND: &str = "json_array(hex(r.id), hex(r.payment_id), json_array(r.amount, o.currency), r.status, \
    r.origin, r.reason, json(r.items), r.restock, iif(r.return_id IS NULL, NULL, hex(r.return_id)), r.reference, r.failure, \
    r.lease_until, r.created_at, r.updated_at)";

pub(crate) fn save_payments(batch: &mut Batch, save: &AggregateWrite<Order>) {
    const COLUMNS: [&str; 18] = [
        "id",
        "order_id",
        "method",
        "gateway",
        "status",
        "amount",
        "captured",
        "refunded",
        "refund_pending",
        "reference",
        "token",
        "next_action",
        "instructions",
        "failure",
        "lease_until",
        "reserved_until",
        "created_at",
        "updated_at",
    ];
    let order = save.after().id.0;
    let payments = save.children(|order| &order.payments);
    children(batch, "commerce_payment", &COLUMNS, &payments.put, |batch, payment| {
        batch.bind(payment.id.0).bind(order).bind(payment.method.clone()).bind(payment.gateway.clone());
        batch.bind(payment.status.as_str()).bind(payment.amount.minor).bind(payment.captured);
        batch.bind(payment.refunded).bind(payment.refund_pending).bind(payment.reference.clone());
        batch.bind(payment.token.clone()).bind(payment.next_action.as_ref().map(json));
        batch.bind(payment.instructions.clone()).bind(payment.failure.clone());
        batch.bind(payment.lease_until.map(Timestamp::as_micros));
        batch.bind(payment.reserved_until.map(Timestamp::as_micros));
        batch.bind(payment.created_at.as_micros()).bind(payment.updated_at.as_micros());
    });
    remove(batch, "commerce_payment", payments.gone.into_iter().map(|id| id.0));
}

pub(crate) fn save_refunds(batch: &mut Batch, save: &AggregateWrite<Order>) {
    const COLUMNS: [&str; 15] = [
        "id",
        "order_id",
        "payment_id",
        "amount",
        "status",
        "origin",
        "reason",
        "items",
        "restock",
        "return_id",
        "reference",
        "failure",
        "lease_until",
        "created_at",
        "updated_at",
    ];
    let order = save.after().id.0;
    let refunds = save.children(|order| &order.refunds);
    children(batch, "commerce_refund", &COLUMNS, &refunds.put, |batch, refund| {
        batch.bind(refund.id.0).bind(order).bind(refund.payment_id.0).bind(refund.amount.minor);
        batch.bind(refund.status.as_str()).bind(refund.origin.as_str());
        batch.bind(refund.reason.clone()).bind(json(&refund.items)).bind(refund.restock);
        batch.bind(refund.return_id.map(|id| id.0)).bind(refund.reference.clone()).bind(refund.failure.clone());
        batch.bind(refund.lease_until.map(Timestamp::as_micros));
        batch.bind(refund.created_at.as_micros()).bind(refund.updated_at.as_micros());
    });
    remove(batch, "commerce_refund", refunds.gone.into_iter().map(|id| id.0));
}
