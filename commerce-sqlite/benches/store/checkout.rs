//! Checkouts a second with full durability.

use std::time::Duration;

use commerce_core::{
    conformance::load::{Checkout, LoadError, checkouts, commits_per_second, median},
    store::Store as _,
};
use commerce_sqlite::SqliteStore;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

/// Variants in stock: enough that buyers don't all want the same.
const VARIANTS: usize = 2_000;
const BUYERS: [usize; 3] = [1, 32, 128];
const SPAN: Duration = Duration::from_millis(1500);
const CARTS: usize = 16_000;
/// Ours and raw take turns, so that what else the machine does weighs on both.
const TURNS: usize = 5;

pub(crate) async fn run() -> Result<(), LoadError> {
    let mut rates = Vec::new();
    for buyers in BUYERS {
        let mut turns = Vec::with_capacity(TURNS);
        for _ in 0..TURNS {
            turns.push((ours(buyers).await?, raw(buyers).await?));
        }
        let ratio = median(turns.iter().map(|(ours, raw)| ours / raw));
        let (ours, raw) = (median(turns.iter().map(|turn| turn.0)), median(turns.iter().map(|turn| turn.1)));
        println!("bench checkout_commit_{buyers} ratio={ratio:.2} value={ours:.0}/s raw={raw:.0}/s");
        rates.push(ours);
    }
    println!("bench checkout_grouping ratio={:.2} value={:.0}/s", rates[1] / rates[0], rates[1]);
    Ok(())
}

/// More than are checked out in the time.
const fn carts(buyers: usize) -> usize {
    if buyers == 1 { CARTS / 4 } else { CARTS }
}

async fn ours(buyers: usize) -> Result<f64, LoadError> {
    let (_dir, url) = database()?;
    let store = SqliteStore::open(&url).await?;
    let work = checkouts(&store, VARIANTS, carts(buyers)).await?;
    commits_per_second(work, buyers, SPAN, move |checkout| {
        let store = store.clone();
        async move { Ok(store.commit(&checkout.set).await.map(drop)?) }
    })
    .await
}

async fn raw(buyers: usize) -> Result<f64, LoadError> {
    let (_dir, url) = database()?;
    let store = SqliteStore::open(&url).await?;
    let work = checkouts(&store, VARIANTS, carts(buyers)).await?;
    drop(store);
    let mut conn = SqliteConnection::connect(&url).await?;
    for pragma in ["synchronous = FULL", "foreign_keys = ON", "cache_size = -32000", "wal_autocheckpoint = 4000"] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA {pragma}"))).execute(&mut conn).await?;
    }
    let (queue, mut jobs) = mpsc::channel::<(Checkout, oneshot::Sender<Result<(), String>>)>(4096);
    tokio::spawn(async move {
        let mut group = Vec::new();
        while jobs.recv_many(&mut group, 256).await > 0 {
            let written = write_group(&mut conn, &group).await.map_err(|error| error.to_string());
            for (_, reply) in group.drain(..) {
                let _ = reply.send(written.clone());
            }
        }
    });
    commits_per_second(work, buyers, SPAN, move |checkout| {
        let queue = queue.clone();
        async move {
            let (reply, answer) = oneshot::channel();
            queue.send((checkout, reply)).await.map_err(|_| "the writer is gone")?;
            Ok(answer.await??)
        }
    })
    .await
}

type Waiting = (Checkout, oneshot::Sender<Result<(), String>>);

async fn write_group(conn: &mut SqliteConnection, group: &[Waiting]) -> Result<(), sqlx::Error> {
    let mut tx = conn.begin_with("BEGIN IMMEDIATE").await?;
    for (checkout, _) in group {
        write_rows(&mut tx, checkout).await?;
    }
    tx.commit().await
}

