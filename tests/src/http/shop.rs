//! What journeys begin with: an admin, customers, something to buy.

use serde_json::{Value, json};

use super::{Client, Server, server::ADMIN_EMAIL};

/// Everybody's password here.
pub const PASSWORD: &str = "violet-Harbour-27";
/// Where everybody lives here.
pub const ADDRESS_CITY: &str = "Berlin";

/// An address.
#[must_use]
pub fn address() -> Value {
    json!({
        "name": "Mia Muster", "line1": "Lindenallee 1", "city": ADDRESS_CITY, "postal_code": "10115", "country": "DE",
    })
}

/// A checkout's body, paid with a token of the test gateway.
#[must_use]
pub fn card(token: &str) -> Value {
    json!({ "shipping_address": address(), "payment": { "method": "test", "token": token } })
}

impl Server {
    /// Signs in.
    pub async fn login(&self, email: &str) -> Client {
        let session = self.anyone().post("/v1/auth/login", json!({ "email": email, "password": PASSWORD })).await;
        self.anyone().bearer(session.expect(200)["access_token"].as_str().expect("a token"))
    }

    /// The first admin, signed in.
    pub async fn admin(&self) -> Client {
        self.login(ADMIN_EMAIL).await
    }

    /// A new customer `<name>@example.com`, signed in.
    pub async fn customer(&self, name: &str) -> Client {
        let email = format!("{name}@example.com");
        let body = json!({ "email": email, "password": PASSWORD, "first_name": name, "last_name": "Muster" });
        self.anyone().post("/v1/auth/register", body).await.done(201);
        self.login(&email).await
    }

    /// A new member of the staff, signed in. `admin` gives the role.
    pub async fn staff(&self, admin: &Client, role: &str) -> Client {
        let user = self.customer(role).await.get("/v1/me").await.expect(200);
        let path = format!("/v1/admin/users/{}", id(&user));
        admin.patch(&path, json!({ "role": role })).await.done(200);
        self.login(&format!("{role}@example.com")).await
    }

    /// A new product with one variant; the product. Its variant's id is at `/variants/0/id`.
    pub async fn product(&self, admin: &Client, sku: &str, price: &str, stock: i64) -> Value {
        let body = json!({
            "title": format!("Product {sku}"), "status": "active",
            "variants": [{ "sku": sku, "price": { "amount": price, "currency": "EUR" }, "stock": stock }],
        });
        admin.post("/v1/admin/products", body).await.expect(201)
    }

    /// A guest with units of a variant in their cart.
    pub async fn guest_with(&self, variant: &str, quantity: i64) -> Client {
        let guest = self.anyone();
        let cart =
            guest.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": quantity })).await.expect(200);
        guest.with("x-cart-token", cart["cart_token"].as_str().expect("a cart token"))
    }

    /// A customer buys units of a variant by card; the order.
    pub async fn order(&self, customer: &Client, variant: &str, quantity: i64) -> Value {
        customer.post("/v1/cart/items", json!({ "variant_id": variant, "quantity": quantity })).await.done(200);
        customer.post("/v1/checkout", card("pm_card_visa")).await.expect(201)
    }
}

/// The id of a resource.
#[track_caller]
#[must_use]
pub fn id(resource: &Value) -> &str {
    at(resource, "/id")
}

/// The text at a JSON Pointer.
#[track_caller]
#[must_use]
pub fn at<'a>(document: &'a Value, pointer: &str) -> &'a str {
    let text = document.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("no text at {pointer} of {document}"))
}
