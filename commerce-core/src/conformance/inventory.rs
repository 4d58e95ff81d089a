//! Stock, its ledger, low-stock crossings and alerts.

use super::{
    StoreFixture,
    shop::{ODD, Outcome, Shop, THRESHOLD, minutes, refused, same},
};
use crate::{
    alert::{Alert, AlertKind, AlertQuery},
    catalog::{Product, ProductStatus},
    clock::Timestamp,
    context::ActorRef,
    id::VariantId,
    inventory::{MovementRecord, StockItem, StockQuery},
    page::PageSpec,
    store::{AggregateId, ChangeSet, Conflict, MovementKind, StockDelta},
};

async fn movements(shop: &Shop, variant: VariantId) -> Vec<MovementRecord> {
    let spec = PageSpec { count: true, ..PageSpec::first(100) };
    let listed = shop.reads().list_movements(variant, &spec).await.expect("movements can be listed");
    assert_eq!(listed.total, Some(listed.items.len() as u64));
    listed.items
}

async fn stock_of(shop: &Shop, query: &StockQuery) -> Vec<String> {
    let spec = PageSpec { count: true, ..PageSpec::first(100) };
    let listed = shop.reads().list_stock(query, &spec).await.expect("stock can be listed");
    assert_eq!(listed.total, Some(listed.items.len() as u64), "the total counts what the filter lets through");
    listed.items.into_iter().map(|item| item.sku).collect()
}

async fn unalerted(shop: &Shop, limit: u32) -> Vec<VariantId> {
    let items = shop.reads().load_unalerted(limit).await.expect("stock can be read");
    items.into_iter().map(|item| item.variant_id).collect()
}

async fn crossings(shop: &Shop, variant: VariantId) -> (bool, i64) {
    let stock = shop.stock(variant).await;
    (stock.is_low(), stock.crossings)
}

/// Stock opens with its first count and carries the names of its product and variant as they are now.
pub async fn stock_opens_with_its_variant(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut product = shop.product("mug", &[100, 200]);
    product.variants[1].title = ODD.to_owned();
    let product = shop.save_product(product, &[0, 12]).await;
    let item = |n: usize, on_hand| StockItem {
        variant_id: product.variants[n].id,
        product_id: product.id,
        sku: product.variants[n].sku.clone(),
        product_title: product.title.clone(),
        variant_title: product.variants[n].title.clone(),
        on_hand,
        reserved: 0,
        low_stock_threshold: THRESHOLD,
        crossings: 0,
        alerted: 0,
    };
    assert_eq!(shop.stock(product.variants[0].id).await, item(0, 0));
    assert_eq!(shop.stock(product.variants[1].id).await, item(1, 12));
    let kinds = |records: Vec<MovementRecord>| {
        records.into_iter().map(|record| (record.kind, record.on_hand_after)).collect::<Vec<_>>()
    };
    assert_eq!(kinds(movements(&shop, product.variants[0].id).await), []);
    assert_eq!(kinds(movements(&shop, product.variants[1].id).await), [(MovementKind::Initial, 12)]);
    shop.update(&product, |product| (product.title, product.variants[0].sku) = ("Cup".to_owned(), "CUP".to_owned()))
        .await;
    let renamed = shop.stock(product.variants[0].id).await;
    assert_eq!((renamed.product_title.as_str(), renamed.sku.as_str()), ("Cup", "CUP"));
    assert_eq!(shop.reads().load_stock(shop.id()).await.expect("stock can be read"), None);
}

/// Deltas add up: several of one variant within a set, several variants, several sets.
pub async fn stock_deltas_add_up(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let product = shop.save_product(shop.product("mug", &[100, 200]), &[10, 20]).await;
    let [a, b] = [product.variants[0].id, product.variants[1].id];
    let mut set = shop.set();
    set.reserve(a, 2).reserve(b, 1).reserve(a, 3);
    shop.commit(&set).await;
    let mut set = shop.set();
    let sale = |units: i64| StockDelta { on_hand: -units, reserved: -units, expect_on_hand: None };
    set.move_stock(a, sale(1), Some((MovementKind::Sale, None, None)))
        .move_stock(a, sale(2), Some((MovementKind::Sale, None, None)))
        .move_stock(
            b,
            StockDelta { on_hand: 5, ..StockDelta::default() },
            Some((MovementKind::Adjustment, None, None)),
        );
    shop.commit(&set).await;
    let (a, b) = (shop.stock(a).await, shop.stock(b).await);
    assert_eq!((a.on_hand, a.reserved, a.available()), (7, 2, 5));
    assert_eq!((b.on_hand, b.reserved, b.available()), (25, 1, 24));
    assert_eq!(movements(&shop, a.variant_id).await[0].delta, -3, "one ledger line a variant and set");
}

