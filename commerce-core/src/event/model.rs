//! What happened: [`DomainEvent`], the schema of the outbox.

use serde::{Deserialize, Serialize};

use crate::{
    aggregate::{AggregateId, Version},
    clock::Timestamp,
    context::ActorRef,
    id::{
        AlertId, EventId, FulfilmentId, OrderId, PaymentId, ProductId, RefundId, ReturnId, ReviewId, UserId, VariantId,
    },
    money::Money,
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
