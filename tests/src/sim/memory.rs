//! A store in memory, as one process sees it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use commerce_core::{
    account::{AccountQueries, Address, MailToken, Session, User, UserQuery},
    alert::{Alert, AlertQuery},
    cart::{Cart, CartOwner, CartQueries},
    catalog::{
        CatalogQueries, CategoryTree, Product, ProductFilter, ProductKey, ProductStatus, ProductView,
        PurchasableVariant,
    },
    clock::Timestamp,
    event::{EventRecord, LeasedTask},
    id::{
        AddressId, AlertId, CartId, CategoryId, MailTokenId, OrderId, ProductId, ReviewId, SessionId, UserId, VariantId,
    },
    inventory::{InventoryQueries, MovementRecord, StockItem, StockQuery},
    order::{Order, OrderChild, OrderPayment, OrderQueries, OrderQuery, OrderReturn, ReturnStatus},
    page::{PageSpec, Rows},
    payment::PaymentStatus,
    review::{Review, ReviewQueries, ReviewQuery},
    store::{
        AggregateId, Applied, AttemptCount, Change, ChangeSet, Claim, CommitError, Conflict, Drift, IdempotencyRecord,
        OutboxQueries, Reads, Store, StoreError,
    },
};
use uuid::Uuid;

use super::{lock, network::Process};

use super::state::{Guard, Queued, SharedState};

/// What one process sees of the store.
pub struct MemoryStore {
    shared: Arc<Mutex<SharedState>>,
    process: Arc<Process>,
}

impl MemoryStore {
    /// The store as a process sees it.
    #[must_use]
    pub const fn new(shared: Arc<Mutex<SharedState>>, process: Arc<Process>) -> Self {
        Self { shared, process }
    }

