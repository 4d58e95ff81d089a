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
