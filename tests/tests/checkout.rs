//! Placing orders over the facade: every way it can end.

use std::{sync::Arc, time::Duration};

use commerce_core::{
    Currency, Money,
    call::{Actor, Call, Idempotency, IdempotencyError},
    catalog::VariantPatch,
    checkout::{CheckoutError, CheckoutInput},
    conformance::BrokenStore,
    error::CommonError,
    inventory::AlertKind,
    order::{OrderAction, OrderStatus},
    page::PageRequest,
    payment::{Fault, PaymentStatus, PlacementOutcome},
    pricing::{FlatMethod, FlatShipping},
    store::Store,
};
use commerce_sqlite::SqliteStore;
use commerce_tests::shop::{
    DECLINED, MortalStore, SECURE, TestShop, VISA, address, customer, eur, input, keyed, offline,
};
use futures_util::future::join_all;

const LEASE: Duration = Duration::from_secs(31);
const EXPIRY: Duration = Duration::from_mins(16);

#[tokio::test]
async fn a_customer_buys_and_is_told() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 2).await;
    let placed = shop.place(&ada, VISA).await.unwrap();
    let order = placed.order;
    assert_eq!((placed.outcome, placed.order_token), (PlacementOutcome::Placed, None));
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid));
    assert_eq!((order.totals.grand_total, order.lines[0].charged), (eur(3980), eur(3980)));
    assert_eq!(order.payments[0].token, None, "the card's token isn't kept");
    assert_eq!(shop.order(&order).await, order, "what was answered is what was written");
    assert_eq!(shop.units(mug).await, (8, 0));
    assert_eq!(shop.commerce.carts().view(&ada.actor).await.unwrap().id, None);
    let mine = shop.commerce.orders().mine(&ada.actor, &PageRequest::default()).await.unwrap();
    assert_eq!(mine.items, std::slice::from_ref(&order));
    shop.commerce.worker().tick().await.unwrap();
    let mails = shop.mailer.sent_to("ada@example.com");
    assert_eq!(mails.len(), 1);
    assert!(mails[0].subject.contains(&order.number), "{}", mails[0].subject);
    shop.check_books().await;
    assert_eq!(shop.store.reads().task_backlog().await.unwrap().0, 0, "nothing is left to watch");
}

#[tokio::test]
async fn a_guest_buys_and_only_their_token_opens_the_order() {
    let shop = TestShop::open().await;
    let mug = shop.sell("MUG", 1990, 10).await;
    let guest = shop.guest_with(mug, 1).await;
    let nameless = CheckoutInput { email: None, ..input(VISA) };
    let refused = shop.commerce.checkout().place(&guest, nameless).await.unwrap_err();
    assert_eq!(field(refused), ("/email".to_owned(), "required"));
    let placed = shop.place(&guest, VISA).await.unwrap();
    let token = placed.order_token.map(commerce_core::account::token::OrderToken);
    let orders = shop.commerce.orders();
    let holder = Actor::Guest { cart: None, order: token };
    assert_eq!(orders.get(&holder, placed.order.id).await.unwrap().id, placed.order.id);
    let other = shop.guest_with(mug, 1).await;
    let theirs = shop.place(&other, VISA).await.unwrap().order;
    for stranger in [&holder, &Actor::guest(), &customer().actor, &guest.actor] {
        assert!(orders.get(stranger, theirs.id).await.is_err());
    }
    let (found, fresh) =
        orders.lookup(&Call::guest(), &placed.order.number.to_lowercase(), " Ada@Example.com ").await.unwrap();
    assert_eq!(found.id, placed.order.id);
    let holder = Actor::Guest { cart: None, order: Some(fresh) };
    assert!(orders.get(&holder, found.id).await.is_ok());
    assert!(orders.lookup(&Call::guest(), &found.number, "eve@example.com").await.is_err());
    assert!(orders.lookup(&Call::guest(), "00000-00000", "ada@example.com").await.is_err());
}

/// The first broken rule of a refusal.
fn field(error: CheckoutError) -> (String, &'static str) {
    let CheckoutError::Common(CommonError::Invalid(invalid)) = error else { panic!("{error:?}") };
    (invalid.errors[0].pointer.clone(), invalid.errors[0].code)
}

#[tokio::test]
async fn a_bad_checkout_names_the_field_and_changes_nothing() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 1).await;
    let homeless = commerce_core::account::PostalAddress { city: " ".into(), ..address() };
    let dollars = Some(Money::new(1990, Currency::USD));
    let cases = [
        (CheckoutInput { shipping_address: homeless.clone(), ..input(VISA) }, "/shipping_address/city"),
        (CheckoutInput { billing_address: Some(homeless), ..input(VISA) }, "/billing_address/city"),
        (CheckoutInput { email: Some("nobody".into()), ..input(VISA) }, "/email"),
        (CheckoutInput { payment_method: "gold".into(), ..input(VISA) }, "/payment/method"),
        (CheckoutInput { payment_token: Some(String::new()), ..input(VISA) }, "/payment/token"),
        (CheckoutInput { shipping_method: Some("teleport".into()), ..input(VISA) }, "/shipping_method"),
        (CheckoutInput { expected_total: dollars, ..input(VISA) }, ""),
    ];
    for (input, pointer) in cases {
        let refused = shop.commerce.checkout().place(&ada, input).await.unwrap_err();
        assert_eq!(field(refused).0, pointer);
    }
    assert_eq!(shop.units(mug).await, (10, 0));
    assert_eq!(shop.orders().await, []);
    assert_eq!(shop.gateway.ledger(), []);
}

