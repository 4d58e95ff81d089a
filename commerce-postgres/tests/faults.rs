//! Servers that hang, take no writes, or move: calls end within their deadlines, and find the server that serves.

mod support;

use std::time::{Duration, Instant};

use commerce_core::{
    catalog::{ProductFilter, ProductStatus},
    page::PageSpec,
    store::{Applied, CommitError, Store as _, StoreError},
};
use commerce_postgres::{PgStore, PoolSettings, testing::Cluster};
use futures_util::future::join_all;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};
use support::{
    cart, database,
    proxy::{Commits, Proxy},
    stocked,
};

const CALL: Duration = Duration::from_secs(2);
/// What a machine that is busy with other tests may take on top.
const MARGIN: Duration = Duration::from_secs(8);

fn quick() -> PoolSettings {
    PoolSettings::default().call_timeout(CALL).connect_timeout(Duration::from_secs(2))
}

async fn list(store: &PgStore) -> Result<usize, StoreError> {
    let active = ProductFilter { statuses: vec![ProductStatus::Active], ..ProductFilter::default() };
    Ok(store.reads().list_products(&active, &PageSpec::first(20)).await?.items.len())
}

/// Waits until something holds, and says how long that took.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(30), "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    started.elapsed()
}

async fn cluster() -> Cluster {
    Cluster::start(&[]).await.unwrap_or_else(|error| panic!("{error}"))
}

