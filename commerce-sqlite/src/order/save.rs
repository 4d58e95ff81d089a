//! How an order is written: head, lines, parcels, returns, as far as they changed.

use commerce_core::{
    clock::Timestamp,
    order::Order,
    store::{AggregateWrite, ExpectedVersion},
};

use crate::{
    batch::Batch,
    child_rows::{children, remove},
    codec::json,
    head::head,
    payment::{save_payments, save_refunds},
};

pub(crate) fn save_order(batch: &mut Batch, save: &AggregateWrite<Order>) {
    save_head(batch, save);
    save_lines(batch, save);
    save_payments(batch, save);
    save_refunds(batch, save);
    save_fulfilments(batch, save);
    save_returns(batch, save);
}

/// What moves in an order's life.
const STATE: [&str; 8] = [
    "status",
    "payment_status",
    "fulfilment_status",
    "cart_id",
    "idempotency_key",
    "cancel_reason",
    "declined",
    "updated_at",
];
/// What hardly ever does after it was placed, and what indexes are made of.
const TERMS: [&str; 14] = [
    "customer_id",
    "number",
    "email",
    "placed_at",
    "currency",
    "subtotal",
    "discount",
    "shipping",
    "tax",
    "grand_total",
    "shipping_address",
    "billing_address",
    "shipping_method",
    "note",
];

fn save_head(batch: &mut Batch, save: &AggregateWrite<Order>) {
    if save.expected_version() == ExpectedVersion::Absent {
        let columns = [&STATE[..], &TERMS].concat();
        head(batch, save, &columns, |batch, order| {
            bind_state(batch, order);
            bind_terms(batch, order);
        });
        return;
    }
    head(batch, save, &STATE, bind_state);
    let after = save.after();
    if save.before().is_some_and(|before| !same_terms(before, after)) {
        batch.statement("UPDATE commerce_order SET ");
        for (n, column) in TERMS.iter().enumerate() {
            batch.push(if n == 0 { "" } else { ", " }).push(column).push(" = ?");
        }
        bind_terms(batch, after);
        batch.push(" WHERE id = ?").bind(after.id.0);
    }
}

fn bind_state(batch: &mut Batch, order: &Order) {
    batch.bind(order.status.as_str()).bind(order.payment_status.as_str()).bind(order.fulfilment_status.as_str());
    batch.bind(order.cart_id.map(|id| id.0)).bind(order.idempotency_key.map(|key| key.to_vec()));
    batch.bind(order.cancel_reason.clone()).bind(order.declined).bind(order.updated_at.as_micros());
}

fn bind_terms(batch: &mut Batch, order: &Order) {
    let totals = &order.totals;
    batch
        .bind(order.customer_id.map(|id| id.0))
        .bind(order.number.clone())
        .bind(order.email.clone())
        .bind(order.placed_at.as_micros());
    batch.bind(order.currency().code());
    for amount in [totals.subtotal, totals.discount, totals.shipping, totals.tax, totals.grand_total] {
        batch.bind(amount.minor);
    }
    batch.bind(json(&order.shipping_address)).bind(json(&order.billing_address)).bind(json(&order.shipping_method));
    batch.bind(order.note.clone());
}

fn same_terms(a: &Order, b: &Order) -> bool {
    (a.customer_id, &a.number, &a.email, a.placed_at) == (b.customer_id, &b.number, &b.email, b.placed_at)
        && a.totals == b.totals
        && (&a.shipping_address, &a.billing_address) == (&b.shipping_address, &b.billing_address)
        && (&a.shipping_method, &a.note) == (&b.shipping_method, &b.note)
}

fn save_lines(batch: &mut Batch, save: &AggregateWrite<Order>) {
    const COLUMNS: [&str; 18] = [
        "order_id",
        "variant_id",
        "product_id",
        "position",
        "sku",
        "title",
        "quantity",
        "unit_price",
        "total",
        "charged",
        "tax",
        "fulfilled",
        "cancelled",
        "refunded",
        "returned",
        "uncharged",
        "restocked",
        "written_off",
    ];
    let id = save.after().id.0;
    let lines = save.children(|order| &order.lines);
    children(batch, "commerce_order_line", &COLUMNS, &lines.put, |batch, line| {
        batch.bind(id).bind(line.variant_id.0).bind(line.product_id.0).bind(line.position);
        batch.bind(line.sku.clone()).bind(line.title.clone()).bind(i64::from(line.quantity));
        for amount in [line.unit_price, line.total, line.charged, line.tax] {
            batch.bind(amount.minor);
        }
        for units in [line.fulfilled, line.cancelled, line.refunded, line.returned] {
            batch.bind(i64::from(units));
        }
        for units in [line.uncharged, line.restocked, line.written_off] {
            batch.bind(i64::from(units));
        }
    });
    if !lines.gone.is_empty() {
        batch.statement("DELETE FROM commerce_order_line WHERE order_id = ? AND variant_id IN (").bind(id);
        batch.marks(lines.gone.len()).push(")");
        for variant in lines.gone {
            batch.bind(variant.0);
        }
    }
}

fn save_fulfilments(batch: &mut Batch, save: &AggregateWrite<Order>) {
    const COLUMNS: [&str; 10] = [
        "id",
        "order_id",
        "status",
        "carrier",
        "tracking_number",
        "tracking_url",
        "items",
        "created_at",
        "shipped_at",
        "delivered_at",
    ];
    let id = save.after().id.0;
    let parcels = save.children(|order| &order.fulfilments);
    children(batch, "commerce_fulfilment", &COLUMNS, &parcels.put, |batch, parcel| {
        batch.bind(parcel.id.0).bind(id).bind(parcel.status.as_str()).bind(parcel.carrier.clone());
        batch.bind(parcel.tracking_number.clone()).bind(parcel.tracking_url.clone()).bind(json(&parcel.items));
        batch.bind(parcel.created_at.as_micros()).bind(parcel.shipped_at.map(Timestamp::as_micros));
        batch.bind(parcel.delivered_at.map(Timestamp::as_micros));
    });
    remove(batch, "commerce_fulfilment", parcels.gone.into_iter().map(|id| id.0));
}

fn save_returns(batch: &mut Batch, save: &AggregateWrite<Order>) {
    let id = save.after().id.0;
    let returns = save.children(|order| &order.returns);
    let columns = ["id", "order_id", "status", "items", "reason", "created_at", "updated_at", "waived"];
    children(batch, "commerce_return", &columns, &returns.put, |batch, item| {
        batch.bind(item.id.0).bind(id).bind(item.status.as_str()).bind(json(&item.items)).bind(item.reason.clone());
        batch.bind(item.created_at.as_micros()).bind(item.updated_at.as_micros()).bind(item.waived);
    });
    remove(batch, "commerce_return", returns.gone.into_iter().map(|id| id.0));
}
