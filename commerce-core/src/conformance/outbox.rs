//! Events, tasks and the check of the ledgers.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::join_all;

use super::{
    StoreFixture,
    sample::{confirm, guest},
    shop::{ODD, Outcome, Shop, eur, minutes},
};
use crate::{
    clock::Timestamp,
    context::ActorRef,
    event::{DomainEvent, EventRecord, LeasedTask, Notice, Task},
    id::{EventId, IdGenerator, TaskId, UserId, VariantId},
    order::Order,
    page::PageSpec,
    review::{Review, ReviewStatus},
    store::{AggregateId, ChangeSet, Drift, MovementKind, RatingDelta, StockDelta},
};

async fn events(shop: &Shop, root: AggregateId) -> Vec<EventRecord> {
    shop.reads().list_events(root).await.expect("events can be listed")
}

async fn lease(shop: &Shop, now: Timestamp, until: Timestamp, limit: u32) -> Vec<LeasedTask> {
    shop.store.lease("worker", now, until, limit).await.expect("tasks can be leased")
}

async fn dead(shop: &Shop) -> Vec<LeasedTask> {
    shop.reads().list_dead_tasks(&PageSpec::first(100)).await.expect("dead tasks can be listed").items
}

async fn backlog(shop: &Shop) -> (u64, Option<Timestamp>) {
    shop.reads().task_backlog().await.expect("the backlog can be read")
}

fn notice(user: UserId) -> Task {
    Task::Send { message: Notice::PasswordChanged { user } }
}

async fn add(shop: &Shop, due: Timestamp) -> TaskId {
    let mut set = shop.set();
    let id = set.task(&shop.ids, due, notice(shop.id()));
    shop.commit(&set).await;
    id
}

async fn fail(shop: &Shop, id: TaskId, due: Option<Timestamp>, error: &str) {
    let mut set = shop.set();
    set.failed(id, due, error);
    shop.commit(&set).await;
}

fn ids(tasks: &[LeasedTask]) -> Vec<TaskId> {
    tasks.iter().map(|task| task.id).collect()
}

/// An aggregate's events are listed by version and n, with every field as it was written.
pub async fn events_are_listed_in_order(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (product, variant) = shop.stocked("mug", 5).await;
    let order = shop.order(ODD, &product, 1);
    let root = AggregateId::Order(order.id);
    let mut expected = Vec::new();
    let steps = [
        (
            2,
            ActorRef::User(shop.id()),
            vec![
                DomainEvent::PaymentFailed { order: order.id, payment: order.payments[0].id, reason: ODD.to_owned() },
                DomainEvent::OrderCancelled { order: order.id, reason: String::new() },
            ],
        ),
        (
            1,
            ActorRef::Guest,
            vec![DomainEvent::OrderPlaced { order: order.id, number: ODD.to_owned(), total: eur(i64::MAX) }],
        ),
        (10, ActorRef::System, vec![DomainEvent::OrderCompleted { order: order.id }]),
    ];
    for (version, by, happened) in steps {
        let at = shop.now();
        let mut set = ChangeSet::new(&shop.ids, at, by);
        for event in happened {
            set.event(&shop.ids, root, version, event);
            set.event(
                &shop.ids,
                AggregateId::Product(product.id),
                version,
                DomainEvent::StockAdjusted { variant, delta: -1 },
            );
        }
        expected.extend(set.events().iter().filter(|event| event.root == root).cloned());
        shop.commit(&set).await;
    }
    expected.sort_by_key(|event| (event.version, event.n));
    assert_eq!(events(&shop, root).await, expected);
    assert_eq!(events(&shop, AggregateId::Product(product.id)).await.len(), 4);
    assert!(events(&shop, AggregateId::Order(shop.id())).await.is_empty());
    assert!(
        events(&shop, AggregateId::Product(product.id))
            .await
            .iter()
            .all(|event| event.root == AggregateId::Product(product.id))
    );
}

