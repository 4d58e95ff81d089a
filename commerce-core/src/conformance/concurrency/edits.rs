//! Many who change one thing at once: nobody's change is lost, and none breaks a rule.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use crate::{
    account::{Session, UserQuery},
    cart::{Cart, CartStatus},
    catalog::{CategoryTree, ProductKey},
    conformance::{
        StoreFixture,
        catalog::save_tree,
        sample::{cart_lines, confirm, guest},
        shop::{Outcome, Shop, count, eur, refused},
    },
    id::{CategoryId, OrderId, VariantId},
    order::Order,
    page::PageSpec,
    payment::PaymentStatus,
    store::{Aggregate, AggregateId, Claim, Conflict, MovementKind, RatingDelta, StockDelta},
};

/// Reads, changes and writes until nobody else was faster; `None` from `change` gives up. Whether it wrote.
async fn persist<T: Aggregate>(shop: &Shop, load: impl AsyncFn() -> T, change: impl Fn(&mut T) -> Option<()>) -> bool {
    for _ in 0..1000 {
        let before = load().await;
        let mut after = before.clone();
        if change(&mut after).is_none() {
            return false;
        }
        let mut set = shop.set();
        set.update(&before, &mut after);
        match shop.outcome(&set).await {
            Outcome::Now => return true,
            Outcome::Refused(conflicts) => assert_eq!(conflicts, [Conflict::Stale(before.root())]),
            other => panic!("{other:?}"),
        }
    }
    panic!("somebody else was faster a thousand times");
}

async fn refund_some(shop: &Shop, id: OrderId, minor: i64) -> bool {
    persist(
        shop,
        async || shop.load_order(id).await,
        |order: &mut Order| {
            let payment = &mut order.payments[0];
            let left = payment.captured - payment.refunded - payment.refund_pending;
            payment.refund_pending += minor;
            let refund = shop.refund(payment, minor);
            order.refunds.push(refund);
            (left >= minor).then_some(())
        },
    )
    .await
}

/// Fifty refunds of one order at once never give back more than was taken.
pub async fn refunds_never_exceed_the_payment(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut order = shop.order("O-1", &shop.product("mug", &[1000]), 1);
    confirm(&mut order, shop.now());
    let order = shop.insert(order).await;
    let granted = join_all((0..50).map(|_| refund_some(&shop, order.id, 30))).await;
    assert_eq!(granted.into_iter().filter(|granted| *granted).count(), 33);
    let order = shop.load_order(order.id).await;
    let sum: i64 = order.refunds.iter().map(|refund| refund.amount.minor).sum();
    assert_eq!((order.refunds.len(), sum, order.payments[0].refund_pending), (33, 990, 990));
    assert_eq!(order.version, 34);
}

/// Of twenty rotations of one session's refresh token one goes through.
pub async fn a_refresh_token_rotates_once(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("ada@example.com")).await;
    let session = shop.insert(shop.session(user.id)).await;
    let rotate = |n: u8| {
        let rotated_at = shop.now();
        let mut rotated = Session { refresh_hash: [n; 32], generation: 1, rotated_at, ..session.clone() };
        let mut set = shop.set();
        set.update(&session, &mut rotated);
        set
    };
    let outcomes = shop.race((0..20).map(rotate).collect()).await;
    let stale = refused([Conflict::Stale(session.root())]);
    assert_eq!(count(&outcomes, |outcome| *outcome == Outcome::Now), 1, "{outcomes:?}");
    assert_eq!(count(&outcomes, |outcome| *outcome == stale), 19, "{outcomes:?}");
    let winner = outcomes.iter().position(|outcome| *outcome == Outcome::Now);
    let (kept, _) = shop.reads().load_session(session.id).await.expect("a session can be read").expect("it is there");
    assert_eq!(Some(usize::from(kept.refresh_hash[0])), winner, "the winner's token is the one that is valid");
}

