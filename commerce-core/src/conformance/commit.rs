//! All or nothing, once: atomicity, idempotency by set id, idempotency keys, purging.

use serde_json::json;

use super::{
    StoreFixture,
    sample::{guest, settle_task},
    shop::{ODD, Outcome, Shop, minutes, refused, same},
};
use crate::{
    account::{MailTokenKind, Session, User},
    catalog::ProductKey,
    context::Idempotency,
    event::DomainEvent,
    id::{OrderId, ProductId, VariantId},
    order::Order,
    page::PageSpec,
    store::{
        Aggregate, AggregateId, Attempt, ChangeSet, Claim, Conflict, IdempotencyRecord, MovementKind, RatingDelta,
        StockDelta,
    },
};

fn key(name: &str) -> Idempotency {
    Idempotency::new("conformance", name, b"request")
}

async fn record(shop: &Shop, name: &str) -> Option<IdempotencyRecord> {
    shop.reads().load_key(&key(name).key).await.expect("a key can be read")
}

/// A set with some of everything, and what must be there if and only if it was applied.
struct Everything {
    set: ChangeSet,
    user: User,
    order: Order,
    variant: VariantId,
    product: ProductId,
    existing: crate::cart::Cart,
    changed: crate::cart::Cart,
}

impl Everything {
    async fn compose(shop: &Shop) -> Self {
        let (product, variant) = shop.stocked("everything", 10).await;
        let existing = shop.insert(shop.cart(guest(9), &[(variant, 1)])).await;
        let mut changed = existing.clone();
        changed.lines[0].quantity = 5;
        let mut user = shop.user("new@example.com");
        let mut order = shop.full_order("O-NEW", &shop.product("sample", &[100, 200]), user.id);
        let mut set = shop.set();
        set.key(key("everything"), Some(order.id.0), Some(json!({"ok": true})));
        set.hold(Claim::email(&user.email), user.id).hold(Claim::order_number("O-NEW"), order.id);
        set.insert(&mut user).insert(&mut order).update(&existing, &mut changed);
        let sale = StockDelta { on_hand: -2, reserved: 1, expect_on_hand: None };
        set.move_stock(variant, sale, Some((MovementKind::Sale, Some(order.id), None)));
        set.rate(product.id, RatingDelta { sum: 5, count: 1 });
        set.event(&shop.ids, order.root(), 1, DomainEvent::OrderConfirmed { order: order.id });
        set.task(&shop.ids, order.placed_at, settle_task(order.id, &order.payments[0]));
        Self { set, user, order, variant, product: product.id, existing, changed }
    }

    async fn is_there(&self, shop: &Shop, yes: bool) {
        let reads = shop.reads();
        let one = |yes| i64::from(yes);
        let cart = reads.load_cart(self.existing.id).await.expect("a cart can be read");
        same(&cart, &Some(if yes { self.changed.clone() } else { self.existing.clone() }));
        same(&reads.load_user(self.user.id).await.expect("a user can be read"), &yes.then(|| self.user.clone()));
        same(&reads.load_order(self.order.id).await.expect("an order can be read"), &yes.then(|| self.order.clone()));
        assert_eq!(shop.holder(&Claim::email(&self.user.email)).await, yes.then_some(self.user.id.0));
        assert_eq!(shop.holder(&Claim::order_number("O-NEW")).await, yes.then_some(self.order.id.0));
        assert_eq!(record(shop, "everything").await.is_some(), yes, "the idempotency key");
        let stock = shop.stock(self.variant).await;
        assert_eq!((stock.on_hand, stock.reserved), (10 - 2 * one(yes), one(yes)));
        let ledger = reads.list_movements(self.variant, &PageSpec::first(10)).await.expect("movements can be listed");
        assert_eq!(ledger.items.len(), 1 + usize::from(yes));
        let view = reads.view_product(&ProductKey::Id(self.product)).await.expect("a product can be viewed");
        assert_eq!(view.map(|view| view.rating_sum), Some(5 * one(yes)));
        let events = reads.list_events(self.order.root()).await.expect("events can be listed");
        assert_eq!(events.len(), usize::from(yes));
        assert_eq!(reads.task_backlog().await.expect("the backlog can be read").0, u64::from(yes));
    }
}

/// Spoils a set with some of everything, and looks whether the refusal left anything behind.
async fn leaves_nothing(shop: &Shop, spoil: impl FnOnce(&mut ChangeSet), expected: Outcome) {
    let mut all = Everything::compose(shop).await;
    spoil(&mut all.set);
    assert_eq!(shop.outcome(&all.set).await, expected);
    all.is_there(shop, false).await;
    assert_eq!(shop.outcome(&all.set).await, expected, "not even its id was kept");
    all.is_there(shop, false).await;
}

