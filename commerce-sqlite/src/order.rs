//! Orders with their lines, payments, refunds, parcels and returns: how they are read, and ([`save`]) written.

mod save;

use std::collections::BTreeSet;

use async_trait::async_trait;
use commerce_core::{
    address::PostalAddress,
    clock::Timestamp,
    id::{CartId, FulfilmentId, OrderId, ProductId, ReturnId, UserId},
    order::{
        Fulfilment, FulfilmentState, FulfilmentStatus, LineQuantity, Order, OrderChild, OrderLine, OrderPayment,
        OrderQueries, OrderQuery, OrderReturn, OrderStatus, Return, ReturnStatus,
    },
    page::{PageSpec, Rows, SortKey},
    payment::{Payment, PaymentStatus, Refund},
    pricing::{ShippingMethod, Totals},
    store::StoreError,
};
use serde::Deserialize;

use crate::{
    SqliteStore,
    codec::{self, Row, Shadowed, shadow},
    list::{FetchedRows, Keyset, listed},
    payment::{PAYMENT, REFUND},
    sql::Sql,
};

pub(crate) use self::save::save_order;

#[derive(Deserialize)]
#[serde(remote = "Order")]
struct OrderRow {
    id: OrderId,
    number: String,
    customer_id: Option<UserId>,
    email: String,
    status: OrderStatus,
    payment_status: PaymentStatus,
    fulfilment_status: FulfilmentState,
    lines: Vec<OrderLine>,
    totals: Totals,
    shipping_address: PostalAddress,
    billing_address: PostalAddress,
    shipping_method: ShippingMethod,
    #[serde(deserialize_with = "codec::rows")]
    payments: Vec<Payment>,
    #[serde(deserialize_with = "codec::rows")]
    refunds: Vec<Refund>,
    #[serde(deserialize_with = "codec::rows")]
    fulfilments: Vec<Fulfilment>,
    #[serde(deserialize_with = "codec::rows")]
    returns: Vec<Return>,
    cart_id: Option<CartId>,
    #[serde(deserialize_with = "codec::maybe_hash")]
    idempotency_key: Option<[u8; 32]>,
    note: Option<String>,
    cancel_reason: Option<String>,
    #[serde(deserialize_with = "codec::flag")]
    declined: bool,
    #[serde(deserialize_with = "codec::time")]
    placed_at: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    updated_at: Timestamp,
    version: i64,
}
shadow!(Order, OrderRow);

#[derive(Deserialize)]
#[serde(remote = "Fulfilment")]
struct FulfilmentRow {
    id: FulfilmentId,
    status: FulfilmentStatus,
    carrier: String,
    tracking_number: String,
    tracking_url: Option<String>,
    items: Vec<LineQuantity>,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    #[serde(deserialize_with = "codec::maybe_time")]
    shipped_at: Option<Timestamp>,
    #[serde(deserialize_with = "codec::maybe_time")]
    delivered_at: Option<Timestamp>,
}
shadow!(Fulfilment, FulfilmentRow);

#[derive(Deserialize)]
#[serde(remote = "Return")]
struct ReturnRow {
    id: ReturnId,
    status: ReturnStatus,
    items: Vec<LineQuantity>,
    reason: String,
    #[serde(deserialize_with = "codec::time")]
    created_at: Timestamp,
    #[serde(deserialize_with = "codec::time")]
    updated_at: Timestamp,
    waived: Option<i64>,
}
shadow!(Return, ReturnRow);

const RETURN: &str = "json_array(hex(r.id), r.status, json(r.items), r.reason, r.created_at, r.updated_at, r.waived)";

