//! Carts over the facade.

use commerce_core::{
    cart::CartError,
    catalog::{ProductPatch, ProductStatus, VariantPatch},
    context::{AccessError, Actor, IdempotencyError, RequestContext},
    error::CommonError,
    id::{IdGenerator, UuidV7, VariantId},
    token::CartToken,
};
use commerce_tests::shop::{TestShop, customer, eur, keyed};
use futures_util::future::join_all;

#[tokio::test]
async fn a_cart_adds_up_changes_and_empties() {
    let shop = TestShop::open().await;
    let (mug, cup) = (shop.sell("MUG", 1990, 10).await, shop.sell("CUP", 500, 10).await);
    let (carts, ada) = (shop.commerce.carts(), customer());
    let empty = carts.view(&ada.actor).await.unwrap();
    assert_eq!((empty.id, empty.items.len(), empty.version, empty.totals.grand_total), (None, 0, 0, eur(0)));

    shop.fill(&ada, mug, 1).await;
    shop.fill(&ada, mug, 2).await;
    shop.fill(&ada, cup, 1).await;
    let cart = carts.view(&ada.actor).await.unwrap();
    assert_eq!((cart.item_count, cart.version, cart.totals.grand_total), (4, 3, eur(3 * 1990 + 500)));
    let item = &cart.items[0];
    assert_eq!((item.variant_id, item.quantity, item.unit_price, item.total), (mug, 3, eur(1990), eur(5970)));
    assert_eq!((item.sku.as_str(), item.available), ("MUG", 10));
    assert_eq!(cart.cart_token, None, "customers need no token");

    let cart = carts.set_quantity(&ada, mug, 1, None).await.unwrap();
    assert_eq!((cart.item_count, cart.totals.subtotal), (2, eur(2490)));
    let cart = carts.remove_item(&ada, mug, None).await.unwrap();
    assert_eq!(cart.items.iter().map(|item| item.variant_id).collect::<Vec<_>>(), [cup]);
    let cart = carts.clear(&ada, None).await.unwrap();
    assert_eq!((cart.items.len(), cart.item_count), (0, 0));
    assert_eq!(carts.view(&customer().actor).await.unwrap().id, None, "a cart is its owner's");
}

#[tokio::test]
async fn a_cart_holds_what_can_be_bought_only() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 3).await, customer());
    let carts = shop.commerce.carts();
    shop.fill(&ada, mug, 2).await;
    let over = carts.add_item(&ada, mug, 2, None).await.unwrap_err();
    assert!(matches!(over, CartError::OutOfStock { variant_id, available: 3 } if variant_id == mug), "{over:?}");
    let over = carts.set_quantity(&ada, mug, 4, None).await.unwrap_err();
    assert!(matches!(over, CartError::OutOfStock { available: 3, .. }), "{over:?}");
    for quantity in [0, -1, 10_000, i64::MIN, i64::MAX] {
        let refused = carts.add_item(&ada, mug, quantity, None).await.unwrap_err();
        let CartError::Common(CommonError::Invalid(invalid)) = refused else { panic!("{quantity}: {refused:?}") };
        assert_eq!((invalid.errors[0].pointer.as_str(), invalid.errors[0].code), ("/quantity", "out_of_range"));
    }
    let unknown = carts.add_item(&ada, VariantId(UuidV7.uuid()), 1, None).await.unwrap_err();
    assert!(matches!(unknown, CartError::Common(CommonError::NotFound(_))), "{unknown:?}");
    let cup = shop.sell("CUP", 500, 3).await;
    let absent = carts.set_quantity(&ada, cup, 1, None).await.unwrap_err();
    assert!(matches!(absent, CartError::Common(CommonError::NotFound(_))), "{absent:?}");
    let nobody = carts.add_item(&RequestContext::system(), mug, 1, None).await.unwrap_err();
    assert!(matches!(nobody, CartError::Common(CommonError::Access(AccessError::Unauthenticated))), "{nobody:?}");
    assert_eq!(carts.view(&ada.actor).await.unwrap().item_count, 2, "what was refused changed nothing");
}

