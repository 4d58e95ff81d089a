//! Every problem that the specification lists for an operation does come: all of them are provoked here, but for those of
//! [`ELSEWHERE`]. That no other comes, the client sees to in every journey.

use std::collections::BTreeSet;

use commerce_tests::http::{
    Client, PASSWORD, Response, Server, address, at, card,
    contract::{Problem, listed, problem},
    id,
};
use serde_json::{Value, json};

use super::access::{Who, World, routes, shape};
use crate::BACKEND;

/// Problems that need what one server with a healthy database and two readers can't show, and where they are shown.
const ELSEWHERE: &[(&str, &[&str], &str)] = &[
    ("*", &["internal_error"], "a bug: the stack's unit tests raise it"),
    (
        "*",
        &["unavailable", "unknown_outcome", "contended", "timeout"],
        "databases that are away or busy: http_database_away",
    ),
    ("*", &["incomplete_body", "request_timeout"], "clients that stop sending: http::protocol"),
    ("*", &["rate_limited"], "servers with limits: http::guards"),
    ("*", &["idempotency_in_progress", "payment_busy"], "calls that are still running: http::conventions, http::load"),
    (
        "*",
        &["gateway_unavailable", "gateway_refused", "payment_held", "amount_not_payable"],
        "gateways that fail: http::stripe, gateways",
    ),
    ("payment_webhook", &["invalid_signature", "malformed_webhook"], "gateways that send webhooks: http::stripe"),
    ("refresh", &["token_reused", "session_expired"], "time that passes: account::sessions"),
    ("confirm_email_change", &["email_taken"], "two who want one address: account::email_change"),
    ("*", &["no_shipping_method"], "shops whose own rates ship nothing to a country; the server's ship everywhere"),
    ("admin_capture_order", &["capture_exceeds_owed"], "shops that capture later: http::goods"),
    ("admin_resolve_payment", &["invalid_state"], "payments that are stuck: http::stripe"),
];

fn is_elsewhere((operation, _, code): &Problem) -> bool {
    ELSEWHERE.iter().any(|(of, codes, _)| (*of == "*" || of == operation) && codes.contains(&&**code))
}

/// What was seen.
struct Seen(BTreeSet<Problem>);

impl Seen {
    async fn send(&mut self, client: &Client, method: &str, path: &str, body: Option<(&str, Vec<u8>)>) -> Response {
        let answer = client.send(method, path, body).await;
        self.0.extend(problem(method, path, &answer));
        answer
    }

    async fn call(&mut self, client: &Client, method: &str, path: &str, body: &Value) -> Response {
        let body = (!body.is_null()).then(|| ("application/json", body.to_string().into_bytes()));
        self.send(client, method, path, body).await
    }

    /// Sends a body that is good, each time with one field changed.
    async fn spoil(&mut self, client: &Client, method: &str, path: &str, good: &Value, fields: &[(&str, Value)]) {
        for (pointer, value) in fields {
            self.call(client, method, path, &with(good, pointer, value.clone())).await;
        }
    }
}

/// A document with another value at a JSON Pointer.
fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut document = document.clone();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    match document.pointer_mut(parent).expect("a parent") {
        Value::Array(items) => items[name.parse::<usize>().expect("an index")] = value,
        parent => parent[name] = value,
    }
    document
}

fn long(length: usize) -> Value {
    "x".repeat(length).into()
}

fn eur(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

const CARD: &str = "4111 1111 1111 1111";
const NOBODY: &str = "00000000-0000-7000-8000-000000000000";

/// What an amount of money can have wrong.
fn bad_money(pointer: &'static str) -> Vec<(&'static str, Value)> {
    let dollars = json!({ "amount": "19.90", "currency": "USD" });
    [dollars, eur("1.999"), eur("99999999999999999999.00")].into_iter().map(|money| (pointer, money)).collect()
}

fn bad_address() -> Vec<(&'static str, Value)> {
    vec![
        ("/name", "".into()),
        ("/name", long(201)),
        ("/name", CARD.into()),
        ("/phone", "x".into()),
        ("/country", "XX".into()),
    ]
}

fn bad_items(variant: &str) -> Vec<(&'static str, Value)> {
    let items = |variant: &str, quantity: i64| json!([{ "variant_id": variant, "quantity": quantity }]);
    vec![
        ("/items", json!([])),
        ("/items", items(variant, 0)),
        ("/items", items(variant, 99)),
        ("/items", items(NOBODY, 1)),
    ]
}

fn resolved<'a>(spec: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => spec.pointer(pointer).expect("what is referred to"),
        None => value,
    }
}

