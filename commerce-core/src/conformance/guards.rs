//! Every guard, and which of them speaks first.

use std::time::Duration;

use super::{
    StoreFixture,
    sample::guest,
    shop::{Outcome, Shop, refused, same},
};
use crate::{
    account::User,
    cart::Cart,
    catalog::CategoryTree,
    context::Idempotency,
    id::VariantId,
    store::{Aggregate, AggregateId, Attempt, ChangeSet, Claim, Conflict, MovementKind, StockDelta},
};

const fn short(variant: VariantId, available: i64) -> Conflict {
    Conflict::Short { variant, available }
}

/// A claim has one holder, even against its holder; others of the same kind and of other kinds are free.
pub async fn a_claim_has_one_holder(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (ada, bob): (uuid::Uuid, uuid::Uuid) = (shop.id(), shop.id());
    let hold = |claim: Claim, owner| {
        let mut set = shop.set();
        set.hold(claim, owner);
        set
    };
    let mug = Claim::product_slug("mug");
    assert_eq!(shop.holder(&mug).await, None);
    shop.commit(&hold(mug.clone(), ada)).await;
    assert_eq!(shop.outcome(&hold(mug.clone(), bob)).await, refused([Conflict::Taken(mug.clone())]));
    assert_eq!(shop.outcome(&hold(mug.clone(), ada)).await, refused([Conflict::Taken(mug.clone())]));
    shop.commit(&hold(Claim::category_slug("mug"), bob)).await;
    shop.commit(&hold(Claim::product_slug("Mug"), bob)).await;
    assert_eq!(shop.holder(&mug).await, Some(ada));
    assert_eq!(shop.holder(&Claim::category_slug("mug")).await, Some(bob));
}

/// Claims of every kind are kept apart.
pub async fn every_kind_of_claim_is_kept(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let claims = [
        Claim::email("x"),
        Claim::product_slug("x"),
        Claim::category_slug("x"),
        Claim::former_product_slug("x"),
        Claim::former_category_slug("x"),
        Claim::sku("x"),
        Claim::order_number("x"),
        Claim::open_cart(&guest(1)),
        Claim::review(shop.id(), shop.id()),
        Claim::gateway_ref("test", "x"),
    ];
    let mut set = shop.set();
    let mut again = shop.set();
    for claim in &claims {
        set.hold(claim.clone(), shop.id::<uuid::Uuid>());
        again.hold(claim.clone(), shop.id::<uuid::Uuid>());
    }
    shop.commit(&set).await;
    assert_eq!(
        shop.outcome(&again).await,
        refused(claims.clone().map(Conflict::Taken)),
        "all that are taken are named"
    );
    for (claim, take) in set.claims() {
        assert_eq!(Some(take), shop.holder(claim).await.map(crate::store::ClaimOp::Acquire));
    }
}

/// A claim is given back by its holder only; for anybody else that is no conflict and no effect.
pub async fn only_the_holder_frees_a_claim(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (ada, bob): (uuid::Uuid, uuid::Uuid) = (shop.id(), shop.id());
    let claim = Claim::email("ada@example.com");
    let mut set = shop.set();
    set.hold(claim.clone(), ada);
    shop.commit(&set).await;
    let free = |owner| {
        let mut set = shop.set();
        set.free(claim.clone(), owner);
        set
    };
    shop.commit(&free(bob)).await;
    assert_eq!(shop.holder(&claim).await, Some(ada));
    shop.commit(&free(ada)).await;
    assert_eq!(shop.holder(&claim).await, None);
    shop.commit(&free(ada)).await;
    let mut set = shop.set();
    set.hold(claim.clone(), bob);
    shop.commit(&set).await;
    assert_eq!(shop.holder(&claim).await, Some(bob));
}

