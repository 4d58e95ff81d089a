//! Money over the facade: refunds, capturing later, offline payments, gateways that fail.

use std::{sync::Arc, time::Duration};

use commerce_core::{
    Commerce, Currency, Money,
    alert::AlertKind,
    clock::{Clock, ManualClock, Timestamp},
    context::RequestContext,
    id::VariantId,
    notification::MemoryMailer,
    order::{FulfilmentStatus, LineQuantity, Order, OrderError, OrderStatus},
    page::PageRequest,
    payment::{
        GatewayFault, NewRefund, PaymentGateway, PaymentQuery, PaymentStatus, RefundStatus, WebhookFailure,
        gateway::{GatewayEvent, GatewayPayment, GatewayRefund, GatewayState, WebhookRequest},
    },
    store::Store,
};
use commerce_sqlite::SqliteStore;
use commerce_tests::{
    shop::{SECURE, TestShop, cancel_of, customer, eur, keyed, offline, parcel, units_of},
    sim::{Chance, Coverage, Process, SimGateway, Wire},
};
use futures_util::future::join_all;

const LEASE: Duration = Duration::from_secs(32);

fn refund(amount: Option<i64>, items: Vec<LineQuantity>, restock: bool) -> NewRefund {
    let refund = match amount {
        Some(amount) => NewRefund::amount(eur(amount)),
        None if items.is_empty() => NewRefund::all(),
        None => NewRefund::items(items),
    };
    refund.reason("goodwill").restock(restock)
}

async fn give(shop: &TestShop, order: &Order, input: NewRefund) -> Result<Order, OrderError> {
    shop.staff().payments().refund(order.id, input).await.map(|done| done.order)
}

/// A paid order of three at 10.00 each.
async fn sold() -> (TestShop, VariantId, Order) {
    let shop = TestShop::open().await;
    let mug = shop.sell("MUG", 1000, 10).await;
    let order = shop.buy(&customer(), mug, 3).await;
    (shop, mug, order)
}

#[tokio::test]
async fn refunds_by_amount_by_items_and_of_the_rest_never_exceed_what_was_taken() {
    let (shop, mug, order) = sold().await;
    let after = give(&shop, &order, refund(Some(250), vec![], false)).await.unwrap();
    assert_eq!((after.payment_status, after.payments[0].refunded), (PaymentStatus::PartiallyRefunded, 250));
    let after = give(&shop, &order, refund(None, vec![units_of(mug, 1)], false)).await.unwrap();
    assert_eq!((after.refunds[1].amount, after.lines[0].refunded), (eur(1000), 1));
    for (over, left) in [(1751, 1750), (i64::MAX, 1750)] {
        let refused = give(&shop, &order, refund(Some(over), vec![], false)).await.unwrap_err();
        assert!(matches!(refused, OrderError::RefundExceedsCaptured { left: l } if l == eur(left)), "{refused:?}");
    }
    let refused = give(&shop, &order, refund(None, vec![units_of(mug, 3)], false)).await.unwrap_err();
    assert!(matches!(refused, OrderError::QuantityExceeded { left: 2, .. }), "{refused:?}");
    for bad in [
        refund(Some(0), vec![], false),
        refund(Some(-5), vec![], false),
        refund(Some(5), vec![], true),
        refund(None, vec![units_of(mug, 0)], false),
        refund(Some(5), vec![], false).reason(" "),
        NewRefund::amount(Money::new(5, Currency::USD)).reason("goodwill"),
    ] {
        let refused = give(&shop, &order, bad.clone()).await.unwrap_err();
        assert!(matches!(refused, OrderError::Common(_)), "{bad:?}: {refused:?}");
    }
    let after = give(&shop, &order, refund(None, vec![], false)).await.unwrap();
    assert_eq!((after.payment_status, after.refunds[2].amount), (PaymentStatus::Refunded, eur(1750)));
    assert_eq!(
        (after.status, shop.units(mug).await),
        (OrderStatus::Cancelled, (7, 0)),
        "nothing is left to deliver; the goods didn't go back into stock"
    );
    let refused = give(&shop, &order, refund(None, vec![], false)).await.unwrap_err();
    assert!(matches!(refused, OrderError::RefundExceedsCaptured { .. }), "{refused:?}");
    shop.check_books().await;
}