/// What any operation of its shape answers.
async fn common(seen: &mut Seen, world: &World, spec: &Value) {
    let item = json!({ "variant_id": world.ids["variant"], "quantity": 1 });
    world.callers[&Who::Owner].post("/v1/cart/items", item).await.done(200);
    for (_, method, row) in routes() {
        let (_, item) = spec["paths"]
            .as_object()
            .expect("paths")
            .iter()
            .find(|(path, _)| shape(path) == shape(row))
            .expect("there");
        let operation = &item[method.to_lowercase()];
        let path = world.fill(row);
        let client = &world.callers[if path.starts_with("/v1/admin") { &Who::Admin } else { &Who::Owner }];
        let content = operation["requestBody"]["content"]["application/json"].as_object();
        let schema = content.map(|content| resolved(spec, &content["schema"]));
        let body = || content.map(|_| ("application/json", b"{}".to_vec()));
        seen.send(&world.server.anyone().bearer("x"), method, &path, body()).await;
        seen.send(client, method, &format!("{path}?q=%00"), body()).await;
        if row.starts_with("/v1/admin") {
            seen.send(&world.callers[&Who::Other], method, &path, body()).await;
        }
        if operation.get("security").is_none() || row.starts_with("/v1/orders/{") {
            seen.send(&world.server.anyone(), method, &path, body()).await;
        }
        if method == "POST" && row.starts_with("/v1/orders/{") {
            let example = schema.map_or(Value::Null, |schema| schema["example"].clone());
            seen.call(&world.callers[&Who::Support], method, &path, &example).await;
        }
        if row.contains('{') {
            let missing = row.split('/').map(|part| if part.starts_with('{') { NOBODY } else { part });
            let example = schema.map_or(Value::Null, |schema| schema["example"].clone());
            seen.call(client, method, &missing.collect::<Vec<_>>().join("/"), &example).await;
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            match resolved(spec, parameter)["name"].as_str() {
                Some("cursor") => drop(seen.send(client, method, &format!("{path}?cursor=x"), None).await),
                Some("Idempotency-Key") => {
                    drop(seen.send(&client.once(&"x".repeat(256)), method, &path, body()).await);
                }
                _ => {}
            }
        }
        let Some(schema) = schema else { continue };
        let json = |text: &str| Some(("application/json", text.as_bytes().to_vec()));
        for text in ["", "{", "[]", "{\"\\u0000\": 1}", "{\"nothing\": 1}", "{}"] {
            // What may be absent does something.
            let is_harmless = !["", "{}"].contains(&text) || schema["required"].is_array();
            if is_harmless {
                seen.send(client, method, &path, json(text)).await;
            }
        }
        seen.send(client, method, &path, Some(("text/plain", b"x".to_vec()))).await;
        seen.send(client, method, &path, Some(("application/json", vec![b' '; 1024 * 1024 + 1]))).await;
        for coding in ["gzip", "zstd"] {
            seen.send(&client.with("content-encoding", coding), method, &path, json("{}")).await;
        }
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            let of = |field: &Value| resolved(spec, field.get("allOf").map_or(field, |parts| &parts[0])).clone();
            let of_field = of(field);
            let bad = match (of_field["type"].as_str(), &of_field["format"]) {
                (Some("integer"), _) => json!(1e30),
                (Some("string"), format) if format == "uuid" || of_field["enum"].is_array() => json!("x"),
                (Some("array"), _) if of(&of_field["items"])["format"] == "uuid" => json!(["x"]),
                (Some("array"), _) => {
                    let mut item = of(&of_field["items"])["example"].clone();
                    if item["variant_id"].is_string() {
                        item["variant_id"] = "x".into();
                    }
                    json!([item])
                }
                _ if of_field.get("oneOf").is_some() => json!("x"),
                _ => continue,
            };
            let body = with(&schema["example"], &format!("/{name}"), bad);
            seen.call(client, method, &path, &body).await;
        }
    }
    let webhook = world.fill("/v1/webhooks/payments/{gateway}");
    let anyone = world.server.anyone();
    seen.send(&anyone, "POST", &webhook, Some(("application/json", vec![b' '; 1024 * 1024 + 1]))).await;
    for coding in ["gzip", "zstd"] {
        seen.send(
            &anyone.with("content-encoding", coding),
            "POST",
            &webhook,
            Some(("application/json", b"{}".to_vec())),
        )
        .await;
    }
}

