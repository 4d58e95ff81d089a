//! Orders of guests join the account that proves their address.

use commerce_core::{
    Caller,
    context::Actor,
    id::UserId,
    order::{Order, OrderQuery},
    page::PageRequest,
    review::NewReview,
};
use commerce_tests::shop::{TestShop, VISA};

use crate::{PASSWORD, registration, token_in};

const ADA: &str = "ada@example.com";

/// The token of the newest message to an address whose subject has these words.
async fn token(shop: &TestShop, to: &str, subject: &str) -> String {
    shop.commerce.worker().tick().await.unwrap();
    let mails = shop.mailer.sent_to(to);
    token_in(mails.iter().rev().find(|mail| mail.subject.contains(subject)).expect("a message"))
}

async fn register(shop: &TestShop, email: &str) -> Caller {
    shop.commerce.as_guest().accounts().register(registration(email)).await.unwrap();
    shop.commerce.sign_in(email, PASSWORD).await.unwrap()
}

async fn buy_as_guest(shop: &TestShop, sku: &str) -> Order {
    let variant = shop.sell(sku, 1990, 5).await;
    let guest = shop.guest_with(variant, 1).await;
    shop.place(&guest, VISA).await.unwrap().order
}

async fn owned(shop: &TestShop, user: Option<UserId>) -> usize {
    let query = OrderQuery { customer: user, ..OrderQuery::default() };
    let page = PageRequest { count: true, ..PageRequest::default() };
    let listed = shop.staff().orders().list(query, &page).await.unwrap();
    usize::try_from(listed.total.unwrap()).unwrap()
}

#[tokio::test]
async fn they_join_in_the_commit_that_confirms_the_address_and_not_before() {
    let shop = TestShop::open().await;
    let order = buy_as_guest(&shop, "MUG").await;
    let ada = register(&shop, ADA).await;
    let reviews = ada.reviews();
    let product = order.lines[0].product_id.to_string();
    let review = reviews.create(&product, NewReview::new(5, "Sturdy", "Survived a fall.")).await.unwrap();
    assert!(!review.verified_purchase);
    assert_eq!(owned(&shop, ada.actor().user()).await, 0, "whoever registers an address doesn't own it yet");
    assert!(ada.orders().get(order.id).await.is_err());

    let token = token(&shop, ADA, "Please confirm").await;
    shop.commerce.as_guest().accounts().confirm_email(token.as_str()).await.unwrap();
    let joined = ada.orders().get(order.id).await.unwrap();
    assert_eq!((joined.customer_id, joined.version), (ada.actor().user(), order.version + 1));
    assert_eq!(Order { customer_id: None, updated_at: order.updated_at, version: order.version, ..joined }, order);
    let mine = reviews.mine(&PageRequest::default()).await.unwrap();
    assert!(mine.items[0].verified_purchase, "what turns out to be bought is marked");
    let export = ada.accounts().export().await.unwrap();
    assert_eq!(export["orders"][0]["number"], order.number);
    let tracking = ada.orders().tracking(order.id).await.unwrap();
    assert!(tracking.timeline.iter().any(|entry| entry.event == "order_joined_account"));

    // An order placed as a guest afterwards stays one, and is found by its number.
    let later = buy_as_guest(&shop, "POT").await;
    assert_eq!((later.customer_id, owned(&shop, ada.actor().user()).await), (None, 1));
    assert!(shop.guest().orders().lookup(&later.number, ADA).await.is_ok());
    assert!(shop.guest().orders().lookup(&order.number, ADA).await.is_err());
    shop.check_books().await;
}

#[tokio::test]
async fn a_token_opens_an_order_until_it_joins_an_account() {
    let shop = TestShop::open().await;
    let order = buy_as_guest(&shop, "MUG").await;
    let fresh = shop.guest().orders().lookup(&order.number, ADA).await.unwrap().order_token;
    let holder = Actor::Guest { cart: None, order: Some(fresh.clone()) };
    let (ada, eve) = (register(&shop, ADA).await, register(&shop, "eve@example.com").await);
    assert!(eve.orders().get(order.id).await.is_err());
    let beside = eve.orders().holder(fresh.clone(), order.id).await.unwrap();
    assert!(shop.by(&beside).orders().get(order.id).await.is_ok(), "a session doesn't take away what a token opens");

    let token = token(&shop, ADA, "Please confirm").await;
    shop.commerce.as_guest().accounts().confirm_email(token.as_str()).await.unwrap();
    assert!(shop.by(&holder).orders().get(order.id).await.is_err());
    for (call, opens) in [(&ada, true), (&eve, false)] {
        let beside = call.orders().holder(fresh.clone(), order.id).await.unwrap();
        assert_eq!((&beside, shop.by(&beside).orders().get(order.id).await.is_ok()), (call.actor(), opens));
    }
}

#[tokio::test]
async fn a_new_address_brings_its_orders_along() {
    let shop = TestShop::open().await;
    let eve = register(&shop, "eve@example.com").await;
    let order = buy_as_guest(&shop, "MUG").await;
    eve.accounts().change_email(ADA, PASSWORD).await.unwrap();
    assert_eq!(owned(&shop, eve.actor().user()).await, 0);
    let token = token(&shop, ADA, "confirm your new").await;
    eve.accounts().confirm_email_change(token).await.unwrap();
    assert_eq!(shop.order(&order).await.customer_id, eve.actor().user());
}

#[tokio::test]
async fn who_has_very_many_gets_them_all() {
    let shop = TestShop::open().await;
    let variant = shop.sell("MUG", 1990, 500).await;
    for _ in 0..230 {
        let guest = shop.guest_with(variant, 1).await;
        shop.place(&guest, VISA).await.unwrap();
    }
    let ada = register(&shop, ADA).await;
    let token = token(&shop, ADA, "Please confirm").await;
    shop.commerce.as_guest().accounts().confirm_email(token.as_str()).await.unwrap();
    assert_eq!(owned(&shop, ada.actor().user()).await, 100, "so many at once");
    shop.commerce.worker().tick().await.unwrap();
    assert_eq!(owned(&shop, ada.actor().user()).await, 230);
    shop.check_books().await;
}
