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
        .settings(|settings| "http://127.0.0.1:3000/shop".clone_into(&mut settings.public_url))
        .build()?;
    // Messages, expiry and recovery need somebody to do them; `pending` never ends, so the worker runs as long as the app.
    tokio::spawn(commerce.worker().run(std::future::pending()));
    Server::new(TcpListener::bind("127.0.0.1:3000")).run(app(commerce, gateway)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use poem::listener::{Acceptor, Listener};
    use serde_json::{Value, json};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// Status line and headers, and the body.
    async fn send(address: &str, method: &str, path: &str, body: &Value) -> (String, Value) {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
    }

    #[tokio::test]
    async fn everything_follows_the_prefix() {
        let store = SqliteStore::open("sqlite::memory:").await.unwrap();
        let app = app(Commerce::builder().store(store).build().unwrap(), TestGateway::new());
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await.unwrap();
        let address = acceptor.local_addr()[0].as_socket_addr().unwrap().to_string();
        tokio::spawn(Server::new_with_acceptor(acceptor).run(app));
        let get = |path: &'static str| send(&address, "GET", path, &Value::Null);

        assert!(get("/").await.0.starts_with("HTTP/1.1 200"));
        assert_eq!(get("/shop/v1/products").await.1["items"], json!([]));
        assert_eq!(get("/shop/openapi.json").await.1["servers"][0]["url"], "/shop");
        assert!(get("/shop/docs").await.0.starts_with("HTTP/1.1 200"));
        assert_eq!(get("/shop/v1/nothing").await.1["code"], "not_found");
        assert_eq!(get("/shop/v1/orders").await.1["code"], "unauthenticated");

        let customer = json!({
            "email": "mia@example.com", "password": "violet-Harbour-27", "first_name": "Mia", "last_name": "Berger",
        });
        let (registered, _) = send(&address, "POST", "/shop/v1/auth/register", &customer).await;
        assert!(
            registered.starts_with("HTTP/1.1 201") && registered.contains("location: /shop/v1/me\r\n"),
            "{registered}"
        );
        let (wrong, problem) = send(&address, "PUT", "/shop/v1/me", &Value::Null).await;
        assert!(wrong.starts_with("HTTP/1.1 405") && wrong.contains("allow: DELETE, GET, PATCH, HEAD, OPTIONS\r\n"));
        assert_eq!(problem["code"], "method_not_allowed");
    }
}
