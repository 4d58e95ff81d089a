//! What HTTP and JSON leave open, the same on every route: the routes and their fields are taken from the served document.

use std::collections::BTreeMap;

use commerce_tests::http::{Client, Server, address, at, card, id};
use serde_json::{Value, json};

use crate::BACKEND;

const JSON: &str = "application/json";
/// `{"name": "Kitchen"}`, compressed.
const GZIPPED: &[u8] = &[
    0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0, 0x02, 0xff, 0xab, 0x56, 0xca, 0x4b, 0xcc, 0x4d, 0x55, 0xb2, 0x52, 0x50, 0xf2,
    0xce, 0x2c, 0x49, 0xce, 0x48, 0xcd, 0x53, 0xaa, 0x05, 0x00, 0xb2, 0x00, 0xdc, 0xc8, 0x13, 0, 0, 0,
];

/// What a `$ref` leads to.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(path) => document.pointer(path.trim_start_matches('#')).expect("what is referred to"),
        None => value,
    }
}

fn body<'a>(document: &'a Value, method: &str, path: &str) -> &'a Value {
    let body = &document["paths"][path][method]["requestBody"]["content"][JSON]["schema"];
    assert!(body.is_object(), "{method} {path}");
    resolved(document, body)
}

/// Something of each kind that can be changed, by the path that changes it.
async fn changeable(server: &Server, admin: &Client, mia: &Client) -> BTreeMap<&'static str, (Client, String)> {
    let kitchen = admin.post("/v1/admin/categories", json!({ "name": "Kitchen" })).await.expect(201);
    let mugs = json!({ "name": "Mugs", "parent_id": id(&kitchen) });
    let mugs = admin.post("/v1/admin/categories", mugs).await.expect(201);
    let product = json!({
        "title": "Enamel mug", "status": "active", "description": "Holds 300 ml.", "category_ids": [id(&mugs)],
        "attributes": { "material": "steel" }, "images": [{ "url": "https://img.example.com/mug.jpg" }],
        "variants": [{
            "sku": "MUG", "title": "Large", "options": { "size": "L" },
            "price": { "amount": "19.90", "currency": "EUR" }, "stock": 9,
        }],
    });
    let product = admin.post("/v1/admin/products", product).await.expect(201);
    let variant = at(&product, "/variants/0/id");
    let order = server.order(mia, variant, 2).await;
    let parcel = json!({ "carrier": "Post", "tracking_number": "P1", "tracking_url": "https://post.example/P1" });
    let parcels = format!("/v1/admin/orders/{}/fulfilments", id(&order));
    let parcel = admin.post(&parcels, parcel).await.expect(201);
    let parcel_path = format!("/v1/admin/fulfilments/{}", id(&parcel));
    for status in ["shipped", "delivered"] {
        admin.patch(&parcel_path, json!({ "status": status })).await.done(200);
    }
    let back = json!({ "items": [{ "variant_id": variant, "quantity": 1 }], "reason": "too small" });
    let back = mia.post(&format!("/v1/orders/{}/returns", id(&order)), back).await.expect(201);
    let review = json!({ "rating": 5, "title": "Sturdy", "body": "Survived a fall." });
    let review = mia.post(&format!("/v1/products/{}/reviews", id(&product)), review).await.expect(201);
    mia.patch("/v1/me", json!({ "phone": "+49 30 901820" })).await.done(200);
    let mut home = address();
    (home["line2"], home["region"], home["phone"]) = (json!("2nd floor"), json!("BE"), json!("+49 30 901820"));
    let home = mia.post("/v1/me/addresses", home).await.expect(201);
    mia.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await.done(200);
    let user = mia.get("/v1/me").await.expect(200);

    let (staff, own) = (|path: String| (admin.clone(), path), |path: String| (mia.clone(), path));
    BTreeMap::from([
        ("/v1/admin/products/{id}", staff(format!("/v1/admin/products/{}", id(&product)))),
        ("/v1/admin/variants/{id}", staff(format!("/v1/admin/variants/{variant}"))),
        ("/v1/admin/categories/{id}", staff(format!("/v1/admin/categories/{}", id(&mugs)))),
        ("/v1/admin/fulfilments/{id}", staff(parcel_path)),
        ("/v1/admin/returns/{id}", staff(format!("/v1/admin/returns/{}", id(&back)))),
        ("/v1/admin/reviews/{id}", staff(format!("/v1/admin/reviews/{}", id(&review)))),
        ("/v1/admin/users/{id}", staff(format!("/v1/admin/users/{}", id(&user)))),
        ("/v1/reviews/{id}", own(format!("/v1/reviews/{}", id(&review)))),
        ("/v1/me", own("/v1/me".to_owned())),
        ("/v1/me/addresses/{id}", own(format!("/v1/me/addresses/{}", id(&home)))),
        ("/v1/cart/items/{variant_id}", own(format!("/v1/cart/items/{variant}"))),
    ])
}

