//! Cards by Stripe, over HTTP: against localstripe, and against the exact fake for what localstripe gets wrong.

use std::time::{Duration, Instant};

use commerce_tests::{
    fake_stripe::{Account, StripeFault},
    http::{Client, Server, StripeProcess, WEBHOOK_SECRET, at, id, stripe_card, stripe_settings},
    localstripe::Localstripe,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::BACKEND;

const VISA: &str = "pm_card_visa";

/// A shop that takes cards, and what its stories are about.
struct World {
    server: Server,
    admin: Client,
    mia: Client,
    variant: String,
}

impl World {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let server = Server::start_with(BACKEND, settings, &[]).await;
        let (admin, mia) = (server.admin().await, server.customer("mia").await);
        let product = server.product(&admin, "MUG", "19.90", 10).await;
        Self { variant: at(&product, "/variants/0/id").to_owned(), server, admin, mia }
    }

    async fn fill(&self, quantity: i64) {
        let item = json!({ "variant_id": self.variant, "quantity": quantity });
        self.mia.post("/v1/cart/items", item).await.done(200);
    }

    async fn buy(&self, quantity: i64) -> Value {
        self.fill(quantity).await;
        self.mia.post("/v1/checkout", stripe_card(VISA)).await.expect(201)
    }

    async fn order(&self, order: &Value) -> Value {
        self.admin.get(&format!("/v1/admin/orders/{}", id(order))).await.expect(200)
    }

    /// The order, once it has this payment status.
    async fn becomes(&self, order: &Value, payment_status: &str) -> Value {
        let end = Instant::now() + Duration::from_mins(1);
        loop {
            let order = self.order(order).await;
            if order["payment_status"] == payment_status {
                return order;
            }
            assert!(Instant::now() < end, "never {payment_status}: {order}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn stock(&self) -> (i64, i64) {
        let stock = self.admin.get(&format!("/v1/admin/inventory/{}", self.variant)).await.expect(200);
        (stock["on_hand"].as_i64().expect("a number"), stock["reserved"].as_i64().expect("a number"))
    }

    async fn alerts(&self, kind: &str) -> usize {
        let alerts = self.admin.get("/v1/admin/alerts?limit=100").await.expect(200);
        alerts["items"].as_array().expect("items").iter().filter(|alert| alert["kind"] == kind).count()
    }
}

fn stands(order: &Value) -> (&str, &str) {
    (at(order, "/status"), at(order, "/payment_status"))
}

fn payment(order: &Value) -> &str {
    at(order, "/payments/0/id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_card_is_charged_declined_secured_and_refunded_at_localstripe() {
    let local = tokio::task::spawn_blocking(Localstripe::start).await.expect("localstripe");
    let world = World::new(&stripe_settings(local.base())).await;
    let methods = world.mia.get("/v1/payment-methods").await.expect(200);
    let methods: Vec<_> = methods.as_array().expect("a list").iter().map(|method| at(method, "/code")).collect();
    assert_eq!(methods, ["manual", "stripe"], "and no test gateway beside a real one");

    let paid = world.buy(2).await;
    assert_eq!(stands(&paid), ("confirmed", "paid"));
    let refunds = format!("/v1/admin/orders/{}/refunds", id(&paid));
    let five = json!({ "amount": { "amount": "5.00", "currency": "EUR" }, "reason": "a scratch", "restock": false });
    assert_eq!(world.admin.post(&refunds, five).await.expect(201)["status"], "settled");
    let rest = json!({ "reason": "broken", "restock": true });
    assert_eq!(at(&world.admin.post(&refunds, rest).await.expect(201), "/amount/amount"), "34.80");
    assert_eq!((stands(&world.order(&paid).await), world.stock().await), (("cancelled", "refunded"), (10, 0)));

    world.fill(1).await;
    world.mia.post("/v1/checkout", stripe_card("pm_card_chargeCustomerFail")).await.refused(402, "payment_declined");
    assert_eq!(
        (world.mia.get("/v1/cart").await.expect(200)["item_count"].as_i64(), world.stock().await),
        (Some(1), (10, 0))
    );

    let secure = local.three_d_secure_token().await;
    for success in [true, false] {
        let order = world.mia.post("/v1/checkout", stripe_card(&secure)).await.expect(202);
        assert_eq!(stands(&order), ("pending", "requires_action"));
        assert!(at(&order, "/reserved_until").ends_with('Z'));
        let secret = at(&order, "/payments/0/next_action/client_secret");
        let (reference, _) = secret.split_once("_secret_").expect("Stripe's client secret");
        local.authenticate(reference, secret, success).await;
        let confirm = format!("/v1/orders/{}/payments/{}/confirm", id(&order), payment(&order));
        if success {
            assert_eq!(stands(&world.mia.post_empty(&confirm).await.expect(200)), ("confirmed", "paid"));
            world.fill(1).await;
        } else {
            world.mia.post_empty(&confirm).await.refused(402, "payment_declined");
        }
        assert_eq!(world.stock().await, (9, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn localstripe_tells_by_webhook_what_became_of_a_payment() {
    let local = tokio::task::spawn_blocking(Localstripe::start).await.expect("localstripe");
    let world = World::new(&stripe_settings(local.base())).await;
    local.send_webhooks_to(&format!("{}/v1/webhooks/payments/stripe", world.server.base), WEBHOOK_SECRET).await;
    world.fill(1).await;
    let order = world.mia.post("/v1/checkout", stripe_card(&local.three_d_secure_token().await)).await.expect(202);
    let secret = at(&order, "/payments/0/next_action/client_secret");
    local.authenticate(secret.split_once("_secret_").expect("a secret").0, secret, true).await;
    let order = world.becomes(&order, "paid").await;
    assert_eq!((at(&order, "/status"), world.stock().await), ("confirmed", (9, 0)), "without anybody asking");
    world.server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_promise_is_captured_later_at_localstripe() {
    let local = tokio::task::spawn_blocking(Localstripe::start).await.expect("localstripe");
    let mut settings = stripe_settings(local.base());
    settings.push(("COMMERCE_CAPTURE_AT_CHECKOUT", "false"));
    let world = World::new(&settings).await;
    let order = world.buy(2).await;
    assert_eq!(stands(&order), ("confirmed", "authorized"));
    let captured = world.admin.post_empty(&format!("/v1/admin/orders/{}/capture", id(&order))).await.expect(200);
    assert_eq!((stands(&captured), at(&captured, "/payments/0/captured/amount")), (("confirmed", "paid"), "39.80"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn promised_money_is_captured_later_or_given_back() {
    let stripe = StripeProcess::start();
    let mut settings = stripe.settings();
    settings.push(("COMMERCE_CAPTURE_AT_CHECKOUT", "false"));
    let world = World::new(&settings).await;
    let order = world.buy(3).await;
    assert_eq!(stands(&order), ("confirmed", "authorized"));
    assert_eq!(stripe.ledger().await[payment(&order)].captured, 0);
    let path = format!("/v1/admin/orders/{}", id(&order));
    let one = json!({ "items": [{ "variant_id": world.variant, "quantity": 1 }] });
    world.admin.post(&format!("{path}/cancel"), one).await.done(200);
    let captured = world.admin.post_empty(&format!("{path}/capture")).await.expect(200);
    assert_eq!((stands(&captured), at(&captured, "/payments/0/captured/amount")), (("confirmed", "paid"), "39.80"));
    assert_eq!(stripe.ledger().await[payment(&order)].captured, 3980);
    world.admin.post_empty(&format!("{path}/capture")).await.refused(409, "nothing_to_capture");

    let order = world.buy(1).await;
    let cancelled = world.mia.post_empty(&format!("/v1/orders/{}/cancel", id(&order))).await.expect(200);
    assert_eq!((stands(&cancelled), world.stock().await), (("cancelled", "voided"), (8, 0)));
    world.server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_between_the_shop_and_stripe_charge_once() {
    use StripeFault::{Busy, Failed, FailedAfter};
    let stripe = StripeProcess::start();
    let world = World::new(&stripe.settings()).await;
    for (n, faults) in [vec![Busy, Failed], vec![FailedAfter]].into_iter().enumerate() {
        world.fill(1).await;
        stripe.script(&faults).await;
        let once = world.mia.once(&format!("checkout-{n}"));
        let order = once.post("/v1/checkout", stripe_card(VISA)).await;
        let doubtful = faults.contains(&FailedAfter);
        let order = order.expect(if doubtful { 202 } else { 201 });
        if doubtful {
            assert_eq!(stands(&order), ("pending", "unknown"));
            let open = world.admin.get("/v1/admin/payments?status=unknown").await.expect(200);
            assert_eq!(open["items"].as_array().map(Vec::len), Some(1), "{open}");
            let resolve = format!("/v1/admin/payments/{}/resolve", payment(&order));
            world.mia.post_empty(&resolve).await.refused(403, "forbidden");
            assert_eq!(stands(&world.admin.post_empty(&resolve).await.expect(200)), ("confirmed", "paid"));
        }
        let again = once.post("/v1/checkout", stripe_card(VISA)).await;
        assert_eq!((id(&again.json()), again.header("idempotency-replayed")), (id(&order), "true"));
        let account = Account { intents: 1, captured: 1990, refunded: 0 };
        assert_eq!(stripe.ledger().await[payment(&order)], account, "{faults:?}");
    }
    // A checkout and a refund that arrive ten times at once.
    world.fill(1).await;
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        let once = world.mia.once("ten at once");
        calls.spawn(async move { once.post("/v1/checkout", stripe_card(VISA)).await });
    }
    let answers = calls.join_all().await;
    let orders: Vec<_> = answers.iter().filter(|answer| answer.status == 201).map(|answer| answer.json()).collect();
    assert!(!orders.is_empty() && orders.iter().all(|order| id(order) == id(&orders[0])), "{answers:?}");
    let refused = answers.iter().filter(|answer| answer.status != 201);
    refused.for_each(|answer| drop(answer.refused(409, "idempotency_in_progress")));
    assert_eq!(stripe.ledger().await.len(), 3);
    assert_eq!(world.stock().await, (7, 0));
    world.server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_refunds_at_once_spend_each_cent_once() {
    let stripe = StripeProcess::start();
    let world = World::new(&stripe.settings()).await;
    let order = world.buy(1).await;
    let path = format!("/v1/admin/orders/{}/refunds", id(&order));
    let mut calls = JoinSet::new();
    for _ in 0..50 {
        let (admin, path) = (world.admin.clone(), path.clone());
        let one = json!({ "amount": { "amount": "1.00", "currency": "EUR" }, "reason": "sorry", "restock": false });
        calls.spawn(async move { admin.post(&path, one).await });
    }
    let answers = calls.join_all().await;
    let given = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(given, 19, "{answers:?}");
    let refused = answers.iter().filter(|answer| answer.status != 201);
    refused.for_each(|answer| drop(answer.refused(409, "refund_exceeds_captured")));
    let last = json!({ "reason": "the rest", "restock": false });
    assert_eq!(at(&world.admin.post(&path, last).await.expect(201), "/amount/amount"), "0.90");
    assert_eq!(stripe.ledger().await[payment(&order)], Account { intents: 1, captured: 1990, refunded: 1990 });
    world.server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_that_comes_ten_times_has_one_effect_and_a_forged_one_none() {
    let stripe = StripeProcess::start();
    let world = World::new(&stripe.settings()).await;
    world.fill(2).await;
    let order = world.mia.post("/v1/checkout", stripe_card("pm_card_threeDSecure2Required")).await.expect(202);
    let payment = payment(&order);
    stripe.act(&format!("authenticate/{payment}")).await;
    let event = stripe.event("payment_intent.succeeded", payment).await;

    let (path, body) = ("/v1/webhooks/payments/stripe", event.to_string().into_bytes());
    let anyone = world.server.anyone();
    for forger in [anyone.clone(), anyone.with("stripe-signature", "t=1,v1=00")] {
        let answer = forger.send("POST", path, Some(("application/json", body.clone()))).await;
        answer.refused(400, "invalid_signature");
    }
    for (pointer, wrong) in [("amount", json!(1)), ("currency", json!("usd")), ("id", json!("pi_other"))] {
        let mut other = event.clone();
        other["data"]["object"][pointer] = wrong;
        world.server.deliver(&other).await.done(200);
        assert_eq!(world.order(&order).await["version"], order["version"], "{pointer} changes nothing");
    }
    let mut anothers = event.clone();
    anothers["account"] = json!("acct_other");
    world.server.deliver(&anothers).await.done(200);
    assert_eq!(world.order(&order).await["version"], order["version"], "another account's changes nothing");
    assert_eq!(world.alerts("payment_mismatch").await, 4);

    let answers = futures_util::future::join_all((0..10).map(|_| world.server.deliver(&event))).await;
    answers.iter().for_each(|answer| answer.done(200));
    let paid = world.order(&order).await;
    assert_eq!((stands(&paid), world.stock().await), (("confirmed", "paid"), (8, 0)));
    assert_eq!(paid["version"].as_i64(), order["version"].as_i64().map(|version| version + 1));

    let dispute = json!({"id": "evt_2", "type": "charge.dispute.created",
        "data": {"object": {"id": "dp_1", "payment_intent": event["data"]["object"]["id"]}}});
    for _ in 0..3 {
        world.server.deliver(&dispute).await.done(200);
    }
    assert_eq!(world.alerts("payment_disputed").await, 1);
    let tracking = world.admin.get(&format!("/v1/orders/{}/tracking", id(&order))).await.expect(200);
    assert!(tracking["timeline"].to_string().contains("payment_disputed"), "{tracking}");
    world.server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_finishes_three_d_secure_with_the_orders_token() {
    let stripe = StripeProcess::start();
    let world = World::new(&stripe.settings()).await;
    let guest = world.server.guest_with(&world.variant, 1).await;
    let mut body = stripe_card("pm_card_threeDSecure2Required");
    body["email"] = json!("guest@example.com");
    let order = guest.post("/v1/checkout", body).await.expect(202);
    assert_eq!(at(&order, "/payments/0/next_action/type"), "use_client_secret");
    assert_eq!((order["actions"].clone(), world.stock().await), (json!(["cancel", "pay"]), (10, 1)));
    let confirm = format!("/v1/orders/{}/payments/{}/confirm", id(&order), payment(&order));
    world.server.anyone().post_empty(&confirm).await.refused(401, "unauthenticated");
    let holder = world.server.anyone().with("x-order-token", at(&order, "/order_token"));
    assert_eq!(stands(&holder.post_empty(&confirm).await.expect(200)), ("pending", "requires_action"));
    stripe.act(&format!("authenticate/{}", payment(&order))).await;
    assert_eq!(stands(&holder.post_empty(&confirm).await.expect(200)), ("confirmed", "paid"));
    assert_eq!((world.stock().await, stripe.ledger().await[payment(&order)].captured), ((9, 0), 1990));
    world.server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_at_stripe_behind_our_back_is_found() {
    let stripe = StripeProcess::start();
    let world = World::new(&stripe.settings()).await;
    let order = world.buy(1).await;
    world.server.assert_verified();
    stripe.act(&format!("refund/{}/500", payment(&order))).await;
    let drift = world.server.verify().expect_err("500 cents are missing");
    assert!(drift.contains("refunded: 0 in our books, 500 at stripe"), "{drift}");

    // A refund that the customer's bank sends back days later is our money again.
    let order = world.buy(1).await;
    let path = format!("/v1/admin/orders/{}/refunds", id(&order));
    let refund = world.admin.post(&path, json!({ "reason": "sorry", "restock": false })).await.expect(201);
    let bounced = stripe.act(&format!("bounce/{}", id(&refund))).await;
    assert_eq!(stands(&world.order(&order).await), ("cancelled", "refunded"), "nothing of it had been shipped");
    for _ in 0..2 {
        world.server.deliver(&bounced).await.done(200);
    }
    let order = world.order(&order).await;
    assert_eq!((stands(&order), at(&order, "/refunds/0/status")), (("cancelled", "paid"), "failed"));
    assert_eq!(world.alerts("refund_failed").await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_end_a_payment_that_never_matches() {
    let stripe = StripeProcess::start();
    let world = World::new(&stripe.settings()).await;
    world.fill(1).await;
    stripe.script(&[StripeFault::FailedAfter]).await;
    let order = world.mia.post("/v1/checkout", stripe_card(VISA)).await.expect(202);
    let payment = payment(&order);
    stripe.act(&format!("reprice/{payment}/2000")).await;
    let resolve = format!("/v1/admin/payments/{payment}/resolve");
    let still = world.admin.post_empty(&resolve).await.expect(200);
    assert_eq!((stands(&still), world.alerts("payment_mismatch").await), (("pending", "unknown"), 1));
    let held = world.admin.post(&resolve, json!({ "give_up": true })).await.refused(409, "payment_held");
    assert_eq!(at(&held, "/held/amount"), "19.90");
    stripe.act(&format!("refund/{payment}/1990")).await;
    let ended = world.admin.post(&resolve, json!({ "give_up": true })).await.expect(200);
    assert_eq!((stands(&ended), world.stock().await), (("cancelled", "voided"), (10, 0)));
    assert_eq!(world.mia.get("/v1/cart").await.expect(200)["item_count"], 1, "the cart is kept");

    let paid = world.mia.post("/v1/checkout", stripe_card(VISA)).await.expect(201);
    let resolve = format!("/v1/admin/payments/{}/resolve", at(&paid, "/payments/0/id"));
    world.admin.post(&resolve, json!({ "give_up": true })).await.refused(409, "invalid_state");
    let nobodys = format!("/v1/admin/payments/{}/resolve", id(&paid));
    world.admin.post_empty(&nobodys).await.refused(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_payments_are_counted() {
    let stripe = StripeProcess::start();
    let world = World::new(&stripe.settings()).await;
    world.fill(1).await;
    world.mia.post("/v1/checkout", stripe_card("pm_card_threeDSecure2Required")).await.done(202);
    let end = Instant::now() + Duration::from_secs(40);
    loop {
        let metrics = world.server.anyone().get("/metrics").await.text();
        if metrics.contains("commerce_payments_open{status=\"requires_action\"} 1") {
            assert!(metrics.contains("commerce_payments_open{status=\"unknown\"} 0"), "{metrics}");
            return;
        }
        assert!(Instant::now() < end, "{metrics}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