async fn accounts(seen: &mut Seen, world: &World) {
    let (anyone, owner, admin) = (world.server.anyone(), &world.callers[&Who::Owner], &world.callers[&Who::Admin]);
    let person = json!({ "email": "new@example.com", "password": PASSWORD, "first_name": "Ada" });
    let person_bad = [
        ("/email", "x".into()),
        ("/email", "owner@example.com".into()),
        ("/first_name", "".into()),
        ("/first_name", long(101)),
        ("/first_name", CARD.into()),
        ("/phone", "x".into()),
        ("/password", "short".into()),
        ("/password", long(129)),
    ];
    seen.spoil(&anyone, "POST", "/v1/auth/register", &person, &person_bad).await;
    let wrong = json!({ "email": "owner@example.com", "password": "wrong" });
    seen.call(&anyone, "POST", "/v1/auth/login", &wrong).await;
    seen.call(&anyone, "POST", "/v1/auth/email/confirm", &json!({ "token": "x" })).await;
    seen.call(owner, "POST", "/v1/me/email/confirm", &json!({ "token": "x" })).await;
    anyone.post("/v1/auth/password/forgot", json!({ "email": "other@example.com" })).await.done(202);
    let token = world.server.mailed_token("other@example.com", "/reset-password").await;
    let reset = json!({ "token": token, "new_password": "amber-Lantern-31" });
    let bad = [("/token", "x".into()), ("/new_password", "short".into()), ("/new_password", long(129))];
    seen.spoil(&anyone, "POST", "/v1/auth/password/reset", &reset, &bad).await;
    let nobody = json!({ "number": "7K3MT-Q9XA0", "email": "nobody@example.com" });
    seen.call(&anyone, "POST", "/v1/orders/lookup", &nobody).await;
    let names = json!({ "first_name": "Ada", "last_name": null });
    seen.spoil(owner, "PATCH", "/v1/me", &names, &person_bad[2..6]).await;
    let change = json!({ "current_password": PASSWORD, "new_password": "amber-Lantern-31" });
    let bad = [("/current_password", "wrong".into()), ("/new_password", "short".into()), ("/new_password", long(129))];
    seen.spoil(owner, "POST", "/v1/me/password", &change, &bad).await;
    let change = json!({ "email": "owner2@example.com", "password": PASSWORD });
    let bad = [("/password", "wrong".into()), ("/email", "x".into()), ("/email", "owner@example.com".into())];
    seen.spoil(owner, "POST", "/v1/me/email", &change, &bad).await;
    seen.spoil(owner, "POST", "/v1/me/addresses", &address(), &bad_address()).await;
    let saved = world.fill("/v1/me/addresses/{address}");
    seen.spoil(owner, "PATCH", &saved, &address(), &bad_address()).await;
    for _ in 0..100 {
        seen.call(owner, "POST", "/v1/me/addresses", &address()).await;
    }
    seen.call(admin, "DELETE", "/v1/me", &Value::Null).await;
    let me = admin.get("/v1/me").await.expect(200);
    let path = format!("/v1/admin/users/{}", id(&me));
    seen.call(admin, "PATCH", &path, &json!({ "role": "customer" })).await;
    seen.call(&admin.with("if-match", "\"999-0\""), "PATCH", &path, &json!({ "role": "admin" })).await;
    seen.call(&owner.with("if-match", "\"999-0\""), "PATCH", "/v1/me", &json!({ "first_name": "Ada" })).await;
}

