//! The rows of a checkout through sqlx, unguarded, in three round trips: BEGIN with the locks, one statement, COMMIT.

use commerce_core::{
    clock::Timestamp,
    conformance::load::{Checkout, LoadError},
    store::TaskWrite,
};
use sqlx::{AssertSqlSafe, Executor as _, PgPool, raw_sql, types::Json};
use uuid::Uuid;

const WRITE: &str = "
    WITH a AS (INSERT INTO commerce_commit (id, at) VALUES ($1, $2)),
    b AS (DELETE FROM commerce_claim WHERE key = $3 AND kind = 'open_cart'),
    c AS (INSERT INTO commerce_claim (key, kind, owner) VALUES ($4, 'order_number', $5)),
    d AS (UPDATE commerce_cart SET status = 'ordered', updated_at = $2, version = version + 1 WHERE id = $6),
    e AS (UPDATE commerce_stock s SET reserved = s.reserved + u.n, in_stock = s.on_hand > s.reserved + u.n
        FROM unnest($7::uuid[], $8::int8[]) u (id, n) WHERE s.variant_id = u.id),
    f AS (INSERT INTO commerce_order (id, number, customer_id, email, status, payment_status, fulfilment_status, currency,
            subtotal, discount, shipping, tax, grand_total, shipping_address, billing_address, shipping_method, cart_id,
            declined, placed_at, updated_at, version)
        VALUES ($5, $4, $9, $10, 'pending', 'pending', 'unfulfilled', 'EUR', $11, 0, 0, 0, $11, $12, $12, $13, $6, false, $2, $2, 1)),
    g AS (INSERT INTO commerce_order_line (order_id, variant_id, position, product_id, sku, title, quantity, currency,
            unit_price, total, charged, tax, fulfilled, cancelled, refunded, returned)
        SELECT $5, u.id, u.at, u.product, u.sku, u.title, u.n, 'EUR', u.price, u.price, u.price, 0, 0, 0, 0, 0
        FROM unnest($7::uuid[], $8::int8[], $14::int8[], $15::uuid[], $16::text[], $17::text[], $18::int8[])
            u (id, n, at, product, sku, title, price)),
    h AS (INSERT INTO commerce_payment (order_id, id, method, gateway, status, currency, amount, captured, refunded,
            refund_pending, token, lease_until, reserved_until, created_at, updated_at)
        VALUES ($5, $19, 'test', 'test', 'pending', 'EUR', $11, 0, 0, 0, $20, $2, $2, $2, $2)),
    i AS (INSERT INTO commerce_event (root_id, id, root_kind, version, n, at, actor, event)
        VALUES ($5, $21, 'order', 1, 0, $2, $22, $23))
    INSERT INTO commerce_task (id, due, kind, body, attempts, lease_until, dead)
        SELECT u.id, u.due, u.kind, u.body, 0, 0, false
        FROM unnest($24::uuid[], $25::int8[], $26::text[], $27::jsonb[]) u (id, due, kind, body)";

pub(crate) async fn write(pool: &PgPool, checkout: &Checkout) -> Result<(), LoadError> {
    let (order, set) = (&checkout.order, &checkout.set);
    let (payment, event) = (&order.payments[0], &set.events()[0]);
    let variants: Vec<Uuid> = order.lines.iter().map(|line| line.variant_id.0).collect();
    let listed = variants.iter().map(|id| format!("'{id}'")).collect::<Vec<_>>().join(", ");
    let begin = format!(
        "BEGIN; SELECT 1 FROM commerce_cart WHERE id = '{}' FOR UPDATE; \
         SELECT 1 FROM commerce_stock WHERE variant_id IN ({listed}) ORDER BY variant_id FOR UPDATE",
        checkout.cart.id
    );
    let (mut tasks, mut dues, mut kinds, mut bodies) = (vec![], vec![], vec![], vec![]);
    for task in set.tasks() {
        if let TaskWrite::Add { id, due, task } = task {
            tasks.push(id.0);
            dues.push(Timestamp::as_micros(*due));
            kinds.push("settle_payment");
            bodies.push(Json(task));
        }
    }
    let lines = || order.lines.iter();
    let write = sqlx::query(WRITE)
        .bind(set.id().0)
        .bind(set.at().as_micros())
        .bind(checkout.cart.owner.key())
        .bind(&order.number)
        .bind(order.id.0)
        .bind(checkout.cart.id.0)
        .bind(&variants)
        .bind(lines().map(|line| i64::from(line.quantity)).collect::<Vec<_>>())
        .bind(order.customer_id.map(|id| id.0))
        .bind(&order.email)
        .bind(order.totals.grand_total.minor)
        .bind(Json(&order.shipping_address))
        .bind(Json(&order.shipping_method))
        .bind(lines().map(|line| line.position).collect::<Vec<_>>())
        .bind(lines().map(|line| line.product_id.0).collect::<Vec<_>>())
        .bind(lines().map(|line| line.sku.as_str()).collect::<Vec<_>>())
        .bind(lines().map(|line| line.title.as_str()).collect::<Vec<_>>())
        .bind(lines().map(|line| line.total.minor).collect::<Vec<_>>())
        .bind(payment.id.0)
        .bind(&payment.token)
        .bind(event.id.0)
        .bind(Json(&event.by))
        .bind(Json(&event.event))
        .bind(tasks)
        .bind(dues)
        .bind(kinds)
        .bind(bodies);
    let mut connection = pool.acquire().await?;
    connection.execute(raw_sql(AssertSqlSafe(begin))).await?;
    write.execute(&mut *connection).await?;
    connection.execute(raw_sql("COMMIT")).await?;
    Ok(())
}
