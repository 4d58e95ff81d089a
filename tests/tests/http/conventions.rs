//! What holds for every route: problem documents, conditional requests, idempotency, headers.

use commerce_tests::http::{Client, Server, at, card, id};
use serde_json::{Value, json};

use crate::BACKEND;

async fn body_of(client: &Client, media: &str, bytes: &[u8]) -> commerce_tests::http::Response {
    client.send("POST", "/v1/auth/login", Some((media, bytes.to_vec()))).await
}

#[tokio::test]
async fn every_refusal_is_a_problem_document() {
    let server = Server::start(BACKEND).await;
    let anyone = server.anyone();
    anyone.get("/v1/none-such").await.refused(404, "not_found");
    let wrong = anyone.send("PATCH", "/v1/products", None).await;
    wrong.refused(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "GET, HEAD, OPTIONS");
    let wrong = anyone.get("/v1/checkout").await;
    wrong.refused(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), "POST, OPTIONS");

    body_of(&anyone, "text/plain", b"{}").await.refused(415, "unsupported_media_type");
    body_of(&anyone, "application/json", b"{\"email\":").await.refused(400, "malformed_json");
    body_of(&anyone, "application/json", b"\xff\xfe").await.refused(400, "malformed_json");
    body_of(&anyone, "application/json", b"").await.refused(400, "malformed_json");
    body_of(&anyone, "application/json", b"[1]").await.refused(422, "invalid_type");
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    body_of(&anyone, "application/json", &deep).await.refused(400, "malformed_json");
    let large = json!({ "email": "a".repeat(3_000_000), "password": "x" }).to_string();
    let answer = anyone.try_send("POST", "/v1/auth/login", Some(("application/json", large.into_bytes()))).await;
    answer.expect("an answer before the connection ends").refused(413, "payload_too_large");
    let charset = body_of(&anyone, "application/json; charset=utf-8", b"{}").await;
    charset.refused_at(422, "required", "/email");
}

#[tokio::test]
async fn a_bad_value_is_named_and_told_what_it_must_be() {
    let server = Server::start(BACKEND).await;
    let (anyone, admin) = (server.anyone(), server.admin().await);
    let product = server.product(&admin, "MUG", "19.90", 1).await;
    let (variant, path) = (at(&product, "/variants/0/id"), format!("/v1/admin/products/{}", id(&product)));
    let item = |variant: Value, quantity: Value| json!({ "variant_id": variant, "quantity": quantity });
    for (answer, code, pointer, detail) in [
        (
            anyone.post("/v1/cart/items", item(json!("mug"), json!(1))).await,
            "invalid_value",
            "/variant_id",
            "must be a UUID",
        ),
        (
            anyone.post("/v1/cart/items", item(json!(7), json!(1))).await,
            "invalid_type",
            "/variant_id",
            "must be a UUID",
        ),
        (
            anyone.post("/v1/cart/items", item(json!(variant), json!("1"))).await,
            "invalid_type",
            "/quantity",
            "must be a whole number",
        ),
        (
            admin.patch(&path, json!({ "category_ids": [id(&product), "kitchen"] })).await,
            "invalid_value",
            "/category_ids/1",
            "must be a UUID",
        ),
        (admin.patch(&path, json!({ "title": null })).await, "invalid_type", "/title", "must be a string"),
        (
            admin.patch(&path, json!({ "status": "sold" })).await,
            "invalid_value",
            "/status",
            "must be one of draft, active, archived, not 'sold'",
        ),
    ] {
        let problem = answer.refused_at(422, code, pointer);
        assert_eq!(problem["errors"][0]["detail"], detail, "{problem}");
        assert_eq!(problem["detail"], format!("{pointer}: {detail}"));
    }
}

