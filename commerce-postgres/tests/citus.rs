//! A real Citus: a coordinator and two workers, the tables placed by [`PgStore::distribute`]. The whole contract, and what only
//! many nodes can get wrong.
//!
//! Few machines have the extension, so this isn't among the tests that run by themselves: `tests/citus` runs it.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use commerce_core::{
    Commerce,
    address::PostalAddress,
    catalog::NewProduct,
    checkout::{Checkout, CheckoutError, PaymentChoice},
    conformance::StoreFixture,
    context::{Actor, RequestContext},
    id::VariantId,
    order::{LineQuantity, Order, OrderQuery, OrderStatus},
    page::PageSpec,
    payment::{NewRefund, PaymentStatus, RefundStatus, TestGateway},
    store::{Applied, CommitError, Store, StoreError},
};
use commerce_postgres::{
    PgStore,
    testing::{Citus, TestDatabase},
};
use futures_util::future::join_all;
use sqlx::{Connection as _, PgConnection, query_as};

struct Fixture {
    store: Arc<PgStore>,
    // Dropped after the store.
    database: TestDatabase,
}

impl StoreFixture for Fixture {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store) as Arc<dyn Store>
    }
}

async fn fixture() -> Fixture {
    let database = TestDatabase::distributed().await.unwrap_or_else(|error| panic!("{error}"));
    let store = database.store().await.expect("the test database answers");
    Fixture { store: Arc::new(store), database }
}

commerce_core::store_conformance_tests!(fixture);

