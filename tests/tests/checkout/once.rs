//! Repeated calls, rushes, and processes that die.

use std::{sync::Arc, time::Duration};

use commerce_core::{
    checkout::CheckoutError,
    conformance::BrokenStore,
    context::{Idempotency, IdempotencyError, RequestContext},
    error::CommonError,
    order::OrderStatus,
    page::PageRequest,
    payment::{PaymentStatus, PlacementOutcome},
    store::Store,
};
use commerce_sqlite::SqliteStore;
use commerce_tests::shop::{MortalStore, SECURE, TestShop, VISA, customer, input, keyed, offline};
use futures_util::future::join_all;

use crate::{EXPIRY, LEASE};

#[tokio::test]
async fn the_same_key_answers_the_same_order() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 1).await;
    let once = keyed(&ada, "buy");
    let first = shop.by(&once).checkout().place(input(VISA)).outcome().await.unwrap();
    shop.fill(&ada, mug, 1).await;
    let second = shop.by(&once).checkout().place(input(VISA)).outcome().await.unwrap();
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.value, second.value);
    assert_eq!(shop.commerce.acting_as(&ada).carts().view().await.unwrap().item_count, 1);
    let other = ada.clone().once(Idempotency { fingerprint: [9; 32], ..once.idempotency.unwrap() });
    let reused = shop.place(&other, VISA).await.unwrap_err();
    assert!(matches!(reused, CheckoutError::Common(CommonError::Idempotency(IdempotencyError::Reused))), "{reused:?}");
    shop.check_books().await;
}

/// What is answered first stays the answer, though the order has moved on since.
#[tokio::test]
async fn the_first_answer_stays_the_answer() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 1).await;
    let once = keyed(&ada, "buy");
    let first = shop.place(&once, SECURE).await.unwrap();
    let payment = first.order.payments[0].id;
    assert!(shop.gateway.authenticate(payment, true));
    shop.by(&ada).payments().confirm(first.order.id, payment).await.unwrap();
    assert_eq!(shop.place(&once, SECURE).await.unwrap(), first);
    assert_eq!(shop.order(&first.order).await.status, OrderStatus::Confirmed);
}

#[tokio::test]
async fn a_checkout_resumes_after_its_process_died() {
    // Commits of a checkout: reserve, settle. The process dies during either, which applies or doesn't.
    for (commits, applies) in [(0, false), (0, true), (1, false), (1, true)] {
        let shop = TestShop::open().await;
        let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
        shop.fill(&ada, mug, 2).await;
        let once = keyed(&ada, "buy");
        let doomed = shop.process_on(MortalStore::new(shop.store.clone(), commits, applies));
        let place =
            doomed.by(&once).checkout().place(input(VISA)).into_future().await_for(Duration::from_millis(300)).await;
        assert!(place.is_none(), "the process died");
        let reserved = (commits, applies) != (0, false);
        if reserved && (commits, applies) != (1, true) {
            let running = shop.place(&once, VISA).await.unwrap_err();
            let in_progress =
                matches!(running, CheckoutError::Common(CommonError::Idempotency(IdempotencyError::InProgress)));
            assert!(in_progress, "{running:?}");
        }
        shop.clock.advance(LEASE);
        let placed = shop.place(&once, VISA).await.unwrap();
        assert_eq!(placed.outcome, PlacementOutcome::Placed, "{commits} {applies}");
        assert_eq!(shop.only_order().await.id, placed.order.id);
        assert_eq!(shop.units(mug).await, (8, 0));
        assert_eq!(shop.gateway.ledger().len(), 1);
        shop.wait(EXPIRY).await;
        assert_eq!(shop.mailer.sent().len(), 1);
        shop.check_books().await;
    }
}

