//! Backing out of a payment, and paying in another way.

use std::time::Duration;

use commerce_core::{
    alert::AlertKind,
    checkout::{CheckoutError, PaymentChoice, Placement},
    context::{Actor, RequestContext},
    error::CommonError,
    order::{Cancellation, Order, OrderAction, OrderStatus},
    payment::{GatewayFault, PaymentStatus, PlacementOutcome},
};
use commerce_tests::shop::{DECLINED, HOW_TO_PAY, SECURE, TestShop, VISA, customer, keyed, offline, parcel};

use crate::EXPIRY;

fn by(method: &str, token: &str) -> PaymentChoice {
    PaymentChoice::by(method).token(token.to_owned())
}

async fn pay(shop: &TestShop, call: &RequestContext, order: &Order, token: &str) -> Result<Placement, CheckoutError> {
    shop.by(call).checkout().pay_again(order.id, by("test", token)).await
}

/// What the gateway has taken and kept in all.
fn kept(shop: &TestShop) -> i64 {
    shop.gateway.ledger().iter().map(|line| line.captured - line.refunded).sum()
}

#[tokio::test]
async fn backing_out_of_three_d_secure_gives_the_cart_back() {
    let shop = TestShop::open().await;
    let (mug, cup) = (shop.sell("MUG", 1990, 9).await, shop.sell("CUP", 500, 9).await);
    for begun in [false, true] {
        let (ada, guest) = (customer(), shop.guest_with(mug, 2).await);
        shop.fill(&ada, mug, 2).await;
        for buyer in [&ada, &guest] {
            let order = shop.place(buyer, SECURE).await.unwrap().order;
            if begun {
                shop.fill(buyer, cup, 1).await;
            }
            let staff = RequestContext::system();
            let who = if begun { &staff } else { buyer };
            let who = if matches!(who.actor, Actor::Guest { .. }) { &staff } else { who };
            shop.by(who).orders().cancel(order.id, Cancellation::all()).await.unwrap();
            shop.commerce.worker().tick().await.unwrap();
            let cart = shop.commerce.acting_as(buyer).carts().view().await.unwrap();
            assert_eq!(cart.item_count, if begun { 3 } else { 2 });
            assert!(!shop.gateway.authenticate(order.payments[0].id, true), "the payment is given up");
        }
    }
    assert_eq!(shop.units(mug).await, (9, 0));
    shop.check_books().await;
}

#[tokio::test]
async fn a_pending_order_is_paid_by_another_card_once() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 9).await, customer());
    shop.fill(&ada, mug, 2).await;
    let first = keyed(&ada, "buy");
    let order = shop.place(&first, SECURE).await.unwrap().order;
    assert_eq!(order.actions(), [OrderAction::Cancel, OrderAction::Pay]);
    let once = keyed(&ada, "pay");
    let paid = pay(&shop, &once, &order, VISA).await.unwrap();
    assert_eq!(paid.outcome, PlacementOutcome::Placed);
    assert_eq!((paid.order.status, paid.order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid));
    let payments: Vec<_> = paid.order.payments.iter().map(|payment| payment.status).collect();
    assert_eq!(payments, [PaymentStatus::Voided, PaymentStatus::Paid]);
    let again = shop.by(&once).checkout().pay_again(order.id, by("test", VISA)).outcome().await.unwrap();
    assert!(again.replayed && again.value.order.payments.len() == 2);
    assert_eq!(shop.place(&first, SECURE).await.unwrap().outcome, PlacementOutcome::ActionRequired, "the first answer");
    assert!(matches!(pay(&shop, &ada, &order, VISA).await, Err(CheckoutError::NotPayable)));
    let strangers = pay(&shop, &customer(), &order, VISA).await;
    assert!(matches!(strangers, Err(CheckoutError::Common(CommonError::NotFound(_)))), "{strangers:?}");
    assert!(!shop.gateway.authenticate(order.payments[0].id, true), "the first payment can't succeed any more");
    shop.wait(EXPIRY).await;
    assert_eq!((shop.order(&order).await.status, shop.units(mug).await), (OrderStatus::Confirmed, (7, 0)));
    assert_eq!(kept(&shop), 3980);
    shop.check_books().await;
}

