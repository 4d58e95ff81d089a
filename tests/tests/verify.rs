//! `commerce-server verify` finds a database that lacks its newest rows, by all that points to them; and needs no right but that of
//! reading, on a standby too.

use std::{path::Path, sync::Arc};

use commerce_postgres::testing::Cluster;
use commerce_tests::http::{Backend, Home, Server, at};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection, raw_sql, sqlite::SqliteConnectOptions};

/// A shop with two customers' orders, the newer one's pending payment settled, stopped in order.
async fn fill(home: &Arc<Home>) {
    let home = home.clone();
    let start = move || Server::start_in(home, &[], &[]);
    let mut server = tokio::task::spawn_blocking(start).await.expect("a server");
    let admin = server.admin().await;
    let mug = server.product(&admin, "MUG", "19.90", 10).await;
    for customer in ["ada", "mia"] {
        let customer = server.customer(customer).await;
        server.order(&customer, at(&mug, "/variants/0/id"), 1).await;
    }
    server.assert_verified();
    server.signal("TERM");
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
}

/// What `verify` says of a database, and whether it has nothing against it.
fn verify(home: &Home, url: &str) -> (bool, String) {
    let output = home.command().env("COMMERCE_DATABASE_URL", url).arg("verify").output().expect("it runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

/// Runs statements without a regard to foreign keys.
async fn run(home: &Home, sql: &str) {
    let sql = raw_sql(AssertSqlSafe(sql.to_owned()));
    if home.url().starts_with("sqlite") {
        let file = home.url().trim_start_matches("sqlite://");
        let options = SqliteConnectOptions::new().filename(Path::new(file)).foreign_keys(false);
        let mut database = SqliteConnection::connect_with(&options).await.expect("the database");
        sql.execute(&mut database).await.expect("it runs");
        database.close().await.expect("it closes");
    } else {
        let mut database = PgConnection::connect(home.url()).await.expect("the database");
        sql.execute(&mut database).await.expect("it runs");
    }
}

/// What is taken away, one after the other, and by what it is missed. Ids run with time.
const LOST: &[(&str, &str)] = &[
    (
        "DELETE FROM commerce_movement WHERE order_id = (SELECT id FROM commerce_order ORDER BY id DESC LIMIT 1)",
        "stock.on_hand of",
    ),
    // The head as it was before its last write.
    (
        "UPDATE commerce_order SET version = version - 1 WHERE id = (SELECT id FROM commerce_order ORDER BY id DESC LIMIT 1)",
        "order.version of",
    ),
    (
        "DELETE FROM commerce_order_line WHERE order_id = (SELECT id FROM commerce_order ORDER BY id DESC LIMIT 1)",
        "has no order_line, which every one has",
    ),
    (
        "DELETE FROM commerce_claim WHERE owner = (SELECT id FROM commerce_order ORDER BY id DESC LIMIT 1)",
        "has no claim, which every one has",
    ),
    (
        "DELETE FROM commerce_event WHERE root_id = (SELECT id FROM commerce_order ORDER BY id DESC LIMIT 1)",
        "has no event, which every one has",
    ),
    (
        "DELETE FROM commerce_order WHERE id = (SELECT id FROM commerce_order ORDER BY id DESC LIMIT 1)",
        "payment refers to the order",
    ),
    (
        "DELETE FROM commerce_user WHERE id = (SELECT id FROM commerce_user ORDER BY id DESC LIMIT 1)",
        "session refers to the user",
    ),
    ("DELETE FROM commerce_stock", "has no stock, which every one has"),
    ("DELETE FROM commerce_product", "has no product, which every one has"),
];

async fn newest_rows_are_missed(backend: Backend) {
    let home = Home::new(backend).await;
    fill(&home).await;
    let mut before = String::new();
    for (sql, words) in LOST {
        assert!(!before.contains(words), "before {sql}: {before}");
        run(&home, sql).await;
        let (is_well, said) = verify(&home, home.url());
        // PostgreSQL's variants hold their product's id.
        let words = if backend == Backend::Postgres {
            words.replace("has no product, which every one has", "variant refers to the product")
        } else {
            (*words).to_owned()
        };
        assert!(!is_well && said.contains(&words), "after {sql}: {said}");
        before = said;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_lacks_its_newest_rows_is_found_out() {
    newest_rows_are_missed(Backend::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_lacks_its_newest_rows_is_found_out() {
    newest_rows_are_missed(Backend::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_verified_by_who_may_only_read_and_a_clerk_without_rights_to_the_schema_serves() {
    let primary = Cluster::start(&[]).await.unwrap_or_else(|error| panic!("{error}"));
    let home = Home::at(primary.url("postgres"));
    fill(&home).await;
    run(
        &home,
        "CREATE ROLE looker LOGIN; GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker; \
         CREATE ROLE clerk LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO clerk; \
         REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    .await;
    let standby = primary.replica().await.expect("a standby");
    let tables = "SELECT count(*) FROM pg_class WHERE relname LIKE 'commerce%'";
    let mut database = PgConnection::connect(&home.url().replace("//postgres@", "//looker@")).await.expect("a reader");
    let before: i64 = sqlx::query_scalar(tables).fetch_one(&mut database).await.expect("tables");
    for cluster in [&standby, &primary] {
        let (is_well, said) = verify(&home, &cluster.url("postgres").replace("//postgres@", "//looker@"));
        assert!(is_well && said.contains("All counters agree"), "{said}");
        assert!(said.contains("2 can't be compared"), "the test gateway's books ended with the server: {said}");
    }
    let after: i64 = sqlx::query_scalar(tables).fetch_one(&mut database).await.expect("tables");
    assert_eq!(before, after);

    let clerk = Home::at(home.url().replace("//postgres@", "//clerk@"));
    let server = tokio::task::spawn_blocking(move || Server::start_in(clerk, &[], &[])).await.expect("a server");
    server.ready().await;
    let listed = server.anyone().get("/v1/products").await.expect(200);
    let (customer, variant) = (server.customer("eve").await, at(&listed, "/items/0/variants/0/id").to_owned());
    server.order(&customer, &variant, 1).await;
    server.assert_verified();
}
