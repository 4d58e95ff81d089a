//! Paying again, backing out, offline payments, refunds made at the provider: over HTTP.

use commerce_tests::http::{Client, Server, StripeProcess, address, at, card, id, stripe_card};
use serde_json::{Value, json};

use crate::BACKEND;

const SECURE: &str = "pm_card_threeDSecure2Required";
const DECLINED: &str = "pm_card_chargeDeclined";

fn by(method: &str, token: &str) -> Value {
    json!({ "payment": { "method": method, "token": token } })
}

async fn stock(admin: &Client, variant: &str) -> (i64, i64) {
    let stock = admin.get(&format!("/v1/admin/inventory/{variant}")).await.expect(200);
    (stock["on_hand"].as_i64().expect("a number"), stock["reserved"].as_i64().expect("a number"))
}

#[tokio::test]
async fn a_pending_order_is_paid_in_another_way() {
    let settings = [("COMMERCE_OFFLINE_INSTRUCTIONS", "Please pay to IBAN DE89 3704 0044 0532 0130 00.")];
    let server = Server::start_with(BACKEND, &settings, &[]).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    let variant = at(&product, "/variants/0/id");
    let methods = server.anyone().get("/v1/payment-methods").await.expect(200);
    let manual = methods.as_array().expect("a list").iter().find(|method| method["code"] == "manual").expect("manual");
    assert_eq!(at(manual, "/instructions"), settings[0].1);

    let guest = server.guest_with(variant, 1).await;
    let mut body = card(SECURE);
    body["email"] = json!("guest@example.com");
    let order = guest.post("/v1/checkout", body).await.expect(202);
    assert_eq!(order["actions"], json!(["cancel", "pay"]));
    let path = format!("/v1/orders/{}/payments", id(&order));
    let holder = server.anyone().with("x-order-token", at(&order, "/order_token"));
    server.anyone().post(&path, by("test", "pm_card_visa")).await.refused(401, "unauthenticated");
    holder.post(&path, by("gold", "x")).await.refused_at(422, "unknown_payment_method", "/payment/method");
    holder.post(&path, json!({})).await.refused(422, "required");
    let declined = holder.once("first").post(&path, by("test", DECLINED)).await.refused(402, "payment_declined");
    assert_eq!(at(&declined, "/decline_code"), "card_declined");
    assert_eq!(stock(&admin, variant).await, (9, 1), "the goods stay reserved");
    let pending = holder.get(&format!("/v1/orders/{}", id(&order))).await.expect(200);
    assert_eq!((at(&pending, "/status"), at(&pending, "/payment_status")), ("pending", "failed"));
    assert_eq!(
        (pending["actions"].clone(), pending["reserved_until"].clone()),
        (json!(["cancel", "pay"]), order["reserved_until"].clone())
    );
    let waits = holder.post(&path, by("test", SECURE)).await.expect(202);
    assert_eq!(waits["payments"].as_array().map(Vec::len), Some(3));
    let answer = holder.once("last").post(&path, json!({ "payment": { "method": "manual" } })).await;
    let placed = answer.expect(201);
    assert_eq!(answer.header("location"), format!("/v1/orders/{}", id(&order)));
    assert_eq!((at(&placed, "/status"), at(&placed, "/payment_status")), ("confirmed", "pending"));
    assert_eq!(at(&placed, "/payments/3/instructions"), settings[0].1);
    let again = holder.once("last").post(&path, json!({ "payment": { "method": "manual" } })).await;
    assert_eq!((id(&again.expect(201)), again.header("idempotency-replayed")), (id(&order), "true"));
    holder.post(&path, by("test", "pm_card_visa")).await.refused(409, "not_payable");
    assert_eq!(stock(&admin, variant).await, (8, 0));
    let mail = server.mail("guest@example.com", at(&order, "/number")).await;
    assert!(mail.contains("DE89 3704 0044 0532 0130 00"), "{mail}");
    server.assert_verified();
}

#[tokio::test]
async fn backing_out_gives_the_cart_back() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    let variant = at(&product, "/variants/0/id");
    mia.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 2 })).await.done(200);
    let order = mia.post("/v1/checkout", card(SECURE)).await.expect(202);
    assert_eq!(mia.get("/v1/cart").await.expect(200)["item_count"], 0);
    let cancelled = mia.post_empty(&format!("/v1/orders/{}/cancel", id(&order))).await.expect(200);
    assert_eq!((at(&cancelled, "/status"), cancelled["actions"].clone()), ("cancelled", json!([])));
    assert_eq!(mia.get("/v1/cart").await.expect(200)["item_count"], 2);
    mia.post("/v1/checkout", card("pm_card_visa")).await.done(201);
    assert_eq!(stock(&admin, variant).await, (7, 0));
    server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_at_stripe_is_booked_here() {
    let stripe = StripeProcess::start();
    let server = Server::start_with(BACKEND, &stripe.settings(), &[]).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    let item = json!({ "variant_id": at(&product, "/variants/0/id"), "quantity": 1 });
    mia.post("/v1/cart/items", item).await.done(200);
    let order = mia.post("/v1/checkout", stripe_card("pm_card_visa")).await.expect(201);
    let payment = at(&order, "/payments/0/id");
    let event = stripe.act(&format!("refund/{payment}/500")).await;
    let answers = futures_util::future::join_all((0..5).map(|_| server.deliver(&event))).await;
    answers.iter().for_each(|answer| answer.done(200));
    let path = format!("/v1/admin/orders/{}", id(&order));
    let booked = admin.get(&path).await.expect(200);
    assert_eq!(at(&booked, "/payment_status"), "partially_refunded");
    assert_eq!(booked["refunds"].as_array().map(Vec::len), Some(1));
    assert_eq!((at(&booked, "/refunds/0/origin"), at(&booked, "/refunds/0/status")), ("gateway", "settled"));
    assert_eq!(at(&booked, "/payments/0/refunded/amount"), "5.00");
    let alerts = admin.get("/v1/admin/alerts").await.expect(200);
    let told = alerts["items"].as_array().expect("a list").iter().filter(|alert| alert["kind"] == "payment_mismatch");
    assert_eq!(told.count(), 1);
    server.assert_verified();
    let rest =
        admin.post(&format!("{path}/refunds"), json!({ "reason": "the rest", "restock": false })).await.expect(201);
    assert_eq!((at(&rest, "/amount/amount"), at(&rest, "/origin")), ("14.90", "shop"));
    assert_eq!(at(&admin.get(&path).await.expect(200), "/payment_status"), "refunded");
    server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_total_that_stripe_cannot_take_is_refused() {
    let stripe = StripeProcess::start();
    let server = Server::start_with(BACKEND, &stripe.settings(), &[]).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "STICKER", "0.49", 9).await;
    let variant = at(&product, "/variants/0/id");
    mia.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await.done(200);
    let refused = mia.post("/v1/checkout", stripe_card("pm_card_visa")).await;
    let problem = refused.refused_at(422, "amount_not_payable", "/payment/method");
    assert!(at(&problem, "/detail").contains("0.50 EUR"), "{problem}");
    assert_eq!((stock(&admin, variant).await, stripe.ledger().await.len()), ((9, 0), 0));
    let body = json!({ "shipping_address": address(), "payment": { "method": "manual" } });
    mia.post("/v1/checkout", body).await.done(201);
}
