//! Carts of customers and guests.

use super::{
    StoreFixture,
    sample::{cart_lines, confirm, guest, settle_task},
    shop::{Outcome, Shop, refused, same},
};
use crate::{
    cart::{Cart, CartOwner, CartStatus},
    event::Task,
    id::VariantId,
    order::OrderStatus,
    payment::PaymentStatus,
    store::{Claim, Conflict},
};

async fn load(shop: &Shop, cart: &Cart) -> Option<Cart> {
    shop.reads().load_cart(cart.id).await.expect("a cart can be read")
}

/// A cart loads as it was committed, with its lines by position, whoever owns it and however it ended.
pub async fn carts_load_as_committed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let lines: [(VariantId, u32); 3] = [(shop.id(), 1), (shop.id(), u32::MAX), (shop.id(), 7)];
    let backwards: Vec<_> = lines.into_iter().rev().collect();
    let user = CartOwner::User(shop.id());
    for cart in [
        shop.cart(user.clone(), &lines),
        shop.cart(guest(1), &backwards),
        shop.cart(guest(2), &[]),
        Cart { status: CartStatus::Ordered, ..shop.cart(user.clone(), &lines) },
        Cart { status: CartStatus::Merged, ..shop.cart(user, &lines[..1]) },
    ] {
        let cart = shop.insert(cart).await;
        same(&load(&shop, &cart).await, &Some(cart));
    }
    same(&shop.reads().load_cart(shop.id()).await.expect("a cart can be read"), &None);
}

/// Lines are added, changed, moved and removed with their cart; other carts keep theirs.
pub async fn cart_lines_change_with_the_cart(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let [a, b, c, d]: [VariantId; 4] = std::array::from_fn(|_| shop.id());
    let other = shop.insert(shop.cart(guest(2), &[(a, 1), (b, 2), (c, 3)])).await;
    let cart = shop.insert(shop.cart(guest(1), &[(a, 1), (b, 2), (c, 3)])).await;
    let at = shop.now();
    let changed = shop
        .update(&cart, |cart| {
            cart.lines = cart_lines(&[(d, 4), (c, 3), (a, 10)]);
            (cart.status, cart.updated_at, cart.owner) = (CartStatus::Merged, at, guest(3));
        })
        .await;
    assert_eq!(changed.version, 2);
    same(&load(&shop, &cart).await, &Some(changed.clone()));
    let emptied = shop.update(&changed, |cart| cart.lines.clear()).await;
    same(&load(&shop, &cart).await, &Some(emptied));
    same(&load(&shop, &other).await, &Some(other));
}

/// An owner's open cart is the one that holds the claim, not just any cart of theirs.
pub async fn open_carts_are_found_by_their_claim(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let owner = CartOwner::User(shop.id());
    shop.insert(shop.cart(owner.clone(), &[(shop.id(), 1)])).await;
    same(&shop.open_cart(&owner).await, &None);
    let open = shop.save_cart(shop.cart(owner.clone(), &[(shop.id(), 2), (shop.id(), 3)])).await;
    shop.save_cart(shop.cart(guest(1), &[(shop.id(), 9)])).await;
    same(&shop.open_cart(&owner).await, &Some(open));
    same(&shop.open_cart(&guest(2)).await, &None);
}

/// A removed cart is gone with its lines.
pub async fn carts_can_be_removed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let cart = shop.save_cart(shop.cart(guest(1), &[(shop.id(), 1)])).await;
    let mut set = shop.set();
    set.remove(crate::store::AggregateId::Cart(cart.id), cart.version).free(Claim::open_cart(&cart.owner), cart.id);
    shop.commit(&set).await;
    same(&load(&shop, &cart).await, &None);
    same(&shop.open_cart(&cart.owner).await, &None);
}

/// A guest's cart is handed to the customer they turn out to be: both claims move in one set.
pub async fn carts_change_hands(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let cart = shop.save_cart(shop.cart(guest(1), &[(shop.id(), 1)])).await;
    let owner = CartOwner::User(shop.id());
    let mut mine = Cart { owner: owner.clone(), ..cart.clone() };
    let mut set = shop.set();
    set.update(&cart, &mut mine).free(Claim::open_cart(&guest(1)), cart.id).hold(Claim::open_cart(&owner), cart.id);
    shop.commit(&set).await;
    same(&shop.open_cart(&owner).await, &Some(mine));
    same(&shop.open_cart(&guest(1)).await, &None);
}

/// A payment is declined after the customer opened another cart: reopening the first is refused by the claim, and the order
/// is settled without, leaving the merge to a task.
pub async fn a_decline_after_a_new_cart(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (product, variant) = shop.stocked("mug", 5).await;
    let owner = guest(1);
    let cart = shop.save_cart(shop.cart(owner.clone(), &[(variant, 2)])).await;
    let (mut ordered, mut order) =
        (Cart { status: CartStatus::Ordered, ..cart.clone() }, shop.order("O-1", &product, 2));
    order.cart_id = Some(cart.id);
    let mut place = shop.set();
    place.update(&cart, &mut ordered).free(Claim::open_cart(&owner), cart.id);
    place.insert(&mut order).hold(Claim::order_number("O-1"), order.id).reserve(variant, 2);
    place.task(&shop.ids, order.placed_at, settle_task(order.id, &order.payments[0]));
    shop.commit(&place).await;
    let new_cart = shop.save_cart(shop.cart(owner.clone(), &[(variant, 1)])).await;

    let mut declined = order.clone();
    (declined.status, declined.payment_status, declined.declined) =
        (OrderStatus::Cancelled, PaymentStatus::Failed, true);
    declined.payments[0].status = PaymentStatus::Failed;
    declined.payments[0].failure = Some("card_declined".to_owned());
    let mut reopen = shop.set();
    let mut reopened = Cart { status: CartStatus::Open, ..ordered.clone() };
    reopen.update(&order, &mut declined.clone()).reserve(variant, -2);
    reopen.update(&ordered, &mut reopened).hold(Claim::open_cart(&owner), cart.id);
    assert_eq!(shop.outcome(&reopen).await, refused([Conflict::Taken(Claim::open_cart(&owner))]));
    assert_eq!(shop.stock(variant).await.reserved, 2, "the refused set released nothing");

    let mut settle = shop.set();
    settle.update(&order, &mut declined).reserve(variant, -2);
    settle.task(&shop.ids, order.placed_at, Task::MergeCart { from: cart.id, owner: owner.clone() });
    assert_eq!(shop.outcome(&settle).await, Outcome::Now);
    same(&shop.load_order(order.id).await, &declined);
    same(&shop.open_cart(&owner).await, &Some(new_cart));
    same(&load(&shop, &ordered).await, &Some(ordered));
    assert_eq!(shop.stock(variant).await.available(), 5);

    // The gateway's late success finds a version that is no longer there.
    let mut late = shop.set();
    let at = shop.now();
    let mut paid = order.clone();
    confirm(&mut paid, at);
    late.update(&order, &mut paid);
    assert_eq!(shop.outcome(&late).await, refused([Conflict::Stale(crate::store::AggregateId::Order(order.id))]));
}