    async fn read(&self, name: &'static str) -> MutexGuard<'_, SharedState> {
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
        let conflicts = shared.failed_guards(set);
        if let Some(strongest) = conflicts.first() {
            coverage.hit(match strongest {
                Conflict::KeyTaken => "guard: key",
                Conflict::Taken(_) => "guard: claim",
                Conflict::Stale(_) => "guard: version",
                Conflict::Moved(_) => "guard: count",
                Conflict::Short { .. } => "guard: floor",
                Conflict::LimitReached(_) => "guard: limit",
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

fn listed<T>(all: Vec<T>, spec: &PageSpec) -> Rows<T> {
    let total = spec.count.then_some(all.len() as u64);
    Rows { items: all.into_iter().take(spec.limit as usize).collect(), next: None, total }
}

fn not_simulated<T>(what: &str) -> Result<T, StoreError> {
    Err(StoreError::bug(format!("the simulated store has no {what}")))
}

#[async_trait]
impl AccountQueries for MemoryStore {
    async fn load_user(&self, id: UserId) -> Result<Option<User>, StoreError> {
        load!(self, "load_user", AggregateId::User(id), User)
    }
    async fn load_user_by_email(&self, email: &str) -> Result<Option<User>, StoreError> {
        let id = self.read("load_user_by_email").await.claims.get(&Claim::email(email)).copied();
        match id {
            Some(id) => self.load_user(id.into()).await,
            None => Ok(None),
        }
    }
    async fn list_users(&self, query: &UserQuery, spec: &PageSpec) -> Result<Rows<User>, StoreError> {
        let shared = self.read("list_users").await;
        let users = shared.heads.values().filter_map(|head| match head {
            Change::User(save) if query.role.is_none_or(|role| save.after().role == role) => Some(save.after().clone()),
            _ => None,
        });
        Ok(listed(users.collect(), spec))
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
    async fn list_mail_tokens(&self, _user: UserId) -> Result<Vec<MailToken>, StoreError> {
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
impl CatalogQueries for MemoryStore {
    async fn load_product(&self, id: ProductId) -> Result<Option<Product>, StoreError> {
        load!(self, "load_product", AggregateId::Product(id), Product)
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
    async fn list_products(&self, _filter: &ProductFilter, spec: &PageSpec) -> Result<Rows<ProductView>, StoreError> {
        let shared = self.read("list_products").await;
        let active = shared.products().filter(|product| product.status == ProductStatus::Active);
        Ok(listed(active.map(|product| shared.view(product)).collect(), spec))
    }
    async fn load_similar_words(&self, _words: &[String]) -> Result<Vec<Vec<String>>, StoreError> {
        not_simulated("similar words")
    }
    async fn load_purchasable(&self, variants: &[VariantId]) -> Result<Vec<PurchasableVariant>, StoreError> {
        let shared = self.read("load_offers").await;
        let all = shared.products().flat_map(|product| product.variants.iter().map(move |variant| (product, variant)));
        let asked = all.filter(|(_, variant)| variants.contains(&variant.id));
        let offers = asked.map(|(product, variant)| PurchasableVariant {
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
        let tree: Result<_, StoreError> = load!(self, "load_categories", AggregateId::Categories, Categories);
        Ok(tree?.unwrap_or_default())
    }
    async fn count_products(&self) -> Result<BTreeMap<CategoryId, u64>, StoreError> {
        not_simulated("counts of categories")
    }
}

#[async_trait]
impl InventoryQueries for MemoryStore {
    async fn load_stock(&self, variant: VariantId) -> Result<Option<StockItem>, StoreError> {
        Ok(self.read("load_stock").await.item(variant))
    }
    async fn list_stock(&self, _query: &StockQuery, _slice: &PageSpec) -> Result<Rows<StockItem>, StoreError> {
        not_simulated("list of stock")
    }
    async fn list_movements(&self, variant: VariantId, spec: &PageSpec) -> Result<Rows<MovementRecord>, StoreError> {
        let shared = self.read("list_movements").await;
        let lines = shared.movements.iter().rev().filter(|line| line.variant_id == variant);
        Ok(listed(lines.cloned().collect(), spec))
    }
    async fn load_unalerted(&self, limit: u32) -> Result<Vec<StockItem>, StoreError> {
        let shared = self.read("load_unalerted").await;
        let ahead = shared.stock.iter().filter(|(_, stock)| stock.crossings > stock.alerted);
        Ok(ahead.filter_map(|(variant, _)| shared.item(*variant)).take(limit as usize).collect())
    }
    async fn load_alert(&self, id: AlertId) -> Result<Option<Alert>, StoreError> {
        load!(self, "load_alert", AggregateId::Alert(id), Alert)
    }
    async fn list_alerts(&self, _query: &AlertQuery, _slice: &PageSpec) -> Result<Rows<Alert>, StoreError> {
        not_simulated("list of alerts")
    }
}

#[async_trait]
impl CartQueries for MemoryStore {
    async fn load_cart(&self, id: CartId) -> Result<Option<Cart>, StoreError> {
        load!(self, "load_cart", AggregateId::Cart(id), Cart)
    }
    async fn load_open_cart(&self, owner: &CartOwner) -> Result<Option<Cart>, StoreError> {
        let shared = self.read("load_open_cart").await;
        let Some(id) = shared.claims.get(&Claim::open_cart(owner)) else { return Ok(None) };
        Ok(match shared.heads.get(&AggregateId::Cart(CartId(*id))) {
            Some(Change::Cart(save)) => Some(save.after().clone()),
            _ => None,
        })
    }
}

#[async_trait]
impl OrderQueries for MemoryStore {
    async fn load_order(&self, id: OrderId) -> Result<Option<Order>, StoreError> {
        load!(self, "load_order", AggregateId::Order(id), Order)
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
    async fn list_orders(&self, query: &OrderQuery, spec: &PageSpec) -> Result<Rows<Order>, StoreError> {
        let mut orders = self.read("list_orders").await.orders();
        orders.retain(|order| {
            query.customer.is_none_or(|customer| order.customer_id == Some(customer))
                && !(query.hide_declined && order.declined)
        });
        orders.reverse();
        Ok(listed(orders, spec))
    }
    async fn list_payments(
        &self,
        status: Option<PaymentStatus>,
        spec: &PageSpec,
    ) -> Result<Rows<OrderPayment>, StoreError> {
        let orders = self.read("list_payments").await.orders();
        let payments = orders.into_iter().rev().flat_map(|order| {
            let (order_id, order_number) = (order.id, order.number);
            order.payments.into_iter().map(move |payment| OrderPayment {
                order_id,
                order_number: order_number.clone(),
                payment,
            })
        });
        let payments = payments.filter(|row| status.is_none_or(|status| row.payment.status == status));
        Ok(listed(payments.collect(), spec))
    }
    async fn list_returns(
        &self,
        _status: Option<ReturnStatus>,
        _slice: &PageSpec,
    ) -> Result<Rows<OrderReturn>, StoreError> {
        not_simulated("list of returns")
    }
    async fn has_orders(&self, product: ProductId) -> Result<bool, StoreError> {
        let orders = self.read("has_orders").await.orders();
        Ok(orders.iter().flat_map(|order| &order.lines).any(|line| line.product_id == product))
    }
    async fn load_purchases(&self, pairs: &[(UserId, ProductId)]) -> Result<BTreeSet<(UserId, ProductId)>, StoreError> {
        let orders = self.read("load_purchases").await.orders();
        let bought = |(customer, product): &(UserId, ProductId)| {
            orders.iter().any(|order| order.customer_id == Some(*customer) && order.is_purchase_of(*product))
        };
        Ok(pairs.iter().copied().filter(bought).collect())
    }
}

#[async_trait]
impl ReviewQueries for MemoryStore {
    async fn load_review(&self, id: ReviewId) -> Result<Option<Review>, StoreError> {
        load!(self, "load_review", AggregateId::Review(id), Review)
    }
    async fn list_reviews(&self, _query: &ReviewQuery, _slice: &PageSpec) -> Result<Rows<Review>, StoreError> {
        not_simulated("list of reviews")
    }
}

#[async_trait]
impl OutboxQueries for MemoryStore {
    async fn load_claim(&self, claim: &Claim) -> Result<Option<Uuid>, StoreError> {
        Ok(self.read("load_claim").await.claims.get(claim).copied())
    }
    async fn load_key(&self, key: &[u8; 32]) -> Result<Option<IdempotencyRecord>, StoreError> {
        Ok(self.read("load_key").await.keys.get(key).cloned())
    }
    async fn load_attempts(&self, key: &[u8; 32]) -> Result<Option<AttemptCount>, StoreError> {
        Ok(self.read("load_attempts").await.attempts.get(key).copied())
    }
    async fn list_events(&self, root: AggregateId) -> Result<Vec<EventRecord>, StoreError> {
        let shared = self.read("list_events").await;
        Ok(shared.events.iter().filter(|event| event.root == root).cloned().collect())
    }
    async fn list_dead_tasks(&self, _slice: &PageSpec) -> Result<Rows<LeasedTask>, StoreError> {
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
