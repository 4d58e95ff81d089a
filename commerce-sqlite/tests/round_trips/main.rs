//! What was written reads back, field by field.

#[path = "../common/mod.rs"]
mod common;
mod orders;

use std::time::Duration;

use commerce_core::{
    account::{AccountQueries as _, Address, MailToken, MailTokenKind, Session, UserQuery},
    address::PostalAddress,
    alert::{Alert, AlertKind, AlertQuery},
    cart::CartQueries as _,
    catalog::{CatalogQueries as _, Category, CategoryTree, ProductKey, ProductStatus},
    clock::Timestamp,
    context::Idempotency,
    event::{DomainEvent, Task},
    id::CategoryId,
    inventory::{InventoryQueries as _, StockQuery},
    page::PageSpec,
    review::{Review, ReviewQueries as _, ReviewQuery, ReviewStatus},
    store::{Aggregate as _, Applied, Claim, MovementKind, OutboxQueries as _, RatingDelta, StockDelta, Store as _},
};
use common::{NOW, Shop};
use serde_json::json;

#[tokio::test]
async fn accounts() {
    let shop = Shop::new().await;
    let store = &shop.store;
    let mut user = shop.user("ada@example.org");
    let mut session = Session {
        id: shop.id(),
        user_id: user.id,
        refresh_hash: [9; 32],
        generation: 3,
        rotated_at: NOW,
        idle_expires_at: NOW,
        expires_at: NOW,
        ended_at: None,
        ip: Some("::1".into()),
        user_agent: None,
        created_at: NOW,
        version: 0,
    };
    let mut token = MailToken {
        id: shop.id(),
        user_id: user.id,
        kind: MailTokenKind::ResetPassword,
        hash: [1; 32],
        expires_at: NOW,
        used_at: None,
        created_at: NOW,
        email: Some("new@example.org".into()),
        former_email: Some("old@example.org".into()),
        version: 0,
    };
    let mut address = Address {
        id: shop.id(),
        user_id: user.id,
        address: PostalAddress { name: "A \"B\" \\ ü".into(), line2: Some("2nd".into()), ..PostalAddress::default() },
        created_at: NOW,
        version: 0,
    };
    let mut set = shop.set();
    set.hold(Claim::email(&user.email), user.id);
    set.insert(&mut user).insert(&mut session).insert(&mut token).insert(&mut address);
    assert_eq!(store.commit(&set).await.unwrap(), Applied::Now);
    assert_eq!(store.commit(&set).await.unwrap(), Applied::Before);

    assert_eq!(store.load_user(user.id).await.unwrap().as_ref(), Some(&user));
    assert_eq!(store.load_user_by_email("ada@example.org").await.unwrap().as_ref(), Some(&user));
    assert_eq!(store.load_user_by_email("eve@example.org").await.unwrap(), None);
    assert_eq!(store.load_session(session.id).await.unwrap(), Some((session.clone(), user.clone())));
    assert_eq!(store.list_sessions(user.id).await.unwrap(), [session.clone()]);
    assert_eq!(store.load_mail_token(token.id).await.unwrap(), Some(token));
    assert_eq!(store.load_address(address.id).await.unwrap().as_ref(), Some(&address));
    assert_eq!(store.list_addresses(user.id).await.unwrap(), [address]);

    let found = |q: &str| UserQuery { q: Some(q.into()), role: None };
    for (q, count) in [("LOVE", 1), ("ada@", 1), ("bob", 0), ("Ada Lovelace", 1)] {
        assert_eq!(store.list_users(&found(q), &PageSpec::first(10)).await.unwrap().items.len(), count, "{q}");
    }

    let before = session.clone();
    session.ended_at = Some(NOW);
    let mut set = shop.set();
    set.update(&before, &mut session);
    store.commit(&set).await.unwrap();
    assert_eq!(store.list_sessions(user.id).await.unwrap(), []);
    let mut set = shop.set();
    set.purge(NOW + Duration::from_secs(1));
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_session(session.id).await.unwrap(), None);
}

