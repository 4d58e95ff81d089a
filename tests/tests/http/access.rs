//! Who may call what: every route of the served specification × every kind of caller. A refused call is shown to change nothing.

use std::collections::{BTreeMap, BTreeSet};

use commerce_tests::http::{Client, Response, Server, address, at, id};
use serde_json::{Value, json};

use crate::BACKEND;

/// Who a route is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum For {
    /// Anybody.
    All,
    /// Anybody signed in, about themselves.
    Members,
    /// The owner of what the path names; it doesn't exist for anybody else.
    Owner,
    /// The owner, and staff.
    OwnerOrStaff,
    /// The owner, and managers and admins; support may only look.
    OwnerOrManagers,
    /// Support, managers, admins.
    Staff,
    /// Managers and admins.
    Managers,
    /// Admins.
    Admins,
}

/// Every route. Bodies are sent as the wrong media type: who may call gets 415, the check that follows 401, 403 and 404, so that
/// all callers meet the same shop. Routes without a body that would change it carry `If-Match` of no version.
const ROUTES: &str = "
    All POST /v1/auth/register
    All POST /v1/auth/login
    All POST /v1/auth/refresh
    All POST /v1/auth/email/confirm
    All POST /v1/auth/email/resend
    All POST /v1/auth/password/forgot
    All POST /v1/auth/password/reset
    Members POST /v1/auth/logout
    Members GET /v1/me
    Members PATCH /v1/me
    Members POST /v1/me/password
    Members POST /v1/me/email
    Members POST /v1/me/email/confirm
    Members GET /v1/me/sessions
    Owner DELETE /v1/me/sessions/{session}
    Members GET /v1/me/export
    Members GET /v1/me/reviews
    Members GET /v1/me/addresses
    Members POST /v1/me/addresses
    Owner PATCH /v1/me/addresses/{address}
    Owner DELETE /v1/me/addresses/{address}
    All GET /v1/products
    All GET /v1/products/{product}
    All GET /v1/categories
    All GET /v1/categories/{category}
    All GET /v1/products/{product}/reviews
    Members POST /v1/products/{product}/reviews
    Owner PATCH /v1/reviews/{review}
    All GET /v1/cart
    All DELETE /v1/cart
    All POST /v1/cart/items
    All PATCH /v1/cart/items/{variant}
    All DELETE /v1/cart/items/{variant}
    Members POST /v1/cart/merge
    All GET /v1/payment-methods
    All GET /v1/shipping-methods
    All POST /v1/checkout/quote
    All POST /v1/checkout
    Members GET /v1/orders
    OwnerOrStaff GET /v1/orders/{order}
    OwnerOrStaff GET /v1/orders/{order}/tracking
    All POST /v1/orders/lookup
    OwnerOrManagers POST /v1/orders/{order}/payments
    OwnerOrStaff POST /v1/orders/{order}/payments/{payment}/confirm
    OwnerOrStaff GET /v1/orders/{order}/returns
    OwnerOrManagers POST /v1/orders/{order}/returns
    OwnerOrManagers POST /v1/orders/{order}/cancel
    All POST /v1/webhooks/payments/{gateway}
    All POST /v1/test-gateway/payments/{payment}/authenticate
    Managers GET /v1/admin/products
    Managers POST /v1/admin/products
    Managers GET /v1/admin/products/{product}
    Managers PATCH /v1/admin/products/{product}
    Managers DELETE /v1/admin/products/{product}
    Managers POST /v1/admin/products/{product}/variants
    Managers PATCH /v1/admin/variants/{variant}
    Managers DELETE /v1/admin/variants/{variant}
    Managers POST /v1/admin/categories
    Managers PATCH /v1/admin/categories/{category}
    Managers DELETE /v1/admin/categories/{category}
    Managers GET /v1/admin/inventory
    Managers GET /v1/admin/inventory/{variant}
    Managers PUT /v1/admin/inventory/{variant}
    Managers POST /v1/admin/inventory/{variant}/adjustments
    Managers GET /v1/admin/inventory/{variant}/movements
    Staff GET /v1/admin/alerts
    Staff POST /v1/admin/alerts/{alert}/acknowledge
    Staff GET /v1/admin/orders
    Staff GET /v1/admin/orders/{order}
    Managers POST /v1/admin/orders/{order}/fulfilments
    Managers PATCH /v1/admin/fulfilments/{parcel}
    Managers POST /v1/admin/orders/{order}/cancel
    Managers POST /v1/admin/orders/{order}/capture
    Managers POST /v1/admin/orders/{order}/refunds
    Staff GET /v1/admin/returns
    Managers PATCH /v1/admin/returns/{return}
    Staff GET /v1/admin/payments
    Managers POST /v1/admin/payments/{payment}/receive
    Managers POST /v1/admin/payments/{payment}/resolve
    Staff GET /v1/admin/reviews
    Staff PATCH /v1/admin/reviews/{review}
    Staff GET /v1/admin/users
    Staff GET /v1/admin/users/{user}
    Admins PATCH /v1/admin/users/{user}
    OwnerOrStaff DELETE /v1/reviews/{review}
    Members DELETE /v1/me
