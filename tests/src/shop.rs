//! A shop on a throw-away SQLite file, whose clock, gateway and mailbox the test holds in its hands.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use commerce_core::{
    Caller, Commerce, CommerceBuilder, Currency, Money,
    address::PostalAddress,
    alert::{Alert, AlertKind, AlertQuery},
    catalog::NewProduct,
    checkout::{Checkout, CheckoutError, PaymentChoice, Placement},
    clock::{ManualClock, Timestamp},
    context::{Actor, ActorRef, Idempotency, Identity, RequestContext, Role},
    event::LeasedTask,
    id::{IdGenerator, SeededIds, SessionId, UserId, UuidV7, VariantId},
    inventory::StockItem,
    notification::MemoryMailer,
    order::{Cancellation, FulfilmentStatus, ItemSelection, LineQuantity, NewFulfilment, Order, OrderQuery},
    page::PageRequest,
    payment::{ManualGateway, PaymentStatus, RefundStatus, TestGateway},
    store::{Applied, ChangeSet, Claim, CommitError, Reads, Store, StoreError},
};
use commerce_sqlite::SqliteStore;

/// Succeeds at once.
pub const VISA: &str = "pm_card_visa";
/// Is declined.
pub const DECLINED: &str = "pm_card_chargeDeclined";
/// Needs 3-D Secure.
pub const SECURE: &str = "pm_card_threeDSecure2Required";

/// A shop and what turns its handles.
pub struct TestShop {
    /// The shop.
    pub commerce: Commerce,
    /// Its store.
    pub store: Arc<dyn Store>,
    /// Its gateway `test`.
    pub gateway: TestGateway,
    /// Its outgoing mail.
    pub mailer: MemoryMailer,
    /// Its clock.
    pub clock: Arc<ManualClock>,
}

impl TestShop {
    /// A shop with default settings.
    pub async fn open() -> Self {
        Self::with(|builder| builder).await
    }

    /// A shop, built differently.
    pub async fn with(change: impl FnOnce(CommerceBuilder) -> CommerceBuilder) -> Self {
        let store = Arc::new(SqliteStore::open("sqlite::memory:").await.unwrap());
        Self::on(store, change)
    }

    /// A shop on a store.
    pub fn on(store: Arc<dyn Store>, change: impl FnOnce(CommerceBuilder) -> CommerceBuilder) -> Self {
        let (gateway, mailer) = (TestGateway::new(), MemoryMailer::default());
        let clock = Arc::new(ManualClock::at(Timestamp::from_micros(1_795_000_000_000_000)));
        Self::build(store, gateway, mailer, clock, change)
    }

    fn build(
        store: Arc<dyn Store>,
        gateway: TestGateway,
        mailer: MemoryMailer,
        clock: Arc<ManualClock>,
        change: impl FnOnce(CommerceBuilder) -> CommerceBuilder,
    ) -> Self {
        let builder = Commerce::builder()
            .shared_store(store.clone())
            .gateway(gateway.clone())
            .gateway(ManualGateway::new().instructions(HOW_TO_PAY))
            .mailer(mailer.clone())
            .shared_clock(clock.clone())
            .secret([7; 32]);
        let commerce = change(builder).build().unwrap();
        Self { commerce, store, gateway, mailer, clock }
    }

    /// Another process of the same shop, on another view of its store.
    #[must_use]
    pub fn process_on(&self, store: Arc<dyn Store>) -> Self {
        Self::build(store, self.gateway.clone(), self.mailer.clone(), self.clock.clone(), |builder| builder)
    }

    /// The shop as somebody uses it.
    pub fn by(&self, call: impl Into<RequestContext>) -> Caller {
        self.commerce.acting_as(call)
    }

    /// The shop as its staff use it.
    #[must_use]
    pub fn staff(&self) -> Caller {
        self.commerce.as_system()
    }

    /// The shop as somebody uses it who is not signed in.
    #[must_use]
    pub fn guest(&self) -> Caller {
        self.commerce.as_guest()
    }

    /// A product with one variant, on sale.
    pub async fn sell(&self, sku: &str, price: i64, stock: i64) -> VariantId {
        let product = NewProduct::active(format!("Product {sku}")).variant(sku, eur(price)).stock(stock);
        self.commerce.as_system().catalog().create(product).await.unwrap().default_variant()
    }