#[tokio::test]
async fn a_cart_shows_todays_prices_and_what_is_gone() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 3).await, customer());
    shop.fill(&ada, mug, 1).await;
    let patch = VariantPatch { price: Some(eur(2190)), ..VariantPatch::default() };
    let catalog = shop.commerce.catalog();
    let product = catalog.update_variant(&RequestContext::system(), mug, patch, None).await.unwrap().view.product.id;
    let cart = shop.commerce.carts().view(&ada.actor).await.unwrap();
    assert_eq!((cart.items[0].unit_price, cart.totals.grand_total), (eur(2190), eur(2190)));
    let archived = ProductPatch { status: Some(ProductStatus::Archived), ..ProductPatch::default() };
    catalog.update_product(&RequestContext::system(), product, archived, None).await.unwrap();
    let cart = shop.commerce.carts().view(&ada.actor).await.unwrap();
    assert_eq!(cart.items[0].available, 0);
    let refused = shop.commerce.carts().add_item(&ada, mug, 1, None).await.unwrap_err();
    assert!(matches!(refused, CartError::Common(CommonError::NotFound(_))), "{refused:?}");
}

#[tokio::test]
async fn a_cart_edit_can_demand_a_version_and_a_key() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 9).await, customer());
    let carts = shop.commerce.carts();
    carts.add_item(&ada, mug, 1, Some(0)).await.unwrap();
    let stale = carts.add_item(&ada, mug, 1, Some(0)).await.unwrap_err();
    assert!(matches!(stale, CartError::Common(CommonError::VersionMismatch(1))), "{stale:?}");
    carts.clear(&ada, Some(1)).await.unwrap();

    let once = keyed(&ada, "add");
    let first = carts.add_item(&once, mug, 2, None).await.unwrap();
    let second = carts.add_item(&once, mug, 2, None).await.unwrap();
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.value, second.value);
    assert_eq!(carts.view(&ada.actor).await.unwrap().item_count, 2);
    let other = RequestContext {
        idempotency: once.idempotency.map(|key| commerce_core::context::Idempotency { fingerprint: [1; 32], ..key }),
        ..once
    };
    let reused = carts.add_item(&other, mug, 3, None).await.unwrap_err();
    assert!(matches!(reused, CartError::Common(CommonError::Idempotency(IdempotencyError::Reused))), "{reused:?}");
}

#[tokio::test]
async fn a_guests_cart_merges_capped_and_its_token_dies() {
    let shop = TestShop::open().await;
    let (mug, cup) = (shop.sell("MUG", 1990, 5).await, shop.sell("CUP", 500, 5).await);
    let (carts, ada) = (shop.commerce.carts(), customer());
    let guest = shop.guest_with(mug, 4).await;
    shop.fill(&guest, cup, 1).await;
    shop.fill(&ada, mug, 3).await;
    let Actor::Guest { cart: Some(token), .. } = guest.actor.clone() else { panic!("a guest has a token") };
    let cart = carts.merge(&ada, &token).await.unwrap();
    let held: Vec<_> = cart.items.iter().map(|item| (item.variant_id, item.quantity)).collect();
    assert_eq!(held, [(mug, 5), (cup, 1)]);
    assert_eq!(carts.view(&guest.actor).await.unwrap().items.len(), 0, "the token is dead");
    let again = carts.merge(&ada, &token).await.unwrap();
    assert_eq!(again.version, cart.version, "merging twice changes nothing");
    let fresh = carts.add_item(&guest, cup, 1, None).await.unwrap().value;
    assert!(fresh.cart_token.is_some_and(|fresh| fresh != token.0), "whoever holds a dead token becomes a new guest");
    let refused = carts.merge(&guest, &token).await.unwrap_err();
    assert!(matches!(refused, CartError::Common(CommonError::Access(AccessError::Unauthenticated))), "{refused:?}");
    let forged = Actor::Guest { cart: Some(CartToken("forged".to_owned())), order: None };
    assert_eq!(carts.view(&forged).await.unwrap().id, None);
}

#[tokio::test]
async fn adds_from_many_tabs_all_count() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 100).await, customer());
    join_all((0..20).map(|_| shop.fill(&ada, mug, 1))).await;
    assert_eq!(shop.commerce.carts().view(&ada.actor).await.unwrap().item_count, 20);
}
