//! Webhooks as they really come: ten times each, in any order, before the answer to the call they are about, days late.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use commerce_core::{
    Commerce,
    alert::AlertKind,
    checkout::{Checkout, PaymentChoice},
    clock::{Clock as _, ManualClock, SystemClock},
    id::{PaymentId, RefundId},
    order::{Order, OrderStatus},
    payment::{
        NewRefund, PaymentStatus, PlacementOutcome, RefundStatus,
        gateway::WebhookRequest,
        stripe::{HttpRequest, HttpResponse, HttpTransport, StripeConfig, StripeGateway, TransportError, signature},
    },
};
use commerce_tests::{
    fake_stripe::FakeStripe,
    shop::{SECURE, TestShop, VISA, customer, eur, input, keyed},
    sim::Chance,
};
use serde_json::Value;

const SECRET: &str = "whsec_test";

/// A shop that takes cards through a Stripe in memory.
struct World {
    shop: TestShop,
    stripe: FakeStripe,
}

async fn world(transport: impl FnOnce(FakeStripe) -> Box<dyn HttpTransport>) -> World {
    let stripe = FakeStripe::default();
    let config = StripeConfig::new("sk_test_fake").unwrap().webhook_secret(SECRET).unwrap();
    let gateway = StripeGateway::with_transport(config, Boxed(transport(stripe.clone())));
    // Ids tell the real time, and so does Stripe.
    let clock = Arc::new(ManualClock::at(SystemClock.now()));
    let shared = clock.clone();
    let shop = TestShop::with(|builder| builder.gateway(gateway).shared_clock(shared)).await;
    World { shop: TestShop { clock, ..shop }, stripe }
}

struct Boxed(Box<dyn HttpTransport>);

#[async_trait]
impl HttpTransport for Boxed {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        self.0.send(request).await
    }
}

fn card(token: &str) -> Checkout {
    input(token).pay_with(PaymentChoice::by("stripe").token(token.to_owned()))
}

/// Delivers an event, signed anew as Stripe does each time.
async fn deliver(shop: &Commerce, event: &Value) {
    let (body, at) = (event.to_string().into_bytes(), shop.clock().now());
    let signature = signature(SECRET, at, &body);
    let request = WebhookRequest { signature: Some(&signature), body: &body, at };
    shop.payment_webhook("stripe", &request).await.unwrap();
}

/// Delivers each of them ten times in a shuffled order, or once in order.
async fn deliver_all(world: &World, events: &[Value], chance: Option<&Chance>) {
    let Some(chance) = chance else {
        for event in events {
            deliver(&world.shop.commerce, event).await;
        }
        return;
    };
    let mut post: Vec<&Value> = (0..10).flat_map(|_| events).collect();
    while !post.is_empty() {
        let count = (1 + chance.below(3)).min(post.len());
        let at_once: Vec<_> = (0..count).map(|_| post.swap_remove(chance.below(post.len()))).collect();
        futures_util::future::join_all(at_once.into_iter().map(|event| deliver(&world.shop.commerce, event))).await;
    }
}

/// What a story leaves behind, without its ids and times.
#[derive(Debug, PartialEq, Eq)]
struct End {
    order: (OrderStatus, PaymentStatus, i64, i64, i64),
    refunds: Vec<RefundStatus>,
    units: (i64, i64),
    charged: (usize, i64, i64),
}

async fn refund(shop: &TestShop, order: &Order, minor: i64) -> RefundId {
    let refund = NewRefund::amount(eur(minor)).reason("a scratch");
    shop.staff().payments().refund(order.id, refund).await.unwrap().refund.id
}

