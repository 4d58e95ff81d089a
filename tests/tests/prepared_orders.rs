//! Writes around a payment gateway that a host commits in a transaction of its own: the first set holds all that the write's
//! own first commit would, and the worker goes on from there to the same end.

use std::{sync::Mutex, time::Duration};

use async_trait::async_trait;
use commerce_core::{
    PreparedWrite,
    checkout::{CheckoutError, PaymentChoice},
    error::CommonError,
    event::{EventRecord, EventSink},
    order::{
        Cancellation, FulfilmentStatus, ItemSelection, NewReturn, Order, OrderError, OrderStatus, ReturnDecision,
        ReturnStatus,
    },
    payment::{GatewayFault, NewCapture, NewRefund, PaymentStatus, PlacementOutcome, RefundStatus},
};
use commerce_tests::shop::{
    DECLINED, SECURE, TestShop, VISA, cancel_of, customer, eur, input, keyed, offline, parcel, units_of,
};

/// What the host does.
async fn commit<T>(shop: &TestShop, prepared: PreparedWrite<T>) -> T {
    assert!(!prepared.replayed);
    shop.store.commit(&prepared.changes).await.unwrap();
    prepared.output
}

/// What the worker does next, without any time passing.
async fn work(shop: &TestShop) {
    shop.commerce.worker().tick().await.unwrap();
}

#[derive(Clone, Default)]
struct Sink(std::sync::Arc<Mutex<Vec<String>>>);

#[async_trait]
impl EventSink for Sink {
    async fn publish(&self, event: &EventRecord) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        self.0.lock().unwrap().push(event.event.name());
        Ok(())
    }
}

#[tokio::test]
async fn a_prepared_checkout_is_paid_and_confirmed_by_the_worker() {
    let sink = Sink::default();
    let shop = TestShop::with(|b| b.event_sink(sink.clone())).await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 2).await;
    let once = keyed(&ada, "buy");
    let prepared = shop.by(&once).checkout().place(input(VISA)).prepare().await.unwrap();
    assert_eq!(shop.orders().await, [], "nothing is written by preparing");
    assert_eq!(shop.units(mug).await, (10, 0));
    let placed = commit(&shop, prepared).await;
    assert_eq!((placed.status, &placed.outcome), (OrderStatus::Pending, &PlacementOutcome::Pending));
    assert_eq!(shop.units(mug).await, (10, 2), "the goods are reserved");
    assert_eq!(shop.gateway.ledger(), [], "the gateway hasn't been called");

    let again = shop.by(&once).checkout().place(input(VISA)).prepare().await.unwrap();
    assert_eq!((again.replayed, again.output.id), (true, placed.id));
    work(&shop).await;
    let order = shop.order(&placed.order).await;
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid));
    assert_eq!(shop.units(mug).await, (8, 0));
    let answer = shop.by(&once).checkout().place(input(VISA)).outcome().await.unwrap();
    assert_eq!((answer.replayed, answer.value.outcome), (true, PlacementOutcome::Placed));
    work(&shop).await;
    let mut told = sink.0.lock().unwrap().clone();
    told.sort();
    for name in ["order_confirmed", "order_placed", "payment_captured"] {
        assert_eq!(told.iter().filter(|told| *told == name).count(), 1, "{told:?}");
    }
    shop.check_books().await;
    assert_eq!(shop.store.reads().task_backlog().await.unwrap().0, 0, "nothing is left to watch");
}

#[tokio::test]
async fn a_prepared_checkout_ends_as_any_other() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    // Declined: the cart comes back.
    shop.fill(&ada, mug, 1).await;
    let place = shop.by(&ada).checkout().place(input(DECLINED)).prepare().await.unwrap();
    let declined = commit(&shop, place).await;
    work(&shop).await;
    assert_eq!(
        PlacementOutcome::of(&shop.order(&declined.order).await),
        PlacementOutcome::Declined { code: "card_declined".to_owned() }
    );
    assert_eq!(shop.by(&ada).carts().view().await.unwrap().item_count, 1);

    // 3-D Secure: the customer acts, and confirms.
    let place = shop.by(&ada).checkout().place(input(SECURE)).prepare().await.unwrap();
    let placed = commit(&shop, place).await;
    work(&shop).await;
    let payment = placed.payments[0].id;
    assert_eq!(shop.order(&placed.order).await.payment_status, PaymentStatus::RequiresAction);
    assert!(shop.gateway.authenticate(payment, true));
    let confirm = shop.by(&ada).payments().confirm(placed.id, payment).prepare().await.unwrap();
    commit(&shop, confirm).await;
    work(&shop).await;
    assert_eq!(shop.order(&placed.order).await.status, OrderStatus::Confirmed);

    // Refused: the same as without preparing, and nothing is written.
    let empty = shop.by(&ada).checkout().place(input(VISA)).prepare().await.unwrap_err();
    assert!(matches!(empty, CheckoutError::CartEmpty), "{empty:?}");
    shop.fill(&ada, mug, 1).await;
    let cart = shop.by(&ada).carts().view().await.unwrap();
    let place = || shop.by(&ada).checkout().place(input(VISA));
    let changed = place().if_version(cart.version + 1).await.unwrap_err();
    assert!(matches!(changed, CheckoutError::Common(CommonError::VersionMismatch(_))), "{changed:?}");
    place().if_version(cart.version).await.unwrap();
    shop.check_books().await;
}