async fn guards_its_version<T: Aggregate>(shop: &Shop, new: T) {
    let root = new.root();
    let stale = refused([Conflict::Stale(root)]);
    let write = |before: Option<&T>, after: &T| {
        let mut set = shop.set();
        match before {
            Some(before) => set.update(before, &mut after.clone()),
            None => set.insert(&mut after.clone()),
        };
        set
    };
    let remove = |version| {
        let mut set = shop.set();
        set.remove(root, version);
        set
    };
    let assert_at = |version| {
        let mut set = shop.set();
        set.assert(root, version);
        set
    };
    let mut first = new.clone();
    first.set_version(1);
    let mut second = new.clone();
    second.set_version(2);
    assert_eq!(shop.outcome(&write(Some(&first), &new)).await, stale, "{root:?} to update isn't there");
    assert_eq!(shop.outcome(&remove(1)).await, stale, "{root:?} to remove isn't there");
    assert_eq!(shop.outcome(&assert_at(1)).await, stale, "{root:?} to assert isn't there");
    shop.commit(&write(None, &new)).await;
    assert_eq!(shop.outcome(&write(None, &new)).await, stale, "{root:?} is there already");
    shop.commit(&write(Some(&first), &new)).await;
    for version in [1, 3] {
        let mut other = new.clone();
        other.set_version(version);
        assert_eq!(shop.outcome(&write(Some(&other), &new)).await, stale, "{root:?} is not at {version}");
        assert_eq!(shop.outcome(&remove(version)).await, stale, "{root:?} is not at {version}");
        assert_eq!(shop.outcome(&assert_at(version)).await, stale, "{root:?} is not at {version}");
    }
    shop.commit(&assert_at(2)).await;
    shop.commit(&assert_at(2)).await;
    shop.commit(&remove(2)).await;
    assert_eq!(shop.outcome(&write(Some(&second), &new)).await, stale, "{root:?} was removed");
    assert_eq!(shop.outcome(&remove(2)).await, stale, "{root:?} was removed already");
}

/// Writing, removing and asserting demand the version that was read: absent, older, newer and removed ones are refused.
pub async fn versions_are_guarded(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("ada@example.com")).await;
    guards_its_version(&shop, shop.address(user.id)).await;
    guards_its_version(&shop, shop.session(user.id)).await;
    guards_its_version(&shop, shop.mail_token(user.id, crate::account::MailTokenKind::ConfirmEmail)).await;
    guards_its_version(&shop, shop.cart(guest(1), &[(shop.id(), 1)])).await;
    guards_its_version(&shop, shop.review(shop.id(), user.id, 3)).await;
    guards_its_version(&shop, shop.alert(crate::alert::AlertKind::LowStock)).await;
}

async fn guards_its_lasting_version<T: Aggregate>(shop: &Shop, read: T) {
    let stale = refused([Conflict::Stale(read.root())]);
    let mut again = shop.set();
    again.insert(&mut read.clone());
    assert_eq!(shop.outcome(&again).await, stale);
    shop.update(&read, |_| ()).await;
    let mut late = shop.set();
    late.update(&read, &mut read.clone());
    assert_eq!(shop.outcome(&late).await, stale);
    for (version, expected) in [(1, stale), (2, Outcome::Now)] {
        let mut set = shop.set();
        set.assert(read.root(), version);
        assert_eq!(shop.outcome(&set).await, expected);
    }
}

/// Users, products and orders, which are never removed while in use, guard their versions too.
pub async fn versions_of_lasting_things_are_guarded(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (product, _) = shop.stocked("mug", 5).await;
    let user = shop.save_user(shop.user("ada@example.com")).await;
    let order = shop.insert(shop.order("O-1", &product, 1)).await;
    guards_its_lasting_version(&shop, product).await;
    guards_its_lasting_version(&shop, user).await;
    guards_its_lasting_version(&shop, order).await;
}

/// All aggregates that aren't as they were read are named, written ones and asserted ones alike.
pub async fn all_stale_aggregates_are_named(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("ada@example.com")).await;
    let cart = shop.insert(shop.cart(guest(1), &[])).await;
    let address = shop.insert(shop.address(user.id)).await;
    let fine = shop.insert(shop.cart(guest(2), &[])).await;
    shop.update(&user, |_| ()).await;
    shop.update(&cart, |_| ()).await;
    shop.update(&address, |_| ()).await;
    let mut set = shop.set();
    let before = CategoryTree { version: 4, ..CategoryTree::default() };
    set.update(&before, &mut before.clone());
    set.update(&fine, &mut fine.clone());
    set.update(&user, &mut user.clone()).assert(cart.root(), 1).remove(address.root(), 1);
    let stale = [user.root(), cart.root(), address.root(), AggregateId::Categories].map(Conflict::Stale);
    assert_eq!(shop.outcome(&set).await, refused(stale));
    same(&shop.reads().load_cart(fine.id).await.expect("a cart can be read"), &Some(fine));
}

/// What isn't available can't be reserved, sold or taken away; the answer says how much there is.
pub async fn stock_has_a_floor(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 5).await;
    assert_eq!(shop.move_stock(variant, 0, 2).await, Outcome::Now);
    for (on_hand, reserved) in [(0, 4), (-4, 0), (-1, 3), (0, i64::from(u32::MAX))] {
        assert_eq!(
            shop.move_stock(variant, on_hand, reserved).await,
            refused([short(variant, 3)]),
            "{on_hand:+}, {reserved:+}"
        );
    }
    for (on_hand, reserved) in [(0, 3), (-5, -5), (1, 1)] {
        assert_eq!(shop.move_stock(variant, on_hand, reserved).await, Outcome::Now, "{on_hand:+}, {reserved:+}");
    }
    let stock = shop.stock(variant).await;
    assert_eq!((stock.on_hand, stock.reserved), (1, 1));
    assert_eq!(shop.move_stock(variant, 0, 1).await, refused([short(variant, 0)]));
}