/// 3-D Secure, two refunds, of which the second bounces: told by webhooks alone.
async fn story(chance: Option<Chance>) -> End {
    let world = world(|stripe| Box::new(stripe)).await;
    let (World { shop, stripe }, chance) = (&world, chance.as_ref());
    let (mug, ada) = (shop.sell("MUG", 1000, 10).await, customer());
    shop.fill(&ada, mug, 2).await;
    let order = shop.by(&ada).checkout().place(card(SECURE)).await.unwrap().order;
    let reference = stripe.reference(order.payments[0].id);
    let mut events = vec![stripe.event("payment_intent.requires_action", &reference)];
    stripe.authenticate(&reference);
    events.push(stripe.event("payment_intent.succeeded", &reference));
    deliver_all(&world, &events, chance).await;
    assert_eq!(shop.order(&order).await.payment_status, PaymentStatus::Paid);

    let (kept, bounced) = (refund(shop, &order, 500).await, refund(shop, &order, 700).await);
    events.push(stripe.refund_event("refund.created", kept));
    events.push(stripe.refund_event("refund.updated", bounced));
    deliver_all(&world, &events, chance).await;
    events.push(stripe.bounce(bounced));
    deliver_all(&world, &events, chance).await;
    shop.wait(Duration::from_hours(72)).await;
    deliver_all(&world, &events, chance).await;

    let (order, account) = (shop.order(&order).await, stripe.account(order.payments[0].id));
    let payment = &order.payments[0];
    assert_eq!(shop.store.reads().verify().await.unwrap(), []);
    End {
        order: (order.status, order.payment_status, payment.captured, payment.refunded, payment.refund_pending),
        refunds: order.refunds.iter().map(|refund| refund.status).collect(),
        units: shop.units(mug).await,
        charged: (account.intents, account.captured, account.refunded),
    }
}

#[tokio::test]
async fn webhooks_in_any_order_ten_times_each_and_days_late_leave_the_same_behind() {
    let once = story(None).await;
    let expected = End {
        order: (OrderStatus::Confirmed, PaymentStatus::PartiallyRefunded, 2000, 500, 0),
        refunds: vec![RefundStatus::Settled, RefundStatus::Failed],
        units: (8, 0),
        charged: (1, 2000, 500),
    };
    assert_eq!(once, expected);
    for seed in 0..20 {
        assert_eq!(story(Some(Chance::new(seed))).await, expected, "seed {seed}");
    }
}

/// Sends the webhook of each payment while the shop still waits for the answer to its call.
struct Hasty {
    stripe: FakeStripe,
    shop: Arc<OnceLock<Commerce>>,
}

#[async_trait]
impl HttpTransport for Hasty {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let creates = request.path == "/v1/payment_intents" && request.body.is_some();
        let answer = self.stripe.send(request).await?;
        if let (true, Some(shop)) = (creates, self.shop.get()) {
            let intent: Value = serde_json::from_slice(&answer.body).unwrap();
            let kind = if intent["status"] == "succeeded" { "succeeded" } else { "requires_action" };
            let event = self.stripe.event(&format!("payment_intent.{kind}"), intent["id"].as_str().unwrap());
            deliver(shop, &event).await;
        }
        Ok(answer)
    }
}

#[tokio::test]
async fn a_webhook_may_be_faster_than_the_answer() {
    for (token, outcome, units) in
        [(VISA, PlacementOutcome::Placed, (8, 0)), (SECURE, PlacementOutcome::ActionRequired, (10, 2))]
    {
        let handle = Arc::new(OnceLock::new());
        let shared = handle.clone();
        let World { shop, stripe } = world(|stripe| Box::new(Hasty { stripe, shop: shared })).await;
        assert!(handle.set(shop.commerce.clone()).is_ok());
        let (mug, ada) = (shop.sell("MUG", 1000, 10).await, customer());
        shop.fill(&ada, mug, 2).await;
        let once = keyed(&ada, "buy");
        let placed = shop.by(&once).checkout().place(card(token)).await.unwrap();
        assert_eq!((&placed.outcome, shop.units(mug).await), (&outcome, units));
        let again = shop.by(&once).checkout().place(card(token)).await.unwrap();
        assert_eq!((again.order.id, again.outcome), (placed.order.id, outcome));
        let payment: PaymentId = placed.order.payments[0].id;
        assert_eq!(stripe.account(payment).intents, 1);
        assert_eq!(shop.alerts(AlertKind::PaymentMismatch).await, []);
        assert_eq!(shop.store.reads().verify().await.unwrap(), []);
    }
}
