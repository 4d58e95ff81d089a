//! What becomes of the payment, and of the order by it.

use std::time::Duration;

use commerce_core::{
    alert::AlertKind,
    checkout::CheckoutError,
    context::{Actor, RequestContext},
    order::{Cancellation, OrderAction, OrderStatus},
    page::PageRequest,
    payment::{GatewayFault, PaymentStatus, PlacementOutcome},
};
use commerce_tests::shop::{DECLINED, SECURE, TestShop, VISA, customer, keyed};

use crate::{EXPIRY, LEASE};

#[tokio::test]
async fn a_decline_keeps_the_cart_and_frees_the_stock() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 2).await, customer());
    shop.fill(&ada, mug, 2).await;
    let once = keyed(&ada, "buy");
    let declined = shop.place(&once, DECLINED).await.unwrap();
    assert_eq!(declined.outcome, PlacementOutcome::Declined { code: "card_declined".to_owned() });
    assert_eq!((declined.order.status, declined.order.payment_status), (OrderStatus::Cancelled, PaymentStatus::Failed));
    assert_eq!(shop.units(mug).await, (2, 0));
    assert_eq!(shop.by(&ada).carts().view().await.unwrap().item_count, 2);
    assert_eq!(shop.by(&ada.actor).orders().mine(&PageRequest::default()).await.unwrap().items, []);
    let again = shop.place(&once, DECLINED).await.unwrap();
    assert_eq!((again.outcome, again.order.id), (declined.outcome, declined.order.id));
    let placed = shop.place(&ada, VISA).await.unwrap();
    assert_eq!(placed.outcome, PlacementOutcome::Placed);
    let rejected = customer();
    shop.sell("CUP", 1, 1).await;
    assert!(matches!(shop.place(&rejected, "pm_nonsense").await, Err(CheckoutError::CartEmpty)));
    shop.check_books().await;
}

#[tokio::test]
async fn three_d_secure_ends_in_success_or_decline() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    for success in [true, false] {
        shop.fill(&ada, mug, 1).await;
        let before = shop.units(mug).await;
        let placed = shop.place(&ada, SECURE).await.unwrap();
        assert_eq!(placed.outcome, PlacementOutcome::ActionRequired);
        let payment = &placed.order.payments[0];
        assert!(payment.next_action.is_some() && payment.reserved_until.is_some());
        assert_eq!(placed.order.actions(), [OrderAction::Cancel, OrderAction::Pay]);
        assert_eq!(shop.units(mug).await, (before.0, 1));
        let confirm = || shop.by(&ada).payments().confirm(placed.order.id, payment.id);
        assert_eq!(confirm().await.unwrap().outcome, PlacementOutcome::ActionRequired, "not yet");
        assert!(shop.gateway.authenticate(payment.id, success));
        let outcome = confirm().await.unwrap().outcome;
        if success {
            assert_eq!(outcome, PlacementOutcome::Placed);
            assert_eq!(shop.units(mug).await, (before.0 - 1, 0));
        } else {
            assert_eq!(outcome, PlacementOutcome::Declined { code: "authentication_failed".to_owned() });
            assert_eq!(shop.units(mug).await, (before.0, 0));
        }
        assert_eq!(confirm().await.unwrap().outcome, outcome, "asking again changes nothing");
        assert!(shop.by(customer()).payments().confirm(placed.order.id, payment.id).await.is_err());
    }
    assert_eq!(shop.commerce.acting_as(&ada).carts().view().await.unwrap().item_count, 1);
    shop.check_books().await;
}

#[tokio::test]
async fn an_abandoned_payment_expires_and_the_worker_finds_a_finished_one() {
    let shop = TestShop::open().await;
    let (mug, ada, bob) = (shop.sell("MUG", 1990, 10).await, customer(), customer());
    for call in [&ada, &bob] {
        shop.fill(call, mug, 1).await;
        shop.place(call, SECURE).await.unwrap();
    }
    let [bobs, adas] = &shop.orders().await[..] else { panic!("two orders") };
    assert!(shop.gateway.authenticate(bobs.payments[0].id, true));
    shop.wait(LEASE).await;
    assert_eq!(shop.order(adas).await.status, OrderStatus::Pending);
    shop.wait(EXPIRY).await;
    let (adas, bobs) = (shop.order(adas).await, shop.order(bobs).await);
    assert_eq!((adas.status, adas.payment_status), (OrderStatus::Cancelled, PaymentStatus::Voided));
    assert_eq!((bobs.status, bobs.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid));
    assert_eq!(shop.units(mug).await, (9, 0));
    assert_eq!(shop.commerce.acting_as(&ada).carts().view().await.unwrap().item_count, 1, "the cart is open again");
    assert!(!shop.gateway.authenticate(adas.payments[0].id, true), "the promise was given back first");
    shop.check_books().await;
}