/// The rows of a checkout as raw SQL: one string, no guards, no savepoint.
async fn write_rows(conn: &mut SqliteConnection, checkout: &Checkout) -> Result<(), sqlx::Error> {
    const SQL: &str = "
        INSERT INTO commerce_commit (id, at) VALUES (?, ?);
        DELETE FROM commerce_claim WHERE kind = 'open_cart' AND key = ?;
        INSERT INTO commerce_claim (kind, key, owner) VALUES ('order_number', ?, ?);
        UPDATE commerce_cart SET status = 'ordered', updated_at = ?, version = version + 1 WHERE id = ?;
        UPDATE commerce_stock SET reserved = reserved + ?, low = 0 WHERE variant_id = ?;
        UPDATE commerce_stock SET reserved = reserved + ?, low = 0 WHERE variant_id = ?;
        INSERT INTO commerce_order (id, number, customer_id, email, status, payment_status, fulfilment_status, currency,
            subtotal, discount, shipping, tax, grand_total, shipping_address, billing_address, shipping_method, cart_id,
            declined, placed_at, updated_at, version)
        VALUES (?, ?, ?, ?, 'pending', 'pending', 'unfulfilled', 'EUR', ?, 0, 0, 0, ?, ?, ?, ?, ?, 0, ?, ?, 1);
        INSERT INTO commerce_order_line (order_id, variant_id, product_id, position, sku, title, quantity, unit_price, total,
            charged, tax, fulfilled, cancelled, refunded, returned)
        VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0), (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0);
        INSERT INTO commerce_payment (id, order_id, method, gateway, status, amount, captured, refunded, refund_pending,
            token, lease_until, reserved_until, created_at, updated_at)
        VALUES (?, ?, 'test', 'test', 'pending', ?, 0, 0, 0, ?, ?, ?, ?, ?);
        INSERT INTO commerce_event (root_id, root_kind, version, n, id, at, actor, event) VALUES (?, 'order', 1, 0, ?, ?, ?, ?);
        INSERT INTO commerce_task (id, due, kind, body) VALUES (?, ?, 'settle_payment', ?), (?, ?, 'expire_reservation', ?)";
    let (order, set) = (&checkout.order, &checkout.set);
    let (payment, now, json) = (&order.payments[0], set.at().as_micros(), |value: &dyn erased::Json| value.json());
    let mut query = sqlx::query(SQL)
        .bind(set.id().0)
        .bind(now)
        .bind(checkout.cart.owner.key())
        .bind(&order.number)
        .bind(order.id.0)
        .bind(now)
        .bind(checkout.cart.id.0);
    for line in &order.lines {
        query = query.bind(i64::from(line.quantity)).bind(line.variant_id.0);
    }
    query = query
        .bind(order.id.0)
        .bind(&order.number)
        .bind(order.customer_id.map(|id| id.0))
        .bind(&order.email)
        .bind(order.totals.subtotal.minor)
        .bind(order.totals.grand_total.minor)
        .bind(json(&order.shipping_address))
        .bind(json(&order.billing_address))
        .bind(json(&order.shipping_method))
        .bind(order.cart_id.map(|id| id.0))
        .bind(now)
        .bind(now);
    for line in &order.lines {
        query = query
            .bind(order.id.0)
            .bind(line.variant_id.0)
            .bind(line.product_id.0)
            .bind(&line.sku)
            .bind(&line.title)
            .bind(i64::from(line.quantity))
            .bind(line.unit_price.minor)
            .bind(line.total.minor)
            .bind(line.charged.minor);
    }
    query = query
        .bind(payment.id.0)
        .bind(order.id.0)
        .bind(payment.amount.minor)
        .bind(&payment.token)
        .bind(payment.lease_until.map(commerce_core::clock::Timestamp::as_micros))
        .bind(payment.reserved_until.map(commerce_core::clock::Timestamp::as_micros))
        .bind(now)
        .bind(now);
    let event = &set.events()[0];
    query = query.bind(order.id.0).bind(event.id.0).bind(now).bind(json(&event.by)).bind(json(&event.event));
    for task in set.tasks() {
        if let commerce_core::store::TaskWrite::Add { id, due, task } = task {
            query = query.bind(id.0).bind(due.as_micros()).bind(json(task));
        }
    }
    query.execute(conn).await.map(drop)
}

mod erased {
    /// Values that are stored as JSON.
    pub(super) trait Json {
        fn json(&self) -> String;
    }

    impl<T: serde::Serialize> Json for T {
        fn json(&self) -> String {
            serde_json::to_string(self).unwrap_or_default()
        }
    }
}

fn database() -> Result<(tempfile::TempDir, String), LoadError> {
    let dir = tempfile::tempdir()?;
    let url = format!("sqlite://{}", dir.path().join("shop.db").display());
    Ok((dir, url))
}
