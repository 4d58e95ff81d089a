//! Orders with their lines, payments, refunds, fulfilments and returns.

use std::collections::BTreeSet;

use async_trait::async_trait;
use commerce_core::{
    Currency, Money,
    address::PostalAddress,
    clock::Timestamp,
    id::{CartId, OrderId, ProductId, UserId},
    order::{
        FulfilmentState, Order, OrderChild, OrderPayment, OrderQueries, OrderQuery, OrderReturn, OrderStatus,
        ReturnStatus,
    },
    page::{Cursor, PageSpec, Rows},
    payment::PaymentStatus,
    pricing::{ShippingMethod, Totals},
    store::StoreError,
};
use sqlx::{FromRow, Row as _, postgres::PgRow, types::Json};
use uuid::Uuid;

use crate::{
    codec::{Name, table},
    page::{Direction, List, Sorted, at},
    reads::PgReads,
    sql::Sql,
};
pub(crate) use crate::{
    order_child::{FulfilmentRow, OrderLineRow, ReturnRow},
    payment::{PaymentRow, RefundRow},
};

table! {
    OrderRow = "commerce_order" by [id] {
        id: Uuid,
        number: String,
        customer_id: Option<Uuid>,
        email: String,
        status: Name<OrderStatus>,
        payment_status: Name<PaymentStatus>,
        fulfilment_status: Name<FulfilmentState>,
        currency: Name<Currency>,
        subtotal: i64,
        discount: i64,
        shipping: i64,
        tax: i64,
        grand_total: i64,
        shipping_address: Json<PostalAddress>,
        billing_address: Json<PostalAddress>,
        shipping_method: Json<ShippingMethod>,
        cart_id: Option<Uuid>,
        idempotency_key: Option<[u8; 32]>,
        note: Option<String>,
        cancel_reason: Option<String>,
        declined: bool,
        placed_at: i64,
        updated_at: i64,
        version: i64,
    }
}

impl From<&Order> for OrderRow {
    fn from(order: &Order) -> Self {
        let totals = order.totals;
        Self {
            id: order.id.0,
            number: order.number.clone(),
            customer_id: order.customer_id.map(Into::into),
            email: order.email.clone(),
            status: Name(order.status),
            payment_status: Name(order.payment_status),
            fulfilment_status: Name(order.fulfilment_status),
            currency: Name(order.currency()),
            subtotal: totals.subtotal.minor,
            discount: totals.discount.minor,
            shipping: totals.shipping.minor,
            tax: totals.tax.minor,
            grand_total: totals.grand_total.minor,
            shipping_address: Json(order.shipping_address.clone()),
            billing_address: Json(order.billing_address.clone()),
            shipping_method: Json(order.shipping_method.clone()),
            cart_id: order.cart_id.map(Into::into),
            idempotency_key: order.idempotency_key,
            note: order.note.clone(),
            cancel_reason: order.cancel_reason.clone(),
            declined: order.declined,
            placed_at: order.placed_at.as_micros(),
            updated_at: order.updated_at.as_micros(),
            version: order.version,
        }
    }
}

/// An order's head and its children, from one statement.
struct WholeOrder {
    head: OrderRow,
    lines: Vec<OrderLineRow>,
    payments: Vec<PaymentRow>,
    refunds: Vec<RefundRow>,
    fulfilments: Vec<FulfilmentRow>,
    returns: Vec<ReturnRow>,
}

impl<'r> FromRow<'r, PgRow> for WholeOrder {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        let (Json(lines), Json(payments), Json(refunds)) =
            (row.try_get("lines")?, row.try_get("payments")?, row.try_get("refunds")?);
        let (Json(fulfilments), Json(returns)) = (row.try_get("fulfilments")?, row.try_get("returns")?);
        Ok(Self { head: OrderRow::from_row(row)?, lines, payments, refunds, fulfilments, returns })
    }
}