#[tokio::test]
async fn a_gateway_out_of_reach_leaves_everything_as_it_was() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 1).await;
    shop.gateway.script([GatewayFault::Refused]);
    let once = keyed(&ada, "buy");
    shop.gateway.script([GatewayFault::Refused, GatewayFault::Refused]);
    let refused = shop.place(&once, VISA).await.unwrap_err();
    assert!(matches!(refused, CheckoutError::GatewayUnavailable), "{refused:?}");
    assert_eq!(shop.units(mug).await, (10, 0));
    assert_eq!(shop.commerce.acting_as(&ada).carts().view().await.unwrap().item_count, 1);
    shop.gateway.script([GatewayFault::Refused]);
    let placed = shop.place(&once, VISA).await.unwrap();
    assert_eq!(
        placed.outcome,
        PlacementOutcome::Placed,
        "the same key may be used again, and one refusal is no reason"
    );
    shop.check_books().await;
}

#[tokio::test]
async fn a_lost_answer_is_found_by_the_worker() {
    for fault in [GatewayFault::LostBefore, GatewayFault::LostAfter] {
        let shop = TestShop::open().await;
        let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
        shop.fill(&ada, mug, 1).await;
        shop.gateway.script([fault]);
        let once = keyed(&ada, "buy");
        let placed = shop.place(&once, VISA).await.unwrap();
        assert_eq!(placed.outcome, PlacementOutcome::Pending);
        assert_eq!(placed.order.payment_status, PaymentStatus::Unknown);
        // The identical call, and then a look-up.
        shop.gateway.script([GatewayFault::Refused, GatewayFault::Refused]);
        shop.wait(LEASE).await;
        assert_eq!(
            shop.order(&placed.order).await.status,
            OrderStatus::Pending,
            "the worker's first calls were refused"
        );
        shop.wait(LEASE).await;
        let order = shop.order(&placed.order).await;
        assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid), "{fault:?}");
        let again = shop.place(&once, VISA).await.unwrap();
        assert_eq!((again.outcome, again.order.id), (PlacementOutcome::Placed, order.id));
        assert_eq!(shop.gateway.ledger().len(), 1);
        shop.check_books().await;
    }
}

/// The call to the gateway is lost for so long that the order expires, and then has its effect after all.
async fn late_success(left: i64) -> (TestShop, commerce_core::order::Order) {
    use commerce_core::payment::gateway::{AuthorizeRequest, PaymentGateway};
    let shop = TestShop::open().await;
    let (mug, ada, bob) = (shop.sell("MUG", 1990, 2).await, customer(), customer());
    shop.fill(&ada, mug, 1).await;
    shop.gateway.script([GatewayFault::LostBefore]);
    let order = shop.place(&ada, VISA).await.unwrap().order;
    shop.gateway.script(std::iter::repeat_n(GatewayFault::Refused, 40));
    for _ in 0..20 {
        shop.wait(Duration::from_secs(50)).await;
    }
    while shop.gateway.retrieve(order.payments[0].id, None).await.is_err() {}
    shop.wait(Duration::from_secs(700)).await;
    let expired = shop.order(&order).await;
    assert_eq!((expired.status, expired.payment_status), (OrderStatus::Cancelled, PaymentStatus::Voided));
    if left < 2 {
        shop.buy(&bob, mug, 2 - left).await;
    }
    let request = AuthorizeRequest {
        payment_id: order.payments[0].id,
        order_id: order.id,
        order_number: order.number.clone(),
        method: "test".to_owned(),
        amount: order.totals.grand_total,
        token: Some(VISA.to_owned()),
        capture: true,
    };
    shop.gateway.authorize(&request).await.unwrap();
    shop.wait(Duration::from_hours(25)).await;
    let order = shop.order(&order).await;
    (shop, order)
}

#[tokio::test]
async fn a_late_success_is_honoured_while_there_is_stock() {
    let (shop, order) = late_success(1).await;
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid));
    assert_eq!((order.lines[0].cancelled, order.cancel_reason.as_deref()), (0, None));
    assert_eq!(shop.units(order.lines[0].variant_id).await, (0, 0));
    assert_eq!(shop.alerts(AlertKind::LatePayment).await.len(), 1);
    shop.check_books().await;
}

