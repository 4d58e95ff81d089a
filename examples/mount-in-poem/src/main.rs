//! The shop's API under `/shop`, inside an app with routes of its own.
//!
//! ```sh
//! cargo run -p mount-in-poem
//! curl http://127.0.0.1:3000/                    # the app's own page
//! curl http://127.0.0.1:3000/shop/v1/products    # the shop
//! open http://127.0.0.1:3000/shop/docs           # its documentation; links follow the prefix
//! ```

use commerce_core::{Commerce, payment::TestGateway};
use commerce_http::CommerceApi;
use commerce_sqlite::SqliteStore;
use poem::{Endpoint, Response, Route, Server, endpoint::make_sync, get, listener::TcpListener};

/// The app: a page of its own, and the shop beside it.
fn app(commerce: Commerce, gateway: TestGateway) -> impl Endpoint<Output = Response> {
    let shop = CommerceApi::new(commerce).test_gateway(gateway).build();
    Route::new().at("/", get(make_sync(|_| "Welcome! The shop is at /shop/docs"))).nest("/shop", shop)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let gateway = TestGateway::new();
    let commerce = Commerce::builder()
        .store(SqliteStore::open("sqlite://mounted-shop.db").await?)
        .gateway(gateway.clone())
        .settings(|settings| settings.public_url = "http://127.0.0.1:3000/shop".to_owned())
        .build()?;
    // Messages, expiry and recovery need somebody to do them; `pending` never ends, so the worker runs as long as the app.
    tokio::spawn(commerce.worker().run(std::future::pending()));
    Server::new(TcpListener::bind("127.0.0.1:3000")).run(app(commerce, gateway)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use poem::{Request, http::Method};
    use serde_json::{Value, json};

    use super::*;

    async fn send(app: &impl Endpoint<Output = Response>, method: Method, path: &str, body: Value) -> (Response, Value) {
        let request = Request::builder().method(method).uri_str(path).content_type("application/json");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut response = app.get_response(request.body(body)).await;
        let body = response.take_body().into_vec().await.unwrap();
        (response, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn everything_follows_the_prefix() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        let app = app(Commerce::builder().store(store).build().unwrap(), TestGateway::new());
        let get = |path: &'static str| send(&app, Method::GET, path, Value::Null);

        assert_eq!(get("/").await.0.status(), 200);
        assert_eq!(get("/shop/v1/products").await.1["items"], json!([]));
        assert_eq!(get("/shop/openapi.json").await.1["servers"][0]["url"], "/shop");
        assert_eq!(get("/shop/docs").await.0.status(), 200);
        assert_eq!(get("/shop/v1/nothing").await.1["code"], "not_found");
        assert_eq!(get("/shop/v1/orders").await.1["code"], "unauthenticated");

        let customer = json!({
            "email": "mia@example.com", "password": "violet-Harbour-27", "first_name": "Mia", "last_name": "Berger",
        });
        let (registered, _) = send(&app, Method::POST, "/shop/v1/auth/register", customer).await;
        assert_eq!(registered.status(), 201);
        assert_eq!(registered.header("location"), Some("/shop/v1/me"));
        let (wrong, problem) = send(&app, Method::PUT, "/shop/v1/me", Value::Null).await;
        assert_eq!((wrong.status().as_u16(), wrong.header("allow")), (405, Some("DELETE, GET, PATCH, HEAD, OPTIONS")));
        assert_eq!(wrong.content_type(), Some("application/problem+json"));
        assert_eq!(problem["request_id"].as_str(), wrong.header("x-request-id"));
    }
}