async fn shop(cluster: &Cluster) -> PgStore {
    let store = PgStore::connect_with(&cluster.url("postgres"), quick()).await.expect("a store");
    store.migrate().await.expect("tables");
    let (set, _) = stocked("mug", 100);
    assert_eq!(store.commit(&set).await.expect("a product"), Applied::Now);
    // Several connections that are used and idle.
    join_all((0..12).map(|_| list(&store))).await;
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_hang_are_dropped_together() {
    let cluster = cluster().await;
    let store = shop(&cluster).await;
    cluster.freeze_backends().expect("stopped");
    let started = Instant::now();
    // One after the other, each on a dead connection, this would take the deadline times the connections.
    for n in 0..12 {
        assert_eq!(list(&store).await.unwrap_or_else(|error| panic!("read {n}: {error}")), 1);
    }
    let (set, _) = stocked("cup", 5);
    assert_eq!(store.commit(&set).await.expect("written"), Applied::Now);
    assert!(started.elapsed() < CALL + MARGIN, "it took {:?}", started.elapsed());
    // No connection is lost for good: more calls than there are connections get one in turn.
    for answer in join_all((0..60).map(|_| list(&store))).await {
        answer.expect("read");
    }
    cluster.thaw().expect("they go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_known_to_be_away_and_found_again() {
    let cluster = cluster().await;
    let store = shop(&cluster).await;
    cluster.freeze().expect("stopped");
    let started = Instant::now();
    let (set, _) = stocked("cup", 5);
    let (read, written) = tokio::join!(list(&store), store.commit(&set));
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    assert!(matches!(written, Err(CommitError::Unavailable(_))), "{written:?}");
    assert!(started.elapsed() < CALL * 2 + MARGIN, "it took {:?}", started.elapsed());

    // From now on nobody waits.
    let started = Instant::now();
    for _ in 0..100 {
        assert!(matches!(store.commit(&set).await, Err(CommitError::Unavailable(_))));
        assert!(matches!(list(&store).await, Err(StoreError::Unavailable(_))));
        let lease = store.lease("w", support::now(), support::now(), 5).await;
        assert!(matches!(lease, Err(StoreError::Unavailable(_))));
        assert!(store.reads().ping().await.is_err());
    }
    assert!(started.elapsed() < MARGIN, "400 refusals took {:?}", started.elapsed());

    cluster.thaw().expect("it goes on");
    until("the listing is back", async || list(&store).await.is_ok()).await;
    assert_eq!(store.commit(&set).await.expect("written"), Applied::Now);
    assert!(store.reads().verify().await.expect("verified").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_that_runs_into_its_deadline_is_unknown_and_committed_again() {
    let database = database().await;
    let (proxy, url) = Proxy::to(database.url()).await.expect("the line is held on the tests' own server");
    let store = PgStore::connect_with(&url, quick()).await.expect("a store");
    for then in [Applied::Before, Applied::Now] {
        let (set, product) = stocked(&format!("mug-{then:?}"), 5);
        proxy.at_commit(if then == Applied::Before { Commits::HoldAnswer } else { Commits::Silence });
        let started = Instant::now();
        let lost = store.commit(&set).await;
        assert!(matches!(lost, Err(CommitError::Unknown(_))), "{lost:?}");
        assert!(started.elapsed() < CALL + MARGIN, "it took {:?}", started.elapsed());
        assert_eq!(store.commit(&set).await.expect("again"), then);
        assert_eq!(store.reads().load_product(product.id).await.expect("read"), Some(product));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_no_writes_is_read_and_not_written_to() {
    let cluster = cluster().await;
    let store = shop(&cluster).await;
    let admin = cluster.url("postgres");
    let set_read_only = async |value: &str| {
        let mut connection = PgConnection::connect(&admin).await.expect("a connection");
        // The first of them ends the connections that are open, which were let in before.
        let sql = format!(
            "SET default_transaction_read_only = off; ALTER SYSTEM SET default_transaction_read_only = {value}"
        );
        for sql in sql.split("; ") {
            raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.expect("it runs");
        }
        raw_sql("SELECT pg_reload_conf()").execute(&mut connection).await.expect("it runs");
    };
    set_read_only("on").await;
    let (new_cart, _) = cart(&[]);
    until("writes are refused", async || store.commit(&new_cart).await.is_err()).await;
    let started = Instant::now();
    for _ in 0..50 {
        assert!(matches!(store.commit(&new_cart).await, Err(CommitError::Unavailable(_))));
        assert_eq!(list(&store).await.expect("it can be read"), 1);
    }
    assert!(started.elapsed() < MARGIN, "50 refusals took {:?}", started.elapsed());
    set_read_only("off").await;
    until("it takes writes again", async || store.commit(&new_cart).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_that_takes_writes_is_found_in_a_list_and_found_again_after_a_failover() {
    let mut primary = cluster().await;
    shop(&primary).await;
    let standby = primary.replica().await.expect("a standby");
    // The standby first: it answers, and won't do.
    let url = format!(
        "postgres://postgres@/postgres?host={},{}&target_session_attrs=read-write",
        standby.folder().display(),
        primary.folder().display()
    );
    let store = PgStore::connect_with(&url, quick()).await.expect("a store");
    let (set, _) = stocked("cup", 5);
    assert_eq!(store.commit(&set).await.expect("written"), Applied::Now);
    let only_standby = url.replace("read-write", "standby");
    let reader = PgStore::connect_with(&only_standby, quick()).await.expect("a store to read");
    until("the standby has it", async || list(&reader).await.is_ok_and(|count| count == 2)).await;
    let (refused, _) = stocked("pot", 5);
    assert!(matches!(reader.commit(&refused).await, Err(CommitError::Unavailable(_))), "a standby takes no writes");
    assert!(reader.reads().verify().await.expect("it can be verified").is_empty());

    primary.crash().await.expect("crashed");
    let (set, _) = stocked("jug", 5);
    until("the primary is known to be away", async || list(&store).await.is_err()).await;
    let mut connection = PgConnection::connect(&standby.url("postgres")).await.expect("a connection");
    raw_sql("SELECT pg_promote()").execute(&mut connection).await.expect("promoted");
    until("the new primary", async || store.commit(&set).await.is_ok()).await;
    assert_eq!(list(&store).await.expect("read"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_gives_a_silent_client_up_and_a_replica_is_one_server() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let settings = [("listen_addresses", "127.0.0.1"), ("port", &port.to_string())];
    let cluster = Cluster::start(&settings).await.unwrap_or_else(|error| panic!("{error}"));
    let url = format!("postgres://postgres@127.0.0.1:{port}/postgres?sslmode=disable");
    let store = PgStore::connect_with(&url, quick()).await.expect("a store");
    let names = ["tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout"];
    let sql = names.map(|name| format!("current_setting('{name}')")).join(", ");
    let sql = AssertSqlSafe(format!("SELECT {sql}"));
    let said: (String, String, String, String) = sqlx::query_as(sql).fetch_one(store.pool()).await.expect("settings");
    // What the operating system of the server has for the line; the last is in milliseconds.
    let expected = ["10", "5", "3", "4000"].map(str::to_owned);
    assert_eq!([said.0, said.1, said.2, said.3], expected);

    let several = format!("postgres://postgres@127.0.0.1:{port},127.0.0.1:1/postgres");
    let refused = store.with_replicas(&[several]).expect_err("what one holds isn't known of the other").to_string();
    assert!(refused.contains("lists several hosts"), "{refused}");
    drop(cluster);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_url_says_goes_before_what_we_say() {
    let database = database().await;
    let url = format!("{}&application_name=till&options=-c%20lock_timeout%3D123ms", database.url());
    let store = PgStore::connect_with(&url, quick()).await.expect("a store");
    let sql = "SELECT current_setting('application_name'), current_setting('lock_timeout'), current_setting('jit')";
    let said: (String, String, String) = sqlx::query_as(sql).fetch_one(store.pool()).await.expect("settings");
    assert_eq!(said, ("till".to_owned(), "123ms".to_owned(), "off".to_owned()));
    let unknown =
        PgStore::connect(&format!("{}&aplication_name=till", database.url())).await.expect_err("a typing error");
    assert!(unknown.to_string().contains("aplication_name"), "{unknown}");
}
