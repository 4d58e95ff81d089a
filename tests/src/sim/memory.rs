//! A store in memory whose guards can be taken out one by one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use commerce_core::{
    account::{AccountStore, Address, MailToken, Session, User, UserQuery},
    cart::{Cart, CartOwner, CartStore},
    catalog::{CatalogStore, CategoryTree, Offer, Product, ProductFilter, ProductKey, ProductStatus, ProductView},
    clock::Timestamp,
    event::{Drift, EventRecord, EventStore, LeasedTask, Task},
    id::{
        AddressId, AlertId, CartId, CategoryId, CommitId, MailTokenId, OrderId, ProductId, ReviewId, SessionId, TaskId,
        UserId, VariantId,
    },
    inventory::{Alert, AlertQuery, InventoryStore, MovementRecord, NewStock, StockItem, StockQuery},
    order::{Order, OrderChild, OrderPayment, OrderQuery, OrderReturn, OrderStatus, OrderStore, ReturnStatus},
    page::{Listed, Slice},
    payment::PaymentStatus,
    review::{Review, ReviewQuery, ReviewStore},
    store::{
        Aggregate, Applied, Change, ChangeSet, Claim, CommitError, Conflict, IdempotencyRecord, KeyWrite, MovementKind,
        Reads, Root, Save, Store, StoreError, Take, TaskWrite, Version, Was,
    },
};
use uuid::Uuid;

use super::{Coverage, lock, network::Process};

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
    /// Nothing is sold that isn't there.
    Floors,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::SetId, Self::Key, Self::Claims, Self::Versions, Self::Floors];
}

/// A variant's stock.
#[derive(Clone, Debug)]
pub struct Stock {
    opened: NewStock,
    threshold: i64,
    /// Units in the house.
    pub on_hand: i64,
    /// Units promised to pending orders.
    pub reserved: i64,
    crossings: i64,
    alerted: i64,
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
    last_error: Option<String>,
    /// Whether it was given up.
    pub dead: bool,
}

/// Everything that was ever committed.
#[derive(Default)]
pub struct Shared {
    heads: BTreeMap<Root, Change>,
    versions: BTreeMap<Root, Version>,
    claims: BTreeMap<Claim, Uuid>,
    keys: BTreeMap<[u8; 32], IdempotencyRecord>,
    /// Stock by variant.
    pub stock: BTreeMap<VariantId, Stock>,
    movements: Vec<MovementRecord>,
    /// The outbox.
    pub events: Vec<EventRecord>,
    /// The queue.
    pub tasks: BTreeMap<TaskId, Queued>,
    commits: BTreeSet<CommitId>,
    calls: Vec<&'static str>,
    without: Option<Guard>,
}

macro_rules! saves {
    ($change:expr, $save:ident => $then:expr, $else:expr) => {
        match $change {
            Change::User($save) => $then,
            Change::Address($save) => $then,
            Change::Session($save) => $then,
            Change::MailToken($save) => $then,
            Change::Product($save) => $then,
            Change::Categories($save) => $then,
            Change::Cart($save) => $then,
            Change::Order($save) => $then,
            Change::Review($save) => $then,
            Change::Alert($save) => $then,
            _ => $else,
        }
    };
}

fn head<T: Aggregate>(save: &Save<T>) -> (Root, Was) {
    (save.after().root(), save.was())
}

impl Shared {
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

    fn has(&self, guard: Guard) -> bool {
        self.without != Some(guard)
    }

    fn is(&self, root: Root, was: Was) -> bool {
        match (self.versions.get(&root), was) {
            (None, Was::Absent) => true,
            (Some(version), Was::At(at)) => *version == at,
            _ => false,
        }
    }

