//! The contract of stores through `PgBouncer` in transaction mode, which lends each transaction a connection of the server's:
//! with statements that are prepared under a name, and without.

mod support;

use std::sync::Arc;

use commerce_core::{
    catalog::{ProductFilter, ProductSort, ProductStatus},
    conformance::StoreFixture,
    page::PageSpec,
    store::{Applied, Store},
};
use commerce_postgres::{
    PgStore,
    testing::{PgBouncer, TestDatabase},
};
use futures_util::future::join_all;
use sqlx::raw_sql;
use support::{database, proxy::Proxy, stocked};

struct Fixture {
    store: Arc<PgStore>,
    bouncer: PgBouncer,
    // Dropped after the others.
    _database: TestDatabase,
}

impl StoreFixture for Fixture {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }
}

/// A store through a `PgBouncer` of its own.
async fn through(settings: &[(&str, &str)], query: &str) -> Fixture {
    let database = database().await;
    let bouncer = PgBouncer::before(database.url(), settings).await.unwrap_or_else(|error| panic!("{error}"));
    let url = format!("{}{query}", bouncer.url(name_of(&database)));
    let store = PgStore::connect(&url).await.unwrap_or_else(|error| panic!("{error}"));
    Fixture { store: Arc::new(store), bouncer, _database: database }
}

fn name_of(database: &TestDatabase) -> &str {
    let (base, _) = database.url().split_once('?').expect("a folder");
    base.rsplit('/').next().expect("a name")
}

/// As it comes: nothing in the URL, and `PgBouncer`'s own defaults. Version 1.21 and later keep names apart if told to.
mod as_it_comes {
    async fn fixture() -> super::Fixture {
        super::through(&[], "").await
    }

    commerce_core::store_conformance_tests!(fixture);
}

/// Without a single named statement.
mod without_names {
    async fn fixture() -> super::Fixture {
        super::through(&[], "&statement-cache-capacity=0").await
    }

    commerce_core::store_conformance_tests!(fixture);
}

/// Searches, lists and writes by many at once, each transaction on whichever connection is free.
async fn many_at_once(fixture: &Fixture) {
    let store = &fixture.store;
    for n in 0..4 {
        let (set, _) = stocked(&format!("mug-{n}"), 100);
        assert_eq!(store.commit(&set).await.expect("a product"), Applied::Now);
    }
    let active = ProductFilter { statuses: vec![ProductStatus::Active], ..ProductFilter::default() };
    let terms = commerce_core::catalog::SearchTerms::parse("mug");
    let search = ProductFilter { search: terms, sort: ProductSort::Relevance, ..active.clone() };
    let round = |n: usize| {
        let (active, search) = (&active, &search);
        async move {
            let reads = store.reads();
            assert_eq!(reads.list_products(search, &PageSpec::first(20)).await.expect("found").items.len(), 4);
            assert!(
                reads
                    .list_products(active, &PageSpec { count: true, ..PageSpec::first(20) })
                    .await
                    .expect("listed")
                    .total
                    >= Some(4)
            );
            let (cart, _) = support::cart(&[]);
            assert_eq!(store.commit(&cart).await.expect("a cart"), Applied::Now, "{n}");
        }
    };
    for _ in 0..3 {
        join_all((0..60).map(round)).await;
    }
    assert!(store.reads().verify().await.expect("verified").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_share_few_connections() {
    many_at_once(&through(&[], "").await).await;
    many_at_once(&through(&[], "&statement-cache-capacity=0").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_that_are_of_no_use_any_more_are_prepared_again() {
    let database = database().await;
    let store = database.store().await.expect("a store");
    let (set, product) = stocked("mug", 5);
    store.commit(&set).await.expect("a product");
    for _ in 0..2 {
        let read = store.reads().load_product(product.id).await.expect("read");
        assert_eq!(read, Some(product.clone()));
        // Columns that are there no more are a reason to prepare anew, too.
        let alter = "ALTER TABLE commerce_variant ADD COLUMN IF NOT EXISTS note TEXT; \
                     ALTER TABLE commerce_key ADD COLUMN IF NOT EXISTS note TEXT; \
                     ALTER TABLE commerce_task ADD COLUMN IF NOT EXISTS note TEXT";
        raw_sql(alter).execute(store.pool()).await.expect("altered");
        store.reads().load_key(&[7; 32]).await.expect("read");
        store.lease("w", support::now(), support::now(), 5).await.expect("leased");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_is_named_if_the_url_says_that_none_is_kept() {
    let database = database().await;
    let (proxy, url) = Proxy::to(database.url()).await.expect("the line is watched on the tests' own server");
    let store = PgStore::connect(&format!("{url}&statement-cache-capacity=0")).await.expect("a store");
    let (set, product) = stocked("mug", 5);
    store.commit(&set).await.expect("a product");
    store.reads().load_product(product.id).await.expect("read");
    store.lease("w", support::now(), support::now(), 5).await.expect("leased");
    assert!(!proxy.saw_a_name(), "none of them was named");
    PgStore::connect(&url).await.expect("a store").reads().ping().await.expect("an answer");
    assert!(proxy.saw_a_name(), "names are seen");
}

#[tokio::test(flavor = "multi_thread")]
async fn pgbouncers_own_prepared_statements_serve_as_well() {
    let probe = through(&[], "").await;
    // Debian 12 has version 1.18, where the setting would keep it from starting.
    if probe.bouncer.knows_prepared_statements() {
        many_at_once(&through(&[("max_prepared_statements", "200")], "").await).await;
    } else {
        many_at_once(&probe).await;
    }
}