#[tokio::test]
async fn every_table_is_on_the_nodes() {
    let Fixture { store, database } = fixture().await;
    let mut connection = PgConnection::connect(database.url()).await.unwrap();
    let placed = "SELECT p.logicalrelid::text, p.partmethod::text = 'n', count(DISTINCT l.groupid) FROM pg_dist_partition p \
                  JOIN pg_dist_shard USING (logicalrelid) JOIN pg_dist_placement l USING (shardid) GROUP BY 1, 2 ORDER BY 1";
    let placed: Vec<(String, bool, i64)> = query_as(placed).fetch_all(&mut connection).await.unwrap();
    let (tables,): (i64,) = query_as("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(i64::try_from(placed.len()).unwrap(), tables, "every table is placed: {placed:?}");
    for (table, whole, nodes) in &placed {
        assert_eq!(*nodes, if *whole { 3 } else { 2 }, "{table}: a copy everywhere, or shards on both workers");
    }
    assert!(placed.iter().any(|(table, whole, _)| table == "commerce_product" && *whole));
    assert!(placed.iter().any(|(table, whole, _)| table == "commerce_order" && !*whole));
    assert_eq!(store.distribute().await.unwrap(), 0, "what is placed stays");
}

fn shop(store: &Arc<PgStore>) -> Commerce {
    Commerce::builder().shared_store(store.clone()).gateway(TestGateway::new()).build().unwrap()
}

/// Two products with so many units each.
async fn two_products(shop: &Commerce, units: i64) -> [VariantId; 2] {
    let mut variants = Vec::new();
    for sku in ["MUG", "CUP"] {
        let product = NewProduct::active(sku.to_lowercase()).variant(sku, support::eur(1990)).stock(units);
        variants.push(shop.as_system().catalog().create(product).await.unwrap().default_variant());
    }
    [variants[0], variants[1]]
}

/// A guest who puts one of each into a cart and checks out.
async fn buy(shop: &Commerce, variants: &[VariantId]) -> Result<Order, CheckoutError> {
    let mut guest = RequestContext::guest();
    for variant in variants {
        let cart = shop.acting_as(&guest).carts().add(*variant, 1).await.unwrap();
        if let Some(token) = cart.cart_token {
            guest = RequestContext::by(Actor::Guest { cart: Some(token), order: None });
        }
    }
    let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
    let card = PaymentChoice::by("test").token("pm_card_visa".to_owned());
    let checkout = Checkout::ship_to(address).pay_with(card).email("ada@example.com".to_owned());
    Ok(shop.acting_as(&guest).checkout().place(checkout).await?.order)
}

#[tokio::test(flavor = "multi_thread")]
async fn from_a_cart_to_a_settled_refund() {
    let fixture = fixture().await;
    let shop = shop(&fixture.store);
    let [mug, cup] = two_products(&shop, 3).await;
    let order = buy(&shop, &[mug, cup]).await.unwrap();
    assert_eq!((order.status, order.payments[0].status), (OrderStatus::Confirmed, PaymentStatus::Paid));

    let back = NewRefund::items([LineQuantity { variant_id: mug, quantity: 1 }]).reason("a dent").restock(true);
    let refunded = shop.as_system().payments().refund(order.id, back).await.unwrap();
    let (order, refund) = (refunded.order, refunded.refund);
    assert_eq!((refund.status, refund.amount.minor), (RefundStatus::Settled, 1990));
    shop.worker().tick().await.unwrap();

    let reads = fixture.store.reads();
    assert_eq!(reads.load_order(order.id).await.unwrap().unwrap(), order);
    for (variant, left) in [(mug, 3), (cup, 2)] {
        let stock = reads.load_stock(variant).await.unwrap().unwrap();
        assert_eq!((stock.on_hand, stock.reserved), (left, 0));
    }
    assert_eq!(reads.verify().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_buyers_of_five_pairs() {
    let fixture = fixture().await;
    let shop = shop(&fixture.store);
    let pair = two_products(&shop, 5).await;
    // Half of them ask for the other one first: nobody waits for who waits for them.
    let orders = [pair, [pair[1], pair[0]]].into_iter().cycle().take(8);
    let bought = join_all(orders.map(|variants| {
        let shop = shop.clone();
        async move { buy(&shop, &variants).await }
    }));
    let bought = bought.await;
    let won = bought.iter().filter(|order| order.is_ok()).count();
    let short = bought.iter().filter(|order| matches!(order, Err(CheckoutError::OutOfStock { .. }))).count();
    assert_eq!((won, short), (5, 3), "{bought:?}");
    for variant in pair {
        let stock = fixture.store.reads().load_stock(variant).await.unwrap().unwrap();
        assert_eq!((stock.on_hand, stock.reserved), (0, 0));
    }
    assert_eq!(fixture.store.reads().verify().await.unwrap(), []);
}

/// Prepared statements get a generic plan from the sixth execution on, if it seems as good.
#[tokio::test]
async fn reads_go_on_working_when_they_are_repeated() {
    let Fixture { store, database } = fixture().await;
    let pool = sqlx::postgres::PgPoolOptions::new().max_connections(1).connect(database.url()).await.unwrap();
    let one_connection = Arc::new(PgStore::from_pool(pool));
    let shop = shop(&one_connection);
    let pair = two_products(&shop, 50).await;
    for round in 1..=12 {
        let order = buy(&shop, &pair).await.unwrap();
        let reads = one_connection.reads();
        assert_eq!(reads.load_order(order.id).await.unwrap().unwrap(), order);
        let listed = reads.list_orders(&OrderQuery::default(), &PageSpec::first(100)).await.unwrap().items;
        assert_eq!((listed.len(), &listed[0]), (round, &order));
        shop.worker().tick().await.unwrap();
    }
    assert_eq!(store.reads().verify().await.unwrap(), []);
}

/// Ends what nodes left half-done when one of them died, as the coordinator's daemon does every minute.
async fn recover(database: &TestDatabase) {
    let mut coordinator = PgConnection::connect(database.url()).await.unwrap();
    let (_,): (i32,) = query_as("SELECT recover_prepared_transactions()").fetch_one(&mut coordinator).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_dies_leaves_nothing_half_written() {
    let mut citus = Citus::start().await.unwrap_or_else(|error| panic!("{error}"));
    let database = citus.database().await.unwrap();
    let store = Arc::new(database.store().await.unwrap());
    let mut products = Vec::new();
    for slug in ["mug", "cup"] {
        let (set, product) = support::stocked(slug, 10_000);
        store.commit(&set).await.unwrap();
        products.push(product);
    }
    let orders = Arc::new(AtomicUsize::new(0));
    let buyers = (0..6).map(|_| {
        let (store, products, orders) = (store.clone(), products.clone(), orders.clone());
        tokio::spawn(async move {
            let mut left = Vec::new();
            // Each buys until the worker is gone.
            while left.len() < 1_000 {
                let (set, cart) = support::cart(&products);
                if let Err(error) = store.commit(&set).await {
                    assert!(matches!(error, CommitError::Unavailable(_) | CommitError::Unknown(_)), "{error:?}");
                    break;
                }
                let (reserving, order) = support::reserve(&cart, &products);
                match store.commit(&reserving).await {
                    Ok(_) => {
                        left.push((reserving, order, true));
                        orders.fetch_add(1, Ordering::Relaxed);
                    }
                    Err(CommitError::Unavailable(_) | CommitError::Unknown(_)) => {
                        left.push((reserving, order, false));
                        break;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
            left
        })
    });
    let buyers: Vec<_> = buyers.collect();
    while orders.load(Ordering::Relaxed) < 20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    citus.workers()[0].crash().await.unwrap();
    let orders_seen = store.reads().list_orders(&OrderQuery::default(), &PageSpec::first(1)).await;
    assert!(matches!(orders_seen, Err(StoreError::Unavailable(_))), "{orders_seen:?}");
    let sets: Vec<_> = join_all(buyers).await.into_iter().flat_map(|buyer| buyer.unwrap()).collect();
    let acknowledged = orders.load(Ordering::Relaxed);
    println!("{acknowledged} orders before the worker died, {} in doubt", sets.len() - acknowledged);
    assert!(acknowledged < 6_000, "nobody noticed");

    citus.workers()[0].restart().await.unwrap();
    recover(&database).await;
    let reads = store.reads();
    let mut reserved = 0;
    for (_, order, acknowledged) in &sets {
        let found = reads.load_order(order.id).await.unwrap();
        let cart = reads.load_cart(order.cart_id.unwrap()).await.unwrap().unwrap();
        let whole = found.as_ref() == Some(order) && cart.version == 2;
        let nothing = found.is_none() && cart.version == 1;
        assert!(whole || (nothing && !acknowledged), "{found:?} {cart:?}");
        reserved += i64::from(whole);
    }
    for product in &products {
        let stock = reads.load_stock(product.variants[0].id).await.unwrap().unwrap();
        assert_eq!(stock.reserved, reserved);
    }
    assert_eq!(reads.verify().await.unwrap(), []);

    // What was in doubt is committed again, and is true once.
    for (set, order, acknowledged) in &sets {
        let again = store.commit(set).await.unwrap();
        assert!(again == Applied::Before || !acknowledged);
        assert_eq!(reads.load_order(order.id).await.unwrap().as_ref(), Some(order));
    }
    for product in &products {
        let stock = reads.load_stock(product.variants[0].id).await.unwrap().unwrap();
        assert_eq!(stock.reserved, i64::try_from(sets.len()).unwrap());
    }
    assert_eq!(reads.verify().await.unwrap(), []);
}