    /// Puts units into a customer's cart.
    pub async fn fill(&self, call: &RequestContext, variant: VariantId, quantity: i64) {
        self.commerce.acting_as(call).carts().add(variant, quantity).await.unwrap();
    }

    /// Puts units into a new guest's cart; the guest holds its token.
    pub async fn guest_with(&self, variant: VariantId, quantity: i64) -> RequestContext {
        let cart = self.commerce.as_guest().carts().add(variant, quantity).await.unwrap();
        let token = cart.cart_token;
        RequestContext::by(Actor::Guest { cart: token, order: None })
    }

    /// Checks out with a token of the test gateway.
    pub async fn place(&self, call: &RequestContext, token: &str) -> Result<Placement, CheckoutError> {
        self.by(call).checkout().place(input(token)).await
    }

    /// Buys units of one variant, which must succeed.
    pub async fn buy(&self, call: &RequestContext, variant: VariantId, quantity: i64) -> Order {
        self.fill(call, variant, quantity).await;
        self.place(call, VISA).await.unwrap().order
    }

    /// An order as it stands.
    pub async fn order(&self, order: &Order) -> Order {
        self.staff().orders().get(order.id).await.unwrap()
    }

    /// The only order there is.
    pub async fn only_order(&self) -> Order {
        let mut orders = self.orders().await;
        assert_eq!(orders.len(), 1, "{orders:?}");
        orders.remove(0)
    }

    /// All orders, the declined too.
    pub async fn orders(&self) -> Vec<Order> {
        let (mut orders, mut page) = (Vec::new(), PageRequest::first(100));
        loop {
            let next = self.staff().orders().list(OrderQuery::default(), &page).await.unwrap();
            orders.extend(next.items);
            let Some(cursor) = next.next_cursor else { return orders };
            page.cursor = Some(cursor);
        }
    }

    /// Packs all that is left, ships and delivers it.
    pub async fn deliver(&self, order: &Order) -> Order {
        let orders = self.staff().orders();
        let parcel = orders.fulfil(order.id, parcel(ItemSelection::All)).await.unwrap().fulfilment.id;
        orders.update_fulfilment(parcel, FulfilmentStatus::Shipped).await.unwrap();
        orders.update_fulfilment(parcel, FulfilmentStatus::Delivered).await.unwrap()
    }

    /// The stock of a variant.
    pub async fn stock(&self, variant: VariantId) -> StockItem {
        self.commerce.as_system().inventory().stock_item(variant).await.unwrap()
    }

    /// What is on hand and reserved.
    pub async fn units(&self, variant: VariantId) -> (i64, i64) {
        let item = self.stock(variant).await;
        (item.on_hand, item.reserved)
    }

    /// Alerts of a kind.
    pub async fn alerts(&self, kind: AlertKind) -> Vec<Alert> {
        let page = PageRequest::first(100);
        let alerts = self.commerce.as_system().inventory().alerts(AlertQuery::default(), &page).await.unwrap();
        alerts.items.into_iter().filter(|alert| alert.kind == kind).collect()
    }

    /// Turns the clock and lets the worker do what is due then.
    pub async fn wait(&self, time: Duration) {
        self.clock.advance(time);
        self.commerce.worker().tick().await.unwrap();
    }

    /// What must hold whenever nothing is on its way: the counters agree with their ledgers, and our books with the
    /// gateway's.
    pub async fn check_books(&self) {
        assert_eq!(self.store.reads().verify().await.unwrap(), []);
        let theirs = self.gateway.ledger();
        let orders = self.orders().await;
        for payment in orders.iter().flat_map(|order| &order.payments).filter(|payment| payment.gateway == "test") {
            let line = theirs.iter().find(|line| line.payment == payment.id);
            let (captured, refunded) = line.map_or((0, 0), |line| (line.captured, line.refunded));
            assert_eq!((payment.captured, payment.refunded), (captured, refunded), "{payment:?}");
            let promised = line.is_some_and(|line| line.authorized);
            assert_eq!(payment.status == PaymentStatus::Authorized, promised, "{payment:?}");
        }
        for order in &orders {
            let pending = order.refunds.iter().filter(|refund| refund.status == RefundStatus::Pending).count();
            assert_eq!(pending, 0, "{:?}", order.refunds);
        }
        for line in theirs.iter().filter(|line| line.captured > line.refunded || line.authorized) {
            let known = orders.iter().any(|order| order.payments.iter().any(|payment| payment.id == line.payment));
            assert!(known, "the gateway holds money for no order: {line:?}");
        }
    }
}