#[tokio::test]
async fn the_quote_is_what_checkout_charges() {
    let method = |code: &str, price| FlatMethod {
        code: code.to_owned(),
        title: code.to_owned(),
        price: Some(eur(price)),
        free_above: Some(eur(5000)),
    };
    let shop = TestShop::with(|b| b.shipping(FlatShipping::new(vec![method("fast", 990), method("slow", 490)]))).await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 2).await;
    let checkout = shop.commerce.checkout();
    let quote = checkout.quote(&ada.actor, Some(address()), None).await.unwrap();
    assert_eq!((quote.shipping_methods.len(), quote.totals.grand_total), (2, eur(3980 + 490)));
    let fast = checkout.quote(&ada.actor, Some(address()), Some("fast")).await.unwrap();
    assert_eq!(fast.totals.grand_total, eur(3980 + 990));

    let expecting = CheckoutInput { expected_total: Some(quote.totals.grand_total), ..input(VISA) };
    let patch = VariantPatch { price: Some(eur(2000)), ..VariantPatch::default() };
    shop.commerce.catalog().update_variant(&Call::system(), mug, patch, None).await.unwrap();
    let refused = checkout.place(&ada, expecting.clone()).await.unwrap_err();
    let CheckoutError::PriceChanged { totals } = refused else { panic!("{refused:?}") };
    assert_eq!(totals.grand_total, eur(4490));
    let expecting = CheckoutInput { expected_total: Some(totals.grand_total), ..expecting };
    let order = checkout.place(&ada, expecting).await.unwrap().value.order;
    assert_eq!((order.totals.grand_total, order.payments[0].captured), (eur(4490), 4490));
    assert_eq!(order.shipping_method.code, "slow");
}

#[tokio::test]
async fn an_empty_cart_or_an_empty_shelf_is_refused() {
    let shop = TestShop::open().await;
    let (mug, ada, bob) = (shop.sell("MUG", 1990, 2).await, customer(), customer());
    assert!(matches!(shop.place(&ada, VISA).await, Err(CheckoutError::CartEmpty)));
    assert!(matches!(shop.place(&Call::system(), VISA).await, Err(CheckoutError::CartEmpty)));
    shop.fill(&ada, mug, 2).await;
    shop.buy(&bob, mug, 1).await;
    let refused = shop.place(&ada, VISA).await.unwrap_err();
    assert!(
        matches!(refused, CheckoutError::OutOfStock { variant_id, available: 1 } if variant_id == mug),
        "{refused:?}"
    );
    assert_eq!(shop.commerce.carts().view(&ada.actor).await.unwrap().item_count, 2, "the cart is kept");
    shop.check_books().await;
}

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
    assert_eq!(shop.commerce.carts().view(&ada.actor).await.unwrap().item_count, 2);
    assert_eq!(shop.commerce.orders().mine(&ada.actor, &PageRequest::default()).await.unwrap().items, []);
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
        let payments = shop.commerce.payments();
        let confirm = || payments.confirm(&ada, placed.order.id, payment.id);
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
        assert!(shop.commerce.payments().confirm(&customer(), placed.order.id, payment.id).await.is_err());
    }
    assert_eq!(shop.commerce.carts().view(&ada.actor).await.unwrap().item_count, 1);
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
    assert_eq!(shop.commerce.carts().view(&ada.actor).await.unwrap().item_count, 1, "the cart is open again");
    assert!(!shop.gateway.authenticate(adas.payments[0].id, true), "the promise was given back first");
    shop.check_books().await;
}

