//! What is asked, refused, quoted and placed.

use commerce_core::{
    Currency, Money,
    catalog::VariantPatch,
    checkout::{Checkout, CheckoutError, QuoteRequest},
    context::{Actor, RequestContext},
    error::CommonError,
    order::OrderStatus,
    page::PageRequest,
    payment::{PaymentStatus, PlacementOutcome},
    pricing::{FlatMethod, FlatShipping},
};
use commerce_tests::shop::{TestShop, VISA, address, customer, eur, input};

#[tokio::test]
async fn a_customer_buys_and_is_told() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 2).await;
    let placed = shop.place(&ada, VISA).await.unwrap();
    let order = placed.order;
    assert_eq!((placed.outcome, placed.order_token), (PlacementOutcome::Placed, None));
    assert_eq!((order.status, order.payment_status), (OrderStatus::Confirmed, PaymentStatus::Paid));
    assert_eq!((order.totals.grand_total, order.lines[0].charged), (eur(3980), eur(3980)));
    assert_eq!(order.payments[0].token, None, "the card's token isn't kept");
    assert_eq!(shop.order(&order).await, order, "what was answered is what was written");
    assert_eq!(shop.units(mug).await, (8, 0));
    assert_eq!(shop.by(&ada).carts().view().await.unwrap().id, None);
    let mine = shop.by(&ada.actor).orders().mine(&PageRequest::default()).await.unwrap();
    assert_eq!(mine.items, std::slice::from_ref(&order));
    shop.commerce.worker().tick().await.unwrap();
    let mails = shop.mailer.sent_to("ada@example.com");
    assert_eq!(mails.len(), 1);
    assert!(mails[0].subject.contains(&order.number), "{}", mails[0].subject);
    shop.check_books().await;
    assert_eq!(shop.store.reads().task_backlog().await.unwrap().0, 0, "nothing is left to watch");
}

#[tokio::test]
async fn a_guest_buys_and_only_their_token_opens_the_order() {
    let shop = TestShop::open().await;
    let mug = shop.sell("MUG", 1990, 10).await;
    let guest = shop.guest_with(mug, 1).await;
    let nameless = input(VISA).email(None);
    let refused = shop.by(&guest).checkout().place(nameless).await.unwrap_err();
    assert_eq!(field(refused), ("/email".to_owned(), "required"));
    let placed = shop.place(&guest, VISA).await.unwrap();
    let token = placed.order_token;
    let holder = Actor::Guest { cart: None, order: token };
    assert_eq!(shop.by(&holder).orders().get(placed.order.id).await.unwrap().id, placed.order.id);
    let other = shop.guest_with(mug, 1).await;
    let theirs = shop.place(&other, VISA).await.unwrap().order;
    for stranger in [&holder, &Actor::guest(), &customer().actor, &guest.actor] {
        assert!(shop.by(stranger).orders().get(theirs.id).await.is_err());
    }
    let found = shop.guest().orders().lookup(&placed.order.number.to_lowercase(), " Ada@Example.com ").await.unwrap();
    let (found, fresh) = (found.order, found.order_token);
    assert_eq!(found.id, placed.order.id);
    let holder = Actor::Guest { cart: None, order: Some(fresh) };
    assert!(shop.by(&holder).orders().get(found.id).await.is_ok());
    assert!(shop.guest().orders().lookup(&found.number, "eve@example.com").await.is_err());
    assert!(shop.guest().orders().lookup("00000-00000", "ada@example.com").await.is_err());
}

/// The first broken rule of a refusal.
fn field(error: CheckoutError) -> (String, &'static str) {
    let CheckoutError::Common(CommonError::Invalid(invalid)) = error else { panic!("{error:?}") };
    (invalid.errors[0].pointer.clone(), invalid.errors[0].code)
}

#[tokio::test]
async fn a_bad_checkout_names_the_field_and_changes_nothing() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 1).await;
    let homeless = commerce_core::address::PostalAddress { city: " ".into(), ..address() };
    let dollars = Some(Money::new(1990, Currency::USD));
    let cases = [
        (
            Checkout::ship_to(homeless.clone()).pay_with("test").email("ada@example.com".to_owned()),
            "/shipping_address/city",
        ),
        (input(VISA).bill_to(homeless), "/billing_address/city"),
        (input(VISA).email("nobody".to_owned()), "/email"),
        (input(VISA).pay_with("gold"), "/payment/method"),
        (input(""), "/payment/token"),
        (input(VISA).shipping_method("teleport".to_owned()), "/shipping_method"),
        (input(VISA).expect_total(dollars), ""),
    ];
    for (input, pointer) in cases {
        let refused = shop.by(&ada).checkout().place(input).await.unwrap_err();
        assert_eq!(field(refused).0, pointer);
    }
    assert_eq!(shop.units(mug).await, (10, 0));
    assert_eq!(shop.orders().await, []);
    assert_eq!(shop.gateway.ledger(), []);
}

#[tokio::test]
async fn the_quote_is_what_checkout_charges() {
    let method = |code: &str, price| FlatMethod {
        code: code.to_owned(),
        title: code.to_owned(),
        price: Some(eur(price)),
        free_above: Some(eur(5000)),
    };
    let shop = TestShop::with(|b| b.shipping(FlatShipping::new(vec![method("fast", 990), method("slow", 490)]))).await;
    let (mug, ada) = (shop.sell("MUG", 1990, 10).await, customer());
    shop.fill(&ada, mug, 2).await;
    let quote = shop.by(&ada.actor).checkout().quote(address()).await.unwrap();
    assert_eq!((quote.shipping_methods.len(), quote.totals.grand_total), (2, eur(3980 + 490)));
    let fast = shop
        .by(&ada.actor)
        .checkout()
        .quote(QuoteRequest::from(address()).shipping_method("fast".to_owned()))
        .await
        .unwrap();
    assert_eq!(fast.totals.grand_total, eur(3980 + 990));

    let expecting = input(VISA).expect_total(quote.totals.grand_total);
    shop.staff().catalog().update_variant(mug, VariantPatch::new().price(eur(2000))).await.unwrap();
    let refused = shop.by(&ada).checkout().place(expecting.clone()).await.unwrap_err();
    let CheckoutError::PriceChanged { totals } = refused else { panic!("{refused:?}") };
    assert_eq!(totals.grand_total, eur(4490));
    let expecting = expecting.expect_total(totals.grand_total);
    let order = shop.by(&ada).checkout().place(expecting).await.unwrap().order;
    assert_eq!((order.totals.grand_total, order.payments[0].captured), (eur(4490), 4490));
    assert_eq!(order.shipping_method.code, "slow");
}

#[tokio::test]
async fn an_empty_cart_or_an_empty_shelf_is_refused() {
    let shop = TestShop::open().await;
    let (mug, ada, bob) = (shop.sell("MUG", 1990, 2).await, customer(), customer());
    assert!(matches!(shop.place(&ada, VISA).await, Err(CheckoutError::CartEmpty)));
    assert!(matches!(shop.place(&RequestContext::system(), VISA).await, Err(CheckoutError::CartEmpty)));
    shop.fill(&ada, mug, 2).await;
    shop.buy(&bob, mug, 1).await;
    let refused = shop.place(&ada, VISA).await.unwrap_err();
    assert!(
        matches!(refused, CheckoutError::OutOfStock { variant_id, available: 1 } if variant_id == mug),
        "{refused:?}"
    );
    assert_eq!(shop.commerce.acting_as(&ada).carts().view().await.unwrap().item_count, 2, "the cart is kept");
    shop.check_books().await;
}