#[tokio::test]
async fn users_in_pages() {
    let shop = Shop::new().await;
    let mut all = Vec::new();
    for n in 0..7 {
        let mut user = shop.user(&format!("u{n}@example.org"));
        user.created_at = Timestamp::from_micros(n / 3);
        let mut set = shop.set();
        set.insert(&mut user);
        shop.store.commit(&set).await.unwrap();
        all.push(user);
    }
    all.sort_by_key(|user| std::cmp::Reverse((user.created_at, user.id)));
    let mut got = Vec::new();
    let mut spec = PageSpec { count: true, ..PageSpec::first(3) };
    loop {
        let page = shop.store.list_users(&UserQuery::default(), &spec).await.unwrap();
        assert_eq!(page.total, Some(7));
        got.extend(page.items);
        spec.after = page.next;
        if spec.after.is_none() {
            break;
        }
    }
    assert_eq!(got, all);
}

#[tokio::test]
async fn catalogue() {
    let shop = Shop::new().await;
    let store = &shop.store;
    let (top, sub): (CategoryId, CategoryId) = (shop.id(), shop.id());
    let node =
        |id, parent_id, slug: &str| Category { id, slug: slug.into(), name: slug.into(), parent_id, position: 0 };
    let empty = store.load_categories().await.unwrap();
    assert_eq!(empty, CategoryTree::default());
    let mut tree = CategoryTree { nodes: vec![node(top, None, "top"), node(sub, Some(top), "sub")], version: 0 };
    let mut set = shop.set();
    set.update(&empty, &mut tree);
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_categories().await.unwrap(), tree);

    let mut product = shop.product("Tête-à-tête Mug", &[1990, 2990]);
    product.category_ids = vec![sub, top];
    shop.stocked(&mut product, 5).await;
    assert_eq!(store.load_product(product.id).await.unwrap().as_ref(), Some(&product));
    assert_eq!(store.load_product_of(product.variants[1].id).await.unwrap().as_ref(), Some(&product));
    assert_eq!(store.count_products().await.unwrap(), [(top, 1), (sub, 1)].into());

    let before = product.clone();
    product.variants[0].retired = true;
    product.title = "Cup".into();
    let gone = product.variants.len();
    product.variants.push(shop.variant(2, 500));
    let mut set = shop.set();
    set.update(&before, &mut product).rate(product.id, RatingDelta { sum: 4, count: 1 });
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_product(product.id).await.unwrap().as_ref(), Some(&product));

    let view = store.view_product(&ProductKey::Slug(product.slug.clone())).await.unwrap().unwrap();
    assert_eq!(view.product.variants, product.variants[1..]);
    assert_eq!((view.available.as_slice(), view.rating_sum, view.rating_count), (&[5, 0][..], 4, 1));
    let offers = store.load_purchasable(&product.variants.iter().map(|v| v.id).collect::<Vec<_>>()).await.unwrap();
    assert_eq!(offers.len(), gone + 1);
    for offer in offers {
        assert!(product.variants.contains(&offer.variant));
        assert_eq!(offer.image.as_ref(), product.images.first());
        assert_eq!(offer.product_title, "Cup");
    }
    assert!(store.load_purchasable(&[]).await.unwrap().is_empty());

    let before = product.clone();
    product.status = ProductStatus::Deleted;
    let mut set = shop.set();
    set.update(&before, &mut product);
    store.commit(&set).await.unwrap();
    assert_eq!(store.count_products().await.unwrap(), [].into());
    let mut set = shop.set();
    set.remove(product.root(), product.version);
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_product(product.id).await.unwrap(), None);
}

