//! Many at once: what must hold whatever the interleaving. Here, who sells what; in [`edits`], who changes what.

mod edits;

use std::sync::Arc;

use futures_util::future::join_all;

use super::{
    BrokenStore, StoreFixture,
    sample::{confirm, guest, settle_task},
    shop::{Outcome, Shop, count, outcome, refused, same},
};
use crate::{
    cart::{Cart, CartStatus},
    catalog::Product,
    context::Idempotency,
    event::DomainEvent,
    id::VariantId,
    order::{Order, OrderQuery},
    page::PageSpec,
    store::{Aggregate, Attempt, ChangeSet, Claim, Conflict, MovementKind, StockDelta, Store},
};

pub use self::edits::{
    a_refresh_token_rotates_once, an_email_address_is_claimed_once, assertions_hold_against_writers,
    category_moves_make_no_cycle, crossing_writes_add_up, loads_are_never_torn, no_addition_to_a_cart_is_lost,
    one_open_cart_per_owner, refunds_never_exceed_the_payment,
};

const UNITS: i64 = 50;
const BUYERS: usize = 200;

fn holds(condition: bool, broken: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(broken()) }
}

fn place(shop: &Shop, order: &mut Order, variant: VariantId) -> ChangeSet {
    let mut set = shop.set();
    set.key(Idempotency::new("buyer", &order.number, b"checkout"), Some(order.id.0), None);
    set.insert(order).hold(Claim::order_number(&order.number), order.id);
    set.reserve(variant, i64::from(order.lines[0].quantity));
    let (number, total) = (order.number.clone(), order.totals.grand_total);
    set.event(&shop.ids, order.root(), 1, DomainEvent::OrderPlaced { order: order.id, number, total });
    set.task(&shop.ids, order.placed_at, settle_task(order.id, &order.payments[0]));
    set
}

fn sell(shop: &Shop, order: &Order, variant: VariantId) -> ChangeSet {
    let mut sold = order.clone();
    confirm(&mut sold, shop.now());
    let units = i64::from(order.lines[0].quantity);
    let moved = StockDelta { on_hand: -units, reserved: -units, expect_on_hand: None };
    let mut set = shop.set();
    set.update(order, &mut sold).move_stock(variant, moved, Some((MovementKind::Sale, Some(order.id), None)));
    set
}

/// Two hundred buyers, fifty units, and every acknowledgement is lost once, so that every set is committed twice.
/// Exactly fifty get one.
///
/// # Errors
/// A sentence on what was broken: this is what a store that reads and then writes (such as [`BrokenStore`]) fails.
pub async fn oversell(store: Arc<dyn Store>) -> Result<(), String> {
    let shop = Shop::new(store);
    let (product, variant) = shop.stocked("mug", UNITS).await;
    let mut orders: Vec<Order> = (0..BUYERS).map(|n| shop.order(&format!("O-{n}"), &product, 1)).collect();
    let sets: Vec<ChangeSet> = orders.iter_mut().map(|order| place(&shop, order, variant)).collect();
    let buyers = sets.into_iter().map(|set| {
        let store = Arc::clone(&shop.store);
        tokio::spawn(async move { (outcome(&*store, &set).await, outcome(&*store, &set).await) })
    });
    let (first, second): (Vec<_>, Vec<_>) =
        join_all(buyers).await.into_iter().map(|buyer| buyer.expect("a commit doesn't panic")).unzip();

    let short = |outcome: &Outcome| *outcome == refused([Conflict::Short { variant, available: 0 }]);
    let (won, lost) = (count(&first, |outcome| *outcome == Outcome::Now), count(&first, short));
    holds(won == 50 && lost == 150, || {
        format!("{won} of {BUYERS} buyers got one of {UNITS} units, {lost} were told why not")
    })?;
    let (known, refused_again) = (count(&second, |outcome| *outcome == Outcome::Before), count(&second, short));
    holds(known == 50 && refused_again == 150, || {
        format!("asked again, {known} heard that they had one, {refused_again} that not")
    })?;
    let stock = shop.stock(variant).await;
    holds((stock.on_hand, stock.reserved) == (UNITS, UNITS), || format!("after the rush: {stock:?}"))?;

    let winners: Vec<&Order> =
        orders.iter().zip(&first).filter(|(_, got)| **got == Outcome::Now).map(|(order, _)| order).collect();
    let sold = shop.race(winners.iter().map(|order| sell(&shop, order, variant)).collect()).await;
    holds(sold.iter().all(|outcome| *outcome == Outcome::Now), || format!("some orders weren't confirmed: {sold:?}"))?;
    let stock = shop.stock(variant).await;
    holds((stock.on_hand, stock.reserved) == (0, 0), || format!("after the sale: {stock:?}"))?;
    let spec = PageSpec { count: true, ..PageSpec::first(1) };
    let listed = shop.reads().list_orders(&OrderQuery::default(), &spec).await.map_err(|error| error.to_string())?;
    holds(listed.total == Some(50), || format!("{:?} orders were written", listed.total))?;
    let drift = shop.reads().verify().await.map_err(|error| error.to_string())?;
    holds(drift.is_empty(), || format!("the ledgers disagree: {drift:?}"))
}