/// The ledger shows newest first what moved, why, who did it and what was on hand afterwards; reservations aren't in it.
pub async fn the_ledger_keeps_every_movement(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 10).await;
    let (_, other) = shop.stocked("cup", 1).await;
    let (ada, order) = (shop.id(), shop.id());
    let mut expected = Vec::new();
    let mut on_hand = 10;
    for (kind, delta, order_id, actor, reason) in [
        (MovementKind::Adjustment, 5, None, ActorRef::User(ada), Some(ODD.to_owned())),
        (MovementKind::Sale, -3, Some(order), ActorRef::System, None),
        (MovementKind::Cancellation, 2, Some(order), ActorRef::Guest, None),
        (MovementKind::Return, 1, Some(order), ActorRef::User(ada), Some(String::new())),
    ] {
        let at = shop.now();
        let mut set = ChangeSet::new(&shop.ids, at, actor);
        let moved = StockDelta { on_hand: delta, ..StockDelta::default() };
        set.move_stock(variant, moved, Some((kind, order_id, reason.clone())));
        shop.commit(&set).await;
        on_hand += delta;
        expected.insert(
            0,
            MovementRecord { variant_id: variant, at, kind, delta, on_hand_after: on_hand, order_id, actor, reason },
        );
    }
    assert_eq!(shop.move_stock(variant, 0, 4).await, Outcome::Now);
    let ledger = movements(&shop, variant).await;
    assert_eq!(ledger[..4], expected);
    assert_eq!((ledger.len(), ledger[4].kind), (5, MovementKind::Initial));
    assert_eq!(movements(&shop, other).await.len(), 1);
}

/// A variant that opens at zero is low but hasn't become low: nothing is alerted until it was well stocked once.
pub async fn a_new_variant_is_not_alerted(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let product = shop.save_product(shop.product("mug", &[100, 100, 100]), &[0, THRESHOLD, THRESHOLD + 1]).await;
    let mut seen = Vec::new();
    for variant in &product.variants {
        seen.push(crossings(&shop, variant.id).await);
    }
    assert_eq!(seen, [(true, 0), (true, 0), (false, 0)]);
    assert_eq!(unalerted(&shop, 10).await, []);
}

/// Each way from well stocked to low is one crossing, however far below; recovery arms it again. Reservations count.
pub async fn crossings_count_the_ways_down(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 0).await;
    for (on_hand, reserved, expected) in [
        (10, 0, (false, 0)),
        (-7, 0, (false, 0)),
        (0, 1, (true, 1)),
        (0, 1, (true, 1)),
        (-1, -1, (true, 1)),
        (0, -1, (true, 1)),
        (1, 0, (false, 1)),
        (-1, 0, (true, 2)),
        (-2, 0, (true, 2)),
        (100, 100, (true, 2)),
        (0, -97, (false, 2)),
        (-97, 0, (true, 2 + 1)),
    ] {
        assert_eq!(shop.move_stock(variant, on_hand, reserved).await, Outcome::Now);
        let stock = shop.stock(variant).await;
        assert_eq!(
            (stock.is_low(), stock.crossings),
            expected,
            "after {on_hand:+} on hand, {reserved:+} reserved: {stock:?}"
        );
    }
}

/// A new threshold decides at once what is low; raising it above what is available is a crossing.
pub async fn thresholds_decide_what_is_low(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (_, variant) = shop.stocked("mug", 5).await;
    let set_to = async |threshold| {
        let mut set = shop.set();
        set.threshold(variant, threshold);
        shop.commit(&set).await;
        let stock = shop.stock(variant).await;
        let low = stock_of(&shop, &StockQuery { low_stock: true, q: None }).await;
        assert_eq!(stock.low_stock_threshold, threshold);
        assert_eq!(low.len(), usize::from(stock.is_low()), "the filter agrees");
        (stock.is_low(), stock.crossings)
    };
    assert_eq!(set_to(4).await, (false, 0));
    assert_eq!(set_to(5).await, (true, 1));
    assert_eq!(set_to(50).await, (true, 1));
    assert_eq!(set_to(0).await, (false, 1));
    assert_eq!(shop.move_stock(variant, -5, 0).await, Outcome::Now);
    assert_eq!(crossings(&shop, variant).await, (true, 2), "stock crosses the new threshold");
}

/// A crossing is alerted once: the note is guarded by the crossing that was alerted last.
pub async fn crossings_are_alerted_once(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let mut low = Vec::new();
    for slug in ["a", "b", "c"] {
        let (_, variant) = shop.stocked(slug, 10).await;
        assert_eq!(shop.move_stock(variant, -9, 0).await, Outcome::Now);
        low.push(variant);
    }
    assert_eq!(unalerted(&shop, 2).await.len(), 2, "no more than were asked for");
    let mut all = unalerted(&shop, 10).await;
    all.sort();
    assert_eq!(all, low);
    let note = |from, to| {
        let mut set = shop.set();
        set.alerted(low[0], from, to);
        set.insert(&mut shop.alert(AlertKind::LowStock));
        set
    };
    shop.commit(&note(0, 1)).await;
    let stale = refused([Conflict::Stale(AggregateId::StockAlert(low[0]))]);
    assert_eq!(shop.outcome(&note(0, 1)).await, stale, "somebody else has alerted it");
    assert!(!unalerted(&shop, 10).await.contains(&low[0]));
    assert_eq!(shop.move_stock(low[0], 9, 0).await, Outcome::Now);
    assert!(!unalerted(&shop, 10).await.contains(&low[0]), "recovery alone is nothing to alert");
    assert_eq!(shop.move_stock(low[0], -9, 0).await, Outcome::Now);
    assert!(unalerted(&shop, 10).await.contains(&low[0]), "the next crossing is");
    assert_eq!(shop.outcome(&note(0, 2)).await, stale);
    shop.commit(&note(1, 2)).await;
    let stock = shop.stock(low[0]).await;
    assert_eq!((stock.crossings, stock.alerted), (2, 2));
    assert!(!unalerted(&shop, 10).await.contains(&low[0]));
}

