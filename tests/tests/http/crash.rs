//! The real server, killed at every step of moving goods and money, and at random under load. Stripe's part is played by a
//! process of its own, whose ledger outlives the servers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use commerce_core::fail_point::FailPoint;
use commerce_tests::{
    fake_stripe::Account,
    http::{Client, Home, Response, Server, StripeProcess, at, id, stripe_card},
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use crate::BACKEND;

const STOCK: i64 = 1000;
const VISA: &str = "pm_card_visa";
const SECURE: &str = "pm_card_threeDSecure2Required";
/// Within which everything must be settled after a restart.
const RECOVERY: Duration = Duration::from_mins(1);
/// How many servers run at once.
const MAX_SERVERS: usize = 10;

/// What is going on when the server is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Story {
    Checkout,
    Confirm,
    Refund,
    Cancel,
    Void,
    Capture,
    Fulfil,
    Return,
}

/// Every step, in every story that comes by it.
const DEATHS: &[(Story, &[FailPoint])] = &[
    (
        Story::Checkout,
        &[FailPoint::Reserve, FailPoint::Reserved, FailPoint::Paid, FailPoint::Settle, FailPoint::Settled],
    ),
    (Story::Confirm, &[FailPoint::Settle, FailPoint::Settled]),
    (
        Story::Refund,
        &[FailPoint::Edit, FailPoint::Edited, FailPoint::Refunded, FailPoint::SettleRefund, FailPoint::RefundSettled],
    ),
    (Story::Cancel, &[FailPoint::Edited, FailPoint::Refunded]),
    (Story::Void, &[FailPoint::Edit, FailPoint::Edited, FailPoint::Voided, FailPoint::Settle]),
    (Story::Capture, &[FailPoint::Edited, FailPoint::Captured, FailPoint::Settle]),
    (Story::Fulfil, &[FailPoint::Edit, FailPoint::Edited]),
    (Story::Return, &[FailPoint::Edit, FailPoint::Edited]),
];

/// A shop that is about to die.
struct World {
    stripe: Arc<StripeProcess>,
    home: Arc<Home>,
    settings: Vec<(&'static str, String)>,
    server: Server,
    admin: Client,
    mia: Client,
    variant: String,
}

impl World {
    async fn new(stripe: Arc<StripeProcess>, capture_at_checkout: bool) -> Self {
        let home = Home::new(BACKEND).await;
        let mut settings: Vec<_> = Vec::new();
        for (name, value) in stripe.settings() {
            settings.push((name, value.to_owned()));
        }
        settings.push(("COMMERCE_CAPTURE_AT_CHECKOUT", capture_at_checkout.to_string()));
        let server = start(&home, &settings, None).await;
        let (admin, mia) = (server.admin().await, server.customer("mia").await);
        let product = server.product(&admin, "MUG", "19.90", STOCK).await;
        let variant = at(&product, "/variants/0/id").to_owned();
        Self { stripe, home, settings, server, admin, mia, variant }
    }

    /// Kills the server and starts another, which stands still at a step.
    async fn restart(&mut self, step: Option<FailPoint>) {
        self.server.kill();
        self.server = start(&self.home, &self.settings, step).await;
        self.admin = self.admin.at(&self.server.base);
        self.mia = self.mia.at(&self.server.base);
    }

    async fn fill(&self) {
        let item = json!({ "variant_id": self.variant, "quantity": 1 });
        self.mia.post("/v1/cart/items", item).await.done(200);
    }

    /// What the story begins with: an order, unless it is about placing one.
    async fn prepare(&self, story: Story) -> Value {
        self.fill().await;
        match story {
            Story::Checkout => Value::Null,
            Story::Confirm => self.mia.post("/v1/checkout", stripe_card(SECURE)).await.expect(202),
            Story::Refund | Story::Cancel | Story::Void | Story::Capture | Story::Fulfil => {
                self.mia.post("/v1/checkout", stripe_card(VISA)).await.expect(201)
            }
            Story::Return => {
                let order = self.mia.post("/v1/checkout", stripe_card(VISA)).await.expect(201);
                let pack = format!("/v1/admin/orders/{}/fulfilments", id(&order));
                let parcel = self.admin.post(&pack, parcel()).await.expect(201);
                for status in ["shipped", "delivered"] {
                    let path = format!("/v1/admin/fulfilments/{}", id(&parcel));
                    self.admin.patch(&path, json!({ "status": status })).await.done(200);
                }
                order
            }
        }
    }

