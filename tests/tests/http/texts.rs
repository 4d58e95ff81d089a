//! Texts that must not get in: every string that the served specification knows, with every kind of control character in it.

use std::collections::BTreeSet;

use commerce_tests::http::{Client, PASSWORD, Response, Server, address, at, id};
use serde_json::{Value, json};

use super::access::{Who, World, routes, shape};
use crate::BACKEND;

/// Refused in all texts.
const CONTROL: [char; 6] = ['\0', '\u{1}', '\u{1b}', '\u{7f}', '\u{85}', '\u{9f}'];
/// Refused where a text has no lines.
const BREAKS: [char; 4] = ['\n', '\r', '\t', '\u{2028}'];

/// An operation as the test calls it.
struct Operation<'a> {
    method: String,
    path: String,
    described: &'a Value,
}

fn operations<'a>(world: &World, spec: &'a Value) -> Vec<Operation<'a>> {
    let mut operations = Vec::new();
    for (path, methods) in spec["paths"].as_object().expect("paths") {
        for (method, described) in methods.as_object().expect("methods") {
            let method = method.to_uppercase();
            let mut known = routes().into_iter().filter(|(_, of, at)| *of == method && shape(at) == shape(path));
            let (.., row) = known.next().unwrap_or_else(|| panic!("{method} {path} isn't in the table"));
            operations.push(Operation { method, path: world.fill(row), described });
        }
    }
    operations
}

fn caller<'a>(world: &'a World, path: &str) -> &'a Client {
    &world.callers[if path.starts_with("/v1/admin") { &Who::Admin } else { &Who::Owner }]
}

/// What a reference stands for.
fn resolved<'a>(spec: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#')) {
        Some(pointer) => spec.pointer(pointer).expect("what is referred to"),
        None => value,
    }
}

/// The body of an operation's example, with all texts that its schema has.
fn body(spec: &Value, operation: &Value) -> Option<Value> {
    let content = operation["requestBody"]["content"].as_object()?.values().next()?;
    let schema = spec.pointer(content["schema"]["$ref"].as_str()?.strip_prefix('#')?).expect("a schema");
    let mut body = schema["example"].clone();
    for (name, property) in schema["properties"].as_object().expect("properties") {
        if property["type"] == "string" && body[name].is_null() {
            body[name] = "text".into();
        }
    }
    Some(body)
}

/// The JSON Pointers of all strings in a document.
fn strings(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, item)| strings(item, &format!("{at}/{n}"), found));
        }
        Value::Object(members) => members.iter().for_each(|(name, member)| {
            strings(member, &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")), found)
        }),
        _ => {}
    }
}

/// The names of the fields that have lines.
fn with_lines(spec: &Value) -> BTreeSet<String> {
    let schemas = spec["components"]["schemas"].as_object().expect("schemas").values();
    let properties = schemas.filter_map(|schema| schema["properties"].as_object()).flatten();
    properties.filter(|(_, property)| property["x-lines"] == true).map(|(name, _)| name.clone()).collect()
}

async fn send(client: &Client, operation: &Operation<'_>, path: &str, body: Option<&Value>) -> Response {
    let body = body.map(|body| ("application/json", body.to_string().into_bytes()));
    let mut answer = client.send(&operation.method, path, body.clone()).await;
    if let Some((_, body)) = body {
        answer.asked = format!("{} {}", answer.asked, String::from_utf8_lossy(&body));
    }
    answer
}

#[tokio::test]
async fn no_string_of_the_specification_takes_control_characters() {
    let world = World::new().await;
    let spec = world.server.anyone().get("/openapi.json").await.expect(200);
    let lines = with_lines(&spec);
    assert!(["description", "body", "reason", "note"].iter().all(|name| lines.contains(*name)), "{lines:?}");
    let before = world.snapshot().await;
    let (mut fields, mut parameters) = (0, 0);
    for operation in operations(&world, &spec) {
        let client = caller(&world, &operation.path);
        let body = body(&spec, operation.described);
        let mut pointers = Vec::new();
        strings(body.as_ref().unwrap_or(&Value::Null), "", &mut pointers);
        for pointer in &pointers {
            fields += 1;
            let leaf = pointer.rsplit('/').find(|part| part.parse::<usize>().is_err()).unwrap_or_default();
            let breaks: &[char] = if lines.contains(leaf) { &[] } else { &BREAKS };
            for c in CONTROL.iter().chain(breaks) {
                let mut body = body.clone().unwrap_or_default();
                let text = body.pointer_mut(pointer).expect("a string");
                *text = format!("{}{c}x", text.as_str().unwrap_or_default()).into();
                let answer = send(client, &operation, &operation.path, Some(&body)).await;
                answer.refused_at(422, "invalid_character", pointer);
            }
        }
        for parameter in operation.described["parameters"].as_array().into_iter().flatten() {
            let parameter = resolved(&spec, parameter);
            if parameter["in"] != "query" {
                continue;
            }
            parameters += 1;
            let name = parameter["name"].as_str().expect("a name");
            for c in ["%00", "%01", "%1b", "%7f", "%c2%85", "%0a", "%0d", "%e2%80%a8"] {
                let path = format!("{}?{name}=a{c}b", operation.path);
                send(client, &operation, &path, body.as_ref()).await.refused(400, "invalid_parameter");
            }
        }
    }
    assert!(fields > 100 && parameters > 20, "{fields} fields, {parameters} parameters");
    assert_eq!(before, world.snapshot().await, "something was stored");
}

