//! Refunds that were made at the payment provider, past the shop; amounts that it can't take; look-ups that it refuses.

use std::{sync::Arc, time::Duration};

use commerce_core::{
    Currency, Money,
    alert::AlertKind,
    catalog::NewProduct,
    checkout::{Checkout, CheckoutError, PaymentChoice},
    clock::{Clock as _, ManualClock, SystemClock},
    context::RequestContext,
    id::VariantId,
    order::{NewFulfilment, Order, OrderError, OrderStatus},
    payment::{
        NewRefund, PaymentStatus, PlacementOutcome, RefundOrigin, RefundStatus,
        gateway::WebhookRequest,
        stripe::{RetryPolicy, StripeConfig, StripeGateway, signature},
    },
};
use commerce_tests::{
    fake_stripe::{FakeStripe, StripeFault},
    shop::{TestShop, VISA, customer, eur, input, keyed, units_of},
    sim::Chance,
};
use serde_json::Value;

const SECRET: &str = "whsec_test";

struct World {
    shop: TestShop,
    stripe: FakeStripe,
}

async fn world(currency: Currency, capture: bool) -> World {
    let stripe = FakeStripe::default();
    let retry = RetryPolicy { attempts: 1, first_delay: Duration::ZERO };
    let config = StripeConfig::new("sk_test_fake").unwrap().webhook_secret(SECRET).unwrap().retry(retry);
    let gateway = StripeGateway::with_transport(config, stripe.clone());
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let shared = clock.clone();
    let shop = TestShop::with(|builder| {
        builder.gateway(gateway).shared_clock(shared).settings(|settings| {
            settings.currency = currency;
            settings.capture_at_checkout = capture;
        })
    });
    World { shop: TestShop { clock, ..shop.await }, stripe }
}

impl World {
    async fn deliver(&self, event: &Value) {
        let body = event.to_string().into_bytes();
        let at = self.shop.clock.now();
        let signature = signature(SECRET, at, &body);
        let request = WebhookRequest { signature: Some(&signature), body: &body, at };
        self.shop.commerce.payment_webhook("stripe", &request).await.unwrap();
    }

    async fn buy(&self, variant: VariantId, quantity: i64) -> Order {
        let ada = customer();
        self.shop.fill(&ada, variant, quantity).await;
        self.shop.by(&ada).checkout().place(card(VISA)).await.unwrap().order
    }

    fn past_us(&self, order: &Order, minor: i64) -> Value {
        self.stripe.refund_past_us(&self.stripe.reference(order.payments[0].id), minor)
    }

    async fn refund(&self, order: &Order, amount: Option<Money>) -> Result<Order, OrderError> {
        let refund = amount.map_or_else(NewRefund::all, NewRefund::amount).reason("sorry");
        self.shop.staff().payments().refund(order.id, refund).await.map(|done| done.order)
    }
}

fn card(token: &str) -> Checkout {
    input(token).pay_with(PaymentChoice::by("stripe").token(token.to_owned()))
}

fn money(order: &Order) -> (PaymentStatus, i64, i64) {
    (order.payment_status, order.payments[0].refunded, order.payments[0].refund_pending)
}

fn called(event: &Value) -> &str {
    event["data"]["object"]["id"].as_str().unwrap()
}