    /// The call of the story: a client sends it, and sends it again if it hears nothing.
    async fn call(&self, story: Story, order: &Value) -> Result<Response, reqwest::Error> {
        let (mia, admin) = (self.mia.once("the call"), self.admin.once("the call"));
        let path = |path: &str| path.replace("{}", order["id"].as_str().unwrap_or_default());
        let send = |client: Client, path: String, body: Option<Value>| async move {
            let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
            client.try_send("POST", &path, body).await
        };
        match story {
            Story::Checkout => send(mia, "/v1/checkout".to_owned(), Some(stripe_card(VISA))).await,
            Story::Confirm => {
                let confirm = format!("/v1/orders/{}/payments/{}/confirm", id(order), at(order, "/payments/0/id"));
                send(mia, confirm, None).await
            }
            Story::Refund => {
                let five =
                    json!({ "amount": { "amount": "5.00", "currency": "EUR" }, "reason": "x", "restock": false });
                send(admin, path("/v1/admin/orders/{}/refunds"), Some(five)).await
            }
            Story::Cancel | Story::Void => send(mia, path("/v1/orders/{}/cancel"), None).await,
            Story::Capture => send(admin, path("/v1/admin/orders/{}/capture"), None).await,
            Story::Fulfil => send(admin, path("/v1/admin/orders/{}/fulfilments"), Some(parcel())).await,
            Story::Return => {
                let back = json!({ "items": [{ "variant_id": self.variant, "quantity": 1 }], "reason": "too small" });
                send(mia, path("/v1/orders/{}/returns"), Some(back)).await
            }
        }
    }