/// An event of each kind of aggregate is found under its root.
pub async fn events_of_every_root_are_kept(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let roots = [
        AggregateId::User(shop.id()),
        AggregateId::Address(shop.id()),
        AggregateId::Session(shop.id()),
        AggregateId::MailToken(shop.id()),
        AggregateId::Product(shop.id()),
        AggregateId::Categories,
        AggregateId::Cart(shop.id()),
        AggregateId::Order(shop.id()),
        AggregateId::Review(shop.id()),
        AggregateId::Alert(shop.id()),
        AggregateId::StockAlert(shop.id()),
    ];
    let mut set = shop.set();
    for root in roots {
        set.event(&shop.ids, root, 1, DomainEvent::CategoriesChanged);
    }
    shop.commit(&set).await;
    for (root, event) in roots.into_iter().zip(set.events()) {
        assert_eq!(events(&shop, root).await, std::slice::from_ref(event));
    }
}

/// Tasks of every kind come back as they were written.
pub async fn tasks_come_back_as_written(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let due = shop.now();
    let event = EventRecord {
        id: EventId(shop.ids.uuid()),
        at: due,
        by: ActorRef::User(shop.id()),
        root: AggregateId::Order(shop.id()),
        version: 3,
        n: 1,
        event: DomainEvent::OrderPlaced { order: shop.id(), number: ODD.to_owned(), total: eur(-1) },
    };
    let tasks = [
        Task::SettlePayment { order: shop.id(), payment: shop.id() },
        Task::ExpireReservation { order: shop.id(), payment: shop.id() },
        Task::VoidPayment { order: shop.id(), payment: shop.id() },
        Task::SettleRefund { order: shop.id(), refund: shop.id() },
        Task::CancelOrder { order: shop.id(), reason: "too late".to_owned() },
        Task::CapturePayment { order: shop.id(), payment: shop.id(), amount: eur(500) },
        Task::ResolvePayment { payment: shop.id(), give_up: true },
        Task::MergeCart { from: shop.id(), owner: guest(1) },
        Task::JoinOrders { user: shop.id() },
        Task::Send { message: Notice::ChangeEmail { user: shop.id(), token: shop.id() } },
        Task::Send { message: Notice::ResetPassword { user: shop.id(), token: shop.id() } },
        Task::Publish { event: Box::new(event) },
    ];
    let mut set = shop.set();
    let mut expected = Vec::new();
    for (task, n) in tasks.into_iter().zip(0..) {
        let due = due + minutes(n);
        let id = set.task(&shop.ids, due, task.clone());
        expected.push(LeasedTask { id, due, attempts: 1, task, last_error: None });
    }
    shop.commit(&set).await;
    assert_eq!(lease(&shop, due + minutes(60), due + minutes(90), 100).await, expected);
}

/// Tasks are leased when they are due and not a microsecond before, the oldest first, no more than asked for.
pub async fn tasks_are_leased_when_due(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let now = shop.now() + minutes(60);
    let tick = std::time::Duration::from_micros(1);
    let late = add(&shop, now + tick).await;
    let exact = add(&shop, now).await;
    let old = add(&shop, now - minutes(10)).await;
    let older = add(&shop, now - minutes(20)).await;
    let until = now + minutes(5);
    assert_eq!(backlog(&shop).await, (4, Some(now - minutes(20))));
    assert_eq!(ids(&lease(&shop, now, until, 2).await), [older, old]);
    assert_eq!(ids(&lease(&shop, now, until, 2).await), [exact]);
    assert_eq!(ids(&lease(&shop, now, until, 2).await), []);
    assert_eq!(ids(&lease(&shop, now + tick, until, 2).await), [late]);
}

/// A lease that ran out goes to the next worker, who sees another attempt; a task that is done is gone.
pub async fn leases_run_out(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let now = shop.now() + minutes(60);
    let id = add(&shop, now).await;
    assert_eq!(lease(&shop, now, now + minutes(5), 10).await[0].attempts, 1);
    assert!(lease(&shop, now + minutes(4), now + minutes(9), 10).await.is_empty(), "it is leased");
    let again =
        shop.store.lease("another", now + minutes(6), now + minutes(11), 10).await.expect("tasks can be leased");
    assert_eq!((again.len(), again[0].id, again[0].attempts, again[0].due), (1, id, 2, now));
    let mut set = shop.set();
    set.done(id);
    shop.commit(&set).await;
    assert!(lease(&shop, now + minutes(60), now + minutes(90), 10).await.is_empty(), "it is done");
    assert_eq!(backlog(&shop).await, (0, None));
    let mut set = shop.set();
    set.done(id);
    shop.commit(&set).await;
}

