//! Stock, its ledger, and low-stock alerts.

mod shop;

use std::future::IntoFuture as _;

use commerce_core::{
    alert::{Alert, AlertKind, AlertQuery},
    context::{AccessError, Actor, IdempotencyError, RequestContext, Role},
    error::CommonError,
    event::DomainEvent,
    id::{AlertId, IdGenerator, UuidV7, VariantId},
    inventory::{InventoryError, MAX_STOCK, StockCount, StockItem, StockQuery},
    page::PageRequest,
    store::{AggregateId, ChangeSet, MovementKind},
};
use shop::{Shop, broken, everything, once, open, someone};

impl Shop {
    async fn stocked(&self, title: &str, sku: &str, units: i64) -> VariantId {
        self.product(title, sku, 100, units).await.variants[0].id
    }

    async fn item(&self, variant: VariantId) -> StockItem {
        self.as_system().inventory().stock_item(variant).await.unwrap()
    }

    async fn skus(&self, query: StockQuery) -> Vec<String> {
        let page = self.as_system().inventory().stock(query, &everything()).await.unwrap();
        assert_eq!(page.total, Some(page.items.len() as u64));
        page.items.into_iter().map(|item| item.sku).collect()
    }

    /// As a pending order does.
    async fn reserve(&self, variant: VariantId, units: i64) {
        let mut set = ChangeSet::new(&UuidV7, self.store_time(), Actor::System.reference());
        set.reserve(variant, units);
        self.store().commit(&set).await.unwrap();
    }

    fn store_time(&self) -> commerce_core::clock::Timestamp {
        use commerce_core::clock::Clock;
        self.clock.now()
    }

    async fn alerts(&self, acknowledged: Option<bool>) -> Vec<Alert> {
        let query = AlertQuery { acknowledged };
        self.as_system().inventory().alerts(query, &everything()).await.unwrap().items
    }

    async fn adjusted(&self, variant: VariantId, delta: i64) {
        self.as_system().inventory().adjust(variant, delta, "test").await.unwrap();
    }
}

fn common(error: InventoryError) -> CommonError {
    match error {
        InventoryError::Common(error) => error,
        InventoryError::BelowReserved { reserved } => panic!("{reserved} are reserved"),
    }
}

#[tokio::test]
async fn stock_is_listed_by_sku_and_filtered() {
    let shop = open().await;
    shop.stocked("Glass mug", "B-2", 5).await;
    shop.stocked("Enamel mug", "A-1", 0).await;
    let gone = shop.product("Gone", "C-3", 100, 1).await;
    shop.as_system().catalog().delete(gone.id).await.unwrap();
    assert_eq!(shop.skus(StockQuery::default()).await, ["A-1", "B-2"]);
    assert_eq!(shop.skus(StockQuery { low_stock: true, q: None }).await, ["A-1"]);
    let q = |text: &str| StockQuery { low_stock: false, q: Some(text.to_owned()) };
    assert_eq!(shop.skus(q("b-")).await, ["B-2"]);
    assert_eq!(shop.skus(q("MUG")).await, ["A-1", "B-2"]);
    assert_eq!(shop.skus(q("  ")).await, ["A-1", "B-2"]);
    assert!(shop.skus(q("%")).await.is_empty());
    let nul = shop.as_system().inventory().stock(q("nothing\0"), &everything()).await.unwrap_err();
    assert!(matches!(common(nul), CommonError::Invalid(_)));

    let page = |cursor| PageRequest { limit: 1, cursor, count: false };
    let first = shop.as_system().inventory().stock(StockQuery::default(), &page(None)).await.unwrap();
    assert_eq!(first.items[0].sku, "A-1");
    let second = shop.as_system().inventory().stock(StockQuery::default(), &page(first.next_cursor.clone())).await;
    let second = second.unwrap();
    assert_eq!((second.items[0].sku.as_str(), second.next_cursor), ("B-2", None));
    let other = shop.as_system().inventory().stock(q("mug"), &page(first.next_cursor)).await.unwrap_err();
    assert!(matches!(common(other), CommonError::Cursor(_)));
}

