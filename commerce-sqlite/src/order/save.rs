//! How an order is written: head, lines, parcels, returns, as far as they changed.

use commerce_core::{
    order::Order,
    pricing::Totals,
    store::{AggregateWrite, ExpectedVersion},
};

use crate::{
    batch::Batch,
    child_rows::{children, remove},
    head::{head_and, head_of, is_own},
    payment::{save_payments, save_refunds},
    row::Entity as _,
};

pub(crate) fn save_order(batch: &mut Batch, save: &AggregateWrite<Order>) {
    save_head(batch, save);
    save_lines(batch, save);
    save_payments(batch, save);
    save_refunds(batch, save);
    save_fulfilments(batch, save);
    save_returns(batch, save);
}

/// What moves in an order's life. The rest hardly ever does after it was placed, and is what indexes are made of.
fn is_state(column: &str) -> bool {
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
    STATE.contains(&column)
}

fn is_term(column: &str) -> bool {
    is_own(column) && !is_state(column)
}

fn columns(is_wanted: impl Fn(&str) -> bool) -> Vec<&'static str> {
    Order::columns().into_iter().filter(|column| is_wanted(column)).collect()
}

/// The columns of the totals, and their currency.
fn of_totals() -> Vec<&'static str> {
    [vec!["currency"], Totals::columns()].concat()
}

fn bind_totals(batch: &mut Batch, order: &Order) {
    batch.bind(order.currency().code());
    order.totals.bind_columns(batch, |_| true);
}

fn save_head(batch: &mut Batch, save: &AggregateWrite<Order>) {
    if save.expected_version() == ExpectedVersion::Absent {
        return head_and(batch, save, &of_totals(), bind_totals);
    }
    head_of(batch, save, &columns(is_state), |batch, order| order.bind_columns(batch, is_state));
    let after = save.after();
    if save.before().is_some_and(|before| !same_terms(before, after)) {
        batch.statement("UPDATE commerce_order SET ");
        for (n, column) in columns(is_term).into_iter().chain(of_totals()).enumerate() {
            batch.push(if n == 0 { "" } else { ", " }).push(column).push(" = ?");
        }
        after.bind_columns(batch, is_term);
        bind_totals(batch, after);
        batch.push(" WHERE id = ?").bind(after.id.0);
    }
}

fn same_terms(a: &Order, b: &Order) -> bool {
    (a.customer_id, &a.number, &a.email, a.placed_at) == (b.customer_id, &b.number, &b.email, b.placed_at)
        && a.totals == b.totals
        && (&a.shipping_address, &a.billing_address) == (&b.shipping_address, &b.billing_address)
        && (&a.shipping_method, &a.note) == (&b.shipping_method, &b.note)
}

fn save_lines(batch: &mut Batch, save: &AggregateWrite<Order>) {
    let id = save.after().id.0;
    let lines = save.children(|order| &order.lines);
    children(batch, "commerce_order_line", Some(("order_id", id)), &lines.put);
    if !lines.gone.is_empty() {
        batch.statement("DELETE FROM commerce_order_line WHERE order_id = ? AND variant_id IN (").bind(id);
        batch.marks(lines.gone.len()).push(")");
        for variant in lines.gone {
            batch.bind(variant.0);
        }
    }
}

fn save_fulfilments(batch: &mut Batch, save: &AggregateWrite<Order>) {
    let parcels = save.children(|order| &order.fulfilments);
    children(batch, "commerce_fulfilment", Some(("order_id", save.after().id.0)), &parcels.put);
    remove(batch, "commerce_fulfilment", parcels.gone.into_iter().map(|id| id.0));
}

fn save_returns(batch: &mut Batch, save: &AggregateWrite<Order>) {
    let returns = save.children(|order| &order.returns);
    children(batch, "commerce_return", Some(("order_id", save.after().id.0)), &returns.put);
    remove(batch, "commerce_return", returns.gone.into_iter().map(|id| id.0));
}