#[tokio::test]
async fn paths_and_headers_take_no_control_characters_either() {
    let world = World::new().await;
    let spec = world.server.anyone().get("/openapi.json").await.expect(200);
    let before = world.snapshot().await;
    for (path, methods) in spec["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let parameter = resolved(&spec, parameter);
                if parameter["in"] != "path" {
                    continue;
                }
                let name = parameter["name"].as_str().expect("a name");
                let is_id = parameter["schema"]["format"] == "uuid";
                for c in ["%00", "%1b", "%7f", "%c2%85", "%0a"] {
                    let mut known = routes()
                        .into_iter()
                        .filter(|(_, of, at)| *of == method.to_uppercase() && shape(at) == shape(path));
                    let (.., row) = known.next().expect("in the table");
                    let place = path.split('/').position(|part| part == format!("{{{name}}}")).expect("its place");
                    let mut parts: Vec<String> = world.fill(row).split('/').map(ToOwned::to_owned).collect();
                    parts[place] = format!("a{c}b");
                    let body = body(&spec, operation).map(|body| ("application/json", body.to_string().into_bytes()));
                    let client = caller(&world, row);
                    let answer = client.send(&method.to_uppercase(), &parts.join("/"), body).await;
                    if is_id {
                        answer.refused(404, "not_found");
                    } else {
                        answer.refused(400, "invalid_parameter");
                    }
                }
            }
        }
    }
    let (owner, admin) = (&world.callers[&Who::Owner], &world.callers[&Who::Admin]);
    let item = json!({ "variant_id": world.ids["variant"], "quantity": 1 });
    for value in ["a\tb", "a\u{85}b", "ä"] {
        let key = owner.with("idempotency-key", value).post("/v1/cart/items", item.clone()).await;
        key.refused(400, "invalid_idempotency_key");
        for name in ["x-cart-token", "x-order-token"] {
            let guest = world.server.anyone().with(name, value);
            guest.post("/v1/cart/items", item.clone()).await.refused(400, "invalid_parameter");
        }
        let product = format!("/v1/admin/products/{}", world.ids["product"]);
        let edit = admin.with("if-match", value).patch(&product, json!({ "title": "Changed" })).await;
        edit.refused(412, "version_mismatch");
        let login = json!({ "email": "owner@example.com", "password": PASSWORD });
        let named = world.server.anyone().with("user-agent", value).with("x-request-id", value);
        let answer = named.post("/v1/auth/login", login).await;
        answer.done(200);
        assert!(answer.header("x-request-id").bytes().all(|b| b.is_ascii_graphic()), "{:?}", answer.headers);
    }
    let sessions = owner.get("/v1/me/sessions").await.expect(200);
    for session in sessions["items"].as_array().expect("items") {
        assert!(!session["user_agent"].as_str().unwrap_or_default().contains(char::is_control), "{session}");
    }
    let (mut before, mut after) = (before, world.snapshot().await);
    // The sign-ins.
    before.remove(5);
    after.remove(5);
    assert_eq!(before, after, "something was stored");
}