#[tokio::test]
async fn a_gateway_out_of_reach_leaves_everything_as_it_was() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 1).await;
    shop.gateway.script([Fault::Refused]);
    let once = keyed(&ada, "buy");
    shop.gateway.script([Fault::Refused, Fault::Refused]);
    let refused = shop.place(&once, VISA).await.unwrap_err();
    assert!(matches!(refused, CheckoutError::GatewayUnavailable), "{refused:?}");
    assert_eq!(shop.units(mug).await, (10, 0));
    assert_eq!(shop.commerce.carts().view(&ada.actor).await.unwrap().item_count, 1);
    shop.gateway.script([Fault::Refused]);
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
    for fault in [Fault::LostBefore, Fault::LostAfter] {
        let shop = TestShop::open().await;
        let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
        shop.fill(&ada, mug, 1).await;
        shop.gateway.script([fault]);
        let once = keyed(&ada, "buy");
        let placed = shop.place(&once, VISA).await.unwrap();
        assert_eq!(placed.outcome, PlacementOutcome::Pending);
        assert_eq!(placed.order.payment_status, PaymentStatus::Unknown);
        shop.gateway.script([Fault::Refused]);
        shop.wait(LEASE).await;
        assert_eq!(shop.order(&placed.order).await.status, OrderStatus::Pending, "the worker's first call was refused");
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
    shop.gateway.script([Fault::LostBefore]);
    let order = shop.place(&ada, VISA).await.unwrap().order;
    shop.gateway.script(std::iter::repeat_n(Fault::Refused, 40));
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
    shop.commerce.payments().confirm(&ada, placed.order.id, placed.order.payments[0].id).await.unwrap();
    shop.commerce.worker().tick().await.unwrap();
    let cart = shop.commerce.carts().view(&ada.actor).await.unwrap();
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
    shop.commerce.carts().merge(&ada, &token).await.unwrap();
    assert!(shop.gateway.authenticate(placed.order.payments[0].id, false));
    shop.commerce.payments().confirm(&Call::system(), placed.order.id, placed.order.payments[0].id).await.unwrap();
    shop.commerce.worker().tick().await.unwrap();
    let held = |cart: commerce_core::cart::CartView| -> Vec<_> {
        cart.items.iter().map(|item| (item.variant_id, item.quantity)).collect()
    };
    assert_eq!(held(shop.commerce.carts().view(&ada.actor).await.unwrap()), [(cup, 1), (mug, 2)]);
    assert_eq!(held(shop.commerce.carts().view(&guest.actor).await.unwrap()), [], "the token is dead");
    shop.check_books().await;
}

#[tokio::test]
async fn what_was_given_up_is_not_called_placed() {
    let shop = TestShop::open().await;
    let (mug, staff) = (shop.sell("MUG", 1990, 3).await, Call::system());
    for (given_up, code) in [(false, "expired"), (true, "cancelled")] {
        let ada = customer();
        shop.fill(&ada, mug, 1).await;
        let order = shop.place(&ada, SECURE).await.unwrap().order;
        if given_up {
            shop.commerce.orders().cancel(&ada, order.id).await.unwrap();
        } else {
            shop.wait(Duration::from_mins(16)).await;
        }
        let confirmed = shop.commerce.payments().confirm(&staff, order.id, order.payments[0].id).await.unwrap();
        assert_eq!(confirmed.order.status, OrderStatus::Cancelled);
        assert_eq!(confirmed.outcome, PlacementOutcome::Declined { code: code.to_owned() });
    }
    let ada = customer();
    let order = shop.buy(&ada, mug, 1).await;
    shop.commerce.orders().cancel(&ada, order.id).await.unwrap();
    let confirmed = shop.commerce.payments().confirm(&staff, order.id, order.payments[0].id).await.unwrap();
    assert_eq!(confirmed.outcome, PlacementOutcome::Placed, "it was paid, whatever became of it later");
    shop.check_books().await;
}

#[tokio::test]
async fn the_same_key_answers_the_same_order() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 1).await;
    let once = keyed(&ada, "buy");
    let first = shop.commerce.checkout().place(&once, input(VISA)).await.unwrap();
    shop.fill(&ada, mug, 1).await;
    let second = shop.commerce.checkout().place(&once, input(VISA)).await.unwrap();
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.value, second.value);
    assert_eq!(shop.commerce.carts().view(&ada.actor).await.unwrap().item_count, 1);
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
    shop.commerce.payments().confirm(&ada, first.order.id, payment).await.unwrap();
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
        let place = doomed.commerce.checkout().place(&once, input(VISA)).await_for(Duration::from_millis(300)).await;
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
    let (mug, staff) = (shop.sell("MUG", 1990, 50).await, Call::system());
    let buyers: Vec<Call> = (0..100).map(|_| customer()).collect();
    join_all(buyers.iter().map(|buyer| shop.fill(buyer, mug, 1))).await;
    let buying = join_all(buyers.iter().map(|buyer| shop.place(buyer, VISA)));
    let editing = async {
        let mut taken = 0;
        for _ in 0..10 {
            let gone = shop.commerce.inventory().adjust(&staff, mug, -1, "broken".to_owned()).await;
            taken += i64::from(gone.is_ok());
            let on_hand = shop.units(mug).await.0;
            // What was counted is what was there, or the count is refused.
            let _ = shop.commerce.inventory().set_stock(&staff, mug, Some(on_hand), None).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        taken
    };
    let (results, taken) = tokio::join!(buying, editing);
    let placed = results.iter().filter(|result| result.is_ok()).count();
    let short = results.iter().filter(|result| matches!(result, Err(CheckoutError::OutOfStock { .. }))).count();
    assert_eq!(placed + short, 100, "{results:?}");
    let movements = shop.commerce.inventory().movements(&Actor::System, mug, &PageRequest::first(100)).await.unwrap();
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
    let buyers: Vec<Call> = (0..200).map(|_| customer()).collect();
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
    let order = shop.commerce.checkout().place(&ada, offline()).await.unwrap().value.order;
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Pending));
    let codes: Vec<_> = shop.commerce.checkout().payment_methods().into_iter().map(|method| method.code).collect();
    assert_eq!(codes, ["manual", "test"]);
    shop.check_books().await;
}