#[tokio::test]
async fn a_refund_past_the_shop_is_booked_once_beside_our_own() {
    for seed in 0..10 {
        let chance = Chance::new(seed);
        let world = world(Currency::EUR, true).await;
        let mug = world.shop.sell("MUG", 1000, 10).await;
        let order = world.buy(mug, 2).await;
        let mut events = vec![world.past_us(&order, 500)];
        let failing = world.past_us(&order, 300);
        let ours = world.refund(&order, Some(eur(700))).await.unwrap();
        let ours_id = ours.refunds.iter().find(|refund| refund.origin == RefundOrigin::Shop).unwrap().id;
        events.push(world.stripe.refund_event("refund.created", ours_id));
        events.push(failing.clone());
        events.push(world.stripe.bounce_past_us(called(&failing), "failed"));
        let mut post: Vec<_> = (0..5).flat_map(|_| &events).collect();
        while !post.is_empty() {
            world.deliver(post.swap_remove(chance.below(post.len()))).await;
        }
        let order = world.shop.order(&order).await;
        assert_eq!(money(&order), (PaymentStatus::PartiallyRefunded, 1200, 0), "seed {seed}");
        let mut refunds: Vec<_> =
            order.refunds.iter().map(|refund| (refund.amount.minor, refund.origin.as_str(), refund.status)).collect();
        refunds.sort_by_key(|refund| refund.0);
        let expected = [
            (300, "gateway", RefundStatus::Failed),
            (500, "gateway", RefundStatus::Settled),
            (700, "shop", RefundStatus::Settled),
        ];
        assert_eq!(refunds, expected, "seed {seed}");
        assert_eq!(world.shop.alerts(AlertKind::PaymentMismatch).await.len(), 2, "one for each of them");
        let rest = world.refund(&order, None).await.unwrap();
        assert_eq!(money(&rest), (PaymentStatus::Refunded, 2000, 0));
        assert_eq!(world.shop.staff().payments().reconcile().await.unwrap().drifts, []);
        assert_eq!(world.stripe.account(order.payments[0].id).refunded, 2000);
    }
}

#[tokio::test]
async fn an_order_that_was_wholly_refunded_past_the_shop_is_not_shipped() {
    for parts in [[2000, 0], [500, 1500]] {
        let world = world(Currency::EUR, true).await;
        let mug = world.shop.sell("MUG", 1000, 10).await;
        let order = world.buy(mug, 2).await;
        for minor in parts.into_iter().filter(|minor| *minor > 0) {
            let event = world.past_us(&order, minor);
            for _ in 0..2 {
                world.deliver(&event).await;
            }
        }
        let order = world.shop.order(&order).await;
        assert_eq!(money(&order), (PaymentStatus::Refunded, 2000, 0), "{parts:?}");
        assert_eq!((order.status, order.lines[0].refunded), (OrderStatus::Cancelled, 2), "{parts:?}");
        assert_eq!(world.shop.stock(mug).await.on_hand, 10, "nothing had left");
        let parcel = world.shop.staff().orders().fulfil(order.id, NewFulfilment::all("Royal Mail", "RM1"));
        assert!(parcel.await.is_err());
    }
}

#[tokio::test]
async fn a_refund_past_the_shop_of_which_nobody_told_is_found_when_ours_is_refused_or_staff_ask() {
    let world = world(Currency::EUR, true).await;
    let mug = world.shop.sell("MUG", 1000, 10).await;
    let order = world.buy(mug, 1).await;
    let lost = world.past_us(&order, 600);
    let after = world.refund(&order, None).await.unwrap();
    assert_eq!(money(&after), (PaymentStatus::PartiallyRefunded, 600, 0), "ours of 10.00 was refused");
    assert_eq!(after.refunds.iter().filter(|refund| refund.status == RefundStatus::Failed).count(), 1);
    world.deliver(&lost).await;
    let after = world.refund(&after, None).await.unwrap();
    assert_eq!(money(&after), (PaymentStatus::Refunded, 1000, 0));

    let order = world.buy(mug, 1).await;
    world.past_us(&order, 1000);
    let staff = RequestContext::system();
    let payment = order.payments[0].id;
    let resolved = world.shop.by(&staff).payments().resolve(payment).await.unwrap();
    assert_eq!(money(&resolved), (PaymentStatus::Refunded, 1000, 0));
    assert_eq!(resolved.status, OrderStatus::Cancelled, "nothing of it had been shipped");
    assert_eq!(world.shop.by(&staff.actor).payments().reconcile().await.unwrap().drifts, []);
}