#[tokio::test]
async fn what_shows_nothing_is_empty_and_what_looks_the_same_is_the_same() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    let price = json!({ "amount": "1.00", "currency": "EUR" });
    let product = |title: &str, sku: &str| json!({ "title": title, "status": "active", "variants": [{ "sku": sku, "price": price, "stock": 1 }] });
    for nothing in ["", " ", "\u{200b}", "\u{3164}", "\u{feff}\u{a0}", "\u{2060}\u{ad}"] {
        admin.post("/v1/admin/products", product(nothing, "A")).await.refused_at(422, "required", "/title");
        admin.post("/v1/admin/products", product("A", nothing)).await.refused_at(422, "required", "/variants/0/sku");
        admin.post("/v1/admin/categories", json!({ "name": nothing })).await.refused_at(422, "required", "/name");
    }
    admin.post("/v1/admin/products", product("Ärmel", "ÄRMEL-1")).await.done(201);
    for same in ["ärmel-1", "A\u{308}rmel-1", "ÄR\u{200b}MEL-1", "Ä\u{feff}rmel－1"] {
        admin.post("/v1/admin/products", product("Twin", same)).await.refused(409, "sku_taken");
    }
    for q in ["ärm", "ÄRMEL-1", "A\u{308}RM"] {
        let found = admin.get(&format!("/v1/admin/inventory?q={}", encoded(q))).await.expect(200);
        assert_eq!(at(&found, "/items/0/sku"), "ÄRMEL-1", "{q}");
    }
    let twins = json!({ "title": "Twins", "status": "active", "variants": [{ "sku": "x", "price": price }, { "sku": "X", "price": price }] });
    admin.post("/v1/admin/products", twins).await.refused_at(422, "duplicate", "/variants/1/sku");

    // A variant may be spelled anew.
    let mug = admin.post("/v1/admin/products", product("Mug", "mug")).await.expect(201);
    let variant = format!("/v1/admin/variants/{}", at(&mug, "/variants/0/id"));
    admin.patch(&variant, json!({ "sku": "MUG" })).await.done(200);
    admin.post("/v1/admin/products", product("Other", "Mug")).await.refused(409, "sku_taken");
    admin.patch(&variant, json!({ "sku": "cup" })).await.done(200);
    admin.post("/v1/admin/products", product("Other", "Mug")).await.done(201);
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

#[tokio::test]
async fn a_mailbox_is_one_in_all_its_spellings_and_a_password_too() {
    let server = Server::start(BACKEND).await;
    let register = |email: &str, first: &str| json!({ "email": email, "password": "Gro\u{308}ße schützt vor nichts 7", "first_name": first });
    let user = server.anyone().post("/v1/auth/register", register("User@münchen.example", "Ada")).await.expect(201);
    assert_eq!(user["email"], "user@xn--mnchen-3ya.example");
    assert_eq!((&user["first_name"], &user["last_name"]), (&json!("Ada"), &json!("")));
    server.mail("user@xn--mnchen-3ya.example", "confirm").await;
    for same in ["user@xn--mnchen-3ya.example", "user@MÜNCHEN.example", "user@mu\u{308}nchen.example"] {
        server.anyone().post("/v1/auth/register", register(same, "Eve")).await.refused(409, "email_taken");
        let login = json!({ "email": same, "password": "Größe schützt vor nichts 7" });
        server.anyone().post("/v1/auth/login", login).await.done(200);
    }
    let local = server.anyone().post("/v1/auth/register", register("müller@example.com", "Ada")).await;
    local.refused_at(422, "invalid_email", "/email");
    for names in [json!({}), json!({ "first_name": "\u{200b}" }), json!({ "first_name": " ", "last_name": "\u{3164}" })]
    {
        let mut body = json!({ "email": "x@example.com", "password": PASSWORD });
        body.as_object_mut().expect("an object").extend(names.as_object().expect("an object").clone());
        server.anyone().post("/v1/auth/register", body).await.refused_at(422, "required", "/first_name");
    }
}

