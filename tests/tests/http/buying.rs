//! From the cart to a paid order: guests, customers, every way it can be refused.

use commerce_tests::http::{Client, PASSWORD, Server, address, at, card, id};
use serde_json::{Value, json};

use crate::BACKEND;

fn eur(amount: &str) -> Value {
    json!({ "amount": amount, "currency": "EUR" })
}

fn item(variant: &str, quantity: i64) -> Value {
    json!({ "variant_id": variant, "quantity": quantity })
}

fn guest_card(token: &str) -> Value {
    let mut body = card(token);
    body["email"] = json!("guest@example.com");
    body
}

/// What is on hand, reserved and available.
async fn stock(admin: &Client, variant: &str) -> (i64, i64, i64) {
    let stock = admin.get(&format!("/v1/admin/inventory/{variant}")).await.expect(200);
    let number = |name: &str| stock[name].as_i64().expect("a number");
    (number("on_hand"), number("reserved"), number("available"))
}

#[tokio::test]
async fn a_guest_fills_and_empties_a_cart() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 5).await;
    let variant = at(&product, "/variants/0/id");
    let anyone = server.anyone();

    let empty = anyone.get("/v1/cart").await.expect(200);
    assert_eq!((empty["items"].clone(), empty["item_count"].clone()), (json!([]), json!(0)));
    let answer = anyone.post("/v1/cart/items", item(variant, 2)).await;
    let cart = answer.expect(200);
    assert_eq!(answer.header("x-cart-token"), at(&cart, "/cart_token"));
    let guest = anyone.with("x-cart-token", at(&cart, "/cart_token"));
    let line = &cart["items"][0];
    assert_eq!((&line["unit_price"], &line["total"], &line["quantity"]), (&eur("19.90"), &eur("39.80"), &json!(2)));
    assert_eq!((at(line, "/sku"), line["available"].as_i64()), ("MUG", Some(5)));
    assert_eq!(cart["totals"]["subtotal"], eur("39.80"));

    let refused = guest.post("/v1/cart/items", item(variant, 4)).await.refused(409, "out_of_stock");
    assert_eq!((at(&refused, "/variant_id"), refused["available"].as_i64()), (variant, Some(5)));
    guest.post("/v1/cart/items", item(id(&product), 1)).await.refused(404, "not_found");
    assert_eq!(guest.post("/v1/cart/items", item(variant, 1)).await.expect(200)["item_count"], 3);
    for quantity in [json!(0), json!(-1), json!(1_u64 << 63), json!(i64::MAX), json!(1.5), json!("1")] {
        let body = json!({ "variant_id": variant, "quantity": quantity });
        let answer = guest.post("/v1/cart/items", body).await;
        assert_eq!(answer.status, 422, "{quantity}");
        assert_eq!(answer.json()["errors"][0]["pointer"], "/quantity", "{quantity}");
    }
    let body = json!({ "variant_id": variant, "quantity": 1, "price": eur("0.01") });
    guest.post("/v1/cart/items", body).await.refused_at(422, "unknown_field", "/price");

    let path = format!("/v1/cart/items/{variant}");
    assert_eq!(guest.patch(&path, json!({ "quantity": 1 })).await.expect(200)["item_count"], 1);
    guest.patch(&path, json!({ "quantity": -1 })).await.refused_at(422, "out_of_range", "/quantity");
    guest.patch(&path, json!({ "quantity": 6 })).await.refused(409, "out_of_stock");
    assert_eq!(guest.patch(&path, json!({ "quantity": 0 })).await.expect(200)["item_count"], 0);
    guest.patch(&path, json!({ "quantity": 1 })).await.refused(404, "not_found");
    guest.post("/v1/cart/items", item(variant, 2)).await.done(200);
    assert_eq!(guest.delete(&path).await.expect(200)["item_count"], 0);
    guest.post("/v1/cart/items", item(variant, 2)).await.done(200);
    assert_eq!(guest.delete("/v1/cart").await.expect(200)["item_count"], 0);
    assert_eq!(guest.get("/v1/cart").await.expect(200)["item_count"], 0);

    let archived = json!({ "status": "archived" });
    admin.patch(&format!("/v1/admin/products/{}", id(&product)), archived).await.done(200);
    guest.post("/v1/cart/items", item(variant, 1)).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_guest_cart_merges_at_sign_in_and_on_demand() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 5).await;
    let variant = at(&product, "/variants/0/id");
    let mia = server.customer("mia").await;
    mia.post("/v1/cart/items", item(variant, 3)).await.done(200);

    let guest = server.guest_with(variant, 4).await;
    let login = json!({ "email": "mia@example.com", "password": PASSWORD });
    guest.post("/v1/auth/login", login).await.done(200);
    assert_eq!(mia.get("/v1/cart").await.expect(200)["item_count"], 5, "capped at what is available");
    assert_eq!(guest.get("/v1/cart").await.expect(200)["item_count"], 0, "the old token is dead");

    let guest = server.guest_with(variant, 1).await;
    let token = at(&guest.get("/v1/cart").await.expect(200), "/cart_token").to_owned();
    mia.delete("/v1/cart").await.done(200);
    let merged = mia.with("x-cart-token", &token).post_empty("/v1/cart/merge").await.expect(200);
    assert_eq!(merged["item_count"], 1);
    let again = mia.with("x-cart-token", &token).post_empty("/v1/cart/merge").await.expect(200);
    assert_eq!(again["item_count"], 1, "a dead token adds nothing");
    guest.post_empty("/v1/cart/merge").await.refused(401, "unauthenticated");
}