#[tokio::test]
async fn a_refund_past_the_shop_waits_for_one_of_ours_that_is_in_doubt() {
    let world = world(Currency::EUR, true).await;
    let mug = world.shop.sell("MUG", 1000, 10).await;
    let order = world.buy(mug, 1).await;
    // Ours is lost on its way: it is pending, and the gateway doesn't know it.
    world.stripe.script([StripeFault::Refused]);
    let ours = world.refund(&order, Some(eur(800))).await.unwrap();
    assert_eq!(money(&ours), (PaymentStatus::Paid, 0, 800));
    let event = world.past_us(&order, 500);
    for _ in 0..3 {
        world.deliver(&event).await;
    }
    assert_eq!(money(&world.shop.order(&order).await), (PaymentStatus::Paid, 0, 800), "both don't fit");
    world.shop.wait(Duration::from_mins(5)).await;
    let order = world.shop.order(&order).await;
    assert_eq!(money(&order), (PaymentStatus::PartiallyRefunded, 500, 0), "{order:#?}");
    let refunds: Vec<_> = order.refunds.iter().map(|refund| (refund.origin, refund.status)).collect();
    assert_eq!(refunds, [(RefundOrigin::Shop, RefundStatus::Failed), (RefundOrigin::Gateway, RefundStatus::Settled)]);
}

#[tokio::test]
async fn what_cannot_be_a_refund_of_the_payment_is_told_and_not_booked() {
    let world = world(Currency::EUR, false).await;
    let mug = world.shop.sell("MUG", 1000, 10).await;
    let order = world.buy(mug, 2).await;
    assert_eq!(order.payment_status, PaymentStatus::Authorized);
    world.shop.staff().payments().capture(order.id).await.unwrap();
    let mut event = world.past_us(&order, 400);
    for (field, wrong) in [("currency", "usd".into()), ("amount", 2001.into())] {
        let mut other = event.clone();
        other["data"]["object"][field] = wrong;
        other["data"]["object"]["id"] = format!("re_{field}").into();
        world.deliver(&other).await;
        world.deliver(&other).await;
    }
    event["data"]["object"]["payment_intent"] = "pi_unknown".into();
    world.deliver(&event).await;
    let order = world.shop.order(&order).await;
    assert_eq!(money(&order), (PaymentStatus::Paid, 0, 0));
    assert_eq!((order.refunds.len(), world.shop.alerts(AlertKind::PaymentMismatch).await.len()), (0, 2));
}

#[tokio::test]
async fn a_total_that_cannot_be_taken_is_refused_before_anything_is_reserved() {
    let kwd: Currency = "KWD".parse().unwrap();
    let world = world(kwd, true).await;
    let shop = &world.shop;
    let staff = RequestContext::system();
    let odd = NewProduct::active("Odd").variant("ODD", Money::new(5125, kwd)).stock(10);
    let odd = shop.commerce.as_system().catalog().create(odd).await.unwrap().default_variant();
    let ada = customer();
    let once = keyed(&ada, "buy");
    shop.fill(&ada, odd, 1).await;
    let refused = shop.by(&once).checkout().place(card(VISA)).await;
    let Err(CheckoutError::AmountNotPayable(error)) = refused else { panic!("{refused:?}") };
    assert!(error.to_string().contains("must be a multiple of 0.010 KWD"), "{error}");
    assert_eq!((shop.units(odd).await, world.stripe.calls()), ((10, 0), 0));
    // Two are 10.250 KWD, which can be paid; half of that can't be sent back, so it is rounded.
    shop.fill(&ada, odd, 1).await;
    let order = shop.by(&once).checkout().place(card(VISA)).await.unwrap().order;
    assert_eq!(order.payments[0].captured, 10_250);
    let wrong = world.refund(&order, Some(Money::new(5125, kwd))).await;
    assert!(matches!(wrong, Err(OrderError::AmountNotPayable(_))), "{wrong:?}");
    let half = NewRefund::items([units_of(odd, 1)]).reason("broken");
    let order = shop.by(&staff).payments().refund(order.id, half).await.unwrap().order;
    assert_eq!(money(&order), (PaymentStatus::PartiallyRefunded, 5120, 0));
    let order = world.refund(&order, None).await.unwrap();
    assert_eq!(money(&order), (PaymentStatus::Refunded, 10_250, 0), "the rest closes the sum");
}