#[tokio::test]
async fn stock_and_ledger() {
    let shop = Shop::new().await;
    let store = &shop.store;
    let mut product = shop.product("Mug", &[100]);
    shop.stocked(&mut product, 0).await;
    let variant = product.variants[0].id;
    let low = StockQuery { low_stock: true, q: None };
    assert!(store.load_unalerted(9).await.unwrap().is_empty(), "an empty new variant alerts nobody");
    assert_eq!(store.list_stock(&low, &PageSpec::first(9)).await.unwrap().items.len(), 1);

    let moved = |on_hand| StockDelta { on_hand, ..StockDelta::default() };
    for (on_hand, low, crossings) in [(5, false, 0), (-3, true, 1), (-1, true, 1), (4, false, 1), (-4, true, 2)] {
        let mut set = shop.set();
        set.move_stock(variant, moved(on_hand), Some((MovementKind::Adjustment, None, Some("counted".into()))));
        store.commit(&set).await.unwrap();
        let stock = store.load_stock(variant).await.unwrap().unwrap();
        assert_eq!((stock.is_low(), stock.crossings), (low, crossings), "{on_hand}");
    }
    let ledger = store.list_movements(variant, &PageSpec::first(2)).await.unwrap();
    assert_eq!(ledger.items[0].on_hand_after, 1);
    assert!(ledger.next.is_some());
    assert_eq!(store.load_unalerted(9).await.unwrap().len(), 1);

    let mut alert = Alert {
        id: shop.id(),
        kind: AlertKind::LowStock,
        variant_id: Some(variant),
        order_id: None,
        detail: "few".into(),
        raised_at: NOW,
        acknowledged_at: None,
        version: 0,
    };
    let mut set = shop.set();
    set.alerted(variant, 0, 2).insert(&mut alert);
    store.commit(&set).await.unwrap();
    assert!(store.load_unalerted(9).await.unwrap().is_empty());
    assert_eq!(store.load_alert(alert.id).await.unwrap().as_ref(), Some(&alert));
    let open = AlertQuery { acknowledged: Some(false) };
    assert_eq!(store.list_alerts(&open, &PageSpec::first(9)).await.unwrap().items, [alert]);

    let mut set = shop.set();
    set.threshold(variant, 0);
    store.commit(&set).await.unwrap();
    assert!(!store.load_stock(variant).await.unwrap().unwrap().is_low());
    let mut set = shop.set();
    set.threshold(variant, 7);
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_stock(variant).await.unwrap().unwrap().crossings, 3);
    assert_eq!(store.verify().await.unwrap(), []);

    for (q, count) in [("sku-", 1), ("MU", 1), ("ug", 1), ("ku", 0)] {
        let query = StockQuery { low_stock: false, q: Some(q.into()) };
        assert_eq!(store.list_stock(&query, &PageSpec::first(9)).await.unwrap().items.len(), count, "{q}");
    }
}

#[tokio::test]
async fn carts() {
    let shop = Shop::new().await;
    let store = &shop.store;
    let mut cart = shop.cart(shop.guest(), &[shop.id(), shop.id(), shop.id()]);
    let mut set = shop.set();
    set.hold(Claim::open_cart(&cart.owner), cart.id).insert(&mut cart);
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_open_cart(&cart.owner).await.unwrap().as_ref(), Some(&cart));
    let before = cart.clone();
    cart.lines.remove(0);
    cart.lines[0].quantity = 9;
    let mut set = shop.set();
    set.free(Claim::open_cart(&cart.owner), cart.id).update(&before, &mut cart);
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_open_cart(&cart.owner).await.unwrap(), None);
    assert_eq!(store.load_cart(cart.id).await.unwrap().as_ref(), Some(&cart));
    let mut set = shop.set();
    set.remove(cart.root(), cart.version);
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_cart(cart.id).await.unwrap(), None);
}

