//! Tracking: an order's events as a timeline that its customer can read.

use super::{Fulfilment, Order, OrderStatus};
use crate::{
    clock::Timestamp,
    event::{DomainEvent, EventRecord},
    language::sentence,
};

/// Where an order is and what has happened to it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tracking {
    /// Where the order stands as a whole.
    pub status: OrderStatus,
    /// What has happened, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// Its parcels.
    pub fulfilments: Vec<Fulfilment>,
}

/// Something that happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// The event's name: `order_placed`, `fulfilment_shipped`.
    pub event: String,
    /// A sentence.
    pub detail: String,
}

impl Tracking {
    pub(crate) fn of(order: &Order, events: &[EventRecord]) -> Self {
        let entry = |record: &EventRecord| {
            let detail = describe(&record.event)?;
            Some(TimelineEntry { at: record.at, event: record.event.name(), detail })
        };
        Self {
            status: order.status,
            timeline: events.iter().filter_map(entry).collect(),
            fulfilments: order.fulfilments.clone(),
        }
    }
}

/// What a customer is told of an event; `None` for those that aren't about the order.
fn describe(event: &DomainEvent) -> Option<String> {
    use DomainEvent as E;
    Some(match event {
        E::OrderPlaced { number, .. } => format!("The order {number} was placed."),
        E::PaymentAuthorized { amount, .. } => format!("A payment of {amount:#} was authorised."),
        E::PaymentCaptured { amount, .. } => format!("A payment of {amount:#} was received."),
        E::PaymentFailed { .. } => "The payment failed.".to_owned(),
        E::PaymentVoided { .. } => "The payment was voided.".to_owned(),
        E::PaymentRequiresAction { .. } => "The payment waits for the customer.".to_owned(),
        E::PaymentDisputed { .. } => "The payment is disputed.".to_owned(),
        E::OrderConfirmed { .. } => "The order was confirmed.".to_owned(),
        E::OrderCancelled { reason, .. } => sentence(&format!("the order was cancelled: {reason}")),
        E::OrderLinesCancelled { reason, .. } => sentence(&format!("items were cancelled: {reason}")),
        E::OrderCompleted { .. } => "The order is complete.".to_owned(),
        E::OrderJoinedAccount { .. } => "The order was added to its customer's account.".to_owned(),
        E::FulfilmentCreated { .. } => "A parcel is being packed.".to_owned(),
        E::FulfilmentShipped { carrier, tracking_number, .. } => {
            format!("A parcel was shipped with {carrier}, tracking number {tracking_number}.")
        }
        E::FulfilmentDelivered { .. } => "A parcel was delivered.".to_owned(),
        E::FulfilmentReturnedToSender { .. } => "A parcel came back undelivered.".to_owned(),
        E::FulfilmentCorrected { carrier, tracking_number, .. } => {
            format!("A parcel is now tracked with {carrier}, tracking number {tracking_number}.")
        }
        E::FulfilmentCancelled { .. } => "A parcel was cancelled before it left.".to_owned(),
        E::RefundRequested { amount, .. } => format!("A refund of {amount:#} was begun."),
        E::RefundSettled { amount, .. } => format!("{amount:#} was refunded."),
        E::RefundFailed { .. } => "A refund failed. The shop has been told.".to_owned(),
        E::ReturnRequested { .. } => "A return was requested.".to_owned(),
        E::ReturnApproved { .. } => "The return was approved.".to_owned(),
        E::ReturnRejected { .. } => "The return was rejected.".to_owned(),
        E::ReturnReceived { .. } => "The returned goods have arrived.".to_owned(),
        E::UserRegistered { .. }
        | E::EmailConfirmed { .. }
        | E::EmailChanged { .. }
        | E::PasswordChanged { .. }
        | E::UserErased { .. }
        | E::UserChanged { .. }
        | E::ProductCreated { .. }
        | E::ProductUpdated { .. }
        | E::ProductDeleted { .. }
        | E::CategoriesChanged
        | E::StockAdjusted { .. }
        | E::ReviewPublished { .. }
        | E::ReviewChanged { .. }
        | E::ReviewRemoved { .. }
        | E::AlertRaised { .. } => return None,
    })
}
