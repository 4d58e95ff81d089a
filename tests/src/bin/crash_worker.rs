//! Sells until it is killed: `crash_worker DATABASE LEDGER VARIANT`. Prints each order once it is acknowledged.

use std::{io::Write as _, path::Path, time::Duration};

use commerce_core::{Commerce, checkout::Checkout, id::VariantId, order::Cancellation};
use commerce_sqlite::SqliteStore;
use commerce_tests::{
    ledger::FolderGateway,
    shop::{address, customer},
};
use futures_util::future::join_all;

const BUYERS: usize = 8;

#[tokio::main]
async fn main() {
    let [_, database, ledger, variant] = &std::env::args().collect::<Vec<_>>()[..] else {
        panic!("usage: crash_worker DATABASE LEDGER VARIANT")
    };
    let shop = Commerce::builder()
        .store(SqliteStore::open(database).await.unwrap())
        .gateway(FolderGateway::new(Path::new(ledger)))
        .settings(|settings| settings.gateway_lease = Duration::from_millis(500))
        .secret([7; 32])
        .build()
        .unwrap();
    let variant: VariantId = variant.parse().unwrap();
    tokio::spawn(shop.worker().run(std::future::pending()));
    join_all((0..BUYERS).map(|n| buy(&shop, variant, n))).await;
}

/// Buys one after the other; each third order is cancelled again.
async fn buy(shop: &Commerce, variant: VariantId, first: usize) {
    for n in first.. {
        let call = customer();
        shop.acting_as(&call).carts().add(variant, 1).await.unwrap();
        let input = Checkout::ship_to(address()).email("ada@example.com".to_owned()).pay_with("folder");
        let order = shop.acting_as(&call).checkout().place(input).await.unwrap().order;
        say("sold", &order.number);
        if n % 3 == 0 {
            shop.as_system().orders().cancel(order.id, Cancellation::all()).await.unwrap();
            say("cancelled", &order.number);
        }
    }
}

/// One write a line: a line that was read was written whole.
fn say(what: &str, number: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{what} {number}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}
