//! The write path: how many round trips it takes, what lost connections and callers do to it, and the host's transactions.

mod support;

use std::time::Duration;

use commerce_core::{
    catalog::{Product, ProductFilter, ProductStatus},
    page::PageSpec,
    store::{Applied, CommitError, Conflict, StockDelta, Store as _},
};
use commerce_postgres::{PgStore, testing::TestDatabase};
use sqlx::{AssertSqlSafe, PgPool, postgres::PgPoolOptions, query_as, raw_sql};
use support::{
    cart, database,
    proxy::{Commits, Proxy},
    reserve, set, settle, stocked,
};

async fn two_products(store: &PgStore) -> Vec<Product> {
    let mut products = Vec::new();
    for slug in ["mug", "cup"] {
        let (set, product) = stocked(slug, 1_000);
        assert_eq!(store.commit(&set).await.unwrap(), Applied::Now);
        products.push(product);
    }
    products
}

/// A store with one connection, through a proxy. `None` where the tests run on a server without a Unix socket.
async fn behind_proxy(database: &TestDatabase) -> Option<(Proxy, PgStore)> {
    let (proxy, url) = Proxy::to(database.url()).await?;
    let pool = PgPoolOptions::new().max_connections(1).test_before_acquire(false).connect(&url).await.unwrap();
    Some((proxy, PgStore::from_pool(pool)))
}