#[tokio::test]
async fn a_customer_quotes_and_pays_by_card() {
    let settings = [
        ("COMMERCE_SHIPPING_METHODS", "standard:4.90:free_above=50,express:9.90"),
        ("COMMERCE_TAX_RATES", "DE=19,FR=20"),
    ];
    let server = Server::start_with(BACKEND, &settings, &[]).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 5).await;
    let variant = at(&product, "/variants/0/id");

    let methods = server.anyone().get("/v1/payment-methods").await.expect(200).to_string();
    assert!(methods.contains("\"test\""), "{methods}");
    mia.post("/v1/checkout", card("pm_card_visa")).await.refused(409, "cart_empty");
    mia.post("/v1/cart/items", item(variant, 2)).await.done(200);
    let shipping = mia.get("/v1/shipping-methods?country=DE").await.expect(200).to_string();
    assert!(shipping.contains("4.90") && shipping.contains("9.90"), "{shipping}");

    let quote = json!({ "shipping_address": address(), "shipping_method": "express" });
    let express = mia.post("/v1/checkout/quote", quote).await.expect(200);
    assert_eq!(express["totals"]["grand_total"], eur("49.70"));
    let quote = mia.post("/v1/checkout/quote", json!({ "shipping_address": address() })).await.expect(200);
    let totals = json!({
        "subtotal": eur("39.80"), "discount": eur("0.00"), "shipping": eur("4.90"), "tax": eur("7.13"),
        "grand_total": eur("44.70"),
    });
    assert_eq!(quote["totals"], totals, "19 of 119 of 39.80 and of 4.90, rounded a line");
    let unknown = json!({ "shipping_method": "balloon" });
    mia.post("/v1/checkout/quote", unknown).await.refused_at(422, "unknown_shipping_method", "/shipping_method");

    let mut body = card("pm_card_visa");
    body["expected_total"] = eur("44.69");
    let changed = mia.post("/v1/checkout", body.clone()).await.refused(409, "price_changed");
    assert_eq!(changed["totals"]["grand_total"], eur("44.70"));
    body["expected_total"] = json!({ "amount": "44.70", "currency": "USD" });
    mia.post("/v1/checkout", body.clone()).await.refused(422, "currency_mismatch");
    body["expected_total"] = eur("44.70");
    let answer = mia.post("/v1/checkout", body).await;
    let order = answer.expect(201);
    assert_eq!(answer.header("location"), format!("/v1/orders/{}", id(&order)));
    assert!(order.get("order_token").is_none_or(Value::is_null), "customers need none");
    assert_eq!((at(&order, "/status"), at(&order, "/payment_status")), ("confirmed", "paid"));
    assert_eq!((at(&order, "/fulfilment_status"), at(&order, "/email")), ("unfulfilled", "mia@example.com"));
    assert_eq!(order["totals"], totals);
    assert_eq!(order["billing_address"], order["shipping_address"]);
    assert_eq!(at(&order, "/shipping_method/code"), "standard");
    assert_eq!(stock(&admin, variant).await, (3, 0, 3));
    assert_eq!(mia.get("/v1/cart").await.expect(200)["item_count"], 0);
    server.mail("mia@example.com", at(&order, "/number")).await;

    let other = server.customer("noah").await;
    other.post("/v1/cart/items", item(variant, 3)).await.done(200);
    mia.post("/v1/cart/items", item(variant, 1)).await.done(200);
    other.post("/v1/checkout", card("pm_card_visa")).await.done(201);
    let gone = mia.post("/v1/checkout", card("pm_card_visa")).await.refused(409, "out_of_stock");
    assert_eq!((at(&gone, "/variant_id"), gone["available"].as_i64()), (variant, Some(0)));
}

