//! Checkouts a second: two lines a cart, stock reserved, full durability.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use commerce_core::{
    Currency, Money,
    account::PostalAddress,
    call::ActorRef,
    cart::{Cart, CartLine, CartOwner, CartStatus},
    clock::{Clock as _, SystemClock},
    event::{DomainEvent, Task},
    id::{CartId, IdGenerator as _, OrderId, PaymentId, ProductId, UserId, UuidV7, VariantId},
    inventory::NewStock,
    order::{FulfilmentState, Order, OrderLine, OrderStatus, ShippingMethod},
    payment::{Payment, PaymentStatus},
    pricing::Totals,
    store::{ChangeSet, Claim, Root, Store as _},
};
use commerce_sqlite::SqliteStore;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

type BoxError = Box<dyn std::error::Error>;

/// Variants in stock: enough that buyers don't all want the same.
const VARIANTS: usize = 2_000;
const BUYERS: [usize; 3] = [1, 32, 128];
const SPAN: Duration = Duration::from_millis(1500);
const PER_SPAN: usize = 16_000;
/// Ours and raw take turns, so that what else the machine does weighs on both.
const TURNS: usize = 5;

/// One checkout: its cart as it is, and what reserving it writes.
struct Checkout {
    cart: Cart,
    order: Order,
    set: ChangeSet,
}