    fn judge(&self, set: &ChangeSet) -> Vec<Conflict> {
        let taken = |write: &&KeyWrite| matches!(write, KeyWrite::Claim(r) if self.keys.contains_key(&r.key));
        if self.has(Guard::Key) && set.keys().iter().any(|write| taken(&write)) {
            return vec![Conflict::KeyTaken];
        }
        let held =
            set.claims().filter(|(claim, take)| matches!(take, Take::Hold(_)) && self.claims.contains_key(claim));
        let held: Vec<_> = held.map(|(claim, _)| Conflict::Taken(claim.clone())).collect();
        if self.has(Guard::Claims) && !held.is_empty() {
            return held;
        }
        let stale = set.changes().iter().filter_map(|change| {
            let (root, was) = saves!(change, save => head(save), match change {
                Change::Remove(root, version) | Change::Assert(root, version) => (*root, Was::At(*version)),
                Change::StockAlerted { variant, from, .. } => {
                    let alerted = self.stock.get(variant).map(|stock| stock.alerted);
                    return (alerted != Some(*from)).then_some(Conflict::Stale(Root::StockAlert(*variant)));
                }
                _ => return None,
            });
            (!self.is(root, was)).then_some(Conflict::Stale(root))
        });
        let stale: Vec<_> = stale.collect();
        if self.has(Guard::Versions) && !stale.is_empty() {
            return stale;
        }
        let short = set.stock().filter_map(|(variant, delta)| {
            let Some(stock) = self.stock.get(&variant) else { return None };
            if delta.expect_on_hand.is_some_and(|on_hand| on_hand != stock.on_hand) {
                return Some(Conflict::Moved(variant));
            }
            let (on_hand, reserved) = (stock.on_hand + delta.on_hand, stock.reserved + delta.reserved);
            let available = stock.on_hand - stock.reserved;
            (on_hand < reserved || reserved < 0).then_some(Conflict::Short { variant, available })
        });
        if self.has(Guard::Floors) { short.collect() } else { Vec::new() }
    }

    /// What a database's constraints would refuse.
    fn check(&self, set: &ChangeSet) -> Result<(), String> {
        for change in set.changes() {
            let Change::Order(save) = change else { continue };
            for payment in &save.after().payments {
                let gone = payment.refunded + payment.refund_pending;
                if !(0 <= gone && gone <= payment.captured && payment.captured <= payment.amount.minor) {
                    return Err(format!("the money of {payment:?} doesn't add up"));
                }
            }
            for line in &save.after().lines {
                if line.fulfilled + line.cancelled > line.quantity || line.refunded > line.quantity {
                    return Err(format!("the units of {line:?} don't add up"));
                }
            }
        }
        for event in set.events() {
            let same =
                |other: &EventRecord| (other.root, other.version, other.n) == (event.root, event.version, event.n);
            // Stock moves without a version; the time takes its place, and may stand still.
            let versioned = !matches!(event.root, Root::StockAlert(_));
            if versioned && self.has(Guard::Versions) && self.has(Guard::SetId) && self.events.iter().any(same) {
                return Err(format!("two events have the place of {event:?}"));
            }
        }
        for write in set.tasks() {
            if let TaskWrite::Add { id, task, .. } = write
                && self.has(Guard::SetId)
                && self.tasks.contains_key(id)
            {
                return Err(format!("two tasks have the id of {task:?}"));
            }
        }
        Ok(())
    }

    fn apply(&mut self, set: &ChangeSet, coverage: &Coverage) {
        self.commits.insert(set.id());
        for write in set.keys() {
            match write {
                KeyWrite::Claim(record) => {
                    self.keys.insert(record.key, record.clone());
                }
                KeyWrite::Answer { key, output } => {
                    if let Some(record) = self.keys.get_mut(key) {
                        record.output = Some(output.clone());
                    }
                }
                KeyWrite::Forget(key) => {
                    self.keys.remove(key);
                }
            }
        }
        for (claim, take) in set.claims() {
            match take {
                Take::Hold(owner) => {
                    self.claims.insert(claim.clone(), owner);
                }
                Take::Free(owner) => {
                    if self.claims.get(claim) == Some(&owner) {
                        self.claims.remove(claim);
                    }
                }
            }
        }
        for change in set.changes() {
            self.change(change, coverage);
        }
        self.move_stock(set);
        self.events.extend(set.events().iter().cloned());
        for write in set.tasks() {
            self.queue(write);
        }
    }

    fn change(&mut self, change: &Change, coverage: &Coverage) {
        if let Change::Order(save) = change {
            note_moves(save, coverage);
        }
        let saved = saves!(change, save => Some((save.after().root(), save.after().version())), None);
        if let Some((root, version)) = saved {
            self.versions.insert(root, version);
            self.heads.insert(root, change.clone());
            return;
        }
        match change {
            Change::Remove(root, _) => {
                self.versions.remove(root);
                self.heads.remove(root);
            }
            Change::OpenStock(opened) => {
                let threshold = opened.low_stock_threshold;
                let stock = Stock { opened: *opened, threshold, on_hand: 0, reserved: 0, crossings: 0, alerted: 0 };
                self.stock.insert(opened.variant_id, stock);
            }
            Change::StockThreshold(variant, threshold) => {
                if let Some(stock) = self.stock.get_mut(variant) {
                    stock.threshold = *threshold;
                }
            }
            Change::StockAlerted { variant, to, .. } => {
                if let Some(stock) = self.stock.get_mut(variant) {
                    stock.alerted = *to;
                }
            }
            _ => {}
        }
    }