/// A failed task comes again when it was put off to, and not before, although its lease ran longer.
pub async fn failed_tasks_come_again(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let now = shop.now() + minutes(60);
    let id = add(&shop, now).await;
    lease(&shop, now, now + minutes(500), 10).await;
    let due = now + minutes(30);
    fail(&shop, id, Some(due), ODD).await;
    assert_eq!(backlog(&shop).await, (1, Some(due)));
    assert!(lease(&shop, now + minutes(29), now + minutes(60), 10).await.is_empty(), "it was put off");
    let again = lease(&shop, due, due + minutes(5), 10).await;
    assert_eq!(again.len(), 1);
    assert_eq!((again[0].id, again[0].due, again[0].attempts), (id, due, 2));
    assert_eq!(again[0].last_error.as_deref(), Some(ODD));
    assert!(dead(&shop).await.is_empty());
}

/// A task that was given up is kept for staff to look at and never leased again.
pub async fn dead_tasks_are_kept(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let now = shop.now() + minutes(60);
    let first = add(&shop, now).await;
    let second = add(&shop, now + minutes(1)).await;
    let alive = add(&shop, now + minutes(2)).await;
    lease(&shop, now + minutes(2), now + minutes(5), 10).await;
    fail(&shop, first, None, "first").await;
    fail(&shop, second, None, "second").await;
    let buried = dead(&shop).await;
    assert_eq!(ids(&buried), [second, first], "newest first");
    assert_eq!((buried[1].last_error.as_deref(), buried[1].attempts), (Some("first"), 1));
    assert_eq!(ids(&lease(&shop, now + minutes(600), now + minutes(700), 10).await), [alive]);
    assert_eq!(backlog(&shop).await.0, 1, "the dead don't wait");
    let mut set = shop.set();
    set.done(first);
    shop.commit(&set).await;
    assert_eq!(ids(&dead(&shop).await), [second], "staff can clear it away");
}

/// However many workers ask at once, each task has exactly one holder.
pub async fn a_task_has_one_holder(fixture: &dyn StoreFixture) {
    const TASKS: usize = 120;
    let shop = Shop::new(fixture.store());
    let now = shop.now() + minutes(60);
    let mut set = shop.set();
    for n in 0..TASKS as u64 {
        set.task(&shop.ids, now - minutes(n % 7), notice(shop.id()));
    }
    shop.commit(&set).await;
    let workers = (0..8).map(|worker| {
        let store = Arc::clone(&shop.store);
        tokio::spawn(async move {
            let mut held = Vec::new();
            loop {
                let name = format!("worker-{worker}");
                let leased = store.lease(&name, now, now + minutes(5), 9).await.expect("tasks can be leased");
                assert!(leased.len() <= 9, "no more than asked for");
                if leased.is_empty() {
                    return held;
                }
                held.extend(leased.into_iter().map(|task| task.id));
            }
        })
    });
    let held: Vec<TaskId> = join_all(workers).await.into_iter().flat_map(|held| held.expect("a worker ends")).collect();
    let distinct: BTreeSet<_> = held.iter().collect();
    // A worker may come away empty-handed while others hold the rows, so some tasks may be left; none is held twice.
    assert_eq!(distinct.len(), held.len(), "a task was held twice");
    let rest = lease(&shop, now, now + minutes(5), 200).await;
    assert!(rest.iter().all(|task| !distinct.contains(&task.id)), "a held task was leased again");
    assert_eq!(held.len() + rest.len(), TASKS, "a task was never leased");
}

