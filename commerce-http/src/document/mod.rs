//! The OpenAPI document: what poem-openapi derives from the operations, completed with what it can't know.

#[cfg(test)]
mod agree;
mod answers;
mod complete;
mod docs;
mod parameters;
mod problems;
mod schemas;
#[cfg(test)]
mod tests;

use poem_openapi::{LicenseObject, OpenApi, OpenApiService};
use serde_json::Value;

pub use self::docs::{DocsCache, swagger_ui};

const DESCRIPTION: &str = "\
A shop: accounts, catalogue, carts, checkout, orders, payments, inventory, reviews.

**Signing in.** `POST /v1/auth/login` answers an `access_token`: press *Authorize* and paste it. Guests need no account: the \
first item put into a cart answers a `cart_token`, an order an `order_token`.

**Errors** are RFC 9457 problem documents; switch on `code`. **Money** is a decimal string with its currency. **Lists** have \
`items` and `next_cursor`; pass it as `cursor` for the next page. **Idempotency-Key** makes a repeated call have its effect \
once. **ETag** with `If-None-Match` saves a transfer, with `If-Match` it guards a write. **Texts** hold no control characters; \
line breaks and tabs only where a text has lines (`x-lines`). What shows nothing is empty.";

/// The document of an API that is mounted under `prefix`.
pub fn document<T: OpenApi>(api: T, prefix: &str, has_test_gateway: bool) -> Value {
    let service = OpenApiService::new(api, "Commerce API", env!("CARGO_PKG_VERSION"))
        .description(DESCRIPTION)
        .license(LicenseObject::new(env!("CARGO_PKG_LICENSE")).url("https://spdx.org/licenses/"))
        .server(if prefix.is_empty() { "/" } else { prefix });
    let mut document: Value = serde_json::from_str(&service.spec()).unwrap_or_default();
    complete::complete(&mut document, has_test_gateway);
    document
}