pub(crate) async fn run() -> Result<(), BoxError> {
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

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

async fn ours(buyers: usize) -> Result<f64, BoxError> {
    let (_dir, url) = database()?;
    let store = SqliteStore::open(&url).await?;
    let work = prepare(&store, buyers).await?;
    measure(work, buyers, move |checkout| {
        let store = store.clone();
        async move { store.commit(&checkout.set).await.map(drop).map_err(|error| error.to_string()) }
    })
    .await
}

async fn raw(buyers: usize) -> Result<f64, BoxError> {
    let (_dir, url) = database()?;
    let store = SqliteStore::open(&url).await?;
    let work = prepare(&store, buyers).await?;
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
    measure(work, buyers, move |checkout| {
        let queue = queue.clone();
        async move {
            let (reply, answer) = oneshot::channel();
            queue.send((checkout, reply)).await.map_err(|error| error.to_string())?;
            answer.await.map_err(|error| error.to_string())?
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
        INSERT INTO commerce_task (id, due, kind, task) VALUES (?, ?, 'settle_payment', ?), (?, ?, 'expire_reservation', ?)";
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

fn database() -> Result<(tempfile::TempDir, String), BoxError> {
    let dir = tempfile::tempdir()?;
    let url = format!("sqlite://{}", dir.path().join("shop.db").display());
    Ok((dir, url))
}

/// Stock, and as many full carts as buyers can check out in the time.
async fn prepare(store: &SqliteStore, buyers: usize) -> Result<Vec<Checkout>, BoxError> {
    let (ids, now) = (UuidV7, SystemClock.now());
    let mut variants = Vec::with_capacity(VARIANTS);
    let mut set = ChangeSet::new(&ids, now, ActorRef::System);
    for _ in 0..VARIANTS {
        let stock =
            NewStock { variant_id: VariantId(ids.uuid()), product_id: ProductId(ids.uuid()), low_stock_threshold: 0 };
        set.open_stock(stock, 1_000_000);
        variants.push(stock);
    }
    store.commit(&set).await?;
    let count = if buyers == 1 { PER_SPAN / 4 } else { PER_SPAN };
    let mut work = Vec::with_capacity(count);
    for chunk in 0..count / 100 {
        let mut set = ChangeSet::new(&ids, now, ActorRef::System);
        let mut carts: Vec<_> = (0..100).map(|n| cart(&variants, chunk * 100 + n)).collect();
        for cart in &mut carts {
            set.insert(cart).hold(Claim::open_cart(&cart.owner), cart.id);
        }
        store.commit(&set).await?;
        work.extend(carts.into_iter().map(|cart| checkout(cart, &variants)));
    }
    Ok(work)
}

fn cart(variants: &[NewStock], n: usize) -> Cart {
    let (ids, now) = (UuidV7, SystemClock.now());
    let line = |position: i64, at: usize| CartLine {
        position,
        variant_id: variants[at % variants.len()].variant_id,
        quantity: 1,
    };
    Cart {
        id: CartId(ids.uuid()),
        owner: CartOwner::User(UserId(ids.uuid())),
        status: CartStatus::Open,
        lines: vec![line(0, n * 7), line(1, n * 7 + 3)],
        created_at: now,
        updated_at: now,
        version: 0,
    }
}

fn checkout(cart: Cart, variants: &[NewStock]) -> Checkout {
    let (ids, now) = (UuidV7, SystemClock.now());
    let mut set = ChangeSet::new(&ids, now, ActorRef::System);
    let mut order = order(&cart, variants);
    let mut closed = Cart { status: CartStatus::Ordered, ..cart.clone() };
    set.update(&cart, &mut closed).free(Claim::open_cart(&cart.owner), cart.id);
    for line in &order.lines {
        set.reserve(line.variant_id, i64::from(line.quantity));
    }
    set.insert(&mut order).hold(Claim::order_number(&order.number), order.id);
    let (id, number, total) = (order.id, order.number.clone(), order.totals.grand_total);
    set.event(&ids, Root::Order(id), 1, DomainEvent::OrderPlaced { order: id, number, total });
    let payment = order.payments[0].id;
    set.task(&ids, now + Duration::from_secs(31), Task::SettlePayment { order: id, payment });
    set.task(&ids, now + Duration::from_mins(15), Task::ExpireReservation { order: id, payment });
    Checkout { cart, order, set }
}

fn order(cart: &Cart, variants: &[NewStock]) -> Order {
    let (ids, now) = (UuidV7, SystemClock.now());
    let euros = |minor| Money::new(minor, Currency::EUR);
    let address = PostalAddress {
        name: "Ada Lovelace".into(),
        line1: "12 St James's Square".into(),
        city: "London".into(),
        postal_code: "SW1Y 4JH".into(),
        country: "GB".into(),
        ..PostalAddress::default()
    };
    let line = |line: &CartLine| OrderLine {
        position: line.position,
        variant_id: line.variant_id,
        product_id: variants[0].product_id,
        sku: "MUG-ENAMEL-GREEN".into(),
        title: "Enamel mug – green".into(),
        quantity: line.quantity,
        unit_price: euros(1990),
        total: euros(1990),
        charged: euros(1990),
        tax: euros(0),
        fulfilled: 0,
        cancelled: 0,
        refunded: 0,
        returned: 0,
    };
    let id = OrderId(ids.uuid());
    let payment = Payment {
        id: PaymentId(ids.uuid()),
        method: "test".into(),
        gateway: "test".into(),
        status: PaymentStatus::Pending,
        amount: euros(3980),
        captured: 0,
        refunded: 0,
        refund_pending: 0,
        reference: None,
        token: Some("pm_card_visa".into()),
        next_action: None,
        failure: None,
        lease_until: Some(now),
        reserved_until: Some(now),
        created_at: now,
        updated_at: now,
    };
    Order {
        id,
        number: id.to_string(),
        customer_id: match cart.owner {
            CartOwner::User(user) => Some(user),
            CartOwner::Guest(_) => None,
        },
        email: "ada@example.com".into(),
        status: OrderStatus::Pending,
        payment_status: PaymentStatus::Pending,
        fulfilment_status: FulfilmentState::Unfulfilled,
        lines: cart.lines.iter().map(line).collect(),
        totals: Totals {
            subtotal: euros(3980),
            discount: euros(0),
            shipping: euros(0),
            tax: euros(0),
            grand_total: euros(3980),
        },
        shipping_address: address.clone(),
        billing_address: address,
        shipping_method: ShippingMethod { code: "standard".into(), title: "Standard".into(), price: euros(0) },
        payments: vec![payment],
        refunds: vec![],
        fulfilments: vec![],
        returns: vec![],
        cart_id: Some(cart.id),
        idempotency_key: None,
        cancel_reason: None,
        declined: false,
        placed_at: now,
        updated_at: now,
        version: 0,
    }
}

/// Lets so many buyers check out for a while, and answers how many checkouts a second were acknowledged.
async fn measure<F>(
    work: Vec<Checkout>,
    buyers: usize,
    commit: impl Fn(Checkout) -> F + Clone + Send + Sync + 'static,
) -> Result<f64, BoxError>
where
    F: Future<Output = Result<(), String>> + Send,
{
    let work = Arc::new(Mutex::new(VecDeque::from(work)));
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..buyers {
        let (work, commit) = (Arc::clone(&work), commit.clone());
        tasks.spawn(async move {
            let mut done = 0_u32;
            while begun.elapsed() < SPAN {
                let next = work.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let Some(checkout) = next else { break };
                commit(checkout).await?;
                done += 1;
            }
            Ok::<u32, String>(done)
        });
    }
    let mut done = 0;
    while let Some(count) = tasks.join_next().await {
        done += count??;
    }
    Ok(f64::from(done) / begun.elapsed().as_secs_f64())
}