#[tokio::test]
async fn a_prepared_payment_waits_until_the_open_one_is_given_up() {
    for acted in [false, true] {
        let shop = TestShop::open().await;
        let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
        shop.fill(&ada, mug, 1).await;
        let order = shop.place(&ada, SECURE).await.unwrap().order;
        let card = PaymentChoice::by("test").token(VISA.to_owned());
        let prepared = shop.by(&ada).checkout().pay_again(order.id, card).prepare().await.unwrap();
        commit(&shop, prepared).await;
        if acted {
            assert!(shop.gateway.authenticate(order.payments[0].id, true));
        }
        work(&shop).await;
        shop.wait(Duration::from_secs(32)).await;
        let after = shop.order(&order).await;
        assert_eq!((after.status, after.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid));
        let kept: i64 = shop.gateway.ledger().iter().map(|line| line.captured - line.refunded).sum();
        assert_eq!(kept, 1990, "paid once: {:?}", after.payments);
        assert_eq!(shop.units(mug).await, (9, 0));
        shop.check_books().await;
    }
}

/// A paid order of three at 10.00 each.
async fn sold() -> (TestShop, commerce_core::id::VariantId, Order) {
    let shop = TestShop::open().await;
    let mug = shop.sell("MUG", 1000, 10).await;
    let order = shop.buy(&customer(), mug, 3).await;
    (shop, mug, order)
}

#[tokio::test]
async fn a_prepared_refund_is_sent_back_by_the_worker() {
    let (shop, mug, order) = sold().await;
    let once = keyed(&commerce_core::context::RequestContext::system(), "refund");
    let refund = || shop.by(&once).payments().refund(order.id, NewRefund::items([units_of(mug, 1)]).reason("a dent"));
    let given = commit(&shop, refund().prepare().await.unwrap()).await;
    assert_eq!((given.refund.status, given.refund.amount), (RefundStatus::Pending, eur(1000)));
    assert_eq!(shop.gateway.ledger()[0].refunded, 0, "the gateway hasn't been called");
    shop.gateway.script([GatewayFault::LostAfter]);
    work(&shop).await;
    shop.wait(Duration::from_secs(32)).await;
    let after = shop.order(&order).await;
    assert_eq!((after.refunds[0].status, after.payments[0].refunded), (RefundStatus::Settled, 1000));
    let again = refund().outcome().await.unwrap();
    assert_eq!((again.replayed, again.value.refund.id), (true, given.refund.id));
    shop.check_books().await;
}

#[tokio::test]
async fn a_prepared_capture_is_made_by_the_worker() {
    let shop = TestShop::with(|b| b.settings(|s| s.capture_at_checkout = false)).await;
    let mug = shop.sell("MUG", 1000, 10).await;
    let order = shop.buy(&customer(), mug, 3).await;
    let payments = shop.staff().payments();
    let capture = payments.capture(NewCapture::of(order.id).amount(eur(2000))).prepare().await.unwrap();
    commit(&shop, capture).await;
    let busy = payments.capture(order.id).await.unwrap_err();
    assert!(matches!(busy, OrderError::PaymentBusy), "the money is being taken: {busy:?}");
    work(&shop).await;
    let after = shop.order(&order).await;
    assert_eq!((after.payment_status, after.payments[0].captured), (PaymentStatus::Paid, 2000));
    shop.check_books().await;

    // The promise lapses before the worker comes to it.
    let order = shop.buy(&customer(), mug, 1).await;
    let prepared = payments.capture(order.id).prepare().await.unwrap();
    commit(&shop, prepared).await;
    shop.wait(Duration::from_secs(1)).await;
    assert_eq!(shop.order(&order).await.payment_status, PaymentStatus::Paid);
    shop.check_books().await;
}