/// Stock is listed by SKU, byte by byte, without retired variants and deleted products; `q` is the beginning of the SKU or
/// part of the title, in any case.
pub async fn stock_is_filtered(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let rows = [
        ("b", "B-1", "Blue mug", 9),
        ("a", "a-1", "Plate 100%", 1),
        ("c", "C_1", "Cup", 0),
        ("d", "B-2", "Émaille", 3),
    ];
    for (slug, sku, title, units) in rows {
        let mut product = Product { title: title.to_owned(), ..shop.product(slug, &[100]) };
        product.variants[0].sku = sku.to_owned();
        shop.save_product(product, &[units]).await;
    }
    let mut retired = shop.product("retired", &[100]);
    retired.variants[0].retired = true;
    shop.save_product(retired, &[0]).await;
    shop.save_product(Product { status: ProductStatus::Deleted, ..shop.product("deleted", &[100]) }, &[0]).await;
    for status in [ProductStatus::Draft, ProductStatus::Archived] {
        let product = Product { status, ..shop.product(&format!("z{}", status.as_str()), &[100]) };
        shop.save_product(product, &[8]).await;
    }
    assert_eq!(stock_of(&shop, &StockQuery::default()).await, ["B-1", "B-2", "C_1", "ZARCHIVED-0", "ZDRAFT-0", "a-1"]);
    for (q, found) in [
        ("b-", vec!["B-1", "B-2"]),
        ("A-", vec!["a-1"]),
        ("-1", vec![]),
        ("MUG", vec!["B-1"]),
        ("ue m", vec!["B-1"]),
        ("0%", vec!["a-1"]),
        ("_", vec![]),
        ("c_", vec!["C_1"]),
        ("émail", vec!["B-2"]),
        ("ÉMAIL", vec!["B-2"]),
    ] {
        assert_eq!(stock_of(&shop, &StockQuery { low_stock: false, q: Some(q.to_owned()) }).await, found, "q = {q}");
    }
    assert_eq!(stock_of(&shop, &StockQuery { low_stock: true, q: None }).await, ["C_1", "a-1"]);
    assert_eq!(stock_of(&shop, &StockQuery { low_stock: true, q: Some("plate".to_owned()) }).await, ["a-1"]);
}

/// Alerts load as they were committed, are acknowledged, and are listed newest first.
pub async fn alerts_load_as_committed(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let list = async |acknowledged| {
        let spec = PageSpec { count: true, ..PageSpec::first(100) };
        let listed = shop.reads().list_alerts(&AlertQuery { acknowledged }, &spec).await.expect("alerts can be listed");
        assert_eq!(listed.total, Some(listed.items.len() as u64));
        listed.items
    };
    let mut all = Vec::new();
    for kind in [
        AlertKind::LowStock,
        AlertKind::PaymentMismatch,
        AlertKind::LatePayment,
        AlertKind::PaymentDisputed,
        AlertKind::RefundFailed,
    ] {
        let full = shop.insert(Alert { acknowledged_at: Some(shop.now()), ..shop.alert(kind) }).await;
        let bare = Alert {
            variant_id: None,
            order_id: None,
            detail: String::new(),
            raised_at: full.raised_at,
            ..shop.alert(kind)
        };
        let bare = shop.insert(bare).await;
        for alert in [full, bare] {
            same(&shop.reads().load_alert(alert.id).await.expect("an alert can be read"), &Some(alert.clone()));
            all.insert(0, alert);
        }
    }
    let past = Alert { raised_at: Timestamp::from_micros(0) + minutes(1), ..shop.alert(AlertKind::LowStock) };
    all.push(shop.insert(past).await);
    same(&list(None).await, &all);
    let of = |acknowledged: bool| {
        all.iter().filter(|alert| alert.acknowledged_at.is_some() == acknowledged).cloned().collect()
    };
    same(&list(Some(true)).await, &of(true));
    same(&list(Some(false)).await, &of(false));
    let at = shop.now();
    let noted = shop.update(&all[10], |alert| alert.acknowledged_at = Some(at)).await;
    same(&list(Some(true)).await.last().cloned(), &Some(noted));
    assert_eq!(list(Some(false)).await.len(), 5);
}