/// Goods that go back with their money are taken out of the order: they can't be shipped too, nor come back twice.
#[tokio::test]
async fn a_refund_restocks_a_unit_once() {
    let (shop, mug, order) = sold().await;
    give(&shop, &order, refund(None, vec![units_of(mug, 1)], true)).await.unwrap();
    assert_eq!(shop.units(mug).await, (8, 0));
    let after = shop.deliver(&order).await;
    assert_eq!((after.fulfilments[0].items.clone(), after.status), (vec![units_of(mug, 2)], OrderStatus::Completed));
    let after = give(&shop, &order, refund(None, vec![units_of(mug, 1)], true)).await.unwrap();
    assert_eq!((after.lines[0].returned, shop.units(mug).await), (1, (9, 0)));
    let after = give(&shop, &order, refund(None, vec![], true)).await.unwrap();
    assert_eq!((after.payment_status, shop.units(mug).await), (PaymentStatus::Refunded, (10, 0)));

    let order = shop.buy(&customer(), mug, 2).await;
    shop.staff().orders().fulfil(order.id, parcel(vec![units_of(mug, 1)])).await.unwrap();
    let packed = give(&shop, &order, refund(None, vec![units_of(mug, 2)], true)).await.unwrap();
    assert_eq!((packed.status, packed.fulfilments[0].status), (OrderStatus::Cancelled, FulfilmentStatus::Cancelled));
    assert_eq!(shop.units(mug).await, (10, 0), "what was being packed goes back as well");
    let order = shop.buy(&customer(), mug, 1).await;
    let after = give(&shop, &order, refund(None, vec![], true)).await.unwrap();
    assert_eq!((after.status, after.payment_status), (OrderStatus::Cancelled, PaymentStatus::Refunded));
    shop.check_books().await;
}

#[tokio::test]
async fn fifty_parallel_refunds_spend_each_cent_once() {
    let (shop, _, order) = sold().await;
    let results = join_all((0..50).map(|_| give(&shop, &order, refund(Some(100), vec![], false)))).await;
    let given = results.iter().filter(|result| result.is_ok()).count();
    let refused = results.iter().filter(|r| matches!(r, Err(OrderError::RefundExceedsCaptured { .. }))).count();
    assert_eq!((given, refused), (30, 20), "{results:?}");
    let after = shop.order(&order).await;
    assert_eq!((after.payment_status, after.payments[0].refunded), (PaymentStatus::Refunded, 3000));
    shop.check_books().await;
}

#[tokio::test]
async fn a_refund_with_a_key_is_given_once() {
    let (shop, _, order) = sold().await;
    let once = keyed(&RequestContext::system(), "refund");
    let give = || shop.by(&once).payments().refund(order.id, refund(Some(100), vec![], false)).outcome();
    let (first, second) = (give().await.unwrap(), give().await.unwrap());
    assert_eq!((first.value.refund.id, first.replayed, second.replayed), (second.value.refund.id, false, true));
    assert_eq!(shop.order(&order).await.payments[0].refunded, 100);
    let results = join_all((0..10).map(|_| give())).await;
    assert!(
        results.iter().all(|result| result.as_ref().is_ok_and(|done| done.value.refund.id == first.value.refund.id))
    );
    shop.check_books().await;
}

#[tokio::test]
async fn a_refund_in_doubt_is_driven_to_its_end() {
    for fault in [GatewayFault::Refused, GatewayFault::LostBefore, GatewayFault::LostAfter] {
        let (shop, _, order) = sold().await;
        shop.gateway.script([fault]);
        let after = give(&shop, &order, refund(Some(700), vec![], false)).await.unwrap();
        assert_eq!((after.refunds[0].status, after.payments[0].refund_pending), (RefundStatus::Pending, 700));
        let over = give(&shop, &order, refund(Some(2301), vec![], false)).await.unwrap_err();
        assert!(matches!(over, OrderError::RefundExceedsCaptured { .. }), "what is pending counts as gone: {over:?}");
        shop.gateway.script([GatewayFault::Refused]);
        shop.wait(LEASE).await;
        shop.wait(LEASE).await;
        let after = shop.order(&order).await;
        assert_eq!((after.refunds[0].status, after.payments[0].refunded), (RefundStatus::Settled, 700), "{fault:?}");
        shop.check_books().await;
    }
}

