//! Domain events and due tasks: both are part of the commit that causes them.
//!
//! [`DomainEvent`] is the schema of the outbox. Delivery to an [`EventSink`] is at least once and unordered; every event
//! carries (aggregate, version, n), by which a receiver puts them in order and drops doubles.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    cart::CartOwner,
    clock::Timestamp,
    context::ActorRef,
    id::{
        AlertId, CartId, EventId, FulfilmentId, MailTokenId, OrderId, PaymentId, ProductId, RefundId, ReturnId,
        ReviewId, TaskId, UserId, VariantId,
    },
    money::Money,
    page::{PageSpec, Rows},
    store::{AggregateId, Claim, IdempotencyRecord, StoreError, Version},
};

/// Something that happened. Names and fields are stable: receivers outside depend on them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(missing_docs)] // The names say it all.
pub enum DomainEvent {
    UserRegistered { user: UserId },
    EmailConfirmed { user: UserId },
    EmailChanged { user: UserId },
    PasswordChanged { user: UserId },
    UserErased { user: UserId },
    UserChanged { user: UserId },
    ProductCreated { product: ProductId },
    ProductUpdated { product: ProductId },
    ProductDeleted { product: ProductId },
    CategoriesChanged,
    StockAdjusted { variant: VariantId, delta: i64 },
    OrderPlaced { order: OrderId, number: String, total: Money },
    PaymentAuthorized { order: OrderId, payment: PaymentId, amount: Money },
    PaymentCaptured { order: OrderId, payment: PaymentId, amount: Money },
    PaymentFailed { order: OrderId, payment: PaymentId, reason: String },
    PaymentVoided { order: OrderId, payment: PaymentId },
    PaymentRequiresAction { order: OrderId, payment: PaymentId },
    OrderConfirmed { order: OrderId },
    OrderCancelled { order: OrderId, reason: String },
    OrderLinesCancelled { order: OrderId, reason: String },
    OrderCompleted { order: OrderId },
    OrderJoinedAccount { order: OrderId, user: UserId },
    FulfilmentCreated { order: OrderId, fulfilment: FulfilmentId },
    FulfilmentShipped { order: OrderId, fulfilment: FulfilmentId, carrier: String, tracking_number: String },
    FulfilmentDelivered { order: OrderId, fulfilment: FulfilmentId },
    FulfilmentCancelled { order: OrderId, fulfilment: FulfilmentId },
    FulfilmentReturnedToSender { order: OrderId, fulfilment: FulfilmentId },
    FulfilmentCorrected { order: OrderId, fulfilment: FulfilmentId, carrier: String, tracking_number: String },
    RefundRequested { order: OrderId, refund: RefundId, amount: Money },
    RefundSettled { order: OrderId, refund: RefundId, amount: Money },
    RefundFailed { order: OrderId, refund: RefundId, reason: String },
    ReturnRequested { order: OrderId, id: ReturnId },
    ReturnApproved { order: OrderId, id: ReturnId },
    ReturnRejected { order: OrderId, id: ReturnId },
    ReturnReceived { order: OrderId, id: ReturnId },
    PaymentDisputed { order: OrderId, payment: PaymentId },
    ReviewPublished { review: ReviewId, product: ProductId },
    ReviewChanged { review: ReviewId, product: ProductId },
    ReviewRemoved { review: ReviewId, product: ProductId },
    AlertRaised { alert: AlertId },
}

impl DomainEvent {
    /// The event's name as serialised in `type`.
    #[must_use]
    pub fn name(&self) -> String {
        serde_json::to_value(self)
            .ok()
            .and_then(|value| value.get("type").and_then(|name| name.as_str().map(str::to_owned)))
            .unwrap_or_default()
    }
}

/// An event with its place in history: one row of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Stable over repeated deliveries.
    pub id: EventId,
    /// When the set that carries it was composed.
    pub at: Timestamp,
    /// Who caused it.
    pub by: ActorRef,
    /// What it is about.
    pub root: AggregateId,
    /// The aggregate's version after the event; of stock, which has none, the time in microseconds. `id` alone is unique.
    pub version: Version,
    /// Counts the events of one aggregate in one commit, from 0.
    pub n: u32,
    /// What happened.
    pub event: DomainEvent,
}

/// A receiver of events outside the shop: a message broker, a search index, a data warehouse.
#[async_trait]
pub trait EventSink: Send + Sync + 'static {
    /// Takes an event. Called at least once for each, in no particular order.
    ///
    /// # Errors
    /// Anything; the event is delivered again later.
    async fn publish(&self, event: &EventRecord) -> Result<(), Box<dyn std::error::Error + Send + Sync>>;
}

