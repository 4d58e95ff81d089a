//! What reads cost in SQLite, counted as the driver reports them: as many statements for sixty products as for one. (The store
//! calls behind them are asserted in `calls`, a write's round trips beside the PostgreSQL store.)

use std::sync::atomic::{AtomicUsize, Ordering};

use commerce_core::{Commerce, catalog::NewProduct, page::PageRequest, payment::TestGateway};
use commerce_sqlite::SqliteStore;
use commerce_tests::shop::{VISA, customer, eur, input};
use sqlx::{
    ConnectOptions as _,
    sqlite::{SqliteConnectOptions, SqlitePoolOptions},
};
use tracing::{Event, Subscriber, log::LevelFilter};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
};

static STATEMENTS: AtomicUsize = AtomicUsize::new(0);

struct Counter;

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == "sqlx::query" {
            STATEMENTS.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Statements since the last time.
fn statements() -> usize {
    STATEMENTS.swap(0, Ordering::SeqCst)
}

async fn shop(folder: &std::path::Path) -> Commerce {
    let options = SqliteConnectOptions::new()
        .filename(folder.join("shop.db"))
        .create_if_missing(true)
        .log_statements(LevelFilter::Info);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
    let store = SqliteStore::from_pool(pool).await.unwrap();
    Commerce::builder().store(store).gateway(TestGateway::new()).build().unwrap()
}

#[tokio::test]
async fn reads_cost_the_same_at_any_size() {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(Counter)).unwrap();
    for size in [1, 10, 60] {
        let folder = tempfile::tempdir().unwrap();
        let shop = shop(folder.path()).await;
        let mut variants = Vec::new();
        for n in 0..size {
            let thing = NewProduct::active(format!("Thing {n}")).variant(format!("SKU-{n}"), eur(100)).stock(9);
            variants.push(shop.as_system().catalog().create(thing).await.unwrap().default_variant());
        }
        let ada = customer();
        for variant in &variants {
            shop.acting_as(&ada).carts().add(*variant, 1).await.unwrap();
        }
        statements();

        let all = PageRequest::first(100);
        let page = shop.as_guest().catalog().products().page(&all).await.unwrap();
        assert_eq!((page.items.len(), statements()), (size, LISTING));
        let page = shop.as_guest().catalog().search("thing").page(&all).await.unwrap();
        assert_eq!((page.items.len(), statements()), (size, SEARCH));
        shop.as_guest().catalog().product("thing-0").await.unwrap();
        assert_eq!(statements(), DETAIL);
        shop.acting_as(&ada).carts().view().await.unwrap();
        assert_eq!(statements(), CART);
        let placed = shop.acting_as(&ada).checkout().place(input(VISA)).await.unwrap().order;
        assert_eq!((placed.lines.len(), statements()), (size, CHECKOUT));
        shop.acting_as(&ada.actor).orders().mine(&all).await.unwrap();
        assert_eq!(statements(), ORDERS);
    }
}

/// The page, and the category tree.
const LISTING: usize = 2;
/// The words that are searched for, and a listing.
const SEARCH: usize = 3;
/// The product, and the category tree.
const DETAIL: usize = 2;
/// The cart, and what its lines refer to.
const CART: usize = 2;
/// The reads of a checkout; its two commits are a string of statements each.
const CHECKOUT: usize = 2;
const ORDERS: usize = 1;
