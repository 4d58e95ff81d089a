//! Every guard, what it answers, and that a set that fails leaves nothing behind.

mod common;

use commerce_core::{
    cart::CartQueries as _,
    context::Idempotency,
    id::{OrderId, VariantId},
    inventory::InventoryQueries as _,
    store::{
        Aggregate as _, AggregateId, Applied, Claim, CommitError, Conflict, OutboxQueries as _, StockDelta, Store as _,
    },
};
use common::Shop;

fn conflicts(result: Result<Applied, CommitError>) -> Vec<Conflict> {
    match result {
        Err(CommitError::Conflict(conflicts)) => conflicts,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

#[tokio::test]
async fn the_strongest_class_of_failures_is_named_in_full() {
    let shop = Shop::new().await;
    let mut product = shop.product("Mug", &[100, 200]);
    shop.stocked(&mut product, 1).await;
    let (a, b) = (product.variants[0].id, product.variants[1].id);
    let key = Idempotency::new("s", "k", b"");
    let mut cart = shop.cart(shop.guest(), &[a]);
    let (one, two) = (Claim::sku("1"), Claim::sku("2"));
    let mut first = shop.set();
    first.key(key, None, None).hold(one.clone(), cart.id).hold(two.clone(), cart.id).insert(&mut cart);
    shop.store.commit(&first).await.unwrap();

    let stale = { shop.cart(shop.guest(), &[]) };
    let set = |with_key: bool, with_claims: bool, with_head: bool| {
        let mut set = shop.set();
        if with_key {
            set.key(key, None, None);
        }
        if with_claims {
            set.hold(one.clone(), stale.id).hold(two.clone(), stale.id).hold(Claim::sku("3"), stale.id);
        }
        if with_head {
            set.assert(cart.root(), 7).assert(stale.root(), 1);
        }
        set.reserve(a, 2).reserve(b, 3);
        set
    };
    let commit = async |set| conflicts(shop.store.commit(&set).await);
    assert_eq!(commit(set(true, true, true)).await, [Conflict::KeyTaken]);
    assert_eq!(commit(set(false, true, true)).await, [Conflict::Taken(one.clone()), Conflict::Taken(two.clone())]);
    assert_eq!(commit(set(false, false, true)).await, [Conflict::Stale(cart.root()), Conflict::Stale(stale.root())]);
    let short = |variant| Conflict::Short { variant, available: 1 };
    assert_eq!(commit(set(false, false, false)).await, [short(a), short(b)]);
    assert_eq!(shop.store.load_claim(&Claim::sku("3")).await.unwrap(), None);
    assert_eq!(shop.store.load_stock(a).await.unwrap().unwrap().reserved, 0);
}

#[tokio::test]
async fn floors() {
    let shop = Shop::new().await;
    let mut product = shop.product("Mug", &[100]);
    shop.stocked(&mut product, 5).await;
    let variant = product.variants[0].id;
    let mut set = shop.set();
    set.reserve(variant, 3);
    shop.store.commit(&set).await.unwrap();
    let short = |available| vec![Conflict::Short { variant, available }];
    for (on_hand, reserved, expect_on_hand, conflict) in [
        (0, 3, None, short(2)),
        (-3, 0, None, short(2)),
        (-9, -3, None, short(2)),
        (0, -4, None, short(2)),
        (1, 0, Some(4), vec![Conflict::Moved(variant)]),
    ] {
        let mut set = shop.set();
        set.move_stock(variant, StockDelta { on_hand, reserved, expect_on_hand }, None);
        assert_eq!(conflicts(shop.store.commit(&set).await), conflict);
    }
    let mut set = shop.set();
    set.move_stock(variant, StockDelta { on_hand: -3, reserved: -3, expect_on_hand: Some(5) }, None);
    shop.store.commit(&set).await.unwrap();
    let unknown: VariantId = shop.id();
    let mut set = shop.set();
    set.reserve(unknown, 1);
    assert_eq!(conflicts(shop.store.commit(&set).await), [Conflict::Short { variant: unknown, available: 0 }]);
}

#[tokio::test]
async fn versions() {
    let shop = Shop::new().await;
    let mut cart = shop.cart(shop.guest(), &[shop.id()]);
    let mut set = shop.set();
    set.insert(&mut cart);
    shop.store.commit(&set).await.unwrap();

    let mut twin = cart.clone();
    let mut again = shop.set();
    again.insert(&mut twin);
    assert_eq!(conflicts(shop.store.commit(&again).await), [Conflict::Stale(cart.root())]);

    let mut after = cart.clone();
    after.lines.clear();
    let mut update = shop.set();
    update.update(&cart, &mut after);
    shop.store.commit(&update).await.unwrap();
    let mut lost = shop.set();
    lost.update(&cart, &mut after.clone());
    assert_eq!(conflicts(shop.store.commit(&lost).await), [Conflict::Stale(cart.root())]);
    assert_eq!(shop.store.load_cart(cart.id).await.unwrap(), Some(after));

    let mut alerted = shop.set();
    let variant = shop.id();
    alerted.alerted(variant, 0, 1);
    assert_eq!(conflicts(shop.store.commit(&alerted).await), [Conflict::Stale(AggregateId::StockAlert(variant))]);
    let mut product = shop.product("Mug", &[1]);
    let mut set = shop.set();
    set.insert(&mut product);
    shop.store.commit(&set).await.unwrap();
    let mut set = shop.set();
    set.insert(&mut product.clone());
    assert_eq!(conflicts(shop.store.commit(&set).await), [Conflict::Stale(product.root())]);
}

#[tokio::test]
async fn a_ceiling_that_is_broken_is_a_bug() {
    let shop = Shop::new().await;
    let mut product = shop.product("Mug", &[100]);
    shop.stocked(&mut product, 5).await;
    let mut order = shop.order("1", None, &product, 1);
    order.payments[0].captured = 101;
    let mut set = shop.set();
    set.hold(Claim::order_number("1"), order.id).insert(&mut order);
    assert!(matches!(shop.store.commit(&set).await, Err(CommitError::Bug(_))));
    assert_eq!(shop.store.load_claim(&Claim::order_number("1")).await.unwrap(), None);
    let id: OrderId = order.id;
    let mut set = shop.set();
    set.remove(AggregateId::Categories, 0);
    assert!(matches!(shop.store.commit(&set).await, Err(CommitError::Bug(_))), "{id}");
}

#[tokio::test]
async fn fifty_units_and_two_hundred_buyers() {
    let shop = Shop::new().await;
    let mut product = shop.product("Mug", &[100]);
    shop.stocked(&mut product, 50).await;
    let variant = product.variants[0].id;
    let buyers: Vec<_> = (0..200)
        .map(|n| {
            let store = shop.store.clone();
            let mut set = shop.set();
            set.hold(Claim::order_number(&n.to_string()), shop.id::<uuid::Uuid>()).reserve(variant, 1);
            tokio::spawn(async move { store.commit(&set).await })
        })
        .collect();
    let mut sold = 0;
    for buyer in buyers {
        match buyer.await.unwrap() {
            Ok(applied) => {
                assert_eq!(applied, Applied::Now);
                sold += 1;
            }
            other => assert_eq!(conflicts(other), [Conflict::Short { variant, available: 0 }]),
        }
    }
    assert_eq!(sold, 50);
    assert_eq!(shop.store.load_stock(variant).await.unwrap().unwrap().available(), 0);
}