async fn catalogue(seen: &mut Seen, world: &World) {
    let admin = &world.callers[&Who::Admin];
    let owner = &world.callers[&Who::Owner];
    let old = admin.with("if-match", "\"999-0\"");
    let variant = json!({ "sku": "CUP", "price": eur("9.90"), "stock": 1, "options": { "size": "L" } });
    let product = json!({ "title": "Cup", "status": "draft", "slug": "cup", "images": [], "category_ids": [], "variants": [variant] });
    let same = json!({ "Size": "L", "size": "M" });
    let image = json!({ "url": "https://img.example.com/1.jpg" });
    let mut bad = vec![
        ("/title", "".into()),
        ("/title", long(201)),
        ("/title", CARD.into()),
        ("/slug", "A B".into()),
        ("/slug", at(&admin.get(&world.fill("/v1/admin/products/{product}")).await.expect(200), "/slug").into()),
        ("/category_ids", json!([NOBODY])),
        ("/images", json!([{ "url": "x" }])),
        ("/images", Value::Array(vec![image; 51])),
        ("/attributes", same.clone()),
    ];
    let other = server_product(world).await;
    seen.spoil(admin, "PATCH", &other, &json!({ "title": "Cup" }), &bad).await;
    seen.call(&old, "PATCH", &other, &json!({ "title": "Cup" })).await;
    seen.call(&old, "DELETE", &other, &Value::Null).await;
    bad.extend(bad_money("/variants/0/price"));
    bad.push(("/variants/0/sku", "MUG".into()));
    seen.spoil(admin, "POST", "/v1/admin/products", &product, &bad).await;

    let many: Value = (0..21).map(|n| (format!("o{n}"), json!("x"))).collect::<serde_json::Map<_, _>>().into();
    let mut bad = vec![
        ("/sku", "".into()),
        ("/sku", long(65)),
        ("/sku", CARD.into()),
        ("/sku", "MUG".into()),
        ("/options", same),
        ("/options", many),
    ];
    bad.extend(bad_money("/price"));
    seen.spoil(admin, "POST", &format!("{other}/variants"), &variant, &bad).await;
    let one = at(&admin.get(&other).await.expect(200), "/variants/0/id").to_owned();
    let one = format!("/v1/admin/variants/{one}");
    seen.spoil(admin, "PATCH", &one, &json!({ "title": "Large" }), &bad).await;
    seen.call(&old, "PATCH", &one, &json!({ "title": "Large" })).await;
    seen.call(&old, "DELETE", &one, &Value::Null).await;
    seen.call(admin, "DELETE", &one, &Value::Null).await;

    let category = json!({ "name": "Pans", "slug": "pans" });
    let bad = [
        ("/name", "".into()),
        ("/name", long(201)),
        ("/name", CARD.into()),
        ("/slug", "A B".into()),
        ("/slug", "kitchen".into()),
        ("/parent_id", NOBODY.into()),
        ("/position", 2_000_000.into()),
    ];
    seen.spoil(admin, "POST", "/v1/admin/categories", &category, &bad).await;
    let made = seen.call(admin, "POST", "/v1/admin/categories", &category).await.expect(201);
    let pans = format!("/v1/admin/categories/{}", id(&made));
    seen.spoil(admin, "PATCH", &pans, &json!({ "name": "Pans" }), &bad).await;
    seen.call(admin, "PATCH", &pans, &json!({ "parent_id": id(&made) })).await;
    seen.call(&old, "PATCH", &pans, &json!({ "name": "Pots" })).await;
    seen.call(&old, "DELETE", &pans, &Value::Null).await;
    let mut parent = id(&made).to_owned();
    for n in 0..16 {
        let below = json!({ "name": format!("Level {n}"), "parent_id": parent });
        let answer = seen.call(admin, "POST", "/v1/admin/categories", &below).await;
        if answer.status == 422 {
            break;
        }
        parent = id(&answer.expect(201)).to_owned();
    }
    let kitchen = world.ids["category"].clone();
    let below = json!({ "name": "Below", "parent_id": kitchen });
    seen.call(admin, "POST", "/v1/admin/categories", &below).await;
    seen.call(admin, "PATCH", &format!("/v1/admin/categories/{kitchen}"), &json!({ "parent_id": parent })).await;
    seen.call(admin, "DELETE", &pans, &Value::Null).await;

    let review = json!({ "rating": 5, "title": "Good", "body": "Tea." });
    let bad = [("/rating", 9.into()), ("/title", "".into()), ("/title", long(121)), ("/title", CARD.into())];
    let reviews = world.fill("/v1/products/{product}/reviews");
    seen.spoil(owner, "POST", &reviews, &review, &bad).await;
    seen.call(owner, "POST", &reviews, &review).await;
    seen.spoil(owner, "PATCH", &world.fill("/v1/reviews/{review}"), &review, &bad).await;

    let stock = world.fill("/v1/admin/inventory/{variant}");
    seen.spoil(admin, "PUT", &stock, &json!({}), &[("/on_hand", (-1).into()), ("/on_hand", 0.into())]).await;
    let adjustment = json!({ "delta": -1, "reason": "lost" });
    let bad = [
        ("/delta", 0.into()),
        ("/delta", (-1_000_000).into()),
        ("/reason", "".into()),
        ("/reason", long(501)),
        ("/reason", CARD.into()),
    ];
    seen.spoil(admin, "POST", &format!("{stock}/adjustments"), &adjustment, &bad).await;
}

/// The path of another product of the shop, for staff.
async fn server_product(world: &World) -> String {
    let made = world.server.product(&world.callers[&Who::Admin], "POT", "9.90", 5).await;
    format!("/v1/admin/products/{}", id(&made))
}

async fn buying(seen: &mut Seen, world: &World) {
    let (admin, owner) = (&world.callers[&Who::Admin], &world.callers[&Who::Owner]);
    let variant = world.ids["variant"].clone();
    let item = json!({ "variant_id": variant, "quantity": 1 });
    let bad = [("/variant_id", NOBODY.into()), ("/quantity", 0.into()), ("/quantity", 9_000.into())];
    seen.spoil(owner, "POST", "/v1/cart/items", &item, &bad).await;
    let line = format!("/v1/cart/items/{variant}");
    seen.spoil(owner, "PATCH", &line, &json!({}), &[("/quantity", (-1).into()), ("/quantity", 9_000.into())]).await;
    let old = owner.with("if-match", "\"999-0\"");
    seen.call(&old, "POST", "/v1/cart/items", &item).await;
    seen.call(&old, "PATCH", &line, &json!({ "quantity": 2 })).await;
    seen.call(&old, "DELETE", &line, &Value::Null).await;
    seen.call(&old, "DELETE", "/v1/cart", &Value::Null).await;
    seen.call(owner, "POST", "/v1/cart/merge", &Value::Null).await;
    fill_cart(seen, world).await;

    let quote = json!({ "shipping_address": address() });
    let nested = |(pointer, value): (&str, Value)| (format!("/shipping_address{pointer}"), value);
    let bad: Vec<_> = bad_address().into_iter().map(nested).collect();
    let mut bad: Vec<(&str, Value)> = bad.iter().map(|(pointer, value)| (pointer.as_str(), value.clone())).collect();
    bad.push(("/shipping_method", "pigeon".into()));
    seen.spoil(owner, "POST", "/v1/checkout/quote", &quote, &bad).await;
    bad.extend(bad_money("/expected_total"));
    bad.extend([
        ("/expected_total", eur("1.00")),
        ("/payment/method", "cheque".into()),
        ("/payment/token", "".into()),
        ("/payment/token", CARD.into()),
        ("/payment/token", "pm_card_chargeDeclined".into()),
    ]);
    seen.spoil(owner, "POST", "/v1/checkout", &card("pm_card_visa"), &bad).await;
    let guest = world.server.guest_with(&variant, 1).await;
    seen.call(&guest, "POST", "/v1/checkout", &with(&card("pm_card_visa"), "/email", "x".into())).await;
    seen.call(&world.callers[&Who::Other], "POST", "/v1/checkout", &card("pm_card_visa")).await;
    let rare = world.server.product(admin, "RARE", "5.00", 1).await;
    let guest = world.server.guest_with(at(&rare, "/variants/0/id"), 1).await;
    let path = format!("/v1/admin/inventory/{}", at(&rare, "/variants/0/id"));
    admin.put(&path, json!({ "on_hand": 0 })).await.done(200);
    let body = with(&card("pm_card_visa"), "/email", "guest@example.com".into());
    seen.call(&guest, "POST", "/v1/checkout", &body).await;
    repeated(seen, world).await;
}