#[tokio::test(flavor = "multi_thread")]
async fn checkout_takes_three_round_trips_a_commit() {
    let database = database().await;
    let (proxy, store) = behind_proxy(&database).await.expect("round trips are counted on the tests' own server");
    let products = two_products(&store).await;
    let mut trips = Vec::new();
    for _ in 0..3 {
        let (new_cart, cart) = cart(&products);
        store.commit(&new_cart).await.unwrap();
        let (reserving, order) = reserve(&cart, &products);
        proxy.trips();
        assert_eq!(store.commit(&reserving).await.unwrap(), Applied::Now);
        let reserved = proxy.trips();
        let (settling, settled) = settle(&order);
        assert_eq!(store.commit(&settling).await.unwrap(), Applied::Now);
        trips.push((reserved, proxy.trips()));
        assert_eq!(store.reads().load_order(order.id).await.unwrap(), Some(settled));
    }
    assert_eq!(trips[1..], [(3, 3), (3, 3)], "after the statements were prepared once");
    assert!(store.reads().verify().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_to_a_server_that_is_far_away_takes_one_round_trip() {
    let database = database().await;
    let (proxy, store) = behind_proxy(&database).await.expect("round trips are counted on the tests' own server");
    let store = store.as_if_far();
    let products = two_products(&store).await;
    let mut trips = Vec::new();
    for _ in 0..3 {
        let (new_cart, cart) = cart(&products);
        store.commit(&new_cart).await.unwrap();
        let (reserving, order) = reserve(&cart, &products);
        proxy.trips();
        assert_eq!(store.commit(&reserving).await.unwrap(), Applied::Now);
        let reserved = proxy.trips();
        let (settling, settled) = settle(&order);
        assert_eq!(store.commit(&settling).await.unwrap(), Applied::Now);
        trips.push((reserved, proxy.trips()));
        assert_eq!(store.reads().load_order(order.id).await.unwrap(), Some(settled));
        assert_eq!(store.commit(&settling).await.unwrap(), Applied::Before);
    }
    assert_eq!(trips[1..], [(1, 1), (1, 1)], "after the statements were prepared once");
    assert!(store.reads().verify().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_products_takes_two_round_trips() {
    let database = database().await;
    let (proxy, store) = behind_proxy(&database).await.expect("round trips are counted on the tests' own server");
    two_products(&store).await;
    let active = ProductFilter { statuses: vec![ProductStatus::Active], ..ProductFilter::default() };
    let counted = PageSpec { count: true, ..PageSpec::first(20) };
    for _ in 0..2 {
        proxy.trips();
        assert_eq!(store.reads().list_products(&active, &counted).await.unwrap().total, Some(2));
    }
    assert_eq!(proxy.trips(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_commit_is_unknown_and_resolved_by_committing_again() {
    let database = database().await;
    let (proxy, store) = behind_proxy(&database).await.expect("the line is cut on the tests' own server");
    for (cut, then) in [(Commits::LoseAnswer, Applied::Before), (Commits::Lose, Applied::Now)] {
        let (set, product) = stocked(&format!("mug-{then:?}"), 5);
        proxy.at_commit(cut);
        let lost = store.commit(&set).await;
        assert!(matches!(lost, Err(CommitError::Unknown(_))), "{lost:?}");
        assert_eq!(store.commit(&set).await.unwrap(), then);
        assert_eq!(store.reads().load_product(product.id).await.unwrap(), Some(product));
    }
}

async fn count(pool: &PgPool, sql: &'static str) -> i64 {
    query_as::<_, (i64,)>(sql).fetch_one(pool).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_hang_up_leave_no_transaction_open() {
    let database = database().await;
    let store = database.store().await.unwrap();
    let products = two_products(&store).await;
    let mut carts = Vec::new();
    for _ in 0..400 {
        let (new_cart, cart) = cart(&products);
        store.commit(&new_cart).await.unwrap();
        carts.push(cart);
    }
    let hurried = carts.iter().zip(0u64..).map(|(cart, n)| {
        let (store, (reserving, _)) = (store.clone(), reserve(cart, &products));
        async move {
            let patience = Duration::from_micros(n * 37 % 9_000);
            let _ = tokio::time::timeout(patience, store.commit(&reserving)).await;
        }
    });
    futures_util::future::join_all(hurried).await;

    let idle = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - interval '300 ms'";
    let active = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() \
                  AND state <> 'idle'";
    let watcher = PgPool::connect(database.url()).await.unwrap();
    for _ in 0..200 {
        assert_eq!(count(&watcher, idle).await, 0, "a transaction was left open");
        if count(&watcher, active).await == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(count(&watcher, active).await, 0, "all came to an end");
    assert!(store.reads().verify().await.unwrap().is_empty(), "each was applied whole or not at all");
    store.commit(&stocked("after", 1).0).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_died_are_replaced() {
    let database = database().await;
    let store = database.store().await.unwrap();
    let products = two_products(&store).await;
    let killer = PgPool::connect(database.url()).await.unwrap();
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND pid <> pg_backend_pid()";
    for n in 0..10 {
        // Several idle connections, all of them dead.
        let pings = (0..5).map(|_| store.reads().ping());
        futures_util::future::try_join_all(pings).await.unwrap();
        sqlx::query(kill).execute(&killer).await.unwrap();
        if n % 2 == 0 {
            assert!(store.reads().load_product(products[0].id).await.unwrap().is_some());
        } else {
            assert_eq!(store.commit(&cart(&products).0).await.unwrap(), Applied::Now);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_is_unavailable() {
    let database = database().await;
    let store = database.store().await.unwrap();
    let products = two_products(&store).await;
    let path = database.url().split('?').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default().to_owned();
    // One session, begun while the database takes writes.
    let admin = PgPoolOptions::new().max_connections(1).connect(database.url()).await.unwrap();
    let read_only = async |on: &str| {
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {on}");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&admin).await.unwrap();
        let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                    AND pid <> pg_backend_pid()";
        sqlx::query(kill).execute(&admin).await.unwrap();
    };
    read_only("on").await;
    let mut moving = set();
    moving.reserve(products[0].variants[0].id, 1);
    let refused = store.commit(&moving).await;
    assert!(matches!(refused, Err(CommitError::Unavailable(_))), "{refused:?}");
    read_only("off").await;
    let written = async {
        // It is looked for, twice a second.
        loop {
            match store.commit(&moving).await {
                Err(CommitError::Unavailable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                other => return other,
            }
        }
    };
    let written = tokio::time::timeout(Duration::from_secs(20), written).await.expect("it takes writes again");
    assert_eq!(written.unwrap(), Applied::Now);
}

#[tokio::test(flavor = "multi_thread")]
async fn sets_join_the_hosts_transaction() {
    let database = database().await;
    let store = database.store().await.unwrap();
    let products = two_products(&store).await;
    let variant = products[0].variants[0].id;
    sqlx::raw_sql("CREATE TABLE host_note (text TEXT)").execute(store.pool()).await.unwrap();
    let take = |units| {
        let mut set = set();
        set.move_stock(variant, StockDelta { on_hand: 0, reserved: units, expect_on_hand: None }, None);
        set
    };

    let mut transaction = store.pool().begin().await.unwrap();
    sqlx::query("INSERT INTO host_note VALUES ('kept')").execute(&mut *transaction).await.unwrap();
    let refused = PgStore::apply(&mut transaction, &take(5_000)).await;
    let Err(CommitError::Conflict(conflicts)) = refused else { panic!("{refused:?}") };
    assert_eq!(conflicts, [Conflict::Short { variant, available: 1_000 }]);
    let three = take(3);
    assert_eq!(PgStore::apply(&mut transaction, &three).await.unwrap(), Applied::Now);
    assert_eq!(PgStore::apply(&mut transaction, &three).await.unwrap(), Applied::Before);
    transaction.commit().await.unwrap();
    assert_eq!(
        count(store.pool(), "SELECT count(*) FROM host_note").await,
        1,
        "a conflict doesn't poison the transaction"
    );

    let mut transaction = store.pool().begin().await.unwrap();
    PgStore::apply(&mut transaction, &take(4)).await.unwrap();
    transaction.rollback().await.unwrap();
    let stock = store.reads().load_stock(variant).await.unwrap().unwrap();
    assert_eq!(stock.reserved, 3, "what the host takes back is taken back");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_servers_migrate_at_once() {
    let database = database().await;
    let admin = PgPool::connect(database.url()).await.unwrap();
    raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(&admin).await.unwrap();
    let servers = (0..10).map(|_| async {
        let store = database.store().await.unwrap();
        store.migrate().await.unwrap();
        store
    });
    let stores = futures_util::future::join_all(servers).await;
    assert_eq!(stores[9].commit(&stocked("mug", 1).0).await.unwrap(), Applied::Now);
    let newest = count(&admin, "SELECT max(version) FROM commerce_migration").await;
    assert_eq!(count(&admin, "SELECT version FROM commerce_schema").await, newest);
    assert_eq!(count(&admin, "SELECT count(*) FROM commerce_migration WHERE version = 1").await, 1);
}