#[tokio::test]
async fn a_prepared_cancellation_is_refunded_or_given_up_by_the_worker() {
    // Paid: the order is cancelled at once, and its money goes back afterwards.
    let (shop, mug, order) = sold().await;
    let cancel =
        shop.staff().orders().cancel(order.id, Cancellation::all().reason("sold out")).prepare().await.unwrap();
    let cancelled = commit(&shop, cancel).await;
    assert_eq!((cancelled.status, shop.units(mug).await), (OrderStatus::Cancelled, (10, 0)));
    work(&shop).await;
    assert_eq!(shop.order(&order).await.payment_status, PaymentStatus::Refunded);

    // Waiting for its customer: the gateway is asked first, so that the worker does it all.
    for acted in [false, true] {
        let ada = customer();
        shop.fill(&ada, mug, 2).await;
        let order = shop.place(&ada, SECURE).await.unwrap().order;
        let part = shop.staff().orders().cancel(order.id, cancel_of([units_of(mug, 1)])).prepare().await.unwrap_err();
        assert!(matches!(part, OrderError::NotAllowed(_)), "{part:?}");
        let once = keyed(&ada, "cancel");
        let cancel = || shop.by(&once).orders().cancel(order.id, Cancellation::all());
        let before = commit(&shop, cancel().prepare().await.unwrap()).await;
        assert_eq!(before.status, OrderStatus::Pending);
        if acted {
            assert!(shop.gateway.authenticate(order.payments[0].id, true));
        }
        work(&shop).await;
        let after = shop.order(&order).await;
        let money = if acted { PaymentStatus::Refunded } else { PaymentStatus::Voided };
        assert_eq!((after.status, after.payment_status), (OrderStatus::Cancelled, money));
        assert_eq!(shop.units(mug).await, (10, 0));
        assert!(cancel().outcome().await.unwrap().replayed);
    }
    shop.check_books().await;
}

#[tokio::test]
async fn prepared_parcels_and_returns_go_the_whole_way() {
    let (shop, mug, order) = sold().await;
    let orders = shop.staff().orders();
    let pack = orders.fulfil(order.id, parcel(ItemSelection::All)).prepare().await.unwrap();
    let packed = commit(&shop, pack).await;
    for status in [FulfilmentStatus::Shipped, FulfilmentStatus::Delivered] {
        let update = orders.update_fulfilment(packed.fulfilment.id, status).prepare().await.unwrap();
        commit(&shop, update).await;
    }
    let ask = orders.request_return(order.id, NewReturn::new([units_of(mug, 2)], "too small")).prepare().await.unwrap();
    let asked = commit(&shop, ask).await.r#return;
    assert_eq!(asked.status, ReturnStatus::Requested);
    for decision in [ReturnDecision::approve(), ReturnDecision::receive()] {
        let decide = orders.decide_return(asked.id, decision).prepare().await.unwrap();
        commit(&shop, decide).await;
    }
    work(&shop).await;
    let after = shop.order(&order).await;
    assert_eq!((after.status, after.payment_status), (OrderStatus::Completed, PaymentStatus::PartiallyRefunded));
    assert_eq!((after.payments[0].refunded, shop.units(mug).await), (2000, (9, 0)));
    let stale = orders.fulfil(order.id, parcel(ItemSelection::All)).if_version(order.version).await.unwrap_err();
    assert!(
        matches!(stale, OrderError::Common(CommonError::VersionMismatch(now)) if now == after.version),
        "{stale:?}"
    );
    shop.check_books().await;
}

#[tokio::test]
async fn prepared_receipts_and_write_offs_are_booked() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1000, 10).await, customer());
    let payments = shop.staff().payments();
    shop.fill(&ada, mug, 1).await;
    let order = shop.by(&ada).checkout().place(offline()).await.unwrap().order;
    let received = commit(&shop, payments.receive(order.payments[0].id).prepare().await.unwrap()).await;
    assert_eq!((received.payment_status, shop.order(&order).await), (PaymentStatus::Paid, received.clone()));

    shop.fill(&ada, mug, 1).await;
    let order = shop.place(&ada, SECURE).await.unwrap().order;
    let id = order.payments[0].id;
    commit(&shop, payments.resolve(id).prepare().await.unwrap()).await;
    work(&shop).await;
    assert_eq!(shop.order(&order).await.payment_status, PaymentStatus::RequiresAction, "it is still open");
    commit(&shop, payments.write_off(id).prepare().await.unwrap()).await;
    work(&shop).await;
    assert_eq!(shop.order(&order).await.status, OrderStatus::Cancelled);
    assert_eq!(shop.units(mug).await, (9, 0));
    shop.check_books().await;
}