    fn move_stock(&mut self, set: &ChangeSet) {
        for (variant, delta) in set.stock() {
            let Some(stock) = self.stock.get_mut(&variant) else { continue };
            let was_low = stock.on_hand - stock.reserved <= stock.threshold;
            stock.on_hand += delta.on_hand;
            stock.reserved += delta.reserved;
            let is_low = stock.on_hand - stock.reserved <= stock.threshold;
            stock.crossings += i64::from(is_low && !was_low);
        }
        for movement in set.movements() {
            let on_hand_after = self.stock.get(&movement.variant).map_or(0, |stock| stock.on_hand);
            self.movements.push(MovementRecord {
                variant_id: movement.variant,
                at: set.at(),
                kind: movement.kind,
                delta: movement.delta,
                on_hand_after,
                order_id: movement.order,
                actor: set.by(),
                reason: movement.reason.clone(),
            });
        }
    }

    fn queue(&mut self, write: &TaskWrite) {
        match write {
            TaskWrite::Add { id, due, task } => {
                let (due, task) = (*due, task.clone());
                let queued = Queued { due, task, attempts: 0, lease_until: None, last_error: None, dead: false };
                self.tasks.insert(*id, queued);
            }
            TaskWrite::Done(id) => {
                self.tasks.remove(id);
            }
            TaskWrite::Failed { id, due, error } => {
                if let Some(queued) = self.tasks.get_mut(id) {
                    queued.dead = due.is_none();
                    queued.due = due.unwrap_or(queued.due);
                    queued.lease_until = None;
                    queued.last_error = Some(error.clone());
                }
            }
        }
    }

    fn view(&self, product: &Product) -> ProductView {
        let mut product = product.clone();
        product.variants.retain(|variant| !variant.retired);
        let available = |id| self.stock.get(&id).map_or(0, |stock| stock.on_hand - stock.reserved);
        let available = product.variants.iter().map(|variant| available(variant.id)).collect();
        ProductView { product, available, rating_sum: 0, rating_count: 0 }
    }

    fn products(&self) -> impl Iterator<Item = &Product> {
        self.heads.values().filter_map(|head| match head {
            Change::Product(save) => Some(save.after()),
            _ => None,
        })
    }