async fn promised() -> (TestShop, VariantId, Order) {
    let shop = TestShop::with(|b| b.settings(|s| s.capture_at_checkout = false)).await;
    let mug = shop.sell("MUG", 1000, 10).await;
    let order = shop.buy(&customer(), mug, 3).await;
    assert_eq!((order.payment_status, order.payments[0].captured), (PaymentStatus::Authorized, 0));
    (shop, mug, order)
}

#[tokio::test]
async fn promised_money_is_captured_later_less_what_was_cancelled() {
    let (shop, mug, order) = promised().await;
    let staff = shop.staff();
    let early = give(&shop, &order, refund(Some(1), vec![], false)).await.unwrap_err();
    assert!(matches!(early, OrderError::RefundExceedsCaptured { .. }), "{early:?}");
    staff.orders().cancel(order.id, cancel_of(vec![units_of(mug, 1)])).await.unwrap();
    let after = staff.payments().capture(order.id).await.unwrap();
    assert_eq!((after.payment_status, after.payments[0].captured), (PaymentStatus::Paid, 2000));
    let again = staff.payments().capture(order.id).await.unwrap_err();
    assert!(matches!(again, OrderError::NothingToCapture), "{again:?}");
    let over = give(&shop, &order, refund(None, vec![units_of(mug, 3)], false)).await.unwrap_err();
    assert!(matches!(over, OrderError::QuantityExceeded { left: 2, .. }), "one was never paid: {over:?}");
    let done = shop.deliver(&order).await;
    assert_eq!(done.status, OrderStatus::Completed);
    shop.check_books().await;
}

#[tokio::test]
async fn a_delivered_order_completes_when_its_money_is_captured() {
    let (shop, _, order) = promised().await;
    assert_eq!(shop.deliver(&order).await.status, OrderStatus::Confirmed);
    let after = shop.staff().payments().capture(order.id).await.unwrap();
    assert_eq!(after.status, OrderStatus::Completed);
    let timeline = shop.staff().orders().tracking(order.id).await.unwrap().timeline;
    assert_eq!(timeline.iter().filter(|entry| entry.event == "order_completed").count(), 1);
    shop.check_books().await;
}

#[tokio::test]
async fn a_capture_in_doubt_is_repeated_then_found_by_the_worker() {
    for fault in [GatewayFault::Refused, GatewayFault::LostBefore, GatewayFault::LostAfter] {
        let (shop, _, order) = promised().await;
        shop.gateway.script([fault]);
        let after = shop.staff().payments().capture(order.id).await.unwrap();
        assert_eq!(after.payment_status, PaymentStatus::Paid, "{fault:?}");
        shop.check_books().await;
    }
    let (shop, mug, order) = promised().await;
    let staff = shop.staff();
    shop.gateway.script([GatewayFault::LostAfter, GatewayFault::LostBefore, GatewayFault::LostBefore]);
    let unknown = staff.payments().capture(order.id).await.unwrap_err();
    assert!(matches!(unknown, OrderError::GatewayUnavailable), "{unknown:?}");
    let cancel = staff.orders().cancel(order.id, cancel_of(vec![units_of(mug, 1)])).await.unwrap_err();
    assert!(matches!(cancel, OrderError::PaymentBusy), "nobody builds on what isn't known: {cancel:?}");
    shop.gateway.script([GatewayFault::Refused]);
    shop.wait(LEASE).await;
    shop.wait(LEASE).await;
    let after = shop.order(&order).await;
    assert_eq!((after.payment_status, after.payments[0].captured), (PaymentStatus::Paid, 3000));
    shop.check_books().await;

    let (shop, _, order) = promised().await;
    let staff = shop.staff();
    shop.gateway.script([GatewayFault::Refused; 3]);
    let refused = staff.payments().capture(order.id).await.unwrap_err();
    assert!(matches!(refused, OrderError::GatewayUnavailable), "{refused:?}");
    let after = staff.payments().capture(order.id).await.unwrap();
    assert_eq!(after.payment_status, PaymentStatus::Paid, "what certainly had no effect may be tried again at once");
    shop.check_books().await;
}