/// A set with some of everything is applied as a whole.
pub async fn a_set_applies_as_a_whole(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let all = Everything::compose(&shop).await;
    all.is_there(&shop, false).await;
    shop.commit(&all.set).await;
    all.is_there(&shop, true).await;
}

/// A taken idempotency key leaves nothing of the set behind.
pub async fn a_taken_key_leaves_nothing(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut first = shop.set();
    first.key(key("taken"), None, None);
    shop.commit(&first).await;
    leaves_nothing(&shop, |set| _ = set.key(key("taken"), None, None), refused([Conflict::KeyTaken])).await;
}

/// A taken claim leaves nothing of the set behind.
pub async fn a_taken_claim_leaves_nothing(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    shop.save_user(shop.user("zoe@example.com")).await;
    let claim = Claim::email("zoe@example.com");
    let owner: uuid::Uuid = shop.id();
    let taken = refused([Conflict::Taken(claim.clone())]);
    leaves_nothing(&shop, |set| _ = set.hold(claim, owner), taken).await;
}

/// A stale version leaves nothing of the set behind: of a write, an assertion, a removal and an alert.
pub async fn a_stale_version_leaves_nothing(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("zoe@example.com")).await;
    shop.update(&user, |_| ()).await;
    let stale = refused([Conflict::Stale(user.root())]);
    leaves_nothing(&shop, |set| _ = set.update(&user, &mut user.clone()), stale).await;
}

/// A failed assertion leaves nothing of the set behind.
pub async fn a_failed_assertion_leaves_nothing(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("zoe@example.com")).await;
    let stale = refused([Conflict::Stale(user.root())]);
    leaves_nothing(&shop, |set| _ = set.assert(user.root(), 7), stale).await;
}

/// A refused removal leaves nothing of the set behind.
pub async fn a_refused_removal_leaves_nothing(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let cart = shop.insert(shop.cart(guest(1), &[])).await;
    let stale = refused([Conflict::Stale(cart.root())]);
    leaves_nothing(&shop, |set| _ = set.remove(cart.root(), 7), stale).await;
}

/// An alert that somebody else raised leaves nothing of the set behind.
pub async fn a_stale_alert_leaves_nothing(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 5).await;
    let stale = refused([Conflict::Stale(AggregateId::StockAlert(variant))]);
    leaves_nothing(&shop, |set| _ = set.alerted(variant, 3, 4), stale).await;
}

/// A shortage leaves nothing of the set behind.
pub async fn a_shortage_leaves_nothing(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 5).await;
    let short = refused([Conflict::Short { variant, available: 5 }]);
    leaves_nothing(&shop, |set| _ = set.reserve(variant, 6), short).await;
}

/// A count computed from an outdated number leaves nothing of the set behind.
pub async fn an_outdated_count_leaves_nothing(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 5).await;
    let count = StockDelta { on_hand: 1, reserved: 0, expect_on_hand: Some(4) };
    leaves_nothing(&shop, |set| _ = set.move_stock(variant, count, None), refused([Conflict::Moved(variant)])).await;
}

/// A set that breaks a CHECK (here: more money on its way back than was taken) is a bug, leaves nothing behind, and the
/// store goes on working.
pub async fn nonsense_leaves_nothing(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    for spoil in [
        |order: &mut Order| order.payments[1].refund_pending = order.payments[1].captured,
        |order: &mut Order| order.payments[1].captured = order.payments[1].amount.minor + 1,
    ] {
        let product = shop.product("mug", &[100, 200]);
        let mut order = shop.full_order("O-NONSENSE", &product, shop.id());
        spoil(&mut order);
        let mut set = shop.set();
        set.insert(&mut order).hold(Claim::order_number("O-NONSENSE"), order.id);
        assert_eq!(shop.outcome(&set).await, Outcome::Bug);
        assert_eq!(shop.holder(&Claim::order_number("O-NONSENSE")).await, None);
    }
    let product = shop.product("mug", &[100, 200]);
    let mut order = shop.full_order("O-NONSENSE", &product, shop.id());
    order.payments[1].refunded = order.payments[1].amount.minor;
    leaves_nothing(&shop, |set| _ = set.insert(&mut order), Outcome::Bug).await;
    shop.stocked("fine", 1).await;
}

/// A set that was refused can go through later, unchanged, once what was in its way is gone.
pub async fn a_refused_set_can_be_committed_later(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 1).await;
    let mut set = shop.set();
    set.reserve(variant, 2);
    assert_eq!(shop.outcome(&set).await, refused([Conflict::Short { variant, available: 1 }]));
    assert_eq!(shop.move_stock(variant, 1, 0).await, Outcome::Now);
    assert_eq!(shop.outcome(&set).await, Outcome::Now);
    assert_eq!(shop.outcome(&set).await, Outcome::Before);
    assert_eq!(shop.stock(variant).await.reserved, 2);
}

