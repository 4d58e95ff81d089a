//! What a request costs over a bare poem route that returns the same bytes from memory.
//!
//! `cargo bench -p commerce-http` prints one line a figure: `bench NAME ratio=… value=…`; the ratio is requests a second against
//! the bare route's, in the same run, at 32 connections kept alive; server and clients share the machine's cores.
//!
//! - `product_detail`, `product_list`: on 100,000 products.
//! - `add_to_cart`: one item after the other into each connection's own cart.
//! - `guest_checkout`: two adds and a checkout; the value is orders a second, the ratio that of requests.

mod load;
mod shop;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use commerce_core::payment::TestGateway;
use commerce_http::CommerceApi;
use poem::{
    Body, Endpoint, Response, Server,
    endpoint::make_sync,
    listener::{Acceptor, Listener, TcpListener},
};

use self::load::{Client, Load};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const CONNECTIONS: usize = 32;
const PRODUCTS: u32 = 100_000;
const SPAN: Duration = Duration::from_secs(4);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), BoxError> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite://{}", folder.path().join("shop.db").display());
    let (commerce, variants) = shop::open(&url, PRODUCTS).await?;
    let api = CommerceApi::new(commerce).test_gateway(TestGateway::new()).rate_limits(false).build();
    let shop = serve(api).await?;
    let variants = Arc::new(variants);
    println!("{} cores, {PRODUCTS} products, {CONNECTIONS} connections", std::thread::available_parallelism()?);

    let detail = Load::Get("/v1/products/enamel-mug-77700");
    let list = Load::Get("/v1/products?sort=price");
    for (name, load) in [
        ("product_detail", detail),
        ("product_list", list),
        ("add_to_cart", Load::Add(variants.clone())),
        ("guest_checkout", Load::Checkout(variants)),
    ] {
        let bare = serve(bare(load.sample(&mut Client::connect(shop).await?).await?)).await?;
        // In turns, so that a noisy moment of the machine hits both.
        let (mut ours, mut plain) = (0.0, 0.0);
        for _ in 0..2 {
            plain += load::rate(bare, &Load::Get("/"), SPAN).await? / 2.0;
            ours += load::rate(shop, &load, SPAN).await? / 2.0;
        }
        let ratio = ours * load.requests() / plain;
        println!("bench {name} ratio={ratio:.2} value={ours:.0}/s bare={plain:.0}/s");
    }
    Ok(())
}

/// The same bytes from memory, whatever is asked.
fn bare(bytes: Bytes) -> impl Endpoint<Output = Response> {
    make_sync(move |_| Response::builder().content_type("application/json").body(Body::from_bytes(bytes.clone())))
}

async fn serve(endpoint: impl Endpoint<Output = Response> + 'static) -> Result<SocketAddr, BoxError> {
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await?;
    let address = acceptor.local_addr().first().and_then(|address| address.as_socket_addr().copied());
    tokio::spawn(Server::new_with_acceptor(acceptor).run(endpoint));
    address.ok_or_else(|| "not a TCP address".into())
}