impl From<WholeOrder> for Order {
    fn from(WholeOrder { head: row, lines, payments, refunds, fulfilments, returns }: WholeOrder) -> Self {
        let money = |minor| Money::new(minor, row.currency.0);
        Self {
            totals: Totals {
                subtotal: money(row.subtotal),
                discount: money(row.discount),
                shipping: money(row.shipping),
                tax: money(row.tax),
                grand_total: money(row.grand_total),
            },
            id: OrderId(row.id),
            number: row.number,
            customer_id: row.customer_id.map(UserId),
            email: row.email,
            status: row.status.0,
            payment_status: row.payment_status.0,
            fulfilment_status: row.fulfilment_status.0,
            lines: lines.into_iter().map(Into::into).collect(),
            shipping_address: row.shipping_address.0,
            billing_address: row.billing_address.0,
            shipping_method: row.shipping_method.0,
            payments: payments.into_iter().map(Into::into).collect(),
            refunds: refunds.into_iter().map(Into::into).collect(),
            fulfilments: fulfilments.into_iter().map(Into::into).collect(),
            returns: returns.into_iter().map(Into::into).collect(),
            cart_id: row.cart_id.map(CartId),
            idempotency_key: row.idempotency_key,
            note: row.note,
            cancel_reason: row.cancel_reason,
            declined: row.declined,
            placed_at: Timestamp::from_micros(row.placed_at),
            updated_at: Timestamp::from_micros(row.updated_at),
            version: row.version,
        }
    }
}

impl Sorted for WholeOrder {
    fn position(&self) -> Cursor {
        at(self.head.placed_at, self.head.id)
    }
}

/// An order and the lists below it, in one statement. `id` is the order's: as a parameter, if it can be, for Citus asks one node
/// only where every table's part is named by it.
fn select_order(id: &str) -> String {
    let below = [
        ("commerce_order_line", "position, c.variant_id", "lines"),
        ("commerce_payment", "created_at, c.id", "payments"),
        ("commerce_refund", "created_at, c.id", "refunds"),
        ("commerce_fulfilment", "created_at, c.id", "fulfilments"),
        ("commerce_return", "created_at, c.id", "returns"),
    ];
    let lists = below.map(|(table, order, name)| {
        format!(
            "coalesce((SELECT json_agg(c ORDER BY c.{order}) FROM {table} c WHERE c.order_id = {id}), '[]') AS {name}"
        )
    });
    format!("SELECT o.*, {}", lists.join(", "))
}

struct OfOrder<T> {
    number: String,
    child: T,
}

impl<'r, T: FromRow<'r, PgRow>> FromRow<'r, PgRow> for OfOrder<T> {
    fn from_row(row: &'r PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self { number: row.try_get("number")?, child: T::from_row(row)? })
    }
}

impl From<OfOrder<PaymentRow>> for OrderPayment {
    fn from(row: OfOrder<PaymentRow>) -> Self {
        Self { order_id: OrderId(row.child.order_id), order_number: row.number, payment: row.child.into() }
    }
}

impl Sorted for OfOrder<PaymentRow> {
    fn position(&self) -> Cursor {
        at(self.child.created_at, self.child.id)
    }
}

impl From<OfOrder<ReturnRow>> for OrderReturn {
    fn from(row: OfOrder<ReturnRow>) -> Self {
        Self { order_id: OrderId(row.child.order_id), order_number: row.number, r#return: row.child.into() }
    }
}

impl Sorted for OfOrder<ReturnRow> {
    fn position(&self) -> Cursor {
        at(self.child.created_at, self.child.id)
    }
}

#[async_trait]
impl OrderQueries for PgReads {
    async fn load_order(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        let mut sql = Sql::new(select_order("$1"));
        sql.push(" FROM commerce_order o WHERE o.id = ").bind(id.0);
        Ok(self.reader.optional::<WholeOrder>(&sql).await?.map(Into::into))
    }

    async fn load_order_of(&self, child: OrderChild) -> Result<Option<OrderId>, StoreError> {
        let (table, id) = match child {
            OrderChild::Payment(id) => ("commerce_payment", id.0),
            OrderChild::Refund(id) => ("commerce_refund", id.0),
            OrderChild::Fulfilment(id) => ("commerce_fulfilment", id.0),
            OrderChild::Return(id) => ("commerce_return", id.0),
        };
        let mut sql = Sql::new(format!("SELECT order_id FROM {table} WHERE id = "));
        Ok(self.reader.optional::<(Uuid,)>(sql.bind(id)).await?.map(|(order,)| OrderId(order)))
    }