/// The same set again is known, and changes nothing, even after others have changed what it wrote.
pub async fn a_set_applies_once(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let all = Everything::compose(&shop).await;
    shop.commit(&all.set).await;
    assert_eq!(shop.outcome(&all.set).await, Outcome::Before);
    all.is_there(&shop, true).await;

    let later = shop.update(&all.changed, |cart| cart.lines.clear()).await;
    let mut set = shop.set();
    set.free(Claim::email(&all.user.email), all.user.id);
    shop.commit(&set).await;
    assert_eq!(shop.move_stock(all.variant, 7, 0).await, Outcome::Now);
    assert_eq!(shop.outcome(&all.set).await, Outcome::Before);
    same(&shop.reads().load_cart(later.id).await.expect("a cart can be read"), &Some(later));
    assert_eq!(shop.holder(&Claim::email(&all.user.email)).await, None);
    let stock = shop.stock(all.variant).await;
    assert_eq!((stock.on_hand, stock.reserved), (15, 1));
    assert_eq!(shop.reads().task_backlog().await.expect("the backlog can be read").0, 1);
}

/// The same set from twenty sides at once is applied by exactly one of them.
pub async fn a_set_applies_once_at_the_same_time(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let all = Everything::compose(&shop).await;
    let outcomes = shop.race(vec![all.set.clone(); 20]).await;
    let count = |wanted: &Outcome| outcomes.iter().filter(|outcome| *outcome == wanted).count();
    assert_eq!((count(&Outcome::Now), count(&Outcome::Before)), (1, 19), "{outcomes:?}");
    all.is_there(&shop, true).await;
}

/// An empty set is a set like any other.
pub async fn an_empty_set_is_fine(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let set = shop.set();
    assert_eq!(shop.outcome(&set).await, Outcome::Now);
    assert_eq!(shop.outcome(&set).await, Outcome::Before);
}

/// One set may write many rows of each kind.
pub async fn a_set_may_be_large(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut set = shop.set();
    let mut products = Vec::new();
    for n in 0..60 {
        let mut product = shop.product(&format!("p{n}"), &[100, 200, 300]);
        super::shop::add_product(&mut set, &mut product, &[n, n + 1, n + 2]);
        set.event(&shop.ids, product.root(), 1, DomainEvent::ProductCreated { product: product.id });
        set.rate(product.id, RatingDelta { sum: 5, count: 1 });
        products.push(product);
    }
    shop.commit(&set).await;
    for (product, n) in products.iter().zip(0..) {
        same(&shop.reads().load_product(product.id).await.expect("a product can be read"), &Some(product.clone()));
        assert_eq!(shop.stock(product.variants[2].id).await.on_hand, n + 2);
        assert_eq!(shop.holder(&Claim::sku(&product.variants[1].sku)).await, Some(product.variants[1].id.0));
    }
}

/// A claimed idempotency key can be read with all it was claimed with, before and after its answer is known.
pub async fn idempotency_keys_are_answered(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    assert_eq!(record(&shop, "open").await, None);
    let subject: OrderId = shop.id();
    let mut claim = shop.set();
    claim.key(key("open"), Some(subject.0), None);
    shop.commit(&claim).await;
    let expected = |name: &str, at, subject, output| IdempotencyRecord {
        key: key(name).key,
        fingerprint: key(name).fingerprint,
        subject,
        output,
        at,
    };
    assert_eq!(record(&shop, "open").await, Some(expected("open", claim.at(), Some(subject.0), None)));

    let output = json!({"order": subject, "odd": ODD, "deep": [1, null, {"n": i64::MAX, "x": 0.5}], "no": false});
    let mut answer = shop.set();
    answer.answer(key("open").key, output.clone());
    shop.commit(&answer).await;
    assert_eq!(record(&shop, "open").await, Some(expected("open", claim.at(), Some(subject.0), Some(output.clone()))));

    let mut known = shop.set();
    known.key(key("known"), None, Some(output.clone()));
    shop.commit(&known).await;
    assert_eq!(record(&shop, "known").await, Some(expected("known", known.at(), None, Some(output))));
}

