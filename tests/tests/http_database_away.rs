//! A PostgreSQL that hangs or is away, under a server with its worker: what is shown goes on being shown, writes are refused at
//! once, and all is back when the database is.

use std::time::{Duration, Instant};

use commerce_postgres::testing::{Cluster, PgBouncer};
use commerce_tests::http::{Client, Home, Server, at, card, id};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

/// What a machine that is busy with other tests may take on top.
const MARGIN: Duration = Duration::from_secs(8);

async fn cluster() -> Cluster {
    Cluster::start(&[]).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn start(url: String, settings: Vec<(&'static str, String)>) -> Server {
    let start = move || {
        let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Server::start_in(Home::at(url), &settings, &[])
    };
    tokio::task::spawn_blocking(start).await.expect("a server")
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds().await {
        assert!(Instant::now() < end, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn buy(guest: &Client, variant: &str, key: &str) -> u16 {
    let cart = guest.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await;
    if cart.status != 200 {
        return cart.status;
    }
    let cart = cart.json();
    let mut order = card("pm_card_visa");
    order["email"] = json!("ada@example.com");
    guest.with("x-cart-token", at(&cart, "/cart_token")).once(key).post("/v1/checkout", order).await.status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shop_can_be_looked_at_while_its_database_hangs() {
    let cluster = cluster().await;
    let server = start(cluster.url("postgres"), vec![]).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 20).await;
    let variant = at(&product, "/variants/0/id").to_owned();
    let guest = server.anyone();
    let path = format!("/v1/products/{}", id(&product));
    let pages = ["/v1/products".to_owned(), path.clone(), format!("{path}/reviews"), "/v1/categories".to_owned()];
    for page in &pages {
        guest.get(page).await.done(200);
    }
    cluster.freeze().expect("stopped");
    // Pages are fresh for a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    for page in &pages {
        let started = Instant::now();
        let shown = guest.get(page).await;
        assert_eq!(shown.status, 200, "{page}");
        assert_eq!(shown.header("warning"), "110 - \"Response is Stale\"", "{page}");
        assert!(shown.header("age").parse::<u64>().is_ok_and(|age| age > 0), "{page}");
        assert!(started.elapsed() < MARGIN, "{page} took {:?}", started.elapsed());
    }
    until("the database is known to be away", async || guest.get("/v1/products?limit=7").await.status == 503).await;
    let started = Instant::now();
    for n in 0..20 {
        let refused = guest.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await;
        assert_eq!(refused.status, 503, "{n}");
        assert_eq!(refused.header("retry-after"), "1");
    }
    assert!(started.elapsed() < MARGIN, "20 refusals took {:?}", started.elapsed());
    cluster.thaw().expect("it goes on");
    until("an order", async || buy(&guest, &variant, "after").await == 201).await;
    until("fresh pages", async || guest.get("/v1/products").await.header("warning").is_empty()).await;
    server.mail("ada@example.com", "order").await;
    server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_hang_hold_up_neither_visitors_nor_the_worker_nor_the_end() {
    let cluster = cluster().await;
    let mut server = start(cluster.url("postgres"), vec![]).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 20).await;
    let variant = at(&product, "/variants/0/id").to_owned();
    let guest = server.anyone();
    assert_eq!(buy(&guest, &variant, "before").await, 201);
    cluster.freeze_backends().expect("stopped");
    let started = Instant::now();
    until("an order over new connections", async || buy(&guest, &variant, "after").await == 201).await;
    assert!(started.elapsed() < Duration::from_secs(10) + MARGIN, "it took {:?}", started.elapsed());
    guest.get("/v1/products?asked=1").await.done(200);
    until("both mails", async || server.mails().iter().filter(|mail| mail.contains("ada@example.com")).count() >= 2)
        .await;
    cluster.freeze().expect("stopped");
    let started = Instant::now();
    server.signal("TERM");
    tokio::task::spawn_blocking(move || server.wait()).await.expect("it ends");
    assert!(started.elapsed() < Duration::from_secs(40), "it took {:?}", started.elapsed());
    cluster.thaw().expect("it goes on");
}

async fn connect(cluster: &Cluster) -> PgConnection {
    PgConnection::connect(&cluster.url("postgres")).await.expect("a connection")
}

async fn run(connection: &mut PgConnection, sql: &str) {
    raw_sql(AssertSqlSafe(sql.to_owned())).execute(connection).await.expect("it runs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_is_not_ready() {
    let cluster = cluster().await;
    let server = start(cluster.url("postgres"), vec![]).await;
    let admin = server.admin().await;
    server.product(&admin, "MUG", "19.90", 20).await;
    server.ready().await;
    let mut database = connect(&cluster).await;
    let set_read_only = async |database: &mut PgConnection, value: &str| {
        run(database, "SET default_transaction_read_only = off").await;
        run(database, &format!("ALTER SYSTEM SET default_transaction_read_only = {value}")).await;
        run(database, "SELECT pg_reload_conf()").await;
    };
    set_read_only(&mut database, "on").await;
    server.not_ready("writes").await;
    let problem = server.anyone().get("/health/ready").await.refused(503, "not_ready");
    assert_eq!(problem["checks"]["database"], "ok", "{problem}");
    let listed = server.anyone().get("/v1/products?asked=1").await.expect(200);
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "it can still be looked at");
    set_read_only(&mut database, "off").await;
    server.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_stalls_is_logged_counted_and_not_ready() {
    let cluster = cluster().await;
    let server = start(cluster.url("postgres"), vec![("COMMERCE_WORKER_TIMEOUT", "1s".to_owned())]).await;
    server.ready().await;
    // Whoever looks for due tasks waits; reads and other writes don't.
    let mut database = connect(&cluster).await;
    run(&mut database, "BEGIN; LOCK TABLE commerce_task IN ACCESS EXCLUSIVE MODE").await;
    server.not_ready("worker").await;
    let problem = server.anyone().get("/health/ready").await.refused(503, "not_ready");
    assert_eq!((&problem["checks"]["database"], &problem["checks"]["writes"]), (&json!("ok"), &json!("ok")));
    server.logged("the worker's round took longer than 1 s").await;
    let metrics = server.anyone().get("/metrics").await.text();
    let counted = metrics.lines().find_map(|line| line.strip_prefix("commerce_worker_stalls_total "));
    assert!(counted.is_some_and(|stalls| stalls.parse::<u64>().is_ok_and(|stalls| stalls > 0)), "{metrics}");
    run(&mut database, "ROLLBACK").await;
    server.ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_show_the_shop_while_the_primary_hangs() {
    let primary = cluster().await;
    let home = start(primary.url("postgres"), vec![]).await;
    let admin = home.admin().await;
    let product = home.product(&admin, "MUG", "19.90", 20).await;
    drop(home);
    let replica = primary.replica().await.expect("a replica");
    let server = start(primary.url("postgres"), vec![("COMMERCE_DATABASE_REPLICAS", replica.url("postgres"))]).await;
    server.logged("the replica is read from").await;
    let guest = server.anyone();
    let path = format!("/v1/products/{}", id(&product));
    primary.freeze().expect("stopped");
    let (end, mut asked, mut longest) = (Instant::now() + Duration::from_secs(8), 0, Duration::ZERO);
    while Instant::now() < end {
        // Each is asked for the first time: no page is kept of it.
        for page in ["/v1/products?q=mug&asked=", &format!("{path}?asked="), &format!("{path}/reviews?asked=")] {
            asked += 1;
            let started = Instant::now();
            let shown = guest.get(&format!("{page}{asked}")).await;
            assert_eq!((shown.status, shown.header("warning")), (200, ""), "{page}{asked}");
            longest = longest.max(started.elapsed());
        }
    }
    assert!(longest < MARGIN, "one took {longest:?}");
    primary.thaw().expect("it goes on");
    let variant = at(&product, "/variants/0/id").to_owned();
    until("an order", async || buy(&guest, &variant, "after").await == 201).await;
    server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shop_behind_pgbouncer_sells() {
    let cluster = cluster().await;
    let bouncer = PgBouncer::before(&cluster.url("postgres"), &[]).await.unwrap_or_else(|error| panic!("{error}"));
    for query in ["", "&statement-cache-capacity=0"] {
        let server = start(format!("{}{query}", bouncer.url("postgres")), vec![]).await;
        let admin = server.admin().await;
        let product = server.product(&admin, &format!("MUG{}", query.len()), "19.90", 20).await;
        let variant = at(&product, "/variants/0/id").to_owned();
        let buyers = (0..8).map(|n| {
            let (guest, variant) = (server.anyone(), variant.clone());
            tokio::spawn(async move {
                guest.get(&format!("/v1/products?q=mug&asked={n}")).await.done(200);
                buy(&guest, &variant, &format!("order {n}")).await
            })
        });
        for buyer in buyers.collect::<Vec<_>>() {
            assert_eq!(buyer.await.expect("a status"), 201);
        }
        server.assert_verified();
    }
}