#[tokio::test]
async fn reviews() {
    let shop = Shop::new().await;
    let store = &shop.store;
    let mut product = shop.product("Mug", &[100]);
    shop.stocked(&mut product, 1).await;
    let mut review = Review {
        id: shop.id(),
        product_id: product.id,
        customer_id: shop.id(),
        rating: 4,
        title: "Good".into(),
        body: "Yes".into(),
        author: "Ada L.".into(),
        verified_purchase: true,
        status: ReviewStatus::Published,
        created_at: NOW,
        updated_at: NOW,
        version: 0,
    };
    let mut set = shop.set();
    set.hold(Claim::review(product.id, review.customer_id), review.id).insert(&mut review);
    store.commit(&set).await.unwrap();
    assert_eq!(store.load_review(review.id).await.unwrap().as_ref(), Some(&review));
    let drifts = store.verify().await.unwrap();
    assert_eq!(drifts.iter().map(|drift| drift.counter.as_str()).collect::<Vec<_>>(), ["rating.sum", "rating.count"]);
    let mut set = shop.set();
    set.rate(product.id, RatingDelta { sum: 4, count: 1 });
    store.commit(&set).await.unwrap();
    assert_eq!(store.verify().await.unwrap(), []);
    let query = ReviewQuery { product: Some(product.id), status: Some(ReviewStatus::Published), customer: None };
    assert_eq!(store.list_reviews(&query, &PageSpec::first(3)).await.unwrap().items, [review]);
}

#[tokio::test]
async fn keys_events_and_tasks() {
    let shop = Shop::new().await;
    let store = &shop.store;
    let user = shop.user("a@example.org");
    let key = Idempotency::new("scope", "key", b"request");
    let mut set = shop.set();
    set.key(key, Some(user.id.0), None);
    set.event(&shop.ids, user.root(), 1, DomainEvent::UserRegistered { user: user.id });
    set.event(&shop.ids, user.root(), 1, DomainEvent::EmailConfirmed { user: user.id });
    let task = |order| Task::SettlePayment { order, payment: shop.id() };
    let later = set.task(&shop.ids, NOW + Duration::from_secs(5), task(shop.id()));
    let first = set.task(&shop.ids, NOW, task(shop.id()));
    store.commit(&set).await.unwrap();

    assert_eq!(store.list_events(user.root()).await.unwrap(), set.events());
    assert_eq!(store.load_key(&key.key).await.unwrap().unwrap().output, None);
    let output = json!({"b": 1.50, "a": [null, 18_446_744_073_709_551_615_u64]});
    let mut answer = shop.set();
    answer.answer(key.key, output.clone());
    store.commit(&answer).await.unwrap();
    let record = store.load_key(&key.key).await.unwrap().unwrap();
    assert_eq!((record.output, record.subject, record.at), (Some(output), Some(user.id.0), NOW));

    assert_eq!(store.task_backlog().await.unwrap(), (2, Some(NOW)));
    let until = NOW + Duration::from_mins(1);
    let leased = store.lease("w1", NOW, until, 10).await.unwrap();
    assert_eq!(leased.iter().map(|task| (task.id, task.attempts)).collect::<Vec<_>>(), [(first, 1)]);
    assert!(store.lease("w2", NOW, until, 10).await.unwrap().is_empty());
    let leased = store.lease("w2", until, until + Duration::from_secs(9), 10).await.unwrap();
    assert_eq!(leased.iter().map(|task| (task.id, task.attempts)).collect::<Vec<_>>(), [(first, 2), (later, 1)]);
    let mut set = shop.set();
    set.done(first).failed(later, None, "no use");
    store.commit(&set).await.unwrap();
    assert_eq!(store.task_backlog().await.unwrap(), (0, None));
    let dead = store.list_dead_tasks(&PageSpec::first(3)).await.unwrap().items;
    assert_eq!((dead[0].id, dead[0].last_error.as_deref()), (later, Some("no use")));
    assert!(store.lease("w", until + Duration::from_secs(99), until, 10).await.unwrap().is_empty());
    store.ping().await.unwrap();
}
