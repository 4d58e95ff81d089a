//! A whole shop in one process, on one file: a mug on sale, a customer who finds and buys it, a parcel, a refund, a review.
//! Run it with `cargo run --release -p embed-sqlite`, as often as you like.

use commerce_core::prelude::*;
use commerce_sqlite::SqliteStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    trade("sqlite://shop.db").await
}

async fn trade(database: &str) -> Result<(), Box<dyn std::error::Error>> {
    let shop = Commerce::builder().store(SqliteStore::open(database).await?).gateway(TestGateway::new()).build()?;
    // SKUs and e-mail addresses are unique in a shop, so each run has its own.
    let run = shop.ids().uuid().simple();
    let (email, password) = (format!("ada+{run}@example.com"), "difference engine no 2");
    let price = Money::parse("19.90", Currency::EUR)?;
    let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");

    let staff = shop.as_system();
    staff.catalog().create(NewProduct::active("Enamel mug").variant(format!("MUG-{run}"), price).stock(10)).await?;
    shop.as_guest().accounts().register(Registration::new(&email, password, "Ada", "Lovelace")).await?;
    let ada = shop.sign_in(&email, password).await?;
    let found = ada.catalog().search("enamle mug").first().await?.ok_or("nothing found")?;
    let cart = ada.carts().add(found.default_variant(), 2).await?;
    let order = ada.checkout().place(Checkout::ship_to(address).pay_with("test").expect_total(cart.total())).await?;
    println!("{} × {} for {} EUR: order {} is {:?}", 2, found.title, cart.total(), order.number, order.payment_status);
    staff.orders().fulfil(order.id, NewFulfilment::all("Royal Mail", "RM1")).await?;
    staff.payments().refund(order.id, NewRefund::amount(price).reason("a dent")).await?;
    let review = ada.reviews().create(&found.slug, NewReview::new(4, "Sturdy", "A dent, refunded at once.")).await?;
    println!("{} stars; verified purchase: {}", review.rating, review.verified_purchase);

    // The worker sends the messages, here to the log.
    println!("the worker did {} tasks", shop.worker().tick().await?);
    shop.close().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn it_runs_twice_on_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}", folder.path().join("shop.db").display());
        super::trade(&database).await.unwrap();
        super::trade(&database).await.unwrap();
    }
}