#[tokio::test]
async fn a_second_decline_keeps_the_goods_until_the_reservation_ends() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 9).await, customer());
    for ends_well in [true, false] {
        let before = shop.units(mug).await.0;
        shop.fill(&ada, mug, 1).await;
        let order = shop.place(&ada, SECURE).await.unwrap().order;
        let once = keyed(&ada, &format!("pay {ends_well}"));
        let declined = pay(&shop, &once, &order, DECLINED).await.unwrap();
        assert_eq!(declined.outcome, PlacementOutcome::Declined { code: "card_declined".to_owned() });
        assert_eq!(
            (declined.order.status, declined.order.payment_status),
            (OrderStatus::Pending, PaymentStatus::Failed)
        );
        assert!(declined.order.actions().contains(&OrderAction::Pay));
        assert_eq!(pay(&shop, &once, &order, DECLINED).await.unwrap().outcome, declined.outcome, "the same answer");
        assert_eq!(shop.units(mug).await, (before, 1));
        if ends_well {
            // 3-D Secure, then finished.
            let waits = pay(&shop, &ada, &order, SECURE).await.unwrap();
            assert_eq!(waits.outcome, PlacementOutcome::ActionRequired);
            let payment = waits.order.payments[2].id;
            assert!(shop.gateway.authenticate(payment, true));
            let confirmed = shop.by(&ada).payments().confirm(order.id, payment).await.unwrap();
            assert_eq!(confirmed.outcome, PlacementOutcome::Placed);
            assert_eq!(shop.units(mug).await, (before - 1, 0));
        } else {
            shop.wait(EXPIRY).await;
            let order = shop.order(&order).await;
            assert_eq!((order.status, order.cancel_reason.as_deref()), (OrderStatus::Cancelled, Some("expired")));
            assert_eq!(shop.units(mug).await, (before, 0));
            assert_eq!(shop.commerce.acting_as(&ada).carts().view().await.unwrap().item_count, 1);
            assert!(matches!(pay(&shop, &ada, &order, VISA).await, Err(CheckoutError::NotPayable)));
        }
    }
    shop.check_books().await;
}

#[tokio::test]
async fn a_second_decline_can_be_cancelled() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 9).await, customer());
    shop.fill(&ada, mug, 1).await;
    let order = shop.place(&ada, SECURE).await.unwrap().order;
    pay(&shop, &ada, &order, DECLINED).await.unwrap();
    let cancelled = shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap();
    assert_eq!((cancelled.status, shop.units(mug).await), (OrderStatus::Cancelled, (9, 0)));
    assert_eq!(shop.commerce.acting_as(&ada).carts().view().await.unwrap().item_count, 1);
    shop.check_books().await;
}

#[tokio::test]
async fn an_order_that_turns_out_to_be_paid_is_placed_by_that_payment() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 9).await, customer());
    // Finished at the bank, but the shop wasn't told.
    shop.fill(&ada, mug, 1).await;
    let order = shop.place(&ada, SECURE).await.unwrap().order;
    assert!(shop.gateway.authenticate(order.payments[0].id, true));
    let once = keyed(&ada, "pay");
    for _ in 0..2 {
        let paid = pay(&shop, &once, &order, VISA).await.unwrap();
        assert_eq!((paid.outcome, paid.order.payments.len()), (PlacementOutcome::Placed, 1));
    }
    // Charged, but the answer was lost.
    shop.fill(&ada, mug, 1).await;
    shop.gateway.script([GatewayFault::LostAfter]);
    let order = shop.place(&ada, VISA).await.unwrap().order;
    assert_eq!(order.payment_status, PaymentStatus::Unknown);
    let paid = pay(&shop, &ada, &order, VISA).await.unwrap();
    assert_eq!((paid.outcome, paid.order.payments.len()), (PlacementOutcome::Placed, 1));
    assert_eq!(kept(&shop), 2 * 1990);
    shop.check_books().await;
}

#[tokio::test]
async fn of_two_calls_at_once_one_charges() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 9).await, customer());
    shop.fill(&ada, mug, 1).await;
    let order = shop.place(&ada, SECURE).await.unwrap().order;
    let other = shop.process_on(shop.store.clone());
    let calls = (0..8).map(|n| {
        let (shop, ada, id) = (if n % 2 == 0 { &shop } else { &other }, ada.clone(), order.id);
        async move { shop.by(&ada).checkout().pay_again(id, by("test", VISA)).await }
    });
    let answers = futures_util::future::join_all(calls).await;
    for answer in &answers {
        match answer {
            Ok(_) | Err(CheckoutError::NotPayable | CheckoutError::PaymentBusy) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!(answers.iter().any(Result::is_ok), "{answers:?}");
    assert_eq!((kept(&shop), shop.order(&order).await.status), (1990, OrderStatus::Confirmed));
    shop.check_books().await;
}

#[tokio::test]
async fn a_gateway_out_of_reach_charges_nobody_twice() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 9).await, customer());
    shop.fill(&ada, mug, 1).await;
    let order = shop.place(&ada, SECURE).await.unwrap().order;
    let once = keyed(&ada, "pay");
    shop.gateway.script([GatewayFault::Refused]);
    let refused = pay(&shop, &once, &order, VISA).await;
    assert!(matches!(refused, Err(CheckoutError::GatewayUnavailable)), "{refused:?}");
    assert!(shop.order(&order).await.payments[0].failure.is_none(), "the first payment may still be finished");
    let paid = pay(&shop, &once, &order, VISA).await.unwrap();
    assert_eq!((paid.outcome, kept(&shop)), (PlacementOutcome::Placed, 1990));
    shop.check_books().await;
}