/// More items than a cart takes.
async fn fill_cart(seen: &mut Seen, world: &World) {
    let variants: Vec<Value> = (0..100)
        .map(|n| json!({ "sku": format!("V{n}"), "price": eur("1.00"), "stock": 5, "options": { "n": n.to_string() } }))
        .collect();
    let body = json!({ "title": "Many", "status": "active", "variants": variants });
    let many = world.callers[&Who::Admin].post("/v1/admin/products", body).await.expect(201);
    let guest = world.server.guest_with(&world.ids["variant"], 1).await;
    for variant in many["variants"].as_array().into_iter().flatten() {
        seen.call(&guest, "POST", "/v1/cart/items", &json!({ "variant_id": id(variant), "quantity": 1 })).await;
    }
    // And a variant more than a product has.
    let variant = json!({ "sku": "V100", "price": eur("1.00"), "options": { "n": "100" } });
    let path = format!("/v1/admin/products/{}/variants", id(&many));
    seen.call(&world.callers[&Who::Admin], "POST", &path, &variant).await;
}

/// One key for two requests.
async fn repeated(seen: &mut Seen, world: &World) {
    let (admin, owner) = (&world.callers[&Who::Admin].once("twice"), &world.callers[&Who::Owner].once("twice"));
    let variant = world.ids["variant"].clone();
    let sent = delivered(world, &world.callers[&Who::Owner], 3).await;
    let order = world.server.order(&world.callers[&Who::Owner], &variant, 2).await;
    world.callers[&Who::Owner].post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await.done(200);
    let pending =
        world.callers[&Who::Owner].post("/v1/checkout", card("pm_card_threeDSecure2Required")).await.expect(202);
    world.callers[&Who::Owner].post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await.done(200);
    let price = eur("1.00");
    let parcels = format!("/v1/admin/orders/{}/fulfilments", id(&order));
    let refunds = format!("/v1/admin/orders/{sent}/refunds");
    let calls = [
        (owner, "/v1/cart/items".to_owned(), json!({ "variant_id": variant, "quantity": 1 }), "/quantity", 2.into()),
        (owner, "/v1/checkout".to_owned(), card("pm_card_visa"), "/note", "now".into()),
        (
            owner,
            format!("/v1/orders/{}/payments", id(&pending)),
            json!({ "payment": { "method": "test", "token": "pm_card_visa" } }),
            "/payment/token",
            "pm_card_mastercard".into(),
        ),
        (
            owner,
            format!("/v1/orders/{sent}/returns"),
            json!({ "items": [{ "variant_id": variant, "quantity": 1 }], "reason": "blue" }),
            "/reason",
            "red".into(),
        ),
        (
            admin,
            "/v1/admin/products".to_owned(),
            json!({ "title": "A", "status": "draft", "variants": [{ "sku": "A", "price": price }] }),
            "/title",
            "B".into(),
        ),
        (
            admin,
            world.fill("/v1/admin/products/{product}/variants"),
            json!({ "sku": "B", "price": price, "options": { "b": "b" } }),
            "/sku",
            "C".into(),
        ),
        (admin, "/v1/admin/categories".to_owned(), json!({ "name": "Twice" }), "/name", "Thrice".into()),
        (
            admin,
            world.fill("/v1/admin/inventory/{variant}/adjustments"),
            json!({ "delta": 1, "reason": "found" }),
            "/delta",
            2.into(),
        ),
        (admin, parcels, json!({ "carrier": "DHL", "tracking_number": "2" }), "/carrier", "UPS".into()),
        (admin, refunds, json!({ "amount": price, "reason": "late", "restock": false }), "/reason", "lost".into()),
    ];
    for (client, path, body, pointer, value) in calls {
        seen.call(client, "POST", &path, &body).await;
        seen.call(client, "POST", &path, &with(&body, pointer, value)).await.refused(422, "idempotency_key_reused");
    }
}

