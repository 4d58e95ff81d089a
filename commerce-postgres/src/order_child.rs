//! Rows below an order. They are written and removed with its head, and read as JSON objects in its statement.

use commerce_core::{
    Currency, Money,
    clock::Timestamp,
    id::{FulfilmentId, PaymentId, ProductId, RefundId, ReturnId, VariantId},
    order::{Fulfilment, FulfilmentStatus, LineQuantity, OrderLine, Return, ReturnStatus},
    payment::{NextAction, Payment, PaymentStatus, Refund, RefundOrigin, RefundStatus},
};
use sqlx::types::Json;
use uuid::Uuid;

use crate::codec::{Count, Name, table};

table! {
    #[derive(serde::Deserialize)]
    OrderLineRow = "commerce_order_line" by [order_id, variant_id] {
        order_id: Uuid,
        variant_id: Uuid,
        position: i64,
        product_id: Uuid,
        sku: String,
        title: String,
        quantity: Count,
        currency: Name<Currency>,
        unit_price: i64,
        total: i64,
        charged: i64,
        tax: i64,
        fulfilled: Count,
        cancelled: Count,
        refunded: Count,
        returned: Count,
        uncharged: Count,
        restocked: Count,
        written_off: Count,
    }
}

impl OrderLineRow {
    pub(crate) fn new(order_id: Uuid, line: &OrderLine) -> Self {
        Self {
            order_id,
            variant_id: line.variant_id.0,
            position: line.position,
            product_id: line.product_id.0,
            sku: line.sku.clone(),
            title: line.title.clone(),
            quantity: Count(line.quantity),
            currency: Name(line.total.currency),
            unit_price: line.unit_price.minor,
            total: line.total.minor,
            charged: line.charged.minor,
            tax: line.tax.minor,
            fulfilled: Count(line.fulfilled),
            cancelled: Count(line.cancelled),
            refunded: Count(line.refunded),
            returned: Count(line.returned),
            uncharged: Count(line.uncharged),
            restocked: Count(line.restocked),
            written_off: Count(line.written_off),
        }
    }
}

impl From<OrderLineRow> for OrderLine {
    fn from(row: OrderLineRow) -> Self {
        let money = |minor| Money::new(minor, row.currency.0);
        Self {
            position: row.position,
            variant_id: VariantId(row.variant_id),
            product_id: ProductId(row.product_id),
            quantity: row.quantity.0,
            unit_price: money(row.unit_price),
            total: money(row.total),
            charged: money(row.charged),
            tax: money(row.tax),
            sku: row.sku,
            title: row.title,
            fulfilled: row.fulfilled.0,
            cancelled: row.cancelled.0,
            refunded: row.refunded.0,
            returned: row.returned.0,
            uncharged: row.uncharged.0,
            restocked: row.restocked.0,
            written_off: row.written_off.0,
        }
    }
}

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

table! {
    #[derive(serde::Deserialize)]
    FulfilmentRow = "commerce_fulfilment" by [order_id, id] {
        order_id: Uuid,
        id: Uuid,
        status: Name<FulfilmentStatus>,
        carrier: String,
        tracking_number: String,
        tracking_url: Option<String>,
        items: Json<Vec<LineQuantity>>,
        created_at: i64,
        shipped_at: Option<i64>,
        delivered_at: Option<i64>,
    }
}

impl FulfilmentRow {
    pub(crate) fn new(order_id: Uuid, parcel: &Fulfilment) -> Self {
        Self {
            order_id,
            id: parcel.id.0,
            status: Name(parcel.status),
            carrier: parcel.carrier.clone(),
            tracking_number: parcel.tracking_number.clone(),
            tracking_url: parcel.tracking_url.clone(),
            items: Json(parcel.items.clone()),
            created_at: parcel.created_at.as_micros(),
            shipped_at: parcel.shipped_at.map(Timestamp::as_micros),
            delivered_at: parcel.delivered_at.map(Timestamp::as_micros),
        }
    }
}

impl From<FulfilmentRow> for Fulfilment {
    fn from(row: FulfilmentRow) -> Self {
        Self {
            id: FulfilmentId(row.id),
            status: row.status.0,
            carrier: row.carrier,
            tracking_number: row.tracking_number,
            tracking_url: row.tracking_url,
            items: row.items.0,
            created_at: Timestamp::from_micros(row.created_at),
            shipped_at: row.shipped_at.map(Timestamp::from_micros),
            delivered_at: row.delivered_at.map(Timestamp::from_micros),
        }
    }
}

table! {
    #[derive(serde::Deserialize)]
    ReturnRow = "commerce_return" by [order_id, id] {
        order_id: Uuid,
        id: Uuid,
        status: Name<ReturnStatus>,
        items: Json<Vec<LineQuantity>>,
        reason: String,
        created_at: i64,
        updated_at: i64,
        waived: Option<i64>,
    }
}

impl ReturnRow {
    pub(crate) fn new(order_id: Uuid, back: &Return) -> Self {
        Self {
            order_id,
            id: back.id.0,
            status: Name(back.status),
            items: Json(back.items.clone()),
            reason: back.reason.clone(),
            created_at: back.created_at.as_micros(),
            updated_at: back.updated_at.as_micros(),
            waived: back.waived,
        }
    }
}

impl From<ReturnRow> for Return {
    fn from(row: ReturnRow) -> Self {
        Self {
            id: ReturnId(row.id),
            status: row.status.0,
            items: row.items.0,
            reason: row.reason,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            waived: row.waived,
        }
    }
}