#[tokio::test]
async fn a_checkout_body_is_checked_to_the_field() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 5).await;
    let variant = at(&product, "/variants/0/id");
    mia.post("/v1/cart/items", item(variant, 1)).await.done(200);
    let mut cases = Vec::new();
    for (pointer, value, code) in [
        ("/shipping_address/country", json!("Germany"), "invalid_country"),
        ("/shipping_address/name", json!(""), "required"),
        ("/shipping_method", json!("balloon"), "unknown_shipping_method"),
        ("/payment/method", json!("barter"), "unknown_payment_method"),
        ("/payment", json!(null), "invalid_type"),
    ] {
        let mut body = card("pm_card_visa");
        body["shipping_method"] = json!("standard");
        *body.pointer_mut(pointer).expect("the field") = value;
        cases.push((body, pointer, code));
    }
    for (pointer, name) in [("/status", "status"), ("/customer_id", "customer_id"), ("/price", "price")] {
        let mut body = card("pm_card_visa");
        body[name] = json!("x");
        cases.push((body, pointer, "unknown_field"));
    }
    for (body, pointer, code) in cases {
        mia.post("/v1/checkout", body).await.refused_at(422, code, pointer);
    }
    let number = mia.post("/v1/checkout", card("4242424242424242")).await;
    assert_eq!((number.status, number.json()["errors"][0]["pointer"].as_str()), (422, Some("/payment/token")));
    assert!(!number.text().contains("4242") && !server.log().contains("4242424242424242"));

    let guest = server.guest_with(variant, 1).await;
    guest.post("/v1/checkout", card("pm_card_visa")).await.refused_at(422, "required", "/email");
    assert_eq!(stock(&admin, variant).await, (5, 0, 5));
    assert_eq!(mia.get("/v1/orders").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_declined_card_changes_nothing() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 5).await;
    let variant = at(&product, "/variants/0/id");
    mia.post("/v1/cart/items", item(variant, 2)).await.done(200);
    for token in ["pm_card_chargeDeclined", "pm_card_visa_chargeDeclinedInsufficientFunds"] {
        mia.post("/v1/checkout", card(token)).await.refused(402, "payment_declined");
    }
    assert_eq!(stock(&admin, variant).await, (5, 0, 5));
    assert_eq!(mia.get("/v1/cart").await.expect(200)["item_count"], 2);
    assert_eq!(mia.get("/v1/orders").await.expect(200)["items"], json!([]));
    mia.post("/v1/checkout", card("pm_card_visa")).await.done(201);
}