/// An order of the owner's that was delivered; its id.
async fn delivered(world: &World, owner: &Client, units: i64) -> String {
    let admin = &world.callers[&Who::Admin];
    let order = world.server.order(owner, &world.ids["variant"], units).await;
    let parcels = format!("/v1/admin/orders/{}/fulfilments", id(&order));
    let parcel = admin.post(&parcels, json!({ "carrier": "DHL", "tracking_number": "3" })).await.expect(201);
    for status in ["shipped", "delivered"] {
        admin.patch(&format!("/v1/admin/fulfilments/{}", id(&parcel)), json!({ "status": status })).await.done(200);
    }
    id(&order).to_owned()
}

async fn orders(seen: &mut Seen, world: &World) {
    let (admin, owner) = (&world.callers[&Who::Admin], &world.callers[&Who::Owner]);
    let variant = world.ids["variant"].clone();
    let sent = delivered(world, owner, 3).await;
    let order = id(&world.server.order(owner, &variant, 1).await).to_owned();
    let text = [("/reason", "".into()), ("/reason", long(1001)), ("/reason", CARD.into())];

    let back = json!({ "items": [{ "variant_id": variant, "quantity": 1 }], "reason": "blue" });
    let returns = format!("/v1/orders/{sent}/returns");
    seen.spoil(owner, "POST", &returns, &back, &text).await;
    seen.spoil(owner, "POST", &returns, &back, &bad_items(&variant)).await;

    let pay = json!({ "payment": { "method": "test", "token": "pm_card_visa" } });
    let bad = [
        ("/payment/method", "cheque".into()),
        ("/payment/token", "".into()),
        ("/payment/token", CARD.into()),
        ("/payment/token", "pm_card_chargeDeclined".into()),
    ];
    owner.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await.done(200);
    let pending = owner.post("/v1/checkout", card("pm_card_threeDSecure2Required")).await.expect(202);
    seen.spoil(owner, "POST", &format!("/v1/orders/{}/payments", id(&pending)), &pay, &bad).await;
    seen.call(owner, "POST", &format!("/v1/orders/{sent}/payments"), &pay).await;
    secured(seen, world).await;

    let parcel = json!({ "carrier": "DHL", "tracking_number": "4" });
    let parcels = format!("/v1/admin/orders/{order}/fulfilments");
    let bad =
        [("/carrier", "".into()), ("/carrier", long(101)), ("/carrier", CARD.into()), ("/tracking_url", "x".into())];
    seen.spoil(admin, "POST", &parcels, &parcel, &bad).await;
    seen.spoil(admin, "POST", &parcels, &parcel, &bad_items(&variant)).await;
    let packed = world.fill("/v1/admin/fulfilments/{parcel}");
    seen.spoil(admin, "PATCH", &packed, &json!({}), &bad).await;
    seen.call(admin, "PATCH", &packed, &json!({ "restock": true })).await;
    seen.call(admin, "PATCH", &packed, &json!({ "status": "shipped" })).await;
    came_back(seen, world).await;

    let refund = json!({ "reason": "late", "restock": false });
    let refunds = format!("/v1/admin/orders/{sent}/refunds");
    seen.spoil(admin, "POST", &refunds, &refund, &text).await;
    seen.spoil(admin, "POST", &refunds, &refund, &bad_items(&variant)).await;
    seen.spoil(admin, "POST", &refunds, &refund, &bad_money("/amount")).await;
    seen.call(admin, "POST", &refunds, &with(&refund, "/amount", eur("9999.00"))).await;
    for_nothing(seen, world).await;
    let both = json!({ "amount": eur("1.00"), "items": back["items"], "reason": "late", "restock": false });
    seen.call(admin, "POST", &refunds, &both).await;
    let captures = format!("/v1/admin/orders/{sent}/capture");
    seen.spoil(admin, "POST", &captures, &json!({}), &bad_money("/amount")).await;
    seen.call(admin, "POST", &captures, &json!({})).await;

    let decision = world.fill("/v1/admin/returns/{return}");
    let received = json!({ "status": "received" });
    seen.call(admin, "PATCH", &decision, &json!({ "status": "approved", "restock": true })).await;
    seen.call(admin, "PATCH", &decision, &json!({ "status": "approved" })).await.done(200);
    seen.spoil(admin, "PATCH", &decision, &received, &bad_money("/refund")).await;
    seen.call(admin, "PATCH", &decision, &with(&received, "/refund", eur("9999.00"))).await;
    seen.call(admin, "PATCH", &decision, &received).await.done(200);
    seen.call(admin, "PATCH", &decision, &json!({ "status": "approved" })).await;

    let cancels = format!("/v1/admin/orders/{order}/cancel");
    seen.spoil(
        admin,
        "POST",
        &cancels,
        &json!({}),
        &[("/reason", "".into()), ("/reason", long(501)), ("/reason", CARD.into())],
    )
    .await;
    seen.spoil(admin, "POST", &cancels, &json!({}), &bad_items(&variant)).await;
    seen.call(admin, "POST", &format!("/v1/admin/orders/{sent}/cancel"), &json!({})).await;
    seen.call(owner, "POST", &format!("/v1/orders/{sent}/cancel"), &Value::Null).await;
    for _ in 0..2 {
        seen.call(owner, "POST", &format!("/v1/orders/{order}/cancel"), &Value::Null).await;
    }
    seen.call(admin, "POST", &cancels, &json!({})).await;
    seen.call(admin, "POST", &parcels, &parcel).await;
    let paid = owner.get(&format!("/v1/orders/{sent}")).await.expect(200);
    let payment = format!("/v1/admin/payments/{}", at(&paid, "/payments/0/id"));
    seen.call(admin, "POST", &format!("{payment}/receive"), &Value::Null).await;
    seen.call(admin, "POST", &format!("{payment}/resolve"), &json!({ "give_up": true })).await;
}