    /// Waits until nothing is open any more; then books and shelves must agree.
    async fn check_settled(&self, since: Instant) {
        loop {
            let orders = self.admin.orders().await;
            let open: Vec<_> = orders.iter().filter(|order| is_open(order)).collect();
            if open.is_empty() {
                break;
            }
            assert!(since.elapsed() < RECOVERY, "still open: {open:?}\n{}", self.server.log());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let orders = self.admin.orders().await;
        let stock = self.admin.get(&format!("/v1/admin/inventory/{}", self.variant)).await.expect(200);
        let sold: i64 = orders.iter().filter(|order| order["status"] != "cancelled").map(units).sum();
        assert_eq!((stock["on_hand"].as_i64(), stock["reserved"].as_i64()), (Some(STOCK - sold), Some(0)));
        compare(&orders, &self.stripe).await;
        self.server.assert_verified();
    }
}

async fn start(home: &Arc<Home>, settings: &[(&'static str, String)], step: Option<FailPoint>) -> Server {
    let (home, settings) = (home.clone(), settings.to_vec());
    let start = move || {
        let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
        settings.extend(step.map(|step| ("COMMERCE_FAIL_POINT", step.as_str())));
        Server::start_in(home, &settings, &[])
    };
    tokio::task::spawn_blocking(start).await.expect("the server starts")
}

fn parcel() -> Value {
    json!({ "carrier": "DHL", "tracking_number": "1" })
}

fn units(order: &Value) -> i64 {
    order["items"].as_array().expect("items").iter().filter_map(|item| item["quantity"].as_i64()).sum()
}

fn is_open(order: &Value) -> bool {
    let refunds = order["refunds"].as_array().expect("refunds");
    let promised = order["status"] == "cancelled" && order["payment_status"] == "authorized";
    order["status"] == "pending" || promised || refunds.iter().any(|refund| refund["status"] == "pending")
}

fn minor(money: &Value) -> i64 {
    money["amount"].as_str().expect("an amount").replace('.', "").parse().expect("a number")
}

/// Every payment is at Stripe what it is to us, and was asked for once.
async fn compare(orders: &[Value], stripe: &StripeProcess) {
    let ledger = stripe.ledger().await;
    for payment in orders.iter().flat_map(|order| order["payments"].as_array().expect("payments")) {
        let theirs = ledger.get(id(payment)).cloned().unwrap_or_default();
        let ours = Account {
            intents: theirs.intents.min(1),
            captured: minor(&payment["captured"]),
            refunded: minor(&payment["refunded"]),
        };
        assert_eq!(ours, theirs, "{payment}");
    }
}

async fn die_at(stripe: Arc<StripeProcess>, story: Story, step: FailPoint) {
    let mut world = World::new(stripe, !matches!(story, Story::Void | Story::Capture)).await;
    let order = world.prepare(story).await;
    if story == Story::Confirm {
        world.stripe.act(&format!("authenticate/{}", at(&order, "/payments/0/id"))).await;
    }
    world.restart(Some(step)).await;
    {
        let (unheard, words) = (world.call(story, &order), format!("step=\"{}\"", step.as_str()));
        tokio::select! {
            answer = unheard => panic!("{story:?} was answered before {step:?}: {answer:?}"),
            () = world.server.logged(&words) => {}
        }
    }
    world.restart(None).await;
    let restarted = Instant::now();
    let answer = loop {
        let answer = world.call(story, &order).await.expect("an answer");
        let busy = ["idempotency_in_progress", "payment_busy"].iter().any(|code| answer.json()["code"] == *code);
        if answer.status < 500 && !busy {
            break answer;
        }
        assert!(restarted.elapsed() < RECOVERY, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(250)).await;
    };
    world.check_settled(restarted).await;
    println!("{story:?} killed at {step:?}: settled after {:.1} s", restarted.elapsed().as_secs_f64());
    let orders = world.admin.orders().await;
    assert_eq!(orders.len(), 1, "one order, however often it was asked for: {orders:?}");
    let (found, payment) = (&orders[0], &orders[0]["payments"][0]);
    let ends =
        (at(found, "/status"), at(found, "/payment_status"), minor(&payment["captured"]), minor(&payment["refunded"]));
    match story {
        Story::Checkout => {
            assert_eq!((id(&answer.expect(201)), ends), (id(found), ("confirmed", "paid", 1990, 0)));
        }
        Story::Confirm => {
            answer.done(200);
            assert_eq!(ends, ("confirmed", "paid", 1990, 0));
        }
        Story::Refund => {
            assert_eq!(id(&answer.expect(201)), at(found, "/refunds/0/id"));
            assert_eq!(ends, ("confirmed", "partially_refunded", 1990, 500));
        }
        Story::Cancel => assert_eq!(ends, ("cancelled", "refunded", 1990, 1990)),
        Story::Void => assert_eq!(ends, ("cancelled", "voided", 0, 0)),
        Story::Capture => assert_eq!(ends, ("confirmed", "paid", 1990, 0)),
        Story::Fulfil | Story::Return => {
            let made = &found[if story == Story::Fulfil { "fulfilments" } else { "returns" }];
            assert_eq!((made.as_array().map(Vec::len), id(&answer.expect(201))), (Some(1), id(&made[0])), "made once");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_every_step_nothing_is_lost_or_done_twice() {
    let steps: Vec<FailPoint> = DEATHS.iter().flat_map(|(_, steps)| steps.iter().copied()).collect();
    assert!(FailPoint::ALL.iter().all(|step| steps.contains(step)), "every step is died at");
    let (stripe, turns) = (Arc::new(StripeProcess::start()), Arc::new(Semaphore::new(MAX_SERVERS)));
    let mut stories = JoinSet::new();
    for (story, step) in DEATHS.iter().flat_map(|(story, steps)| steps.iter().map(move |step| (*story, *step))) {
        let (stripe, turns) = (stripe.clone(), turns.clone());
        stories.spawn(async move {
            let _turn = turns.acquire_owned().await.expect("a turn");
            die_at(stripe, story, step).await;
        });
    }
    stories.join_all().await;
}

/// A guest's checkout, from the moment it was first sent.
#[derive(Clone)]
struct Attempt {
    guest: Client,
    key: String,
    /// The order that was acknowledged, and the refund of it.
    order: Option<Value>,
    refund: Option<Value>,
}

impl Attempt {
    /// Sends whatever wasn't answered yet; false once the server is gone.
    async fn go_on(&mut self, server: &Server, admin: &Client) -> bool {
        let json = |body: Value| Some(("application/json", body.to_string().into_bytes()));
        if self.order.is_none() {
            let guest = self.guest.at(&server.base).once(&self.key);
            let mut body = stripe_card(VISA);
            body["email"] = json!("guest@example.com");
            let Ok(answer) = guest.try_send("POST", "/v1/checkout", json(body)).await else { return false };
            if answer.status == 409 {
                answer.refused(409, "idempotency_in_progress");
                return true;
            }
            assert!(matches!(answer.status, 201 | 202), "{}", answer.text());
            self.order = Some(answer.json());
        }
        let Some(order) = self.order.as_ref().filter(|_| self.refund.is_none() && self.key.ends_with('0')) else {
            return true;
        };
        let refund = json!({ "amount": { "amount": "3.00", "currency": "EUR" }, "reason": "x", "restock": false });
        let path = format!("/v1/admin/orders/{}/refunds", id(order));
        let Ok(answer) = admin.once(&self.key).try_send("POST", &path, json(refund)).await else { return false };
        if answer.status == 201 {
            self.refund = Some(answer.json());
        }
        true
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_under_load_nothing_is_lost_or_done_twice() {
    const SHOPPERS: usize = 6;
    let mut world = World::new(Arc::new(StripeProcess::start()), true).await;
    let mut attempts: Vec<Attempt> = Vec::new();
    for round in 0..4u64 {
        let (server, answers) = (&world.server, AtomicUsize::new(0));
        let shopping = (0..SHOPPERS).map(|shopper| {
            let (admin, variant, answers) = (world.admin.clone(), world.variant.clone(), &answers);
            async move {
                let mut mine = Vec::new();
                for n in 0.. {
                    let item = json!({ "variant_id": variant, "quantity": 1 }).to_string().into_bytes();
                    let anyone = server.anyone();
                    let Ok(cart) = anyone.try_send("POST", "/v1/cart/items", Some(("application/json", item))).await
                    else {
                        break;
                    };
                    let guest = anyone.with("x-cart-token", at(&cart.expect(200), "/cart_token"));
                    let key = format!("{round}-{shopper}-{n}");
                    mine.push(Attempt { guest, key, order: None, refund: None });
                    let Some(newest) = mine.last_mut() else { break };
                    if !newest.go_on(server, &admin).await {
                        break;
                    }
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                mine
            }
        });
        let die = async {
            tokio::time::sleep(Duration::from_millis(900 + 377 * round)).await;
            // A slow machine, or a distributed database that has just been connected to, gets to work first.
            let end = Instant::now() + RECOVERY;
            while answers.load(Ordering::Relaxed) < SHOPPERS && Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            server.signal("KILL");
        };
        let (mine, ()) = tokio::join!(futures_util::future::join_all(shopping), die);
        attempts.extend(mine.into_iter().flatten());
        world.restart(None).await;
    }
    let restarted = Instant::now();
    let answered = attempts.iter().filter(|attempt| attempt.order.is_some()).count();
    while let Some(open) =
        attempts.iter_mut().find(|a| a.order.is_none() || (a.key.ends_with('0') && a.refund.is_none()))
    {
        assert!(restarted.elapsed() < RECOVERY, "{} is still without an answer", open.key);
        assert!(open.go_on(&world.server, &world.admin).await, "{}", world.server.log());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.check_settled(restarted).await;
    let orders = world.admin.orders().await;
    println!("{} checkouts, {answered} answered before the ends, {} orders", attempts.len(), orders.len());
    assert!(answered > 10 && answered < attempts.len() + 1);
    assert_eq!(orders.len(), attempts.len(), "one order for each key");
    for attempt in &attempts {
        let (Some(told), Some(found)) = (
            &attempt.order,
            orders.iter().find(|order| attempt.order.as_ref().is_some_and(|told| id(told) == id(order))),
        ) else {
            panic!("{} was acknowledged and is gone", attempt.key)
        };
        let refunded = i64::from(attempt.refund.is_some()) * 300;
        let payment = &found["payments"][0];
        assert_eq!((minor(&payment["captured"]), minor(&payment["refunded"])), (1990, refunded), "{told}");
    }
    let charged = world.stripe.ledger().await.values().filter(|account| account.captured > 0).count();
    assert_eq!(charged, orders.len(), "one charge for each order");
}
