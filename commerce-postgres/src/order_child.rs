//! Lines, parcels and returns of orders. They are written and removed with its head, and read as JSON objects in its statement.

use commerce_core::{
    Currency, Money,
    clock::Timestamp,
    id::{FulfilmentId, ProductId, ReturnId, VariantId},
    order::{Fulfilment, FulfilmentStatus, LineQuantity, OrderLine, Return, ReturnStatus},
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
