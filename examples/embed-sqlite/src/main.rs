//! A whole shop in one process, on one file: register, browse, search, cart, checkout, ship, refund, review.
//! Run it with `cargo run --release -p embed-sqlite`.

use commerce_core::prelude::*;
use commerce_sqlite::SqliteStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = SqliteStore::open("sqlite://shop.db").await?;
    let shop = Commerce::builder().store(store).gateway(TestGateway::new()).build()?;
    let staff = RequestContext::system();

    // Staff put a mug on the shelf. The number lets the example run again on the same file.
    let shelf = shop.as_system().catalog().products().page(&PageRequest::first(100)).await?;
    let n = shelf.items.len();
    let price = Money::parse("19.90", Currency::EUR)?;
    let mug = NewProduct::active("Enamel mug").variant(format!("MUG-{n}"), price).stock(10);
    shop.as_system().catalog().create(mug).await?;

    // Ada registers, signs in, searches and finds it, in spite of a typo.
    let (email, password) = (format!("ada{n}@example.com"), "difference engine no 2");
    shop.as_guest().accounts().register(Registration::new(&email, password, "Ada", "Lovelace")).await?;
    let ada = RequestContext::from(shop.sign_in(&email, password).await?.actor());
    let found = shop.acting_as(&ada).catalog().search("enamle mug").first().await?.ok_or("nothing found")?;
    println!("found {} at {} EUR", found.title, found.variants[0].price);

    // She buys two.
    let cart = shop.acting_as(&ada).carts().add(found.default_variant(), 2).await?;
    let address = PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB");
    let checkout = Checkout::ship_to(address).pay_with("test").expect_total(cart.totals.grand_total);
    let order = shop.acting_as(&ada).checkout().place(checkout).await?;
    println!("order {} is {:?}, {:?}", order.number, order.status, order.payment_status);

    // Staff ship them, and give the money for one back; Ada says what she thinks.
    let packed = shop.as_system().orders().fulfil(order.id, NewFulfilment::all("Royal Mail", "RM1")).await?;
    shop.as_system().orders().update_fulfilment(packed.fulfilment.id, FulfilmentStatus::Shipped).await?;
    let refund = NewRefund::amount(price).reason("a dent");
    let order = shop.as_system().payments().refund(order.id, refund).await?.order;
    let review = NewReview::new(4, "Sturdy", "A dent, refunded at once.");
    let review = shop.acting_as(&ada).reviews().create(&found.slug, review).await?;
    println!("it is {:?}; {} stars, verified: {}", order.payment_status, review.rating, review.verified_purchase);

    // The worker sends the messages, here to the log.
    println!("the worker did {} tasks", shop.worker().tick().await?);
    Ok(())
}
