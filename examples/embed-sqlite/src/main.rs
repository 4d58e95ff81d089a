//! A whole shop in one process, on one file: register, browse, search, cart, checkout, ship, refund, review.
//! Run it with `cargo run --release -p embed-sqlite`.

use commerce_core::prelude::*;
use commerce_sqlite::SqliteStore;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let shop =
        Commerce::builder().store(SqliteStore::open("sqlite://shop.db").await?).gateway(TestGateway::new()).build()?;
    let staff = Call::system();

    // Staff put a mug on the shelf. The suffix lets the example run again on the same file.
    let suffix =
        shop.catalog().products(&Actor::System, ProductQuery::default(), &PageRequest::first(100)).await?.items.len();
    let mug = VariantDraft {
        stock: Some(10),
        ..VariantDraft::new(format!("MUG-{suffix}"), Money::parse("19.90", Currency::EUR)?)
    };
    let draft = ProductDraft {
        title: "Enamel mug".into(),
        description: "Keeps coffee warm and survives a fall.".into(),
        status: ProductStatus::Active,
        variants: vec![mug],
        ..ProductDraft::default()
    };
    shop.catalog().create_product(&staff, draft).await?;

    // Ada registers, signs in, searches and finds it.
    let (email, password) = (format!("ada{suffix}@example.com"), "difference engine no 2");
    let ada = Registration::new(&email, password, "Ada", "Lovelace");
    shop.accounts().register(&Call::guest(), ada).await?;
    let login = shop.accounts().login(&Call::guest(), Credentials::new(&email, password)).await?;
    let ada = Call::by(Actor::User(shop.accounts().authenticate(&login.tokens.access_token).await?));
    let query = ProductQuery { q: Some("ename mug".into()), ..ProductQuery::default() };
    let found = shop.catalog().products(&ada.actor, query, &PageRequest::first(1)).await?.items.remove(0).view.product;
    println!("found {} at {} EUR", found.title, found.variants[0].price);

    // She buys two.
    let cart = shop.carts().add_item(&ada, found.variants[0].id, 2, None).await?.value;
    let address = PostalAddress {
        name: "Ada Lovelace".into(),
        line1: "12 St James's Square".into(),
        city: "London".into(),
        postal_code: "SW1Y 4JH".into(),
        country: "GB".into(),
        ..PostalAddress::default()
    };
    let input = CheckoutInput { expected_total: Some(cart.totals.grand_total), ..CheckoutInput::new(address, "test") };
    let order = shop.checkout().place(&ada, input).await?.value.order;
    println!("order {} is {:?}, {:?}", order.number, order.status, order.payment_status);

    // Staff ship them; one comes back; Ada says what she thinks; the worker sends the messages to the log.
    let parcel = FulfilmentInput {
        items: vec![],
        carrier: "Royal Mail".into(),
        tracking_number: "RM1".into(),
        tracking_url: None,
    };
    let (_, parcel) = shop.orders().fulfil(&staff, order.id, parcel).await?.value;
    shop.orders().update_fulfilment(&staff, parcel, FulfilmentStatus::Shipped).await?;
    let amount = Some(Money::parse("19.90", Currency::EUR)?);
    let refund = RefundInput { amount, items: vec![], reason: "one had a dent".into(), restock: false };
    let (order, _) = shop.payments().refund(&staff, order.id, refund).await?.value;
    let review =
        ReviewDraft { rating: 4, title: "Sturdy".into(), body: "One of two had a dent, refunded at once.".into() };
    let review = shop.reviews().create(&ada, &found.slug, review).await?.value;
    println!(
        "order {} is {:?}; {} stars, verified: {}",
        order.number, order.payment_status, review.rating, review.verified_purchase
    );
    println!("the worker did {} tasks", shop.worker().tick().await?);
    Ok(())
}
