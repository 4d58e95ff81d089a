//! Orders with their lines, payments, refunds, parcels and returns: how they are read, and ([`save`]) written.

mod save;

use std::collections::BTreeSet;

use async_trait::async_trait;
use commerce_core::{
    id::{OrderId, ProductId, UserId},
    order::{
        Fulfilment, Order, OrderChild, OrderLine, OrderPayment, OrderQueries, OrderQuery, OrderReturn, Return,
        ReturnStatus,
    },
    page::{PageSpec, Rows, SortKey},
    payment::PaymentStatus,
    pricing::Totals,
    store::StoreError,
};
use serde::{Deserialize, Deserializer};

use crate::{
    SqliteStore,
    codec::{FromJson, Row},
    list::{FetchedRows, Keyset, listed},
    payment::{payment, refund},
    row::{Flag, Id, Int, Json, Many, MaybeHash, MaybeId, Name, One, OrderMoney, Text, Time, all, row},
    sql::Sql,
};

pub(crate) use self::save::save_order;

row! {
    /// An order `o` with all its children: one row, one snapshot.
    fn order() -> Order of "o." {
        id: Id,
        number: Text,
        customer_id: MaybeId,
        email: Text,
        status: Name,
        payment_status: Name,
        fulfilment_status: Name,
        lines: Many = of_order(&line(), "l.position, l.variant_id", "commerce_order_line l"),
        totals: One = totals(),
        shipping_address: Json,
        billing_address: Json,
        shipping_method: Json,
        payments: Many = of_order(&payment(), "p.created_at, p.id", "commerce_payment p"),
        refunds: Many = of_order(&refund(), "r.created_at, r.id", "commerce_refund r"),
        fulfilments: Many = of_order(&fulfilment(), "f.created_at, f.id", "commerce_fulfilment f"),
        returns: Many = of_order(&order_return(), "r.created_at, r.id", "commerce_return r"),
        cart_id: MaybeId,
        idempotency_key: MaybeHash,
        note: Text,
        cancel_reason: Text,
        declined: Flag,
        placed_at: Time,
        updated_at: Time,
        version: Int,
    }
}

row! {
    fn totals() -> Totals of "o." {
        subtotal: OrderMoney,
        discount: OrderMoney,
        shipping: OrderMoney,
        tax: OrderMoney,
        grand_total: OrderMoney,
    }
}

row! {
    fn line() -> OrderLine of "l." {
        position: Int,
        variant_id: Id,
        product_id: Id,
        sku: Text,
        title: Text,
        quantity: Int,
        unit_price: OrderMoney,
        total: OrderMoney,
        charged: OrderMoney,
        tax: OrderMoney,
        fulfilled: Int,
        cancelled: Int,
        refunded: Int,
        returned: Int,
        uncharged: Int,
        restocked: Int,
        written_off: Int,
    }
}

row! {
    fn fulfilment() -> Fulfilment of "f." {
        id: Id,
        status: Name,
        carrier: Text,
        tracking_number: Text,
        tracking_url: Text,
        items: Json,
        created_at: Time,
        shipped_at: Time,
        delivered_at: Time,
    }
}

row! {
    fn order_return() -> Return of "r." {
        id: Id,
        status: Name,
        items: Json,
        reason: Text,
        created_at: Time,
        updated_at: Time,
        waived: Int,
    }
}

/// All children of a kind; `from` is their table with its alias.
fn of_order(row: &str, order: &str, from: &str) -> String {
    let alias = from.rsplit(' ').next().unwrap_or_default();
    all(row, order, &format!("{from} WHERE {alias}.order_id = o.id"))
}

struct PaymentOfOrder(OrderPayment);

impl FromJson for PaymentOfOrder {
    fn from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (order_id, order_number, Row(payment)) = Deserialize::deserialize(from)?;
        Ok(Self(OrderPayment { order_id, order_number, payment }))
    }
}

struct ReturnOfOrder(OrderReturn);

impl FromJson for ReturnOfOrder {
    fn from_json<'de, D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
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
        let row = format!("json_array(hex(o.id), o.number, {})", payment());
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
        let row = format!("json_array(hex(o.id), o.number, {})", order_return());
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