/// The gateway lets a payment that had been declined succeed after all, once the order is paid by another.
#[tokio::test]
async fn a_late_success_of_an_earlier_payment_goes_back() {
    use commerce_core::payment::PaymentGateway as _;
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 9).await, customer());
    shop.fill(&ada, mug, 1).await;
    let order = shop.place(&ada, SECURE).await.unwrap().order;
    let declined = pay(&shop, &ada, &order, DECLINED).await.unwrap().order;
    let earlier = declined.payments[1].id;
    pay(&shop, &ada, &order, VISA).await.unwrap();
    assert!(shop.gateway.pay_after_all(earlier).is_some());
    assert!(shop.gateway.retrieve(earlier, None).await.unwrap().is_some());
    for _ in 0..3 {
        shop.staff().payments().resolve(earlier).await.unwrap();
        shop.wait(Duration::from_mins(1)).await;
    }
    let order = shop.order(&order).await;
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid));
    let payments: Vec<_> = order.payments.iter().map(|payment| payment.status).collect();
    assert_eq!(payments, [PaymentStatus::Voided, PaymentStatus::Refunded, PaymentStatus::Paid]);
    assert_eq!((kept(&shop), shop.alerts(AlertKind::LatePayment).await.len()), (1990, 1));
    shop.check_books().await;
}

#[tokio::test]
async fn an_offline_order_that_is_not_paid_in_time_is_given_up_with_a_mail() {
    let (week, how) = (Duration::from_hours(7 * 24), HOW_TO_PAY);
    let shop = TestShop::with(|builder| builder.settings(|settings| settings.unpaid_ttl = Some(week))).await;
    let mug = shop.sell("MUG", 1990, 9).await;
    let place = async || {
        let ada = customer();
        shop.fill(&ada, mug, 1).await;
        shop.by(&ada).checkout().place(offline()).await.unwrap().order
    };
    let (unpaid, received, shipped, switched) = (place().await, place().await, place().await, customer());
    assert_eq!(unpaid.payments[0].instructions.as_deref(), Some(how));
    shop.staff().payments().receive(received.payments[0].id).await.unwrap();
    let packed = parcel(commerce_core::order::ItemSelection::All);
    let id = shop.staff().orders().fulfil(shipped.id, packed).await.unwrap().fulfilment.id;
    let out = commerce_core::order::FulfilmentStatus::Shipped;
    shop.staff().orders().update_fulfilment(id, out).await.unwrap();
    // By card first, and then by bank transfer.
    shop.fill(&switched, mug, 1).await;
    let order = shop.place(&switched, SECURE).await.unwrap().order;
    let choice = PaymentChoice::by("manual");
    let later = shop.by(&switched).checkout().pay_again(order.id, choice).await.unwrap().order;
    assert_eq!((later.status, later.payment_status), (OrderStatus::Confirmed, PaymentStatus::Pending));
    assert_eq!(later.payments[1].instructions.as_deref(), Some(how));
    shop.wait(week - Duration::from_secs(1)).await;
    assert_eq!(shop.order(&unpaid).await.status, OrderStatus::Confirmed);
    assert!(shop.mailer.sent().iter().any(|mail| mail.text.contains(how) && mail.text.contains(&unpaid.number)));
    shop.wait(Duration::from_secs(2)).await;
    for (order, status) in [
        (&unpaid, OrderStatus::Cancelled),
        (&later, OrderStatus::Cancelled),
        (&received, OrderStatus::Confirmed),
        (&shipped, OrderStatus::Confirmed),
    ] {
        assert_eq!(shop.order(order).await.status, status);
    }
    assert_eq!(shop.units(mug).await, (7, 0));
    let told = |mail: &commerce_core::notification::Message| {
        mail.text.contains("was cancelled") && mail.text.contains("not paid in time")
    };
    assert_eq!(shop.mailer.sent().iter().filter(|mail| told(mail)).count(), 2);
    shop.check_books().await;
}
