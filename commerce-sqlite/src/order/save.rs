//! How an order is written: head, lines, parcels, returns, as far as they changed.

use commerce_core::{
    clock::Timestamp,
    order::Order,
    store::{Save, Was},
};

use crate::{
    children::{children, remove},
    codec::json,
    compile::head,
    payment::{save_payments, save_refunds},
    script::Script,
};

pub(crate) fn save_order(script: &mut Script, save: &Save<Order>) {
    save_head(script, save);
    save_lines(script, save);
    save_payments(script, save);
    save_refunds(script, save);
    save_fulfilments(script, save);
    save_returns(script, save);
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

fn save_head(script: &mut Script, save: &Save<Order>) {
    if save.was() == Was::Absent {
        let columns = [&STATE[..], &TERMS].concat();
        head(script, save, &columns, |script, order| {
            bind_state(script, order);
            bind_terms(script, order);
        });
        return;
    }
    head(script, save, &STATE, bind_state);
    let after = save.after();
    if save.before().is_some_and(|before| !same_terms(before, after)) {
        script.statement("UPDATE commerce_order SET ");
        for (n, column) in TERMS.iter().enumerate() {
            script.push(if n == 0 { "" } else { ", " }).push(column).push(" = ?");
        }
        bind_terms(script, after);
        script.push(" WHERE id = ?").bind(after.id.0);
    }
}

fn bind_state(script: &mut Script, order: &Order) {
    script.bind(order.status.as_str()).bind(order.payment_status.as_str()).bind(order.fulfilment_status.as_str());
    script.bind(order.cart_id.map(|id| id.0)).bind(order.idempotency_key.map(|key| key.to_vec()));
    script.bind(order.cancel_reason.clone()).bind(order.declined).bind(order.updated_at.as_micros());
}

fn bind_terms(script: &mut Script, order: &Order) {
    let totals = &order.totals;
    script
        .bind(order.customer_id.map(|id| id.0))
        .bind(order.number.clone())
        .bind(order.email.clone())
        .bind(order.placed_at.as_micros());
    script.bind(order.currency().code());
    for amount in [totals.subtotal, totals.discount, totals.shipping, totals.tax, totals.grand_total] {
        script.bind(amount.minor);
    }
    script.bind(json(&order.shipping_address)).bind(json(&order.billing_address)).bind(json(&order.shipping_method));
    script.bind(order.note.clone());
}

fn same_terms(a: &Order, b: &Order) -> bool {
    (a.customer_id, &a.number, &a.email, a.placed_at) == (b.customer_id, &b.number, &b.email, b.placed_at)
        && a.totals == b.totals
        && (&a.shipping_address, &a.billing_address) == (&b.shipping_address, &b.billing_address)
        && (&a.shipping_method, &a.note) == (&b.shipping_method, &b.note)
}

fn save_lines(script: &mut Script, save: &Save<Order>) {
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
    children(script, "commerce_order_line", &COLUMNS, &lines.put, |script, line| {
        script.bind(id).bind(line.variant_id.0).bind(line.product_id.0).bind(line.position);
        script.bind(line.sku.clone()).bind(line.title.clone()).bind(i64::from(line.quantity));
        for amount in [line.unit_price, line.total, line.charged, line.tax] {
            script.bind(amount.minor);
        }
        for units in [line.fulfilled, line.cancelled, line.refunded, line.returned] {
            script.bind(i64::from(units));
        }
        for units in [line.uncharged, line.restocked, line.written_off] {
            script.bind(i64::from(units));
        }
    });
    if !lines.gone.is_empty() {
        script.statement("DELETE FROM commerce_order_line WHERE order_id = ? AND variant_id IN (").bind(id);
        script.marks(lines.gone.len()).push(")");
        for variant in lines.gone {
            script.bind(variant.0);
        }
    }
}

fn save_fulfilments(script: &mut Script, save: &Save<Order>) {
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
    children(script, "commerce_fulfilment", &COLUMNS, &parcels.put, |script, parcel| {
        script.bind(parcel.id.0).bind(id).bind(parcel.status.as_str()).bind(parcel.carrier.clone());
        script.bind(parcel.tracking_number.clone()).bind(parcel.tracking_url.clone()).bind(json(&parcel.items));
        script.bind(parcel.created_at.as_micros()).bind(parcel.shipped_at.map(Timestamp::as_micros));
        script.bind(parcel.delivered_at.map(Timestamp::as_micros));
    });
    remove(script, "commerce_fulfilment", parcels.gone.into_iter().map(|id| id.0));
}

fn save_returns(script: &mut Script, save: &Save<Order>) {
    let id = save.after().id.0;
    let returns = save.children(|order| &order.returns);
    let columns = ["id", "order_id", "status", "items", "reason", "created_at", "updated_at", "waived"];
    children(script, "commerce_return", &columns, &returns.put, |script, item| {
        script.bind(item.id.0).bind(id).bind(item.status.as_str()).bind(json(&item.items)).bind(item.reason.clone());
        script.bind(item.created_at.as_micros()).bind(item.updated_at.as_micros()).bind(item.waived);
    });
    remove(script, "commerce_return", returns.gone.into_iter().map(|id| id.0));
}