/// Where a resource that a PATCH changes is made.
const MADE_BY: [(&str, &str); 6] = [
    ("/v1/admin/products/{id}", "/v1/admin/products"),
    ("/v1/admin/variants/{id}", "/v1/admin/products/{id}/variants"),
    ("/v1/admin/categories/{id}", "/v1/admin/categories"),
    ("/v1/admin/fulfilments/{id}", "/v1/admin/orders/{id}/fulfilments"),
    ("/v1/me/addresses/{id}", "/v1/me/addresses"),
    ("/v1/me", "/v1/auth/register"),
];

/// What the shop chooses where it isn't said: it is always there.
const CHOSEN: [&str; 2] = ["slug", "position"];

/// What may be absent for some, and must be there for others.
const NEEDED_SOMETIMES: [&str; 4] = ["first_name", "last_name", "postal_code", "city"];

#[tokio::test]
async fn null_clears_what_may_be_absent_and_nothing_else() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let changeable = changeable(&server, &admin, &mia).await;
    let document = server.anyone().get("/openapi.json").await.expect(200);
    let paths = document["paths"].as_object().expect("paths");
    let patched = paths.iter().filter(|(_, item)| item["patch"].is_object()).map(|(path, _)| path.as_str());
    let mut cleared = 0;
    for path in patched {
        let (client, resource) = changeable.get(path).unwrap_or_else(|| panic!("PATCH {path} isn't tried here"));
        let patch = body(&document, "patch", path);
        let made_by =
            MADE_BY.iter().find(|(patched, _)| *patched == path).map(|(_, made)| body(&document, "post", made));
        for (name, schema) in patch["properties"].as_object().expect("properties") {
            let nullable = schema["nullable"] == true;
            if let Some(new) = made_by.filter(|new| new["properties"][name].is_object()) {
                let required = new["required"].as_array().is_some_and(|names| names.iter().any(|one| one == name));
                let may_be_absent = !required && !CHOSEN.contains(&name.as_str());
                assert_eq!(nullable, may_be_absent, "{path}: {name}");
            }
            let answer = client.patch(resource, json!({ name: null })).await;
            if !nullable {
                let problem = answer.refused(422, "invalid_type");
                assert_eq!(problem["errors"][0]["pointer"], format!("/{name}"));
                continue;
            }
            // One of two names must be left, and most countries have postal codes and cities.
            if answer.status == 422 && NEEDED_SOMETIMES.contains(&name.as_str()) {
                answer.refused_at(422, "required", &format!("/{name}"));
                continue;
            }
            let left = &answer.expect(200)[if name == "category_ids" { "categories" } else { name }];
            let none = [json!(null), json!(""), json!([]), json!({})];
            assert!(none.contains(left), "{path}: {name} is {left}");
            cleared += 1;
        }
    }
    assert!(cleared >= 10, "{cleared}");
}

#[tokio::test]
async fn a_list_carries_only_what_it_has() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    let path = format!("/v1/admin/products/{}", id(&product));
    admin.patch(&path, json!({ "description": "Holds 300 ml." })).await.done(200);
    for list in ["/v1/products", "/v1/products?q=mug", "/v1/admin/products"] {
        let item = &admin.get(list).await.expect(200)["items"][0];
        assert!(item.get("description").is_none() && item["title"].is_string(), "{list}: {item}");
    }
    for detail in [&path, &path.replace("/admin", "")] {
        assert_eq!(admin.get(detail).await.expect(200)["description"], "Holds 300 ml.");
    }
}

#[tokio::test]
async fn an_empty_query_parameter_is_an_absent_one() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    server.order(&mia, at(&product, "/variants/0/id"), 1).await;
    let document = server.anyone().get("/openapi.json").await.expect(200);
    let mut tried = 0;
    for (path, item) in document["paths"].as_object().expect("paths") {
        let here =
            path.replace("{variant_id}", at(&product, "/variants/0/id")).replace("{id_or_slug}", at(&product, "/slug"));
        for parameter in item["get"]["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(&document, parameter);
            if parameter["in"] != "query" {
                continue;
            }
            let name = parameter["name"].as_str().expect("a name");
            assert!(parameter["required"] != true, "{path}: {name}");
            let (with, without) = (admin.get(&format!("{here}?{name}=")).await, admin.get(&here).await);
            assert_eq!(with.expect(200), without.expect(200), "{path}: {name}");
            tried += 1;
        }
    }
    assert!(tried > 50, "{tried}");
}

