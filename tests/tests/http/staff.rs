//! Stock and its ledger, alerts, users.

use std::time::{Duration, Instant};

use commerce_tests::http::{Client, PASSWORD, Server, at, id};
use serde_json::{Value, json};

use crate::BACKEND;

#[tokio::test]
async fn stock_is_kept_with_a_ledger() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 10).await;
    let variant = at(&product, "/variants/0/id");
    let order = server.order(&mia, variant, 2).await;
    let path = format!("/v1/admin/inventory/{variant}");
    let (adjustments, movements) = (format!("{path}/adjustments"), format!("{path}/movements"));

    let adjusted = json!({ "delta": -3, "reason": "broken" });
    let first = admin.once("a1").post(&adjustments, adjusted.clone()).await;
    assert_eq!(first.json()["on_hand"], 5, "{}", first.text());
    let again = admin.once("a1").post(&adjustments, adjusted).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (first.status, "true"));
    admin.post(&adjustments, json!({ "delta": -6, "reason": "x" })).await.refused(409, "below_reserved");
    assert_eq!(admin.post(&adjustments, json!({ "delta": 0, "reason": "x" })).await.status, 422);
    assert_eq!(admin.post(&adjustments, json!({ "delta": i64::MAX, "reason": "x" })).await.status, 422);
    let set = admin.put(&path, json!({ "on_hand": 8, "low_stock_threshold": 4 })).await.expect(200);
    assert_eq!((set["on_hand"].as_i64(), set["low_stock_threshold"].as_i64()), (Some(8), Some(4)));
    assert_eq!(admin.put(&path, json!({ "on_hand": -1 })).await.status, 422);

    let ledger = admin.get(&movements).await.expect(200);
    let ledger = ledger["items"].as_array().expect("items");
    assert_eq!((&ledger[0]["delta"], &ledger[0]["on_hand_after"]), (&json!(3), &json!(8)), "newest first");
    assert_eq!((&ledger[1]["delta"], at(&ledger[1], "/kind")), (&json!(-3), "adjustment"));
    let sale = ledger.iter().find(|movement| movement["kind"] == "sale").expect("the sale");
    assert_eq!((&sale["delta"], at(sale, "/order_id")), (&json!(-2), id(&order)));
    let nowhere = "/v1/admin/inventory/01890000-0000-7000-8000-000000000000";
    admin.get(nowhere).await.refused(404, "not_found");
    admin.put(nowhere, json!({ "on_hand": 1 })).await.refused(404, "not_found");
    admin.get("/v1/admin/inventory/x/movements").await.refused(404, "not_found");
}

/// This many alerts. The worker raises them, so they may take a moment.
async fn alerts(admin: &Client, many: usize) -> Vec<Value> {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let page = admin.get("/v1/admin/alerts").await.expect(200);
        let alerts = page["items"].as_array().expect("items");
        if alerts.len() == many {
            return alerts.clone();
        }
        assert!(alerts.len() < many && Instant::now() < end, "not {many} alerts: {alerts:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn low_stock_alerts_once_a_crossing() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 6).await;
    let variant = at(&product, "/variants/0/id");
    let path = format!("/v1/admin/inventory/{variant}");
    admin.put(&path, json!({ "low_stock_threshold": 4 })).await.done(200);
    assert!(alerts(&admin, 0).await.is_empty());
    for _ in 0..3 {
        server.order(&mia, variant, 1).await;
    }
    let raised = alerts(&admin, 1).await;
    assert_eq!((at(&raised[0], "/kind"), at(&raised[0], "/variant_id")), ("low_stock", variant));
    server.mail("admin@example.com", "MUG").await;
    let low = admin.get("/v1/admin/inventory?low_stock=true&q=mug").await.expect(200);
    assert_eq!(low["items"].as_array().map(Vec::len), Some(1));
    let acknowledge = format!("/v1/admin/alerts/{}/acknowledge", id(&raised[0]));
    assert!(admin.post_empty(&acknowledge).await.expect(200)["acknowledged_at"].is_string());
    admin.put(&path, json!({ "on_hand": 6 })).await.done(200);
    server.order(&mia, variant, 3).await;
    alerts(&admin, 2).await;
    let nobody = "/v1/admin/alerts/01890000-0000-7000-8000-000000000000/acknowledge";
    admin.post_empty(nobody).await.refused(404, "not_found");
}

#[tokio::test]
async fn admins_give_roles_and_lock_people_out() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let support = server.staff(&admin, "support").await;
    let found = admin.get("/v1/admin/users?q=mia").await.expect(200);
    assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{found}");
    let path = format!("/v1/admin/users/{}", id(&found["items"][0]));
    let staff = support.get("/v1/admin/users?role=support").await.expect(200);
    assert_eq!(at(&staff, "/items/0/email"), "support@example.com");
    support.patch(&path, json!({ "role": "admin" })).await.refused(403, "forbidden");
    admin.patch(&path, json!({ "role": "king" })).await.refused_at(422, "invalid_value", "/role");
    admin.patch(&path, json!({ "email": "x@example.com" })).await.refused_at(422, "unknown_field", "/email");

    assert_eq!(admin.patch(&path, json!({ "disabled": true })).await.expect(200)["disabled"], true);
    assert_eq!(mia.get("/v1/me").await.status, 401, "a lock takes effect at once");
    let login = json!({ "email": "mia@example.com", "password": PASSWORD });
    assert_eq!(server.anyone().post("/v1/auth/login", login).await.status, 401);
    admin.patch(&path, json!({ "disabled": false })).await.done(200);
    server.login("mia@example.com").await;

    let own = admin.get("/v1/me").await.expect(200);
    let own = format!("/v1/admin/users/{}", id(&own));
    admin.patch(&own, json!({ "role": "customer" })).await.refused(409, "last_admin");
}