/// Two moves of categories that would make a cycle together can't both go through.
pub async fn category_moves_make_no_cycle(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (a, b) = (shop.category("a", None), shop.category("b", None));
    let tree = save_tree(&shop, vec![a.clone(), b.clone()]).await;
    let put_under = |child: CategoryId, parent| {
        let mut after = tree.clone();
        let node = after.nodes.iter_mut().find(|node| node.id == child);
        node.expect("the category is in the tree").parent_id = Some(parent);
        let mut set = shop.set();
        set.update(&tree, &mut after);
        set
    };
    let mut outcomes = shop.race(vec![put_under(a.id, b.id), put_under(b.id, a.id)]).await;
    outcomes.sort_by_key(|outcome| *outcome != Outcome::Now);
    assert_eq!(outcomes, [Outcome::Now, refused([Conflict::Stale(AggregateId::Categories)])]);
    let tree: CategoryTree = shop.reads().load_categories().await.expect("categories can be read");
    assert_eq!(tree.nodes.iter().filter(|node| node.parent_id.is_none()).count(), 1, "one is still a root: {tree:?}");
}

/// Of twenty users who register with one e-mail address one does.
pub async fn an_email_address_is_claimed_once(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let register = |_| {
        let mut user = shop.user("ada@example.com");
        let mut set = shop.set();
        set.insert(&mut user).hold(Claim::email(&user.email), user.id);
        set
    };
    let outcomes = shop.race((0..20).map(register).collect()).await;
    let taken = refused([Conflict::Taken(Claim::email("ada@example.com"))]);
    assert_eq!(count(&outcomes, |outcome| *outcome == Outcome::Now), 1, "{outcomes:?}");
    assert_eq!(count(&outcomes, |outcome| *outcome == taken), 19, "{outcomes:?}");
    let users =
        shop.reads().list_users(&UserQuery::default(), &PageSpec::first(100)).await.expect("users can be listed");
    assert_eq!(users.items.len(), 1);
    assert_eq!(shop.holder(&Claim::email("ada@example.com")).await, Some(users.items[0].id.0));
}

/// An owner who opens twenty carts at once has one.
pub async fn one_open_cart_per_owner(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let open = |_| {
        let mut cart = shop.cart(guest(1), &[(shop.id(), 1)]);
        let mut set = shop.set();
        set.insert(&mut cart).hold(Claim::open_cart(&cart.owner), cart.id);
        set
    };
    let outcomes = shop.race((0..20).map(open).collect()).await;
    assert_eq!(count(&outcomes, |outcome| *outcome == Outcome::Now), 1, "{outcomes:?}");
    assert_eq!(count(&outcomes, |outcome| *outcome == refused([Conflict::Taken(Claim::open_cart(&guest(1)))])), 19);
    assert!(shop.open_cart(&guest(1)).await.is_some());
}

/// Forty additions to one cart at once are all in it: twenty of one variant, twenty of different ones.
pub async fn no_addition_to_a_cart_is_lost(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let common: VariantId = shop.id();
    let cart = shop.save_cart(shop.cart(guest(1), &[(common, 1)])).await;
    let add = async |variant: VariantId| {
        let load = async || shop.open_cart(&cart.owner).await.expect("the cart is open");
        persist(&shop, load, |cart: &mut Cart| {
            let mut lines: Vec<_> = cart.lines.iter().map(|line| (line.variant_id, line.quantity)).collect();
            match lines.iter_mut().find(|(id, _)| *id == variant) {
                Some((_, quantity)) => *quantity += 1,
                None => lines.push((variant, 1)),
            }
            cart.lines = cart_lines(&lines);
            Some(())
        })
        .await
    };
    let variants = (0..40).map(|n| if n % 2 == 0 { common } else { shop.id() });
    let added = join_all(variants.map(add)).await;
    assert!(added.into_iter().all(|added| added));
    let full = shop.open_cart(&cart.owner).await.expect("the cart is open");
    let quantities: BTreeMap<_, _> = full.lines.iter().map(|line| (line.variant_id, line.quantity)).collect();
    assert_eq!((full.lines.len(), quantities.len(), quantities[&common], full.version), (21, 21, 21, 41));
}