/// An order `o` with all its children: one row, one snapshot.
fn order() -> String {
    format!(
        "json_array(hex(o.id), o.number, iif(o.customer_id IS NULL, NULL, hex(o.customer_id)), o.email, o.status, \
         o.payment_status, o.fulfilment_status, \
         (SELECT json_group_array(json_array(l.position, hex(l.variant_id), hex(l.product_id), l.sku, l.title, l.quantity, \
            json_array(l.unit_price, o.currency), json_array(l.total, o.currency), json_array(l.charged, o.currency), \
            json_array(l.tax, o.currency), l.fulfilled, l.cancelled, l.refunded, l.returned, \
            l.uncharged, l.restocked, l.written_off) ORDER BY l.position, l.variant_id) \
          FROM commerce_order_line l WHERE l.order_id = o.id), \
         json_array(json_array(o.subtotal, o.currency), json_array(o.discount, o.currency), \
            json_array(o.shipping, o.currency), json_array(o.tax, o.currency), json_array(o.grand_total, o.currency)), \
         json(o.shipping_address), json(o.billing_address), json(o.shipping_method), \
         (SELECT json_group_array({PAYMENT} ORDER BY p.created_at, p.id) FROM commerce_payment p WHERE p.order_id = o.id), \
         (SELECT json_group_array({REFUND} ORDER BY r.created_at, r.id) FROM commerce_refund r WHERE r.order_id = o.id), \
         (SELECT json_group_array(json_array(hex(f.id), f.status, f.carrier, f.tracking_number, f.tracking_url, \
            json(f.items), f.created_at, f.shipped_at, f.delivered_at) ORDER BY f.created_at, f.id) \
          FROM commerce_fulfilment f WHERE f.order_id = o.id), \
         (SELECT json_group_array({RETURN} ORDER BY r.created_at, r.id) FROM commerce_return r WHERE r.order_id = o.id), \
         iif(o.cart_id IS NULL, NULL, hex(o.cart_id)), iif(o.idempotency_key IS NULL, NULL, hex(o.idempotency_key)), \
         o.note, o.cancel_reason, o.declined, o.placed_at, o.updated_at, o.version)"
    )
}

struct PaymentOfOrder(OrderPayment);

impl Shadowed for PaymentOfOrder {
    fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (order_id, order_number, Row(payment)) = Deserialize::deserialize(from)?;
        Ok(Self(OrderPayment { order_id, order_number, payment }))
    }
}

struct ReturnOfOrder(OrderReturn);