/// A refund of what was given away.
async fn for_nothing(seen: &mut Seen, world: &World) {
    let (admin, owner) = (&world.callers[&Who::Admin], &world.callers[&Who::Owner]);
    let gift = world.server.product(admin, "GIFT", "0.00", 5).await;
    let gift = at(&gift, "/variants/0/id").to_owned();
    owner.post("/v1/cart/items", json!({ "variant_id": gift, "quantity": 1 })).await.done(200);
    let order = world.server.order(owner, &world.ids["variant"], 1).await;
    let items = json!([{ "variant_id": gift, "quantity": 1 }]);
    let refund = json!({ "items": items, "reason": "broken", "restock": false });
    seen.call(admin, "POST", &format!("/v1/admin/orders/{}/refunds", id(&order)), &refund).await;
}

/// A customer who fails at 3-D Secure.
async fn secured(seen: &mut Seen, world: &World) {
    let owner = &world.callers[&Who::Owner];
    owner.post("/v1/cart/items", json!({ "variant_id": world.ids["variant"], "quantity": 1 })).await.done(200);
    let order = owner.post("/v1/checkout", card("pm_card_threeDSecure2Required")).await.expect(202);
    let payment = at(&order, "/payments/0/id");
    let path = format!("/v1/test-gateway/payments/{payment}/authenticate");
    seen.call(owner, "POST", &path, &json!({ "success": false })).await.done(200);
    let confirm = format!("/v1/orders/{}/payments/{payment}/confirm", id(&order));
    seen.call(owner, "POST", &confirm, &Value::Null).await;
}

/// A parcel comes back, its goods are sold to somebody else, and it can't be sent again.
async fn came_back(seen: &mut Seen, world: &World) {
    let (admin, owner) = (&world.callers[&Who::Admin], &world.callers[&Who::Owner]);
    let once = world.server.product(admin, "ONCE", "5.00", 1).await;
    let variant = at(&once, "/variants/0/id").to_owned();
    owner.send("DELETE", "/v1/cart", None).await.done(200);
    let order = world.server.order(owner, &variant, 1).await;
    let parcels = format!("/v1/admin/orders/{}/fulfilments", id(&order));
    let parcel = admin.post(&parcels, json!({ "carrier": "DHL", "tracking_number": "5" })).await.expect(201);
    let path = format!("/v1/admin/fulfilments/{}", id(&parcel));
    for status in ["shipped", "returned_to_sender"] {
        admin.patch(&path, json!({ "status": status })).await.done(200);
    }
    admin.put(&format!("/v1/admin/inventory/{variant}"), json!({ "on_hand": 0 })).await.done(200);
    seen.call(admin, "POST", &parcels, &json!({ "carrier": "DHL", "tracking_number": "6" })).await;
}

#[tokio::test]
async fn every_problem_that_is_listed_comes() {
    let world = World::new().await;
    let stock = world.fill("/v1/admin/inventory/{variant}");
    world.callers[&Who::Admin].put(&stock, json!({ "on_hand": 500 })).await.done(200);
    let spec = world.server.anyone().get("/openapi.json").await.expect(200);
    let mut seen = Seen(BTreeSet::new());
    buying(&mut seen, &world).await;
    orders(&mut seen, &world).await;
    catalogue(&mut seen, &world).await;
    accounts(&mut seen, &world).await;
    common(&mut seen, &world, &spec).await;
    let listed = listed(&spec);
    let unseen: Vec<&Problem> =
        listed.iter().filter(|problem| !seen.0.contains(*problem) && !is_elsewhere(problem)).collect();
    let list = unseen.iter().map(|(id, status, code)| format!("{id}: {status} {code}")).collect::<Vec<_>>().join("\n");
    assert!(unseen.is_empty(), "{} of {} that are listed don't come:\n{list}", unseen.len(), listed.len());
}