";

pub fn routes() -> Vec<(For, &'static str, &'static str)> {
    let row = |line: &'static str| {
        let mut words = line.split_whitespace();
        let who = match words.next()? {
            "All" => For::All,
            "Members" => For::Members,
            "Owner" => For::Owner,
            "OwnerOrStaff" => For::OwnerOrStaff,
            "OwnerOrManagers" => For::OwnerOrManagers,
            "Staff" => For::Staff,
            "Managers" => For::Managers,
            "Admins" => For::Admins,
            other => panic!("{other}?"),
        };
        Some((who, words.next()?, words.next()?))
    };
    ROUTES.lines().filter_map(row).collect()
}

/// A path with every parameter called the same.
pub fn shape(path: &str) -> String {
    path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect::<Vec<_>>().join("/")
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Who {
    Anonymous,
    Other,
    Support,
    Manager,
    Admin,
    Owner,
}

/// What a caller is told: `None` if they may.
fn refusal(route: For, who: Who) -> Option<u16> {
    let allowed = match route {
        For::All => true,
        For::Members => who != Who::Anonymous,
        For::Owner => who == Who::Owner,
        For::OwnerOrStaff => matches!(who, Who::Owner | Who::Support | Who::Manager | Who::Admin),
        For::OwnerOrManagers => matches!(who, Who::Owner | Who::Manager | Who::Admin),
        For::Staff => matches!(who, Who::Support | Who::Manager | Who::Admin),
        For::Managers => matches!(who, Who::Manager | Who::Admin),
        For::Admins => who == Who::Admin,
    };
    match route {
        _ if allowed => None,
        _ if who == Who::Anonymous => Some(401),
        For::OwnerOrManagers if who == Who::Support => Some(403),
        For::Owner | For::OwnerOrStaff | For::OwnerOrManagers => Some(404),
        _ => Some(403),
    }
}

/// A shop in which the owner has one of everything.
pub struct World {
    pub server: Server,
    pub callers: BTreeMap<Who, Client>,
    pub ids: BTreeMap<&'static str, String>,
}

impl World {
    /// On a new database.
    pub async fn new() -> Self {
        let server = Server::start(BACKEND).await;
        let (admin, owner) = (server.admin().await, server.customer("owner").await);
        let product = server.product(&admin, "MUG", "19.90", 20).await;
        let variant = at(&product, "/variants/0/id").to_owned();
        let stock = json!({ "low_stock_threshold": 15 });
        admin.put(&format!("/v1/admin/inventory/{variant}"), stock).await.done(200);
        let category = admin.post("/v1/admin/categories", json!({ "name": "Kitchen" })).await.expect(201);
        let sent = server.order(&owner, &variant, 6).await;
        let parcels = format!("/v1/admin/orders/{}/fulfilments", id(&sent));
        let parcel = admin.post(&parcels, json!({ "carrier": "DHL", "tracking_number": "1" })).await.expect(201);
        let parcel_path = format!("/v1/admin/fulfilments/{}", id(&parcel));
        for status in ["shipped", "delivered"] {
            admin.patch(&parcel_path, json!({ "status": status })).await.done(200);
        }
        let body = json!({ "items": [{ "variant_id": variant, "quantity": 1 }], "reason": "blue" });
        let back = owner.post(&format!("/v1/orders/{}/returns", id(&sent)), body).await.expect(201);
        owner.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await.done(200);
        let body = json!({ "shipping_address": address(), "payment": { "method": "manual" } });
        let order = owner.post("/v1/checkout", body).await.expect(201);
        owner.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": 1 })).await.done(200);
        let home = owner.post("/v1/me/addresses", address()).await.expect(201);
        let body = json!({ "rating": 5, "title": "Good", "body": "Tea." });
        let review = owner.post(&format!("/v1/products/{}/reviews", id(&product)), body).await.expect(201);
        let alerts = loop {
            // The worker raises it.
            let alerts = admin.get("/v1/admin/alerts").await.expect(200);
            if alerts["items"].as_array().is_some_and(|alerts| !alerts.is_empty()) {
                break alerts;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        server.login("owner@example.com").await;
        let sessions = owner.get("/v1/me/sessions").await.expect(200);
        let idle = sessions["items"].as_array().into_iter().flatten().find(|session| session["current"] != true);
        let user = owner.get("/v1/me").await.expect(200);
        let ids = [
            ("product", id(&product)),
            ("variant", &variant),
            ("category", id(&category)),
            ("order", id(&order)),
            ("payment", at(&order, "/payments/0/id")),
            ("parcel", id(&parcel)),
            ("return", id(&back)),
            ("address", id(&home)),
            ("review", id(&review)),
            ("alert", at(&alerts, "/items/0/id")),
            ("session", id(idle.expect("another session"))),
            ("user", id(&user)),
            ("gateway", "test"),
        ];
        let ids = ids.into_iter().map(|(name, id)| (name, id.to_owned())).collect();
        let callers = BTreeMap::from([
            (Who::Anonymous, server.anyone()),
            (Who::Other, server.customer("other").await),
            (Who::Support, server.staff(&admin, "support").await),
            (Who::Manager, server.staff(&admin, "manager").await),
            (Who::Admin, admin),
            (Who::Owner, owner),
        ]);
        Self { server, callers, ids }
    }

    /// All that a refused call could have changed, as its owner and an admin see it.
    pub async fn snapshot(&self) -> Vec<String> {
        let (admin, owner) = (&self.callers[&Who::Admin], &self.callers[&Who::Owner]);
        let mut seen = Vec::new();
        for path in ["/v1/me", "/v1/cart", "/v1/me/addresses", "/v1/me/reviews", "/v1/orders"] {
            seen.push(owner.get(path).await.expect(200).to_string());
        }
        let sessions = owner.get("/v1/me/sessions").await.expect(200);
        let sessions = sessions["items"].as_array().expect("items");
        seen.push(sessions.iter().map(id).collect::<Vec<_>>().join(" "));
        for list in ["products", "orders", "returns", "payments", "alerts", "inventory", "reviews", "users"] {
            seen.push(admin.get(&format!("/v1/admin/{list}?limit=100")).await.expect(200).to_string());
        }
        seen.push(admin.get("/v1/categories").await.expect(200).to_string());
        seen
    }

    /// A path of the table with the ids of this shop.
    pub fn fill(&self, path: &str) -> String {
        let fill = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => self.ids[name].clone(),
            None => part.to_owned(),
        };
        path.split('/').map(fill).collect::<Vec<_>>().join("/")
    }

    async fn call(&self, who: Who, method: &str, path: &str, has_body: bool) -> Response {
        let body = has_body.then(|| ("text/plain", b"x".to_vec()));
        let mut answer = self.callers[&who].with("if-match", "\"999-0\"").send(method, &self.fill(path), body).await;
        answer.asked = format!("{who:?}: {method} {path}");
        answer
    }
}

/// The operations of the served specification: method, shape of the path, whether there is a body.
fn served(specification: &Value) -> BTreeMap<(String, String), bool> {
    let paths = specification["paths"].as_object().expect("paths");
    let mut operations = BTreeMap::new();
    for (path, methods) in paths {
        for (method, operation) in methods.as_object().expect("methods") {
            let key = (method.to_uppercase(), shape(path));
            operations.insert(key, operation.get("requestBody").is_some_and(|body| !body.is_null()));
        }
    }
    operations
}

#[tokio::test]
async fn every_route_is_for_whom_it_is_for() {
    let world = World::new().await;
    let operations = served(&world.server.anyone().get("/openapi.json").await.expect(200));
    let listed: BTreeSet<_> = routes().iter().map(|(_, method, path)| ((*method).to_owned(), shape(path))).collect();
    let known: BTreeSet<_> = operations.keys().cloned().collect();
    assert_eq!(known, listed, "the table and the specification name the same routes");

    let before = world.snapshot().await;
    for (route, method, path) in routes() {
        let has_body = operations[&(method.to_owned(), shape(path))];
        let refused = world.callers.keys().filter_map(|who| Some((*who, refusal(route, *who)?)));
        for (who, status) in refused {
            let answer = world.call(who, method, path, has_body).await;
            let code = match status {
                401 => "unauthenticated",
                403 => "forbidden",
                _ => "not_found",
            };
            answer.refused(status, code);
        }
    }
    assert_eq!(before, world.snapshot().await, "a refused call changed something");

    for (route, method, path) in routes() {
        let has_body = operations[&(method.to_owned(), shape(path))];
        // What ends the caller's own session is shown by the journeys.
        if ["/v1/auth/logout", "/v1/me"].contains(&path) && method != "GET" && !has_body {
            continue;
        }
        let mut allowed = world.callers.keys().filter(|who| refusal(route, **who).is_none());
        let first = allowed.next().expect("somebody may");
        let answer = world.call(*first, method, path, has_body).await;
        assert_admitted(&answer, has_body);
        for who in allowed {
            let answer = world.call(*who, method, path, has_body).await;
            let gone = method == "DELETE" && answer.status == 404;
            if !gone {
                assert_admitted(&answer, has_body);
            }
        }
    }
}

/// 2xx; 415 where a body was sent; or a refusal for what the call is about, not for who calls.
#[track_caller]
fn assert_admitted(answer: &Response, has_body: bool) {
    let fine = match answer.status {
        200..300 | 400 | 409 | 412 | 422 => true,
        415 => has_body,
        // The test gateway sends no webhooks; a cart may have no such item.
        404 => ["/cart/items/", "/webhooks/"].iter().any(|part| answer.asked.contains(part)),
        _ => false,
    };
    assert!(fine, "{}: {} {}", answer.asked, answer.status, answer.text());
}