/// All variants that are short are named, each with what there is; two deltas of one variant are judged as one.
pub async fn all_shortages_are_named(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let product = shop.save_product(shop.product("mug", &[1, 2, 3]), &[3, 0, 9]).await;
    let [a, b, c]: [VariantId; 3] = std::array::from_fn(|n| product.variants[n].id);
    let mut set = shop.set();
    set.reserve(a, 2).reserve(b, 1).reserve(c, 9).reserve(a, 2);
    assert_eq!(shop.outcome(&set).await, refused([short(a, 3), short(b, 0)]));
    assert_eq!(shop.stock(c).await.reserved, 0);
    let mut set = shop.set();
    set.reserve(a, 4).reserve(a, -1).reserve(c, 9);
    assert_eq!(shop.outcome(&set).await, Outcome::Now);
}

/// More than is reserved can't be released, and stock that was never opened can't be moved.
pub async fn stock_nonsense_is_refused(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 5).await;
    let released = shop.move_stock(variant, 0, -1).await;
    assert!(matches!(released, Outcome::Bug | Outcome::Refused(_)), "{released:?}");
    let unopened = shop.move_stock(shop.id(), 0, 1).await;
    assert!(matches!(unopened, Outcome::Bug | Outcome::Refused(_)), "{unopened:?}");
    let stock = shop.stock(variant).await;
    assert_eq!((stock.on_hand, stock.reserved), (5, 0));
}

/// A count that was computed from `on_hand` is refused if `on_hand` has moved since; reservations don't matter.
pub async fn a_count_expects_what_was_on_hand(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 5).await;
    let (_, other) = shop.stocked("cup", 5).await;
    let count = |expected, on_hand| {
        let mut set = shop.set();
        let moved = StockDelta { on_hand, reserved: 0, expect_on_hand: Some(expected) };
        set.move_stock(variant, moved, Some((MovementKind::Adjustment, None, None)));
        set
    };
    assert_eq!(shop.outcome(&count(4, 1)).await, refused([Conflict::Moved(variant)]));
    assert_eq!(shop.move_stock(variant, 0, 2).await, Outcome::Now);
    assert_eq!(shop.outcome(&count(5, 3)).await, Outcome::Now);
    let mut both = count(5, 1);
    let moved = StockDelta { on_hand: 1, reserved: 0, expect_on_hand: Some(0) };
    both.move_stock(other, moved, Some((MovementKind::Adjustment, None, None)));
    assert_eq!(shop.outcome(&both).await, refused([Conflict::Moved(variant), Conflict::Moved(other)]));
    assert_eq!(shop.stock(variant).await.on_hand, 8);
}

struct Obstacles {
    key: Idempotency,
    claim: Claim,
    user: User,
    cart: Cart,
    variant: VariantId,
}

impl Obstacles {
    async fn new(shop: &Shop) -> Self {
        let key = Idempotency::new("test", "key", b"request");
        let claim = Claim::order_number("O-1");
        let (_, variant) = shop.stocked("mug", 1).await;
        let user = shop.save_user(shop.user("ada@example.com")).await;
        let cart = shop.insert(shop.cart(guest(1), &[])).await;
        let mut set = shop.set();
        set.key(key, None, None).hold(claim.clone(), shop.id::<uuid::Uuid>());
        set.update(&user, &mut user.clone()).update(&cart, &mut cart.clone());
        shop.commit(&set).await;
        Self { key, claim, user, cart, variant }
    }

    fn key(&self, set: &mut ChangeSet) {
        set.key(self.key, None, None);
    }

    fn claim(&self, shop: &Shop, set: &mut ChangeSet) {
        set.hold(self.claim.clone(), shop.id::<uuid::Uuid>());
    }

    fn version(&self, set: &mut ChangeSet) {
        set.update(&self.user, &mut self.user.clone()).assert(self.cart.root(), 1);
    }

    fn floor(&self, set: &mut ChangeSet) {
        set.reserve(self.variant, 2);
    }
}