    async fn list_orders(&self, query: &OrderQuery, spec: &PageSpec) -> Result<Rows<Order>, StoreError> {
        let mut from = Sql::new(" FROM commerce_order o WHERE TRUE");
        from.and("o.customer_id =", query.customer.map(|customer| customer.0))
            .and("o.status =", query.status.map(OrderStatus::as_str))
            .and("o.payment_status =", query.payment_status.map(PaymentStatus::as_str))
            .and("o.fulfilment_status =", query.fulfilment_status.map(FulfilmentState::as_str))
            .and("o.email =", query.email.as_deref())
            .and("o.number =", query.number.as_deref())
            .and("o.placed_at >=", query.placed_after.map(Timestamp::as_micros))
            .and("o.placed_at <", query.placed_before.map(Timestamp::as_micros));
        if query.of_guests {
            from.push(" AND o.customer_id IS NULL");
        }
        if query.hide_declined {
            from.push(" AND NOT o.declined");
        }
        let select = select_order("o.id");
        if self.reader.is_distributed().await? {
            let list = List { select: &select, key: "o.placed_at", id: "o.id", direction: Direction::Falling };
            return self.reader.list::<WholeOrder, Order>(list, &from, spec).await;
        }
        // The page is cut first, so that only its orders are read whole.
        let mut page = from.prefixed("SELECT o.*");
        page.page("o.placed_at", "o.id", Direction::Falling, spec);
        let mut sql = page.prefixed(&format!("{select} FROM ("));
        sql.push(") o ORDER BY o.placed_at DESC, o.id DESC");
        let rows: Vec<WholeOrder> = self.reader.all(&sql).await?;
        self.reader.page(rows, &from, spec).await
    }

    async fn list_payments(
        &self,
        status: Option<PaymentStatus>,
        spec: &PageSpec,
    ) -> Result<Rows<OrderPayment>, StoreError> {
        let mut from = Sql::new(" FROM commerce_payment c JOIN commerce_order o ON o.id = c.order_id WHERE TRUE");
        from.and("c.status =", status.map(PaymentStatus::as_str));
        let list =
            List { select: "SELECT o.number, c.*", key: "c.created_at", id: "c.id", direction: Direction::Falling };
        self.reader.list::<OfOrder<PaymentRow>, OrderPayment>(list, &from, spec).await
    }

    async fn list_returns(
        &self,
        status: Option<ReturnStatus>,
        spec: &PageSpec,
    ) -> Result<Rows<OrderReturn>, StoreError> {
        let mut from = Sql::new(" FROM commerce_return c JOIN commerce_order o ON o.id = c.order_id WHERE TRUE");
        from.and("c.status =", status.map(ReturnStatus::as_str));
        let list =
            List { select: "SELECT o.number, c.*", key: "c.created_at", id: "c.id", direction: Direction::Falling };
        self.reader.list::<OfOrder<ReturnRow>, OrderReturn>(list, &from, spec).await
    }

    async fn has_orders(&self, product: ProductId) -> Result<bool, StoreError> {
        let mut sql = Sql::new("SELECT 1 FROM commerce_order_line WHERE product_id = ");
        sql.bind(product.0).push(" LIMIT 1");
        Ok(self.reader.optional::<(i32,)>(&sql).await?.is_some())
    }

    async fn load_purchases(&self, pairs: &[(UserId, ProductId)]) -> Result<BTreeSet<(UserId, ProductId)>, StoreError> {
        let customers: BTreeSet<Uuid> = pairs.iter().map(|(customer, _)| customer.0).collect();
        let products: BTreeSet<Uuid> = pairs.iter().map(|(_, product)| product.0).collect();
        let mut sql = Sql::new(
            "SELECT DISTINCT o.customer_id, l.product_id FROM commerce_order o \
             JOIN commerce_order_line l ON l.order_id = o.id WHERE o.status IN ('confirmed', 'completed') \
             AND (o.payment_status IN ('paid', 'partially_refunded') \
                  OR o.payment_status <> 'refunded' AND o.fulfilment_status = 'delivered') \
             AND greatest(l.cancelled, l.refunded + l.uncharged, l.returned) < l.quantity AND o.customer_id = ANY(",
        );
        sql.bind(customers.into_iter().collect::<Vec<_>>()).push(") AND l.product_id = ANY(");
        sql.bind(products.into_iter().collect::<Vec<_>>()).push(")");
        let rows: Vec<(Uuid, Uuid)> = self.reader.all(&sql).await?;
        let found = rows.into_iter().map(|(customer, product)| (UserId(customer), ProductId(product)));
        Ok(found.filter(|pair| pairs.contains(pair)).collect())
    }
}