/// Sets that touch the same rows in opposite orders all go through, and the numbers add up.
pub async fn crossing_writes_add_up(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (mug, a) = shop.stocked("mug", 1000).await;
    let (cup, b) = shop.stocked("cup", 1000).await;
    let write = |n: i64| {
        let ((first, one), (second, two)) =
            if n % 2 == 0 { ((a, mug.id), (b, cup.id)) } else { ((b, cup.id), (a, mug.id)) };
        let take = StockDelta { on_hand: -1, ..StockDelta::default() };
        let mut set = shop.set();
        set.move_stock(first, take, Some((MovementKind::Adjustment, None, None)))
            .rate(one, RatingDelta { sum: 3, count: 1 });
        set.move_stock(second, take, Some((MovementKind::Adjustment, None, None)))
            .rate(two, RatingDelta { sum: 3, count: 1 });
        set
    };
    let outcomes = shop.race((0..60).map(write).collect()).await;
    assert_eq!(count(&outcomes, |outcome| *outcome == Outcome::Now), 60, "{outcomes:?}");
    for (variant, product) in [(a, mug.id), (b, cup.id)] {
        assert_eq!(shop.stock(variant).await.on_hand, 940);
        let view = shop.reads().view_product(&ProductKey::Id(product)).await.expect("a product can be viewed");
        assert_eq!(view.map(|view| (view.rating_sum, view.rating_count)), Some((180, 60)));
        let ledger =
            shop.reads().list_movements(variant, &PageSpec::first(100)).await.expect("movements can be listed");
        let mut after: Vec<_> = ledger.items.iter().map(|line| line.on_hand_after).collect();
        after.sort_unstable();
        assert_eq!(after, (940..=1000).collect::<Vec<_>>(), "each movement knows what it left");
    }
}

/// An assertion holds against writers: of an order that relies on a cart and a change of that cart, never both from the same
/// version in the wrong order. Here: the asserted aggregate isn't bumped, the written one is, and nothing is lost.
pub async fn assertions_hold_against_writers(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let gate = shop.insert(shop.cart(guest(1), &[])).await;
    let mut sets = vec![];
    for n in 0..20 {
        let mut set = shop.set();
        let mut user = shop.user(&format!("{n}@example.com"));
        set.insert(&mut user).assert(gate.root(), 1);
        sets.push(set);
        if n == 10 {
            let mut closed = Cart { status: CartStatus::Merged, ..gate.clone() };
            let mut close = shop.set();
            close.update(&gate, &mut closed);
            sets.push(close);
        }
    }
    let outcomes = shop.race(sets).await;
    let stale = refused([Conflict::Stale(gate.root())]);
    assert_eq!(outcomes[11], Outcome::Now, "nobody else writes the gate");
    assert!(outcomes.iter().all(|outcome| *outcome == Outcome::Now || *outcome == stale), "{outcomes:?}");
    let entered = count(&outcomes, |outcome| *outcome == Outcome::Now) - 1;
    let users =
        shop.reads().list_users(&UserQuery::default(), &PageSpec::first(100)).await.expect("users can be listed");
    assert_eq!(users.items.len(), entered);
    let mut late = shop.set();
    late.assert(gate.root(), 1);
    assert_eq!(shop.outcome(&late).await, stale);
}

/// Readers see an order and its version from one moment, while it is being written.
pub async fn loads_are_never_torn(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut order = shop.order("O-1", &shop.product("mug", &[1000]), 1);
    confirm(&mut order, shop.now());
    let order = shop.insert(order).await;
    let write = async {
        let mut last = order.clone();
        for n in 1..=40 {
            last = shop
                .update(&last, |order| {
                    let refund = shop.refund(&order.payments[0], 1);
                    order.refunds.push(refund);
                    order.payments[0].refund_pending = n;
                    order.payments[0].status = PaymentStatus::PartiallyRefunded;
                    order.totals.discount = eur(n);
                })
                .await;
        }
    };
    let read = async {
        for _ in 0..80 {
            let seen = shop.load_order(order.id).await;
            let step = seen.version - 1;
            let counted = i64::try_from(seen.refunds.len()).expect("a small number");
            assert_eq!((counted, seen.payments[0].refund_pending, seen.totals.discount.minor), (step, step, step));
            tokio::task::yield_now().await;
        }
    };
    futures_util::join!(write, read);
    assert_eq!(shop.load_order(order.id).await.version, 41);
}