/// Staff take goods off the shelf and count what is left while everybody buys.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stock_that_is_edited_while_everybody_buys_is_never_oversold() {
    let shop = TestShop::open().await;
    let (mug, staff) = (shop.sell("MUG", 1990, 50).await, RequestContext::system());
    let buyers: Vec<RequestContext> = (0..100).map(|_| customer()).collect();
    join_all(buyers.iter().map(|buyer| shop.fill(buyer, mug, 1))).await;
    let buying = join_all(buyers.iter().map(|buyer| shop.place(buyer, VISA)));
    let editing = async {
        let mut taken = 0;
        for _ in 0..10 {
            let gone = shop.commerce.acting_as(&staff).inventory().adjust(mug, -1, "broken".to_owned()).await;
            taken += i64::from(gone.is_ok());
            let on_hand = shop.units(mug).await.0;
            // What was counted is what was there, or the count is refused.
            let _ = shop
                .commerce
                .acting_as(&staff)
                .inventory()
                .set_stock(mug, commerce_core::inventory::StockCount::new().on_hand(on_hand))
                .await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        taken
    };
    let (results, taken) = tokio::join!(buying, editing);
    let placed = results.iter().filter(|result| result.is_ok()).count();
    let short = results.iter().filter(|result| matches!(result, Err(CheckoutError::OutOfStock { .. }))).count();
    assert_eq!(placed + short, 100, "{results:?}");
    let movements = shop.commerce.as_system().inventory().movements(mug, &PageRequest::first(100)).await.unwrap();
    let counted: i64 =
        movements.items.iter().filter(|line| line.reason.as_deref() == Some("count")).map(|line| line.delta).sum();
    let left = 50 - taken + counted - i64::try_from(placed).unwrap();
    assert!(left >= 0 && placed > 0 && taken > 0, "{placed} sold, {taken} taken, {counted} counted");
    assert_eq!(shop.units(mug).await, (left, 0));
    shop.check_books().await;
}

trait AwaitFor: Future + Sized {
    /// The output, if it comes in time.
    async fn await_for(self, time: Duration) -> Option<Self::Output> {
        tokio::time::timeout(time, self).await.ok()
    }
}
impl<F: Future> AwaitFor for F {}

#[tokio::test]
async fn one_cart_becomes_one_order() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 100).await, customer());
    shop.fill(&ada, mug, 2).await;
    let results = join_all((0..10).map(|_| shop.place(&ada, VISA))).await;
    let placed = results.iter().filter(|result| result.is_ok()).count();
    let empty = results.iter().filter(|result| matches!(result, Err(CheckoutError::CartEmpty))).count();
    assert_eq!((placed, empty), (1, 9), "{results:?}");
    assert_eq!(shop.units(mug).await, (98, 0));

    shop.fill(&ada, mug, 2).await;
    let once = keyed(&ada, "buy");
    let results = join_all((0..10).map(|_| shop.place(&once, VISA))).await;
    let orders: std::collections::HashSet<_> = results.iter().flatten().map(|placed| placed.order.id).collect();
    assert_eq!(orders.len(), 1, "{results:?}");
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        let running = matches!(error, CheckoutError::Common(CommonError::Idempotency(IdempotencyError::InProgress)));
        assert!(running, "{error:?}");
    }
    shop.check_books().await;
}

/// 200 buyers, 50 units. Answers how many got one, and how many heard that there are none.
async fn rush(store: Arc<dyn Store>) -> (usize, usize, TestShop) {
    let shop = TestShop::on(store, |builder| builder);
    let mug = shop.sell("MUG", 1990, 50).await;
    let buyers: Vec<RequestContext> = (0..200).map(|_| customer()).collect();
    join_all(buyers.iter().map(|buyer| shop.fill(buyer, mug, 1))).await;
    let results = join_all(buyers.iter().map(|buyer| shop.place(buyer, VISA))).await;
    let placed = results.iter().filter(|result| result.is_ok()).count();
    let short = results.iter().filter(|result| matches!(result, Err(CheckoutError::OutOfStock { .. }))).count();
    (placed, short, shop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_units_make_fifty_of_two_hundred_buyers_happy() {
    let (placed, short, shop) = rush(Arc::new(SqliteStore::open("sqlite::memory:").await.unwrap())).await;
    assert_eq!((placed, short), (50, 150));
    let mug = shop.orders().await[0].lines[0].variant_id;
    assert_eq!(shop.units(mug).await, (0, 0));
    shop.check_books().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rush_catches_a_store_that_reads_and_then_writes() {
    let good = Arc::new(SqliteStore::open("sqlite::memory:").await.unwrap());
    let (placed, short, _) = rush(Arc::new(BrokenStore::new(good))).await;
    assert_ne!((placed, short), (50, 150), "a store without guards must not pass");
}

#[tokio::test]
async fn what_is_free_or_paid_outside_is_confirmed_without_money() {
    let shop = TestShop::open().await;
    let (gift, mug, ada) = (shop.sell("GIFT", 0, 5).await, shop.sell("MUG", 1990, 5).await, customer());
    let order = shop.buy(&ada, gift, 1).await;
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid));
    assert_eq!(shop.gateway.ledger(), []);
    shop.fill(&ada, mug, 1).await;
    let order = shop.by(&ada).checkout().place(offline()).await.unwrap().order;
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Pending));
    let codes: Vec<_> = shop.guest().checkout().payment_methods().into_iter().map(|method| method.code).collect();
    assert_eq!(codes, ["manual", "test"]);
    shop.check_books().await;
}