#[tokio::test]
async fn counts_and_corrections_go_through_the_ledger() {
    let shop = open().await;
    let staff = someone(Role::Manager);
    let variant = shop.stocked("Mug", "MUG", 5).await;
    shop.later();
    let item = shop
        .acting_as(&staff)
        .inventory()
        .set_stock(variant, StockCount::new().on_hand(12).low_stock_threshold(4))
        .await
        .unwrap();
    assert_eq!((item.on_hand, item.low_stock_threshold, item.available()), (12, 4, 12));
    assert_eq!(item, shop.item(variant).await);
    shop.later();
    let done = shop.acting_as(&staff).inventory().adjust(variant, -2, " broken ").outcome().await.unwrap();
    assert_eq!((done.value.on_hand, done.replayed), (10, false));
    // Nothing to write: no ledger line.
    shop.acting_as(&staff)
        .inventory()
        .set_stock(variant, StockCount::new().on_hand(10).low_stock_threshold(4))
        .await
        .unwrap();
    shop.acting_as(&staff).inventory().set_stock(variant, StockCount::new()).await.unwrap();
    let item =
        shop.acting_as(&staff).inventory().set_stock(variant, StockCount::new().low_stock_threshold(0)).await.unwrap();
    assert_eq!((item.on_hand, item.low_stock_threshold), (10, 0));

    let ledger = shop.acting_as(&staff.actor).inventory().movements(variant, &everything()).await.unwrap().items;
    let lines: Vec<_> = ledger.iter().map(|l| (l.kind, l.delta, l.on_hand_after, l.reason.as_deref())).collect();
    let expected = [
        (MovementKind::Adjustment, -2, 10, Some("broken")),
        (MovementKind::Adjustment, 7, 12, Some("count")),
        (MovementKind::Initial, 5, 5, None),
    ];
    assert_eq!(lines, expected);
    assert_eq!(ledger[0].actor, staff.actor.reference());
    let events = shop.store().reads().list_events(AggregateId::StockAlert(variant)).await.unwrap();
    let deltas: Vec<_> = events.iter().map(|event| event.event.clone()).collect();
    assert_eq!(deltas, [7, -2].map(|delta| DomainEvent::StockAdjusted { variant, delta }));
    assert_eq!(shop.store().reads().verify().await.unwrap(), []);

    let page = PageRequest { limit: 2, cursor: None, count: true };
    let first = shop.acting_as(&staff.actor).inventory().movements(variant, &page).await.unwrap();
    assert_eq!((first.items.len(), first.total), (2, Some(3)));
    let rest = PageRequest { cursor: first.next_cursor, ..page };
    assert_eq!(shop.acting_as(&staff.actor).inventory().movements(variant, &rest).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn no_fewer_units_than_are_promised() {
    let shop = open().await;
    let system = RequestContext::system();
    let variant = shop.stocked("Mug", "MUG", 5).await;
    shop.reserve(variant, 3).await;
    let refused = |result: Result<StockItem, InventoryError>| {
        assert!(matches!(result, Err(InventoryError::BelowReserved { reserved: 3 })), "{result:?}");
    };
    refused(shop.acting_as(&system).inventory().set_stock(variant, StockCount::new().on_hand(2)).await);
    refused(shop.acting_as(&system).inventory().adjust(variant, -3, "lost").await);
    let item = shop.acting_as(&system).inventory().set_stock(variant, StockCount::new().on_hand(3)).await.unwrap();
    assert_eq!((item.on_hand, item.reserved, item.available()), (3, 3, 0));
}

#[tokio::test]
async fn broken_rules_are_named() {
    let shop = open().await;
    let system = RequestContext::system();
    let variant = shop.stocked("Mug", "MUG", 5).await;
    for (on_hand, threshold, field) in [
        (Some(-1), None, "/on_hand"),
        (Some(MAX_STOCK + 1), None, "/on_hand"),
        (None, Some(-1), "/low_stock_threshold"),
        (None, Some(i64::MAX), "/low_stock_threshold"),
    ] {
        let error = shop
            .acting_as(&system)
            .inventory()
            .set_stock(variant, StockCount::new().on_hand(on_hand).low_stock_threshold(threshold))
            .await
            .unwrap_err();
        assert_eq!(broken(&common(error)), [(field, "out_of_range")]);
    }
    for delta in [0, 1_000_001, i64::MIN] {
        let error = shop.acting_as(&system).inventory().adjust(variant, delta, "x").await.unwrap_err();
        assert_eq!(broken(&common(error)), [("/delta", "out_of_range")]);
    }
    let error = shop.acting_as(&system).inventory().adjust(variant, 1, " ").await.unwrap_err();
    assert_eq!(broken(&common(error)), [("/reason", "required")]);
    assert_eq!(shop.item(variant).await.on_hand, 5);

    let unknown = VariantId(UuidV7.uuid());
    let missing = [
        shop.as_system().inventory().stock_item(unknown).await.err(),
        shop.acting_as(&system).inventory().set_stock(unknown, StockCount::new().on_hand(-1)).await.err(),
        shop.acting_as(&system).inventory().adjust(unknown, 0, "").await.err(),
        shop.as_system().inventory().movements(unknown, &everything()).await.err(),
        shop.acting_as(&system).inventory().acknowledge(AlertId(UuidV7.uuid())).await.err(),
    ];
    for error in missing {
        assert!(matches!(common(error.unwrap()), CommonError::NotFound(_)));
    }
}

#[tokio::test]
async fn the_same_key_adjusts_once() {
    let shop = open().await;
    let variant = shop.stocked("Mug", "MUG", 5).await;
    let inventory = shop.as_system().inventory();
    let adjust = || inventory.adjust(variant, 2, "found").idempotent(once("adjust", "+2")).outcome();
    assert!(!adjust().await.unwrap().replayed);
    let again = adjust().await.unwrap();
    assert!(again.replayed);
    assert_eq!((again.value.on_hand, shop.item(variant).await.on_hand), (7, 7));
    let error = inventory.adjust(variant, 3, "found").idempotent(once("adjust", "+3")).await.unwrap_err();
    assert!(matches!(common(error), CommonError::Idempotency(IdempotencyError::Reused)));

    // A key in the caller's own words is compared with what the write was asked to do.
    let named = |units| inventory.adjust(variant, units, "found").idempotent("delivery 7");
    assert!(!named(1).outcome().await.unwrap().replayed);
    assert!(named(1).outcome().await.unwrap().replayed);
    assert!(matches!(common(named(2).await.unwrap_err()), CommonError::Idempotency(IdempotencyError::Reused)));
    let other = shop.acting_as(someone(Role::Admin)).inventory().adjust(variant, 2, "found");
    assert!(!other.idempotent("delivery 7").outcome().await.unwrap().replayed, "keys belong to their actor");
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_at_once_all_count_and_never_oversell() {
    let shop = open().await;
    let variant = shop.stocked("Mug", "MUG", 10).await;
    let losses: Vec<_> =
        (0..30).map(|_| tokio::spawn(shop.as_system().inventory().adjust(variant, -1, "lost").into_future())).collect();
    let (mut taken, mut refused) = (0, 0);
    for loss in losses {
        match loss.await.unwrap() {
            Ok(_) => taken += 1,
            Err(InventoryError::BelowReserved { reserved: 0 }) => refused += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((taken, refused, shop.item(variant).await.on_hand), (10, 20, 0));

    // A count among corrections: whatever the order, the ledger adds up.
    let mut writes = Vec::new();
    for n in 0..10 {
        let inventory = shop.as_system().inventory();
        let write = if n % 2 == 0 {
            inventory.set_stock(variant, StockCount::new().on_hand(100))
        } else {
            inventory.adjust(variant, 1, "found")
        };
        writes.push(tokio::spawn(write.into_future()));
    }
    for write in writes {
        write.await.unwrap().unwrap();
    }
    assert!((100..=105).contains(&shop.item(variant).await.on_hand));
    assert_eq!(shop.store().reads().verify().await.unwrap(), []);
}

#[tokio::test]
async fn low_stock_is_alerted_once_per_crossing_to_each_admin() {
    let shop = open().await;
    let boss = shop.user("boss@example.com", "Bo", "Ss", Role::Admin).await;
    shop.user("second@example.com", "Se", "Cond", Role::Admin).await;
    let locked = shop.user("locked@example.com", "Lo", "Cked", Role::Admin).await;
    shop.user("manager@example.com", "Ma", "Nager", Role::Manager).await;
    let patch = commerce_core::account::UserPatch::new().disabled(true);
    shop.acting_as(&boss).accounts().update_user(locked.actor.user().unwrap(), patch).await.unwrap();
    let variant = shop.stocked("Mug", "MUG", 10).await;
    shop.as_system().inventory().set_stock(variant, StockCount::new().low_stock_threshold(3)).await.unwrap();
    shop.worker().tick().await.unwrap();
    assert!(shop.alerts(None).await.is_empty());

    shop.adjusted(variant, -7).await;
    shop.adjusted(variant, -1).await;
    for _ in 0..3 {
        shop.worker().tick().await.unwrap();
    }
    let alerts = shop.alerts(None).await;
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].kind, alerts[0].variant_id), (AlertKind::LowStock, Some(variant)));
    assert!(alerts[0].detail.contains("MUG") && alerts[0].detail.contains("2 left"), "{}", alerts[0].detail);
    let sent = |to: &str| shop.mailer.sent_to(to).len();
    let count = |who: [&str; 4]| who.map(sent);
    let everybody = ["boss@example.com", "second@example.com", "locked@example.com", "manager@example.com"];
    let before = [1, 1, 0, 0];
    assert_eq!(count(everybody), before);
    let events = shop.store().reads().list_events(AggregateId::Alert(alerts[0].id)).await.unwrap();
    assert_eq!(events[0].event, DomainEvent::AlertRaised { alert: alerts[0].id });

    // Recovery arms it again.
    shop.later();
    shop.adjusted(variant, 10).await;
    shop.worker().tick().await.unwrap();
    assert_eq!(shop.alerts(None).await.len(), 1);
    shop.adjusted(variant, -10).await;
    shop.worker().tick().await.unwrap();
    assert_eq!(shop.alerts(None).await.len(), 2);
    assert_eq!(count(everybody), [2, 2, 0, 0]);

    // Low and recovered before the worker looks: nothing to say.
    shop.adjusted(variant, 10).await;
    shop.adjusted(variant, -10).await;
    shop.adjusted(variant, 10).await;
    shop.worker().tick().await.unwrap();
    assert_eq!(shop.alerts(None).await.len(), 2);
    let item = shop.item(variant).await;
    assert_eq!((item.crossings, item.alerted), (3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_side_by_side_alert_once() {
    let shop = open().await;
    for n in 0..5 {
        let variant = shop.stocked(&format!("Mug {n}"), &format!("MUG-{n}"), 5).await;
        shop.adjusted(variant, -5).await;
    }
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let worker = shop.worker();
            tokio::spawn(async move { worker.tick().await })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap().unwrap();
    }
    assert_eq!(shop.alerts(None).await.len(), 5);
}

#[tokio::test]
async fn alerts_are_acknowledged_once() {
    let shop = open().await;
    let variant = shop.stocked("Mug", "MUG", 5).await;
    shop.adjusted(variant, -5).await;
    shop.worker().tick().await.unwrap();
    let alert = shop.alerts(Some(false)).await.remove(0);
    let support = someone(Role::Support);
    let noted = shop.acting_as(&support).inventory().acknowledge(alert.id).await.unwrap();
    assert!(noted.acknowledged_at.is_some());
    shop.later();
    assert_eq!(shop.acting_as(&support).inventory().acknowledge(alert.id).await.unwrap(), noted);
    assert!(shop.alerts(Some(false)).await.is_empty());
    assert_eq!(shop.alerts(Some(true)).await, [noted]);
}

#[tokio::test]
async fn only_those_who_may_see_and_change_stock_do() {
    let shop = open().await;
    let variant = shop.stocked("Mug", "MUG", 5).await;
    let bad = PageRequest { cursor: Some("nonsense".into()), ..PageRequest::default() };
    for call in [RequestContext::guest(), someone(Role::Customer), someone(Role::Support)] {
        let inventory = shop.acting_as(&call).inventory();
        let unknown = AlertId(UuidV7.uuid());
        let mut refusals = vec![
            inventory.stock(StockQuery::default(), &bad).await.err(),
            inventory.stock_item(variant).await.err(),
            inventory.set_stock(variant, StockCount::new().on_hand(-1)).await.err(),
            inventory.adjust(variant, 0, "").await.err(),
            inventory.movements(variant, &bad).await.err(),
            inventory.set_stock(variant, StockCount::new().on_hand(1)).prepare().await.err(),
            inventory.adjust(variant, 1, "x").prepare().await.err(),
        ];
        // Support may see to alerts.
        if !call.actor.may(commerce_core::context::Permission::ViewAlerts) {
            refusals.push(inventory.alerts(AlertQuery::default(), &bad).await.err());
            refusals.push(inventory.acknowledge(unknown).await.err());
            refusals.push(inventory.acknowledge(unknown).prepare().await.err());
        }
        for refusal in refusals {
            let CommonError::Access(access) = common(refusal.expect("a refusal")) else { panic!("not about rights") };
            assert!(call.actor.user().is_none() == (access == AccessError::Unauthenticated), "{access:?}");
        }
    }
    assert_eq!(shop.item(variant).await.on_hand, 5);
}
