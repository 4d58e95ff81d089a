//! Everything that was ever committed to the simulated store, and the guards of its write door.

mod commit;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use commerce_core::{
    alert::Alert,
    cart::Cart,
    catalog::{Product, ProductView},
    clock::Timestamp,
    event::{EventRecord, Task},
    id::{CommitId, TaskId, VariantId},
    inventory::{MovementRecord, NewStock, StockItem},
    order::{Order, OrderStatus},
    store::{AggregateId, AttemptCount, Change, Claim, Drift, IdempotencyRecord, MovementKind, Version},
};
use uuid::Uuid;

/// A guard of the write door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// A set is applied once.
    SetId,
    /// An idempotency key is claimed once.
    Key,
    /// What must be unique has one owner.
    Claims,
    /// An aggregate is still as it was read.
    Versions,
    /// What was counted is still so.
    Counts,
    /// Nothing is sold that isn't there.
    Floors,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::SetId, Self::Key, Self::Claims, Self::Versions, Self::Counts, Self::Floors];
}

/// A variant's stock.
#[derive(Clone, Debug)]
pub struct Stock {
    pub(super) opened: NewStock,
    pub(super) threshold: i64,
    /// Units in the house.
    pub on_hand: i64,
    /// Units promised to pending orders.
    pub reserved: i64,
    pub(super) crossings: i64,
    pub(super) alerted: i64,
}

/// A task in the queue.
#[derive(Clone, Debug)]
pub struct Queued {
    /// When it is due.
    pub due: Timestamp,
    /// What to do.
    pub task: Task,
    /// How often it was leased.
    pub attempts: u32,
    /// Until when it is somebody's.
    pub lease_until: Option<Timestamp>,
    pub(super) last_error: Option<String>,
    /// Whether it was given up.
    pub dead: bool,
}

/// Everything that was ever committed.
#[derive(Default)]
pub struct SharedState {
    pub(super) heads: BTreeMap<AggregateId, Change>,
    pub(super) versions: BTreeMap<AggregateId, Version>,
    pub(super) claims: BTreeMap<Claim, Uuid>,
    pub(super) keys: BTreeMap<[u8; 32], IdempotencyRecord>,
    pub(super) attempts: BTreeMap<[u8; 32], AttemptCount>,
    /// Stock by variant.
    pub stock: BTreeMap<VariantId, Stock>,
    pub(super) movements: Vec<MovementRecord>,
    /// The outbox.
    pub events: Vec<EventRecord>,
    /// The queue.
    pub tasks: BTreeMap<TaskId, Queued>,
    pub(super) commits: BTreeSet<CommitId>,
    pub(super) calls: Vec<&'static str>,
    pub(super) without: Option<Guard>,
}

impl SharedState {
    /// Nothing yet; without a guard, to see whether that is noticed.
    #[must_use]
    pub fn new(without: Option<Guard>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { without, ..Self::default() }))
    }

    /// All orders, oldest first.
    #[must_use]
    pub fn orders(&self) -> Vec<Order> {
        let orders = self.heads.values().filter_map(|head| match head {
            Change::Order(save) => Some(save.after().clone()),
            _ => None,
        });
        orders.collect()
    }

    /// All alerts.
    #[must_use]
    pub fn alerts(&self) -> Vec<Alert> {
        let alerts = self.heads.values().filter_map(|head| match head {
            Change::Alert(save) => Some(save.after().clone()),
            _ => None,
        });
        alerts.collect()
    }

    /// All carts.
    #[must_use]
    pub fn carts(&self) -> Vec<Cart> {
        let carts = self.heads.values().filter_map(|head| match head {
            Change::Cart(save) => Some(save.after().clone()),
            _ => None,
        });
        carts.collect()
    }

    /// The names of the store calls since the last time this was asked.
    pub fn take_calls(&mut self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls)
    }

    pub(super) fn has(&self, guard: Guard) -> bool {
        self.without != Some(guard)
    }

    pub(super) fn view(&self, product: &Product) -> ProductView {
        let mut product = product.clone();
        product.variants.retain(|variant| !variant.retired);
        let available = |id| self.stock.get(&id).map_or(0, |stock| stock.on_hand - stock.reserved);
        let available = product.variants.iter().map(|variant| available(variant.id)).collect();
        ProductView { product, available, rating_sum: 0, rating_count: 0 }
    }

    pub(super) fn products(&self) -> impl Iterator<Item = &Product> {
        self.heads.values().filter_map(|head| match head {
            Change::Product(save) => Some(save.after()),
            _ => None,
        })
    }

    pub(super) fn item(&self, variant: VariantId) -> Option<StockItem> {
        let stock = self.stock.get(&variant)?;
        let product = self.products().find(|product| product.id == stock.opened.product_id)?;
        let sold = product.variants.iter().find(|candidate| candidate.id == variant)?;
        Some(StockItem {
            variant_id: variant,
            product_id: product.id,
            sku: sold.sku.clone(),
            product_title: product.title.clone(),
            variant_title: sold.title.clone(),
            on_hand: stock.on_hand,
            reserved: stock.reserved,
            low_stock_threshold: stock.threshold,
            crossings: stock.crossings,
            alerted: stock.alerted,
        })
    }

    /// What staff ever put on the shelf of a variant, and what of that by an adjustment.
    #[must_use]
    pub fn adjusted(&self, variant: VariantId) -> (i64, i64) {
        let lines = || self.movements.iter().filter(move |line| line.variant_id == variant);
        let by_staff = lines().filter(|line| matches!(line.kind, MovementKind::Initial | MovementKind::Adjustment));
        let found = lines().filter(|line| line.reason.as_deref() == Some("found"));
        (by_staff.map(|line| line.delta).sum(), found.map(|line| line.delta).sum())
    }

    /// Counters that disagree with their ledgers.
    #[must_use]
    pub fn drifts(&self) -> Vec<Drift> {
        let mut drifts = Vec::new();
        let orders = self.orders();
        for (variant, stock) in &self.stock {
            let moved: i64 =
                self.movements.iter().filter(|line| line.variant_id == *variant).map(|line| line.delta).sum();
            let pending = orders.iter().filter(|order| order.status == OrderStatus::Pending);
            let lines = pending.flat_map(|order| &order.lines).filter(|line| line.variant_id == *variant);
            let reserved: i64 = lines.map(|line| i64::from(line.quantity - line.cancelled)).sum();
            for (counter, counted, ledger) in
                [("stock.on_hand", stock.on_hand, moved), ("stock.reserved", stock.reserved, reserved)]
            {
                if counted != ledger {
                    drifts.push(Drift { counter: counter.to_owned(), id: variant.0, counted, ledger });
                }
            }
        }
        drifts
    }
}