    fn item(&self, variant: VariantId) -> Option<StockItem> {
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

fn note_moves(save: &Save<Order>, coverage: &Coverage) {
    let (Some(before), after) = (save.before(), save.after()) else { return };
    let note = |kind: &str, from: &str, to: &str| {
        if from != to {
            coverage.hit(format!("{kind}: {from} → {to}"));
        }
    };
    note("order", before.status.as_str(), after.status.as_str());
    note("goods", before.fulfilment_status.as_str(), after.fulfilment_status.as_str());
    for (was, is) in before.payments.iter().zip(&after.payments) {
        note("payment", was.status.as_str(), is.status.as_str());
    }
    for (was, is) in before.refunds.iter().zip(&after.refunds) {
        note("refund", was.status.as_str(), is.status.as_str());
    }
    for (was, is) in before.fulfilments.iter().zip(&after.fulfilments) {
        note("parcel", was.status.as_str(), is.status.as_str());
    }
    for (was, is) in before.returns.iter().zip(&after.returns) {
        note("return", was.status.as_str(), is.status.as_str());
    }
}

/// What one process sees of the store.
pub struct MemoryStore {
    shared: Arc<Mutex<Shared>>,
    process: Arc<Process>,
}

impl MemoryStore {
    /// The store as a process sees it.
    #[must_use]
    pub const fn new(shared: Arc<Mutex<Shared>>, process: Arc<Process>) -> Self {
        Self { shared, process }
    }

    async fn read(&self, name: &'static str) -> MutexGuard<'_, Shared> {
        self.process.step().await;
        let mut shared = lock(&self.shared);
        shared.calls.push(name);
        shared
    }

    fn commit_now(&self, set: &ChangeSet) -> Result<Applied, CommitError> {
        let (mut shared, coverage) = (lock(&self.shared), self.process.coverage());
        shared.calls.push("commit");
        if shared.commits.contains(&set.id()) && shared.has(Guard::SetId) {
            coverage.hit("guard: set id");
            return Ok(Applied::Before);
        }
        let conflicts = shared.judge(set);
        if let Some(strongest) = conflicts.first() {
            coverage.hit(match strongest {
                Conflict::KeyTaken => "guard: key",
                Conflict::Taken(_) => "guard: claim",
                Conflict::Stale(_) => "guard: version",
                Conflict::Moved(_) => "guard: count",
                Conflict::Short { .. } => "guard: floor",
            });
            return Err(CommitError::Conflict(conflicts));
        }
        shared.check(set).map_err(|broken| CommitError::Bug(broken.into()))?;
        shared.apply(set, coverage);
        Ok(Applied::Now)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn commit(&self, set: &ChangeSet) -> Result<Applied, CommitError> {
        use super::network::CommitFault as F;
        self.process.step().await;
        let fault = self.process.commit_fault();
        if fault == Some(F::DiesBefore) {
            self.process.die().await;
        }
        match fault {
            Some(F::Unavailable) => return Err(CommitError::Unavailable("the database is away".into())),
            Some(F::UnknownNotDone) => return Err(CommitError::Unknown("the database didn't answer".into())),
            _ => {}
        }
        let answer = self.commit_now(set);
        match fault {
            Some(F::DiesAfter) => self.process.die().await,
            Some(F::UnknownDone) if answer.is_ok() => {
                return Err(CommitError::Unknown("the database's answer was lost".into()));
            }
            _ => {}
        }
        self.process.step().await;
        answer
    }

    async fn lease(
        &self,
        _worker: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LeasedTask>, StoreError> {
        let mut shared = self.read("lease").await;
        let free = |queued: &Queued| {
            !queued.dead && queued.due <= now && queued.lease_until.is_none_or(|lease_until| lease_until <= now)
        };
        let mut due: Vec<_> =
            shared.tasks.iter().filter(|(_, queued)| free(queued)).map(|(id, queued)| (queued.due, *id)).collect();
        due.sort();
        let leased = due.into_iter().take(limit as usize).filter_map(|(_, id)| {
            let queued = shared.tasks.get_mut(&id)?;
            queued.attempts += 1;
            queued.lease_until = Some(until);
            Some(LeasedTask {
                id,
                due: queued.due,
                attempts: queued.attempts,
                task: queued.task.clone(),
                last_error: queued.last_error.clone(),
            })
        });
        Ok(leased.collect())
    }

    fn reads(&self) -> &dyn Reads {
        self
    }
}

macro_rules! load {
    ($self:ident, $name:literal, $root:expr, $kind:ident) => {
        Ok(match $self.read($name).await.heads.get(&$root) {
            Some(Change::$kind(save)) => Some(save.after().clone()),
            _ => None,
        })
    };
}

fn listed<T>(all: Vec<T>, slice: &Slice) -> Listed<T> {
    let total = slice.count.then_some(all.len() as u64);
    Listed { items: all.into_iter().take(slice.limit as usize).collect(), next: None, total }
}

fn not_simulated<T>(what: &str) -> Result<T, StoreError> {
    Err(StoreError::bug(format!("the simulated store has no {what}")))
}

#[async_trait]
impl AccountStore for MemoryStore {
    async fn load_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        load!(self, "load_user", Root::User(id), User)
    }
    async fn load_user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let id = self.read("load_user_by_email").await.claims.get(&Claim::email(email)).copied();
        match id {
            Some(id) => self.load_user(id.into()).await,
            None => Ok(None),
        }
    }
    async fn list_users(&self, query: &UserQuery, slice: &Slice) -> Result<Listed<User>, StoreError> {
        let shared = self.read("list_users").await;
        let users = shared.heads.values().filter_map(|head| match head {
            Change::User(save) if query.role.is_none_or(|role| save.after().role == role) => Some(save.after().clone()),
            _ => None,
        });
        Ok(listed(users.collect(), slice))
    }
    async fn load_session(&self, _id: SessionId) -> Result<Option<(Session, User)>, StoreError> {
        not_simulated("sessions")
    }
    async fn list_sessions(&self, _user: UserId) -> Result<Vec<Session>, StoreError> {
        not_simulated("sessions")
    }
    async fn load_mail_token(&self, _id: MailTokenId) -> Result<Option<MailToken>, StoreError> {
        not_simulated("mail tokens")
    }
    async fn load_address(&self, _id: AddressId) -> Result<Option<Address>, StoreError> {
        not_simulated("addresses")
    }
    async fn list_addresses(&self, _user: UserId) -> Result<Vec<Address>, StoreError> {
        not_simulated("addresses")
    }
}

#[async_trait]
impl CatalogStore for MemoryStore {
    async fn load_product(&self, id: ProductId) -> Result<Option<Product>, StoreError> {
        load!(self, "load_product", Root::Product(id), Product)
    }
    async fn load_product_of(&self, variant: VariantId) -> Result<Option<Product>, StoreError> {
        let shared = self.read("load_product_of").await;
        let sells = |product: &&Product| product.variants.iter().any(|candidate| candidate.id == variant);
        Ok(shared.products().find(sells).cloned())
    }
    async fn view_product(&self, key: &ProductKey) -> Result<Option<ProductView>, StoreError> {
        let shared = self.read("view_product").await;
        let meant = |product: &&Product| match key {
            ProductKey::Id(id) => product.id == *id,
            ProductKey::Slug(slug) => product.slug == *slug,
        };
        Ok(shared.products().find(meant).map(|product| shared.view(product)))
    }
    async fn list_products(&self, _filter: &ProductFilter, slice: &Slice) -> Result<Listed<ProductView>, StoreError> {
        let shared = self.read("list_products").await;
        let active = shared.products().filter(|product| product.status == ProductStatus::Active);
        Ok(listed(active.map(|product| shared.view(product)).collect(), slice))
    }
    async fn load_offers(&self, variants: &[VariantId]) -> Result<Vec<Offer>, StoreError> {
        let shared = self.read("load_offers").await;
        let all = shared.products().flat_map(|product| product.variants.iter().map(move |variant| (product, variant)));
        let asked = all.filter(|(_, variant)| variants.contains(&variant.id));
        let offers = asked.map(|(product, variant)| Offer {
            variant: variant.clone(),
            product_id: product.id,
            slug: product.slug.clone(),
            product_title: product.title.clone(),
            status: product.status,
            image: product.images.first().cloned(),
            available: shared.stock.get(&variant.id).map_or(0, |stock| stock.on_hand - stock.reserved),
        });
        Ok(offers.collect())
    }
    async fn load_categories(&self) -> Result<CategoryTree, StoreError> {
        let tree: Result<_, StoreError> = load!(self, "load_categories", Root::Categories, Categories);
        Ok(tree?.unwrap_or_default())
    }
    async fn count_products(&self) -> Result<BTreeMap<CategoryId, u64>, StoreError> {
        not_simulated("counts of categories")
    }
}

#[async_trait]
impl InventoryStore for MemoryStore {
    async fn load_stock(&self, variant: VariantId) -> Result<Option<StockItem>, StoreError> {
        Ok(self.read("load_stock").await.item(variant))
    }
    async fn list_stock(&self, _query: &StockQuery, _slice: &Slice) -> Result<Listed<StockItem>, StoreError> {
        not_simulated("list of stock")
    }
    async fn list_movements(&self, variant: VariantId, slice: &Slice) -> Result<Listed<MovementRecord>, StoreError> {
        let shared = self.read("list_movements").await;
        let lines = shared.movements.iter().rev().filter(|line| line.variant_id == variant);
        Ok(listed(lines.cloned().collect(), slice))
    }
    async fn load_unalerted(&self, limit: u32) -> Result<Vec<StockItem>, StoreError> {
        let shared = self.read("load_unalerted").await;
        let ahead = shared.stock.iter().filter(|(_, stock)| stock.crossings > stock.alerted);
        Ok(ahead.filter_map(|(variant, _)| shared.item(*variant)).take(limit as usize).collect())
    }
    async fn load_alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        load!(self, "load_alert", Root::Alert(id), Alert)
    }
    async fn list_alerts(&self, _query: &AlertQuery, _slice: &Slice) -> Result<Listed<Alert>, StoreError> {
        not_simulated("list of alerts")
    }
}

#[async_trait]
impl CartStore for MemoryStore {
    async fn load_cart(&self, id: CartId) -> Result<Option<Cart>, StoreError> {
        load!(self, "load_cart", Root::Cart(id), Cart)
    }
    async fn load_open_cart(&self, owner: &CartOwner) -> Result<Option<Cart>, StoreError> {
        let shared = self.read("load_open_cart").await;
        let Some(id) = shared.claims.get(&Claim::open_cart(owner)) else { return Ok(None) };
        Ok(match shared.heads.get(&Root::Cart(CartId(*id))) {
            Some(Change::Cart(save)) => Some(save.after().clone()),
            _ => None,
        })
    }
}

#[async_trait]
impl OrderStore for MemoryStore {
    async fn load_order(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        load!(self, "load_order", Root::Order(id), Order)
    }
    async fn load_order_of(&self, child: OrderChild) -> Result<Option<OrderId>, StoreError> {
        let orders = self.read("load_order_of").await.orders();
        let has = |order: &&Order| match child {
            OrderChild::Payment(id) => order.payments.iter().any(|row| row.id == id),
            OrderChild::Refund(id) => order.refunds.iter().any(|row| row.id == id),
            OrderChild::Fulfilment(id) => order.fulfilments.iter().any(|row| row.id == id),
            OrderChild::Return(id) => order.returns.iter().any(|row| row.id == id),
        };
        Ok(orders.iter().find(has).map(|order| order.id))
    }
    async fn list_orders(&self, query: &OrderQuery, slice: &Slice) -> Result<Listed<Order>, StoreError> {
        let mut orders = self.read("list_orders").await.orders();
        orders.retain(|order| {
            query.customer.is_none_or(|customer| order.customer_id == Some(customer))
                && !(query.hide_declined && order.declined)
        });
        orders.reverse();
        Ok(listed(orders, slice))
    }
    async fn list_payments(
        &self,
        _status: Option<PaymentStatus>,
        _slice: &Slice,
    ) -> Result<Listed<OrderPayment>, StoreError> {
        not_simulated("list of payments")
    }
    async fn list_returns(
        &self,
        _status: Option<ReturnStatus>,
        _slice: &Slice,
    ) -> Result<Listed<OrderReturn>, StoreError> {
        not_simulated("list of returns")
    }
    async fn has_orders(&self, product: ProductId) -> Result<bool, StoreError> {
        let orders = self.read("has_orders").await.orders();
        Ok(orders.iter().flat_map(|order| &order.lines).any(|line| line.product_id == product))
    }
    async fn has_bought(&self, customer: UserId, product: ProductId) -> Result<bool, StoreError> {
        let orders = self.read("has_bought").await.orders();
        let kept = |order: &&Order| matches!(order.status, OrderStatus::Confirmed | OrderStatus::Completed);
        let theirs = orders.iter().filter(|order| order.customer_id == Some(customer)).filter(kept);
        Ok(theirs.flat_map(|order| &order.lines).any(|line| line.product_id == product))
    }
}

#[async_trait]
impl ReviewStore for MemoryStore {
    async fn load_review(&self, id: ReviewId) -> Result<Option<Review>, StoreError> {
        load!(self, "load_review", Root::Review(id), Review)
    }
    async fn list_reviews(&self, _query: &ReviewQuery, _slice: &Slice) -> Result<Listed<Review>, StoreError> {
        not_simulated("list of reviews")
    }
}

#[async_trait]
impl EventStore for MemoryStore {
    async fn load_claim(&self, claim: &Claim) -> Result<Option<Uuid>, StoreError> {
        Ok(self.read("load_claim").await.claims.get(claim).copied())
    }
    async fn load_key(&self, key: &[u8; 32]) -> Result<Option<IdempotencyRecord>, StoreError> {
        Ok(self.read("load_key").await.keys.get(key).cloned())
    }
    async fn list_events(&self, root: Root) -> Result<Vec<EventRecord>, StoreError> {
        let shared = self.read("list_events").await;
        Ok(shared.events.iter().filter(|event| event.root == root).cloned().collect())
    }
    async fn list_dead_tasks(&self, _slice: &Slice) -> Result<Listed<LeasedTask>, StoreError> {
        not_simulated("list of dead tasks")
    }
    async fn task_backlog(&self) -> Result<(u64, Option<Timestamp>), StoreError> {
        let shared = self.read("task_backlog").await;
        let waiting = || shared.tasks.values().filter(|queued| !queued.dead);
        Ok((waiting().count() as u64, waiting().map(|queued| queued.due).min()))
    }
    async fn verify(&self) -> Result<Vec<Drift>, StoreError> {
        Ok(self.read("verify").await.drifts())
    }
    async fn ping(&self) -> Result<(), StoreError> {
        drop(self.read("ping").await);
        Ok(())
    }
}