#[tokio::test]
async fn card_numbers_are_refused_in_every_free_text() {
    let world = World::new().await;
    let (owner, admin) = (&world.callers[&Who::Owner], &world.callers[&Who::Admin]);
    let before = world.snapshot().await;
    let path = |path: &str| world.fill(path);
    for card in [
        "4111111111111111",
        "5555\u{a0}5555\u{2009}5555  4444",
        "3782–822463−10005",
        "４１１１　１１１１　１１１１　１１１１",
    ] {
        let text = format!("it is {card}, thanks");
        let place = |field: &str| {
            let mut address = address();
            address[field] = text.clone().into();
            json!({ "shipping_address": address, "payment": { "method": "manual" } })
        };
        for field in ["name", "company", "line1", "line2", "city", "region"] {
            let at = format!("/shipping_address/{field}");
            owner.post("/v1/checkout", place(field)).await.refused_at(422, "card_number", &at);
        }
        let note = json!({ "shipping_address": address(), "payment": { "method": "manual" }, "note": text });
        owner.post("/v1/checkout", note).await.refused_at(422, "card_number", "/note");
        for field in ["title", "body"] {
            let review = path("/v1/reviews/{review}");
            owner.patch(&review, json!({ field: text })).await.refused_at(422, "card_number", &format!("/{field}"));
        }
        owner.patch("/v1/me", json!({ "first_name": text })).await.refused_at(422, "card_number", "/first_name");
        let product = path("/v1/admin/products/{product}");
        for field in ["title", "description"] {
            admin.patch(&product, json!({ field: text })).await.refused_at(422, "card_number", &format!("/{field}"));
        }
        let stock = path("/v1/admin/inventory/{variant}/adjustments");
        admin.post(&stock, json!({ "delta": 1, "reason": text })).await.refused_at(422, "card_number", "/reason");
        let order = path("/v1/admin/orders/{order}");
        admin.post(&format!("{order}/cancel"), json!({ "reason": text })).await.refused_at(
            422,
            "card_number",
            "/reason",
        );
        let refund = json!({ "reason": text, "restock": false });
        admin.post(&format!("{order}/refunds"), refund).await.refused_at(422, "card_number", "/reason");
        let parcel = json!({ "carrier": text, "tracking_number": "1" });
        admin.post(&format!("{order}/fulfilments"), parcel).await.refused_at(422, "card_number", "/carrier");
    }
    assert_eq!(before, world.snapshot().await, "something was stored");
    for phone in ["0049 30 901820", "030 4111111111", "+49 30 901820;ext=12"] {
        owner.patch("/v1/me", json!({ "phone": phone })).await.done(200);
    }
    assert_eq!(owner.get("/v1/me").await.expect(200)["phone"], "+49 30 901820 ext. 12");
    // A tracking number is the carrier's: it may look like a card's.
    let parcel = json!({ "carrier": "Post", "tracking_number": "4111111111111111" });
    admin.post(&path("/v1/admin/orders/{order}/fulfilments"), parcel).await.done(201);
}

#[tokio::test]
async fn a_place_without_code_or_city_can_be_delivered_to_and_a_note_goes_along() {
    let server = Server::start(BACKEND).await;
    let (admin, ada) = (server.admin().await, server.customer("ada").await);
    let product = server.product(&admin, "MUG", "19.90", 20).await;
    let variant = at(&product, "/variants/0/id");
    ada.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await.done(200);
    let hong_kong = json!({ "name": "Lee", "company": "Tea Ltd", "line1": "1 Queen's Road", "country": "HK" });
    let body = |note: &str, address: &Value| json!({ "shipping_address": address, "payment": { "method": "manual" }, "note": note });
    let missing = json!({ "name": "Lee", "line1": "Weg 1", "city": "Berlin", "country": "DE" });
    let refused = ada.post("/v1/checkout", body("", &missing)).await;
    refused.refused_at(422, "required", "/shipping_address/postal_code");
    let long = "x".repeat(1001);
    ada.post("/v1/checkout", body(&long, &hong_kong)).await.refused_at(422, "too_long", "/note");
    let order = ada.post("/v1/checkout", body(" Ring twice,\nplease. ", &hong_kong)).await.expect(201);
    assert_eq!(order["note"], "Ring twice,\nplease.");
    assert_eq!(order["shipping_address"], hong_kong);
    let path = format!("/v1/orders/{}", id(&order));
    assert_eq!(ada.get(&path).await.expect(200)["note"], order["note"]);
    let staff = format!("/v1/admin/orders/{}", id(&order));
    assert_eq!(admin.get(&staff).await.expect(200)["note"], order["note"]);
    let export = ada.get("/v1/me/export").await.expect(200);
    assert_eq!(export["orders"][0]["note"], order["note"]);

    let saved = ada.post("/v1/me/addresses", hong_kong.clone()).await.expect(201);
    assert_eq!((&saved["company"], &saved["city"]), (&json!("Tea Ltd"), &Value::Null));
    let saved = format!("/v1/me/addresses/{}", id(&saved));
    let moved = ada.patch(&saved, json!({ "country": "DE", "city": "Berlin" })).await;
    moved.refused_at(422, "required", "/postal_code");
    let moved = json!({ "country": "DE", "city": "Berlin", "postal_code": "10115", "company": null });
    assert_eq!(ada.patch(&saved, moved).await.expect(200)["company"], Value::Null);

    ada.delete("/v1/me").await.done(204);
    assert_eq!(admin.get(&staff).await.expect(200)["note"], Value::Null, "the note goes with the account");
}