/// So many cents.
#[must_use]
pub const fn eur(minor: i64) -> Money {
    Money::new(minor, Currency::EUR)
}

/// A signed-in customer who was never here before.
#[must_use]
pub fn customer() -> RequestContext {
    user(Role::Customer)
}

/// A signed-in user with a role.
#[must_use]
pub fn user(role: Role) -> RequestContext {
    let identity = Identity { user: UserId(UuidV7.uuid()), role, session: SessionId(UuidV7.uuid()) };
    RequestContext::by(Actor::User(identity))
}

/// The same call under an idempotency key.
#[must_use]
pub fn keyed(call: &RequestContext, key: &str) -> RequestContext {
    call.clone().once(Idempotency::new(&format!("{:?}", call.actor.user()), key, b"the same request"))
}

/// How offline payments are made.
pub const HOW_TO_PAY: &str = "IBAN DE89 3704 0044 0532 0130 00";

/// Where everything is sent.
#[must_use]
pub fn address() -> PostalAddress {
    PostalAddress::new("Ada Lovelace", "12 St James's Square", "London", "SW1Y 4JH", "GB")
}

/// A checkout with a token of the test gateway.
#[must_use]
pub fn input(token: &str) -> Checkout {
    let card = PaymentChoice::by("test").token(token.to_owned());
    Checkout::ship_to(address()).email("ada@example.com".to_owned()).pay_with(card)
}

/// A checkout by bank transfer.
#[must_use]
pub fn offline() -> Checkout {
    input(VISA).pay_with("manual")
}

/// A parcel with these items, or all that is left.
#[must_use]
pub fn parcel(items: impl Into<ItemSelection>) -> NewFulfilment {
    NewFulfilment::of(items, "Royal Mail", "RM1")
}

/// Staff's cancel of these items, or of all, back into stock.
#[must_use]
pub fn cancel_of(items: impl Into<ItemSelection>) -> Cancellation {
    Cancellation::of(items)
}

/// So many units of a variant.
#[must_use]
pub const fn units_of(variant_id: VariantId, quantity: u32) -> LineQuantity {
    LineQuantity { variant_id, quantity }
}

/// A store whose process dies: after so many commits, the next has its effect or not, and nobody ever hears of it.
pub struct MortalStore {
    inner: Arc<dyn Store>,
    left: std::sync::atomic::AtomicI64,
    last_applies: bool,
}

impl MortalStore {
    /// Dies at the commit after `commits`; that one applies or not.
    #[must_use]
    pub fn new(inner: Arc<dyn Store>, commits: i64, last_applies: bool) -> Arc<Self> {
        Arc::new(Self { inner, left: commits.into(), last_applies })
    }
}

#[async_trait]
impl Store for MortalStore {
    async fn commit(&self, set: &ChangeSet) -> Result<Applied, CommitError> {
        let left = self.left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
        if left > 0 {
            return self.inner.commit(set).await;
        }
        if left == 0 && self.last_applies {
            self.inner.commit(set).await?;
        }
        std::future::pending().await
    }

    async fn lease(
        &self,
        worker: &str,
        now: Timestamp,
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<LeasedTask>, StoreError> {
        self.inner.lease(worker, now, until, limit).await
    }

    fn reads(&self) -> &dyn Reads {
        self.inner.reads()
    }
}

/// A set that is the same in every process, and takes some room.
#[must_use]
pub fn numbered(n: u16) -> ChangeSet {
    let ids = SeededIds::new(n + 1);
    let mut set = ChangeSet::new(&ids, Timestamp::from_micros(1_795_000_000_000_000), ActorRef::System);
    set.hold(Claim::sku(&format!("{n}-{}", "x".repeat(20_000))), ids.uuid());
    set
}
