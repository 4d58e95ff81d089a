//! What the shop sells, as customers see it and as staff keep it.

use std::collections::HashSet;

use commerce_tests::http::{Server, at, id};
use serde_json::{Value, json};

use crate::BACKEND;

/// An id that nothing has.
const NOBODY: &str = "01890000-0000-7000-8000-000000000000";

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().expect("items")
}

fn minor(item: &Value) -> i64 {
    at(item, "/price_range/min/amount").replace('.', "").parse().expect("an amount")
}

#[tokio::test]
async fn products_are_listed_filtered_and_sorted() {
    let server = Server::start_with(BACKEND, &[], &["--demo"]).await;
    let anyone = server.anyone();
    let all = anyone.list("/v1/products?", 7).await;
    assert!(all.len() >= 50, "{}", all.len());
    let ids: HashSet<&str> = all.iter().map(id).collect();
    assert_eq!(ids.len(), all.len(), "an item came twice");
    let counted = anyone.get("/v1/products?limit=1&count=true").await.expect(200);
    assert_eq!(counted["total"], all.len());
    assert!(anyone.get("/v1/products?limit=1").await.expect(200).get("total").is_none());

    let by_price = anyone.list("/v1/products?sort=price", 9).await;
    assert!(by_price.is_sorted_by_key(minor));
    let by_price_down = anyone.list("/v1/products?sort=-price", 9).await;
    assert!(by_price_down.iter().rev().is_sorted_by_key(|item| at(item, "/price_range/min/amount").len()));
    assert_eq!(by_price_down.len(), all.len());
    let by_title = anyone.list("/v1/products?sort=title", 9).await;
    assert!(by_title.is_sorted_by_key(|item| at(item, "/title").to_lowercase()));
    let by_rating = anyone.list("/v1/products?sort=-rating", 9).await;
    let rating = |item: &Value| item["rating"]["average"].as_f64().unwrap_or(0.0);
    assert!(by_rating.windows(2).all(|pair| rating(&pair[0]) >= rating(&pair[1])));

    let found = anyone.list("/v1/products?q=mug", 5).await;
    assert!(!found.is_empty() && found.len() < all.len());
    let cheap = anyone.list("/v1/products?min_price=10.00&max_price=20.00", 5).await;
    assert!(!cheap.is_empty() && cheap.len() < all.len());
    assert!(cheap.iter().all(|item| minor(item) <= 2000), "{cheap:?}");
    for item in anyone.list("/v1/products?in_stock=true", 20).await {
        assert!(item["variants"].as_array().into_iter().flatten().any(|variant| variant["in_stock"] == true));
    }
    for item in anyone.list("/v1/products?min_rating=4", 20).await {
        assert!(rating(&item) >= 4.0);
    }

    let tree = anyone.get("/v1/categories").await.expect(200);
    let root = items(&tree).iter().find(|category| !category["children"].as_array().expect("children").is_empty());
    let root = root.expect("a category with children");
    let below = anyone.list(&format!("/v1/products?category={}", at(root, "/slug")), 20).await;
    let by_id = anyone.list(&format!("/v1/products?category={}", id(root)), 20).await;
    assert_eq!(below.len(), by_id.len());
    assert_eq!(root["product_count"], below.len());
    let child = &root["children"][0];
    let in_child = anyone.list(&format!("/v1/products?category={}", at(child, "/slug")), 20).await;
    assert!(in_child.iter().all(|item| below.iter().any(|other| other["id"] == item["id"])));
    let one = anyone.get(&format!("/v1/categories/{}", at(root, "/slug"))).await.expect(200);
    assert_eq!(&one["children"], &root["children"]);
    assert!(items(&anyone.get("/v1/products?category=none-such").await.expect(200)).is_empty());
    anyone.get("/v1/categories/none-such").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_cursor_is_bound_to_its_list() {
    let server = Server::start_with(BACKEND, &[], &["--demo"]).await;
    let anyone = server.anyone();
    let page = anyone.get("/v1/products?limit=2&sort=price").await.expect(200);
    let cursor = at(&page, "/next_cursor");
    assert!(cursor.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c)), "{cursor}");
    anyone.get(&format!("/v1/products?limit=5&sort=price&cursor={cursor}")).await.done(200);
    for other in ["sort=title", "sort=price&q=mug", "sort=price&in_stock=true", "sort=price&category=socks"] {
        let path = format!("/v1/products?{other}&cursor={cursor}");
        anyone.get(&path).await.refused(400, "invalid_cursor");
    }
    anyone.get("/v1/products?cursor=nonsense").await.refused(400, "invalid_cursor");
    for wrong in ["limit=0", "limit=101", "limit=x", "sort=colour", "min_price=x", "in_stock=maybe", "min_rating=x"] {
        anyone.get(&format!("/v1/products?{wrong}")).await.refused(400, "invalid_parameter");
    }
    anyone.get("/v1/products?utm_source=mail").await.done(200);
}