/// A shop that only moves what it should has nothing to report.
pub async fn a_good_shop_has_no_drift(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let drift = async || shop.reads().verify().await.expect("the ledgers can be read");
    assert_eq!(drift().await, []);
    let (product, variant) = shop.stocked("mug", 10).await;
    let mut orders = Vec::new();
    for n in 0..3 {
        let mut order = shop.order(&format!("O-{n}"), &product, n + 1);
        let mut set = shop.set();
        set.insert(&mut order).reserve(variant, i64::from(n + 1));
        shop.commit(&set).await;
        orders.push(order);
    }
    assert_eq!(drift().await, [], "with pending orders");
    sell(&shop, &orders[0], variant).await;
    let mut cancelled = Order { status: crate::order::OrderStatus::Cancelled, ..orders[1].clone() };
    let mut set = shop.set();
    set.update(&orders[1], &mut cancelled).reserve(variant, -2);
    shop.commit(&set).await;
    assert_eq!(shop.move_stock(variant, -1, 0).await, Outcome::Now);
    for (rating, status) in [(5, ReviewStatus::Published), (1, ReviewStatus::Hidden), (4, ReviewStatus::Published)] {
        let mut review = Review { status, ..shop.review(product.id, shop.id(), rating) };
        let mut set = shop.set();
        set.insert(&mut review);
        if status == ReviewStatus::Published {
            set.rate(product.id, RatingDelta { sum: rating, count: 1 });
        }
        shop.commit(&set).await;
    }
    let stock = shop.stock(variant).await;
    assert_eq!((stock.on_hand, stock.reserved), (8, 3));
    assert_eq!(drift().await, [], "after a sale, a cancellation, an adjustment and reviews");
}

async fn sell(shop: &Shop, order: &Order, variant: VariantId) {
    let units = i64::from(order.lines[0].quantity);
    let mut sold = order.clone();
    confirm(&mut sold, shop.now());
    let mut set = shop.set();
    let moved = StockDelta { on_hand: -units, reserved: -units, expect_on_hand: None };
    set.update(order, &mut sold).move_stock(variant, moved, Some((MovementKind::Sale, Some(order.id), None)));
    shop.commit(&set).await;
}

/// Counters that their ledgers don't explain are named, with both numbers.
pub async fn drift_is_named(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (product, variant) = shop.stocked("mug", 10).await;
    shop.stocked("cup", 10).await;
    let mut set = shop.set();
    set.reserve(variant, 3);
    set.move_stock(variant, StockDelta { on_hand: 5, ..StockDelta::default() }, None);
    set.rate(product.id, RatingDelta { sum: 4, count: 1 });
    shop.commit(&set).await;
    let mut drift = shop.reads().verify().await.expect("the ledgers can be read");
    drift.sort_by(|a, b| a.counter.cmp(&b.counter));
    let off = |counter: &str, id, counted, ledger| Drift { counter: counter.to_owned(), id, counted, ledger };
    assert_eq!(
        drift,
        [
            off("rating.count", product.id.0, 1, 0),
            off("rating.sum", product.id.0, 4, 0),
            off("stock.on_hand", variant.0, 15, 10),
            off("stock.reserved", variant.0, 3, 0),
        ]
    );
}

/// An aggregate that is older than its newest event has lost a write; one that is newer had writes without events.
pub async fn lost_writes_are_named(fixture: &dyn StoreFixture) {
    let shop = Shop::new(fixture.store());
    let (product, _) = shop.stocked("mug", 10).await;
    let mut order = shop.order("O-1", &product, 1);
    let mut set = shop.set();
    set.insert(&mut order);
    let placed = DomainEvent::OrderPlaced { order: order.id, number: ODD.to_owned(), total: eur(1) };
    set.event(&shop.ids, AggregateId::Order(order.id), 1, placed);
    shop.commit(&set).await;
    let mut later = order.clone();
    let mut set = shop.set();
    set.update(&order, &mut later);
    shop.commit(&set).await;
    let drift = async || shop.reads().verify().await.expect("the ledgers can be read");
    let versions = async || drift().await.into_iter().filter(|drift| drift.counter.ends_with(".version"));
    assert_eq!(versions().await.collect::<Vec<_>>(), []);
    let mut set = shop.set();
    set.event(&shop.ids, AggregateId::Order(order.id), 3, DomainEvent::OrderConfirmed { order: order.id });
    // Of another kind, and of something that has been removed since.
    set.event(&shop.ids, AggregateId::Product(product.id), 1, DomainEvent::ProductCreated { product: product.id });
    set.event(&shop.ids, AggregateId::Review(shop.id()), 5, DomainEvent::CategoriesChanged);
    shop.commit(&set).await;
    let lost = Drift { counter: "order.version".to_owned(), id: order.id.0, counted: 2, ledger: 3 };
    assert_eq!(versions().await.collect::<Vec<_>>(), [lost]);
}

/// A store that is up says so.
pub async fn the_store_answers_a_ping(fixture: &dyn StoreFixture) {
    Shop::new(fixture.store()).reads().ping().await.expect("the store is up");
}