/// A forgotten key can be claimed again; forgetting one that isn't known has no effect.
pub async fn idempotency_keys_are_forgotten(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut claim = shop.set();
    claim.key(key("once more"), None, None);
    shop.commit(&claim).await;
    let mut forget = shop.set();
    forget.forget(key("once more").key).forget(key("never seen").key);
    shop.commit(&forget).await;
    assert_eq!(record(&shop, "once more").await, None);
    let mut again = shop.set();
    again.key(key("once more"), None, Some(json!("again")));
    shop.commit(&again).await;
    assert_eq!(record(&shop, "once more").await.and_then(|record| record.output), Some(json!("again")));
}

/// A key is taken by whoever comes first, whatever the request; an answer for a key that isn't known has no effect.
pub async fn idempotency_keys_are_taken_once(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut first = shop.set();
    first.key(key("k"), None, Some(json!("first")));
    shop.commit(&first).await;
    let mut second = shop.set();
    second.key(Idempotency::new("conformance", "k", b"another request"), None, Some(json!("second")));
    assert_eq!(shop.outcome(&second).await, refused([Conflict::KeyTaken]));
    let kept = record(&shop, "k").await.expect("the key was claimed");
    assert_eq!((kept.output, kept.fingerprint), (Some(json!("first")), key("k").fingerprint));

    let mut answer = shop.set();
    answer.answer(key("forgotten").key, json!("late"));
    shop.commit(&answer).await;
    assert_eq!(record(&shop, "forgotten").await, None);
}

/// A purge forgets set ids and keys from before its time, and no younger ones.
pub async fn old_set_ids_and_keys_are_purged(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 100).await;
    let now = shop.now() + minutes(60 * 48);
    let write = |at, name: &str| {
        let mut set = shop.set_at(at);
        set.key(key(name), None, None).reserve(variant, 1);
        set
    };
    let (old, young) = (write(now - minutes(60 * 25), "old"), write(now - minutes(60 * 23), "young"));
    shop.commit(&old).await;
    shop.commit(&young).await;
    let mut purge = shop.set_at(now);
    purge.purge(now - minutes(60 * 24));
    shop.commit(&purge).await;
    assert_eq!(record(&shop, "old").await, None);
    assert!(record(&shop, "young").await.is_some());
    assert_eq!(shop.outcome(&young).await, Outcome::Before, "younger sets are still known");
    assert_eq!(shop.outcome(&purge).await, Outcome::Before);
    assert_eq!(shop.outcome(&old).await, Outcome::Now, "an old one is forgotten");
    assert_eq!(shop.stock(variant).await.reserved, 3);
}

/// A purge forgets what was counted of attempts in windows before its time.
pub async fn old_attempts_are_purged(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let now = shop.now() + minutes(60 * 48);
    let attempt = |n, since| Attempt { key: [n; 32], since, limit: 5 };
    let (old, young) = (attempt(1, now - minutes(60 * 25)), attempt(2, now - minutes(60 * 23)));
    let mut set = shop.set();
    set.count(old).count(young);
    shop.commit(&set).await;
    let mut purge = shop.set_at(now);
    purge.purge(now - minutes(60 * 24));
    shop.commit(&purge).await;
    let counted =
        async |attempt: Attempt| shop.reads().load_attempts(&attempt.key).await.expect("attempts can be read");
    assert_eq!(counted(old).await, None);
    assert!(counted(young).await.is_some());
}

/// A purge removes sessions that ended and tokens that were used before its time, and nothing that may still be needed.
pub async fn ended_sessions_and_used_tokens_are_purged(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let user = shop.save_user(shop.user("ada@example.com")).await;
    let start = shop.now();
    let end = start + minutes(60 * 48);
    let session = |ended_at| Session { ended_at, expires_at: end + minutes(60 * 24), ..shop.session(user.id) };
    let gone = shop.insert(session(Some(start))).await;
    let ended = shop.insert(session(Some(end))).await;
    let alive = shop.insert(session(None)).await;
    let mut tokens = Vec::new();
    for used_at in [Some(start), Some(end), None] {
        let mut token = shop.mail_token(user.id, MailTokenKind::ResetPassword);
        (token.used_at, token.expires_at) = (used_at, end + minutes(60 * 24));
        tokens.push(shop.insert(token).await);
    }
    let mut purge = shop.set_at(end + minutes(1));
    purge.purge(end - minutes(60 * 24));
    shop.commit(&purge).await;
    for (session, kept) in [(gone, false), (ended, true), (alive, true)] {
        let found = shop.reads().load_session(session.id).await.expect("a session can be read");
        same(&found.map(|(session, _)| session), &kept.then_some(session));
    }
    for (token, kept) in tokens.into_iter().zip([false, true, true]) {
        same(&shop.reads().load_mail_token(token.id).await.expect("a token can be read"), &kept.then_some(token));
    }
    same(&shop.reads().load_user(user.id).await.expect("a user can be read"), &Some(user));
}
