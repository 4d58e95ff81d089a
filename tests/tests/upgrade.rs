//! Databases made by earlier releases, kept in `tests/fixtures`, are opened by this one, lose nothing, and go on selling.

use std::{io::Read as _, sync::Arc};

use commerce_core::store::Store;
use commerce_postgres::PgStore;
use commerce_sqlite::SqliteStore;
use commerce_tests::{
    dump::dump,
    http::{Backend, Home, Server, at, card, id},
};
use flate2::read::GzDecoder;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, raw_sql};

/// A file of `tests/fixtures`.
fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The shop of the first release, in a file.
async fn first_release_on_sqlite() -> Arc<Home> {
    let home = Home::new(Backend::Sqlite).await;
    let mut database = Vec::new();
    GzDecoder::new(&*fixture("release-1.sqlite.gz")).read_to_end(&mut database).unwrap();
    std::fs::write(home.path().join("shop.db"), database).unwrap();
    home
}

/// The same in PostgreSQL, as `pg_dump` wrote it.
async fn first_release_on_postgres() -> Arc<Home> {
    let home = Home::new(Backend::Postgres).await;
    let mut connection = PgConnection::connect(home.url()).await.unwrap();
    let dump = String::from_utf8(fixture("release-1.postgres.sql")).unwrap();
    raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(&mut connection).await.unwrap();
    raw_sql(AssertSqlSafe(dump)).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    home
}

/// Migrates the database twice at once; every table keeps its rows.
async fn migrates_without_a_loss(home: &Home) {
    let before = dump(home.url()).await;
    assert!(before.len() > 20 && before["commerce_order"].len() == 5, "the fixture is there");
    let migrate = || home.command().arg("migrate").spawn().expect("the program");
    for mut migrating in [migrate(), migrate()] {
        assert!(migrating.wait().expect("its end").success());
    }
    let after = dump(home.url()).await;
    for (table, rows) in &before {
        assert_eq!(after.get(table).map(Vec::len), Some(rows.len()), "{table}");
    }
}

/// Everybody finds what was theirs, and the shop goes on.
async fn goes_on(home: &Arc<Home>) {
    let server = Server::start_in(home.clone(), &[], &[]);
    server.assert_verified();

    let ada = server.login("ada@example.com").await;
    let orders = ada.get("/v1/orders").await.expect(200);
    let told: Vec<_> = orders["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|order| {
            ["status", "payment_status", "fulfilment_status"].map(|member| at(order, &format!("/{member}")).to_owned())
        })
        .collect();
    assert_eq!(told, [["confirmed", "paid", "unfulfilled"], ["completed", "partially_refunded", "delivered"]]);
    let [waiting, delivered] = [0, 1].map(|n| id(&orders["items"][n]).to_owned());
    let delivered = ada.get(&format!("/v1/orders/{delivered}")).await.expect(200);
    let (mug, product) = (at(&delivered, "/items/0/variant_id"), at(&delivered, "/items/0/product_id"));
    let address = ada.get("/v1/me/addresses").await.expect(200);
    assert_eq!(at(&address, "/items/0/city"), "London");
    let reviews = ada.get("/v1/me/reviews").await.expect(200);
    assert_eq!(at(&reviews, "/items/0/title"), "A good mug");
    let found = ada.get("/v1/products?q=enamle%20mug").await.expect(200);
    assert!(found["items"].as_array().unwrap().iter().any(|found| id(found) == product), "{found}");

    // The order of before is shipped, the return of before is received and refunded.
    let admin = server.admin().await;
    let parcel = json!({ "carrier": "Royal Mail", "tracking_number": "RM2" });
    admin.post(&format!("/v1/admin/orders/{waiting}/fulfilments"), parcel).await.done(201);
    let returns = admin.get("/v1/admin/returns").await.expect(200);
    let path = format!("/v1/admin/returns/{}", id(&returns["items"][0]));
    for status in ["approved", "received"] {
        admin.patch(&path, json!({ "status": status })).await.done(200);
    }
    let refunded = admin.get(&format!("/v1/admin/orders/{}", id(&delivered))).await.expect(200);
    assert_eq!(at(&refunded, "/payment_status"), "refunded");

    // The cart of before is bought, and a new customer buys too.
    let cart = ada.get("/v1/cart").await.expect(200);
    assert_eq!(at(&cart, "/items/0/variant_id"), mug);
    ada.post("/v1/checkout", card("pm_card_visa")).await.done(201);
    let new = server.customer("new").await;
    server.order(&new, mug, 1).await;
    server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_the_first_release() {
    let home = first_release_on_sqlite().await;
    migrates_without_a_loss(&home).await;
    let store = SqliteStore::open_existing(home.url()).await.expect("it is up to date");
    assert_eq!(store.reads().verify().await.unwrap(), []);
    drop(store);
    goes_on(&home).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_of_the_first_release() {
    let home = first_release_on_postgres().await;
    migrates_without_a_loss(&home).await;
    let store = PgStore::connect_existing(home.url()).await.expect("it is up to date");
    assert_eq!(store.reads().verify().await.unwrap(), []);
    store.pool().close().await;
    goes_on(&home).await;
}
