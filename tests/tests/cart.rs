//! Carts over the facade.

use commerce_core::{
    cart::{CartError, CartView},
    catalog::{ProductPatch, ProductStatus, VariantPatch},
    context::{AccessError, Actor, IdempotencyError},
    error::CommonError,
    id::{IdGenerator, UuidV7, VariantId},
    token::CartToken,
};
use commerce_tests::shop::{TestShop, customer, eur};
use futures_util::future::join_all;

#[tokio::test]
async fn a_cart_adds_up_changes_and_empties() {
    let shop = TestShop::open().await;
    let (mug, cup) = (shop.sell("MUG", 1990, 10).await, shop.sell("CUP", 500, 10).await);
    let ada = customer();
    let carts = shop.commerce.acting_as(&ada).carts();
    let empty = carts.view().await.unwrap();
    assert_eq!((empty.id, empty.items.len(), empty.version, empty.totals.grand_total), (None, 0, 0, eur(0)));

    shop.fill(&ada, mug, 1).await;
    shop.fill(&ada, mug, 2).await;
    shop.fill(&ada, cup, 1).await;
    let cart = carts.view().await.unwrap();
    assert_eq!((cart.item_count, cart.version, cart.totals.grand_total), (4, 3, eur(3 * 1990 + 500)));
    let item = &cart.items[0];
    assert_eq!((item.variant_id, item.quantity, item.unit_price, item.total), (mug, 3, eur(1990), eur(5970)));
    assert_eq!((item.sku.as_str(), item.available), ("MUG", 10));
    assert_eq!(cart.cart_token, None, "customers need no token");

    let cart = carts.set_quantity(mug, 1).await.unwrap();
    assert_eq!((cart.item_count, cart.totals.subtotal), (2, eur(2490)));
    let cart = carts.remove(mug).await.unwrap();
    assert_eq!(cart.items.iter().map(|item| item.variant_id).collect::<Vec<_>>(), [cup]);
    let cart = carts.clear().await.unwrap();
    assert_eq!((cart.items.len(), cart.item_count), (0, 0));
    assert_eq!(shop.commerce.acting_as(customer()).carts().view().await.unwrap().id, None, "a cart is its owner's");
}

#[tokio::test]
async fn a_cart_holds_what_can_be_bought_only() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 3).await, customer());
    let carts = shop.commerce.acting_as(&ada).carts();
    shop.fill(&ada, mug, 2).await;
    let over = carts.add(mug, 2).await.unwrap_err();
    assert!(matches!(over, CartError::OutOfStock { variant_id, available: 3 } if variant_id == mug), "{over:?}");
    let over = carts.set_quantity(mug, 4).await.unwrap_err();
    assert!(matches!(over, CartError::OutOfStock { available: 3, .. }), "{over:?}");
    for quantity in [0, -1, 10_000, i64::MIN, i64::MAX] {
        let refused = carts.add(mug, quantity).await.unwrap_err();
        let CartError::Common(CommonError::Invalid(invalid)) = refused else { panic!("{quantity}: {refused:?}") };
        assert_eq!((invalid.errors[0].pointer.as_str(), invalid.errors[0].code), ("/quantity", "out_of_range"));
    }
    let unknown = carts.add(VariantId(UuidV7.uuid()), 1).await.unwrap_err();
    assert!(matches!(unknown, CartError::Common(CommonError::NotFound(_))), "{unknown:?}");
    let cup = shop.sell("CUP", 500, 3).await;
    let absent = carts.set_quantity(cup, 1).await.unwrap_err();
    assert!(matches!(absent, CartError::Common(CommonError::NotFound(_))), "{absent:?}");
    let nobody = shop.commerce.as_system().carts().add(mug, 1).await.unwrap_err();
    assert!(matches!(nobody, CartError::Common(CommonError::Access(AccessError::Unauthenticated))), "{nobody:?}");
    assert_eq!(carts.view().await.unwrap().item_count, 2, "what was refused changed nothing");
}

#[tokio::test]
async fn a_cart_shows_todays_prices_and_what_is_gone() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 3).await, customer());
    shop.fill(&ada, mug, 1).await;
    let catalog = shop.commerce.as_system().catalog();
    let product = catalog.update_variant(mug, VariantPatch::new().price(eur(2190))).await.unwrap().product_id;
    let cart = shop.commerce.acting_as(&ada).carts().view().await.unwrap();
    assert_eq!((cart.items[0].unit_price, cart.totals.grand_total), (eur(2190), eur(2190)));
    catalog.update(product, ProductPatch::new().status(ProductStatus::Archived)).await.unwrap();
    let cart = shop.commerce.acting_as(&ada).carts().view().await.unwrap();
    assert_eq!(cart.items[0].available, 0);
    let refused = shop.commerce.acting_as(&ada).carts().add(mug, 1).await.unwrap_err();
    assert!(matches!(refused, CartError::Common(CommonError::NotFound(_))), "{refused:?}");
}