#[tokio::test]
async fn three_d_secure_is_finished_or_fails() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 5).await;
    let variant = at(&product, "/variants/0/id");
    for success in [true, false] {
        let before = stock(&admin, variant).await.0;
        mia.post("/v1/cart/items", item(variant, 1)).await.done(200);
        let order = mia.post("/v1/checkout", card("pm_card_threeDSecure2Required")).await.expect(202);
        assert_eq!((at(&order, "/status"), at(&order, "/payment_status")), ("pending", "requires_action"));
        assert!(!at(&order, "/payments/0/next_action/client_secret").is_empty());
        assert!(at(&order, "/reserved_until").ends_with('Z'));
        assert_eq!(stock(&admin, variant).await, (before, 1, before - 1), "reserved until it is paid");
        let (order_path, payment) = (format!("/v1/orders/{}", id(&order)), at(&order, "/payments/0/id"));
        let confirm = format!("{order_path}/payments/{payment}/confirm");
        let waiting = mia.post_empty(&confirm).await.expect(200);
        assert_eq!(at(&waiting, "/payment_status"), "requires_action");

        let authenticate = format!("/v1/test-gateway/payments/{payment}/authenticate");
        mia.post(&authenticate, json!({})).await.refused_at(422, "required", "/success");
        let answer = mia.post(&authenticate, json!({ "success": success })).await;
        assert!((200..300).contains(&answer.status), "{}", answer.text());
        if success {
            let order = mia.post_empty(&confirm).await.expect(200);
            assert_eq!((at(&order, "/status"), at(&order, "/payment_status")), ("confirmed", "paid"));
            assert_eq!(stock(&admin, variant).await, (before - 1, 0, before - 1));
        } else {
            mia.post_empty(&confirm).await.refused(402, "payment_declined");
            assert_eq!(stock(&admin, variant).await, (before, 0, before));
        }
    }
    assert_eq!(mia.get("/v1/orders").await.expect(200)["items"].as_array().map(Vec::len), Some(1));
    let nobodys = format!("/v1/test-gateway/payments/{variant}/authenticate");
    mia.post(&nobodys, json!({ "success": true })).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_guest_buys_and_follows_the_order() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 5).await;
    let variant = at(&product, "/variants/0/id");
    let guest = server.guest_with(variant, 1).await;
    let answer = guest.post("/v1/checkout", guest_card("pm_card_visa")).await;
    let order = answer.expect(201);
    assert_eq!(answer.header("x-order-token"), at(&order, "/order_token"));
    let path = format!("/v1/orders/{}", id(&order));
    let holder = server.anyone().with("x-order-token", at(&order, "/order_token"));
    assert_eq!(holder.get(&path).await.expect(200)["number"], order["number"]);
    holder.get(&format!("{path}/tracking")).await.done(200);
    let nobody = server.anyone();
    assert!([401, 404].contains(&nobody.get(&path).await.status));
    nobody.with("x-order-token", "nonsense").get(&path).await.refused(404, "not_found");
    server.customer("noah").await.get(&path).await.refused(404, "not_found");

    let lookup =
        |number: &str, email: &str| nobody.post("/v1/orders/lookup", json!({ "number": number, "email": email }));
    lookup(at(&order, "/number"), "other@example.com").await.refused(404, "not_found");
    lookup("NONE-SUCH", "guest@example.com").await.refused(404, "not_found");
    let found = lookup(at(&order, "/number"), "Guest@example.com").await.expect(200);
    let holder = nobody.with("x-order-token", at(&found, "/order_token"));
    let cancelled = holder.post_empty(&format!("{path}/cancel")).await.expect(200);
    assert_eq!((at(&cancelled, "/status"), at(&cancelled, "/payment_status")), ("cancelled", "refunded"));
    assert_eq!(stock(&admin, variant).await, (5, 0, 5));
    holder.post_empty(&format!("{path}/cancel")).await.refused(409, "invalid_state");
}