#[tokio::test]
async fn compressed_bodies_are_read_and_other_codings_refused() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    let send = |coding: &str, bytes: &[u8]| {
        let (client, bytes) = (admin.with("content-encoding", coding), bytes.to_vec());
        async move { client.send("POST", "/v1/admin/categories", Some((JSON, bytes))).await }
    };
    assert_eq!(send("gzip", GZIPPED).await.expect(201)["name"], "Kitchen");
    assert_eq!(send("identity", br#"{"name": "Garden"}"#).await.expect(201)["name"], "Garden");
    let other = send("zstd", b"(\xb5/\xfd").await;
    other.refused(415, "unsupported_content_encoding");
    assert_eq!(other.header("accept-encoding"), "gzip, deflate, br");
    send("gzip", br#"{"name": "Attic"}"#).await.refused(400, "malformed_encoding");
    let marked = admin.send("POST", "/v1/admin/categories", Some((JSON, "\u{feff}{\"name\": \"Bath\"}".into()))).await;
    assert_eq!(marked.expect(201)["name"], "Bath");
}

#[tokio::test]
async fn whole_numbers_may_have_a_point() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 900).await;
    let variant = at(&product, "/variants/0/id");
    let add = |quantity: &str| {
        let text = format!(r#"{{"variant_id": "{variant}", "quantity": {quantity}}}"#);
        let mia = mia.clone();
        async move { mia.send("POST", "/v1/cart/items", Some((JSON, text.into_bytes()))).await }
    };
    assert_eq!(add("1.0").await.expect(200)["item_count"], 1);
    assert_eq!(add("1e2").await.expect(200)["item_count"], 101);
    for wrong in ["1.5", "1e-1", "true", "\"1\""] {
        add(wrong).await.refused_at(422, "invalid_type", "/quantity");
    }
    let stock = format!("/v1/admin/inventory/{variant}");
    let counted = admin.send("PUT", &stock, Some((JSON, br#"{"on_hand": 7e2}"#.to_vec()))).await;
    assert_eq!(counted.expect(200)["on_hand"], 700);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    for path in ["/v1/products", &format!("/v1/products/{}", id(&product)), "/v1/me", "/v1/cart"] {
        let (get, head) = (mia.get(path).await, mia.send("HEAD", path, None).await);
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        for name in ["etag", "content-type", "cache-control", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{path}: {name}");
        }
        assert_eq!(head.header("content-length"), get.body.len().to_string(), "{path}");
        let known = mia.with("if-none-match", get.header("etag")).send("HEAD", path, None).await;
        assert_eq!((known.status, known.header("etag")), (304, get.header("etag")), "{path}");
        let other = mia.with("if-none-match", "\"0-other\"").send("HEAD", path, None).await;
        assert_eq!(other.status, 200, "{path}");
    }
    assert_eq!(mia.send("HEAD", "/v1/none-such", None).await.status, 404);
    assert_eq!(mia.send("HEAD", "/v1/checkout", None).await.status, 405);
}

#[tokio::test]
async fn a_key_compares_what_is_said() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    let variant = at(&product, "/variants/0/id");
    let add = |text: String| {
        let mia = mia.once("k1");
        async move { mia.send("POST", "/v1/cart/items", Some((JSON, text.into_bytes()))).await }
    };
    add(format!(r#"{{"variant_id":"{variant}","quantity":2}}"#)).await.done(200);
    for again in [
        format!("{{ \"quantity\" : 2,\n \"variant_id\" : \"{variant}\" }}"),
        format!(r#"{{"variant_id": "{variant}", "quantit\u0079": 2.0}}"#),
    ] {
        let answer = add(again).await;
        assert_eq!(
            (answer.expect(200)["item_count"].as_i64(), answer.header("idempotency-replayed")),
            (Some(2), "true")
        );
    }
    add(format!(r#"{{"variant_id":"{variant}","quantity":3}}"#)).await.refused(422, "idempotency_key_reused");

    let order = mia.once("k2").post("/v1/checkout", card("pm_card_visa")).await.expect(201);
    let mut same = card("pm_card_visa");
    (same["billing_address"], same["expected_total"]) = (json!(null), json!(null));
    let again = mia.once("k2").post("/v1/checkout", same).await;
    assert_eq!((id(&again.expect(201)), again.header("idempotency-replayed")), (id(&order), "true"));
    let refunds = format!("/v1/admin/orders/{}/refunds", id(&order));
    let refund = json!({ "reason": "broken", "restock": false, "amount": { "amount": "1.00", "currency": "EUR" } });
    let first = admin.once("k3").post(&refunds, refund.clone()).await.expect(201);
    let again = admin.once("k3").post(&refunds.replace(id(&order), &id(&order).to_uppercase()), refund).await;
    assert_eq!((id(&again.expect(201)), again.header("idempotency-replayed")), (id(&first), "true"));
}

#[tokio::test]
async fn guests_without_a_token_never_share_an_answer() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 9).await;
    let item = json!({ "variant_id": at(&product, "/variants/0/id"), "quantity": 2 });
    let token = |cart: &Value| at(cart, "/cart_token").to_owned();
    let mut tokens = Vec::new();
    for guest in [server.anyone(), server.anyone(), server.anyone().with("x-cart-token", "made-up")] {
        for _ in 0..2 {
            let answer = guest.once("k1").post("/v1/cart/items", item.clone()).await;
            let cart = answer.expect(200);
            assert_eq!((cart["item_count"].as_i64(), answer.header("idempotency-replayed")), (Some(2), ""));
            tokens.push(token(&cart));
        }
    }
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 6, "each has a cart of their own");

    // With the token of a cart, a guest is known, and a repeated call has its effect once.
    let guest = server.anyone().with("x-cart-token", &tokens[0]);
    for replayed in ["", "true"] {
        let answer = guest.once("k1").post("/v1/cart/items", item.clone()).await;
        assert_eq!(
            (answer.expect(200)["item_count"].as_i64(), answer.header("idempotency-replayed")),
            (Some(4), replayed)
        );
    }
}