#[tokio::test]
async fn an_offline_payment_is_awaited_received_and_refunded() {
    let shop = TestShop::open().await;
    let (mug, ada, staff) = (shop.sell("MUG", 1000, 10).await, customer(), shop.staff());
    shop.fill(&ada, mug, 3).await;
    let order = shop.by(&ada).checkout().place(offline()).await.unwrap().order;
    staff.orders().cancel(order.id, cancel_of(vec![units_of(mug, 1)])).await.unwrap();
    let pending = shop
        .staff()
        .payments()
        .list(PaymentQuery::new().status(PaymentStatus::Pending), &PageRequest::default())
        .await
        .unwrap();
    assert_eq!(pending.items.iter().map(|item| item.payment.id).collect::<Vec<_>>(), [order.payments[0].id]);
    let after = staff.payments().receive(order.payments[0].id).await.unwrap();
    assert_eq!((after.payment_status, after.payments[0].captured), (PaymentStatus::Paid, 2000));
    let again = staff.payments().receive(order.payments[0].id).await.unwrap_err();
    assert!(matches!(again, OrderError::NotAwaited), "{again:?}");
    let after = give(&shop, &order, refund(None, vec![], false)).await.unwrap();
    assert_eq!((after.payment_status, after.refunds[0].amount), (PaymentStatus::Refunded, eur(2000)));
    shop.check_books().await;
}

#[tokio::test]
async fn a_refund_that_the_gateway_refuses_is_told_to_staff() {
    let (shop, _, order) = sold().await;
    let payment = order.payments[0].id;
    // Somebody gave the money back at the gateway, past the shop.
    let past_us = commerce_core::payment::gateway::RefundRequest {
        refund_id: commerce_core::id::RefundId(order.id.0),
        payment_id: payment,
        reference: order.payments[0].reference.clone().unwrap(),
        amount: eur(2900),
    };
    commerce_core::payment::PaymentGateway::refund(&shop.gateway, &past_us).await.unwrap();
    let after = give(&shop, &order, refund(None, vec![], false)).await.unwrap();
    assert_eq!(after.refunds[0].status, RefundStatus::Failed);
    assert_eq!(
        (after.payment_status, after.payments[0].refunded),
        (PaymentStatus::PartiallyRefunded, 2900),
        "it is booked"
    );
    assert_eq!((after.payments[0].refund_pending, after.lines[0].refunded), (0, 0));
    assert_eq!(shop.alerts(AlertKind::RefundFailed).await.len(), 1);
}

/// A shop whose gateway says again whatever the test wants to have said.
async fn shop_with_webhooks() -> (TestShop, Wire) {
    let (wire, mailer) = (Wire::default(), MemoryMailer::default());
    let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_000_000_000_000)));
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open("sqlite::memory:").await.unwrap());
    let process = Process::new(Chance::new(0), Coverage::default(), 0);
    let commerce = Commerce::builder()
        .shared_store(store.clone())
        .gateway(SimGateway { wire: wire.clone(), process })
        .mailer(mailer.clone())
        .shared_clock(clock.clone())
        .build()
        .unwrap();
    (TestShop { commerce, store, gateway: wire.gateway.clone(), mailer, clock }, wire)
}

/// Delivers the last thing that was said ten times at once.
async fn deliver(shop: &TestShop, wire: &Wire) {
    let body = (wire.said.lock().unwrap().len() - 1).to_string();
    let request = WebhookRequest { signature: None, body: body.as_bytes(), at: shop.clock.now() };
    for result in join_all((0..10).map(|_| shop.commerce.payment_webhook("test", &request))).await {
        result.unwrap();
    }
}

#[tokio::test]
async fn a_webhook_has_one_effect_and_a_wrong_one_none() {
    let (shop, wire) = shop_with_webhooks().await;
    let (mug, ada) = (shop.sell("MUG", 1000, 10).await, customer());
    shop.fill(&ada, mug, 2).await;
    let order = shop.place(&ada, SECURE).await.unwrap().order;
    let payment = order.payments[0].id;
    assert!(shop.gateway.authenticate(payment, true));
    let report = shop.gateway.retrieve(payment, None).await.unwrap().unwrap();

    let wrong = GatewayPayment { amount: eur(1), captured: eur(1), ..report.clone() };
    wire.say(payment, &wrong);
    deliver(&shop, &wire).await;
    assert_eq!(shop.order(&order).await, order, "nothing was changed");
    assert_eq!(shop.alerts(AlertKind::PaymentMismatch).await.len(), 1, "staff hear of it once");

    wire.say(payment, &report);
    deliver(&shop, &wire).await;
    let paid = shop.order(&order).await;
    assert_eq!(
        (paid.status, paid.payment_status, paid.version),
        (OrderStatus::Confirmed, PaymentStatus::Paid, order.version + 1)
    );
    assert_eq!(shop.units(mug).await, (8, 0));
    let forged = WebhookRequest { signature: None, body: b"nonsense", at: shop.clock.now() };
    let refused = shop.commerce.payment_webhook("test", &forged).await.unwrap_err();
    assert!(matches!(refused, WebhookFailure::Rejected(_)), "{refused:?}");
    assert!(shop.commerce.payment_webhook("gold", &forged).await.is_err());
    shop.check_books().await;
}

