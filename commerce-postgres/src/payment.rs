//! Payments and refunds, which belong to an order: written and removed with its head, and read as JSON objects in its statement.

use commerce_core::{
    Currency, Money,
    clock::Timestamp,
    id::{PaymentId, RefundId, ReturnId},
    order::LineQuantity,
    payment::{NextAction, Payment, PaymentStatus, Refund, RefundOrigin, RefundStatus},
};
use sqlx::types::Json;
use uuid::Uuid;

use crate::codec::{Name, table};

table! {
    #[derive(serde::Deserialize)]
    PaymentRow = "commerce_payment" by [order_id, id] {
        order_id: Uuid,
        id: Uuid,
        method: String,
        gateway: String,
        status: Name<PaymentStatus>,
        currency: Name<Currency>,
        amount: i64,
        captured: i64,
        refunded: i64,
        refund_pending: i64,
        reference: Option<String>,
        token: Option<String>,
        next_action: Option<Json<NextAction>>,
        instructions: Option<String>,
        failure: Option<String>,
        lease_until: Option<i64>,
        reserved_until: Option<i64>,
        created_at: i64,
        updated_at: i64,
    }
}

impl PaymentRow {
    pub(crate) fn new(order_id: Uuid, payment: &Payment) -> Self {
        Self {
            order_id,
            id: payment.id.0,
            method: payment.method.clone(),
            gateway: payment.gateway.clone(),
            status: Name(payment.status),
            currency: Name(payment.amount.currency),
            amount: payment.amount.minor,
            captured: payment.captured,
            refunded: payment.refunded,
            refund_pending: payment.refund_pending,
            reference: payment.reference.clone(),
            token: payment.token.clone(),
            next_action: payment.next_action.clone().map(Json),
            instructions: payment.instructions.clone(),
            failure: payment.failure.clone(),
            lease_until: payment.lease_until.map(Timestamp::as_micros),
            reserved_until: payment.reserved_until.map(Timestamp::as_micros),
            created_at: payment.created_at.as_micros(),
            updated_at: payment.updated_at.as_micros(),
        }
    }
}

impl From<PaymentRow> for Payment {
    fn from(row: PaymentRow) -> Self {
        Self {
            id: PaymentId(row.id),
            method: row.method,
            gateway: row.gateway,
            status: row.status.0,
            amount: Money::new(row.amount, row.currency.0),
            captured: row.captured,
            refunded: row.refunded,
            refund_pending: row.refund_pending,
            reference: row.reference,
            token: row.token,
            next_action: row.next_action.map(|action| action.0),
            instructions: row.instructions,
            failure: row.failure,
            lease_until: row.lease_until.map(Timestamp::from_micros),
            reserved_until: row.reserved_until.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        }
    }
}

table! {
    #[derive(serde::Deserialize)]
    RefundRow = "commerce_refund" by [order_id, id] {
        order_id: Uuid,
        id: Uuid,
        payment_id: Uuid,
        currency: Name<Currency>,
        amount: i64,
        status: Name<RefundStatus>,
        origin: Name<RefundOrigin>,
        reason: String,
        items: Json<Vec<LineQuantity>>,
        restock: bool,
        return_id: Option<Uuid>,
        reference: Option<String>,
        failure: Option<String>,
        lease_until: Option<i64>,
        created_at: i64,
        updated_at: i64,
    }
}

impl RefundRow {
    pub(crate) fn new(order_id: Uuid, refund: &Refund) -> Self {
        Self {
            order_id,
            id: refund.id.0,
            payment_id: refund.payment_id.0,
            currency: Name(refund.amount.currency),
            amount: refund.amount.minor,
            status: Name(refund.status),
            origin: Name(refund.origin),
            reason: refund.reason.clone(),
            items: Json(refund.items.clone()),
            restock: refund.restock,
            return_id: refund.return_id.map(Into::into),
            reference: refund.reference.clone(),
            failure: refund.failure.clone(),
            lease_until: refund.lease_until.map(Timestamp::as_micros),
            created_at: refund.created_at.as_micros(),
            updated_at: refund.updated_at.as_micros(),
        }
    }
}

impl From<RefundRow> for Refund {
    fn from(row: RefundRow) -> Self {
        Self {
            id: RefundId(row.id),
            payment_id: PaymentId(row.payment_id),
            amount: Money::new(row.amount, row.currency.0),
            status: row.status.0,
            origin: row.origin.0,
            reason: row.reason,
            items: row.items.0,
            restock: row.restock,
            return_id: row.return_id.map(ReturnId),
            reference: row.reference,
            failure: row.failure,
            lease_until: row.lease_until.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        }
    }
}