#[tokio::test]
async fn parameters_out_of_range_are_refused_in_our_words() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    for (path, parameter, code, detail) in [
        (
            "/v1/products?sort=cheap",
            "sort",
            "invalid_value",
            "must be one of -created_at, price, -price, title, -rating, relevance, not 'cheap'",
        ),
        ("/v1/products?in_stock=maybe", "in_stock", "invalid_type", "must be true or false"),
        ("/v1/products?min_rating=good", "min_rating", "invalid_type", "must be a number"),
        ("/v1/products?min_rating=9", "min_rating", "out_of_range", "must be between 0 and 5"),
        ("/v1/products?limit=0", "limit", "out_of_range", "must be a number from 1 to 100"),
        ("/v1/products?count=2", "count", "invalid_type", "must be true or false"),
        (
            "/v1/admin/orders?status=lost",
            "status",
            "invalid_value",
            "must be one of pending, confirmed, completed, cancelled, not 'lost'",
        ),
        (
            "/v1/admin/orders?placed_after=today",
            "placed_after",
            "invalid_value",
            "must be an instant (RFC 3339) such as 2026-11-24T10:15:00Z",
        ),
        (
            "/v1/admin/users?role=king",
            "role",
            "invalid_value",
            "must be one of customer, support, manager, admin, not 'king'",
        ),
    ] {
        let problem = admin.get(path).await.refused(400, "invalid_parameter");
        let fault = json!([{ "parameter": parameter, "code": code, "detail": detail }]);
        assert_eq!(problem["errors"], fault, "{path}");
        assert_eq!(problem["detail"], format!("{parameter}: {detail}"), "{path}");
    }
    for (path, parameter) in [
        ("/v1/products?min_price=cheap", "min_price"),
        ("/v1/products?max_price=1.999", "max_price"),
        ("/v1/products?q=%00", "q"),
        ("/v1/shipping-methods?country=Mars", "country"),
        ("/v1/products/a%00b", "id_or_slug"),
    ] {
        let problem = admin.get(path).await.refused(400, "invalid_parameter");
        assert_eq!(problem["errors"][0]["parameter"], parameter, "{path}: {problem}");
    }
    let problem = admin.get("/v1/products?cursor=x").await.refused(400, "invalid_cursor");
    assert_eq!(problem["errors"][0]["parameter"], "cursor");
    let body = json!({ "name": "Pans" });
    let problem =
        admin.once(&"x".repeat(256)).post("/v1/admin/categories", body).await.refused(400, "invalid_idempotency_key");
    assert_eq!(problem["errors"][0]["parameter"], "Idempotency-Key");
}

/// Limits that are held against something before the field is looked at.
const LATER: &[&str] = &["reset_password"];

#[tokio::test]
async fn limits_are_those_that_the_specification_tells() {
    let world = World::new().await;
    let spec = world.server.anyone().get("/openapi.json").await.expect(200);
    let mut tried = 0;
    for (_, method, row) in routes() {
        let paths = spec["paths"].as_object().expect("paths");
        let (_, item) = paths.iter().find(|(path, _)| shape(path) == shape(row)).expect("the path");
        let operation = &item[method.to_lowercase()];
        let Some(content) = operation["requestBody"]["content"]["application/json"].as_object() else { continue };
        let schema = resolved(&spec, &content["schema"]);
        let id = operation["operationId"].as_str().expect("an id");
        let mut example = schema["example"].clone();
        if example["variant_id"].is_string() {
            example["variant_id"] = world.ids["variant"].clone().into();
        }
        let client = &world.callers[if row.starts_with("/v1/admin") { &Who::Admin } else { &Who::Owner }];
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if LATER.contains(&id) {
                continue;
            }
            let mut bad = Vec::new();
            let number = |limit: &str| field[limit].as_f64().map(|limit| json!(limit));
            let beyond =
                |limit: Option<Value>, by: f64| limit.and_then(|limit| limit.as_f64()).map(|limit| json!(limit + by));
            bad.extend(field["maxLength"].as_u64().map(|most| long(usize::try_from(most).expect("small") + 1)));
            bad.extend(beyond(number("maximum"), 1.0));
            bad.extend(beyond(number("minimum"), -1.0));
            bad.extend(field["minItems"].as_u64().map(|_| json!([])));
            if let Some(most) = field["maxItems"].as_u64() {
                bad.push(vec![example[name][0].clone(); usize::try_from(most).expect("small") + 1].into());
            }
            for value in bad {
                let body = with(&example, &format!("/{name}"), value);
                let json = ("application/json", body.to_string().into_bytes());
                let answer = client.send(method, &world.fill(row), Some(json)).await;
                let problem = answer.json();
                let faults = problem["errors"].as_array().into_iter().flatten();
                let named =
                    faults.filter_map(|fault| fault["pointer"].as_str()).any(|at| at.starts_with(&format!("/{name}")));
                assert!(answer.status == 422 && named, "{id}: {name}: {problem}");
                tried += 1;
            }
        }
    }
    assert!(tried > 60, "{tried}");
}
