//! What is asked, refused, quoted and placed.

use commerce_core::{
    Currency, Money,
    catalog::VariantPatch,
    checkout::{CheckoutError, CheckoutInput},
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
    assert_eq!(shop.commerce.acting_as(&ada).carts().view().await.unwrap().id, None);
    let mine = shop.commerce.orders().mine(&ada.actor, &PageRequest::default()).await.unwrap();
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
    let nameless = CheckoutInput { email: None, ..input(VISA) };
    let refused = shop.commerce.checkout().place(&guest, nameless).await.unwrap_err();
    assert_eq!(field(refused), ("/email".to_owned(), "required"));
    let placed = shop.place(&guest, VISA).await.unwrap();
    let token = placed.order_token.map(commerce_core::token::OrderToken);
    let orders = shop.commerce.orders();
    let holder = Actor::Guest { cart: None, order: token };
    assert_eq!(orders.get(&holder, placed.order.id).await.unwrap().id, placed.order.id);
    let other = shop.guest_with(mug, 1).await;
    let theirs = shop.place(&other, VISA).await.unwrap().order;
    for stranger in [&holder, &Actor::guest(), &customer().actor, &guest.actor] {
        assert!(orders.get(stranger, theirs.id).await.is_err());
    }
    let (found, fresh) = orders
        .lookup(&RequestContext::guest(), &placed.order.number.to_lowercase(), " Ada@Example.com ")
        .await
        .unwrap();
    assert_eq!(found.id, placed.order.id);
    let holder = Actor::Guest { cart: None, order: Some(fresh) };
    assert!(orders.get(&holder, found.id).await.is_ok());
    assert!(orders.lookup(&RequestContext::guest(), &found.number, "eve@example.com").await.is_err());
    assert!(orders.lookup(&RequestContext::guest(), "00000-00000", "ada@example.com").await.is_err());
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
        (CheckoutInput { shipping_address: homeless.clone(), ..input(VISA) }, "/shipping_address/city"),
        (CheckoutInput { billing_address: Some(homeless), ..input(VISA) }, "/billing_address/city"),
        (CheckoutInput { email: Some("nobody".into()), ..input(VISA) }, "/email"),
        (CheckoutInput { payment_method: "gold".into(), ..input(VISA) }, "/payment/method"),
        (CheckoutInput { payment_token: Some(String::new()), ..input(VISA) }, "/payment/token"),
        (CheckoutInput { shipping_method: Some("teleport".into()), ..input(VISA) }, "/shipping_method"),
        (CheckoutInput { expected_total: dollars, ..input(VISA) }, ""),
    ];
    for (input, pointer) in cases {
        let refused = shop.commerce.checkout().place(&ada, input).await.unwrap_err();
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
    let checkout = shop.commerce.checkout();
    let quote = checkout.quote(&ada.actor, Some(address()), None).await.unwrap();
    assert_eq!((quote.shipping_methods.len(), quote.totals.grand_total), (2, eur(3980 + 490)));
    let fast = checkout.quote(&ada.actor, Some(address()), Some("fast")).await.unwrap();
    assert_eq!(fast.totals.grand_total, eur(3980 + 990));

    let expecting = CheckoutInput { expected_total: Some(quote.totals.grand_total), ..input(VISA) };
    let patch = VariantPatch { price: Some(eur(2000)), ..VariantPatch::default() };
    shop.commerce.catalog().update_variant(&RequestContext::system(), mug, patch, None).await.unwrap();
    let refused = checkout.place(&ada, expecting.clone()).await.unwrap_err();
    let CheckoutError::PriceChanged { totals } = refused else { panic!("{refused:?}") };
    assert_eq!(totals.grand_total, eur(4490));
    let expecting = CheckoutInput { expected_total: Some(totals.grand_total), ..expecting };
    let order = checkout.place(&ada, expecting).await.unwrap().value.order;
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