/// As many attempts are counted in a window as are allowed, and the next window begins anew. One that is taken back leaves room;
/// a later limit counts from then on.
pub async fn attempts_are_limited_in_a_window(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let since = shop.now();
    let first = Attempt { key: [1; 32], since, limit: 2 };
    let next = Attempt { since: since + Duration::from_mins(15), ..first };
    let count = |attempt| {
        let mut set = shop.set();
        set.count(attempt);
        set
    };
    let take_back = |attempt| {
        let mut set = shop.set();
        set.take_back(attempt);
        set
    };
    let counted = async |attempt: Attempt| {
        let found = shop.reads().load_attempts(&attempt.key).await.expect("attempts can be read");
        found.map(|found| (found.since, found.count))
    };
    let full = || refused([Conflict::LimitReached(first.key)]);
    assert_eq!(counted(first).await, None);
    shop.commit(&take_back(first)).await;
    shop.commit(&count(first)).await;
    shop.commit(&count(first)).await;
    assert_eq!(shop.outcome(&count(first)).await, full());
    assert_eq!(counted(first).await, Some((since, 2)));
    shop.commit(&count(Attempt { key: [2; 32], ..first })).await;
    shop.commit(&count(Attempt { limit: 3, ..first })).await;
    assert_eq!(shop.outcome(&count(first)).await, full(), "a lower limit is reached all the more");
    shop.commit(&take_back(first)).await;
    shop.commit(&take_back(first)).await;
    shop.commit(&count(first)).await;
    assert_eq!(counted(first).await, Some((since, 2)));

    shop.commit(&count(next)).await;
    assert_eq!(counted(first).await, Some((next.since, 1)));
    shop.commit(&take_back(first)).await;
    shop.commit(&count(first)).await;
    assert_eq!(counted(first).await, Some((next.since, 2)), "who is late counts in the newest window");
    assert_eq!(shop.outcome(&count(next)).await, full());
    let mut both = count(next);
    both.count(Attempt { key: [3; 32], ..next });
    assert_eq!(shop.outcome(&both).await, full());
    assert_eq!(counted(Attempt { key: [3; 32], ..next }).await, None, "a refused set counts nothing");
}

/// The set's id speaks first, then the idempotency key, claims, versions, floors: only the strongest class is named.
pub async fn guards_speak_in_order(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let obstacles = Obstacles::new(&shop).await;
    let mut set = shop.set();
    obstacles.floor(&mut set);
    assert_eq!(shop.outcome(&set).await, refused([short(obstacles.variant, 1)]));
    obstacles.version(&mut set);
    let stale = [obstacles.user.root(), obstacles.cart.root()].map(Conflict::Stale);
    assert_eq!(shop.outcome(&set).await, refused(stale));
    obstacles.claim(&shop, &mut set);
    assert_eq!(shop.outcome(&set).await, refused([Conflict::Taken(obstacles.claim.clone())]));
    obstacles.key(&mut set);
    assert_eq!(shop.outcome(&set).await, refused([Conflict::KeyTaken]));
}

/// Each class is heard over each weaker one, not only over the next.
pub async fn stronger_guards_drown_weaker_ones(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let obstacles = Obstacles::new(&shop).await;
    let mut set = shop.set();
    obstacles.key(&mut set);
    obstacles.floor(&mut set);
    assert_eq!(shop.outcome(&set).await, refused([Conflict::KeyTaken]));
    let mut set = shop.set();
    obstacles.key(&mut set);
    obstacles.version(&mut set);
    assert_eq!(shop.outcome(&set).await, refused([Conflict::KeyTaken]));
    let mut set = shop.set();
    obstacles.claim(&shop, &mut set);
    obstacles.floor(&mut set);
    assert_eq!(shop.outcome(&set).await, refused([Conflict::Taken(obstacles.claim.clone())]));
    let mut set = shop.set();
    obstacles.claim(&shop, &mut set);
    set.move_stock(obstacles.variant, StockDelta { on_hand: 1, reserved: 0, expect_on_hand: Some(9) }, None);
    assert_eq!(shop.outcome(&set).await, refused([Conflict::Taken(obstacles.claim.clone())]));
}

/// A set that went through is known by its id, whatever its guards would say now.
pub async fn the_set_id_speaks_first(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 1).await;
    let mut user = shop.user("ada@example.com");
    let mut set = shop.set();
    set.key(Idempotency::new("test", "key", b"request"), None, None);
    set.hold(Claim::email("ada@example.com"), user.id).insert(&mut user).reserve(variant, 1);
    shop.commit(&set).await;
    assert_eq!(shop.outcome(&set).await, Outcome::Before);
    set.renew(&shop.ids);
    assert_eq!(shop.outcome(&set).await, refused([Conflict::KeyTaken]), "under another id it is another set");
}
