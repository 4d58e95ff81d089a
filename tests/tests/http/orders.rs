//! After the sale: parcels, tracking, cancelling, returns, refunds, offline payments.

use commerce_tests::http::{Client, Server, address, at, id};
use serde_json::{Value, json};

use crate::BACKEND;

fn eur(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

struct World {
    server: Server,
    admin: Client,
    mia: Client,
    variant: String,
}

impl World {
    async fn new() -> Self {
        let server = Server::start(BACKEND).await;
        let (admin, mia) = (server.admin().await, server.customer("mia").await);
        let product = server.product(&admin, "MUG", "10.00", 10).await;
        let variant = at(&product, "/variants/0/id").to_owned();
        Self { server, admin, mia, variant }
    }

    fn items(&self, quantity: i64) -> Value {
        json!([{ "variant_id": self.variant, "quantity": quantity }])
    }

    async fn order(&self, quantity: i64) -> Value {
        self.server.order(&self.mia, &self.variant, quantity).await
    }

    async fn on_hand(&self) -> i64 {
        let stock = self.admin.get(&format!("/v1/admin/inventory/{}", self.variant)).await.expect(200);
        assert_eq!(stock["reserved"], 0);
        stock["on_hand"].as_i64().expect("a number")
    }

    async fn ship(&self, parcel: &Value) {
        let path = format!("/v1/admin/fulfilments/{}", id(parcel));
        for status in ["shipped", "delivered"] {
            let parcel = self.admin.patch(&path, json!({ "status": status })).await.expect(200);
            assert_eq!(at(&parcel, "/status"), status);
        }
    }
}

#[tokio::test]
async fn an_order_is_shipped_in_parcels_and_tracked() {
    let world = World::new().await;
    let order = world.order(3).await;
    let (path, admin_path) = (format!("/v1/orders/{}", id(&order)), format!("/v1/admin/orders/{}", id(&order)));
    let parcels = format!("{admin_path}/fulfilments");
    world.mia.post(&parcels, json!({})).await.refused(403, "forbidden");

    let body = json!({ "items": world.items(1), "carrier": "DHL", "tracking_number": "1Z",
        "tracking_url": "https://track.example.com/1Z" });
    let parcel = world.admin.post(&parcels, body).await.expect(201);
    assert_eq!((at(&parcel, "/status"), at(&parcel, "/carrier")), ("pending", "DHL"));
    let too_many = json!({ "items": world.items(3), "carrier": "DHL", "tracking_number": "2Z" });
    world.admin.post(&parcels, too_many).await.refused(409, "quantity_exceeded");
    let badly = json!({ "carrier": "DHL", "tracking_number": "2Z", "tracking_url": "javascript:alert(1)" });
    assert_eq!(world.admin.post(&parcels, badly).await.status, 422);
    world.ship(&parcel).await;
    let seen = world.mia.get(&path).await.expect(200);
    assert_eq!(
        (at(&seen, "/fulfilment_status"), seen["items"][0]["fulfilled"].as_i64()),
        ("partially_shipped", Some(1))
    );
    world.mia.post_empty(&format!("{path}/cancel")).await.refused(409, "already_shipped");
    world.server.mail("mia@example.com", "1Z").await;

    let rest = json!({ "carrier": "DHL", "tracking_number": "3Z" });
    let rest = world.admin.post(&parcels, rest).await.expect(201);
    world.ship(&rest).await;
    let again = format!("/v1/admin/fulfilments/{}", id(&rest));
    world.admin.patch(&again, json!({ "status": "cancelled" })).await.refused(409, "invalid_state");
    world.admin.patch(&again, json!({ "status": "lost" })).await.refused_at(422, "invalid_value", "/status");
    let tracking = world.mia.get(&format!("{path}/tracking")).await.expect(200);
    let timeline = tracking["timeline"].as_array().expect("a timeline");
    assert!(timeline.is_sorted_by_key(|entry| at(entry, "/at").to_owned()) && timeline.len() >= 4, "{tracking}");
    assert_eq!(tracking["fulfilments"].as_array().map(Vec::len), Some(2));
    let done = world.mia.get(&path).await.expect(200);
    assert_eq!((at(&done, "/status"), at(&done, "/fulfilment_status")), ("completed", "delivered"));
    assert!(done["actions"].as_array().expect("actions").contains(&json!("return")));
    assert_eq!(world.on_hand().await, 7);
}

#[tokio::test]
async fn orders_are_listed_and_found() {
    let world = World::new().await;
    let first = world.order(1).await;
    let second = world.order(1).await;
    let page = world.mia.get("/v1/orders?limit=1&count=true").await.expect(200);
    assert_eq!((id(&page["items"][0]), page["total"].as_i64()), (id(&second), Some(2)));
    let next = world.mia.get(&format!("/v1/orders?limit=1&cursor={}", at(&page, "/next_cursor"))).await.expect(200);
    assert_eq!((id(&next["items"][0]), &next["next_cursor"]), (id(&first), &Value::Null));
    world.admin.post_empty(&format!("/v1/admin/orders/{}/cancel", id(&first))).await.done(200);

    let found = |query: String| {
        let admin = world.admin.clone();
        async move {
            let page = admin.get(&format!("/v1/admin/orders?{query}")).await.expect(200);
            page["items"].as_array().expect("items").iter().map(|order| id(order).to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(found("status=cancelled".into()).await, [id(&first)]);
    assert_eq!(found("payment_status=paid&fulfilment_status=unfulfilled&status=confirmed".into()).await, [id(&second)]);
    assert_eq!(found(format!("number={}", at(&second, "/number"))).await, [id(&second)]);
    assert_eq!(found("email=mia@example.com".into()).await.len(), 2);
    assert_eq!(found("email=noah@example.com".into()).await.len(), 0);
    assert_eq!(found("placed_after=2000-01-01T00:00:00Z&placed_before=2001-01-01T00:00:00Z".into()).await.len(), 0);
    assert_eq!(found("placed_after=2000-01-01T00:00:00Z".into()).await.len(), 2);
    world.admin.get("/v1/admin/orders?status=lost").await.refused(400, "invalid_parameter");
    world.admin.get("/v1/admin/orders?placed_after=yesterday").await.refused(400, "invalid_parameter");
}

#[tokio::test]
async fn delivered_goods_come_back() {
    let world = World::new().await;
    let order = world.order(3).await;
    let returns = format!("/v1/orders/{}/returns", id(&order));
    let body = |quantity: i64| json!({ "items": world.items(quantity), "reason": "too blue" });
    world.mia.post(&returns, body(1)).await.refused(409, "quantity_exceeded");
    let parcels = format!("/v1/admin/orders/{}/fulfilments", id(&order));
    let parcel = world.admin.post(&parcels, json!({ "carrier": "DHL", "tracking_number": "1" })).await.expect(201);
    world.ship(&parcel).await;

    world.mia.post(&returns, body(4)).await.refused(409, "quantity_exceeded");
    world.mia.post(&returns, json!({ "items": [], "reason": "x" })).await.refused_at(422, "required", "/items");
    let back = world.mia.post(&returns, body(2)).await.expect(201);
    assert_eq!(at(&back, "/status"), "requested");
    world.mia.post(&returns, body(2)).await.refused(409, "quantity_exceeded");
    let refused = world.mia.post(&returns, body(1)).await.expect(201);
    assert_eq!(world.mia.get(&returns).await.expect(200)["items"].as_array().map(Vec::len), Some(2));
    let open = world.admin.get("/v1/admin/returns?status=requested").await.expect(200);
    assert_eq!(open["items"].as_array().map(Vec::len), Some(2));

    let decide = |back: &Value, status: &str| {
        let path = format!("/v1/admin/returns/{}", id(back));
        let (admin, status) = (world.admin.clone(), status.to_owned());
        async move { admin.patch(&path, json!({ "status": status })).await }
    };
    decide(&refused, "rejected").await.done(200);
    decide(&refused, "approved").await.refused(409, "invalid_state");
    decide(&back, "approved").await.done(200);
    assert_eq!(at(&decide(&back, "received").await.expect(200), "/status"), "received");
    assert_eq!(world.on_hand().await, 9);
    let order = world.mia.get(&format!("/v1/orders/{}", id(&order))).await.expect(200);
    assert_eq!(at(&order, "/payment_status"), "partially_refunded");
    assert_eq!((&order["items"][0]["returned"], &order["items"][0]["refunded"]), (&json!(2), &json!(2)));
    assert_eq!(order["refunds"][0]["amount"], eur("20.00"));
}

#[tokio::test]
async fn money_goes_back_but_never_too_much() {
    let world = World::new().await;
    let order = world.order(3).await;
    let refunds = format!("/v1/admin/orders/{}/refunds", id(&order));
    let by_amount = |amount: &str| json!({ "amount": eur(amount), "reason": "sorry", "restock": false });
    world.mia.post(&refunds, by_amount("1.00")).await.refused(403, "forbidden");
    world.admin.post(&refunds, by_amount("30.01")).await.refused(409, "refund_exceeds_captured");
    let wrong = world.admin.post(&refunds, by_amount("0.00")).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text());
    let dollars = json!({ "amount": { "amount": "1.00", "currency": "USD" }, "reason": "x", "restock": false });
    world.admin.post(&refunds, dollars).await.refused(422, "currency_mismatch");

    let refund = world.admin.once("r1").post(&refunds, by_amount("5.00")).await.expect(201);
    assert_eq!((at(&refund, "/status"), &refund["amount"]), ("settled", &eur("5.00")));
    let again = world.admin.once("r1").post(&refunds, by_amount("5.00")).await;
    assert_eq!((id(&again.expect(201)), again.header("idempotency-replayed")), (id(&refund), "true"));
    world.admin.once("r1").post(&refunds, by_amount("6.00")).await.refused(422, "idempotency_key_reused");
    let items = json!({ "items": world.items(1), "reason": "dent", "restock": true });
    let refund = world.admin.post(&refunds, items).await.expect(201);
    assert_eq!((&refund["amount"], world.on_hand().await), (&eur("10.00"), 8));
    let half = world.admin.get(&format!("/v1/admin/orders/{}", id(&order))).await.expect(200);
    assert_eq!(at(&half, "/payment_status"), "partially_refunded");
    world.admin.post(&refunds, by_amount("15.01")).await.refused(409, "refund_exceeds_captured");
    world.admin.post(&refunds, json!({ "reason": "all of it", "restock": false })).await.done(201);
    world.admin.post(&refunds, by_amount("0.01")).await.refused(409, "refund_exceeds_captured");
    let order = world.mia.get(&format!("/v1/orders/{}", id(&order))).await.expect(200);
    assert_eq!(at(&order, "/payment_status"), "refunded");
    world
        .admin
        .post_empty(&format!("/v1/admin/orders/{}/capture", id(&order)))
        .await
        .refused(409, "nothing_to_capture");
}

#[tokio::test]
async fn staff_cancel_items_or_all() {
    let world = World::new().await;
    let order = world.order(3).await;
    let cancel = format!("/v1/admin/orders/{}/cancel", id(&order));
    let one = json!({ "items": world.items(1), "reason": "broken" });
    let order = world.admin.post(&cancel, one).await.expect(200);
    assert_eq!((at(&order, "/status"), at(&order, "/payment_status")), ("confirmed", "partially_refunded"));
    assert_eq!(world.on_hand().await, 8);
    let many = json!({ "items": world.items(3) });
    world.admin.post(&cancel, many).await.refused(409, "quantity_exceeded");
    let order = world.admin.post_empty(&cancel).await.expect(200);
    assert_eq!((at(&order, "/status"), at(&order, "/payment_status")), ("cancelled", "refunded"));
    assert_eq!(world.on_hand().await, 10);
    world.admin.post_empty(&cancel).await.refused(409, "invalid_state");
}

#[tokio::test]
async fn an_offline_payment_is_received_later() {
    let world = World::new().await;
    let items = json!({ "variant_id": world.variant, "quantity": 2 });
    world.mia.post("/v1/cart/items", items).await.done(200);
    let body = json!({ "shipping_address": address(), "payment": { "method": "manual" } });
    let order = world.mia.post("/v1/checkout", body).await.expect(201);
    assert_eq!(at(&order, "/payment_status"), "pending");
    let pending = world.admin.get("/v1/admin/payments?status=pending").await.expect(200);
    let payment = at(&order, "/payments/0/id");
    assert!(pending["items"].as_array().expect("items").iter().any(|found| id(found) == payment), "{pending}");
    let receive = format!("/v1/admin/payments/{payment}/receive");
    world.mia.post_empty(&receive).await.refused(403, "forbidden");
    let order = world.admin.post_empty(&receive).await.expect(200);
    assert_eq!((at(&order, "/status"), at(&order, "/payment_status")), ("confirmed", "paid"));
    world.admin.post_empty(&receive).await.refused(409, "not_awaited");
    assert_eq!(world.on_hand().await, 8);
    let by_card = world.order(1).await;
    let receive = format!("/v1/admin/payments/{}/receive", at(&by_card, "/payments/0/id"));
    world.admin.post_empty(&receive).await.refused(409, "not_awaited");
}