/// Background work. Bodies hold ids, never secrets: what is said or sent is derived when the task runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Task {
    /// Ask the gateway how a payment stands, and settle it.
    SettlePayment {
        /// The order.
        order: OrderId,
        /// Its payment.
        payment: PaymentId,
    },
    /// If the payment still isn't settled: void it at the gateway, then release the stock.
    ExpireReservation {
        /// The order.
        order: OrderId,
        /// Its payment.
        payment: PaymentId,
    },
    /// Void an authorised payment of a cancelled order.
    VoidPayment {
        /// The order.
        order: OrderId,
        /// Its payment.
        payment: PaymentId,
    },
    /// Drive a pending refund to its end.
    SettleRefund {
        /// The order.
        order: OrderId,
        /// Its refund.
        refund: RefundId,
    },
    /// Cancel an order whose payment is open: at its gateway first.
    CancelOrder {
        /// The order.
        order: OrderId,
        /// Why.
        reason: String,
    },
    /// Take so much of a promised payment, as intended by its lease.
    CapturePayment {
        /// The order.
        order: OrderId,
        /// Its payment.
        payment: PaymentId,
        /// How much.
        amount: Money,
    },
    /// Settle a payment by its gateway's word, as staff asked for.
    ResolvePayment {
        /// The payment.
        payment: PaymentId,
        /// Whether it is written off if the gateway holds no money for it.
        give_up: bool,
    },
    /// Merge the lines of a declined order's closed cart into the owner's open one.
    MergeCart {
        /// The closed cart.
        from: CartId,
        /// The owner whose open cart takes the lines.
        owner: CartOwner,
    },
    /// Make more of the orders that a user placed as a guest theirs.
    JoinOrders {
        /// The user.
        user: UserId,
    },
    /// Send a message.
    Send {
        /// The message to be sent.
        message: Notice,
    },
    /// Hand an event to the sink.
    Publish {
        /// The event.
        event: Box<EventRecord>,
    },
}

/// A message to be composed and sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(missing_docs)] // The names say it all.
pub enum Notice {
    ConfirmEmail {
        user: UserId,
        token: MailTokenId,
    },
    ResetPassword {
        user: UserId,
        token: MailTokenId,
    },
    PasswordChanged {
        user: UserId,
    },
    /// To the new address.
    ChangeEmail {
        user: UserId,
        token: MailTokenId,
    },
    /// To the former address.
    EmailChangeRequested {
        user: UserId,
        token: MailTokenId,
    },
    OrderConfirmed {
        order: OrderId,
    },
    OrderShipped {
        order: OrderId,
        fulfilment: FulfilmentId,
    },
    OrderCancelled {
        order: OrderId,
    },
    OrderRefunded {
        order: OrderId,
        refund: RefundId,
    },
    /// To one member of staff about one alert.
    Alert {
        alert: AlertId,
        to: UserId,
    },
}

impl Task {
    /// The kind's name in storage.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::SettlePayment { .. } => "settle_payment",
            Self::ExpireReservation { .. } => "expire_reservation",
            Self::VoidPayment { .. } => "void_payment",
            Self::SettleRefund { .. } => "settle_refund",
            Self::CancelOrder { .. } => "cancel_order",
            Self::CapturePayment { .. } => "capture_payment",
            Self::ResolvePayment { .. } => "resolve_payment",
            Self::MergeCart { .. } => "merge_cart",
            Self::JoinOrders { .. } => "join_orders",
            Self::Send { .. } => "send",
            Self::Publish { .. } => "publish",
        }
    }
}

/// A task in the hands of a worker, or a dead one.
#[derive(Clone, Debug, PartialEq)]
pub struct LeasedTask {
    /// The task's id.
    pub id: TaskId,
    /// When it was due.
    pub due: Timestamp,
    /// How often it has been leased, this time included.
    pub attempts: u32,
    /// What to do.
    pub task: Task,
    /// What went wrong last time.
    pub last_error: Option<String>,
}

/// One disagreement between a counter and its ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Drift {
    /// What disagrees: `stock.on_hand`, `stock.reserved`, `rating.sum`, `rating.count`.
    pub counter: String,
    /// Of which variant or product.
    pub id: Uuid,
    /// What the counter says.
    pub counted: i64,
    /// What the ledger adds up to.
    pub ledger: i64,
}

/// Reads of claims, idempotency keys, events and tasks.
#[async_trait]
pub trait EventQueries: Send + Sync {
    /// Who holds a claim.
    async fn load_claim(&self, claim: &Claim) -> Result<Option<Uuid>, StoreError>;

    /// What is known of an idempotency key.
    async fn load_key(&self, key: &[u8; 32]) -> Result<Option<IdempotencyRecord>, StoreError>;

    /// An aggregate's events, by version and n.
    async fn list_events(&self, root: AggregateId) -> Result<Vec<EventRecord>, StoreError>;

    /// Tasks that were given up, newest first.
    async fn list_dead_tasks(&self, spec: &PageSpec) -> Result<Rows<LeasedTask>, StoreError>;

    /// How many tasks are waiting, dead ones not counted, and when the oldest was due.
    async fn task_backlog(&self) -> Result<(u64, Option<Timestamp>), StoreError>;

    /// Recomputes counters from their ledgers, each in one statement, and names those that disagree:
    /// `on_hand` = Σ movements; `reserved` = Σ open quantities of pending orders; ratings = published reviews.
    async fn verify(&self) -> Result<Vec<Drift>, StoreError>;

    /// Asks the database for a sign of life.
    async fn ping(&self) -> Result<(), StoreError>;

    /// What time it is by the database's own clock; `None` if that is the clock of this machine.
    async fn clock(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(None)
    }
}
