//! The shop's API under `/shop`, inside an axum app with routes of its own.
//!
//! ```sh
//! cargo run -p mount-in-axum
//! curl http://127.0.0.1:3000/                    # the app's own page
//! curl http://127.0.0.1:3000/shop/v1/products    # the shop
//! open http://127.0.0.1:3000/shop/docs           # its documentation; links follow the prefix
//! ```

use std::net::SocketAddr;

use axum::{Router, extract::ConnectInfo, http::request::Parts, routing::get};
use commerce_core::{Commerce, payment::TestGateway};
use commerce_http::CommerceApi;
use commerce_sqlite::SqliteStore;
use tokio::net::TcpListener;

/// The app: a page of its own, and the shop beside it.
fn app(commerce: Commerce, gateway: TestGateway) -> Router {
    let peer = |parts: &Parts| parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|peer| peer.0);
    let shop = CommerceApi::new(commerce).test_gateway(gateway).into_service_with_peer(peer).mounted_at("/shop");
    Router::new().route("/", get(|| async { "Welcome! The shop is at /shop/docs" })).nest_service("/shop", shop)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let gateway = TestGateway::new();
    let commerce = Commerce::builder()
        .store(SqliteStore::open("sqlite://mounted-shop.db").await?)
        .gateway(gateway.clone())
        .settings(|settings| "http://127.0.0.1:3000/shop".clone_into(&mut settings.public_url))
        .build()?;
    // Messages, expiry and recovery need somebody to do them; `pending` never ends, so the worker runs as long as the app.
    tokio::spawn(commerce.worker().run(std::future::pending()));
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    let app = app(commerce, gateway).into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// Status line and headers, and the body.
    async fn send(address: SocketAddr, method: &str, path: &str, body: &str) -> (String, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    #[tokio::test]
    async fn everything_follows_the_prefix() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        let app = app(Commerce::builder().store(store).build().unwrap(), TestGateway::new());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = app.into_make_service_with_connect_info::<SocketAddr>();
        tokio::spawn(async move { axum::serve(listener, service).await });
        let get = async |path: &str| send(address, "GET", path, "").await;

        assert!(get("/").await.1.contains("The shop is at /shop/docs"));
        let (head, products) = get("/shop/v1/products").await;
        assert!(head.starts_with("http/1.1 200") && head.contains("etag: "), "{head}");
        assert_eq!(serde_json::from_str::<Value>(&products).unwrap()["items"], json!([]));
        let (_, document) = get("/shop/openapi.json").await;
        assert_eq!(serde_json::from_str::<Value>(&document).unwrap()["servers"][0]["url"], "/shop");
        assert!(get("/shop/v1/orders").await.0.starts_with("http/1.1 401"));

        let customer = json!({
            "email": "mia@example.com", "password": "violet-Harbour-27", "first_name": "Mia", "last_name": "Berger",
        });
        let (registered, _) = send(address, "POST", "/shop/v1/auth/register", &customer.to_string()).await;
        assert!(
            registered.starts_with("http/1.1 201") && registered.contains("location: /shop/v1/me\r\n"),
            "{registered}"
        );
        // As many attempts as one address may make in a minute: the host's server knows it.
        let mut limited = false;
        for _ in 0..650 {
            limited |= send(address, "POST", "/shop/v1/auth/email/resend", "{}").await.0.starts_with("http/1.1 429");
        }
        assert!(limited, "calls are limited by address");
    }
}