/// The customer acts, the gateway takes its time, then has the money: the checkout was answered before all that.
#[tokio::test]
async fn the_first_answer_stays_though_the_gateway_takes_its_time_in_between() {
    let (shop, wire) = shop_with_webhooks().await;
    let (mug, ada) = (shop.sell("MUG", 1000, 10).await, customer());
    shop.fill(&ada, mug, 1).await;
    let once = keyed(&ada, "buy");
    let first = shop.place(&once, SECURE).await.unwrap();
    let payment = &first.order.payments[0];
    assert!(shop.gateway.authenticate(payment.id, true));
    let paid = shop.gateway.retrieve(payment.id, None).await.unwrap().unwrap();
    let processing = GatewayPayment { state: GatewayState::Processing, captured: eur(0), ..paid };
    wire.say(payment.id, &processing);
    deliver(&shop, &wire).await;
    assert_eq!(shop.order(&first.order).await.payment_status, PaymentStatus::Unknown);
    assert_eq!(shop.place(&once, SECURE).await.unwrap(), first);
    shop.wait(LEASE).await;
    let order = shop.order(&first.order).await;
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid), "the worker asked");
    assert_eq!(shop.place(&once, SECURE).await.unwrap(), first);
    shop.check_books().await;
}

/// The customer's bank sends the money back days later: it is ours again, and staff must find another way.
#[tokio::test]
async fn a_refund_that_bounces_after_it_was_settled_is_ours_again() {
    let (shop, wire) = shop_with_webhooks().await;
    let (mug, ada) = (shop.sell("MUG", 1000, 10).await, customer());
    let order = shop.buy(&ada, mug, 3).await;
    give(&shop, &order, refund(Some(500), vec![], false)).await.unwrap();
    let settled = give(&shop, &order, refund(None, vec![units_of(mug, 2)], false)).await.unwrap();
    assert_eq!((settled.payments[0].refunded, settled.lines[0].refunded), (2500, 2));
    let (payment, bounced) = (order.payments[0].id, settled.refunds[1].id);
    let said = wire.said.lock().unwrap().last().cloned().unwrap();

    let event = shop.gateway.bounce(payment, bounced).unwrap();
    let GatewayEvent::Refund { event_id, payment_reference, refund_id, refund: report } = event.clone() else {
        panic!("{event:?}")
    };
    let wrong = GatewayRefund { amount: eur(1999), ..report };
    let wrong = GatewayEvent::Refund { event_id, payment_reference, refund_id, refund: wrong };
    wire.said.lock().unwrap().push(wrong);
    deliver(&shop, &wire).await;
    assert_eq!(shop.order(&order).await, settled, "another amount changes nothing");
    assert_eq!(shop.alerts(AlertKind::PaymentMismatch).await.len(), 1);

    for report in [event, said] {
        wire.said.lock().unwrap().push(report);
        deliver(&shop, &wire).await;
        let after = shop.order(&order).await;
        assert_eq!(after.refunds[1].status, RefundStatus::Failed, "and an older word doesn't bring it back");
        assert_eq!((after.payment_status, after.payments[0].refunded), (PaymentStatus::PartiallyRefunded, 500));
        assert_eq!((after.lines[0].refunded, after.version), (0, settled.version + 1));
        assert_eq!(shop.alerts(AlertKind::RefundFailed).await.len(), 1);
        shop.check_books().await;
    }
    let after = give(&shop, &order, refund(None, vec![], false)).await.unwrap();
    assert_eq!((after.payment_status, after.payments[0].refunded), (PaymentStatus::Refunded, 3000), "another way");
    shop.check_books().await;
}