/// Never oversell: see [`oversell`].
pub async fn two_hundred_buyers_for_fifty_units(fixture: &dyn StoreFixture) {
    oversell(fixture.store()).await.expect("exactly fifty of two hundred buyers get one of fifty units");
}

/// The suite finds a store that reads and then writes.
pub async fn a_store_that_reads_then_writes_is_caught(fixture: &dyn StoreFixture) {
    let caught = oversell(Arc::new(BrokenStore::new(fixture.store()))).await;
    assert!(caught.is_err(), "the oversell case must find a store that handles stock without guards");
}

/// Fifty who count at once are counted exactly; where fewer are allowed, so many succeed and the others are told why not.
pub async fn attempts_at_once_are_counted_exactly(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let since = shop.now();
    for (n, limit, allowed) in [(1, 1_000, 50), (2, 50, 50), (3, 20, 20)] {
        let attempt = Attempt { key: [n; 32], since, limit };
        let sets = (0..50).map(|_| {
            let mut set = shop.set();
            set.count(attempt);
            set
        });
        let outcomes = shop.race(sets.collect()).await;
        let full = refused([Conflict::LimitReached(attempt.key)]);
        assert_eq!(count(&outcomes, |outcome| *outcome == Outcome::Now), allowed, "{outcomes:?}");
        assert_eq!(count(&outcomes, |outcome| *outcome == full), 50 - allowed, "{outcomes:?}");
        let counted = shop.reads().load_attempts(&attempt.key).await.expect("attempts can be read");
        assert_eq!(counted.map(|counted| counted.count as usize), Some(allowed));
    }
}

struct Checkout {
    product: Product,
    variant: VariantId,
    cart: Cart,
}

impl Checkout {
    async fn of_the_last_unit(shop: &Shop) -> Self {
        let (product, variant) = shop.stocked("mug", 1).await;
        let cart = shop.save_cart(shop.cart(guest(1), &[(variant, 1)])).await;
        Self { product, variant, cart }
    }

    fn attempt(&self, shop: &Shop, n: usize, key: Option<Idempotency>) -> ChangeSet {
        let mut order = Order { cart_id: Some(self.cart.id), ..shop.order(&format!("O-{n}"), &self.product, 1) };
        let mut ordered = Cart { status: CartStatus::Ordered, ..self.cart.clone() };
        let mut set = shop.set();
        if let Some(key) = key {
            set.key(key, Some(order.id.0), None);
        }
        set.update(&self.cart, &mut ordered).free(Claim::open_cart(&self.cart.owner), self.cart.id);
        set.insert(&mut order).hold(Claim::order_number(&order.number), order.id).reserve(self.variant, 1);
        set
    }

    async fn happened_once(&self, shop: &Shop) {
        let orders = shop
            .reads()
            .list_orders(&OrderQuery::default(), &PageSpec::first(100))
            .await
            .expect("orders can be listed");
        assert_eq!(orders.items.len(), 1);
        assert_eq!(orders.items[0].cart_id, Some(self.cart.id));
        assert_eq!(shop.stock(self.variant).await.reserved, 1);
        same(&shop.open_cart(&self.cart.owner).await, &None);
    }
}

/// Twenty checkouts of one cart for the last unit under one idempotency key: one goes through, the others hear of the key,
/// not that the cart is closed or the stock gone.
pub async fn a_double_checkout_hears_of_its_key(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let checkout = Checkout::of_the_last_unit(&shop).await;
    let key = Idempotency::new("guest", "checkout-1", b"request");
    let outcomes = shop.race((0..20).map(|n| checkout.attempt(&shop, n, Some(key))).collect()).await;
    let known = refused([Conflict::KeyTaken]);
    assert_eq!(count(&outcomes, |outcome| *outcome == Outcome::Now), 1, "{outcomes:?}");
    assert_eq!(count(&outcomes, |outcome| *outcome == known), 19, "{outcomes:?}");
    checkout.happened_once(&shop).await;
}

/// Without a key (or with different ones) the cart's version lets one through; the others hear that the cart has changed.
pub async fn a_cart_is_checked_out_once(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let checkout = Checkout::of_the_last_unit(&shop).await;
    let key = |n: usize| n.is_multiple_of(2).then(|| Idempotency::new("guest", &n.to_string(), b"request"));
    let outcomes = shop.race((0..20).map(|n| checkout.attempt(&shop, n, key(n))).collect()).await;
    let stale = refused([Conflict::Stale(checkout.cart.root())]);
    assert_eq!(count(&outcomes, |outcome| *outcome == Outcome::Now), 1, "{outcomes:?}");
    assert_eq!(count(&outcomes, |outcome| *outcome == stale), 19, "{outcomes:?}");
    checkout.happened_once(&shop).await;
}