#[tokio::test]
async fn a_cart_edit_can_demand_a_version_and_a_key() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 9).await, customer());
    let carts = shop.commerce.acting_as(&ada).carts();
    carts.add(mug, 1).if_version(0).await.unwrap();
    let stale = carts.add(mug, 1).if_version(0).await.unwrap_err();
    assert!(matches!(stale, CartError::Common(CommonError::VersionMismatch(1))), "{stale:?}");
    carts.clear().if_version(1).await.unwrap();

    let add = |quantity| carts.add(mug, quantity).idempotent("add").outcome();
    let (first, second) = (add(2).await.unwrap(), add(2).await.unwrap());
    assert_eq!((first.replayed, second.replayed), (false, true));
    assert_eq!(first.value, second.value);
    assert_eq!(carts.view().await.unwrap().item_count, 2);
    let reused = add(3).await.unwrap_err();
    assert!(matches!(reused, CartError::Common(CommonError::Idempotency(IdempotencyError::Reused))), "{reused:?}");
    // Somebody else's key of the same name is another key, also among guests.
    let (one, other) = (shop.guest_with(mug, 1).await, shop.guest_with(mug, 1).await);
    for guest in [customer(), one, other] {
        let add = shop.commerce.acting_as(&guest).carts().add(mug, 2).idempotent("add").outcome();
        assert!(!add.await.unwrap().replayed);
    }
}

#[tokio::test]
async fn every_write_of_a_cart_can_be_prepared_for_a_transaction_of_the_hosts() {
    let shop = TestShop::open().await;
    let (mug, cup) = (shop.sell("MUG", 1990, 9).await, shop.sell("CUP", 500, 9).await);
    let ada = customer();
    let carts = shop.commerce.acting_as(&ada).carts();
    let guest = shop.guest_with(cup, 1).await;
    let Actor::Guest { cart: Some(token), .. } = guest.actor.clone() else { panic!("a guest has a token") };

    let units = |cart: &CartView| cart.items.iter().map(|item| (item.variant_id, item.quantity)).collect::<Vec<_>>();
    let steps = [vec![(mug, 3)], vec![(mug, 2)], vec![(mug, 2), (cup, 1)], vec![(mug, 2)], vec![]];
    for (step, held) in steps.into_iter().enumerate() {
        let write = || match step {
            0 => carts.add(mug, 3),
            1 => carts.set_quantity(mug, 2),
            2 => carts.merge(&token),
            3 => carts.remove(cup),
            _ => carts.clear(),
        };
        let key = format!("step {step}");
        let before = carts.view().await.unwrap();
        let stale = write().if_version(before.version + 7).prepare().await.unwrap_err();
        assert!(matches!(stale, CartError::Common(CommonError::VersionMismatch(_))), "{step}: {stale:?}");
        let prepared = write().if_version(before.version).idempotent(&*key).prepare().await.unwrap();
        assert_eq!((units(&prepared.output), prepared.replayed), (held, false), "{step}");
        assert_eq!(carts.view().await.unwrap(), before, "nothing is written yet");
        shop.store.commit(&prepared.changes).await.unwrap();
        assert_eq!(carts.view().await.unwrap(), prepared.output, "{step}");
        // The key's row went with the change-set.
        let again = write().idempotent(&*key).outcome().await.unwrap();
        assert!(again.replayed && again.value == prepared.output, "{step}");
        let again = write().idempotent(&*key).prepare().await.unwrap();
        let nothing = again.changes.changes().is_empty() && again.changes.keys().is_empty();
        assert!(again.replayed && nothing && again.output == prepared.output, "{step}");
    }
}

#[tokio::test]
async fn a_guests_cart_merges_capped_and_its_token_dies() {
    let shop = TestShop::open().await;
    let (mug, cup) = (shop.sell("MUG", 1990, 5).await, shop.sell("CUP", 500, 5).await);
    let ada = customer();
    let carts = shop.commerce.acting_as(&ada).carts();
    let guest = shop.guest_with(mug, 4).await;
    shop.fill(&guest, cup, 1).await;
    shop.fill(&ada, mug, 3).await;
    let Actor::Guest { cart: Some(token), .. } = guest.actor.clone() else { panic!("a guest has a token") };
    let cart = carts.merge(&token).await.unwrap();
    let held: Vec<_> = cart.items.iter().map(|item| (item.variant_id, item.quantity)).collect();
    assert_eq!(held, [(mug, 5), (cup, 1)]);
    assert_eq!(shop.commerce.acting_as(&guest).carts().view().await.unwrap().items.len(), 0, "the token is dead");
    let again = carts.merge(&token).await.unwrap();
    assert_eq!(again.version, cart.version, "merging twice changes nothing");
    let fresh = shop.commerce.acting_as(&guest).carts().add(cup, 1).await.unwrap();
    assert!(fresh.cart_token.is_some_and(|fresh| fresh != token), "whoever holds a dead token becomes a new guest");
    let refused = shop.commerce.acting_as(&guest).carts().merge(&token).await.unwrap_err();
    assert!(matches!(refused, CartError::Common(CommonError::Access(AccessError::Unauthenticated))), "{refused:?}");
    let forged = Actor::Guest { cart: Some(CartToken("forged".to_owned())), order: None };
    assert_eq!(shop.commerce.acting_as(forged).carts().view().await.unwrap().id, None);
}

#[tokio::test]
async fn adds_from_many_tabs_all_count() {
    let shop = TestShop::open().await;
    let (mug, ada) = (shop.sell("MUG", 1990, 100).await, customer());
    join_all((0..20).map(|_| shop.fill(&ada, mug, 1))).await;
    assert_eq!(shop.commerce.acting_as(&ada).carts().view().await.unwrap().item_count, 20);
}