#[tokio::test]
async fn an_amount_that_only_stripe_refuses_is_no_decline() {
    let lkr: Currency = "LKR".parse().unwrap();
    let world = world(lkr, true).await;
    let shop = &world.shop;
    let cheap = NewProduct::active("Cheap").variant("CHEAP", Money::new(49, lkr)).stock(10);
    let cheap = shop.commerce.as_system().catalog().create(cheap).await.unwrap().default_variant();
    let ada = customer();
    let once = keyed(&ada, "buy");
    shop.fill(&ada, cheap, 1).await;
    for _ in 0..2 {
        let refused = shop.by(&once).checkout().place(card(VISA)).await;
        assert!(matches!(refused, Err(CheckoutError::AmountNotPayable(_))), "{refused:?}");
        assert_eq!(shop.units(cheap).await, (10, 0));
        assert_eq!(shop.commerce.acting_as(&ada).carts().view().await.unwrap().item_count, 1, "the cart is open again");
    }
    shop.fill(&ada, cheap, 1).await;
    let placed = shop.by(&once).checkout().place(card(VISA)).await.unwrap();
    assert_eq!(placed.outcome, PlacementOutcome::Placed);
}

#[tokio::test]
async fn a_payment_that_must_not_be_looked_up_is_asked_for_again_under_its_key() {
    let world = world(Currency::EUR, true).await;
    let (shop, stripe) = (&world.shop, &world.stripe);
    let mug = shop.sell("MUG", 1000, 10).await;
    stripe.forbid(&["Get /v1/payment_intents", "Get /v1/refunds"]);
    stripe.script([StripeFault::LostAfter]);
    let ada = customer();
    shop.fill(&ada, mug, 1).await;
    let order = shop.by(&ada).checkout().place(card(VISA)).await.unwrap().order;
    assert_eq!(order.payment_status, PaymentStatus::Unknown);
    let before = stripe.calls();
    shop.wait(Duration::from_secs(40)).await;
    let order = shop.order(&order).await;
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid));
    assert_eq!(stripe.calls() - before, 2, "the call, and a look that is refused");
    assert_eq!(stripe.account(order.payments[0].id).intents, 1);
    // A refund as well.
    stripe.script([StripeFault::LostAfter]);
    let order = world.refund(&order, Some(eur(300))).await.unwrap();
    shop.wait(Duration::from_mins(2)).await;
    let order = shop.order(&order).await;
    assert_eq!(money(&order), (PaymentStatus::PartiallyRefunded, 300, 0));
    assert_eq!(stripe.account(order.payments[0].id).refunded, 300);
    assert_eq!(shop.alerts(AlertKind::PaymentStuck).await, []);
}

#[tokio::test]
async fn a_refusal_that_lasts_is_told_once() {
    let world = world(Currency::EUR, true).await;
    let (shop, stripe) = (&world.shop, &world.stripe);
    let mug = shop.sell("MUG", 1000, 10).await;
    stripe.script([StripeFault::LostBefore]);
    let ada = customer();
    shop.fill(&ada, mug, 1).await;
    let order = shop.by(&ada).checkout().place(card(VISA)).await.unwrap().order;
    stripe.forbid(&["Get /v1/payment_intents", "Post /v1/payment_intents"]);
    for _ in 0..80 {
        shop.wait(Duration::from_secs(31)).await;
    }
    let open = shop.order(&order).await;
    assert_eq!(open.status, OrderStatus::Pending, "nothing is known, so nothing is decided");
    let alerts = shop.alerts(AlertKind::PaymentStuck).await;
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(alerts[0].detail.contains(&order.number) && alerts[0].detail.contains("403"), "{alerts:?}");
    stripe.forbid(&[]);
    shop.wait(Duration::from_mins(2)).await;
    assert_eq!(shop.order(&order).await.status, OrderStatus::Cancelled);
    assert_eq!(shop.units(mug).await, (10, 0));
}
