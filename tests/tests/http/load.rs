//! Many at once, and ends that nobody planned: a crowd for few units, clients that hang up, SIGKILL, SIGTERM.

use std::{
    collections::HashSet,
    io::Write,
    net::TcpStream,
    sync::Arc,
    time::{Duration, Instant},
};

use commerce_tests::http::{Client, Server, at, card, id};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::BACKEND;

fn guest_card() -> Value {
    let mut body = card("pm_card_visa");
    body["email"] = json!("guest@example.com");
    body
}

/// What is on hand and reserved.
async fn stock(admin: &Client, variant: &str) -> (i64, i64) {
    let stock = admin.get(&format!("/v1/admin/inventory/{variant}")).await.expect(200);
    (stock["on_hand"].as_i64().expect("a number"), stock["reserved"].as_i64().expect("a number"))
}

/// Units of confirmed orders.
fn sold(orders: &[Value]) -> i64 {
    let confirmed = orders.iter().filter(|order| order["status"] == "confirmed");
    confirmed
        .flat_map(|order| order["items"].as_array().expect("items"))
        .filter_map(|item| item["quantity"].as_i64())
        .sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_buyers_of_fifty_units() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "RARE", "19.90", 50).await;
    let variant = at(&product, "/variants/0/id");
    let mut guests = Vec::new();
    for _ in 0..200 {
        guests.push(server.guest_with(variant, 1).await);
    }
    let mut calls = JoinSet::new();
    for guest in guests {
        calls.spawn(async move { guest.post("/v1/checkout", guest_card()).await });
    }
    let (mut bought, mut refused) = (0, 0);
    while let Some(answer) = calls.join_next().await {
        let answer = answer.expect("a call");
        if answer.status == 201 {
            bought += 1;
        } else {
            answer.refused(409, "out_of_stock");
            refused += 1;
        }
    }
    assert_eq!((bought, refused), (50, 150));
    assert_eq!(stock(&admin, variant).await, (0, 0));
    let all = admin.orders().await;
    assert_eq!(all.iter().filter(|order| order["payment_status"] == "paid").count(), 50);
    assert_eq!(sold(&all), 50);
    server.assert_verified();
}

/// Whatever the moment: an order, confirmed and paid, or none; never half.
#[tokio::test]
async fn a_client_that_hangs_up_leaves_an_order_or_none() {
    let server = Server::start(BACKEND).await;
    let admin = server.admin().await;
    let product = server.product(&admin, "MUG", "19.90", 100).await;
    let variant = at(&product, "/variants/0/id");
    let mut guests = Vec::new();
    for delay in 0..24_u64 {
        let guest = server.guest_with(variant, 1).await;
        let token = at(&guest.get("/v1/cart").await.expect(200), "/cart_token").to_owned();
        let body = guest_card().to_string();
        let mut socket = TcpStream::connect(server.address()).expect("a connection");
        write!(
            socket,
            "POST /v1/checkout HTTP/1.1\r\nhost: shop\r\nx-cart-token: {token}\r\ncontent-type: application/json\r\n\
             content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("it is sent");
        tokio::time::sleep(Duration::from_micros(delay * delay * 50)).await;
        drop(socket);
        guests.push(guest);
    }
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let all = admin.orders().await;
        let mut kept = 0;
        for guest in &guests {
            kept += guest.get("/v1/cart").await.expect(200)["item_count"].as_i64().expect("a number");
        }
        let whole = all.iter().all(|order| order["status"] == "confirmed" && order["payment_status"] == "paid");
        let stock = stock(&admin, variant).await;
        // Requests may still have been under way while this was read.
        if whole && stock == (100 - sold(&all), 0) && kept + sold(&all) == 24 {
            break;
        }
        assert!(Instant::now() < end, "{kept} carts kept, {} sold, stock {stock:?}: {all:?}", sold(&all));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.assert_verified();
}

/// Guests who buy until the server goes; the orders they were told of.
fn shoppers(server: &Server, variant: &str, many: usize) -> JoinSet<Vec<(String, String)>> {
    let mut shoppers = JoinSet::new();
    let item = json!({ "variant_id": variant, "quantity": 1 }).to_string().into_bytes();
    for _ in 0..many {
        let (anyone, item) = (server.anyone(), item.clone());
        shoppers.spawn(async move {
            let mut told = Vec::new();
            loop {
                let json = "application/json";
                let Ok(cart) = anyone.try_send("POST", "/v1/cart/items", Some((json, item.clone()))).await else {
                    break;
                };
                let guest = anyone.with("x-cart-token", at(&cart.expect(200), "/cart_token"));
                let body = guest_card().to_string().into_bytes();
                let Ok(order) = guest.try_send("POST", "/v1/checkout", Some((json, body))).await else { break };
                let order = order.expect(201);
                told.push((id(&order).to_owned(), at(&order, "/order_token").to_owned()));
            }
            told
        });
    }
    shoppers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigkill_loses_nothing_that_was_acknowledged() {
    let mut server = Server::start(BACKEND).await;
    let product = server.product(&server.admin().await, "MUG", "19.90", 1_000_000).await;
    let variant = at(&product, "/variants/0/id").to_owned();
    let mut told = Vec::new();
    for round in 0..3 {
        let shoppers = shoppers(&server, &variant, 8);
        tokio::time::sleep(Duration::from_millis(700 + 311 * round)).await;
        server.kill();
        told.extend(shoppers.join_all().await.into_iter().flatten());
        server.assert_verified();
        server = Server::start_in(Arc::clone(&server.home), &[], &[]);
    }
    assert!(told.len() >= 10, "only {} orders before the ends", told.len());
    for (order, token) in &told {
        let order = server.anyone().with("x-order-token", token).get(&format!("/v1/orders/{order}")).await.expect(200);
        assert_eq!((at(&order, "/status"), at(&order, "/payment_status")), ("confirmed", "paid"));
    }
    let all = server.admin().await.orders().await;
    let ids: HashSet<&str> = all.iter().map(id).collect();
    assert!(told.iter().all(|(order, _)| ids.contains(order.as_str())));
    assert_eq!(stock(&server.admin().await, &variant).await.0, 1_000_000 - sold(&all));
    server.assert_verified();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_finishes_what_was_begun() {
    let mut server = Server::start(BACKEND).await;
    let product = server.product(&server.admin().await, "MUG", "19.90", 1_000_000).await;
    let variant = at(&product, "/variants/0/id").to_owned();
    let shoppers = shoppers(&server, &variant, 8);
    tokio::time::sleep(Duration::from_millis(800)).await;
    server.signal("TERM");
    assert!(server.wait().success(), "{}", server.log());
    let told: Vec<_> = shoppers.join_all().await.into_iter().flatten().collect();
    assert!(!told.is_empty());
    server.assert_verified();
    let server = Server::start_in(Arc::clone(&server.home), &[], &[]);
    let admin = server.admin().await;
    let all = admin.orders().await;
    assert!(told.iter().all(|(order, _)| all.iter().any(|found| id(found) == order)));
    assert_eq!(stock(&admin, &variant).await, (1_000_000 - sold(&all), 0), "nothing is left half done");
}