#[tokio::test]
async fn staff_keep_products_and_variants() {
    let server = Server::start(BACKEND).await;
    let (admin, anyone) = (server.admin().await, server.anyone());
    let money = |amount: &str| json!({ "amount": amount, "currency": "EUR" });
    let draft = json!({
        "title": "Enamel mug", "status": "draft", "description": "Holds tea.", "attributes": { "material": "steel" },
        "images": [{ "url": "https://images.example.com/mug.jpg", "alt": "A mug" }],
        "variants": [
            { "sku": "MUG-R", "title": "Red", "options": { "colour": "red" }, "price": money("19.90"), "stock": 3 },
            { "sku": "MUG-B", "title": "Blue", "options": { "colour": "blue" }, "price": money("21.90"), "stock": 0 },
        ],
    });
    let answer = admin.post("/v1/admin/products", draft.clone()).await;
    let product = answer.expect(201);
    let path = format!("/v1/admin/products/{}", id(&product));
    assert_eq!(answer.header("location"), path);
    assert_eq!((at(&product, "/slug"), at(&product, "/status")), ("enamel-mug", "draft"));
    assert_eq!(product["price_range"], json!({ "min": money("19.90"), "max": money("21.90") }));
    assert_eq!(product["variants"][1]["in_stock"], false);
    anyone.get("/v1/products/enamel-mug").await.refused(404, "not_found");

    admin.post("/v1/admin/products", draft).await.refused(409, "sku_taken");
    let one =
        |price: Value| json!({ "title": "Pot", "status": "draft", "variants": [{ "sku": "POT", "price": price }] });
    admin
        .post("/v1/admin/products", json!({ "title": "Pot", "status": "draft", "variants": [] }))
        .await
        .refused(422, "required");
    admin.post("/v1/admin/products", one(json!({ "amount": "1.00", "currency": "USD" }))).await.refused_at(
        422,
        "currency_mismatch",
        "/variants/0/price/currency",
    );
    for amount in
        [json!("1.999"), json!("1"), json!("-1.00"), json!("abc"), json!(1.5), json!("99999999999999999999.00")]
    {
        let answer = admin.post("/v1/admin/products", one(json!({ "amount": amount, "currency": "EUR" }))).await;
        assert_eq!(answer.status, 422, "{amount}: {}", answer.text());
        assert!(answer.text().contains("/variants/0/price"), "{}", answer.text());
    }

    let found = admin.get("/v1/admin/products?status=draft&q=mug").await.expect(200);
    assert_eq!(items(&found).len(), 1);
    assert!(items(&admin.get("/v1/admin/products?status=active").await.expect(200)).is_empty());
    let active = admin.patch(&path, json!({ "status": "active", "description": null })).await.expect(200);
    assert_eq!(active["attributes"]["material"], "steel");
    let seen = anyone.get("/v1/products/enamel-mug").await.expect(200);
    assert_eq!(anyone.get(&format!("/v1/products/{}", id(&product))).await.expect(200), seen);
    admin.patch(&path, json!({ "title": null })).await.refused_at(422, "invalid_type", "/title");
    admin.patch(&path, json!({ "price": 1 })).await.refused_at(422, "unknown_field", "/price");

    let added = json!({ "sku": "MUG-G", "options": { "colour": "green" }, "price": money("20.90"), "stock": 9 });
    let answer = admin.post(&format!("{path}/variants"), added.clone()).await;
    let variant = answer.expect(201);
    assert_eq!(variant["available"], 9);
    admin.post(&format!("{path}/variants"), added).await.refused(409, "sku_taken");
    let variant_path = format!("/v1/admin/variants/{}", id(&variant));
    let changed = admin.patch(&variant_path, json!({ "price": money("22.50") })).await.expect(200);
    assert_eq!(changed["price"], money("22.50"));
    admin.delete(&variant_path).await.done(204);
    admin.delete(&variant_path).await.refused(404, "not_found");

    admin.delete(&path).await.done(204);
    anyone.get("/v1/products/enamel-mug").await.refused(404, "not_found");
    admin.get(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn deleting_what_was_sold_archives_it() {
    let server = Server::start(BACKEND).await;
    let (admin, mia) = (server.admin().await, server.customer("mia").await);
    let product = server.product(&admin, "MUG", "19.90", 5).await;
    let order = server.order(&mia, at(&product, "/variants/0/id"), 1).await;
    let path = format!("/v1/admin/products/{}", id(&product));
    admin.delete(&path).await.done(204);
    assert_eq!(admin.get(&path).await.expect(200)["status"], "archived");
    mia.get(&format!("/v1/products/{}", id(&product))).await.refused(404, "not_found");
    let order = mia.get(&format!("/v1/orders/{}", id(&order))).await.expect(200);
    assert_eq!(order["items"][0]["sku"], "MUG");
}

#[tokio::test]
async fn staff_keep_the_category_tree() {
    let server = Server::start(BACKEND).await;
    let (admin, anyone) = (server.admin().await, server.anyone());
    let answer = admin.post("/v1/admin/categories", json!({ "name": "Kitchen" })).await;
    let kitchen = answer.expect(201);
    assert_eq!(answer.header("location"), format!("/v1/categories/{}", id(&kitchen)));
    let body = json!({ "name": "Mugs", "slug": "mugs", "parent_id": id(&kitchen), "position": 2 });
    let mugs = admin.post("/v1/admin/categories", body.clone()).await.expect(201);
    admin.post("/v1/admin/categories", body).await.refused(409, "slug_taken");
    let orphan = json!({ "name": "Lost", "parent_id": NOBODY });
    admin.post("/v1/admin/categories", orphan).await.refused_at(422, "unknown_category", "/parent_id");

    let tree = anyone.get("/v1/categories").await.expect(200);
    assert_eq!(tree["items"][0]["children"][0]["slug"], "mugs");
    let kitchen_path = format!("/v1/admin/categories/{}", id(&kitchen));
    admin.patch(&kitchen_path, json!({ "parent_id": id(&mugs) })).await.refused_at(422, "category_cycle", "/parent_id");
    let renamed = admin.patch(&kitchen_path, json!({ "name": "Cooking" })).await.expect(200);
    assert_eq!((at(&renamed, "/name"), at(&renamed, "/slug")), ("Cooking", "kitchen"));
    let mugs_path = format!("/v1/admin/categories/{}", id(&mugs));
    assert!(admin.patch(&mugs_path, json!({ "parent_id": null })).await.expect(200)["parent_id"].is_null());
    admin.delete(&mugs_path).await.done(204);
    admin.delete(&mugs_path).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_former_slug_leads_to_the_present_one() {
    let server = Server::start(BACKEND).await;
    let (admin, anyone) = (server.admin().await, server.anyone());
    let product = server.product(&admin, "MUG", "19.90", 5).await;
    let (path, first) = (format!("/v1/admin/products/{}", id(&product)), at(&product, "/slug").to_owned());
    admin.patch(&path, json!({ "slug": "second" })).await.done(200);
    admin.patch(&path, json!({ "slug": "third" })).await.done(200);
    for former in [first.as_str(), "second"] {
        let moved = anyone.get(&format!("/v1/products/{former}")).await;
        assert_eq!((moved.status, moved.header("location")), (308, "/v1/products/third"));
        assert_eq!(moved.header("link"), "</v1/products/third>; rel=\"canonical\"");
        anyone.get(&format!("/v1/products/{former}/reviews")).await.done(200);
    }
    for present in ["third", id(&product)] {
        let shown = anyone.get(&format!("/v1/products/{present}")).await;
        assert_eq!(shown.header("link"), "</v1/products/third>; rel=\"canonical\"");
        assert_eq!(shown.expect(200)["slug"], "third");
    }
    // Back again, and the slug between leads on.
    admin.patch(&path, json!({ "slug": first })).await.done(200);
    assert_eq!(anyone.get(&format!("/v1/products/{first}")).await.expect(200)["slug"], first.as_str());
    assert_eq!(anyone.get("/v1/products/third").await.status, 308);
    // Another product may be given a former slug, which then leads there; a slug that is made up leaves it alone.
    let price = json!({ "amount": "5.00", "currency": "EUR" });
    let other =
        json!({ "title": "Other", "slug": "second", "status": "active", "variants": [{ "sku": "O", "price": price }] });
    let other = admin.post("/v1/admin/products", other).await.expect(201);
    assert_eq!(anyone.get("/v1/products/second").await.expect(200)["id"], id(&other));
    let made = json!({ "title": "Third", "status": "active", "variants": [{ "sku": "T", "price": price }] });
    assert_eq!(admin.post("/v1/admin/products", made).await.expect(201)["slug"], "third-2");
    assert_eq!(anyone.get("/v1/products/third").await.header("location"), format!("/v1/products/{first}"));
    admin.patch(&format!("/v1/admin/products/{}", id(&other)), json!({ "slug": "elsewhere" })).await.done(200);
    assert_eq!(anyone.get("/v1/products/second").await.header("location"), "/v1/products/elsewhere");
    admin.patch(&path, json!({ "slug": "elsewhere" })).await.refused(409, "slug_taken");
    // What isn't shown isn't shown by a former slug either.
    admin.patch(&path, json!({ "status": "archived" })).await.done(200);
    anyone.get("/v1/products/third").await.refused(404, "not_found");
}

#[tokio::test]
async fn a_category_is_found_by_its_former_slug() {
    let server = Server::start(BACKEND).await;
    let (admin, anyone) = (server.admin().await, server.anyone());
    let cups = admin.post("/v1/admin/categories", json!({ "name": "Cups" })).await.expect(201);
    admin.patch(&format!("/v1/admin/categories/{}", id(&cups)), json!({ "slug": "mugs" })).await.done(200);
    let moved = anyone.get("/v1/categories/cups").await;
    assert_eq!((moved.status, moved.header("location")), (308, "/v1/categories/mugs"));
    let price = json!({ "amount": "5.00", "currency": "EUR" });
    let mug = json!({ "title": "Mug", "status": "active", "category_ids": [id(&cups)], "variants": [{ "sku": "M", "price": price }] });
    admin.post("/v1/admin/products", mug).await.done(201);
    assert_eq!(items(&anyone.get("/v1/products?category=cups").await.expect(200)).len(), 1);
    let other = admin.post("/v1/admin/categories", json!({ "name": "Other", "slug": "cups" })).await.expect(201);
    assert_eq!(anyone.get("/v1/categories/cups").await.expect(200)["id"], id(&other));
}

#[tokio::test]
async fn two_variants_never_have_the_same_options() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    let variant = |sku: &str, size: &str| json!({ "sku": sku, "options": { "Size": size }, "price": { "amount": "5.00", "currency": "EUR" } });
    let product = |variants: Value| json!({ "title": "Shirt", "status": "active", "variants": variants });
    let same = product(json!([variant("S", "S"), variant("M", "M"), variant("L", " s ")]));
    admin.post("/v1/admin/products", same).await.refused_at(422, "duplicate", "/variants/2/options");
    let shirt =
        admin.post("/v1/admin/products", product(json!([variant("S", "S"), variant("M", "M")]))).await.expect(201);
    let variants = format!("/v1/admin/products/{}/variants", id(&shirt));
    admin.post(&variants, variant("S2", "s")).await.refused_at(422, "duplicate", "/options");
    let second = format!("/v1/admin/variants/{}", at(&shirt, "/variants/1/id"));
    admin.patch(&second, json!({ "options": { "Size": "S" } })).await.refused_at(422, "duplicate", "/options");
    admin.patch(&second, json!({ "options": { "Size": "m" } })).await.done(200);
    // At once, one of them wins.
    let (one, two) = tokio::join!(admin.post(&variants, variant("L1", "L")), admin.post(&variants, variant("L2", "L")));
    let mut answers = [one.status, two.status];
    answers.sort_unstable();
    assert_eq!(answers, [201, 422]);
    // What was deleted is free again.
    admin.delete(&second).await.done(204);
    admin.post(&variants, variant("M2", "M")).await.done(201);
}

#[tokio::test]
async fn customers_review_what_they_bought() {
    let server = Server::start(BACKEND).await;
    let (admin, mia, noah) = (server.admin().await, server.customer("mia").await, server.customer("noah").await);
    let product = server.product(&admin, "MUG", "19.90", 5).await;
    server.order(&mia, at(&product, "/variants/0/id"), 1).await;
    let reviews = format!("/v1/products/{}/reviews", at(&product, "/slug"));
    let body = |rating: i64| json!({ "rating": rating, "title": "Good", "body": "Holds tea." });

    server.anyone().post(&reviews, body(5)).await.refused(401, "unauthenticated");
    mia.post("/v1/products/none-such/reviews", body(5)).await.refused(404, "not_found");
    for wrong in [0, 6, -1] {
        mia.post(&reviews, body(wrong)).await.refused_at(422, "out_of_range", "/rating");
    }
    let answer = mia.post(&reviews, body(5)).await;
    let review = answer.expect(201);
    assert_eq!((review["verified_purchase"].as_bool(), at(&review, "/status")), (Some(true), "published"));
    mia.post(&reviews, body(4)).await.refused(409, "already_reviewed");
    assert_eq!(noah.post(&reviews, body(2)).await.expect(201)["verified_purchase"], false);

    let rating = |product: &Value| (product["rating"]["average"].as_f64(), product["rating"]["count"].as_i64());
    let shown = format!("/v1/products/{}", id(&product));
    assert_eq!(rating(&noah.get(&shown).await.expect(200)), (Some(3.5), Some(2)));
    let path = format!("/v1/reviews/{}", id(&review));
    noah.patch(&path, json!({ "rating": 1 })).await.refused(404, "not_found");
    noah.delete(&path).await.refused(404, "not_found");
    assert_eq!(mia.patch(&path, json!({ "rating": 4 })).await.expect(200)["rating"], 4);
    assert_eq!(rating(&noah.get(&shown).await.expect(200)), (Some(3.0), Some(2)));
    assert_eq!(items(&mia.get("/v1/me/reviews").await.expect(200)).len(), 1);

    let moderation = format!("/v1/admin/reviews/{}", id(&review));
    admin.patch(&moderation, json!({ "status": "hidden" })).await.done(200);
    assert_eq!(items(&noah.get(&reviews).await.expect(200)).len(), 1);
    assert_eq!(rating(&noah.get(&shown).await.expect(200)), (Some(2.0), Some(1)));
    assert_eq!(items(&admin.get("/v1/admin/reviews?status=hidden").await.expect(200)).len(), 1);
    admin.patch(&moderation, json!({ "status": "published" })).await.done(200);
    admin.patch(&moderation, json!({ "status": "gone" })).await.refused_at(422, "invalid_value", "/status");
    mia.delete(&path).await.done(204);
    assert_eq!(rating(&noah.get(&shown).await.expect(200)), (Some(2.0), Some(1)));
}