#[tokio::test]
async fn a_late_success_without_stock_is_refunded() {
    let (shop, order) = late_success(0).await;
    assert_eq!((order.status, order.payment_status), (OrderStatus::Cancelled, PaymentStatus::Refunded));
    assert_eq!(shop.units(order.lines[0].variant_id).await, (0, 0));
    assert_eq!(shop.alerts(AlertKind::LatePayment).await.len(), 1);
    shop.check_books().await;
}

#[tokio::test]
async fn a_decline_after_a_new_cart_was_opened_merges_the_lines() {
    let shop = TestShop::open().await;
    let (mug, cup) = (shop.sell("MUG", 1990, 3).await, shop.sell("CUP", 500, 10).await);
    let ada = customer();
    shop.fill(&ada, mug, 2).await;
    let placed = shop.place(&ada, SECURE).await.unwrap();
    shop.fill(&ada, cup, 1).await;
    shop.fill(&ada, mug, 1).await;
    assert!(shop.gateway.authenticate(placed.order.payments[0].id, false));
    shop.by(&ada).payments().confirm(placed.order.id, placed.order.payments[0].id).await.unwrap();
    shop.commerce.worker().tick().await.unwrap();
    let cart = shop.commerce.acting_as(&ada).carts().view().await.unwrap();
    let held: Vec<_> = cart.items.iter().map(|item| (item.variant_id, item.quantity)).collect();
    assert_eq!(held, [(cup, 1), (mug, 3)]);
    shop.check_books().await;
}

/// The guest signed in meanwhile, and the token of their cart is dead: what comes back goes to where the rest went.
#[tokio::test]
async fn a_declined_guest_who_has_signed_in_meanwhile_finds_the_lines_in_their_own_cart() {
    let shop = TestShop::open().await;
    let (mug, cup) = (shop.sell("MUG", 1990, 3).await, shop.sell("CUP", 500, 10).await);
    let (guest, ada) = (shop.guest_with(mug, 2).await, customer());
    let Actor::Guest { cart: Some(token), .. } = guest.actor.clone() else { panic!("a guest with a cart") };
    let placed = shop.place(&guest, SECURE).await.unwrap();
    shop.fill(&guest, cup, 1).await;
    shop.commerce.acting_as(&ada).carts().merge(&token).await.unwrap();
    assert!(shop.gateway.authenticate(placed.order.payments[0].id, false));
    shop.staff().payments().confirm(placed.order.id, placed.order.payments[0].id).await.unwrap();
    shop.commerce.worker().tick().await.unwrap();
    let held = |cart: commerce_core::cart::CartView| -> Vec<_> {
        cart.items.iter().map(|item| (item.variant_id, item.quantity)).collect()
    };
    assert_eq!(held(shop.commerce.acting_as(&ada).carts().view().await.unwrap()), [(cup, 1), (mug, 2)]);
    assert_eq!(held(shop.commerce.acting_as(&guest).carts().view().await.unwrap()), [], "the token is dead");
    shop.check_books().await;
}

#[tokio::test]
async fn what_was_given_up_is_not_called_placed() {
    let shop = TestShop::open().await;
    let (mug, staff) = (shop.sell("MUG", 1990, 3).await, RequestContext::system());
    for (given_up, code) in [(false, "expired"), (true, "cancelled")] {
        let ada = customer();
        shop.fill(&ada, mug, 1).await;
        let order = shop.place(&ada, SECURE).await.unwrap().order;
        if given_up {
            shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap();
        } else {
            shop.wait(Duration::from_mins(16)).await;
        }
        let confirmed = shop.by(&staff).payments().confirm(order.id, order.payments[0].id).await.unwrap();
        assert_eq!(confirmed.order.status, OrderStatus::Cancelled);
        assert_eq!(confirmed.outcome, PlacementOutcome::Declined { code: code.to_owned() });
    }
    let ada = customer();
    let order = shop.buy(&ada, mug, 1).await;
    shop.by(&ada).orders().cancel(order.id, Cancellation::all()).await.unwrap();
    let confirmed = shop.by(&staff).payments().confirm(order.id, order.payments[0].id).await.unwrap();
    assert_eq!(confirmed.outcome, PlacementOutcome::Placed, "it was paid, whatever became of it later");
    shop.check_books().await;
}