impl Shadowed for ReturnOfOrder {
    fn read<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (order_id, order_number, Row(r#return)) = Deserialize::deserialize(from)?;
        Ok(Self(OrderReturn { order_id, order_number, r#return }))
    }
}

#[async_trait]
impl OrderQueries for SqliteStore {
    async fn load_order(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        let mut sql = Sql::new("SELECT ");
        sql.push(&order()).push(" FROM commerce_order o WHERE o.id = ?").bind(id.0);
        self.entity(sql).await
    }

    async fn load_order_of(&self, child: OrderChild) -> Result<Option<OrderId>, StoreError> {
        let (table, id) = match child {
            OrderChild::Payment(id) => ("commerce_payment", id.0),
            OrderChild::Refund(id) => ("commerce_refund", id.0),
            OrderChild::Fulfilment(id) => ("commerce_fulfilment", id.0),
            OrderChild::Return(id) => ("commerce_return", id.0),
        };
        let mut sql = Sql::new("SELECT json_quote(hex(order_id)) FROM ");
        sql.push(table).push(" WHERE id = ?").bind(id);
        self.optional(sql).await
    }

    async fn list_orders(&self, query: &OrderQuery, spec: &PageSpec) -> Result<Rows<Order>, StoreError> {
        let filter = |sql: &mut Sql| order_filter(sql, query);
        let rows = self.page::<Order>(&order(), filter, &Keyset::falling("o.placed_at", "o.id"), spec).await?;
        Ok(listed(rows, spec, |order| (SortKey::Int(order.placed_at.as_micros()), order.id.0)))
    }

    async fn list_payments(
        &self,
        status: Option<PaymentStatus>,
        spec: &PageSpec,
    ) -> Result<Rows<OrderPayment>, StoreError> {
        let filter = |sql: &mut Sql| {
            sql.push(" FROM commerce_payment p JOIN commerce_order o ON o.id = p.order_id WHERE true");
            if let Some(status) = status {
                sql.push(" AND p.status = ?").bind(status.as_str());
            }
        };
        let row = format!("json_array(hex(o.id), o.number, {PAYMENT})");
        let rows = self.page::<PaymentOfOrder>(&row, filter, &Keyset::falling("p.created_at", "p.id"), spec).await?;
        let rows = FetchedRows { items: rows.items.into_iter().map(|row| row.0).collect(), total: rows.total };
        Ok(listed(rows, spec, |row| (SortKey::Int(row.payment.created_at.as_micros()), row.payment.id.0)))
    }

    async fn list_returns(
        &self,
        status: Option<ReturnStatus>,
        spec: &PageSpec,
    ) -> Result<Rows<OrderReturn>, StoreError> {
        let filter = |sql: &mut Sql| {
            sql.push(" FROM commerce_return r JOIN commerce_order o ON o.id = r.order_id WHERE true");
            if let Some(status) = status {
                sql.push(" AND r.status = ?").bind(status.as_str());
            }
        };
        let row = format!("json_array(hex(o.id), o.number, {RETURN})");
        let rows = self.page::<ReturnOfOrder>(&row, filter, &Keyset::falling("r.created_at", "r.id"), spec).await?;
        let rows = FetchedRows { items: rows.items.into_iter().map(|row| row.0).collect(), total: rows.total };
        Ok(listed(rows, spec, |row| (SortKey::Int(row.r#return.created_at.as_micros()), row.r#return.id.0)))
    }

    async fn has_orders(&self, product: ProductId) -> Result<bool, StoreError> {
        let mut sql = Sql::new("SELECT EXISTS (SELECT 1 FROM commerce_order_line WHERE product_id = ?)");
        sql.bind(product.0);
        Ok(self.number(sql).await? != 0)
    }

    async fn load_purchases(&self, pairs: &[(UserId, ProductId)]) -> Result<BTreeSet<(UserId, ProductId)>, StoreError> {
        if pairs.is_empty() {
            return Ok(BTreeSet::new());
        }
        // A customer has fewer orders than a product has buyers.
        let mut sql = Sql::new("SELECT json_array(hex(w.column1), hex(w.column2)) FROM (VALUES ");
        for (n, (customer, product)) in pairs.iter().enumerate() {
            sql.push(if n == 0 { "(?, ?)" } else { ", (?, ?)" }).bind(customer.0).bind(product.0);
        }
        sql.push(
            ") w WHERE EXISTS (SELECT 1 FROM commerce_order o CROSS JOIN commerce_order_line l ON l.order_id = o.id \
             WHERE o.customer_id = w.column1 AND l.product_id = w.column2 AND o.status IN ('confirmed', 'completed') \
             AND (o.payment_status IN ('paid', 'partially_refunded') \
                  OR o.payment_status <> 'refunded' AND o.fulfilment_status = 'delivered') \
             AND max(l.cancelled, l.refunded + l.uncharged, l.returned) < l.quantity)",
        );
        Ok(self.many::<(UserId, ProductId)>(sql).await?.into_iter().collect())
    }
}

fn order_filter(sql: &mut Sql, query: &OrderQuery) {
    sql.push(" FROM commerce_order o WHERE true");
    if let Some(customer) = query.customer {
        sql.push(" AND o.customer_id = ?").bind(customer.0);
    }
    if query.of_guests {
        sql.push(" AND o.customer_id IS NULL");
    }
    if query.hide_declined {
        sql.push(" AND NOT o.declined");
    }
    if let Some(status) = query.status {
        sql.push(" AND o.status = ?").bind(status.as_str());
    }
    if let Some(status) = query.payment_status {
        sql.push(" AND o.payment_status = ?").bind(status.as_str());
    }
    if let Some(status) = query.fulfilment_status {
        sql.push(" AND o.fulfilment_status = ?").bind(status.as_str());
    }
    if let Some(email) = &query.email {
        sql.push(" AND o.email = ?").bind(email.clone());
    }
    if let Some(number) = &query.number {
        sql.push(" AND o.number = ?").bind(number.clone());
    }
    if let Some(at) = query.placed_after {
        sql.push(" AND o.placed_at >= ?").bind(at.as_micros());
    }
    if let Some(at) = query.placed_before {
        sql.push(" AND o.placed_at < ?").bind(at.as_micros());
    }
}