#[tokio::test]
async fn checks_run_in_their_order() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 1).await;
    let path = format!("/v1/admin/products/{}", id(&product));
    let missing = "/v1/admin/products/01890000-0000-7000-8000-000000000000";
    let junk = |client: &Client, path: &str, media: &str, body: &str| {
        let (client, path) = (client.with("if-match", "\"999-0\""), path.to_owned());
        let body = (media.to_owned(), body.as_bytes().to_vec());
        async move { client.send("PATCH", &path, Some((&body.0, body.1))).await.status }
    };
    let (json, text) = ("application/json", "text/plain");
    assert_eq!(junk(&server.anyone(), missing, text, "{").await, 401);
    assert_eq!(junk(&mia, missing, text, "{").await, 403);
    assert_eq!(junk(&admin, missing, text, "{").await, 404);
    assert_eq!(junk(&admin, &path, text, "{").await, 415);
    assert_eq!(junk(&admin, &path, json, "{").await, 400);
    assert_eq!(junk(&admin, &path, json, r#"{"titel": 1}"#).await, 422);
    assert_eq!(junk(&admin, &path, json, r#"{"title": "Pot"}"#).await, 412);
    for malformed in ["x", "01890000", "01890000-0000-7000-8000-00000000000g"] {
        admin.patch(&format!("/v1/admin/products/{malformed}"), json!({})).await.refused(404, "not_found");
        mia.get(&format!("/v1/orders/{malformed}")).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_key_makes_a_repeated_call_have_its_effect_once() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    let variant = at(&product, "/variants/0/id");
    let item = json!({ "variant_id": variant, "quantity": 2 });
    let first = mia.once("k1").post("/v1/cart/items", item.clone()).await;
    assert_eq!((first.expect(200)["item_count"].as_i64(), first.header("idempotency-replayed")), (Some(2), ""));
    let again = mia.once("k1").post("/v1/cart/items", item.clone()).await;
    assert_eq!((again.expect(200)["item_count"].as_i64(), again.header("idempotency-replayed")), (Some(2), "true"));
    let other = json!({ "variant_id": variant, "quantity": 3 });
    mia.once("k1").post("/v1/cart/items", other).await.refused(422, "idempotency_key_reused");
    let noah = server.customer("noah").await;
    let his = noah.once("k1").post("/v1/cart/items", item).await;
    assert_eq!(his.header("idempotency-replayed"), "", "keys are the caller's own");

    let pay = mia.once("k2");
    pay.post("/v1/checkout", json!({ "payment": { "method": "test" } })).await.refused(422, "required");
    let order = pay.post("/v1/checkout", card("pm_card_visa")).await;
    let again = pay.post("/v1/checkout", card("pm_card_visa")).await;
    assert_eq!((id(&order.expect(201)), again.header("idempotency-replayed")), (id(&again.expect(201)), "true"));
    assert_eq!(mia.get("/v1/orders").await.expect(200)["items"].as_array().map(Vec::len), Some(1));

    let body = json!({ "name": "Kitchen" });
    let made = admin.once("k3").post("/v1/admin/categories", body.clone()).await.expect(201);
    let again = admin.once("k3").post("/v1/admin/categories", body.clone()).await;
    assert_eq!((id(&again.expect(201)), again.header("idempotency-replayed")), (id(&made), "true"));
    let long = admin.once(&"k".repeat(256)).post("/v1/admin/categories", body).await;
    assert_eq!(long.status, 400, "{}", long.text());
}

#[tokio::test]
async fn one_of_many_parallel_calls_with_a_key_has_the_effect() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    let item = json!({ "variant_id": at(&product, "/variants/0/id"), "quantity": 1 });
    mia.post("/v1/cart/items", item).await.done(200);
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let mia = mia.once("same");
            tokio::spawn(async move { mia.post("/v1/checkout", card("pm_card_visa")).await })
        })
        .collect();
    let (mut orders, mut busy) = (Vec::new(), 0);
    for call in calls {
        let answer = call.await.expect("a call");
        match answer.status {
            201 => orders.push(id(&answer.json()).to_owned()),
            _ => {
                answer.refused(409, "idempotency_in_progress");
                busy += 1;
            }
        }
    }
    orders.dedup();
    assert_eq!(orders.len(), 1, "{busy} were told to wait");
    assert_eq!(mia.get("/v1/orders").await.expect(200)["items"].as_array().map(Vec::len), Some(1));

    let refunds = format!("/v1/admin/orders/{}/refunds", orders[0]);
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let (admin, refunds) = (admin.once("same"), refunds.clone());
            tokio::spawn(async move { admin.post(&refunds, json!({ "reason": "all", "restock": false })).await })
        })
        .collect();
    let mut refunded = Vec::new();
    for call in calls {
        refunded.push(id(&call.await.expect("a call").expect(201)).to_owned());
    }
    refunded.dedup();
    assert_eq!(refunded.len(), 1, "one refund, answered ten times");
}

#[tokio::test]
async fn entity_tags_save_transfers_and_guard_writes() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    let variant = at(&product, "/variants/0/id");
    let order = server.order(&mia, variant, 1).await;
    mia.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await.done(200);
    for path in [
        format!("/v1/products/{}", id(&product)),
        "/v1/cart".to_owned(),
        "/v1/me".to_owned(),
        format!("/v1/orders/{}", id(&order)),
    ] {
        let tag = mia.get(&path).await.header("etag").to_owned();
        assert!(tag.starts_with('"') || tag.starts_with("W/\""), "{path}: {tag}");
        let known = mia.with("if-none-match", &tag).get(&path).await;
        assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, &*tag), "{path}");
        mia.with("if-none-match", "\"0-other\"").get(&path).await.done(200);
    }

    let path = format!("/v1/admin/products/{}", id(&product));
    let tag = admin.get(&path).await.header("etag").to_owned();
    let guarded = admin.with("if-match", &tag);
    guarded.patch(&path, json!({ "title": "Pot" })).await.done(200);
    guarded.patch(&path, json!({ "title": "Pan" })).await.refused(412, "version_mismatch");
    guarded.delete(&path).await.refused(412, "version_mismatch");
    assert_eq!(admin.get(&path).await.expect(200)["title"], "Pot");
    let tag = mia.get("/v1/cart").await.header("etag").to_owned();
    let cart = mia.with("if-match", &tag);
    cart.patch(&format!("/v1/cart/items/{variant}"), json!({ "quantity": 2 })).await.done(200);
    cart.patch(&format!("/v1/cart/items/{variant}"), json!({ "quantity": 3 })).await.refused(412, "version_mismatch");
    cart.delete("/v1/cart").await.refused(412, "version_mismatch");
    assert_eq!(mia.get("/v1/cart").await.expect(200)["item_count"], 2);
}

