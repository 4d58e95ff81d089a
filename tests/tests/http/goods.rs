//! Goods and money that go back: before the money was taken and after, undelivered parcels, choices of staff.

use commerce_tests::http::{Client, Server, address, at, card, id};
use serde_json::{Value, json};

use crate::BACKEND;

fn eur(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

/// A shop that takes money later and charges 4.90 for shipping.
struct World {
    server: Server,
    admin: Client,
    mia: Client,
    variant: String,
}

impl World {
    async fn new() -> Self {
        let settings = [("COMMERCE_CAPTURE_AT_CHECKOUT", "false"), ("COMMERCE_SHIPPING_METHODS", "standard:4.90")];
        let server = Server::start_with(BACKEND, &settings, &[]).await;
        let (admin, mia) = (server.admin().await, server.customer("mia").await);
        let product = server.product(&admin, "MUG", "20.00", 10).await;
        let variant = at(&product, "/variants/0/id").to_owned();
        Self { server, admin, mia, variant }
    }

    fn items(&self, quantity: i64) -> Value {
        json!([{ "variant_id": self.variant, "quantity": quantity }])
    }

    /// An order of two, by card (promised) or offline (awaited).
    async fn order(&self, offline: bool) -> Value {
        let body = json!({ "variant_id": self.variant, "quantity": 2 });
        self.mia.post("/v1/cart/items", body).await.done(200);
        let checkout = if offline {
            json!({ "shipping_address": address(), "payment": { "method": "manual" } })
        } else {
            card("pm_card_visa")
        };
        let order = self.mia.post("/v1/checkout", checkout).await.expect(201);
        assert_eq!(order["totals"]["grand_total"], eur("44.90"), "{order}");
        order
    }

    async fn see(&self, order: &Value) -> Value {
        self.admin.get(&format!("/v1/admin/orders/{}", id(order))).await.expect(200)
    }

    async fn on_hand(&self) -> i64 {
        let stock = self.admin.get(&format!("/v1/admin/inventory/{}", self.variant)).await.expect(200);
        stock["on_hand"].as_i64().expect("a number")
    }

    async fn pack(&self, order: &Value) -> Value {
        let path = format!("/v1/admin/orders/{}/fulfilments", id(order));
        self.admin.post(&path, json!({ "carrier": "DHL", "tracking_number": "1" })).await.expect(201)
    }

    async fn patch(&self, parcel: &Value, body: Value) -> Value {
        self.admin.patch(&format!("/v1/admin/fulfilments/{}", id(parcel)), body).await.expect(200)
    }

    async fn deliver(&self, order: &Value) {
        let parcel = self.pack(order).await;
        for status in ["shipped", "delivered"] {
            self.patch(&parcel, json!({ "status": status })).await;
        }
    }

    /// Asks for a return and approves it; its path for staff.
    async fn returned(&self, order: &Value, quantity: i64) -> String {
        let body = json!({ "items": self.items(quantity), "reason": "no" });
        let back = self.mia.post(&format!("/v1/orders/{}/returns", id(order)), body).await.expect(201);
        let path = format!("/v1/admin/returns/{}", id(&back));
        self.admin.patch(&path, json!({ "status": "approved" })).await.done(200);
        path
    }

    /// Takes the money: promised by capture, awaited by receipt. The order.
    async fn take(&self, order: &Value) -> Value {
        let payment = format!("/v1/admin/payments/{}/receive", at(order, "/payments/0/id"));
        let capture = format!("/v1/admin/orders/{}/capture", id(order));
        let offline = at(order, "/payments/0/gateway") == "manual";
        self.admin.post_empty(if offline { &payment } else { &capture }).await.expect(200)
    }
}

#[tokio::test]
async fn what_comes_back_before_the_money_is_taken_is_not_charged() {
    let world = World::new().await;
    for offline in [false, true] {
        let order = world.order(offline).await;
        world.deliver(&order).await;
        let back = world.returned(&order, 1).await;
        world.admin.patch(&back, json!({ "status": "received" })).await.done(200);
        let seen = world.see(&order).await;
        assert_eq!((&seen["items"][0]["returned"], &seen["items"][0]["refunded"]), (&json!(1), &json!(0)));
        let paid = world.take(&order).await;
        assert_eq!((&paid["payments"][0]["captured"], at(&paid, "/status")), (&eur("24.90"), "completed"));
        assert_eq!((&paid["payments"][0]["refunded"], &paid["refunds"]), (&eur("0.00"), &json!([])));

        let order = world.order(offline).await;
        world.deliver(&order).await;
        let back = world.returned(&order, 2).await;
        let free = json!({ "status": "received", "refund": eur("44.90") });
        world.admin.patch(&back, free).await.done(200);
        let ended = world.see(&order).await;
        assert_eq!((at(&ended, "/status"), at(&ended, "/payment_status")), ("completed", "voided"), "nothing is owed");
        let order = world.order(offline).await;
        world.deliver(&order).await;
        let back = world.returned(&order, 2).await;
        world.admin.patch(&back, json!({ "status": "received" })).await.done(200);
        assert_eq!(world.take(&order).await["payments"][0]["captured"], eur("4.90"), "the shipping stays owed");
    }
    world.server.assert_verified();
}

#[tokio::test]
async fn a_capture_takes_what_is_owed_or_a_part_of_it() {
    let world = World::new().await;
    let order = world.order(false).await;
    let (capture, refunds) =
        (format!("/v1/admin/orders/{}/capture", id(&order)), format!("/v1/admin/orders/{}/refunds", id(&order)));
    let take = |amount: Value| json!({ "amount": amount });
    world.mia.post(&capture, take(eur("1.00"))).await.refused(403, "forbidden");
    let over = world.admin.post(&capture, take(eur("44.91"))).await.refused(409, "capture_exceeds_owed");
    assert_eq!(over["left"], eur("44.90"));
    world.admin.post(&capture, take(eur("0.00"))).await.refused_at(422, "out_of_range", "/amount");
    world.admin.post(&capture, take(eur("1.0"))).await.refused_at(422, "invalid_amount", "/amount/amount");
    world.admin.post(&capture, take(Value::Null)).await.refused_at(422, "invalid_type", "/amount");
    let dollars = json!({ "amount": "1.00", "currency": "USD" });
    world.admin.post(&capture, take(dollars)).await.refused_at(422, "currency_mismatch", "/amount/currency");
    assert_eq!(at(&world.see(&order).await, "/payment_status"), "authorized");
    let paid = world.admin.post(&capture, take(eur("30.00"))).await.expect(200);
    assert_eq!((&paid["payments"][0]["captured"], at(&paid, "/payment_status")), (&eur("30.00"), "paid"));
    world.admin.post_empty(&capture).await.refused(409, "nothing_to_capture");
    let over = json!({ "amount": eur("30.01"), "reason": "x", "restock": false });
    world.admin.post(&refunds, over).await.refused(409, "refund_exceeds_captured");
    let cancel = json!({ "items": world.items(1), "restock": false });
    let less = world.admin.post(&format!("/v1/admin/orders/{}/cancel", id(&order)), cancel).await.expect(200);
    assert_eq!(less["payments"][0]["refunded"], eur("5.10"), "24.90 are kept for what is kept");
    assert_eq!(world.on_hand().await, 8, "it didn't go back into stock");
    world.server.assert_verified();
}

#[tokio::test]
async fn an_empty_list_or_null_is_not_everything() {
    let world = World::new().await;
    let order = world.order(false).await;
    world.take(&order).await;
    let path = |of: &str| format!("/v1/admin/orders/{}/{of}", id(&order));
    let parcel = json!({ "carrier": "DHL", "tracking_number": "1" });
    let refund = json!({ "reason": "x", "restock": false });
    for (path, body) in [(path("refunds"), refund), (path("cancel"), json!({})), (path("fulfilments"), parcel)] {
        for (items, code) in [(json!([]), "required"), (Value::Null, "invalid_type")] {
            let mut body = body.clone();
            body["items"] = items;
            world.admin.post(&path, body).await.refused_at(422, code, "/items");
        }
    }
    let null = json!({ "amount": null, "reason": "x", "restock": false });
    world.admin.post(&path("refunds"), null).await.refused_at(422, "invalid_type", "/amount");
    let unchanged = world.see(&order).await;
    assert_eq!((at(&unchanged, "/status"), at(&unchanged, "/payment_status")), ("confirmed", "paid"));
    assert_eq!((&unchanged["fulfilments"], &unchanged["refunds"]), (&json!([]), &json!([])));
    world.deliver(&order).await;
    let returns = format!("/v1/orders/{}/returns", id(&order));
    for (items, code) in [(json!([]), "required"), (Value::Null, "invalid_type")] {
        world.mia.post(&returns, json!({ "items": items, "reason": "x" })).await.refused_at(422, code, "/items");
    }
}

#[tokio::test]
async fn what_was_refunded_is_not_shipped() {
    let world = World::new().await;
    for restock in [false, true] {
        let before = world.on_hand().await;
        let order = world.order(false).await;
        world.take(&order).await;
        let refunds = format!("/v1/admin/orders/{}/refunds", id(&order));
        let one = json!({ "items": world.items(1), "reason": "sold out", "restock": restock });
        world.admin.post(&refunds, one).await.done(201);
        let parcel = world.pack(&order).await;
        assert_eq!(parcel["items"], world.items(1), "the other one is left out");
        let rest = json!({ "reason": "all of it", "restock": restock });
        assert_eq!(world.admin.post(&refunds, rest).await.expect(201)["amount"], eur("24.90"));
        let seen = world.see(&order).await;
        assert_eq!((at(&seen, "/status"), at(&seen, "/payment_status")), ("cancelled", "refunded"));
        let shipped = json!({ "status": "shipped" });
        world
            .admin
            .patch(&format!("/v1/admin/fulfilments/{}", id(&parcel)), shipped)
            .await
            .refused(409, "invalid_state");
        let again = json!({ "carrier": "DHL", "tracking_number": "2" });
        let path = format!("/v1/admin/orders/{}/fulfilments", id(&order));
        world.admin.post(&path, again).await.refused(409, "invalid_state");
        assert_eq!(world.on_hand().await, if restock { before } else { before - 2 });
    }
    world.server.assert_verified();
}

#[tokio::test]
async fn a_parcel_that_nobody_took_is_shipped_again_or_cancelled() {
    let world = World::new().await;
    let order = world.order(true).await;
    let (cancel, parcel) = (format!("/v1/admin/orders/{}/cancel", id(&order)), world.pack(&order).await);
    let path = format!("/v1/admin/fulfilments/{}", id(&parcel));
    let back = json!({ "status": "returned_to_sender" });
    world.admin.patch(&path, back.clone()).await.refused(409, "invalid_state");
    world.patch(&parcel, json!({ "status": "shipped" })).await;
    let wrong = json!({ "status": "delivered", "restock": true });
    world.admin.patch(&path, wrong).await.refused_at(422, "not_applicable", "/restock");
    world.admin.post_empty(&cancel).await.refused(409, "already_shipped");
    assert_eq!(at(&world.patch(&parcel, back.clone()).await, "/status"), "returned_to_sender");
    assert_eq!(world.on_hand().await, 10);
    let seen = world.see(&order).await;
    assert_eq!((at(&seen, "/fulfilment_status"), &seen["actions"]), ("unfulfilled", &json!(["cancel"])));
    let tracking = world.mia.get(&format!("/v1/orders/{}/tracking", id(&order))).await.expect(200);
    let events: Vec<_> = tracking["timeline"].as_array().expect("a timeline").iter().map(|e| at(e, "/event")).collect();
    assert_eq!(events.last(), Some(&"fulfilment_returned_to_sender"));

    // Somebody else was faster than the second parcel.
    let stock = format!("/v1/admin/inventory/{}", world.variant);
    world.admin.put(&stock, json!({ "on_hand": 1 })).await.done(200);
    let parcels = format!("/v1/admin/orders/{}/fulfilments", id(&order));
    let again = json!({ "carrier": "DHL", "tracking_number": "2" });
    let short = world.admin.post(&parcels, again.clone()).await.refused(409, "out_of_stock");
    assert_eq!((at(&short, "/variant_id"), &short["available"]), (world.variant.as_str(), &json!(1)));
    world.admin.put(&stock, json!({ "on_hand": 2 })).await.done(200);
    let second = world.admin.post(&parcels, again).await.expect(201);
    assert_eq!(world.on_hand().await, 0, "they are taken from the shelf once more");
    world.patch(&second, json!({ "status": "shipped" })).await;
    world.patch(&second, json!({ "status": "returned_to_sender", "restock": false })).await;
    assert_eq!(world.on_hand().await, 0, "they are kept apart");
    let ended = world.admin.post_empty(&cancel).await.expect(200);
    assert_eq!((at(&ended, "/status"), at(&ended, "/payment_status")), ("cancelled", "voided"));
    assert_eq!(world.on_hand().await, 2);

    world.admin.put(&stock, json!({ "on_hand": 10 })).await.done(200);
    let order = world.order(false).await;
    let parcel = world.pack(&order).await;
    world.patch(&parcel, json!({ "status": "shipped" })).await;
    world.patch(&parcel, back).await;
    let ended = world.mia.post_empty(&format!("/v1/orders/{}/cancel", id(&order))).await.expect(200);
    assert_eq!((at(&ended, "/status"), at(&ended, "/payment_status")), ("cancelled", "voided"));
    assert_eq!(world.on_hand().await, 10, "each unit is back once");
    world.server.assert_verified();
}

#[tokio::test]
async fn staff_choose_what_becomes_of_a_return() {
    let world = World::new().await;
    let order = world.order(false).await;
    world.deliver(&order).await;
    world.take(&order).await;
    let first = world.returned(&order, 1).await;
    for (body, code, pointer) in [
        (json!({ "status": "approved", "restock": false }), "not_applicable", "/restock"),
        (json!({ "status": "rejected", "refund": "none" }), "not_applicable", "/refund"),
        (json!({ "status": "received", "refund": "half" }), "invalid_value", "/refund"),
        (json!({ "status": "received", "refund": null }), "invalid_type", "/refund"),
        (json!({ "status": "received", "refund": { "amount": "1.00" } }), "required", "/refund/currency"),
        (json!({ "status": "received", "refund": eur("0.00") }), "out_of_range", "/refund/amount"),
        (json!({ "status": "received", "refund": eur("1.0") }), "invalid_amount", "/refund/amount"),
    ] {
        world.admin.patch(&first, body).await.refused_at(422, code, pointer);
    }
    let over = json!({ "status": "received", "refund": eur("44.91") });
    world.admin.patch(&first, over).await.refused(409, "refund_exceeds_captured");
    let part = json!({ "status": "received", "restock": false, "refund": eur("15.00") });
    world.admin.patch(&first, part).await.done(200);
    let seen = world.see(&order).await;
    assert_eq!((&seen["payments"][0]["refunded"], world.on_hand().await), (&eur("15.00"), 8));
    let second = world.returned(&order, 1).await;
    world.admin.patch(&second, json!({ "status": "received", "refund": "none" })).await.done(200);
    let seen = world.see(&order).await;
    assert_eq!((&seen["payments"][0]["refunded"], world.on_hand().await), (&eur("15.00"), 9));
    assert_eq!((at(&seen, "/fulfilment_status"), &seen["items"][0]["returned"]), ("returned", &json!(2)));
    world.server.assert_verified();
}

#[tokio::test]
async fn tracking_can_be_corrected() {
    let world = World::new().await;
    let order = world.order(false).await;
    let parcel = world.pack(&order).await;
    let path = format!("/v1/admin/fulfilments/{}", id(&parcel));
    for (body, code, pointer) in [
        (json!({ "carrier": "" }), "required", "/carrier"),
        (json!({ "carrier": null }), "invalid_type", "/carrier"),
        (json!({ "tracking_number": "x".repeat(101) }), "too_long", "/tracking_number"),
        (json!({ "tracking_url": "javascript:alert(1)" }), "invalid_url", "/tracking_url"),
        (json!({ "status": null }), "invalid_type", "/status"),
        (json!({ "status": "shipped", "carrier": " " }), "required", "/carrier"),
    ] {
        world.admin.patch(&path, body).await.refused_at(422, code, pointer);
    }
    assert_eq!(world.patch(&parcel, json!({})).await, parcel, "nothing is asked, nothing is changed");
    let both = json!({ "status": "shipped", "tracking_number": "2", "tracking_url": "https://track.example.com/2" });
    let sent = world.patch(&parcel, both).await;
    assert_eq!((at(&sent, "/status"), at(&sent, "/carrier"), at(&sent, "/tracking_number")), ("shipped", "DHL", "2"));
    world.server.mail("mia@example.com", "2").await;
    let corrected = world.patch(&parcel, json!({ "carrier": "GLS", "tracking_url": null })).await;
    assert_eq!((at(&corrected, "/status"), at(&corrected, "/carrier")), ("shipped", "GLS"));
    assert_eq!(corrected["tracking_url"], Value::Null);
    let tracking = world.mia.get(&format!("/v1/orders/{}/tracking", id(&order))).await.expect(200);
    assert_eq!(tracking["fulfilments"][0], corrected);
    let last = tracking["timeline"].as_array().and_then(|timeline| timeline.last()).expect("a timeline");
    assert_eq!(at(last, "/event"), "fulfilment_corrected");
}