#[tokio::test]
async fn answers_carry_their_headers() {
    let server = Server::start_with(BACKEND, &[("COMMERCE_CORS_ORIGINS", "https://shop.example")], &["--demo"]).await;
    let anyone = server.anyone();
    let answer = anyone.with("x-request-id", "mine-1").get("/v1/products").await;
    assert_eq!(answer.header("x-request-id"), "mine-1");
    assert_ne!(anyone.with("x-request-id", "a b\tc").get("/v1/cart").await.header("x-request-id"), "a b\tc");
    for path in ["/v1/products", "/v1/cart", "/v1/none-such"] {
        let answer = anyone.get(path).await;
        assert!(answer.header("x-request-id").len() >= 16, "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("x-frame-options"), "DENY", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert!(answer.header("content-security-policy").contains("frame-ancestors 'none'"), "{path}");
    }
    assert_eq!(anyone.get("/v1/cart").await.header("cache-control"), "no-store");

    let head = anyone.send("HEAD", "/v1/products", None).await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    let options = anyone.send("OPTIONS", "/v1/cart/items", None).await;
    assert_eq!((options.status, options.header("allow")), (204, "POST, OPTIONS"));

    let page = anyone.with("origin", "https://shop.example");
    let preflight = page.with("access-control-request-method", "POST").send("OPTIONS", "/v1/cart/items", None).await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), "https://shop.example");
    assert!(preflight.header("access-control-allow-headers").contains("X-Cart-Token"));
    let exposed = page.get("/v1/products").await.header("access-control-expose-headers").to_owned();
    for name in
        ["X-Cart-Token", "X-Order-Token", "ETag", "Location", "Retry-After", "X-Request-Id", "Idempotency-Replayed"]
    {
        assert!(exposed.contains(name), "{name}: {exposed}");
    }
    let stranger = anyone.with("origin", "https://evil.example").get("/v1/products").await;
    assert_eq!(stranger.header("access-control-allow-origin"), "");

    for encoding in ["gzip", "br"] {
        let answer = anyone.with("accept-encoding", encoding).get("/v1/products?limit=50").await;
        assert_eq!(answer.header("content-encoding"), encoding);
        assert!(answer.headers.get_all("vary").iter().any(|value| value == "Accept-Encoding"));
        let small = anyone.with("accept-encoding", encoding).get("/v1/cart").await;
        assert_eq!(small.header("content-encoding"), "", "too small to be worth it");
    }
}

#[tokio::test]
async fn the_server_tells_how_it_is() {
    let server = Server::start(BACKEND).await;
    let anyone = server.anyone();
    anyone.get("/v1/products").await.done(200);
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(anyone.get(path).await.status, 200, "{path}");
    }
    let metrics = anyone.get("/metrics").await.text();
    assert!(metrics.contains("/v1/products") && metrics.contains("# TYPE"), "{metrics}");
    let docs = anyone.get("/docs").await;
    assert!(docs.header("content-type").starts_with("text/html"), "{}", docs.header("content-type"));
    assert!(anyone.get("/openapi.yaml").await.text().contains("openapi: "));
}

/// The document that clients are generated from: a change must be meant. `UPDATE_OPENAPI=1` accepts it.
#[tokio::test]
async fn the_specification_is_the_one_checked_in() {
    let server = Server::start(BACKEND).await;
    let document = server.anyone().get("/openapi.json").await.expect(200);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let pretty = format!("{document:#}\n");
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        std::fs::write(path, &pretty).expect("the snapshot is written");
    }
    let kept = std::fs::read_to_string(path).expect("tests/openapi.json is there");
    let line = kept.lines().zip(pretty.lines()).position(|(kept, now)| kept != now);
    assert!(
        serde_json::from_str::<Value>(&kept).expect("JSON") == document,
        "the specification has changed from line {:?} of tests/openapi.json on: UPDATE_OPENAPI=1 accepts it",
        line.map(|line| line + 1),
    );
}
